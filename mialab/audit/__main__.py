"""``python -m mialab.audit scores.csv …``: the command itself is `mialab.command`, which may draw."""

import io
import sys

from mialab.command import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console without an ε gets a ?
    sys.exit(main())
