"""Drift: ``psi_debiased``, of unchanged columns and of changed ones. Both sides are drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris.batch import Floats, Ints
from calidris.metrics.drift import MEASURES
from calidris.metrics.drift.drift_readings import drift_readings
from calidris.state import CountsState, Field, Kind, Role, Spec

BASELINE_ROWS = 5000
BOUNDED = tuple(name for name, measure in MEASURES.items() if measure.bounds)


def spec_of(cells: int) -> Spec:
    levels = tuple(f"l{k}" for k in range(cells))
    return Spec(fields=(Field("x", Role.FEATURE, Kind.CATEGORICAL, levels=levels),))


def counts_of(spec: Spec, cells: Ints) -> CountsState:
    """As many rows without a duration or an error."""
    state, n, start = CountsState(spec), int(cells.sum()), int(spec.offsets[2])
    state.array[0] = n
    state.array[int(spec.offsets[1]) + spec.fields[1].ordered] = n
    state.array[start : start + len(cells)] = cells
    return state


def of_column(name: str, shares: Floats, tilt: float) -> Case:
    """A column of these shares in the baseline, tilted in the window."""
    p, spec = shares / shares.sum(), spec_of(len(shares))
    q = p * np.exp(tilt * np.linspace(-1.5, 1.5, len(p)))
    q = q / q.sum()
    truth = float(((q - p) * np.log(q / p)).sum())

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        baseline = counts_of(spec, g.multinomial(BASELINE_ROWS, p))
        window = counts_of(spec, g.multinomial(n, q))
        for reading in drift_readings(spec, baseline, window, window="1h", measures=BOUNDED):
            yield Trial(figure_of(reading), reading, truth)

    return Case(f"{name}, PSI {truth:.2g}" if tilt else f"{name}, unchanged", read)


def cases() -> Iterator[Case]:
    ten, zipf = np.full(10, 0.1), 1 / np.arange(1, 51)
    rare = np.array([0.5, 0.2, 0.15, 0.1, 0.04, 0.01])
    for tilt in (0.0, 0.1, 0.4):
        yield of_column("10 equal cells", ten, tilt)
        yield of_column("50 levels (Zipf)", zipf, tilt)
        yield of_column("6 levels, one of 1 %", rare, tilt)
        yield of_column("2 levels", np.array([0.7, 0.3]), tilt)
