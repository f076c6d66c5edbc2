"""Seasons: what the references hold, that replay is bit-equal, and that a weekend is no alarm."""

import numpy as np
import pytest

from calidris.detect import Detector, References, SeasonalBets, freeze
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState

HOUR = 3_600_000_000_000
WEEK = 168


@pytest.fixture
def spec(world):
    return world.spec(numeric=1, categorical=1)


def stream(world, spec, hours, start=0, shift=0.0, rows=400):
    """A daily wave, and weekends that lie elsewhere."""
    out = []
    for h in range(start, start + hours):
        lean = 0.03 * np.sin(2 * np.pi * h / 24) + 0.08 * (h // 24 % 7 >= 5) + shift
        out.append(world.window(spec, rows, x0=world.numeric(np.exp(lean * (np.arange(10) - 4.5)))))
    return np.array(out)


def learned(spec, windows):
    references = References(spec, 3600.0)
    for h, counts in enumerate(windows):
        references.learn(h * HOUR, counts)
    return references


def test_an_hour_learns_from_its_own_weeks_lagged_by_a_week(world, spec):
    windows = np.array(
        [
            world.counts(spec, {"x0": np.eye(14, dtype=int)[h % WEEK // 24] * 100, "c0": [100] + [0] * 7})
            for h in range(3 * WEEK)
        ]
    )
    references = learned(spec, windows)
    found = references.seasonal((3 * WEEK + 30) * HOUR).field(2)
    assert found.argmax() == 1  # Friday's own cell
    assert references.seasonal((3 * WEEK + 30) * HOUR).count >= 200
    fewer = learned(spec, windows[: WEEK + 1])
    assert fewer.seasonal(WEEK * HOUR) is None  # one week is no season
    assert fewer.seasonal((2 * WEEK) * HOUR) is not None


def test_every_field_of_a_reference_holds_the_same_rows_to_a_rounding(world, spec):
    references = learned(spec, stream(world, spec, 3 * WEEK))
    found = references.seasonal((3 * WEEK + 5) * HOUR)
    rows = [int(found.field(i).sum()) for i in range(len(spec.fields))]
    assert max(rows) - min(rows) <= 2


def test_hours_that_are_alike_are_worth_more_rows_to_each_other(world, spec):
    flat = learned(spec, np.array([world.window(spec, 400) for _ in range(3 * WEEK)]))
    wave = learned(spec, stream(world, spec, 3 * WEEK))
    at = (3 * WEEK + 130) * HOUR
    assert flat.seasonal(at).count > 1.5 * wave.seasonal(at).count


def test_the_decayed_reference_forgets(world, spec):
    references = References(spec, 3600.0, half_life_s=86400.0)
    old, new = (world.counts(spec, {"x0": np.eye(14, dtype=int)[i] * 1000, "c0": [1000] + [0] * 7}) for i in (0, 9))
    references.learn(HOUR, old)
    references.learn(25 * HOUR, new)
    cells = references.decayed().field(2)
    assert (cells[0], cells[9]) == (500, 1000)
    references.learn(49 * HOUR, new, calm=False)  # time passes, but what is not calm is not learned
    assert references.decayed().field(2)[9] == 500


def test_the_same_windows_give_the_same_bits_also_across_a_restart(world, spec):
    windows = stream(world, spec, 3 * WEEK + 40)
    baseline = CountsState(spec, windows[: 2 * WEEK].sum(0))
    starts = np.arange(2 * WEEK) * HOUR

    def run(restart_at):
        references = learned(spec, windows[: 2 * WEEK])
        game = SeasonalBets(spec, baseline, windows[: 2 * WEEK], starts, references)
        detector = Detector(game, 1000.0)
        for h in range(2 * WEEK, len(windows)):
            if h == restart_at:
                references = References.from_bytes(spec, references.to_bytes())
                game = SeasonalBets(spec, baseline, windows[: 2 * WEEK], starts, references)
                detector = Detector.from_bytes(game, detector.to_bytes())
            for part in (0, 1):  # two windows in one hour: the second one is scored against the same reference
                begin = h * HOUR + part * HOUR // 2
                verdict = detector.score(windows[h], start_ns=begin)
                references.learn(begin, windows[h], calm=not verdict.alarm)
        return detector.to_bytes(), references.to_bytes()

    assert run(None) == run(2 * WEEK + 3)


@pytest.mark.parametrize("which", ["hour_of_week", "decayed"])
def test_a_season_is_no_alarm(world, spec, which):
    windows = stream(world, spec, 5 * WEEK)
    base, starts = windows[: 4 * WEEK], np.arange(4 * WEEK) * HOUR
    references = learned(spec, base)
    detector = Detector(SeasonalBets(spec, CountsState(spec, base.sum(0)), base, starts, references, which), 1000.0)
    for h in range(4 * WEEK, 5 * WEEK):
        verdict = detector.score(windows[h], start_ns=h * HOUR)
        references.learn(h * HOUR, windows[h], calm=not verdict.alarm)
        assert not verdict.fired


def test_the_hour_s_own_reference_finds_what_the_frozen_one_takes_for_a_weekend(world, spec):
    base = stream(world, spec, 4 * WEEK)
    starts, references = np.arange(4 * WEEK) * HOUR, learned(spec, base)
    frozen = Detector(freeze(spec, CountsState(spec, base.sum(0)), base), 1000.0)
    hourly = Detector(SeasonalBets(spec, CountsState(spec, base.sum(0)), base, starts, references), 1000.0)
    found = {}
    for h, counts in enumerate(stream(world, spec, 48, 4 * WEEK, shift=0.1), 4 * WEEK):
        for name, detector in (("frozen", frozen), ("hourly", hourly)):
            if detector.score(counts, start_ns=h * HOUR).fired:
                found.setdefault(name, h)
    assert "hourly" in found
    assert found["hourly"] < found.get("frozen", 10**9)


def test_small_windows_wait_for_their_own_hour_only(world, spec):
    base = stream(world, spec, 3 * WEEK)
    game = SeasonalBets(spec, CountsState(spec, base.sum(0)), base, np.arange(3 * WEEK) * HOUR, learned(spec, base))
    detector = Detector(game, 1000.0)
    small = world.window(spec, 20)
    assert not detector.score(small, start_ns=3 * WEEK * HOUR).scored
    assert not detector.score(small, start_ns=(3 * WEEK + 1) * HOUR).scored  # another hour
    assert detector.score(small, start_ns=(3 * WEEK + 1) * HOUR + HOUR // 2).rows == 40


def test_a_reference_that_is_not_there_yet_is_silent(world, spec):
    base = stream(world, spec, 60)
    game = SeasonalBets(spec, CountsState(spec, base.sum(0)), base, np.arange(60) * HOUR, References(spec, 3600.0))
    detector = Detector(game, 2.0)
    assert not any(detector.score(w, start_ns=h * HOUR).evidence for h, w in enumerate(base, 60))


def test_foreign_and_damaged_bytes_are_refused(world, spec):
    data = References(spec, 3600.0).to_bytes()
    with pytest.raises(IncompatibleState):
        References.from_bytes(world.spec(), data)
    with pytest.raises(CorruptState):
        References.from_bytes(spec, data[:-2])
    with pytest.raises(ValueError, match="must be positive"):
        References(spec, 0.0)
