"""The detector: silence, order, bytes, false alarms and the naming of changes."""

import numpy as np
import pytest

from calidris.detect import Detector, freeze
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState, Field, Kind, Role, Spec

BINS = np.arange(10)


@pytest.fixture
def spec(world):
    return world.spec(numeric=4, categorical=1)


@pytest.fixture
def bets(world, spec):
    windows = world.windows(spec, 60, 500)
    return freeze(spec, CountsState(spec, windows.sum(axis=0)), windows)


def state_of(detector):
    return detector.to_bytes()


def test_an_empty_year_raises_no_alarm_and_changes_nothing(world, spec, bets):
    detector = Detector(bets, 10.0)
    detector.score(world.window(spec, 500))
    before = state_of(detector)
    silence = np.zeros(spec.cells, dtype=np.int64)
    verdicts = [detector.score(silence, 0) for _ in range(8760)]
    assert not any(v.scored or v.alarm for v in verdicts)
    assert state_of(detector) == before


def test_a_quiet_year_raises_no_alarm(world, spec, bets):
    detector = Detector(bets, 1000.0)
    assert not any(detector.score(world.window(spec, 500)).fired for _ in range(1000))
    assert detector.scored == 1000


def test_small_windows_are_carried_until_there_are_rows_enough(world, spec, bets):
    parts = [world.window(spec, rows) for rows in (10, 15, 20)]
    carried, at_once = Detector(bets, 100.0, minimum_rows=40), Detector(bets, 100.0, minimum_rows=40)
    verdicts = [carried.score(part) for part in parts]
    together = at_once.score(sum(parts))
    assert [v.scored for v in verdicts] == [False, False, True]
    assert verdicts[-1] == together
    assert verdicts[-1].rows == 45
    assert state_of(carried) == state_of(at_once)


def test_the_same_windows_in_the_same_order_give_the_same_bits(world, spec, bets):
    windows = world.windows(spec, 20, 300)
    first, second = Detector(bets, 1000.0), Detector(bets, 1000.0)
    assert [first.score(w) for w in windows] == [second.score(w.copy()) for w in windows]
    assert state_of(first) == state_of(second)


def test_bytes_round_trip_and_go_on_bit_by_bit(world, spec, bets):
    detector = Detector(bets, 1000.0, minimum_rows=100)
    for rows in (500, 400, 60):  # the last one is pending
        detector.score(world.window(spec, rows))
    other = Detector.from_bytes(bets, state_of(detector))
    assert state_of(other) == state_of(detector)
    window = world.window(spec, 450, x1=world.numeric(np.exp(0.1 * BINS)))
    assert other.score(window) == detector.score(window)
    assert state_of(other) == state_of(detector)


def test_bytes_of_other_bets_or_damaged_ones_are_refused(world, spec, bets):
    data = state_of(Detector(bets, 1000.0))
    other = freeze(spec, CountsState(spec, world.window(spec, 999)))
    with pytest.raises(IncompatibleState):
        Detector.from_bytes(other, data)
    for broken in (b"", data[:30], data[:-3], b"XXXX" + data[4:]):
        with pytest.raises(CorruptState):
            Detector.from_bytes(bets, broken)


def test_false_alarms_are_rarer_than_the_budget(world):
    """With p known, no tolerance and so nothing to spare, P(alarm within T windows) is at most T/A."""
    spec = world.spec(numeric=2, categorical=1)
    bets = freeze(spec, world.huge(spec), tolerance=0.0)
    streams, horizon, threshold = 250, 20, 100.0
    alarms = 0
    for _ in range(streams):
        detector = Detector(bets, threshold)
        alarms += any(detector.score(world.window(spec, 60)).fired for _ in range(horizon))
    bound = horizon / threshold
    assert 0 < alarms / streams <= bound  # measured: well inside, but not idle


def test_cells_that_the_baseline_never_saw_raise_no_false_alarm(world):
    """Edges at the ends of 2000 baseline rows leave out-of-range rates of about 1/m and b = 0: the bound must cover them."""
    fields = 20
    spec = world.spec(numeric=fields, categorical=0)
    alarms = 0
    for _ in range(4):
        rates = world.rng.exponential(1 / 2000, size=(fields, 2))  # what lies beyond the extremes of 2000 rows
        baseline = CountsState(spec, world.counts(spec, {f"x{i}": [198] * 10 + [20, 0, 0, 0] for i in range(fields)}))
        detector = Detector(freeze(spec, baseline), 1000.0)
        live = {f"x{i}": world.numeric(np.ones(10), 0.01, low, high) for i, (low, high) in enumerate(rates)}
        alarms += sum(detector.score(world.window(spec, 500, **live)).fired for _ in range(200))
    assert alarms == 0


CHANGES = {
    "mean up": ({"x2": "up"}, ("x2", "mean up"), 4),
    "spread wider": ({"x1": "wide"}, ("x1", "spread wider"), 4),
    "missing more": ({"x3": "missing"}, ("x3", "missing more"), 3),
    "unit change": ({"x0": "unit"}, ("x0", "below the range"), 1),
    "out of range": ({"x0": "high"}, ("x0", "above the range"), 2),
    "level more": ({"c0": "rare"}, ("c0", "level rare more"), 3),
    "level less": ({"c0": "no blue"}, ("c0", "level blue less"), 3),
    "new level": ({"c0": "new"}, ("c0", "unknown values more"), 2),
}


def changed(world, how):
    return {
        "up": world.numeric(np.exp(0.09 * BINS)),
        "wide": world.numeric(np.exp(0.03 * (BINS - 4.5) ** 2)),
        "missing": world.numeric(np.ones(10), missing=0.06),
        "unit": world.numeric(np.r_[1.0, np.zeros(9)], low=0.9),
        "high": world.numeric(np.ones(10), high=0.06),
        "rare": np.array([0.47, 0.28, 0.17, 0.07, 0.01, 0.0, 0.0, 0.0]),
        "no blue": np.array([0.57, 0.37, 0.04, 0.01, 0.01, 0.0, 0.0, 0.0]),
        "new": np.array([0.46, 0.28, 0.17, 0.01, 0.01, 0.07, 0.0, 0.0]),
    }[how]


@pytest.mark.parametrize("case", CHANGES.values(), ids=CHANGES)
def test_the_alarm_names_the_field_and_the_direction(world, spec, bets, case):
    change, (field, direction), within = case
    detector = Detector(bets, 1000.0)
    for _ in range(20):
        detector.score(world.window(spec, 500))
    live = {name: changed(world, how) for name, how in change.items()}
    verdicts = [detector.score(world.window(spec, 500, **live)) for _ in range(within)]
    fired = next(v for v in verdicts if v.fired)
    assert [(c.field, c.direction) for c in fired.changes] == [(field, direction)]
    assert fired.evidence >= 1.0
    assert fired.fields[field] == max(fired.fields.values())


def test_a_change_that_no_plain_direction_describes_is_a_shape(world):
    """Every second bin fuller: neither the mean nor the spread moves."""
    spec = world.spec(numeric=1, categorical=0)
    windows = world.windows(spec, 60, 500)
    detector = Detector(freeze(spec, CountsState(spec, windows.sum(axis=0)), windows), 1000.0)
    comb = world.numeric(np.where(np.isin(BINS, (0, 3, 5, 6, 9)), 1.5, 0.5))
    verdicts = [detector.score(world.window(spec, 500, x0=comb)) for _ in range(4)]
    fired = next(v for v in verdicts if v.fired)
    assert fired.changes[0].direction == "shape"


def test_several_changed_fields_are_all_named(world, spec, bets):
    detector = Detector(bets, 1000.0)
    live = {"x0": changed(world, "unit"), "x3": changed(world, "unit")}
    verdict = detector.score(world.window(spec, 500, **live))
    assert {c.field for c in verdict.changes} == {"x0", "x3"}


def test_an_alarm_latches_until_it_is_cleared(world, spec, bets):
    detector = Detector(bets, 1000.0)
    broken = world.window(spec, 500, x0=changed(world, "unit"))
    first, second = detector.score(broken), detector.score(broken)
    assert (first.fired, first.opened, first.alarm) == (True, True, True)
    assert (second.fired, second.opened, second.alarm) == (True, False, True)  # it persists, but is no new alarm
    well = detector.score(world.window(spec, 500))
    assert (well.fired, well.alarm) == (False, True)
    detector.clear()
    after = detector.score(world.window(spec, 500))
    assert (after.alarm, after.evidence) == (False, pytest.approx(0.0, abs=0.3))
    assert detector.score(broken).opened


def test_a_gross_change_of_a_large_window_does_not_overflow(world, spec, bets):
    detector = Detector(bets, 1000.0)
    for _ in range(3):
        verdict = detector.score(world.window(spec, 20_000, x0=changed(world, "unit")))
    assert np.isfinite(verdict.evidence)
    assert verdict.evidence > 100.0
    assert all(np.isfinite(v) for v in verdict.fields.values())


def test_a_field_that_goes_missing_is_seen(world, spec, bets):
    gone = np.zeros(14)
    gone[10] = 1.0
    verdict = Detector(bets, 1000.0).score(world.window(spec, 500, x2=gone))
    assert (verdict.changes[0].field, verdict.changes[0].direction) == ("x2", "missing more")


def test_presence_only_fields_and_unwatched_models_are_scored(world):
    spec = Spec(fields=(Field("seen", Role.FEATURE, Kind.PRESENCE),))
    present = world.counts(spec, {"seen": [500, 0, 0, 0, 0]})
    absent = world.counts(spec, {"seen": [0, 500, 0, 0, 0]})
    detector = Detector(freeze(spec, CountsState(spec, 10 * present)), 1000.0)
    assert not any(detector.score(present).fired for _ in range(50))
    assert detector.score(absent).changes[0].direction == "missing more"
    nothing = Detector(freeze(spec, CountsState(spec)), 1000.0).score(present)
    assert (nothing.scored, nothing.evidence, nothing.alarm) == (True, 0.0, False)


def test_counts_that_do_not_hold_the_stated_rows_are_refused(world, spec, bets):
    with pytest.raises(ValueError, match="hold 500 rows, not 400"):
        Detector(bets, 1000.0).score(world.window(spec, 500), 400)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.0}, {"threshold": float("inf")}, {"threshold": 9.0, "minimum_rows": 0}]
)
def test_detectors_that_could_only_cry_wolf_are_refused(bets, wrong):
    with pytest.raises(ValueError, match="must be"):
        Detector(bets, **wrong)


def test_a_model_that_was_silent_for_a_year_goes_on_as_if_it_had_not_been(world, spec, bets):
    """Neither the silence nor the return is evidence, and a change that came meanwhile is found as soon as ever."""
    away, never = Detector(bets, 1000.0), Detector(bets, 1000.0)
    before = world.windows(spec, 30, 500)
    silence = np.zeros(spec.cells, dtype=np.int64)
    for window in before:
        assert away.score(window) == never.score(window)
    assert not any(away.score(silence).fired for _ in range(8760))
    returned = [world.window(spec, rows) for rows in (1, 3, 12, 40, 500, 500, 500)]  # traffic comes back slowly
    assert [away.score(w) for w in returned] == [never.score(w) for w in returned]
    assert not away.alarm
    for _ in range(5):
        away.score(world.window(spec, 500, x1=changed(world, "up")))
    assert away.alarm


def test_a_window_on_hold_was_never_there(world, spec, bets):
    windows = world.windows(spec, 20, 300)
    held, plain = Detector(bets, 1000.0), Detector(bets, 1000.0)
    for i, window in enumerate(windows):
        before = state_of(held)
        if i % 3 == 1:
            verdict = held.score(5 * window, hold=True)
            assert (verdict.scored, verdict.rows, verdict.fired) == (False, 0, False)
            assert state_of(held) == before
        held.score(window)
        plain.score(window)
    assert state_of(held) == state_of(plain)


def test_a_standing_alarm_stays_while_windows_are_held(world, spec, bets):
    detector = Detector(bets, 10.0)
    up = world.numeric(np.exp(0.3 * BINS))
    assert any(detector.score(world.window(spec, 300, x1=up)).opened for _ in range(10))
    assert detector.score(world.window(spec, 300), hold=True).alarm
