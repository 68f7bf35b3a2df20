"""`python -m cluster.reference FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from cluster.reference import write_pages

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m cluster.reference FOLDER")
    write_pages(Path(sys.argv[1]))
