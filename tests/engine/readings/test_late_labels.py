"""Labels that come late, and figures without labels, at the engine's door, against the raw rows that went in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.engine.conftest import SECOND, Journal
from tests.engine.readings.test_readings import (
    BEGIN,
    HOUR,
    KEY,
    MINUTE,
    Raw,
    base_of,
    draw,
    engine_of,
    figures,
    one,
    shown,
)

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Floats
from calidris.engine.core import Engine
from calidris.engine.panes.days import DayPoint, Days
from calidris.engine.readings.day_trend import day_trend_readings, note_day
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics.base import Status

STEP = 5 * MINUTE
WINDOWS = {"windows": ["5m", "1h"], "detect": {"windows": ["5m", "1h"], "label_age": "1h"}, "intersections": []}


@pytest.fixture(scope="module")
def base() -> Baseline:
    return base_of("binary")


def by_threshold(raw: Raw) -> Raw:
    """The same rows without explicit decisions."""
    said = np.where(raw.score >= 0.5, "1", "0")
    return Raw(replace(raw.batch, decision=None), raw.truth, said, raw.score, raw.sex, raw.country)


def run(
    engine: Engine, steps: int, n: int = 200, shift: float = 0.0, slow_s: float = 1200.0
) -> list[tuple[Raw, Floats]]:
    """Steps of traffic, sealed at their ends; positives are four times as late, and labels come when they are due."""
    journal, waiting, out = Journal(), [], []
    for step in range(steps):
        begin = BEGIN + step * STEP
        raw = by_threshold(draw("binary", 100 + step, n, begin, STEP, shift))
        delay = np.random.default_rng(step).exponential(np.where(raw.truth == 1, slow_s, slow_s / 4))
        out.append((raw, delay))
        engine.apply(journal.request(raw.batch, arrival_ns=begin))
        labels = raw.labels(delay)
        waiting += [(int(t), labels, i) for i, t in enumerate(labels.label_time_ns)]
        due = [w for w in waiting if w[0] <= begin + STEP]
        waiting = [w for w in waiting if w[0] > begin + STEP]
        for batch in {id(w[1]): w[1] for w in due}.values():
            rows = [i for _, labels, i in due if labels is batch]
            part = replace(batch, ids=[batch.ids[i] for i in rows], label=batch.label.take(np.array(rows)),
                           label_time_ns=batch.label_time_ns[rows])  # fmt: skip
            engine.apply(journal.request(part, arrival_ns=begin + STEP))
        engine.apply(journal.seal(begin + STEP))
    return out


@pytest.fixture(scope="module")
def told(base: Baseline) -> tuple[ModelSnapshot, list[tuple[Raw, Floats]]]:
    """Three hours of traffic whose labels came late."""
    engine = engine_of("binary", base_of("binary"), **WINDOWS)
    fed = run(engine, 36)
    assert set(engine.counters) <= {"calidris.engine.rows", "calidris.engine.labels"}, "nothing was left out"
    return shown(engine), fed


def test_fixed_age_is_of_the_newest_window_whose_labels_are_of_age(told: tuple[ModelSnapshot, list]) -> None:
    model, fed = told
    for window, steps in (("5m", fed[23:24]), ("1h", fed[12:24])):
        truth = np.concatenate([raw.truth[delay <= 3600] for raw, delay in steps])
        said = np.concatenate([(raw.score >= 0.5)[delay <= 3600] for raw, delay in steps])
        found = one(model, "accuracy", window=window, ML_LABEL_MATURITY="fixed_age")
        assert (found.value, found.n) == (pytest.approx(sk.accuracy_score(truth, said)), len(truth))
        assert found.status is Status.OK


def test_arrived_is_what_has_come_so_far(told: tuple[ModelSnapshot, list]) -> None:
    model, fed = told
    end = BEGIN + 36 * STEP
    here = [(raw, raw.batch.event_time_ns + np.rint(delay * SECOND) <= end) for raw, delay in fed[24:]]
    truth = np.concatenate([raw.truth[known] for raw, known in here])
    said = np.concatenate([(raw.score >= 0.5)[known] for raw, known in here])
    found = one(model, "accuracy", window="1h")
    assert (found.value, found.n) == (pytest.approx(sk.accuracy_score(truth, said)), len(truth))


def test_complete_waits_until_labels_are_in(told: tuple[ModelSnapshot, list]) -> None:
    """Three hours are not six: whether a label takes longer than an hour nobody can know."""
    found = one(told[0], "accuracy", window="1h", ML_LABEL_MATURITY="complete")
    assert (found.status, found.value) == (Status.TOO_FEW, None)


def test_complete_is_of_rows_of_which_nearly_all_labels_are_in(base: Baseline) -> None:
    engine = engine_of("binary", base, windows=["5m", "1h", "12h"], detect={"windows": ["5m"], "label_age": "1h"})
    fed = run(engine, 96, n=100, slow_s=700.0)
    model = shown(engine)
    truth = np.concatenate([raw.truth for raw, _ in fed[72:84]])
    said = np.concatenate([raw.score >= 0.5 for raw, _ in fed[72:84]])
    found = one(model, "accuracy", window="1h", ML_LABEL_MATURITY="complete")
    assert found.status is Status.OK and 0.99 * len(truth) < found.n <= len(truth)
    assert found.value == pytest.approx(sk.accuracy_score(truth, said), abs=0.01)
    assert one(model, "accuracy", window="1h").n < 0.97 * len(truth), "of the newest window labels are missing"


def test_adjusted_figures_make_up_for_what_is_still_to_come(told: tuple[ModelSnapshot, list]) -> None:
    model, fed = told
    truth = np.concatenate([raw.truth for raw, _ in fed[12:24]])
    score = np.concatenate([raw.score for raw, _ in fed[12:24]])
    (brier,) = figures(model, semconv.METRIC_ML_CALIBRATION_SCORE, "1h", ML_CALIBRATION_MEASURE="brier",
                       ML_LABEL_MATURITY="delay_adjusted")  # fmt: skip
    assert brier.lower < sk.brier_score_loss(truth, score) < brier.upper
    assert one(model, "accuracy", window="1h", ML_LABEL_MATURITY="delay_adjusted").value is not None


def test_delays_are_those_of_the_labels(told: tuple[ModelSnapshot, list]) -> None:
    found = figures(told[0], semconv.METRIC_ML_LABEL_DELAY, "1h")
    assert [dict(r.attributes)[semconv.ML_LABEL_DELAY_WITHIN] for r in found] == ["1h"]
    assert found[0].value == 1.0  # of labels that come within the oldest pane's delay buckets


def test_earlier_windows_that_began_before_the_model_are_partial(base: Baseline) -> None:
    engine = engine_of("binary", base, **WINDOWS)
    run(engine, 14)
    hour = one(shown(engine), "accuracy", window="1h", ML_LABEL_MATURITY="fixed_age")
    assert (hour.status, hour.n) == (Status.PARTIAL, hour.n) and 0 < hour.n < 500


def test_estimates_agree_with_labels_under_a_shift_of_who_comes() -> None:
    """A baseline whose decisions are the threshold's; then other rows, whose scores mean the same."""
    base = base_of("binary", threshold=0.3)  # as the rows decide
    engine, journal = engine_of("binary", base, threshold=0.3), Journal()
    raw = draw("binary", 50, 4000, shift=1.0)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    model = shown(engine)
    for measure, tolerance in (
        ("accuracy", 0.02),
        ("precision", 0.02),
        ("recall", 0.02),
        ("f1", 0.02),
        ("roc_auc", 0.03),
    ):
        realised = one(model, measure).value
        (guess,) = figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_SOURCE="estimate",
                           ML_PERFORMANCE_MEASURE=measure)  # fmt: skip
        assert guess.value == pytest.approx(realised, abs=tolerance) and guess.lower < guess.value < guess.upper
        assert semconv.ML_LABEL_MATURITY not in dict(guess.attributes)
    (share,) = figures(model, semconv.METRIC_ML_LABEL_SHARE)
    assert dict(share.attributes) == {semconv.ML_LABEL_CLASS: "1"} and share.lower <= share.value <= share.upper


def test_decisions_that_are_not_the_thresholds_are_not_estimated(base: Baseline) -> None:
    engine, journal = engine_of("binary", base), Journal()
    engine.apply(journal.request(draw("binary", 51, 1000).batch, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    found = figures(shown(engine), semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_SOURCE="estimate")
    assert [dict(r.attributes)[semconv.ML_PERFORMANCE_MEASURE] for r in found] == ["roc_auc"]


def test_an_estimate_that_matured_labels_contradict_is_hidden_and_the_residual_says_why() -> None:
    base = base_of("binary", threshold=0.3)
    engine, journal = engine_of("binary", base, threshold=0.3), Journal()
    raw = draw("binary", 52, 3000)
    wrong = replace(raw, truth=1 - raw.truth)
    for item in (wrong.batch, wrong.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    late = draw("binary", 53, 500, BEGIN + HOUR)
    engine.apply(journal.request(late.batch, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + HOUR + MINUTE))
    model = shown(engine)
    (guess,) = figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_SOURCE="estimate",
                       ML_PERFORMANCE_MEASURE="accuracy")  # fmt: skip
    assert (guess.value, guess.status) == (None, Status.UNDEFINED)
    (residual,) = figures(model, semconv.METRIC_ML_PERFORMANCE_RESIDUAL)
    said = raw.predicted == "1"
    realised = float(np.mean(said == (wrong.truth == 1)))
    assert residual.lower > 0 and residual.value == pytest.approx(
        sk.accuracy_score(raw.truth, said) - realised, abs=0.03
    )


def test_days_add_up_to_points_and_a_trend_whatever_the_seals() -> None:
    day = 24 * HOUR
    start = BEGIN // day * day + day
    found = []
    for seal_every in (1, 4):
        config = {"windows": ["6h"], "detect": {"windows": ["6h"], "label_age": "1h"}, "intersections": []}
        engine, journal, days = engine_of("binary", base_of("binary"), **config), Journal(), Days()
        sealed = 0
        for step in range(4 * 8):
            begin = start + step * 6 * HOUR
            raw = draw("binary", 300 + step, 100 + step, begin, 6 * HOUR)
            for item in (raw.batch, raw.labels()):
                engine.apply(journal.request(item, arrival_ns=begin))
            if step % seal_every == seal_every - 1:
                until = begin + 7 * HOUR + 1
                engine.apply(journal.seal(until))
                note_day(days, engine.models[KEY], sealed, until)
                sealed = until
                days = Days.from_json(days.to_json())
        found.append(days)
    assert found[0].points == found[1].points and len({p.time_s for p in found[0].points}) >= 7
    first = [draw("binary", 300 + step, 100 + step, start + step * 6 * HOUR, 6 * HOUR) for step in range(4)]
    truth = np.concatenate([raw.truth for raw in first])
    said = np.concatenate([raw.predicted == "1" for raw in first])
    accuracy = next(p for p in found[0].points if p.measure == "accuracy")
    assert (accuracy.value, accuracy.time_s) == (
        pytest.approx(sk.accuracy_score(truth, said)),
        (start + day / 2) / SECOND,
    )
    trend = day_trend_readings(found[0], start + 8 * day)
    assert {(r.window, dict(r.attributes)[semconv.ML_TREND_MEASURE]) for r in trend} == {
        (window, measure) for window in ("7d", "28d") for measure in ("accuracy", "brier")
    }
    assert all(r.value is not None and r.lower < r.value < r.upper for r in trend if r.window == "7d")


def test_days_outlive_a_restart(restart: Callable[[Engine], Engine]) -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 60, 200)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + HOUR + 2 * MINUTE))
    days = Days(points=[DayPoint(1.0, "accuracy", 0.9, 0.01)])
    note_day(days, engine.models[KEY], 0, BEGIN + HOUR + 2 * MINUTE)
    assert days.right[0] == 200
    engine.models[KEY].days = days
    back = restart(engine).models[KEY].days
    assert (back.day, back.right, back.scores, back.residuals) == (days.day, days.right, days.scores, days.residuals)
