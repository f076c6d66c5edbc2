"""Calidris beside Evidently and NannyML on the same tables: seconds, and whether what we say of them is still true.

    make bench-peers

The first run builds an environment for each of them under `.tools/peers` (1 and 1.7 GB). Exits with 1 where a verdict differs.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.peers import whole
from benchmarks.peers.environment import CannotBuild


def main() -> int:
    """Run, print, and say what holds."""
    argparse.ArgumentParser(
        prog="make bench-peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    try:
        figures, verdicts = whole.run()
    except CannotBuild as error:
        print(f"{error}\nthe environments could not be built; is the package index reachable?")
        return 1
    print("\n" + "\n".join(verdicts))
    return 1 if figures["differences"] else 0


if __name__ == "__main__":
    sys.exit(main())
