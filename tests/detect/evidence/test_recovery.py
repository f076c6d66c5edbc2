"""Is it over: silent while the change stays, true once it has gone, and exact about what it promises."""

import numpy as np
import pytest

from calidris.detect import (
    Change,
    Detector,
    Loss,
    Recovery,
    drift_recovery,
    freeze,
    group_bets,
    loss_bets,
)
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState

UNIT = 2**30
WRONG = Loss.zero_one("accuracy")


def zero_one(n, wrong):
    return np.array([n, wrong * UNIT], dtype=np.int64)


def losses():
    return loss_bets([WRONG], zero_one(5000, 500), side="recovered")


def test_it_is_called_over_too_early_less_often_than_alpha():
    """The mean lies exactly on the limit, where the bets win nothing and lose nothing, for 200 windows."""
    game, early = losses(), 0
    win, lose = np.exp(game.coefficient[0] @ [1, UNIT]), np.exp(game.coefficient[0, 0])
    theta = (1.0 - lose) / (win - lose)
    for seed in range(150):
        rng, recovery = np.random.default_rng([seed, 1]), Recovery(game, alpha=0.2)
        early += any(recovery.score(zero_one(100, k)) for k in rng.binomial(100, theta, 200))
    assert 0 < early / 150 <= 0.2


def test_a_loss_that_came_back_is_said_so_soon():
    rng, recovery = np.random.default_rng(1), Recovery(losses())
    assert not any(recovery.score(zero_one(200, k)) for k in rng.binomial(200, 0.2, 100))
    waits = [recovery.score(zero_one(200, k)) for k in rng.binomial(200, 0.1, 60)]
    assert any(waits)
    assert recovery.evidence["accuracy"] >= 1.0


def test_a_group_gap_that_closed_is_said_so():
    rng, recovery = (
        np.random.default_rng(2),
        Recovery(group_bets(["a", "b"], tolerance=0.1, recovered="yes more often")),
    )

    def window(a, b):
        hits = rng.binomial(200, [a, b])
        return np.array([200 - hits[0], hits[0], 200 - hits[1], hits[1]])

    assert not any(recovery.score(window(0.45, 0.3)) for _ in range(60))
    assert any(recovery.score(window(0.3, 0.3)) for _ in range(30))


@pytest.mark.parametrize(
    ("how", "direction"),
    [("missing", "missing more"), ("up", "mean up"), ("wide", "spread wider"), ("comb", "shape")],
)
def test_a_drift_that_went_back_is_said_so_and_one_that_stays_is_not(world, how, direction):
    spec = world.spec(numeric=2, categorical=0)
    windows = world.windows(spec, 60, 500)
    baseline = CountsState(spec, windows.sum(axis=0))
    bins = np.arange(10)
    p = {
        "missing": world.numeric(np.ones(10), missing=0.06),
        "up": world.numeric(np.exp(0.09 * bins)),
        "wide": world.numeric(np.exp(0.03 * (bins - 4.5) ** 2)),
        "comb": world.numeric(np.where(np.isin(bins, (0, 3, 5, 6, 9)), 1.5, 0.5)),
    }[how]
    bets = freeze(spec, baseline, windows)
    fired = world.window(spec, 500, x0=p)
    game = drift_recovery(bets, baseline.count, [Change("x0", direction, 1.0)], fired)
    recovery = Recovery(game)
    assert game.names == (f"x0 {direction}",)
    assert not any(recovery.score(world.window(spec, 500, x0=p)) for _ in range(60))
    assert any(recovery.score(world.window(spec, 500)) for _ in range(60))


def test_all_that_was_named_must_come_back(world):
    spec = world.spec(numeric=2, categorical=0)
    windows = world.windows(spec, 60, 500)
    baseline = CountsState(spec, windows.sum(axis=0))
    missing = world.numeric(np.ones(10), missing=0.06)
    changes = [Change("x0", "missing more", 1.0), Change("x1", "missing more", 1.0)]
    game = drift_recovery(freeze(spec, baseline, windows), baseline.count, changes, world.window(spec, 500))
    recovery = Recovery(game)
    assert not any(recovery.score(world.window(spec, 500, x1=missing)) for _ in range(60))
    assert recovery.evidence["x0 missing more"] >= 1.0
    assert any(recovery.score(world.window(spec, 500)) for _ in range(60))


def test_levels_that_went_down_come_back_too(world):
    spec = world.spec(numeric=0, categorical=1)
    windows = world.windows(spec, 60, 500)
    baseline = CountsState(spec, windows.sum(axis=0))
    gone = np.array([0.67, 0.31, 0.0, 0.01, 0.01, 0.0, 0.0, 0.0])
    changes = [Change("c0", "level blue less", 1.0)]
    bets = freeze(spec, baseline, windows)
    recovery = Recovery(drift_recovery(bets, baseline.count, changes, world.window(spec, 500)))
    assert not any(recovery.score(world.window(spec, 500, c0=gone)) for _ in range(40))
    assert any(recovery.score(world.window(spec, 500)) for _ in range(40))


def test_silence_is_no_recovery_and_bytes_go_on_bit_by_bit():
    recovery = Recovery(losses())
    recovery.score(zero_one(200, 20))
    before = recovery.to_bytes()
    assert not any(recovery.score(zero_one(0, 0)) for _ in range(1000))
    assert recovery.to_bytes() == before
    other = Recovery.from_bytes(losses(), before)
    for k in (20, 22, 25):
        assert other.score(zero_one(200, k)) == recovery.score(zero_one(200, k))
    assert other.to_bytes() == recovery.to_bytes()
    with pytest.raises(IncompatibleState):
        Recovery.from_bytes(loss_bets([WRONG], zero_one(10, 1), side="recovered"), before)
    with pytest.raises(CorruptState):
        Recovery.from_bytes(losses(), before[:-2])


def test_a_detector_clears_and_starts_anew():
    detector = Detector(loss_bets([WRONG], zero_one(5000, 500)), 100.0)
    while not detector.score(zero_one(200, 60)).alarm:
        pass
    recovery, rng = Recovery(losses()), np.random.default_rng(9)
    while not recovery.score(zero_one(200, rng.binomial(200, 0.1))):
        pass
    detector.clear()
    assert not detector.score(zero_one(200, 20)).alarm


def test_a_chance_must_be_one():
    with pytest.raises(ValueError, match="alpha"):
        Recovery(losses(), alpha=0.0)
