"""Two estimators of one class are two models; and answers that can be read once are left alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.instrument.hostile_objects import OBJECTS

import calidris
from calidris import semconv
from calidris.instrument.libraries.sklearn import SklearnInstrumentor
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import internal_errors

RNG = np.random.default_rng(3)
CREDIT = pd.DataFrame(RNG.normal(size=(40, 2)), columns=["income", "age"])
CHURN = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["visits", "days", "spent"])
Y = [0, 1] * 20


@pytest.fixture
def watched(receiver: Any) -> Iterator[Any]:
    SklearnInstrumentor().instrument(skip_dep_check=True)
    yield receiver
    SklearnInstrumentor().uninstrument()


def models(receiver: Any) -> dict[str, tuple[int, set[str]]]:
    """Rows and names of features by model."""
    receiver.settle()
    found: dict[str, tuple[int, set[str]]] = {}
    for span in receiver.spans():
        rows, names = found.get(span["name"], (0, set()))
        count = span[semconv.ML_PREDICTION_COUNT]
        found[span["name"]] = rows + count, names | set(span.get(semconv.ML_FEATURES, {}))
    return found


def fitted(frame: pd.DataFrame, y: Any = Y) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, y)


def test_two_pipelines_of_one_class_are_two_models(watched: Any, caplog: Any) -> None:
    credit, churn = fitted(CREDIT), fitted(CHURN)
    for _ in range(3):
        credit.predict_proba(CREDIT[:2])
        churn.predict_proba(CHURN[:5])
        fitted(CHURN[::-1]).predict(CHURN[:1])  # loaded again
    found = models(watched)
    (own,) = set(found) - {"predict logisticregression"}
    assert found["predict logisticregression"] == (6, {"income", "age"})
    assert found[own] == (18, {"visits", "days", "spent"})
    assert own.startswith("predict logisticregression-") and len(own) == len("predict logisticregression-12345678")
    told = [record.message for record in caplog.records if "another model" in record.message]
    assert len(told) == 1 and "OTEL_CALIDRIS_MODELS" in told[0] and "visits" in told[0]


def test_other_classes_are_another_model_and_one_more_fit_is_not(watched: Any) -> None:
    one = LogisticRegression().fit(CREDIT, Y)
    one.predict(CREDIT[:1])
    one.fit(CREDIT, Y).predict(CREDIT[:1])
    LogisticRegression().fit(CREDIT, ["a", "b"] * 20).predict(CREDIT[:1])
    assert sorted(rows for rows, _ in models(watched).values()) == [1, 2]
    one.fit(CHURN, Y).predict(CHURN[:1])
    assert len(models(watched)) == 3


def test_a_name_for_the_whole_process_is_told_apart_too(receiver: Any) -> None:
    calidris.configure(endpoint=receiver.endpoint, model_name="credit")
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        fitted(CREDIT).predict(CREDIT[:1])
        fitted(CHURN).predict(CHURN[:1])
    finally:
        SklearnInstrumentor().uninstrument()
    found = models(receiver)
    assert found.pop("predict credit") == (1, {"income", "age"})
    assert [names for _, names in found.values()] == [{"visits", "days", "spent"}]


def test_the_file_of_models_names_them_as_the_log_does(
    receiver: Any, caplog: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calidris.configure(endpoint=receiver.endpoint)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    credit, churn = fitted(CREDIT), fitted(CHURN)
    try:
        credit.predict(CREDIT[:1])
        churn.predict(CHURN[:1])
        (line,) = [record.message for record in caplog.records if "another model" in record.message]
        marks = [word.strip('{":') for word in line.split() if '"LogisticRegression-' in word]
        mapping = tmp_path / "models.json"
        mapping.write_text(json.dumps(dict(zip(marks, ({"name": "churn", "version": "2"}, {"name": "credit"})))))
        monkeypatch.setenv("OTEL_CALIDRIS_MODELS", str(mapping))
        calidris.configure(endpoint=receiver.endpoint)
        churn.predict(CHURN[:1])
        credit.predict(CREDIT[:1])
    finally:
        SklearnInstrumentor().uninstrument()
    found = models(receiver)
    assert found["predict churn"] == (1, {"visits", "days", "spent"})
    assert found["predict credit"] == (1, {"income", "age"})


class Answering(ClassifierMixin, BaseEstimator):
    """Somebody's estimator, which answers what it was told to."""

    classes_ = np.array([0, 1])

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    def predict(self, X: Any) -> Any:
        return self.answer

    def predict_proba(self, X: Any) -> Any:
        return self.answer


class Forecasting(RegressorMixin, BaseEstimator):
    answer: Any = None

    def predict(self, X: Any) -> Any:
        return self.answer


class Unfitted(ClassifierMixin, BaseEstimator):
    """Raises at everything that it is asked."""

    def __init__(self, error: type[BaseException] = SystemExit) -> None:
        self.error = error

    @property
    def classes_(self) -> Any:
        raise self.error

    def predict(self, X: Any) -> Any:
        return X


def test_answers_that_can_be_read_once_are_the_applications(watched: Any) -> None:
    for kind in (Answering, Forecasting):
        for method in ("predict", "predict_proba")[: 1 if kind is Forecasting else 2]:
            estimator: Any = kind()
            estimator.answer = stream = (n for n in range(3))
            assert getattr(estimator, method)(itertools.count()) is stream
            assert list(stream) == [0, 1, 2]
    rows = itertools.count()
    Answering([1, 0]).predict(rows)
    assert next(rows) == 0
    assert sum(count for count, _ in models(watched).values()) == 3 + 2


def test_estimators_with_whatever_input_and_output(watched: Any) -> None:
    before = internal_errors()
    made = 0
    for make in OBJECTS.values():
        estimator, forecast = Answering(), Forecasting()
        estimator.answer = forecast.answer = thing = make()
        assert estimator.predict([[0.5, 0.5]]) is thing
        assert estimator.predict_proba([[0.25, 0.5]]) is thing
        assert forecast.predict([[0.5, 0.5]]) is thing
        estimator.answer = [1]
        assert estimator.predict(thing) == [1]
        LogisticRegression().fit(CREDIT, Y).predict(CREDIT[:1])
        made += 1
    assert internal_errors() == before
    found = models(watched)
    assert found["predict logisticregression"] == (made, {"income", "age"})


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_an_estimator_that_cannot_be_asked_is_counted(watched: Any, error: type[BaseException]) -> None:
    assert Unfitted(error).predict("x") == "x"
    assert runtime.drops() == {("", "model_unreadable"): 1}
