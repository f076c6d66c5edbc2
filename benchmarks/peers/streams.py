"""Runs of one column: a baseline of windows as they are drawn in quiet times, and the windows that are judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calidris.batch import CodedColumn, Column, NumberColumn

WINDOWS = 168
"""Windows of the baseline: a week of hours."""
LEVELS = 20
NEW = LEVELS  # the code of the level that the baseline never saw
_NAMES = tuple(f"level {i}" for i in range(LEVELS + 1))
_SHARE = 1.0 / np.arange(1, LEVELS + 1)
_SHARE /= _SHARE.sum()


@dataclass(frozen=True)
class Scene:
    """What happens to a column.

    Attributes:
        name: of the row of the table.
        rows: of a window that is judged.
        numeric: N(0, 1), or 20 levels by Zipf's law.
        shift: of the mean, σ.
        missing: share of missing rows, 1 % in the baseline; only of a numeric column.
        new: share of rows with a level that the baseline never saw.
        baseline_window: rows of a baseline window; as many as in a judged one unless said.
    """

    name: str
    rows: int
    numeric: bool = True
    shift: float = 0.0
    missing: float = 0.01
    new: float = 0.0
    baseline_window: int | None = None

    @property
    def changed(self) -> bool:
        return (self.shift, self.missing, self.new) != (0.0, 0.01, 0.0)

    def baseline(self, rng: np.random.Generator) -> Column:
        """Rows of the baseline, window after window."""
        quiet = Scene("", self.rows, self.numeric)
        return quiet.draw(rng, WINDOWS * (self.baseline_window or self.rows))

    def windows(self, rng: np.random.Generator, count: int) -> Iterator[Column]:
        return (self.draw(rng, self.rows) for _ in range(count))

    def draw(self, rng: np.random.Generator, n: int) -> Column:
        if not self.numeric:
            codes = rng.choice(LEVELS, n, p=_SHARE)
            codes[rng.random(n) < self.new] = NEW
            return CodedColumn(_NAMES, codes.astype(np.int32))
        x = rng.normal(self.shift, 1.0, n)
        x[rng.random(n) < self.missing] = np.nan
        return NumberColumn.of(x)


SCENES = (
    Scene("number: no change, n = 100", 100),
    Scene("number: no change, n = 1000", 1000),
    Scene("number: no change, n = 5000", 5000),
    Scene("number: no change, n = 1000, baseline 840 rows", 1000, baseline_window=5),
    Scene("number: +.1 σ, n = 1000", 1000, shift=0.1),
    Scene("number: +.25 σ, n = 1000", 1000, shift=0.25),
    Scene("number: missing 1 → 3 %, n = 1000", 1000, missing=0.03),
    Scene("20 levels: no change, n = 100", 100, numeric=False),
    Scene("20 levels: no change, n = 1000", 1000, numeric=False),
    Scene("20 levels: no change, n = 5000", 5000, numeric=False),
    Scene("20 levels: no change, n = 1000, baseline 840 rows", 1000, numeric=False, baseline_window=5),
    Scene("20 levels: a new one in 1 % of rows, n = 1000", 1000, numeric=False, new=0.01),
)
