"""Two levels of evidence: one bound for both, one for the strong level alone, and an early alarm that rises."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.detect import Detector, Loss, freeze, loss_bets
from calidris.detect.levels import EARLY_WEIGHT, Level, TwoLevels, game_of
from calidris.errors import IncompatibleState
from calidris.state import CountsState

WRONG = Loss.zero_one("accuracy")
UNIT = 2**30
BINS = np.arange(10)


def zero_one(n, wrong):
    return np.array([n, wrong * UNIT], dtype=np.int64)


def at_both(spec, baseline, windows=None, strong=0.05, early=0.02):
    return TwoLevels(
        freeze(spec, baseline, windows, tolerance=strong),
        freeze(spec, baseline, windows, tolerance=early, small=True),
    )


def shifted(world, by):
    """A numeric field whose mean rank moved by so many standard deviations: exactly that χ-distance from the baseline."""
    g = (BINS - 4.5) / np.sqrt(8.25)
    return world.numeric(1.0 + by * g)


@pytest.fixture
def spec(world):
    return world.spec(numeric=1, categorical=0)


@pytest.fixture
def known(world, spec):
    return at_both(spec, world.huge(spec))


def test_the_weights_of_both_levels_add_up_to_one(known):
    weights = np.exp(known.log_weight)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[known.is_early].sum() == pytest.approx(EARLY_WEIGHT)
    assert known.is_early.sum() == len(known.early.owner) < len(known.strong.owner)


def test_each_level_lays_its_bets_as_it_would_alone_and_learns_once(world, spec, known):
    memory = known.nothing
    for _ in range(5):
        window = world.window(spec, 200)
        both = known.play(window, memory)
        alone = [game.play(window, memory) for game in (known.strong, known.early)]
        assert np.array_equal(both.log_e, np.concatenate([one.log_e for one in alone]))
        assert np.array_equal(both.idle, np.concatenate([one.idle for one in alone]))
        assert all(np.array_equal(one.memory, both.memory) for one in alone)
        memory = both.memory


@pytest.mark.parametrize("margin", [0.0, 0.005])
def test_what_windows_teach_of_a_loss_is_the_same_at_every_margin(margin):
    bets = [loss_bets([WRONG], zero_one(5000, 500), tolerance=0.0, margin=m) for m in (0.0, margin)]
    memories = [game.play(zero_one(200, 31), game.nothing).memory for game in bets]
    assert np.array_equal(*memories)


def test_small_bets_are_won_by_no_row_in_the_mean(world, spec):
    """Σ p·e over the cells is at most 1 for every bet, at every shift within the tolerance: one row, by enumeration."""
    bets = freeze(spec, world.huge(spec), tolerance=0.02, small=True)
    counts = world.huge(spec).array
    stake = bets.learned.stake(bets.nothing)
    for by in (-0.02, 0.0, 0.02):
        p = shifted(world, by)
        mean = np.zeros(len(bets))
        for cell, chance in enumerate(p):
            row = np.zeros_like(counts)
            row[0] = row[spec.offsets[1] + spec.fields[1].ordered] = 1
            row[spec.offsets[2] + cell] = 1
            mean += chance * np.exp(bets.log_e(bets.watch.padded(row).astype(float), stake, 1))
        assert (mean <= 1.0 + 1e-6).all(), by


def test_false_alarms_of_both_levels_together_are_rarer_than_the_budget(world, spec):
    """With p known and no tolerance at either level, P(alarm within T windows) is at most T/A."""
    baseline = world.huge(spec)
    bets = TwoLevels(freeze(spec, baseline, tolerance=0.0), freeze(spec, baseline, tolerance=0.0, small=True))
    streams, horizon, threshold = 250, 20, 100.0
    alarms = 0
    for _ in range(streams):
        detector = Detector(bets, threshold)
        alarms += any(detector.score(world.window(spec, 60)).fired for _ in range(horizon))
    assert 0 < alarms / streams <= horizon / threshold


def test_a_change_between_the_tolerances_is_early_and_never_strong(world, spec, known):
    """.045 standard deviations: beyond .02, within .05. 300 windows, where the early level alarms in some tens."""
    early = 0
    for _ in range(5):
        detector = Detector(known, 100.0)
        verdicts = [detector.score(world.window(spec, 3000, x0=shifted(world, 0.045))) for _ in range(60)]
        levels = {v.level for v in verdicts if v.fired}
        assert Level.STRONG not in levels
        early += levels == {Level.EARLY}
    assert early == 5


def test_strong_evidence_goes_on_beneath_an_early_alarm(world, spec, known):
    detector = Detector(known, 1000.0)
    verdicts = [detector.score(world.window(spec, 500, x0=shifted(world, 0.12))) for _ in range(80)]
    opened = [i for i, v in enumerate(verdicts) if v.opened]
    strong = [i for i, v in enumerate(verdicts) if v.level == Level.STRONG]
    assert len(opened) == 1 and opened[0] < strong[0]
    assert verdicts[opened[0]].level == Level.EARLY
    first = verdicts[strong[0]]
    assert (first.changes[0].field, first.changes[0].direction) == ("x0", "mean up")
    assert detector.alarm
    detector.clear()
    assert not detector.alarm


def test_strong_evidence_is_that_of_strong_bets_at_their_share_of_the_weight(world, spec, known):
    both, alone = Detector(known, 1000.0), Detector(known.strong, 1000.0 / (1.0 - EARLY_WEIGHT))
    windows = [world.window(spec, 500, x0=shifted(world, 0.12)) for _ in range(60)]
    levels = [both.score(w).level for w in windows]
    fired = [alone.score(w).fired for w in windows]
    assert [level == Level.STRONG for level in levels] == fired and any(fired)


def test_a_large_change_is_strong_at_once(world, spec, known):
    detector = Detector(known, 1000.0)
    verdict = detector.score(world.window(spec, 500, x0=shifted(world, 0.6)))
    assert verdict.opened and verdict.level == Level.STRONG


def test_bytes_go_on_bit_by_bit_while_an_early_alarm_stands(world, spec, known):
    detector = Detector(known, 1000.0)
    while not detector.alarm:
        detector.score(world.window(spec, 500, x0=shifted(world, 0.12)))
    again = Detector.from_bytes(known, detector.to_bytes())
    assert again.alarm and again.to_bytes() == detector.to_bytes()
    window = world.window(spec, 500, x0=shifted(world, 0.12))
    assert again.score(window) == detector.score(window)


def test_a_renewal_has_a_level_of_its_own(world):
    spec = world.spec(numeric=2, categorical=0)
    detector = Detector(at_both(spec, world.huge(spec)), 1000.0)
    large, small = shifted(world, 0.6), shifted(world, 0.09)
    first = detector.score(world.window(spec, 500, x0=large))
    assert first.opened and first.level == Level.STRONG
    renewed = [detector.score(world.window(spec, 500, x0=large, x1=small)).renewed for _ in range(60)]
    new = next(one for one in renewed if one is not None)
    assert new.level == Level.EARLY and [c.field for c in new.changes] == ["x1"]


def test_evidence_and_alarm_of_a_version_with_one_level_go_on_as_strong(world, spec, known):
    before = Detector(known.strong, 1000.0)
    for _ in range(2):
        before.score(world.window(spec, 500, x0=shifted(world, 0.12)))
    now = Detector.go_on(known, before.to_bytes())
    strong = len(known.strong.owner)
    assert np.array_equal(now._log_r[:strong], before._log_r) and (now._log_r[strong:] == -np.inf).all()
    assert np.array_equal(now._memory, before._memory) and now.scored == 2
    before.score(world.window(spec, 500, x0=shifted(world, 0.6)))
    stood = Detector.go_on(known, before.to_bytes())
    assert stood.alarm
    with pytest.raises(IncompatibleState):
        Detector.go_on(at_both(spec, CountsState(spec, world.window(spec, 999))), before.to_bytes())


def test_a_game_of_one_level_is_its_own(known):
    assert game_of(known, Level.EARLY) is known.early and game_of(known, Level.STRONG) is known.strong
    assert game_of(known.strong, Level.EARLY) is known.strong
