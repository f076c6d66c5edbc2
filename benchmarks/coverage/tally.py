"""What is counted of each figure: in how many trials it was given with status "ok" and an interval, and how often that held the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr

from calidris import semconv
from calidris.metrics.base import Reading, Status

ROUNDING = 1e-9
"""Bounds that miss by less are bounds that touch: sums of the state are fixed point."""


class Figure(NamedTuple):
    """A kind of interval: one formula."""

    metric: str
    measure: str
    how: str = ""

    @property
    def name(self) -> str:
        """As the table shows it."""
        return ", ".join(part for part in (self.measure, self.how) if part) or self.metric


_MEASURES = (
    semconv.ML_DRIFT_MEASURE,
    semconv.ML_CALIBRATION_MEASURE,
    semconv.ML_PERFORMANCE_MEASURE,
    semconv.ML_FAIRNESS_MEASURE,
    semconv.ML_DATA_QUALITY_KIND,
    semconv.ML_LATENCY_QUANTILE,
)
"""The attributes that say which formula a figure of a metric has."""

_OWN_WAY = (semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED,)
"""Maturities with a formula of their own; of the others only the rows differ."""


def figure_of(reading: Reading, task: str = semconv.ML_MODEL_TASK_BINARY) -> Figure:
    """Which formula a reading comes from. Figures of a class, of a slice and of an age of labels are no others."""
    about = dict(reading.attributes)
    measure = next((about[name] for name in _MEASURES if name in about), "")
    if reading.metric is semconv.METRIC_ML_PERFORMANCE_TREND:
        measure = reading.window
    maturity, source = about.get(semconv.ML_LABEL_MATURITY, ""), about.get(semconv.ML_PERFORMANCE_SOURCE, "")
    how = "" if task == semconv.ML_MODEL_TASK_BINARY else task
    if source == semconv.ML_PERFORMANCE_SOURCE_ESTIMATE:
        how = source
    elif maturity in _OWN_WAY:
        how = maturity
    elif reading.metric.name not in (
        semconv.METRIC_ML_PERFORMANCE_SCORE.name,
        semconv.METRIC_ML_CALIBRATION_SCORE.name,
    ):
        how = ""
    return Figure(reading.metric.name, measure, how)


class Cell(NamedTuple):
    """A figure on one kind of data at one size."""

    figure: Figure
    data: str
    n: int


class Trial(NamedTuple):
    """One reading and what is true."""

    figure: Figure
    reading: Reading
    truth: float


@dataclass
class Tally:
    """Trials of a cell."""

    trials: int = 0
    held: int = 0
    below: int = 0
    approximate: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, reading: Reading, truth: float) -> None:
        """Count one trial. A figure of another status makes no claim; a bound that is not there holds."""
        self.trials += 1
        self.approximate += reading.status is Status.APPROXIMATE
        if reading.status is not Status.OK or (reading.lower is None and reading.upper is None):
            return
        lower = -math.inf if reading.lower is None else reading.lower
        upper = math.inf if reading.upper is None else reading.upper
        slack = ROUNDING * max(abs(truth), 1.0)
        self.held += lower - slack <= truth <= upper + slack
        self.below += upper + slack < truth
        self.widths.append(upper - lower)

    @property
    def ok(self) -> int:
        """Trials with status "ok" and an interval."""
        return len(self.widths)

    @property
    def coverage(self) -> float:
        """Share of those whose interval holds the truth; NaN without any."""
        return self.held / self.ok if self.ok else math.nan

    @property
    def error(self) -> float:
        """Its Monte-Carlo standard error, with half a trial added to either side so that it is none at 1."""
        share = (self.held + 0.5) / (self.ok + 1)
        return math.sqrt(share * (1 - share) / max(self.ok, 1))

    @property
    def width(self) -> float:
        """Median width; NaN without any."""
        return float(np.median(self.widths)) if self.widths else math.nan

    def below_by_chance(self, least: float) -> float:
        """Chance of so few intervals that hold the truth, or fewer, if each held it with that probability."""
        return float(bdtr(self.held, self.ok, least)) if self.ok else 1.0


Tallies = dict[Cell, Tally]


@dataclass(frozen=True)
class Case:
    """One kind of data, and how a window of n of its rows is drawn and read.

    Attributes:
        data: its name in the table.
        read: from a generator and n to the readings of one window, each with what is true.
        sizes: sizes that it is drawn at; None is all of them.
        share: share of the trials, for what is slow.
    """

    data: str
    read: Callable[[np.random.Generator, int], Iterable[Trial]]
    sizes: tuple[int, ...] | None = None
    share: float = 1.0


def run(
    cases: Iterable[tuple[int, Case]], sizes: Iterable[int], trials: int, seed: int
) -> Iterator[tuple[Cell, Tally]]:
    """Simulate cases, each with a number of its own that its generator begins from: adding a case changes no other."""
    for number, case in cases:
        for n in sizes:
            if case.sizes is not None and n not in case.sizes:
                continue
            found: Tallies = {}
            g = np.random.default_rng([seed, number, n])
            rounds = max(round(trials * case.share), 1)
            for _ in range(rounds):
                for figure, reading, truth in case.read(g, n):
                    if not math.isnan(truth):
                        found.setdefault(Cell(figure, case.data, n), Tally()).add(reading, truth)
            for tally in found.values():
                tally.trials = max(tally.trials, rounds)  # what is shown now and then only says nothing in the others
            yield from found.items()
