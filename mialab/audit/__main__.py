"""``python -m mialab.audit scores.csv …`` is ``mialab audit scores.csv …``: the command may draw."""

import sys

from mialab.command import leave

if __name__ == "__main__":
    leave(sys.argv[1:])
