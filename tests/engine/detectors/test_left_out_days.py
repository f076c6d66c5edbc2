"""The replay of a baseline's own days: quiet where days are alike, and it names the feature and the day that are not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from tests.engine.conftest import KEY, SECOND, START

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.baseline.replayed import Replayed
from calidris.batch import CodedColumn, Floats, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Detector, Slot
from calidris.detect.calendar import DAY_NS
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.detectors.left_out_days import PLAYS, replay_left_out_days
from calidris.engine.detectors.recipes import recipe
from calidris.engine.standing.replays import describe_replays
from calidris.state import Spec

HOUR = 3600 * SECOND
FIRST = START // DAY_NS * DAY_NS
DAYS, ROWS = 10, 60
CONFIG = ModelConfig.model_validate({"name": "credit", "windows": ["1h"], "detect": {"windows": ["1h"]}})


def rows_of(
    days: int, shift: dict[int, float], failed: dict[int, float], wrong: dict[int, float]
) -> tuple[PredictionBatch, Floats]:
    """Days of an hour a window; some of them with another mean, more errors, worse answers."""
    rng = np.random.default_rng(days)
    n = days * 24 * ROWS
    hour = np.repeat(np.arange(days * 24), ROWS)
    day = hour // 24
    logit = rng.normal(size=n)
    score = 1 / (1 + np.exp(-logit))
    outcome = (rng.random(n) < score) ^ (rng.random(n) < np.array([wrong.get(d, 0.0) for d in range(days)])[day])
    failing = rng.random(n) < np.array([failed.get(d, 0.01) for d in range(days)])[day]
    batch = PredictionBatch(
        model=KEY,
        event_time_ns=FIRST + hour * HOUR + np.sort(rng.integers(0, HOUR, n)),
        features={
            "age": NumberColumn.of(rng.normal(size=n) + np.array([shift.get(d, 0.0) for d in range(days)])[day]),
            "x": NumberColumn.of(rng.normal(size=n)),
        },
        score=NumberColumn.of(score),
        duration_s=NumberColumn.of(rng.lognormal(size=n)),
        error=CodedColumn.of([("timeout" if f else None) for f in failing]),
    )
    return batch, outcome.astype(np.float64)


def base_of(
    shift: dict[int, float] | None = None,
    failed: dict[int, float] | None = None,
    wrong: dict[int, float] | None = None,
    days: int = DAYS,
) -> Baseline:
    batch, outcome = rows_of(days, shift or {}, failed or {}, wrong or {})
    columns = BaselineColumns(batch, NumberColumn.of(outcome), delay_s=np.full(len(batch), 60.0))
    return build(columns, Spec(positive="1"), window_s=3600.0)


@pytest.fixture(scope="module")
def quiet() -> Baseline:
    return base_of()


def replayed(base: Baseline, config: ModelConfig = CONFIG) -> dict[str, Replayed]:
    said: list[str] = []
    found = replay_left_out_days(base, config, said.append)
    assert all(line.startswith("replaying ") and line.endswith(", of") for line in said)
    assert len(said) == sum(one.days for one in found)
    return {one.kind: one for one in found}


def test_days_that_are_alike_raise_nothing(quiet: Baseline) -> None:
    found = replayed(quiet)
    assert set(found) == {"labels", "drift", "performance", "errors", "latency", "calibration"}
    assert {one.alarms for one in found.values()} == {0}
    assert all((one.days, one.of_days, one.windows) == (DAYS, DAYS, 24 * DAYS) for one in found.values())
    (said,) = describe_replays(tuple(found.values()))
    assert said.startswith("no alarm on 10 of its 10 days") and "at most 109 a year of each kind" in said
    shorter = replace(found["drift"], days=3, window="5m")
    (said,) = describe_replays((shorter, *found.values()))
    assert said.startswith(
        "no alarm on any day that was replayed, 3 of its 10 days at the fewest (drift on 5m windows), each"
    )


def test_a_day_that_is_another_one_is_found_with_what_is_other(quiet: Baseline) -> None:
    found = replayed(base_of(shift={6: 1.0}, failed={3: 0.2}, wrong={8: 0.5}))
    loud = {kind: (one.dates, [name for name, _ in one.features][:1]) for kind, one in found.items() if one.alarms}
    dates = {kind: {date for date in days} for kind, (days, _) in loud.items()}
    assert dates["drift"] == {day_name(6)} and loud["drift"][1] == ["age"]
    assert dates["errors"] == {day_name(3)}
    assert day_name(8) in dates["performance"] | dates.get("calibration", set())
    said = " ".join(describe_replays(tuple(found.values())))
    assert f"by 'age', on {day_name(6)}" in said or f"'age' {found['drift'].features[0][1]} times" in said
    assert "detect.tolerance" in said and "leave their rows out" in said
    # In the baseline that it is part of, the same day raises nothing: that is why it is left out.
    base = base_of(shift={6: 1.0})
    made = recipe(slot := Slot(Alert.DRIFT, 3600.0), CONFIG, base)
    assert made is not None and made.spread is not None
    detector = Detector(made.game(made.spread, made.days), budget_of(CONFIG).threshold(slot))
    assert not any(detector.score(window).fired for window in made.spread)


def day_name(day: int) -> str:
    return str(np.datetime64(FIRST + day * DAY_NS, "ns").astype("datetime64[D]"))


def test_without_a_day_a_baseline_is_one_that_was_built_without_it(quiet: Baseline) -> None:
    batch, outcome = rows_of(DAYS, {}, {}, {})
    there = (batch.event_time_ns - FIRST) // DAY_NS != 4
    columns = BaselineColumns(batch, NumberColumn.of(outcome), delay_s=np.full(len(batch), 60.0))
    fresh = build(columns.take(there), Spec(positive="1"), window_s=3600.0)
    left = quiet.leave_out((quiet.window_starts - FIRST) // DAY_NS == 4)
    assert left.rows == fresh.rows == quiet.rows - 24 * ROWS
    assert left.labels.count == fresh.labels.count and len(left.window_labels) == len(left.windows) == 24 * (DAYS - 1)
    # Whatever was learned of the rows stays as it was: the same spec, of which the counts are those of the rows that are left.
    assert left.spec.hash == quiet.spec.hash
    assert np.array_equal(left.counts.array, left.windows.sum(axis=0, dtype=np.int64))
    for state, whole in zip(left.labels.all, quiet.labels.all):
        assert (state.array >= 0).all() and (state.array <= whole.array).all()
    assert np.array_equal(left.labels.groups.array.sum(), fresh.labels.groups.array.sum())


def test_a_weekday_that_differs_is_named_with_its_cure() -> None:
    one = Replayed("drift", "1h", "frozen", 2, 14, 28, 336, 1.4, (("age", 2),), ("2026-11-01", "2026-11-08"))
    (said,) = describe_replays((one,))
    assert (
        "about 52 false alarms a year: by 'age' 2 times, on 2026-11-01, 2026-11-08. All of them are on Sundays" in said
    )
    assert "references: [frozen, hour_of_week]" in said


@pytest.mark.parametrize(("alarms", "days"), [(0, 28), (3, 14)])
def test_rates_are_those_of_poisson_counts(alarms: int, days: int) -> None:
    one = Replayed("drift", "1h", "frozen", alarms, days, days, 24 * days, 0.5)
    assert one.per_year == pytest.approx(365.25 * alarms / days)
    exact = stats.chi2.ppf(0.95, 2 * alarms + 2) / 2 / days * 365.25
    assert one.at_most_per_year == pytest.approx(exact)
    assert Replayed.from_json(one.to_json()) == one


def test_what_takes_too_long_or_is_too_short_is_not_replayed(quiet: Baseline, monkeypatch: pytest.MonkeyPatch) -> None:
    assert replayed(base_of(days=6)) == {}
    timeless = replace(quiet, window_starts=quiet.window_starts[:0], windows=quiet.windows[:0], window_labels=())
    assert replayed(timeless) == {}
    monkeypatch.setattr("calidris.engine.detectors.left_out_days.PLAYS", 2 * 24 * DAYS * 4)
    some = replayed(quiet)
    assert {(one.days, one.of_days) for one in some.values()} == {(4, DAYS)}
    monkeypatch.setattr("calidris.engine.detectors.left_out_days.PLAYS", 2 * 24 * DAYS * 2)
    assert replayed(quiet) == {}
    assert math.isclose(PLAYS, 20_000)


def test_it_is_kept_in_the_file_and_is_no_part_of_the_id(quiet: Baseline) -> None:
    one = Replayed("drift", "1h", "frozen", 1, 10, 10, 240, 1.2, (("age", 1),), ("2027-01-15",))
    kept = replace(quiet, left_out=(one,))
    again = Baseline.from_bytes(kept.to_bytes())
    assert again.left_out == (one,) and again.id == quiet.id
    assert Baseline.from_bytes(quiet.to_bytes()).left_out == ()
