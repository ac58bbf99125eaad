"""Numbers that the package returned on one day, to be compared with what it returns now.

    python tests/golden/golden.py compare [AREA …]   # exit code 1 if anything differs
    python tests/golden/golden.py record             # write them anew
    python tests/golden/golden.py uncalled           # public functions that no case calls

Each area is a file, and each case has a name that says what is computed. When the package changes, the
calls are edited; the names and the numbers are not.
"""
