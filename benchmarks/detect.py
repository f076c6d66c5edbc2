"""False alarms and delays of every kind of detector, simulated with one configuration for every row and fixed seeds.

Streams are drawn as histograms where rows are independent, which is exact; others row by row. Each stream has a baseline of
its own, drawn as its live windows are drawn.

    python -m benchmarks.detect             # under ten minutes; writes the tables into docs/detection.md
    python -m benchmarks.detect --quick     # under a minute; prints only
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path

from benchmarks.detection import features, labels
from benchmarks.detection.config import CONFIG, placed
from benchmarks.detection.rivals import river_version
from benchmarks.detection.table import Effort

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
QUICK = Effort(streams=4, windows=200, horizon=60)
FULL = Effort(CONFIG["streams"], CONFIG["null_windows"], CONFIG["horizon"])


def run(effort: Effort) -> str:
    """Print and return the tables."""
    out = []
    for table in itertools.chain(_timed(features.tables(effort)), _timed(labels.tables(effort))):
        print(table, end="\n\n", flush=True)
        out.append(table)
    return "\n\n".join(out)


def _timed(tables):
    started = time.perf_counter()
    for table in tables:
        yield table
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)
        started = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer streams, under a minute; writes nothing")
    quick = parser.parse_args().quick
    tables = run(QUICK if quick else FULL)
    if quick:
        return
    if river_version() is None:
        print("river is not installed, so its rows are missing: the page is left as it was (pip install river)")
        return
    text = placed(PAGE.read_text(encoding="utf-8"), f"{tables}\n\nriver {river_version()}, defaults.")
    draft = PAGE.with_suffix(".md.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, PAGE)
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
