"""Tables of results: false alarms per 1000 windows, delays, and what must hold of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

NEVER = math.nan


@dataclass(frozen=True)
class Effort:
    """How much is simulated: a full run has the configuration's numbers, a quick one a part of them."""

    streams: int
    windows: int
    delay_streams: int
    horizon: int

    def part(self, streams: float, windows: float = 1.0) -> Effort:
        """Fewer streams, or shorter ones, for what is slow."""
        return replace(
            self, streams=max(round(self.streams * streams), 2), windows=max(round(self.windows * windows), 20)
        )


class Must(NamedTuple):
    """A bound that a figure has to keep."""

    what: str
    limit: float
    measured: float

    @property
    def met(self) -> bool:
        return self.measured <= self.limit  # never true of NaN


class Table(NamedTuple):
    text: str
    musts: tuple[Must, ...] = ()


QUIET = 1.0
"""False alarms per 1000 windows that a row without change may show at A = 1000."""


def quiet(what: str, alarms: Sequence[float], windows: int) -> Must:
    return Must(f"false alarms per 1000 windows: {what}", QUIET, float(np.mean(alarms)) * 1000.0 / windows)


def streams(what: Callable[[np.random.Generator], float], count: int, seed: int) -> list[float]:
    """One number a stream, each with a generator of its own."""
    return [what(np.random.default_rng([seed, s])) for s in range(count)]


def mean_se(values: Sequence[float], digits: int = 1) -> str:
    if not values:
        return "–"
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def rate(alarms: Sequence[float], windows: int) -> list[str]:
    """Per 1000 windows with its standard error over streams, and the share of streams with any."""
    scaled = [a * 1000.0 / windows for a in alarms]
    return [mean_se(scaled, 2), f"{100.0 * np.mean([a > 0 for a in alarms]):.0f} %"]


def delay(delays: Sequence[float]) -> str:
    """Mean delay in windows; in brackets the share that was found, where it is not all."""
    found = [d for d in delays if d == d]
    if not found:
        return "never"
    share = "" if len(found) == len(delays) else f" ({100.0 * len(found) / len(delays):.0f} %)"
    return mean_se(found) + share


MUSTS = "What must hold"


def put_in(page: str, part: str) -> str:
    """The figures of a page with those of one part: each table in the place of the one of its title, a new one behind the last.

    Of what must hold, rows of the same figure are replaced and others come behind. So a part's figures have names of their own: a row that is
    the worst of many can only be told by a run of all of them.
    """
    tables = dict(zip(_titles(page), _cut(page)))
    for title, table in zip(_titles(part), _cut(part)):
        tables[title] = _joined(tables[title], table) if title == MUSTS else table
    return "\n\n".join(tables.values())


def _cut(figures: str) -> list[str]:
    return [f"### {table.strip()}" for table in figures.split("### ")[1:]]


def _titles(figures: str) -> list[str]:
    return [table.splitlines()[0].removeprefix("### ") for table in _cut(figures)]


def _joined(table: str, part: str) -> str:
    rows = {line.split("|")[1]: line for line in part.splitlines()[4:]}
    kept = [rows.pop(line.split("|")[1], line) if line.startswith("|") else line for line in table.splitlines()]
    return "\n".join([*kept, *rows.values()])


def targets(musts: Sequence[Must]) -> str:
    """The musts, those about false alarms in one row."""
    rows = [m for m in musts if not m.what.startswith("false alarms")]
    nulls = [m for m in musts if m.what.startswith("false alarms")]
    if nulls:
        worst = max(nulls, key=lambda m: m.measured)
        rows.insert(0, worst._replace(what=f"{worst.what} (the worst of {len(nulls)} rows)"))
    cells = [[m.what, f"≤ {m.limit:g}", f"{m.measured:.2f}", "yes" if m.met else "**no**"] for m in rows]
    return markdown(MUSTS, ("figure", "limit", "measured", "met"), cells)


def markdown(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
