"""Every fault, and everything that is correct, against every audit: who is caught, and why not.

audits.py    AUDITS, AuditOutcome    the audits, each on the same runs
table.py     run_gallery, Row        the rows of the table
"""

from mialab_book.gallery.audits import AUDITS, AuditOutcome, Simulation, one_of_each_pair
from mialab_book.gallery.table import Row, run_gallery, simulate

__all__ = ["AUDITS", "AuditOutcome", "Row", "Simulation", "one_of_each_pair", "run_gallery", "simulate"]
