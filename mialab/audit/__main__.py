"""``python -m mialab.audit scores.csv …``: the command itself is `mialab.command`, which may draw."""

import sys

from mialab.command import main

if __name__ == "__main__":
    sys.exit(main())
