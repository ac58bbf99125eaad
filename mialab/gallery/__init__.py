"""Every fault, and everything that is correct, against every audit: who is caught, and why not.

looks.py    LOOKS, Look      the audits, each on the same runs
table.py    hang, Row        the rows, and the table
"""

from mialab.gallery.looks import LOOKS, Look, Promise, Runs, Seen, tossed
from mialab.gallery.table import Row, hang, markdown, play

__all__ = ["LOOKS", "Look", "Promise", "Row", "Runs", "Seen", "hang", "markdown", "play", "tossed"]
