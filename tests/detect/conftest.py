from collections.abc import Sequence

import numpy as np
import pytest

from calidris.batch import Floats, Ints
from calidris.state import CountsState, Field, Kind, Role, Spec

EDGES = tuple(float(e) for e in range(11))
LEVELS = ("red", "green", "blue", "rare")
NUMERIC_P = (*([0.099] * 10), 0.01, 0.0, 0.0, 0.0)
CATEGORICAL_P = (0.5, 0.3, 0.18, 0.01, 0.01, 0.0, 0.0, 0.0)


class World:
    """Models of made-up fields, and windows of independent rows drawn for them."""

    def __init__(self, seed: int = 20240607) -> None:
        self.rng = np.random.default_rng(seed)

    @staticmethod
    def spec(numeric: int = 2, categorical: int = 1) -> Spec:
        numbers = (Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=EDGES) for i in range(numeric))
        colours = (Field(f"c{i}", Role.FEATURE, Kind.CATEGORICAL, levels=LEVELS) for i in range(categorical))
        return Spec(fields=(*numbers, *colours))

    @staticmethod
    def counts(spec: Spec, histograms: dict[str, Sequence[int] | Ints]) -> Ints:
        """Counts of a model whose fields hold these histograms; there are no errors and no durations."""
        state = CountsState(spec)
        rows = int(np.sum(next(iter(histograms.values()))))
        state.field(0)[0] = rows
        state.field(1)[spec.fields[1].ordered] = rows
        for i, f in enumerate(spec.fields):
            if f.name in histograms:
                state.field(i)[:] = histograms[f.name]
        return state.array

    @staticmethod
    def usual(f: Field) -> tuple[float, ...]:
        return NUMERIC_P if f.kind is Kind.NUMERIC else CATEGORICAL_P

    @staticmethod
    def numeric(bins: Sequence[float] | Floats, missing: float = 0.01, low: float = 0.0, high: float = 0.0) -> Floats:
        """Probabilities of a numeric field whose bins share what the special cells leave."""
        inside = np.asarray(bins, dtype=np.float64)
        return np.r_[inside / inside.sum() * (1.0 - missing - low - high), missing, 0.0, low, high]

    def window(self, spec: Spec, rows: int, **changed: Sequence[float] | Floats) -> Ints:
        """A window of independent rows; ``changed`` gives other probabilities to some fields."""
        histograms = {
            f.name: self.rng.multinomial(rows, changed.get(f.name, self.usual(f))).astype(np.int64)
            for f in spec.fields[2:]
        }
        return self.counts(spec, histograms)

    def windows(self, spec: Spec, count: int, rows: int) -> Ints:
        return np.array([self.window(spec, rows) for _ in range(count)])

    def huge(self, spec: Spec, rows: int = 10**13) -> CountsState:
        """A baseline so large that its sampling error is nothing: p is known."""
        exact = {f.name: [round(p * rows) for p in self.usual(f)] for f in spec.fields[2:]}
        return CountsState(spec, self.counts(spec, exact))


@pytest.fixture
def world() -> World:
    return World()
