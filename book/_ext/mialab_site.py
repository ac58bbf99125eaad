"""What the theme and its extensions leave wrong for a screen reader, put right page by page."""


def plain_bibliography(app, pagename, templatename, context, doctree):
    """Drop the roles docutils gives a bibliography: deprecated, and not allowed where it puts them."""
    for role in (' role="list"', ' role="doc-biblioentry"'):
        if "body" in context:
            context["body"] = context["body"].replace(role, "")


def setup(app):
    app.connect("html-page-context", plain_bibliography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
