"""Classes that are not kept apart are never taken for one class: before classes are known, and beyond the cap on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, MINUTE, Raw, draw, engine_of, figures, one, shown

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, NumberColumn
from calidris.engine.build_snapshot import ModelSnapshot
from calidris.metrics.base import Status
from calidris.state import Spec
from calidris.state.blocks.groups import MAX_CLASSES

OF_ALL = ("balanced_accuracy", "macro_f1", "weighted_f1")
BY_SEX = ({}, {"sex": "f"}, {"sex": "m"})


def drawn(classes: int, seed: int = 3, n: int = 3000, right: float = 0.4) -> Raw:
    """Rows of a model with so many classes, of which the first ones are the common ones."""
    raw, rng = draw("multiclass", seed, n), np.random.default_rng(seed)
    names = np.array([f"c{k:02d}" for k in range(classes)])
    share = 1 / np.arange(1, classes + 1)
    predicted = rng.choice(names, n, p=share / share.sum())
    truth = np.where(rng.random(n) < right, predicted, rng.choice(names, n, p=share / share.sum()))
    return replace(
        raw, batch=replace(raw.batch, decision=CodedColumn.of(predicted.tolist())), truth=truth, predicted=predicted
    )


def base_of(raw: Raw) -> Baseline:
    columns = BaselineColumns(raw.batch, CodedColumn.of(raw.truth.tolist()), delay_s=np.full(len(raw.truth), 5.0))
    return build(columns, Spec(task="multiclass"), window_s=60.0, slices=("sex", "country"))


def rows_of(raw: Raw, cut: dict[str, str]) -> np.ndarray:
    return raw.sex == cut["sex"] if cut else np.ones(len(raw.truth), bool)


def test_before_classes_are_known_accuracy_is_exact_and_means_are_undefined() -> None:
    raw = drawn(3, n=300, right=2 / 3)
    engine, journal = engine_of("multiclass", None, intersections=[]), Journal()
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    model = shown(engine)
    reading = one(model, "accuracy")
    assert reading.value == pytest.approx(sk.accuracy_score(raw.truth, raw.predicted))
    assert reading.n == 300 and reading.lower is not None and 0.6 < reading.lower < reading.value
    assert {one(model, m).status for m in OF_ALL} == {Status.UNDEFINED}


def test_classes_that_scores_name_are_known_from_the_first_row_on() -> None:
    raw = drawn(3, n=300)
    scores = {name: NumberColumn.of((raw.predicted == name) * 0.6 + 0.2) for name in np.unique(raw.predicted).tolist()}
    engine, journal = engine_of("multiclass", None, intersections=[]), Journal()
    batch = replace(raw.batch, class_scores=scores, score=None, decision=None)
    for item in (batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    model = shown(engine)
    macro = sk.f1_score(raw.truth, raw.predicted, average="macro")
    assert one(model, "macro_f1").value == pytest.approx(macro)


def test_of_many_names_of_scores_no_more_are_kept_than_are_told_apart() -> None:
    """A sender may name a thousand; 1 and 1.0 are one class, and none of them is told twice."""
    raw = drawn(3, n=50)
    column = NumberColumn.of(np.full(50, 0.001))
    names = ["1", "1.0", *(f"n{k:04d}" for k in range(900))]
    engine = engine_of("multiclass", None, intersections=[])
    batch = replace(raw.batch, class_scores=dict.fromkeys(names, column), score=None, decision=None)
    engine.apply(Journal().request(batch, arrival_ns=BEGIN))
    (model,) = engine.models.values()
    classes = model.spec.classes
    assert len(classes) == MAX_CLASSES and classes.count("1") == 1


def test_beyond_the_cap_what_cannot_be_said_is_not_said() -> None:
    raw = drawn(60)
    model = fed_with(raw)
    for cut in BY_SEX:
        truth, said = raw.truth[rows_of(raw, cut)], raw.predicted[rows_of(raw, cut)]
        assert one(model, "accuracy", cut).value == pytest.approx(sk.accuracy_score(truth, said))
        assert {one(model, m, cut).status for m in OF_ALL} == {Status.UNDEFINED}
    # What is told of a class that is kept apart stays exact, and the others are told together, by whether it was the same one.
    recall = sk.recall_score(raw.truth, raw.predicted, average=None, labels=["c00", "c01"])
    found = [one(model, "recall", ML_PREDICTION_CLASS=name).value for name in ("c00", "c01")]
    assert found == pytest.approx(recall.tolist())
    kept = set(names_of(model)) - {"(other)"}
    assert len(kept) == MAX_CLASSES
    rest = ~np.isin(raw.truth, sorted(kept))
    together = one(model, "recall", ML_PREDICTION_CLASS="(other)")
    assert together.value == pytest.approx(np.mean(raw.truth[rest] == raw.predicted[rest]))
    assert together.n == rest.sum()


def test_fairness_beyond_the_cap_compares_what_was_right() -> None:
    raw = drawn(60)
    model = fed_with(raw)
    rates = figures(model, semconv.METRIC_ML_FAIRNESS_RATE, ML_FAIRNESS_MEASURE="accuracy")
    for reading in rates:
        group = dict(reading.attributes).get(semconv.ML_FAIRNESS_GROUP)
        if reading.value is not None and group in ("f", "m"):
            rows = raw.sex == group
            assert reading.value == pytest.approx(sk.accuracy_score(raw.truth[rows], raw.predicted[rows]))
    assert sum(r.value is not None for r in rates) == 2


def test_a_class_that_is_called_other_is_one_of_its_own() -> None:
    raw = drawn(3)
    rename = np.vectorize({"c00": "other", "c01": "b", "c02": "c"}.get)
    truth, predicted = rename(raw.truth), rename(raw.predicted)
    raw = replace(
        raw, truth=truth, predicted=predicted, batch=replace(raw.batch, decision=CodedColumn.of(predicted.tolist()))
    )
    model = fed_with(raw)
    (expected,) = sk.recall_score(truth, predicted, average=None, labels=["other"])
    assert one(model, "recall", ML_PREDICTION_CLASS="other").value == pytest.approx(expected)
    assert names_of(model) == ["b", "c", "other"]
    assert one(model, "weighted_f1").value == pytest.approx(sk.f1_score(truth, predicted, average="weighted"))


def test_labels_of_a_regression_without_a_baseline_are_counted() -> None:
    raw = draw("regression", 7, 400)
    engine, journal = engine_of("regression", None, fairness=None), Journal()
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    (coverage,) = figures(shown(engine), semconv.METRIC_ML_LABEL_COVERAGE)
    assert (coverage.value, coverage.n) == (1.0, 400)


def fed_with(raw: Raw) -> ModelSnapshot:
    engine, journal = engine_of("multiclass", base_of(raw), intersections=[]), Journal()
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    return shown(engine)


def names_of(model: ModelSnapshot) -> list[str]:
    """Classes that figures are given of."""
    found = figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_MEASURE="recall")
    return sorted({dict(r.attributes)[semconv.ML_PREDICTION_CLASS] for r in found})
