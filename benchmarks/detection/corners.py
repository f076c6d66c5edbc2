"""A model that gets worse in one corner of its space: Friedman's function and its drifts, with and without corners.

The function is of J. H. Friedman, "Multivariate adaptive regression splines", Annals of Statistics 1991; the drifts are those of E. Ikonomovska,
J. Gama and S. Dzeroski, "Learning model trees from evolving data streams", 2011, as PITMonitor's protocol has them: windows of 50 rows, the
change after 50 windows, and 50 windows to find it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.table import NEVER, Effort, Must, Table, markdown, mean_se, rate, streams
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Floats, Ints, Mask, ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Detector, Slot
from calidris.detect.watched_cells import cell_counts, watched_cells
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.state import LossesState, Spec
from calidris.state.blocks.labelled import NumberRows

KEY = ModelKey("default", "friedman", "1")
ROWS, BEFORE, AFTER, STEP_NS = 50, 50, 50, 60_000_000_000
TRAINED = 10_000
SLOT = Slot(Alert.PERFORMANCE, 60.0)

Truth = Callable[[Floats, Floats], Floats]
"""What is true of rows x, float64[n, 10], at the given parts of the way from the change to the end, float64[n]."""


def before(x: Floats, _part: Floats | None = None) -> Floats:
    return 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def abrupt(x: Floats, _part: Floats) -> Floats:
    """gra: the columns change places."""
    return 10 * np.sin(np.pi * x[:, 3] * x[:, 5]) + 20 * (x[:, 1] - 0.5) ** 2 + 10 * x[:, 0] + 5 * x[:, 2]


def gradual(x: Floats, part: Floats) -> Floats:
    """gsg: other places, and every second row is as before for a fifth of the way."""
    new = 10 * np.sin(np.pi * x[:, 3] * x[:, 4]) + 20 * (x[:, 1] - 0.5) ** 2 + 10 * x[:, 0] + 5 * x[:, 2]
    # A digit that nothing depends on serves as the coin.
    as_before = (part < 0.2) & (np.floor(x[:, 9] * 1e6) % 2 == 0)
    return np.where(as_before, before(x), new)


def local(x: Floats, part: Floats) -> Floats:
    """lea: two corners, of a hundredth of the rows each at first, which grow twice."""
    one = (
        (x[:, 1] < 0.3)
        & (x[:, 2] < 0.3)
        & _unless(x[:, 3] > 0.7, part >= 2 / 3)
        & _unless(x[:, 4] < 0.3, part >= 1 / 3)
    )
    two = (
        (x[:, 1] > 0.7)
        & (x[:, 2] > 0.7)
        & _unless(x[:, 3] < 0.3, part >= 2 / 3)
        & _unless(x[:, 4] > 0.7, part >= 1 / 3)
    )
    in_one = 10 * x[:, 0] * x[:, 1] + 20 * (x[:, 2] - 0.5) + 10 * x[:, 3] + 5 * x[:, 4]
    in_two = 10 * np.cos(x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) + np.exp(x[:, 3]) + 5 * x[:, 4] ** 2
    return np.where(one, in_one, np.where(two, in_two, before(x)))


def _unless(condition: Mask, lifted: Mask) -> Mask:
    return condition | lifted


@dataclass(frozen=True)
class Case:
    """A change: of what is true, or of how much the noise is, everywhere or where x3 is above ``above``."""

    name: str
    truth: Truth = before
    noise: float = 1.0
    above: float = 0.0
    limit: float | None = None
    windows: int = AFTER


CASES = (
    Case("local, expanding (lea)", local, limit=500.0),
    Case("slow, global (gsg)", gradual),
    Case("abrupt, global (gra)", abrupt, limit=100.0),
    Case("noise × 1.6 where x3 > .75", noise=1.6, above=0.75),
    Case("noise × 1.12 everywhere", noise=1.12),
)


@lru_cache(maxsize=1)
def model() -> Pipeline:
    """The protocol's: a net of two layers of 64, trained once, on rows of its own."""
    rng = np.random.default_rng(42)
    x = rng.random((TRAINED, 10))
    y = before(x) + rng.normal(size=TRAINED)
    net = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=300, random_state=0, early_stopping=True)
    return make_pipeline(StandardScaler(), net).fit(x, y)


def drawn(rng: np.random.Generator, n: int, case: Case | None = None) -> tuple[Floats, Floats, Floats]:
    """Rows, what is said and what is true of them; all after the change where there is one."""
    x = rng.random((n, 10))
    noise = rng.normal(size=n)
    if case is None:
        return x, model().predict(x), before(x) + noise
    part = np.arange(n) / n
    scale = np.where(x[:, 3] > case.above, case.noise, 1.0)
    return x, model().predict(x), case.truth(x, part) + noise * scale


def batch_of(x: Floats, said: Floats, start_ns: int) -> PredictionBatch:
    times = start_ns + np.arange(len(x)) * (STEP_NS // ROWS)
    features = {f"x{i}": NumberColumn.of(column) for i, column in enumerate(x.T)}
    return PredictionBatch(KEY, times, features, value=NumberColumn.of(said))


def baseline(rng: np.random.Generator) -> Baseline:
    windows = int(CONFIG["baseline_windows"])
    x, said, truth = drawn(rng, windows * ROWS)
    rows = BaselineColumns(batch_of(x, said, 0), NumberColumn.of(truth), delay_s=np.ones(len(x)))
    return build(rows, Spec(task="regression"), window_s=60.0, corners=True)


def detector(base: Baseline, *, corners: bool) -> Detector:
    """The performance detector of the receiver, with its settings."""
    detect = {"label_age": "1h", "corners": corners, "delta": CONFIG["delta"], "minimum_rows": CONFIG["minimum_rows"]}
    recipe = label_recipe(
        SLOT, ModelConfig.model_validate({"name": "friedman", "task": "regression", "detect": detect}), base
    )
    assert recipe is not None
    return Detector(recipe.game(recipe.spread, recipe.days), CONFIG["threshold"], int(CONFIG["minimum_rows"]))


def fed(base: Baseline, drawn_rows: tuple[Floats, Floats, Floats], *, corners: bool) -> Iterator[Ints]:
    """What a detector is fed with of each window of rows."""
    spec = base.spec
    cells = watched_cells(spec, corners)
    x, said, truth = drawn_rows
    placed = spec.corner_rows(spec.corner_of(spec.encode(batch_of(x, said, 0))))
    for first in range(0, len(x), ROWS):
        here = slice(first, first + ROWS)
        rows = NumberRows(truth[here], said[here], np.ones(ROWS), corner_rows=placed[:, here])
        losses = LossesState(spec)
        losses.add(rows.entries(spec)[LossesState])
        yield cell_counts(cells, losses, 0)


@dataclass(frozen=True)
class Found:
    """Rows from the change to the alarm, and whether one came before it."""

    rows: float
    early: bool


def find(seed: list[int], case: Case, *, corners: bool) -> Found:
    rng = np.random.default_rng(seed)
    base = baseline(rng)
    watching = detector(base, corners=corners)
    quiet_rows = drawn(rng, BEFORE * ROWS)
    early = any([watching.score(counts).fired for counts in fed(base, quiet_rows, corners=corners)])
    changed = drawn(rng, case.windows * ROWS, case)
    for window, counts in enumerate(fed(base, changed, corners=corners), 1):
        if watching.score(counts).fired:
            return Found(float(window * ROWS), early)
    return Found(NEVER, early)


def _alarms(length: int, rng: np.random.Generator) -> float:
    base = baseline(rng)
    watching = detector(base, corners=True)
    return float(sum(watching.score(counts).fired for counts in fed(base, drawn(rng, length * ROWS), corners=True)))


def tables(effort: Effort) -> Iterator[Table]:
    less = effort.part(0.5, 0.4)
    alarms = streams(lambda rng: _alarms(less.windows, rng), less.streams, 9700)
    out = [["nothing", *rate(alarms, less.windows), "", ""]]
    # Its own row among what must hold: the others are of other figures.
    measured = float(np.mean(alarms)) * 1000.0 / less.windows
    musts = [Must("corners, false alarms per 1000 windows", 1.0, measured)]
    few = max(effort.delay_streams * 2 // 5, 3)
    for i, case in enumerate(CASES):
        both = [[find([9710 + i, s], case, corners=corners) for s in range(few)] for corners in (True, False)]
        early = sum(found.early for found in both[0])
        out.append([case.name, "", f"{early} of {few} before the change", *map(_told, both)])
        rows = [found.rows for found in both[0]]
        if case.limit is not None:
            musts.append(Must(f"delay in rows: {case.name}", case.limit, float(np.mean(rows))))
    title = (
        f"Corners of the space: Friedman's function, windows of {ROWS} rows, A = {CONFIG['threshold']}, rows from the change to the alarm "
        f"within {AFTER * ROWS} rows, {few} streams with a baseline each"
    )
    head = (
        "change",
        "false alarms per 1000 windows",
        f"of {less.streams} streams of {less.windows} windows, or of the change's own",
        "with corners and large errors",
        "all rows alone",
    )
    yield Table(markdown(title, head, out), tuple(musts))


def _told(found: list[Found]) -> str:
    rows = [one.rows for one in found if one.rows == one.rows]
    share = "" if len(rows) == len(found) else f" ({100.0 * len(rows) / len(found):.0f} %)"
    return (mean_se(rows, 0) if rows else "never") + share
