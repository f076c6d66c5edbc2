"""scikit-learn, real, through a real receiver."""

from __future__ import annotations

import importlib.util
import inspect
import json
import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from scipy import sparse
from sklearn import base, set_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, StackingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators

import calidris
from calidris import semconv
from calidris.instrument.libraries.sklearn import NOT_PREDICTING, PREDICTING, SklearnInstrumentor
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import is_inside

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
Y3 = np.array(["low", "mid", "high"])[(X[:, 0] > -0.5).astype(int) + (X[:, 0] > 0.5)]


@pytest.fixture
def watched(receiver: Any) -> Iterator[Any]:
    SklearnInstrumentor().instrument(skip_dep_check=True)
    yield receiver
    SklearnInstrumentor().uninstrument()


def predictions(receiver: Any) -> list[dict[str, Any]]:
    assert calidris.flush()
    return [span for span in receiver.spans() if span["name"].startswith("predict ")]


def one(receiver: Any) -> dict[str, Any]:
    (span,) = predictions(receiver)
    return span


def by_class(model: Any, probabilities: Any) -> dict[str, list[float]]:
    """Each class's column under the class's own name, whichever comes first."""
    names = [str(name).lower() for name in model.classes_]  # true and false as JSON and other languages spell them
    return {name: probabilities[:, at].tolist() for at, name in enumerate(names)}


def test_binary_probabilities(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y)
    proba = model.predict_proba(X[:5])
    span = one(watched)
    assert span["name"] == "predict logisticregression"
    assert span[semconv.ML_MODEL_VERSION] == "unknown"
    assert span[semconv.ML_MODEL_TASK] == "binary"
    assert span[semconv.ML_PREDICTION_COUNT] == 5
    assert span[semconv.ML_PREDICTION_SCORE] == by_class(model, proba)
    assert span[semconv.ML_FEATURES] == {f"x{at}": X[:5, at].tolist() for at in range(3)}
    assert semconv.ML_PREDICTION_CLASS not in span
    assert len(set(span[semconv.ML_PREDICTION_DURATION])) == 1


@pytest.mark.parametrize("words", [("no", "yes"), ("yes", "no"), (False, True)])
def test_names_of_two_classes_travel_with_their_probabilities(watched: Any, words: tuple[Any, Any]) -> None:
    """Who reads them knows which class is the positive one; the order that scikit-learn gives them says nothing."""
    named = np.array(words)[Y]
    model = LogisticRegression().fit(X, named)
    proba = model.predict_proba(X[:4])
    assert one(watched)[semconv.ML_PREDICTION_SCORE] == by_class(model, proba)


def test_several_classes(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y3)
    proba = model.predict_proba(X[:4])
    span = one(watched)
    assert span[semconv.ML_MODEL_TASK] == "multiclass"
    assert span[semconv.ML_PREDICTION_SCORE] == {c: proba[:, at].tolist() for at, c in enumerate(model.classes_)}
    assert span[semconv.ML_PREDICTION_CLASS] == model.classes_[proba.argmax(axis=1)].tolist()


def test_a_regression(watched: Any) -> None:
    values = GradientBoostingRegressor(n_estimators=3).fit(X, X[:, 0]).predict(X[:4])
    span = one(watched)
    assert span[semconv.ML_MODEL_TASK] == "regression"
    assert span[semconv.ML_PREDICTION_VALUE] == values.tolist()
    assert semconv.ML_PREDICTION_SCORE not in span


def test_a_regression_that_returns_more(watched: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean, std = GaussianProcessRegressor().fit(X[:9], X[:9, 0]).predict(X[:4], return_std=True)
    assert one(watched)[semconv.ML_PREDICTION_VALUE] == pytest.approx(mean.tolist())
    assert len(std) == 4


@pytest.mark.parametrize("order", [("predict", "predict_proba"), ("predict_proba", "predict")])
@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize("data", [X[:2], X[:2].tolist(), pd.DataFrame(X[:2], columns=["a", "b", "c"])])
def test_class_and_probability_of_one_input_are_one_prediction(
    watched: Any, order: tuple[str, str], traced: bool, data: Any
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fitted without names
        model = RandomForestClassifier(5, random_state=1).fit(X, Y)
        tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("t")
        if traced:
            with tracer.start_as_current_span("request"):
                results = {name: getattr(model, name)(data) for name in order}
        else:
            results = {name: getattr(model, name)(data) for name in order}
    ids = calidris.last_prediction_ids()
    span = one(watched)
    assert span[semconv.ML_PREDICTION_COUNT] == 2 == len(ids)
    assert span[semconv.ML_PREDICTION_SCORE] == by_class(model, results["predict_proba"])
    assert span[semconv.ML_PREDICTION_CLASS] == results["predict"].tolist()


def test_other_inputs_spans_models_and_repetitions_are_other_predictions(watched: Any) -> None:
    model, other = LogisticRegression().fit(X, Y), LogisticRegression(C=2).fit(X, Y)
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("t")
    reused = X[:1].copy()
    model.predict(reused)
    reused[:] = 0
    model.predict_proba(reused)  # the same object with other content
    other.predict(reused)
    other.predict(reused)  # asked twice
    with tracer.start_as_current_span("request"):
        other.predict_proba(reused)
    assert sum(span[semconv.ML_PREDICTION_COUNT] for span in predictions(watched)) == 5


def test_only_the_outermost_call_counts(watched: Any) -> None:
    forest = RandomForestClassifier(5, n_jobs=2).fit(X, Y)  # its trees answer in other threads
    pipe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack = StackingClassifier([("f", forest), ("l", LogisticRegression())], cv=2).fit(X, Y)
    calibrated = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, Y)
    search = GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2).fit(X, Y)
    for rows, model in enumerate((forest, pipe, stack, calibrated, search), 1):
        model.predict(X[:rows])
    counts = {span["name"]: span[semconv.ML_PREDICTION_COUNT] for span in predictions(watched)}
    assert counts == {
        "predict randomforestclassifier": 1,
        "predict logisticregression": 2 + 5,
        "predict stackingclassifier": 3,
        "predict calibratedclassifiercv": 4,
    }


def test_fitting_scoring_and_cross_validation_are_no_predictions(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y)
    model.score(X, Y)
    get_scorer("roc_auc")(model, X, Y)
    cross_val_score(model, X, Y, cv=2, n_jobs=2)
    cross_val_predict(model, X, Y, cv=2)
    KMeans(2, n_init=1).fit(X).predict(X)
    assert predictions(watched) == []
    assert calidris.last_prediction_ids() == ()


def test_margins_say_the_class_and_no_probability(watched: Any) -> None:
    model = LinearSVC().fit(X, Y)
    margins = model.decision_function(X[:6])
    model.predict(X[:6])
    span = one(watched)
    assert semconv.ML_PREDICTION_SCORE not in span
    assert span[semconv.ML_PREDICTION_CLASS] == (margins > 0).astype(int).tolist()


def test_log_probabilities_are_probabilities(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y)
    logs = model.predict_log_proba(X[:3])
    assert one(watched)[semconv.ML_PREDICTION_SCORE] == by_class(model, np.exp(logs))


def test_several_outputs_at_once_are_rows_without_an_answer(watched: Any) -> None:
    model = MultiOutputClassifier(LogisticRegression()).fit(X, np.column_stack([Y, 1 - Y]))
    model.predict(X[:3])
    model.predict_proba(X[:3])
    span = one(watched)
    assert span[semconv.ML_PREDICTION_COUNT] == 3
    assert semconv.ML_PREDICTION_CLASS not in span
    assert semconv.ML_PREDICTION_SCORE not in span


def test_names_come_from_the_frame_then_from_the_fit(watched: Any) -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = LogisticRegression().fit(frame, Y)
    model.predict(frame[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.predict(X[1:2])
        model.predict(sparse.csr_matrix(X[2:3]))
    span = one(watched)
    assert span[semconv.ML_FEATURES] == {name: X[:3, at].tolist() for at, name in enumerate("abc")}


def test_an_input_too_large_to_copy_is_recorded_without_features(watched: Any) -> None:
    wide = sparse.random(4, 5000, density=0.01, format="csr", random_state=1)
    LogisticRegression().fit(wide, [0, 1, 0, 1]).predict(wide)
    span = one(watched)
    assert span[semconv.ML_PREDICTION_COUNT] == 4
    assert semconv.ML_FEATURES not in span
    assert runtime.notes()["features_not_copied", "logisticregression"] == 1


def test_exceptions_are_theirs_and_recorded(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y)
    with pytest.raises(ValueError, match="3 features"):
        model.predict(np.ones((2, 7)))
    with pytest.raises(TypeError):
        model.predict()
    span = one(watched)
    assert span[semconv.ML_PREDICTION_ERROR] == ["ValueError", "ValueError"]


def test_the_manual_interface_wins_over_the_library(watched: Any) -> None:
    model = LogisticRegression().fit(X, Y)
    credit = calidris.Model("credit", version="7")
    with credit.predict(features=X[0], id="r") as p:
        p.score = model.predict_proba(X[:1])[0, 1]
    assert one(watched)["name"] == "predict credit"


def test_results_and_estimators_are_what_they_were(receiver: Any) -> None:
    models = [
        LogisticRegression().fit(X, Y),
        Pipeline([("s", StandardScaler()), ("m", RandomForestClassifier(3, random_state=1))]).fit(X, Y3),
        LinearRegression().fit(X.astype(np.float32), X[:, 0].astype(np.float32)),
        SVC().fit(X, Y),
    ]
    data = X[:9].astype(np.float32)
    plain = [m.predict(data) for m in models]
    signatures = [str(inspect.signature(m.predict)) for m in models]
    docs = [m.predict.__doc__ for m in models]
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        for model, before, signature, doc in zip(models, plain, signatures, docs):
            after = model.predict(data)
            assert type(after) is type(before)
            assert after.dtype == before.dtype
            np.testing.assert_array_equal(after, before)
            assert (str(inspect.signature(model.predict)), model.predict.__doc__) == (signature, doc)
            again = pickle.loads(pickle.dumps(model))  # noqa: S301
            np.testing.assert_array_equal(again.predict(data), before)
            assert repr(clone(model)) == repr(clone(again))
            assert pickle.loads(pickle.dumps(model.predict))(data).shape == (9,)  # noqa: S301
        with pytest.raises(AttributeError, match="predict_proba"):
            Pipeline([("m", LinearRegression())]).predict_proba  # noqa: B018
        assert not hasattr(SVC(), "predict_proba") or callable(SVC.predict_proba)
        set_config(enable_metadata_routing=True)
        LogisticRegression().set_fit_request(sample_weight=True).get_metadata_routing()
    finally:
        set_config(enable_metadata_routing=False)
        SklearnInstrumentor().uninstrument()


def attributes_of_all_estimators() -> dict[tuple[type, str], object]:
    kinds = {owner for _, kind in all_estimators() for owner in kind.__mro__[:-1]}
    names = (*PREDICTING, *NOT_PREDICTING, "__init_subclass__")
    return {(kind, name): vars(kind).get(name) for kind in kinds for name in names}


def test_undo_restores_every_attribute_of_every_estimator(receiver: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = attributes_of_all_estimators()
        SklearnInstrumentor().instrument(skip_dep_check=True)
        during = attributes_of_all_estimators()
        SklearnInstrumentor().uninstrument()
        after = attributes_of_all_estimators()
    changed = [key for key, value in before.items() if during[key] is not value]
    assert len(changed) > 100
    assert all(after[key] is value for key, value in before.items())
    assert "__init_subclass__" not in vars(base.BaseEstimator)
    LogisticRegression().fit(X, Y).predict(X)
    assert predictions(receiver) == []


def test_estimators_imported_later_are_watched_too(watched: Any) -> None:
    path = Path(__file__).with_name("late_estimators.py")
    spec = importlib.util.spec_from_file_location("late_estimators", path)
    assert spec is not None and spec.loader is not None
    late = importlib.util.module_from_spec(spec)
    sys.modules["late_estimators"] = late
    try:
        spec.loader.exec_module(late)
        assert late.Majority.predict.__doc__ == "Doc."
        late.Majority().fit(X, Y).predict(X[:3])
        cautious = late.Cautious().fit(X, Y)
        proba = cautious.predict_proba(X[:4])
        counts = {span["name"]: span for span in predictions(watched)}
        assert {name: span[semconv.ML_PREDICTION_COUNT] for name, span in counts.items()} == {
            "predict majority": 3,
            "predict cautious": 4,
        }
        assert counts["predict cautious"][semconv.ML_PREDICTION_SCORE] == by_class(cautious, proba)
        SklearnInstrumentor().uninstrument()
        assert not hasattr(late.Majority.predict, "__wrapped__")
    finally:
        del sys.modules["late_estimators"]
        SklearnInstrumentor().instrument(skip_dep_check=True)


def test_names_and_versions_without_code(receiver: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mapping = tmp_path / "models.json"
    full = f"{LinearRegression.__module__}.LinearRegression"
    mapping.write_text(json.dumps({full: {"name": "price", "version": "3"}}))
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=2.1,service.name=ignored")
    monkeypatch.setenv("OTEL_CALIDRIS_MODELS", str(mapping))
    calidris.configure(endpoint=receiver.endpoint)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        LinearRegression().fit(X, Y).predict(X[:1])
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y).predict(X[:1])
        calidris.flush()
        calidris.configure(endpoint=receiver.endpoint, model_name="credit", model_version="9")
        LogisticRegression().fit(X, Y).predict(X[:1])
    finally:
        SklearnInstrumentor().uninstrument()
    named = {(span["name"], span[semconv.ML_MODEL_VERSION]) for span in predictions(receiver)}
    assert named == {("predict price", "3"), ("predict shop-logisticregression", "2.1"), ("predict credit", "9")}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ('{"Pipeline": {"name": "piped"}}', "has no entry 'LogisticRegression', which is what this model is called by"),
        ('{"LogisticRegression": {"name": "filed", "verion": "7"}}', "there is no 'verion'; an entry has 'name' and 'version'"),
        ("[]", "cannot be used and names nothing: it is no object of entries"),
        ("{", "cannot be used and names nothing"),
        (None, "cannot be used and names nothing"),
    ],
)  # fmt: skip
def test_what_the_mapping_file_cannot_mean_is_told(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    entries: str | None, said: str,
) -> None:  # fmt: skip
    mapping = tmp_path / "models.json"
    if entries is not None:
        mapping.write_text(entries)
    monkeypatch.setenv("OTEL_CALIDRIS_MODELS", str(mapping))
    calidris.configure(endpoint=receiver.endpoint)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y).predict(X[:1])
    finally:
        SklearnInstrumentor().uninstrument()
    (line,) = [message for message in caplog.messages if said in message]
    assert "OTEL_CALIDRIS_MODELS" in line and str(mapping) in line


def test_slices_without_code(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_CALIDRIS_SLICES", "b")
    calidris.configure(endpoint=receiver.endpoint)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        frame = pd.DataFrame({"a": X[:, 0], "b": Y})
        LogisticRegression().fit(frame, Y).predict(frame[:3])
    finally:
        SklearnInstrumentor().uninstrument()
    assert one(receiver)[semconv.ML_SLICES] == {"b": [str(y) for y in Y[:3]]}


def test_ids_are_there_also_without_an_endpoint() -> None:
    SklearnInstrumentor().instrument(skip_dep_check=True)
    try:
        LogisticRegression().fit(X, Y).predict(X[:2])
        assert len(calidris.last_prediction_ids()) == 2
    finally:
        SklearnInstrumentor().uninstrument()


def test_instrument_does_not_raise_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    monkeypatch.setattr("wrapt.register_post_import_hook", lambda *args: 1 / 0)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    SklearnInstrumentor().uninstrument()


def test_predictions_of_generators_that_end_in_any_order_leave_no_guard(watched: Any) -> None:
    """Two streams read side by side: the first to begin is the first to end."""
    model = calidris.Model("stream")

    def stream() -> Any:
        for n in range(3):
            with model.predict(features={"n": n}):
                yield n

    assert list(zip(stream(), stream())) == [(0, 0), (1, 1), (2, 2)]
    assert not is_inside()
