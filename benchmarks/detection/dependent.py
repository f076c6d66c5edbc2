"""Rows and windows that depend on each other, and columns of many levels: nothing changes, and then something does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from benchmarks.detection.promised import Columns, Promise, World, batch_of, column_of, control, runs
from benchmarks.detection.streams import HOUR_NS
from benchmarks.detection.table import Effort, Must, Table, markdown

from calidris.batch import Floats, PredictionBatch

DAY, WEEK = 24, 168
START = 2_000 * WEEK  # hours since the epoch
POOL, CLIENTS, ROWS_OF_EACH = 400, 6, 80
YEAR = 8760.0
HEAD = ("rows", "windows", "A", "streams with an alarm", "promised at most")


class Clumps(NamedTuple):
    """Each hour a few clients, whose rows are alike; hours are independent of each other."""

    hours: int
    factor: float = 1.0

    @property
    def name(self) -> str:
        return f"clumps: {CLIENTS} clients an hour, {ROWS_OF_EACH} rows each, baseline of {self.hours} hours"

    def first_alarm(self, rng: np.random.Generator, live: int, threshold: float) -> float:
        amounts = rng.lognormal(3.0, 1.0, POOL)
        plans = _zipf(rng, POOL)
        before = self._rows(rng, amounts, plans, self.hours)
        after = self._rows(rng, amounts * self.factor, plans, live)
        return World.of(before, after, 3600.0).first_alarm(threshold)

    @staticmethod
    def _rows(
        rng: np.random.Generator,
        amounts: Floats,
        plans: np.ndarray,
        hours: int,
    ) -> PredictionBatch:
        client = rng.integers(0, POOL, hours * CLIENTS)
        each = np.repeat(client, ROWS_OF_EACH)
        n = len(each)
        columns = {
            "amount": amounts[each] * np.exp(rng.normal(0.0, 0.05, n)),
            "plan": plans[each],
        }
        columns |= {f"z{i}": rng.normal(size=n) for i in range(3)}
        return _hourly(columns, hours)


def _zipf(rng: np.random.Generator, n: int) -> np.ndarray:
    share = 1.0 / np.arange(1, 61)
    drawn = rng.choice(60, n, p=share / share.sum())
    return np.array([f"p{i}" for i in drawn], dtype=object)


def _hourly(columns: dict[str, np.ndarray], hours: int) -> PredictionBatch:
    """As many rows in each hour."""
    made: Columns = {name: column_of(values) for name, values in columns.items()}
    n = len(next(iter(columns.values())))
    hour = START + np.arange(n) * hours // n
    return batch_of(made, hour * HOUR_NS)


class Blocks(NamedTuple):
    """Five columns whose mean is moved for a whole block of hours at a time, each by itself."""

    name: str
    block: int
    size: float
    baseline: int
    shift: float = 0.0
    missing: float = 0.0

    def first_alarm(self, rng: np.random.Generator, live: int, threshold: float) -> float:
        before = self._rows(rng, self.baseline, Blocks("", self.block, self.size, 0))
        after = self._rows(rng, live, self)
        return World.of(before, after, 3600.0).first_alarm(threshold)

    def _rows(self, rng: np.random.Generator, hours: int, how: Blocks) -> PredictionBatch:
        n = hours * 200
        columns = {f"x{i}": rng.normal(size=n) + self._moved(rng, hours) for i in range(5)}
        columns["x0"] = columns["x0"] + how.shift
        columns["x0"][rng.random(n) < how.missing] = np.nan
        return _hourly(columns, hours)

    def _moved(self, rng: np.random.Generator, hours: int) -> Floats:
        blocks = -(-hours // self.block)
        moved = np.repeat(rng.normal(0.0, self.size, blocks), self.block)[:hours]
        return np.repeat(moved, 200)


class Levels(NamedTuple):
    """Columns of equally common values, of which the baseline's rows show each a few times."""

    levels: int
    rows: int
    columns: int
    shifted: bool = False

    @property
    def name(self) -> str:
        return f"{self.columns} columns of {self.levels} equally common levels, {self.rows} baseline rows in 60 hours"

    def first_alarm(self, rng: np.random.Generator, live: int, threshold: float) -> float:
        before = self._rows(rng, self.rows, 60)
        after = self._rows(rng, 1000 * live, live)
        if self.shifted:
            gone = rng.random(len(after)) < 0.05
            shop = after.features["c0"]
            texts = [None if out else level for out, level in zip(gone, shop.strings())]
            columns = dict(after.features) | {"c0": column_of(np.array(texts, dtype=object))}
            after = batch_of(columns, after.event_time_ns)
        return World.of(before, after, 3600.0).first_alarm(threshold)

    def _rows(self, rng: np.random.Generator, n: int, hours: int) -> PredictionBatch:
        names = np.array([f"v{i}" for i in range(self.levels)], dtype=object)
        columns = {f"c{i}": names[rng.integers(0, self.levels, n)] for i in range(self.columns)}
        return _hourly(columns, hours)


DAYS = Blocks("days: five columns, each day's mean N(0, .2²), baseline of four weeks", DAY, 0.2, 4 * WEEK)
WEEKS = Blocks("weeks: five columns, each week's mean N(0, .1²), baseline of eight weeks", WEEK, 0.1, 8 * WEEK)


def null_table(effort: Effort) -> Table:
    streams = effort.streams * 4 // 3
    short, month = Promise(100, 1000.0), Promise(4 * WEEK, YEAR)
    rows: list[tuple[Clumps | Blocks | Levels, Promise]] = [(Clumps(hours), short) for hours in (30, 60, WEEK)]
    rows += [(DAYS, month), (WEEKS, month)]
    rows += [(Levels(*shape), short) for shape in ((1000, 3000, 5), (300, 2000, 5), (100, 500, 1), (2000, 5000, 1))]
    out: list[list[str]] = []
    musts: list[Must] = []
    for seed, (kind, promise) in enumerate(rows):
        alarms = runs(lambda rng: kind.first_alarm(rng, promise.windows, promise.threshold), streams, 7000 + seed)  # noqa: B023
        cells, must = promise.row(kind.name, alarms)
        out.append(cells)
        musts.append(must)
    title = f"What depends on each other, and many levels, without change: {streams} streams, baselines built from rows"
    return Table(markdown(title, HEAD, out), tuple(musts))


def change_table(effort: Effort) -> Table:
    """Controls: a detector that never speaks must fail."""
    streams = max(effort.streams // 3, 3)
    cases = (
        ("clumps, baseline of 168 hours: amounts × 1.8", Clumps(WEEK, 1.8), 1000.0, 100.0),
        ("days: +.25 σ in one column", DAYS._replace(shift=0.25), YEAR, None),
        ("days: +1 σ in one column", DAYS._replace(shift=1.0), YEAR, 200.0),
        ("days: 5 % missing in one column", DAYS._replace(missing=0.05), YEAR, 24.0),
        # Eight weeks say little of how weeks differ: five times their spread is found now and then, ten times it surely.
        ("weeks: +.5 σ in one column", WEEKS._replace(shift=0.5), YEAR, None),
        ("weeks: +1 σ in one column", WEEKS._replace(shift=1.0), YEAR, 300.0),
        ("1000 levels: 5 % missing in one column", Levels(1000, 3000, 5, shifted=True), 1000.0, 12.0),
    )
    out: list[list[str]] = []
    musts: list[Must] = []
    for seed, (name, kind, threshold, limit) in enumerate(cases):
        delays = runs(lambda rng: kind.first_alarm(rng, 4 * WEEK, threshold), streams, 7100 + seed)  # noqa: B023
        cells, found = control(name, delays, limit)
        out.append(cells)
        musts += found
    return Table(
        markdown("Windows to the alarm in the same streams", ("change", "streams", "windows"), out), tuple(musts)
    )


def tables(effort: Effort) -> Iterator[Table]:
    yield null_table(effort)
    yield change_table(effort)
