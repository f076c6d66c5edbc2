"""A standing alarm hides nothing: what it does not name renews it, within the same bound."""

from dataclasses import replace

import numpy as np
import pytest

from calidris.detect import Detector, freeze
from calidris.detect.evidence.renewal import Renewal
from calidris.detect.evidence.weighing import Weighing, total_of
from calidris.errors import CorruptState
from calidris.state import CountsState

HOUR = 3_600_000_000_000
BINS = np.arange(10)


@pytest.fixture
def spec(world):
    return world.spec(numeric=4, categorical=1)


@pytest.fixture
def bets(world, spec):
    windows = world.windows(spec, 60, 500)
    return freeze(spec, CountsState(spec, windows.sum(axis=0)), windows)


def broken(world):
    return world.numeric(np.r_[1.0, np.zeros(9)], low=0.9)


def up(world):
    return world.numeric(np.exp(0.09 * BINS))


def standing(world, spec, bets):
    """A detector whose alarm names x0, which stays as it is."""
    detector = Detector(bets, 1000.0)
    verdict = detector.score(world.window(spec, 500, x0=broken(world)))
    assert verdict.opened and [c.field for c in verdict.changes] == ["x0"]
    return detector


def test_a_second_incident_renews_the_alarm_and_names_what_is_new(world, spec, bets):
    detector = standing(world, spec, bets)
    for hour in range(1, 20):
        verdict = detector.score(world.window(spec, 500, x0=broken(world)), start_ns=hour * HOUR)
        assert verdict.renewed is None and verdict.fired, "what the alarm names persists and renews nothing"
    renewed = []
    for hour in range(20, 30):
        verdict = detector.score(world.window(spec, 500, x0=broken(world), x2=up(world)), start_ns=hour * HOUR)
        renewed += [verdict.renewed] if verdict.renewed is not None else []
    (new,) = renewed
    assert [(c.field, c.direction) for c in new.changes] == [("x2", "mean up")]
    assert (new.fired, new.opened, new.alarm) == (True, False, True) and new.evidence >= 1.0
    assert new.onset is not None and abs(new.onset.at_ns // HOUR - 20) <= 1


def test_quiet_windows_never_renew_an_alarm(world, spec, bets):
    detector = standing(world, spec, bets)
    verdicts = [detector.score(world.window(spec, 500, x0=broken(world))) for _ in range(1000)]
    assert not any(v.renewed for v in verdicts)


def test_all_alarms_together_are_rarer_than_the_budget(world):
    """With p known, no tolerance and nothing to spare, the mean number of alarms and renewals in n windows is at most n/A."""
    spec = world.spec(numeric=3, categorical=1)
    bets = freeze(spec, world.huge(spec), tolerance=0.0)
    streams, horizon, threshold, alarms, renewals = 60, 150, 20.0, 0, 0
    for _ in range(streams):
        detector = Detector(bets, threshold)
        for _ in range(horizon):
            verdict = detector.score(world.window(spec, 60))
            alarms += verdict.opened
            renewals += verdict.renewed is not None
    assert renewals > 0 and (alarms + renewals) / streams <= horizon / threshold


def test_each_alarm_takes_at_least_the_threshold_out_of_the_evidence(world, spec, bets):
    """Whatever the evidence is, and also where the strongest thing alone has less than that."""
    rng, threshold = np.random.default_rng(6), 1000.0
    weighing, scaled = Weighing(bets), 0
    for _ in range(600):
        log_r = rng.normal(rng.uniform(5.0, 9.5), rng.uniform(0.0, 4.0), len(bets.owner))
        before = total_of(weighing.weigh(log_r))
        if before < np.log(threshold):
            continue
        names = [c.field for c in weighing.name(log_r, weighing.weigh(log_r), np.log(threshold))]
        renewal = Renewal.after(bets, weighing, log_r, bets.nothing)
        renewal.set_aside(names, np.log(threshold))
        fields = weighing.weigh(renewal.log_r)
        after = np.exp(total_of(fields))
        assert after <= np.exp(before) - threshold * (1.0 - 1e-9)
        assert all(np.isneginf(fields[bets.names.index(name)]) for name in names)
        own = np.exp(weighing.weigh(log_r)[[bets.names.index(name) for name in names]]).sum()
        scaled += own < threshold
        if own >= threshold:  # nothing else is touched
            others = [i for i, name in enumerate(bets.names) if name not in names]
            assert np.array_equal(fields[others], weighing.weigh(log_r)[others])
    assert scaled > 5


def test_clearing_one_alarm_lets_the_other_stand(world, spec, bets):
    detector = standing(world, spec, bets)
    both = {"x0": broken(world), "x2": broken(world)}
    verdict = detector.score(world.window(spec, 500, **both))
    assert [c.field for c in verdict.renewed.changes] == ["x2"]
    detector.clear(["x0"])
    again = detector.score(world.window(spec, 500, **both))
    assert again.alarm and not again.opened
    assert [c.field for c in again.renewed.changes] == ["x0"], "it is still broken, and x2 is still named"
    detector.clear()
    fresh = detector.score(world.window(spec, 500, **both))
    assert fresh.opened and {c.field for c in fresh.changes} == {"x0", "x2"}


def test_bytes_of_a_standing_alarm_go_on_bit_by_bit(world, spec, bets):
    detector = standing(world, spec, bets)
    detector.score(world.window(spec, 500, x0=broken(world), x1=up(world)))
    other = Detector.from_bytes(bets, detector.to_bytes())
    for _ in range(6):
        window = world.window(spec, 400, x0=broken(world), x1=up(world))
        assert other.score(window, start_ns=HOUR) == detector.score(window, start_ns=HOUR)
    assert other.to_bytes() == detector.to_bytes()
    with pytest.raises(CorruptState):
        Renewal.from_bytes(bets, Weighing(bets), b"short")


def test_another_threshold_of_todays_settings_is_that_of_renewals_too(world, spec, bets):
    detector = Detector.from_bytes(bets, standing(world, spec, bets).to_bytes())
    detector.threshold = 1e250
    live = {"x0": broken(world), "x2": up(world)}
    assert not any(detector.score(world.window(spec, 500, **live)).renewed for _ in range(5))


def test_an_alarm_of_an_earlier_version_is_renewed_once_it_is_known_what_it_names(world, spec, bets):
    detector = Detector(bets, 1000.0)
    detector.alarm = True  # as such a version saved it: its evidence forgotten
    live = {"x0": broken(world)}
    assert detector.score(world.window(spec, 500, **live)).renewed is None
    before = Detector(bets, 1000.0)
    before.alarm = True
    before.recall(["x0"])
    assert all(before.score(world.window(spec, 500, **live)).renewed is None for _ in range(5))
    verdict = before.score(world.window(spec, 500, x2=broken(world), **live))
    assert [c.field for c in verdict.renewed.changes] == ["x2"]


def test_a_feature_called_like_a_part_of_another_one_renews_its_alarm(world):
    plain = world.spec(numeric=3, categorical=0)
    named = tuple(replace(f, name="x0 where known") if f.name == "x2" else f for f in plain.fields)
    spec = replace(plain, fields=named)
    windows = world.windows(spec, 60, 500)
    detector = standing(world, spec, freeze(spec, CountsState(spec, windows.sum(axis=0)), windows))
    both = {"x0": broken(world), "x0 where known": broken(world)}
    verdict = detector.score(world.window(spec, 500, **both))
    assert [c.field for c in verdict.renewed.changes] == ["x0 where known"]
