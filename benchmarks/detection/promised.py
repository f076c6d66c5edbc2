"""A baseline of rows, the receiver's own choice of bets on it, and whether the promise held: at most T/A + δ of streams alarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.table import NEVER, Must, delay

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Detector, Slot
from calidris.engine.detectors.recipes import recipe
from calidris.state import Spec

KEY = ModelKey("default", "bench", "1")
SETTINGS = {
    "delta": CONFIG["delta"],
    "tolerance": CONFIG["tolerance_sd"],
    "minimum_rows": CONFIG["minimum_rows"],
}

Columns = dict[str, Column]


def batch_of(columns: Columns, times_ns: Ints) -> PredictionBatch:
    return PredictionBatch(KEY, times_ns, columns)


def column_of(values: np.ndarray) -> Column:
    if values.dtype == object:
        return CodedColumn.of(values.tolist())
    return NumberColumn.of(values)


class World(NamedTuple):
    """A baseline and the windows after it.

    Attributes:
        baseline: built from rows, as `calidris baseline build` builds it.
        live: counts of the windows that come, int64[T, cells].
        window_s: their length.
    """

    baseline: Baseline
    live: Ints
    window_s: float

    @classmethod
    def of(
        cls,
        before: PredictionBatch,
        after: PredictionBatch,
        window_s: float,
    ) -> World:
        made = build(BaselineColumns(before), Spec(), window_s=window_s)
        return cls(made, windows_of(made.spec, after, window_s), window_s)

    def first_alarm(self, threshold: float) -> float:
        """Windows to the first alarm."""
        judge = self.detector(threshold)
        for i, window in enumerate(self.live, 1):
            if judge.score(window).fired:
                return float(i)
        return NEVER

    def detector(self, threshold: float) -> Detector:
        slot = Slot(Alert.DRIFT, self.window_s)
        hours = round(self.window_s / 3600.0)
        config = ModelConfig.model_validate({"name": "bench", "windows": [f"{hours}h"], "detect": SETTINGS})
        made = recipe(slot, config, self.baseline)
        assert made is not None, "every baseline has features"
        game = made.game(made.spread, made.days)
        return Detector(game, threshold, int(CONFIG["minimum_rows"]))


def windows_of(
    spec: Spec,
    rows: PredictionBatch,
    window_s: float,
) -> Ints:
    """Counts of each window that has rows, int64[W, cells], in order."""
    length_ns = round(window_s * 1e9)
    _, place = np.unique(rows.event_time_ns // length_ns, return_inverse=True)
    windows = int(place.max()) + 1
    counts = np.zeros(windows * spec.cells, dtype=np.int64)
    into = spec.encode(rows) + place * spec.cells
    np.add.at(counts, into.ravel(), 1)
    return counts.reshape(windows, spec.cells)


class Promise(NamedTuple):
    """So many windows at a threshold: at most T/A of streams may alarm, and the share δ whose baseline misleads."""

    windows: int
    threshold: float

    @property
    def share(self) -> float:
        return self.windows / self.threshold + CONFIG["delta"]

    def row(self, name: str, alarms: Sequence[float]) -> tuple[list[str], Must]:
        """A row of the table, and that it holds."""
        streams = len(alarms)
        fired = int(np.count_nonzero(~np.isnan(alarms)))
        cells = [name, f"{self.windows}", f"{self.threshold:g}", f"{fired} of {streams}", f"{self.share:.1%}"]
        must = Must(f"share of streams with a false alarm: {name}", round(self.share, 3), fired / streams)
        return cells, must


def runs(
    draw: Callable[[np.random.Generator], float],
    count: int,
    seed: int,
) -> list[float]:
    return [draw(np.random.default_rng([seed, i])) for i in range(count)]


def control(
    name: str,
    delays: Sequence[float],
    limit: float | None = None,
) -> tuple[list[str], list[Must]]:
    """How long a change takes; with a limit it must be found in every stream."""
    cells = [name, str(len(delays)), delay(delays)]
    if limit is None:
        return cells, []
    mean = float(np.mean(delays))
    return cells, [Must(f"delay in windows: {name}", limit, mean)]
