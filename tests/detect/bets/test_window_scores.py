"""Whole windows as observations; slower calls alone; spread that is learned live."""

import numpy as np
import pytest

from calidris.detect import SLOWER, DesignLearner, Detector, Loss, freeze, loss_bets, window_score_bets
from calidris.detect.bets.window_scores import QUANTILES, needed
from calidris.state import CountsState, Role


def wobbling(world, spec, count, shift=0.0, size=0.08):
    lean = world.rng.normal(shift, size, count)
    return np.array([world.window(spec, 400, x0=world.numeric(np.exp(x * (np.arange(10) - 4.5)))) for x in lean])


@pytest.fixture
def spec(world):
    return world.spec(numeric=1, categorical=0)


def test_mean_at_most_one_wherever_the_bounds_hold(world, spec):
    """E[r] is linear in the chances to exceed the cuts; at the bounds it is one, and below them less."""
    windows = wobbling(world, spec, 100)
    bets = window_score_bets(spec, CountsState(spec, windows.sum(0)), windows)
    r = np.exp(bets.log_ratio[0])
    assert (np.diff(r, axis=1) > 0).all()
    exceed = 1.0 - np.array(QUANTILES)
    share = -np.diff(np.r_[1.0, exceed, 0.0])
    assert (r @ share < 1.0).all()


def test_bounds_are_missed_no_more_often_than_delta(world, spec):
    """Means under the truth, of a score whose distribution is known by simulation, over many baselines."""
    fresh = wobbling(world, spec, 1500)
    wrong = 0
    for _ in range(40):
        windows = wobbling(world, spec, 60)
        bets = window_score_bets(spec, CountsState(spec, windows.sum(0)), windows, delta=0.2)
        e = np.array([np.exp(bets.play(w, bets.nothing).log_e) for w in fresh[:400]])
        wrong += bool((e.mean(0) > 1.0 + 2.0 * e.std(0) / 20.0).any())
    assert wrong <= 8


def test_quiet_under_wobble_and_loud_after_a_change(world, spec):
    windows = wobbling(world, spec, 100)
    detector = Detector(window_score_bets(spec, CountsState(spec, windows.sum(0)), windows), 1000.0)
    assert not any(detector.score(w).fired for w in wobbling(world, spec, 400))
    fired = next(v for v in (detector.score(w) for w in wobbling(world, spec, 60, shift=0.3)) if v.fired)
    assert (fired.changes[0].field, fired.changes[0].direction) == ("x0", "shape")


def test_it_takes_windows_and_says_when_it_is_needed(world, spec):
    windows = wobbling(world, spec, 60)
    with pytest.raises(ValueError, match="at least 50"):
        window_score_bets(spec, CountsState(spec, windows.sum(0)), windows[:20])
    assert not needed(freeze(spec, CountsState(spec, windows.sum(0)), world.windows(spec, 60, 400)))
    assert needed(freeze(spec, CountsState(spec, windows.sum(0)), wobbling(world, spec, 60, size=0.3)))


def test_an_empty_year_changes_nothing(world, spec):
    windows = wobbling(world, spec, 60)
    detector = Detector(window_score_bets(spec, CountsState(spec, windows.sum(0)), windows), 10.0)
    before = detector.to_bytes()
    assert not any(detector.score(np.zeros(spec.cells, dtype=np.int64)).scored for _ in range(8760))
    assert detector.to_bytes() == before


def test_only_slower_calls_are_news(world):
    spec = world.spec(numeric=0, categorical=0)
    at = spec.offsets[1] + 60

    def calls(where, n=500):
        counts = np.zeros(spec.cells, dtype=np.int64)
        counts[0] = n
        counts[at : at + 20] += world.rng.multinomial(n, where)
        return counts

    usual = np.exp(-((np.arange(20) - 10) ** 2) / 18)
    slow, fast = (np.exp(-((np.arange(20) - c) ** 2) / 18) for c in (14, 6))
    usual, slow, fast = (p / p.sum() for p in (usual, slow, fast))
    windows = np.array([calls(usual) for _ in range(60)])
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows, roles={Role.DURATION}, only=SLOWER)
    np.testing.assert_allclose(np.bincount(bets.owner, np.exp(bets.log_weight)), 1.0)
    detector = Detector(bets, 1000.0)
    assert not any(detector.score(calls(fast)).fired for _ in range(60))
    fired = next(v for v in (detector.score(calls(slow)) for _ in range(5)) if v.fired)
    assert fired.changes[0].direction == "mean up"


def test_spread_of_other_kinds_is_learned_live_too():
    loss = Loss.zero_one("errors")
    bets = loss_bets([loss], np.array([1000, 10 * 2**30]))
    learner = DesignLearner(bets.layout, wanted=40)
    for k in np.random.default_rng(0).binomial(100, 0.01, 40):
        learner.add(np.array([500, 5 * k * 2**30]))
    again = DesignLearner.from_bytes(bets.layout, learner.to_bytes())
    known = loss_bets([loss], np.array([1000, 10 * 2**30]), again.windows)
    assert known.design_known
    assert known.frozen.effect[0] > 3.0
