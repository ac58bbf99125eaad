"""Checkers for the book's exercises, one file a chapter. Nothing imports them.

A checker never raises and never gives the answer away: it says whether an answer is right, and if it is
not, which mistake it looks like.
"""
