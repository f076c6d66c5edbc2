"""What bets give away where the baseline's own windows refute them: exact arithmetic, and cycles that are no alarm."""

from dataclasses import replace

import numpy as np
import pytest

from calidris.detect import Detector, Loss, freeze, loss_bets
from calidris.detect.evidence.handicap import FEWEST, LOSS, NONE, ORDINARY, Handicap, handicap, settled
from calidris.state import CountsState

BINS = np.arange(10) - 4.5


@pytest.fixture
def spec(world):
    return world.spec(numeric=1, categorical=0)


def lean(world, spec, leans, rows=400):
    return np.array([world.window(spec, rows, x0=world.numeric(np.exp(x * BINS))) for x in leans])


def weeks(count, weekend=0.15):
    """A daily wave, and weekends that lie higher."""
    hours = np.arange(168 * count)
    return 0.06 * np.sin(2 * np.pi * hours / 24) + weekend * (hours // 24 % 7 >= 5)


def oracle(log_e, idle):
    """R of one bet by its definition: the sum over all starts of the product from there on."""
    laid = [x for x, i in zip(log_e, idle) if not i]
    return max((sum(np.exp(sum(laid[s:t])) for s in range(t)) for t in range(1, len(laid) + 1)), default=0.0)


def test_the_charge_and_the_share_are_what_they_say():
    rng = np.random.default_rng(1)
    log_e, idle = rng.normal(-0.1, 0.4, (40, 5)), rng.random((40, 5)) < 0.2
    log_e[:, 1] += 0.5  # gains on the whole
    log_e[10:20, 2] += 0.6  # a run that is lost again
    log_e[20:, 2] -= 0.3
    idle[:, 3] = True
    found = settled(lambda: zip(np.where(idle, 0.0, log_e), idle))
    for b in range(5):
        total, laid = log_e[~idle[:, b], b].sum(), (~idle[:, b]).sum()
        charge = max(total + LOSS, 0.0) / laid if laid else 0.0
        assert found.charge[b] == pytest.approx(charge)
        highest = oracle(log_e[:, b] - charge, idle[:, b])
        assert found.log_share[b] == pytest.approx(min(np.log(ORDINARY / highest), 0.0) if highest else 0.0)
    assert found.charge[1] > 0.0
    assert found.log_share[2] < 0.0
    assert (found.charge[3], found.log_share[3]) == (0.0, 0.0)


def test_more_windows_may_show_more_evidence():
    """Twice the windows allow twice the evidence; fewer than a week of hours, no less."""
    rng, shares = np.random.default_rng(4), []
    for windows in (100, 168, 336):
        log_e = rng.normal(-0.3, 0.1, (windows, 1))
        log_e[50:60] = 0.8
        shares.append(np.exp(settled(lambda: ((x, np.array([False])) for x in log_e)).log_share[0]))  # noqa: B023
    assert shares[1] / shares[0] == pytest.approx(1.0, rel=0.5)
    assert shares[2] / shares[1] == pytest.approx(2.0, rel=0.5)
    assert max(shares) < 0.1


def test_no_bet_can_gain_from_it():
    """Exactly valid, whatever was found: evidence and weight only get smaller, and idle bets pay nothing."""
    rng = np.random.default_rng(2)
    log_e, idle = rng.normal(0.3, 1.0, (50, 8)), rng.random((50, 8)) < 0.3
    found = settled(lambda: zip(log_e, idle))
    assert (found.charge >= 0.0).all()
    assert (found.log_share <= 0.0).all()
    paid = found.paid(log_e[0], idle[0])
    assert (paid <= log_e[0]).all()
    np.testing.assert_array_equal(paid[idle[0]], log_e[0, idle[0]])
    some = found.of(np.array([5, 2]), 8)
    np.testing.assert_array_equal(some.charge, found.charge[[5, 2]])
    assert NONE.of(np.array([0]), 3).charge == 0.0


def test_few_windows_take_nothing(world, spec):
    windows = lean(world, spec, weeks(1)[: FEWEST - 1])
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows)
    assert bets.handicap is NONE
    assert handicap(bets, None) is NONE


def test_weights_of_handicapped_bets_are_smaller_and_go_to_nobody(world, spec):
    windows = lean(world, spec, weeks(2))
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows)
    share = np.exp(bets.handicap.log_share)
    assert share.min() < 0.5 < share.max() == 1.0
    assert np.exp(bets.log_weight).sum() < 1.0


@pytest.mark.parametrize("base", [1, 4])
def test_weeks_go_on_without_an_alarm_once_one_was_seen(world, spec, base):
    """Without the handicap the bets that learn win every weekend, and alarm in nearly every week."""
    windows = lean(world, spec, weeks(base))
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows)
    live = lean(world, spec, weeks(6))
    free = Detector(replace(bets, handicap=NONE), 1000.0)
    assert sum(free.score(w).fired for w in live) >= 3
    detector = Detector(bets, 1000.0)
    assert not any(detector.score(w).fired for w in live)
    assert any(detector.score(w).fired for w in lean(world, spec, weeks(2) + 0.3))


def test_independent_windows_give_away_next_to_nothing(world, spec):
    windows = lean(world, spec, np.zeros(168))
    found = freeze(spec, CountsState(spec, windows.sum(0)), windows).handicap
    assert np.mean(found.charge > 0.0) < 0.1
    assert np.exp(found.log_share).mean() > 0.9


def test_losses_with_a_daily_wave_are_handicapped_too():
    rate = 0.1 + 0.04 * np.sin(2 * np.pi * np.arange(336) / 24)
    wrong = np.random.default_rng(3).binomial(1000, rate)
    windows = np.array([[1000, k * 2**30] for k in wrong])
    bets = loss_bets([Loss.zero_one("errors")], windows.sum(0), windows)
    assert isinstance(bets.handicap, Handicap)
    detector = Detector(bets, 1000.0)
    assert not any(detector.score(w).fired for w in windows)
