"""Coverage of every interval that is exported, simulated with one configuration and fixed seeds.

Rows are drawn from populations of which everything is known, counted as the receiver counts them, and read by the functions that
make its figures; what is true comes from the population by plain sums. Exits with 1 where a figure of status "ok" holds less than 90 %.

    python -m benchmarks.coverage             # about ten minutes; writes the table into docs/statistics.md
    python -m benchmarks.coverage --quick     # half a minute; prints only
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.coverage import page, suite
from benchmarks.coverage.config import FULL, OPEN, QUICK, placed

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"


def write(table: str) -> None:
    """Put the table between the page's markers."""
    text = placed(PAGE.read_text(encoding="utf-8"), table)
    draft = PAGE.with_suffix(".md.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, PAGE)
    print(f"written to {PAGE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer trials, half a minute; writes nothing")
    parser.add_argument("--only", action="append", help="families to run, such as scored; writes nothing")
    asked = parser.parse_args()
    started = time.perf_counter()
    found = suite.run(QUICK if asked.quick else FULL, only=asked.only, told=print)
    table = page.table(found)
    print(table)
    print(f"{time.perf_counter() - started:.0f} s")
    if not asked.quick and not asked.only:
        write(table)
    missed = page.under(found)
    for cell, tally in missed.items():
        print(f"{'known' if cell.figure in OPEN else 'missed'}: {page.told(cell, tally)}")
    sys.exit(1 if any(cell.figure not in OPEN for cell in missed) else 0)


if __name__ == "__main__":
    main()
