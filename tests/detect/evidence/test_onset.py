"""When a change began: Page's sums beside their definition, and known changes."""

import numpy as np
import pytest

from calidris.detect import Detector, Onset, freeze
from calidris.detect.evidence.onset import NEAR, PageSums
from calidris.detect.game import Play
from calidris.errors import CorruptState
from calidris.state import CountsState

HOUR = 3_600_000_000_000
NOTHING = np.zeros(0)


def fed(log_e, idle=None, rows=10):
    """Sums of bets that had these log e-values float64[T, B], a window an hour."""
    page = PageSums(log_e.shape[1])
    for t, row in enumerate(log_e):
        away = np.zeros(len(row), dtype=np.bool_) if idle is None else idle[t]
        page.add(Play(row, away, NOTHING), t * HOUR, rows)
    return page


def of_one(walk):
    """The onset of one bet by its definition: the begin from which its log e-values add up to most; the latest such."""
    sums = [walk[k:].sum() for k in range(len(walk))]
    best = max(sums)
    return None if best <= 0.0 else max(k for k, total in enumerate(sums) if total == best)


def test_each_bet_begins_where_its_likelihood_is_largest():
    rng = np.random.default_rng(4)
    for _ in range(300):
        walk = rng.normal(0.05, 1.0, 40)
        onset, expected = fed(walk[:, None]).find_onset(np.array([True])), of_one(walk)
        assert (onset is None) == (expected is None)
        if expected is not None and onset is not None:
            windows = 40 - expected
            assert onset == Onset(expected * HOUR, expected * HOUR, expected * HOUR, windows, windows * 10)


def test_an_idle_bet_keeps_its_sum_and_its_begin():
    log_e = np.array([[-1.0], [2.0], [-9.0], [1.0]])
    idle = np.array([[False], [False], [True], [False]])
    assert fed(log_e, idle).find_onset(np.array([True])) == Onset(HOUR, HOUR, HOUR, 3, 30)


def test_the_strong_bets_say_it_together_and_the_others_nothing():
    """Three within log 10 of the strongest, weighted by how strong they are; one far below, one about something else."""
    log_e = np.full((6, 5), -5.0)
    log_e[2:, 0] = 2.0  # 8 from window 2 on: the strongest
    log_e[3:, 1] = 2.6  # 7.8
    log_e[4:, 2] = 3.0  # 6
    log_e[1:, 3] = 1.0  # 5: below the others by more than log 10
    log_e[5:, 4] = 99.0
    page = fed(log_e)
    assert round(NEAR, 6) == 2.302585
    mine = np.array([True, True, True, True, False])
    weights = np.exp(np.array([8.0, 7.8, 6.0]))
    middle = [2, 3, 4][int(np.searchsorted(np.cumsum(weights), weights.sum() / 2))]
    assert page.find_onset(mine) == Onset(middle * HOUR, 2 * HOUR, 4 * HOUR, 6 - middle, 10 * (6 - middle))


def test_what_gained_nothing_has_no_onset():
    page = fed(np.full((5, 2), -1.0))
    assert page.find_onset(np.array([True, True])) is None
    page = fed(np.full((5, 2), 1.0))
    assert page.find_onset(np.array([False, False])) is None


def test_bytes_go_on_bit_by_bit():
    rng = np.random.default_rng(5)
    page = fed(rng.normal(0.1, 1.0, (30, 4)))
    again = PageSums.from_bytes(np.zeros(4), page.to_bytes())
    for t in range(30, 40):
        play = Play(rng.normal(size=4), np.array([False, True, False, False]), NOTHING)
        page.add(play, t * HOUR, 7)
        again.add(play, t * HOUR, 7)
    every = np.ones(4, dtype=np.bool_)
    assert again.to_bytes() == page.to_bytes() and again.find_onset(every) == page.find_onset(every)
    with pytest.raises(CorruptState):
        PageSums.from_bytes(np.zeros(5), page.to_bytes())


def test_evidence_of_an_earlier_version_has_an_unknown_onset_until_it_is_back_at_zero():
    page = PageSums.from_bytes(np.array([3.0, -np.inf]), b"")
    assert page.to_bytes() == b"", "nothing that such a version would not have written"
    never = np.zeros(2, dtype=np.bool_)
    page.add(Play(np.array([1.0, 1.0]), never, NOTHING), HOUR, 10)
    first, second = np.array([True, False]), np.array([False, True])
    assert page.find_onset(first) is None, "it began before anybody noted it"
    assert page.find_onset(second) == Onset(HOUR, HOUR, HOUR, 1, 10)
    page.add(Play(np.array([-5.0, 0.0]), never, NOTHING), 2 * HOUR, 10)
    page.add(Play(np.array([1.0, 0.0]), never, NOTHING), 3 * HOUR, 10)
    assert page.find_onset(first) == Onset(3 * HOUR, 3 * HOUR, 3 * HOUR, 1, 10)


@pytest.fixture
def spec(world):
    return world.spec(numeric=3, categorical=1)


@pytest.fixture
def bets(world, spec):
    windows = world.windows(spec, 60, 500)
    return freeze(spec, CountsState(spec, windows.sum(axis=0)), windows)


def up(world, by=0.045):
    return world.numeric(np.exp(by * np.arange(10)))


def test_the_onset_of_an_alarm_is_within_two_windows_of_the_change(world, spec, bets):
    """A change that takes several windows to be sure of, after 30 quiet ones."""
    errors, delays = [], []
    for _ in range(15):
        detector = Detector(bets, 1000.0)
        for hour in range(30):
            detector.score(world.window(spec, 200), start_ns=hour * HOUR)
        for hour in range(30, 90):
            verdict = detector.score(world.window(spec, 200, x1=up(world)), start_ns=hour * HOUR)
            if verdict.opened:
                break
        assert verdict.onset is not None
        onset = verdict.onset
        assert onset.earliest_ns <= onset.at_ns <= onset.latest_ns
        assert (onset.windows, onset.rows) == (hour + 1 - onset.at_ns // HOUR, 200 * onset.windows)
        errors.append(abs(onset.at_ns // HOUR - 30))
        delays.append(hour - 30)
    assert np.median(errors) <= 2 and np.median(delays) > np.median(errors)  # measured: 1 and 5


def test_small_windows_begin_where_the_first_of_them_does(world, spec, bets):
    detector = Detector(bets, 1000.0, minimum_rows=40)
    broken = {"x0": world.numeric(np.r_[1.0, np.zeros(9)], low=0.9)}
    detector.score(world.window(spec, 100), start_ns=0)
    detector.score(world.window(spec, 20, **broken), start_ns=HOUR)
    verdict = detector.score(world.window(spec, 20, **broken), start_ns=2 * HOUR)
    assert verdict.opened and verdict.onset == Onset(HOUR, HOUR, HOUR, 1, 40)


def test_clearing_forgets_when_it_began(world, spec, bets):
    detector = Detector(bets, 1000.0)
    broken = world.window(spec, 500, x0=world.numeric(np.r_[1.0, np.zeros(9)], low=0.9))
    assert detector.score(broken, start_ns=HOUR).onset == Onset(HOUR, HOUR, HOUR, 1, 500)
    detector.score(broken, start_ns=2 * HOUR)
    detector.clear()
    assert detector.score(broken, start_ns=3 * HOUR).onset == Onset(3 * HOUR, 3 * HOUR, 3 * HOUR, 1, 500)
