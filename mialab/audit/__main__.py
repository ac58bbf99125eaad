"""``python -m mialab.audit scores.csv …``: the command itself is `mialab.command`, which may draw."""

import io
import os
import sys

from mialab.command import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without an ε gets a ?
    code = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:  # nobody reads, or the disk is full: `main` has said so, Python would say it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
