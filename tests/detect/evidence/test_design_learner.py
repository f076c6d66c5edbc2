import numpy as np
import pytest

from calidris.detect import DesignLearner, detector_bytes, freeze
from calidris.detect.calendar import DAY_NS
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState


def test_collects_the_first_windows_and_no_more(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=3)
    windows = world.windows(spec, 5, 100)
    for i, window in enumerate(windows):
        assert learner.ready == (i >= 3)
        learner.add(window)
    np.testing.assert_array_equal(learner.windows, windows[:3])


def test_small_windows_are_merged_and_silence_is_nothing(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=2, minimum_rows=30)
    for rows in (0, 20, 0, 20, 0):
        learner.add(world.window(spec, rows))
    assert learner.windows[:, 0].tolist() == [40]
    assert not learner.ready


def test_what_it_learned_makes_the_design_known(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=30)
    for window in world.windows(spec, 30, 100):
        learner.add(4 * window)  # every row comes four times
    bets = freeze(spec, CountsState(spec, world.window(spec, 5000)), learner.windows)
    assert bets.design_known
    assert (1.0 + bets.excess[: len(bets.tilts.field)]).min() > 2.0


def test_bytes_round_trip(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=3)
    for rows in (100, 100, 10):
        learner.add(world.window(spec, rows))
    other = DesignLearner.from_bytes(spec, learner.to_bytes())
    assert other.to_bytes() == learner.to_bytes()
    for each in (learner, other):
        each.add(world.counts(spec, {"x0": [9] * 14, "x1": [9] * 14, "c0": [126, 0, 0, 0, 0, 0, 0, 0]}))
    np.testing.assert_array_equal(other.windows, learner.windows)
    assert other.ready


def test_foreign_and_damaged_bytes_are_refused(world):
    spec = world.spec()
    data = DesignLearner(spec).to_bytes()
    with pytest.raises(IncompatibleState):
        DesignLearner.from_bytes(world.spec(numeric=1), data)
    with pytest.raises(CorruptState):
        DesignLearner.from_bytes(spec, data[:-2])


def test_one_window_shows_no_variation(world):
    with pytest.raises(ValueError, match="at least 2"):
        DesignLearner(world.spec(), wanted=1)


def test_times_of_windows_go_with_them(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=3, minimum_rows=30)
    for rows, start_ns in ((100, 5), (20, DAY_NS), (20, DAY_NS + 7), (100, 3 * DAY_NS)):
        learner.add(world.window(spec, rows), start_ns)
    again = DesignLearner.from_bytes(spec, learner.to_bytes())
    for each in (learner, again):
        days = each.days(one_in=12)
        assert (days.number.tolist(), days.one_in) == ([0, 1, 3], 12)


def test_windows_that_an_earlier_version_learned_have_no_days(world):
    spec = world.spec()
    learner = DesignLearner(spec, wanted=5)
    for window in world.windows(spec, 2, 100):
        learner.add(window, DAY_NS)
    layout = learner.layout.identity
    body = detector_bytes.unpack(b"CALL", layout, learner.to_bytes())
    old = detector_bytes.pack(b"CALL", layout, body[: -8 * 2])
    again = DesignLearner.from_bytes(spec, old)
    np.testing.assert_array_equal(again.windows, learner.windows)
    assert again.days() is None


def test_where_it_was_too_little_more_windows_are_kept_and_the_oldest_go_at_last(world, monkeypatch):
    monkeypatch.setattr("calidris.detect.evidence.design_learner.MOST", 5)
    spec = world.spec()
    learner = DesignLearner(spec, wanted=3)
    windows = world.windows(spec, 7, 100)
    for window in windows[:3]:
        learner.add(window)
    assert learner.ready
    learner.want_more(4)
    assert not learner.ready and learner.wanted == 5
    restored = DesignLearner.from_bytes(spec, learner.to_bytes())
    for one in (learner, restored):
        for window in windows[3:]:
            one.add(window)
        np.testing.assert_array_equal(one.windows, windows[2:])
