"""Points: one pure function from a snapshot to series: complete, finite, unique, capped."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from snapshots import CREDIT, NOW_NS, credit_model, new_model, snapshot

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config import ExportConfig
from calidris.engine.snapshot import Snapshot
from calidris.export import Point, points
from calidris.metrics import Status, reading

LEVELS = ("minimal", "standard", "full")


def of(found: tuple[Point, ...], metric: semconv.Metric, **wanted: str) -> list[Point]:
    pairs = {getattr(semconv, name): value for name, value in wanted.items()}
    return [p for p in found if p.metric is metric and pairs.items() <= p.attributes.items()]


def names(found: tuple[Point, ...]) -> list[tuple[str, frozenset[tuple[str, str]]]]:
    return [(p.metric.name, frozenset(p.attributes.items())) for p in found]


@pytest.mark.parametrize("level", LEVELS)
def test_points_are_finite_and_no_two_are_one_series(level: str) -> None:
    found = points(snapshot(), ExportConfig(series=level))
    assert all(math.isfinite(p.value) for p in found)
    assert Counter(names(found)).most_common(1)[0][1] == 1


def test_full_has_every_reading_with_a_value_and_its_bounds() -> None:
    model = credit_model()
    found = points(snapshot(), ExportConfig(series="full"))
    for r in model.readings:
        mine = (
            [p for p in of(found, r.metric, ML_MODEL_NAME="credit") if p.attributes[semconv.ML_WINDOW] == r.window]
            if r.value is not None
            else []
        )
        exact = [
            p
            for p in mine
            if set(r.attributes) <= set(p.attributes.items()) and len(p.attributes) == 3 + len(r.attributes)
        ]
        assert [p.value for p in exact] == ([r.value] if r.value is not None else [])
    brier = {"ML_WINDOW": "1h", "ML_CALIBRATION_MEASURE": "brier"}
    lower, value, upper = (
        of(found, m, **brier)[0].value
        for m in (
            semconv.METRIC_ML_CALIBRATION_SCORE_LOWER,
            semconv.METRIC_ML_CALIBRATION_SCORE,
            semconv.METRIC_ML_CALIBRATION_SCORE_UPPER,
        )
    )
    assert lower < value < upper


def test_unknown_figures_are_absent_and_the_status_says_so() -> None:
    found = [
        p for p in points(snapshot(), ExportConfig(series="full")) if p.attributes.get(semconv.ML_MODEL_NAME) == "churn"
    ]
    assert not [p for p in found if p.metric is semconv.METRIC_ML_DRIFT_SCORE]
    (status,) = of(tuple(found), semconv.METRIC_ML_MONITORING_STATUS)
    assert (status.value, status.attributes[semconv.ML_MONITORING_STATE]) == (1.0, "learning")


def test_levels_contain_each_other_and_do_what_they_say() -> None:
    minimal, standard, full = (points(snapshot(), ExportConfig(series=level)) for level in LEVELS)
    assert set(names(minimal)) < set(names(standard)) < set(names(full))
    with_feature = [p for p in minimal if semconv.ML_FEATURE_NAME in p.attributes]
    assert {p.metric for p in with_feature} == {semconv.METRIC_ML_DETECTION_EVIDENCE}
    top = {p.attributes[semconv.ML_FEATURE_NAME] for p in with_feature if p.attributes[semconv.ML_WINDOW] == "1h"}
    assert len(top) == 5 and {"income", "utilisation", "country"} <= top
    drift = of(standard, semconv.METRIC_ML_DRIFT_SCORE)
    assert {p.attributes[semconv.ML_DRIFT_MEASURE] for p in drift} == {"psi_debiased"}
    assert {p.attributes[semconv.ML_WINDOW] for p in drift} == {"5m", "1h"}  # the windows that are scored, not 1d


def test_alarms_are_counted_from_zero_and_latched_ones_show_even_without_a_reading() -> None:
    found = points(snapshot(), ExportConfig())
    assert [p.value for p in of(found, semconv.METRIC_ML_DETECTION_ALARMS, ML_WINDOW="1h")] == [2.0]
    assert [p.value for p in of(found, semconv.METRIC_ML_DETECTION_ALARMS, ML_WINDOW="5m")] == [0.0]
    hourly = of(found, semconv.METRIC_ML_DETECTION_ALARM, ML_WINDOW="1h")
    assert by_level(hourly) == {"early": 1.0, "strong": 0.0}
    silent = replace(snapshot(), models=(new_model(CREDIT),))
    told = of(points(silent, ExportConfig()), semconv.METRIC_ML_DETECTION_ALARM)
    assert by_level(told) == {"early": 1.0, "strong": 0.0}
    cleared = replace(silent, latched=frozenset())
    over = of(points(cleared, ExportConfig()), semconv.METRIC_ML_DETECTION_ALARM)
    assert by_level(over) == {"early": 0.0, "strong": 0.0}


def by_level(found: list[Point]) -> dict[str, float]:
    assert {p.attributes[semconv.ML_DETECTION_SEVERITY] for p in found} == {"ticket"}
    return {p.attributes[semconv.ML_DETECTION_LEVEL]: p.value for p in found}


def test_cap_leaves_out_the_least_important_deterministically_and_counts_them() -> None:
    config = ExportConfig(series="full", max_series_per_model=40)
    full = points(snapshot(), ExportConfig(series="full"))
    capped = points(snapshot(), config)
    assert names(capped) == names(points(snapshot(), config))
    credit = [p for p in capped if p.attributes.get(semconv.ML_MODEL_NAME) == "credit"]
    assert len(credit) == 40
    assert of(capped, semconv.METRIC_ML_DETECTION_ALARM) and of(capped, semconv.METRIC_ML_MONITORING_STATUS)
    (dropped,) = of(capped, semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED)
    assert dropped.value == len(full) - len(capped) > 0


def test_caps_of_a_tenant_and_of_all_keep_what_matters_most_of_every_model() -> None:
    (one,) = (m for m in snapshot().models if m.key.name == "credit")
    keys = [ModelKey(tenant, f"credit {i}", "1") for tenant in ("a", "b", "b", "b") for i in range(5)]
    crowd = replace(snapshot(), models=tuple(replace(one, key=key) for key in dict.fromkeys(keys)))
    full = points(crowd, ExportConfig(series="full"))

    def kept(**caps: int) -> tuple[Counter[str], float]:
        found = points(crowd, ExportConfig(series="full", **caps))
        (dropped,) = of(found, semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED)
        assert len(found) + dropped.value == len(full)
        shown = [p for p in found if p.metric is semconv.METRIC_ML_MONITORING_STATUS]
        assert len(shown) == 10, "a model went dark"
        names = [p.attributes[semconv.ML_MODEL_NAME] for p in found if semconv.ML_MODEL_NAME in p.attributes]
        return Counter(name.partition("/")[0] for name in names), dropped.value

    assert kept(max_series_per_tenant=100)[0] == {"a": 100, "b": 100}
    assert sum(kept(max_series=150)[0].values()) == 150
    assert kept()[1] == 0


def test_counters_of_engine_and_program_add_up_and_silent_ones_stand_at_zero() -> None:
    late, requests = semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS
    health = {late.name: 3, requests.name: {"ok": 5, "full": 1}, semconv.METRIC_CALIDRIS_QUEUE_SIZE.name: 12.0}
    found = points(snapshot(), ExportConfig(), {**health, "calidris.nonsense": 1}, start_ns=7)
    assert [(p.value, p.start_ns) for p in of(found, late)] == [(20.0, 7)]
    assert {p.attributes[semconv.CALIDRIS_REASON]: p.value for p in of(found, requests)} == {"ok": 5.0, "full": 1.0}
    assert [(p.value, p.start_ns) for p in of(found, semconv.METRIC_CALIDRIS_QUEUE_SIZE)] == [(12.0, 0)]
    assert [p.value for p in of(found, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW)] == [0.0]
    assert [p.value for p in of(found, semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED)] == [1.0]
    assert not of(found, semconv.METRIC_CALIDRIS_JOURNAL_SIZE)  # a size that nobody told is not 0
    assert not of(
        points(snapshot(), ExportConfig(), {semconv.METRIC_CALIDRIS_JOURNAL_SIZE.name: math.nan}),
        semconv.METRIC_CALIDRIS_JOURNAL_SIZE,
    )


def test_models_of_two_tenants_with_one_name_stay_apart() -> None:
    twins = Snapshot(
        NOW_NS, tuple(new_model(ModelKey(tenant, "credit", "7"), rows=n) for tenant, n in (("default", 1), ("acme", 2)))
    )
    found = of(points(twins, ExportConfig()), semconv.METRIC_ML_RECEIVED_ROWS)
    assert {p.attributes[semconv.ML_MODEL_NAME]: p.value for p in found} == {"credit": 1.0, "acme/credit": 2.0}
    assert [p.attributes.get(semconv.CALIDRIS_TENANT) for p in found] == [None, "acme"]


def shown(*keys: tuple[str, str]) -> list[str]:
    models = tuple(new_model(ModelKey(tenant, name, "7")) for tenant, name in keys)
    found = of(points(Snapshot(NOW_NS, models), ExportConfig()), semconv.METRIC_ML_RECEIVED_ROWS)
    return [p.attributes[semconv.ML_MODEL_NAME] for p in found]


def test_no_name_of_one_tenant_can_be_taken_for_another_tenants() -> None:
    """Boards and rules go by the name, and the default tenant may call a model as it likes."""
    assert shown(("default", "acme/credit"), ("default", "org/model")) == ["acme/credit", "org/model"]
    mixed = [("default", n) for n in ("acme/credit", "default/acme/credit", "org/model", "acme")]
    mixed += [("acme", n) for n in ("credit", "acme/credit")]
    assert shown(*mixed) == [
        "default/acme/credit",
        "default/default/acme/credit",
        "org/model",
        "default/acme",
        "acme/credit",
        "acme/acme/credit",
    ]


def test_a_reading_told_twice_gives_one_series() -> None:
    model = new_model(CREDIT)
    twice = replace(model, readings=(*model.readings, reading(semconv.METRIC_ML_WINDOW_ROWS, 9, 9, window="5m")))
    found = points(Snapshot(NOW_NS, (twice,)), ExportConfig())
    assert [p.value for p in of(found, semconv.METRIC_ML_WINDOW_ROWS)] == [31.0]


def test_lone_surrogates_do_not_reach_an_encoder() -> None:
    found = points(Snapshot(NOW_NS, (new_model(ModelKey("default", "a\ud800b", "1"), Status.OK),)), ExportConfig())
    assert {p.attributes[semconv.ML_MODEL_NAME] for p in found if len(p.attributes) > 1} == {"a?b"}


def test_an_empty_receiver_has_only_its_own_health() -> None:
    found = points(Snapshot(NOW_NS), ExportConfig())
    assert {p.metric.name.partition(".")[0] for p in found} == {"calidris"}
