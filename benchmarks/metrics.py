"""Rows into state, and state into figures: CPU time of one core, each beside a floor of the same run.

    python benchmarks/metrics.py

The standard row has 20 numeric and 5 categorical features. The floor of the update is a numpy binary search and ``bincount``
a column; the floor of the drift measures is normalising both histograms. Figures are medians over repeats.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics import drift_table
from calidris.metrics.calibration.calibration_measures import MEASURES as CALIBRATION
from calidris.metrics.drift.drift_measures import MEASURES
from calidris.state import CountsState, Field, Kind, Role, ScoresState, Spec

EDGES: dict[str, np.ndarray] = {}
NUMERIC, CATEGORICAL, LEVELS = 20, 5, tuple(f"level{i}" for i in range(10))
FEATURES, BINS = 1000, 30


def cpu_s(work: Callable[[], object], repeats: int = 40, calls: int = 3) -> float:
    """CPU seconds of one call: median over repeats, after a warm-up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(calls):
            work()
        taken.append((time.process_time() - start) / calls)
    return statistics.median(taken)


def standard_spec(rng: np.random.Generator, bins: int) -> Spec:
    """The standard row with edges of equal mass."""
    edges = [np.quantile(rng.normal(size=50_000), np.linspace(0, 1, bins + 1)) for _ in range(NUMERIC)]
    numeric = (Field(f"n{i}", Role.FEATURE, Kind.NUMERIC, edges=tuple(e.tolist())) for i, e in enumerate(edges))
    levels = (Field(f"c{i}", Role.FEATURE, Kind.CATEGORICAL, levels=LEVELS) for i in range(CATEGORICAL))
    return Spec(fields=(*numeric, *levels))


def standard_batch(rng: np.random.Generator, rows: int) -> PredictionBatch:
    features: dict[str, Column] = {f"n{i}": NumberColumn.of(rng.normal(size=rows)) for i in range(NUMERIC)}
    codes = rng.integers(0, len(LEVELS), (CATEGORICAL, rows), dtype=np.int32)
    features |= {f"c{i}": CodedColumn(LEVELS, codes[i]) for i in range(CATEGORICAL)}
    return PredictionBatch(ModelKey("default", "bench", "1"), np.zeros(rows, np.int64), features)


def search_and_count(spec: Spec, batch: PredictionBatch) -> None:
    """What numpy alone would do a column: the floor."""
    for f in spec.fields[2:]:
        column = batch.features[f.name]
        if isinstance(column, NumberColumn):
            np.bincount(np.searchsorted(EDGES[f.name], column.values), minlength=f.width)
        else:
            np.bincount(column.codes, minlength=f.width)


def update(rng: np.random.Generator, rows: int, bins: int) -> dict[str, Any]:
    spec = standard_spec(rng, bins)
    EDGES.update({f.name: np.array(f.edges) for f in spec.fields})
    # Different rows each time: a search of the same few hundred values would be learnt by the branch predictor.
    batches = [standard_batch(rng, rows) for _ in range(max(2, 32_768 // rows))]
    state = CountsState(spec)
    taken = cpu_s(lambda: [state.update(spec.encode(batch)) for batch in batches], calls=1)
    floor = cpu_s(lambda: [search_and_count(spec, batch) for batch in batches], calls=1)
    return rate(f"encode and count, {rows} rows a batch, {bins} bins", rows * len(batches), taken, floor)


def rate(what: str, rows: int, taken: float, floor: float) -> dict[str, Any]:
    return {"what": what, "value": rows / taken, "unit": "rows/s", "floor": rows / floor, "ratio": taken / floor}


def labelled(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    state, score = ScoresState(Spec()), rng.random(rows)
    outcome, delay = rng.integers(0, 2, rows), rng.exponential(1e5, rows)
    taken = cpu_s(lambda: state.update(score, outcome, delay))
    floor = cpu_s(lambda: np.bincount(np.searchsorted(state.spec.score_edges, score), weights=score))
    return rate(f"labelled scores, {rows} rows a batch", rows, taken, floor)


def drift_counts(rng: np.random.Generator, spec: Spec, rows: int) -> CountsState:
    state = CountsState(spec)
    for i, f in enumerate(spec.fields):
        if f.role is Role.FEATURE:
            state.field(i)[: f.ordered] = rng.multinomial(rows, np.full(f.ordered, 1 / f.ordered))
    return state


def drift(rng: np.random.Generator) -> dict[str, Any]:
    edges = np.sort(rng.normal(size=(FEATURES, BINS + 1)), axis=1).tolist()
    spec = Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=tuple(e)) for i, e in enumerate(edges)))
    baseline, window = drift_counts(rng, spec, 50_000), drift_counts(rng, spec, 5000)
    plain = [rng.integers(1, 500, (FEATURES, BINS)) for _ in range(2)]
    # The target is stated for nine of them; the two newer ones come on top.
    nine = [name for name in MEASURES if name not in ("g", "energy")]
    taken = cpu_s(lambda: drift_table(spec, baseline, window, nine))
    floor = cpu_s(lambda: [c / c.sum(axis=1, keepdims=True) for c in plain])
    return {
        "what": f"{len(nine)} drift measures with means and intervals, {FEATURES} features x {BINS} bins",
        "value": taken * 1e3,
        "unit": "ms",
        "floor": floor * 1e3,
        "ratio": taken / floor,
    }


def calibration(rng: np.random.Generator) -> dict[str, Any]:
    spec, score = Spec(), rng.beta(2, 3, 20_000)
    state = ScoresState(spec)
    state.update(score, (rng.random(20_000) < score).astype(np.int64), np.zeros(20_000))
    bins = state.bins()
    taken = cpu_s(lambda: [figure(bins, spec) for figure in CALIBRATION.values()])
    floor = cpu_s(lambda: [bins.sum(axis=(0, 1)) for _ in CALIBRATION])
    return {
        "what": f"all {len(CALIBRATION)} calibration measures of one window",
        "value": taken * 1e3,
        "unit": "ms",
        "floor": floor * 1e3,
        "ratio": taken / floor,
    }


def run() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    return [
        *(update(rng, rows, bins) for bins in (10, 30) for rows in (512, 4096)),
        labelled(rng, 4096),
        drift(rng),
        calibration(rng),
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['what']:74} {row['value']:12,.4g} {row['unit']:7}"
            f" floor {row['floor']:12,.4g}, {row['ratio']:.2f} times the floor's time"
        )
