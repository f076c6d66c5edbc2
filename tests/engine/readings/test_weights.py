"""Rows by weight at the engine's door: every figure against scikit-learn and numpy with ``sample_weight``, n as Kish's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import (
    BEGIN,
    CLASSES,
    MINUTE,
    Raw,
    base_of,
    cuts_of,
    draw,
    engine_of,
    fed,
    figures,
    one,
    shown,
)

from calidris import semconv
from calidris.batch import Floats, NumberColumn
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.engine.panes.pane import pane_row
from calidris.engine.readings.detail import detailed_readings
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics.base import Reading, Status

ROWS = 2000
WEIGHTS = (1.0, 10.0, 1 / 0.3)


def weights_of(raw: Raw, seed: int = 9) -> Floats:
    """Three strata, one of them more often where the score is low."""
    low = raw.score < np.median(raw.score)
    chosen = np.random.default_rng(seed).integers(0, 3, len(low))
    return np.where(low & (chosen == 0), WEIGHTS[1], np.array(WEIGHTS)[chosen])


def weighted(raw: Raw, weight: Floats) -> Raw:
    return replace(raw, batch=replace(raw.batch, weight=NumberColumn.of(weight)))


def kish(weight: Floats) -> int:
    return round(weight.sum() ** 2 / (weight**2).sum())


def worth(weight: Floats, hit: np.ndarray) -> float:
    """Kish's number of rows, or that by the variance of the weighted share itself where it is smaller."""
    p = np.average(hit, weights=weight)
    varied = (weight**2 * (hit - p) ** 2).sum() / weight.sum() ** 2
    return float(min(exact_kish(weight), p * (1 - p) / varied))


@pytest.fixture(scope="module")
def binary() -> tuple[Raw, Floats, ModelSnapshot]:
    raw = draw("binary", 5, ROWS)
    weight = weights_of(raw)
    return raw, weight, fed("binary", base_of("binary"), weighted(raw, weight))


def test_binary_is_what_scikit_learn_says_of_weighted_rows(binary: tuple[Raw, Floats, ModelSnapshot]) -> None:
    raw, weight, model = binary
    for cut, here in cuts_of(raw):
        truth, decided, w = raw.truth[here] == 1, raw.predicted[here] == "1", weight[here]
        wanted = {
            "accuracy": (sk.accuracy_score(truth, decided, sample_weight=w), truth == decided, truth == truth),
            "precision": (sk.precision_score(truth, decided, sample_weight=w), truth, decided),
            "recall": (sk.recall_score(truth, decided, sample_weight=w), decided, truth),
            "f1": (sk.f1_score(truth, decided, sample_weight=w), truth & decided, truth | decided),
        }
        for measure, (value, hit, behind) in wanted.items():
            found = one(model, measure, cut)
            assert found.value == pytest.approx(value, abs=1e-5), (measure, cut)
            assert found.n == pytest.approx(worth(w[behind], hit[behind]), abs=1), (measure, cut)
            assert found.status is Status.OK
        area = one(model, "roc_auc", cut)
        assert area.value == pytest.approx(sk.roc_auc_score(truth, raw.score[here], sample_weight=w), abs=0.01)
        assert area.lower is not None and area.upper is not None and area.lower < area.value < area.upper


def test_measures_that_are_made_when_asked_are_weighted_too(binary: tuple[Raw, Floats, ModelSnapshot]) -> None:
    raw, weight, model = binary
    truth, decided = raw.truth == 1, raw.predicted == "1"
    found = {
        r.attributes[0][1] if r.metric is semconv.METRIC_ML_CALIBRATION_SCORE else dict(r.attributes)["ml.performance.measure"]: r
        for r in detailed_readings(model)
        if r.window == "1m"
    }  # fmt: skip
    assert found["balanced_accuracy"].value == pytest.approx(
        sk.balanced_accuracy_score(truth, decided, sample_weight=weight), abs=1e-5
    )
    assert found["mcc"].value == pytest.approx(sk.matthews_corrcoef(truth, decided, sample_weight=weight), abs=1e-5)
    assert found["prevalence"].value == pytest.approx(np.average(truth, weights=weight), abs=1e-5)
    precise = sk.average_precision_score(truth, raw.score, sample_weight=weight)
    assert found["average_precision"].value == pytest.approx(precise, abs=0.02)
    ratio = np.average(truth, weights=weight) / np.average(raw.score, weights=weight)
    assert found["observed_to_expected"].value == pytest.approx(ratio, abs=1e-5)


def test_calibration_is_weighted(binary: tuple[Raw, Floats, ModelSnapshot]) -> None:
    raw, weight, model = binary
    (brier,) = calibration(model, "brier")
    (loss,) = calibration(model, "log_loss")
    assert brier.value == pytest.approx(sk.brier_score_loss(raw.truth, raw.score, sample_weight=weight), abs=1e-5)
    assert loss.value == pytest.approx(sk.log_loss(raw.truth, raw.score, sample_weight=weight), abs=1e-5)
    assert brier.n == kish(weight)


def calibration(model: ModelSnapshot, measure: str) -> list[Reading]:
    about = {"ML_CALIBRATION_MEASURE": measure, "ML_LABEL_MATURITY": "arrived"}
    found = figures(model, semconv.METRIC_ML_CALIBRATION_SCORE, **about)
    return [r for r in found if all(k.startswith("ml.") for k, _ in r.attributes)]


def test_several_classes_are_weighted() -> None:
    raw = draw("multiclass", 6, ROWS)
    weight = weights_of(raw)
    model = fed("multiclass", base_of("multiclass"), weighted(raw, weight))
    arguments = (raw.truth, raw.predicted)
    wanted = {
        "accuracy": sk.accuracy_score(*arguments, sample_weight=weight),
        "balanced_accuracy": sk.balanced_accuracy_score(*arguments, sample_weight=weight),
        "macro_f1": sk.f1_score(*arguments, average="macro", sample_weight=weight),
        "weighted_f1": sk.f1_score(*arguments, average="weighted", sample_weight=weight),
    }
    for measure, value in wanted.items():
        assert one(model, measure).value == pytest.approx(value, abs=1e-5)
        assert one(model, measure).n == pytest.approx(kish(weight), abs=1)
    by_class = sk.recall_score(*arguments, labels=CLASSES, average=None, sample_weight=weight)
    for name, value in zip(CLASSES, by_class):
        assert one(model, "recall", ML_PREDICTION_CLASS=name).value == pytest.approx(value, abs=1e-5)


def test_regression_is_weighted() -> None:
    raw = draw("regression", 7, ROWS)
    weight = weights_of(raw)
    model = fed("regression", base_of("regression"), weighted(raw, weight))
    for cut, here in cuts_of(raw):
        truth, said, w = raw.truth[here], raw.predicted[here], weight[here]
        wanted = {
            "mae": sk.mean_absolute_error(truth, said, sample_weight=w),
            "rmse": sk.root_mean_squared_error(truth, said, sample_weight=w),
            "mape": sk.mean_absolute_percentage_error(truth, said, sample_weight=w),
            "bias": np.average(said - truth, weights=w),
            "r_squared": sk.r2_score(truth, said, sample_weight=w),
        }
        for measure, value in wanted.items():
            found = one(model, measure, cut)
            assert found.value == pytest.approx(value, rel=1e-4, abs=1e-4), (measure, cut)
            assert found.n == pytest.approx(kish(w), abs=1)


def test_shares_of_all_rows_are_weighted(binary: tuple[Raw, Floats, ModelSnapshot]) -> None:
    raw, weight, model = binary
    base = base_of("binary")
    (psi,) = [
        r
        for r in figures(model, semconv.METRIC_ML_DRIFT_SCORE, ML_DRIFT_MEASURE="psi")
        if ("ml.feature.name", "y") in r.attributes
    ]
    column = raw.batch.features["y"]
    levels = base.spec.fields[base.spec.index(column_role(), "y") or 0].levels
    shares = np.array([weight[np.array(column.strings()) == level].sum() for level in levels])
    before = base.counts.field(base.spec.index(column_role(), "y") or 0)[: len(levels)]
    assert psi.value == pytest.approx(by_hand(before, shares / shares.sum() * exact_kish(weight)), rel=1e-4)
    assert psi.n == kish(weight)
    (rows,) = figures(model, semconv.METRIC_ML_WINDOW_ROWS)
    assert (rows.value, rows.n) == (ROWS, ROWS), "rows are rows"


def exact_kish(weight: Floats) -> float:
    return float(weight.sum() ** 2 / (weight**2).sum())


def by_hand(before: np.ndarray, now: np.ndarray) -> float:
    """PSI on shares that half a row was added to."""
    p, q = ((c + 0.5) / (c.sum() + len(c) / 2) for c in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def column_role() -> object:
    from calidris.state import Role

    return Role.FEATURE


def test_errors_missing_values_and_latency_are_weighted() -> None:
    raw = draw("binary", 8, ROWS)
    weight = weights_of(raw)
    rng = np.random.default_rng(3)
    gone, failed = rng.random(ROWS) < 0.2, rng.random(ROWS) < 0.1
    x = np.where(gone, np.nan, np.asarray(raw.batch.features["x"].values))
    from calidris.batch import CodedColumn

    features = {**raw.batch.features, "x": NumberColumn.of(x)}
    error = CodedColumn.of(["timeout" if bad else None for bad in failed.tolist()])
    batch = replace(raw.batch, features=features, error=error)
    model = fed("binary", base_of("binary"), weighted(replace(raw, batch=batch), weight))
    (errors,) = figures(model, semconv.METRIC_ML_ERROR_RATIO)
    assert errors.value == pytest.approx(np.average(failed, weights=weight), abs=1e-6)
    missing = figures(model, semconv.METRIC_ML_DATA_QUALITY_RATIO, ML_FEATURE_NAME="x", ML_DATA_QUALITY_KIND="missing")
    assert missing[0].value == pytest.approx(np.average(gone, weights=weight), abs=1e-6)


Change = Callable[[Raw, Floats], Sequence[Raw]]


def engines_fed(*parts: Raw) -> Engine:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    for part in parts:
        engine.apply(journal.request(part.batch, arrival_ns=BEGIN))
    for part in parts:
        engine.apply(journal.request(part.labels(), arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    return engine


def test_rows_before_the_first_weight_count_once() -> None:
    plain, late = draw("binary", 11, 500), draw("binary", 12, 500)
    weight = weights_of(late)
    model = shown(engines_fed(plain, weighted(late, weight)))
    right = np.concatenate([(raw.truth == 1) == (raw.predicted == "1") for raw in (plain, late)])
    both = np.concatenate([np.ones(500), weight])
    assert one(model, "accuracy").value == pytest.approx(np.average(right, weights=both), abs=1e-5)
    assert one(model, "accuracy").n == pytest.approx(worth(both, right), abs=1)
    assert model.weighted


def test_the_order_of_rows_does_not_matter() -> None:
    plain, late = draw("binary", 11, 500), draw("binary", 12, 500)
    some = weighted(late, weights_of(late))
    one_way, other_way = (shown(engines_fed(*parts)) for parts in ((plain, some), (some, plain)))
    assert [r.value for r in one_way.readings] == [r.value for r in other_way.readings]


@pytest.mark.parametrize("weight", [1e-12, 1e300])
def test_weights_that_are_far_out_count_as_the_outermost(weight: float) -> None:
    raw = draw("binary", 13, 500)
    found = np.where(np.arange(500) % 2, weight, 1.0)
    engine = engines_fed(weighted(raw, found))
    inside = np.clip(found, 2.0**-10, 2.0**16)
    right = (raw.truth == 1) == (raw.predicted == "1")
    assert one(shown(engine), "accuracy").n == pytest.approx(worth(inside, right), abs=1)
    assert one(shown(engine), "accuracy").value == pytest.approx(np.average(right, weights=inside), abs=1e-4)
    assert engine.counters["calidris.limits.overflow"]["weights"] == 250


def test_models_without_weights_hold_and_store_nothing_more() -> None:
    """Weights of one are none: bit for bit."""
    raw = draw("binary", 14, 500)
    plain, ones = engines_fed(raw), engines_fed(weighted(raw, np.ones(500)))
    assert digest(plain) == digest(ones)
    (model,) = plain.models.values()
    assert not model.weighted and model.pending.dtype.itemsize == 34 + 2 * 2
    for _, pane in model.panes.every():
        assert pane.weighted is None and pane.labels.weighted is None
        assert len(pane_row(pane)) == 6


def test_a_restart_goes_on_bit_by_bit(restart: Callable[[Engine], Engine]) -> None:
    first, more = draw("binary", 15, 500), draw("binary", 16, 500)
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    records = [
        journal.request(item, arrival_ns=BEGIN)
        for raw in (first, more)
        for item in (weighted(raw, weights_of(raw)).batch, raw.labels())
    ]
    engine.apply(records[0])
    back = restart(engine)
    assert digest(back) == digest(engine)
    for record in (*records[1:], journal.seal(BEGIN + MINUTE)):
        for each in (engine, back):
            each.apply(record)
    assert digest(back) == digest(engine)
    assert shown(back).readings == shown(engine).readings


def test_detection_says_that_it_is_approximate(binary: tuple[Raw, Floats, ModelSnapshot]) -> None:
    _, _, model = binary
    told = [r for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_ALARM]
    assert told and all(r.status is Status.APPROXIMATE for r in told)
