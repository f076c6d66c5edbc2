"""Through the receiver's own engine, so that what a baseline learns of bins counts: rows and labels in, windows sealed, figures out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
from benchmarks.coverage.populations import Population, Scored, balanced, rare, trees
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris import semconv
from calidris.baseline import BaselineColumns, build
from calidris.batch import Floats, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.metrics.base import Reading
from calidris.state import Spec
from calidris.wire import Decoded

KEY = ModelKey("default", "credit", "1")
STEP_NS = 60_000_000_000
START = 1_800_000_000_000_000_000 // STEP_NS * STEP_NS
BASELINE_ROWS = 4000
LIFE = 50
"""Windows that a baseline serves: each of these has one of its own."""

P95_S = float(np.exp(-4.0 + 0.5 * 1.6448536269514722))
SERVED = (
    semconv.METRIC_ML_PERFORMANCE_SCORE,
    semconv.METRIC_ML_CALIBRATION_SCORE,
    semconv.METRIC_ML_DRIFT_SCORE,
    semconv.METRIC_ML_LATENCY_DURATION,
)
ARRIVED = (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_ARRIVED)


Kept = Callable[[Population, np.random.Generator, int], tuple[Scored, Floats]]
"""Draws n rows of those that a sender kept, each with how many it stands for."""


def any_fifth(population: Population, g: np.random.Generator, n: int) -> tuple[Scored, Floats]:
    """Half of the traffic as it came and a fifth of the other half, whatever is in the rows."""
    return population.drawn(g, n), np.where(g.random(n) < 5 / 6, 1.0, 5.0)


def low_fifth(population: Population, g: np.random.Generator, n: int) -> tuple[Scored, Floats]:
    """A fifth of the rows whose score is below the median, and all others."""
    middle = float(np.median(population.score))
    drawn = population.drawn(g, 3 * n + 100)
    low = drawn.score < middle
    here = np.flatnonzero(~low | (g.random(len(low)) < 0.2))[:n]
    return Scored(drawn.score[here], drawn.outcome[here]), np.where(low[here], 5.0, 1.0)


class Served:
    """One model in an engine, which sees a window of n rows a minute."""

    def __init__(self, population: Population, g: np.random.Generator, kept: Kept | None = None) -> None:
        self.population, self.g, self.windows, self.seq = population, g, 0, 0
        self.kept: Kept | None = None  # a baseline is of all rows
        spec = Spec(positive="1", threshold=population.spec.threshold)
        rows, labels = self._rows(BASELINE_ROWS, START - 100 * STEP_NS)
        base = build(BaselineColumns(rows, labels.label, delay_s=np.full(len(rows), 1.0)), spec, window_s=60.0)
        model = {"name": "credit", "windows": ["1m"], "threshold": population.spec.threshold}
        config = CalidrisConfig(models=(ModelConfig.model_validate(model),))
        self.engine, self.kept = Engine(config, lambda *_: (base, "")), kept

    def _rows(self, n: int, begin_ns: int) -> tuple[PredictionBatch, LabelBatch]:
        g = self.g
        drawn, weight = (self.population.drawn(g, n), None) if self.kept is None else self.kept(self.population, g, n)
        times = begin_ns + np.sort(g.integers(0, STEP_NS, n))
        ids = [f"{begin_ns}-{i}" for i in range(n)]
        rows = PredictionBatch(
            model=KEY,
            event_time_ns=times,
            features={"x": NumberColumn.of(g.normal(size=n))},
            ids=ids,
            score=NumberColumn.of(drawn.score),
            duration_s=NumberColumn.of(g.lognormal(-4.0, 0.5, n)),
            weight=None if weight is None else NumberColumn.of(weight),
        )
        return rows, LabelBatch("default", KEY.name, ids, NumberColumn.of(drawn.outcome), times + 1_000_000_000)

    def window(self, n: int) -> list[Reading]:
        """Every figure of one more window."""
        begin = START + self.windows * STEP_NS
        for item in self._rows(n, begin):
            self._apply(begin, item)
        self.windows += 1
        self._apply(begin + STEP_NS, None)
        return [r for r in snapshot(self.engine, 0).models[0].readings if r.window == "1m"]

    def _apply(self, at_ns: int, item: PredictionBatch | LabelBatch | None) -> None:
        self.seq += 1
        digest = hashlib.blake2b(self.seq.to_bytes(8, "little"), digest_size=16).digest()
        decoded = None if item is None else Decoded((item,), len(item), 0, {}, "", 0, 0)
        self.engine.apply(
            Received(self.seq, at_ns, "default", digest, 0, decoded, at_ns if item is None else None, lambda: None)
        )


def of_engine(population: Population, name: str = "", kept: Kept | None = None) -> Case:
    """Order, calibration and decisions of labelled scores, drift of the score and of a feature, a quantile of durations."""
    lives: dict[int, Served] = {}
    truths = {**population.truths, "psi_debiased": 0.0, "0.95": P95_S}

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        if n not in lives or lives[n].windows >= LIFE:
            lives[n] = Served(population, g, kept)
        for reading in lives[n].window(n):
            about = dict(reading.attributes)
            figure = figure_of(reading)
            arrived = about.get(ARRIVED[0], ARRIVED[1]) == ARRIVED[1]
            if arrived and not figure.how and figure.measure in truths and reading.metric in SERVED:
                yield Trial(figure, reading, truths[figure.measure])

    return Case(f"{name or population.name}, served", read, share=0.3)


def cases() -> Iterator[Case]:
    yield from map(of_engine, (balanced(), rare(), trees()))
    yield of_engine(balanced(), "weights of any rows", any_fifth)
    yield of_engine(balanced(), "weights of low scores", low_fifth)
