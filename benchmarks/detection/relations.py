"""The relation of two columns changes and neither of them does; and what watching relations costs the columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.detection.common import BEFORE, EARLY
from benchmarks.detection.config import CONFIG
from benchmarks.detection.streams import HOUR_NS
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown, rate, streams

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.detect import Bets, Detector, freeze
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.levels import TwoLevels
from calidris.state import Spec

COLUMNS, ROWS, RELATION = 12, 500, 0.7
PAIR = "x00 × x01"
KEY = ModelKey("default", "m", "1")


@dataclass(frozen=True)
class Case:
    """A change, what names it, and how many pairs are watched; ``limit`` windows are the most that it may take."""

    name: str
    relation: float = RELATION
    shift: float = 0.0
    pairs: int = 10
    limit: float | None = None

    @property
    def named(self) -> str:
        return PAIR if self.relation != RELATION else "x00"

    def delay(self, horizon: int, rng: np.random.Generator) -> float:
        """Windows from the change to the alarm that names it, and it alone."""
        made = baseline(rng, self.pairs)
        detector = frozen(made)
        for _ in range(BEFORE):
            detector.score(window(made, rng))
        for i in range(1, horizon + 1):
            verdict = detector.score(window(made, rng, self.relation, self.shift))
            if verdict.fired and [change.field for change in verdict.changes] == [self.named]:
                return float(i)
        return NEVER


CASES = (
    Case("correlation .7 → 0", 0.0, limit=2.0),
    Case("correlation .7 → .5", 0.5, limit=7.0),
    Case("correlation .7 → -.7", -0.7, limit=2.0),
    Case("correlation .7 → .8", 0.8),
    Case("correlation .7 → 0, no pairs", 0.0, pairs=0),
    Case("+.25 σ of a column of a pair", shift=0.25, limit=4.0),
    Case("+.25 σ of a column, no pairs", shift=0.25, pairs=0),
    Case("+.1 σ of a column of a pair", shift=0.1),
    Case("+.1 σ of a column, no pairs", shift=0.1, pairs=0),
)


def drawn(rng: np.random.Generator, n: int, relation: float = RELATION, shift: float = 0.0) -> PredictionBatch:
    """Normal columns; the first two belong together by ``relation``, and eight others in chains by .5."""
    x = rng.normal(size=(n, COLUMNS))
    x[:, 1] = relation * x[:, 0] + np.sqrt(1.0 - relation**2) * x[:, 1]
    for one in (2, 3, 4, 6, 7, 8):
        x[:, one + 1] = 0.5 * x[:, one] + np.sqrt(0.75) * x[:, one + 1]
    x[:, 0] += shift
    return PredictionBatch(KEY, np.zeros(n, np.int64), {f"x{i:02}": NumberColumn.of(c) for i, c in enumerate(x.T)})


def baseline(rng: np.random.Generator, pairs: int) -> Baseline:
    hours = int(CONFIG["baseline_windows"])
    rows = drawn(rng, hours * ROWS)
    times = np.repeat(np.arange(hours), ROWS) * HOUR_NS
    return build(BaselineColumns(PredictionBatch(KEY, times, rows.features)), Spec(), window_s=3600.0, pairs=pairs)


def frozen(made: Baseline) -> Detector:
    """A detector of both levels."""
    windows, days = made.windows_of(3600.0), Days.of(made.starts_of(3600.0))

    def at(tolerance: float, *, small: bool) -> Bets:
        delta = CONFIG["delta"]
        return freeze(made.spec, made.counts, windows, delta=delta, tolerance=tolerance, days=days, small=small)

    levels = TwoLevels(at(CONFIG["tolerance_sd"], small=False), at(EARLY.early_tolerance, small=True))
    return Detector(levels, CONFIG["threshold"], int(CONFIG["minimum_rows"]))


def window(made: Baseline, rng: np.random.Generator, relation: float = RELATION, shift: float = 0.0) -> Ints:
    cells = made.spec.encode(drawn(rng, ROWS, relation, shift))
    return np.bincount(cells.ravel(), minlength=made.spec.cells)


def _alarms(length: int, rng: np.random.Generator) -> float:
    made = baseline(rng, 10)
    detector = frozen(made)
    return sum(detector.score(window(made, rng)).fired for _ in range(length))


def tables(effort: Effort) -> Iterator[Table]:
    few, less = max(effort.delay_streams // 4, 3), effort.part(0.5, 0.4)
    alarms = streams(lambda rng: _alarms(less.windows, rng), less.streams, 9000)
    out = [["nothing", *rate(alarms, less.windows), ""]]
    # Its own row among what must hold: the others are of columns.
    musts = [Must("relations, false alarms per 1000 windows", 1.0, float(np.mean(alarms)) * 1000.0 / less.windows)]
    for i, case in enumerate(CASES):
        # The same rows with and without pairs.
        seed = 9100 + (i if case.pairs else i - 1)
        horizon = effort.horizon if case.pairs or case.shift else 50
        delays = streams(lambda rng: case.delay(horizon, rng), few, seed)  # noqa: B023
        found = [d for d in delays if d == d]
        out.append([case.name, "", "", delay(delays)])
        if case.limit is not None:
            mean = float(np.mean(found)) if len(found) == few else float("nan")
            musts.append(Must(f"delay in windows: {case.name}", case.limit, mean))
    title = (
        f"Relations of {COLUMNS} columns, n = {ROWS}, A = 1000: windows to the alarm that names the change alone, {few} streams "
        f"after {BEFORE} quiet windows"
    )
    head = (
        "change",
        "false alarms per 1000 windows",
        f"of {less.streams} streams of {less.windows} windows",
        "windows",
    )
    yield Table(markdown(title, head, out), tuple(musts))
