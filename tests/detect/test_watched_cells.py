"""Losses in corners of the space, and errors larger than nearly all: fed right, silent while nothing changes, and fast where one corner does."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Detector, Slot
from calidris.detect.evidence.verdict import Verdict
from calidris.detect.game import Game
from calidris.detect.watched_cells import PART, PART_OF_DELTA, cell_counts, watched_cells
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.state import LossesState, Spec
from calidris.state.blocks.labelled import LabelStates, NumberRows

ROWS, WINDOWS, STEP_NS = 100, 120, 60_000_000_000
A = 3000.0
SLOT = Slot(Alert.PERFORMANCE, 60.0)


def drawn(rng: np.random.Generator, n: int, worse: float = 1.0, far: float = 0.0) -> tuple[PredictionBatch, np.ndarray]:
    """Rows of a regression, whose errors are ``worse`` times as large where x > .5 and y <= .5, and of which a share is far off there."""
    x, y = rng.random((2, n))
    value = 10.0 * (x > 0.5) + 5.0 * (y > 0.5)
    corner = (x > 0.5) & (y <= 0.5)
    error = rng.normal(size=n) * np.where(corner, worse, 1.0)
    error += np.where(corner & (rng.random(n) < far), 8.0, 0.0)
    features = {"x": NumberColumn.of(x), "y": NumberColumn.of(y)}
    times = np.sort(rng.integers(0, WINDOWS * STEP_NS, n))
    return PredictionBatch(ModelKey("default", "m", "1"), times, features, value=NumberColumn.of(value)), value + error


def baseline(rng: np.random.Generator, corners: bool = True) -> Baseline:
    batch, truth = drawn(rng, WINDOWS * ROWS)
    rows = BaselineColumns(batch, NumberColumn.of(truth), delay_s=np.ones(len(batch)))
    return build(rows, Spec(task="regression"), window_s=60.0, corners=corners)


def game_of(base: Baseline, corners: bool = True) -> Game:
    config = ModelConfig(name="m", task="regression", detect={"corners": corners, "label_age": "1h"})
    recipe = label_recipe(SLOT, config, base)
    assert recipe is not None
    return recipe.game(recipe.spread, recipe.days)


def windows(base: Baseline, rng: np.random.Generator, count: int, **how: float) -> np.ndarray:
    """Counts of live windows, int64[W, cells]."""
    spec, cells, out = base.spec, watched_cells(base.spec), []
    for _ in range(count):
        batch, truth = drawn(rng, ROWS, **how)
        corner = spec.corner_rows(spec.corner_of(spec.encode(batch)))
        rows = NumberRows(truth, batch.value.values, np.ones(ROWS), corner_rows=corner)
        states = LabelStates.empty(spec)
        states.losses.add(rows.entries(spec)[LossesState])
        out.append(cell_counts(cells, states.losses, 0))
    return np.array(out)


def first_alarm(game: Game, counts: np.ndarray) -> tuple[int, Verdict] | None:
    detector = Detector(game, A)
    for i, window in enumerate(counts):
        verdict = detector.score(window, start_ns=i * STEP_NS)
        if verdict.opened:
            return i, verdict
    return None


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline(np.random.default_rng(1))


def test_weights_and_doubts_add_up_to_one_and_all_rows_keep_theirs(base: Baseline) -> None:
    cells = watched_cells(base.spec)
    assert sum(c.weight for c in cells) == pytest.approx(1.0)
    assert sum(c.doubt for c in cells) == pytest.approx(1.0)
    assert (cells[0].loss.name, cells[0].weight, cells[0].doubt) == ("absolute error", 1 - PART, 1 - PART_OF_DELTA)
    game = game_of(base)
    assert game.field_weight.sum() <= 1.0 + 1e-9
    shares = np.exp(game.log_weight) * game.field_weight[game.owner]
    assert shares.sum() <= 1.0 + 1e-9
    assert game.field_weight[0] == pytest.approx(1 - PART)


def test_without_corners_the_bets_are_those_of_earlier_versions(base: Baseline) -> None:
    old = baseline(np.random.default_rng(1), corners=False)
    assert old.spec.corners is None and "corners" not in old.spec.to_json()
    assert game_of(old).identity == game_of(old, corners=False).identity
    assert game_of(base, corners=False).names == game_of(old).names == ("absolute error",)


def test_what_is_fed_are_the_raw_rows_of_each_corner(base: Baseline) -> None:
    batch, truth = drawn(np.random.default_rng(2), 5000)
    spec = base.spec
    error = np.abs(truth - batch.value.values)
    corner = spec.corner_of(spec.encode(batch))
    states = LossesState(spec)
    rows = NumberRows(truth, batch.value.values, np.ones(5000), corner_rows=spec.corner_rows(corner))
    states.add(rows.entries(spec)[LossesState])
    caps = {loss.name: loss.cap for loss in spec.losses}
    for cell in watched_cells(spec):
        k = cell.loss.bins
        found = cell.counts(states, 0)
        here = np.ones(5000, bool) if " where " not in cell.loss.name else corner[0] == cell.row - spec.slice_count - 1
        assert found[:k].sum() == here.sum()
        if cell.loss.binary:
            assert found[1] == np.count_nonzero(error[here] > caps["large_error"]) << 30
        else:
            losses = np.minimum(error[here] / caps["absolute_error"], 1.0)
            assert found[k:].sum() / 2**30 == pytest.approx(losses.sum(), abs=1e-4)


def test_rows_that_drew_corners_are_counted_in_none(base: Baseline) -> None:
    losses, here = base.labels.losses, base.spec.slice_count
    all_rows, whole = losses.bins(0).n[0].sum(), losses.bins(here).n[0].sum()
    assert all_rows == WINDOWS * ROWS and abs(whole - 0.75 * all_rows) <= 2
    assert sum(losses.bins(here + 1 + c).n[0].sum() for c in range(base.spec.corners.count)) == whole


def test_nothing_is_said_while_nothing_changes() -> None:
    """100 streams of 60 windows against ten baselines: at A = 3000 two would be in the mean."""
    alarms = 0
    for seed in range(10):
        rng = np.random.default_rng([10, seed])
        base = baseline(rng)
        game = game_of(base)
        for _ in range(4):
            alarms += first_alarm(game, windows(base, rng, 60)) is not None
    assert alarms <= 2


def test_a_corner_that_gets_worse_is_found_and_named_sooner_than_by_all_rows(base: Baseline) -> None:
    rng = np.random.default_rng(3)
    with_corners, without = game_of(base), game_of(base, corners=False)
    found, plain, names = [], [], []
    head = without.layout.cells
    for _ in range(6):
        counts = windows(base, rng, 80, worse=1.45)
        mine, theirs = first_alarm(with_corners, counts), first_alarm(without, counts[:, :head])
        assert mine is not None
        found.append(mine[0])
        plain.append(80 if theirs is None else theirs[0])
        names.append(mine[1].changes[0].field)
    assert np.mean(found) < np.mean(plain)
    assert sum("x > 0." in name and "y <= 0." in name for name in names) >= 4, names


def test_a_few_errors_larger_than_nearly_all_are_found_long_before_the_mean(base: Baseline) -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        counts = windows(base, rng, 40, far=0.06)  # one row in seventy
        mine = first_alarm(game_of(base), counts)
        theirs = first_alarm(game_of(base, corners=False), counts[:, : game_of(base, corners=False).layout.cells])
        assert mine is not None and mine[0] <= 12 and mine[1].changes[0].field.startswith("errors above")
        assert theirs is None or theirs[0] > mine[0]


def test_corners_do_not_renew_an_alarm_of_all_rows(base: Baseline) -> None:
    rng = np.random.default_rng(5)
    detector, renewed = Detector(game_of(base), A), []
    detector.stand(("absolute error", next(n for n in game_of(base).names if n.startswith("errors above"))))
    for i, window in enumerate(windows(base, rng, 40, worse=2.0)):
        verdict = detector.score(window, start_ns=i * STEP_NS)
        renewed += [] if verdict.renewed is None else [verdict.renewed]
    assert not renewed
