"""The one configuration of every cell of the table, and where the table goes."""

from __future__ import annotations

import json
from dataclasses import dataclass

OPEN = frozenset(("ml.performance.score", measure, "regression") for measure in ("mae", "rmse", "r_squared"))
"""Figures that are known to be too sure of themselves on some of the data: metric, measure, how. The page says when."""

BEGIN, END = "<!-- coverage: begin", "<!-- coverage: end -->"


@dataclass(frozen=True)
class Effort:
    """How much is simulated."""

    sizes: tuple[int, ...]
    trials: int


FULL = Effort((30, 100, 500, 5000), 300)
QUICK = Effort((30, 500), 40)
LEAST = 0.9
"""Coverage below which a figure of status "ok" is a defect."""

SEED = 14
CONFIG = {"seed": SEED, "sizes": FULL.sizes, "trials": FULL.trials, "least": LEAST}
"""Goes into the page's marker: a page written with another configuration fails a test."""


def marker() -> str:
    """The line that begins the table."""
    return f"{BEGIN} {json.dumps(CONFIG, sort_keys=True)} -->"


def placed(page: str, table: str) -> str:
    """The page with the table between its markers.

    Raises:
        ValueError: the page has not exactly one of each marker.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("the page needs one begin and one end marker for the table of coverage")
    head, rest = page.split(BEGIN)
    return f"{head}{marker()}\n\n{table.strip()}\n\n{END}{rest.split(END)[1]}"
