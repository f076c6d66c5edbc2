"""False alarms and delays of every kind of detector, simulated with one configuration for every row and fixed seeds.

Streams are drawn as histograms where rows are independent, which is exact; others row by row. Each stream has a baseline of
its own, drawn as its live windows are drawn. Real days come out of the tables of `scripts/fetch_datasets.py`. Exits with 1 where
something that must hold does not.

    python -m benchmarks.detect             # about thirty-five minutes; writes the tables into docs/detection.md
    python -m benchmarks.detect --quick     # two minutes; prints only
    python -m benchmarks.detect --part relations   # one part in full; puts its tables, and what must hold of them, in their places
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from benchmarks.detection import (
    compared,
    corners,
    dependent,
    deploys,
    features,
    labels,
    late_labels,
    onsets,
    own_weeks,
    real_days,
    relations,
    seasons,
    whole,
)
from benchmarks.detection.config import BEGIN, CONFIG, END, placed
from benchmarks.detection.rivals import river_version
from benchmarks.detection.table import Effort, Must, Table, put_in, targets

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
QUICK = Effort(streams=6, windows=300, delay_streams=10, horizon=60)
FULL = Effort(CONFIG["streams"], CONFIG["null_windows"], CONFIG["delay_streams"], CONFIG["horizon"])


PARTS = (
    features, dependent, real_days, compared, seasons, own_weeks, relations, labels, corners, late_labels, onsets, whole, deploys
)  # fmt: skip
NAMES = {part.__name__.rsplit(".", 1)[-1]: part for part in PARTS}


def run(effort: Effort, parts: Sequence[ModuleType] = PARTS) -> tuple[str, list[Must]]:
    """Print the tables; return them, what must hold first."""
    texts, musts = [], []
    for table in _timed(itertools.chain.from_iterable(part.tables(effort) for part in parts)):
        print(table.text, end="\n\n", flush=True)
        texts.append(table.text)
        musts += table.musts
    texts.insert(0, targets(musts))
    print(texts[0], end="\n\n", flush=True)
    return "\n\n".join(texts), musts


def _timed(tables: Iterable[Table]) -> Iterator[Table]:
    started = time.perf_counter()
    for table in tables:
        yield table
        print(f"({time.perf_counter() - started:.0f} s)\n", flush=True)
        started = time.perf_counter()


def write(tables: str) -> None:
    """Put the tables between the page's markers."""
    _replace(
        placed(
            PAGE.read_text(encoding="utf-8"), f"{tables}\n\nADWIN and Page-Hinkley: river {river_version()}, defaults."
        )
    )


def write_part(tables: str) -> None:
    """Put the tables of one part in the places of those of the same title, or behind the last; and its rows of what must hold."""
    page = PAGE.read_text(encoding="utf-8")
    figures = page.split(BEGIN)[1].split(END)[0].split("-->", 1)[1].strip()
    found, note = figures.rsplit("\n\n", 1)  # which river it was
    _replace(placed(page, f"{put_in(found, tables)}\n\n{note}"))


def _replace(text: str) -> None:
    draft = PAGE.with_suffix(".md.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, PAGE)
    print(f"written to {PAGE}")


def lacking() -> str:
    """What the page's tables need and is not there."""
    if river_version() is None:
        return "river is not installed (pip install river)"
    if not real_days.are_there():
        return "the tables of real days are not there (python scripts/fetch_datasets.py)"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer streams, two minutes; writes nothing")
    parser.add_argument("--part", choices=sorted(NAMES), help="run one part alone")
    options = parser.parse_args()
    quick, part = options.quick, options.part
    tables, musts = run(QUICK if quick else FULL, [NAMES[part]] if part else PARTS)
    missing = lacking()
    if not quick and part:
        write_part(tables)
    elif not quick and not missing:
        write(tables)
    elif not quick:
        print(f"rows are missing, and the page is left as it was: {missing}")
    missed = [m for m in musts if not m.met]
    for must in missed:
        print(f"missed: {must.what} is {must.measured:.3g}, the limit is {must.limit:g}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
