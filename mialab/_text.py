"""Foreign text in our messages: a file name, a header, a cell."""


def visible(text: str, at_most: int = 80) -> str:
    r"""Return text on one line, whose control characters are spelled out and whose end may be cut off.

    A terminal obeys what it is sent: colours, titles, lines that overwrite the last one. What comes from a
    file or a command line is shown as letters instead.

    Examples
    --------
    >>> visible("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    >>> visible("0" * 1000, at_most=5)
    '00000…'
    """
    start = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:at_most])
    return start + "…" * (len(text) > at_most)
