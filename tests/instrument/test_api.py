"""The manual interface through a real gRPC receiver."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime

ROW = {"income": 2100.5, "age": 41}


def test_a_prediction_arrives_with_everything_that_was_said(receiver: Any, strings: Any) -> None:
    credit = Model("credit", version="7", task="binary", features=["income", "age"], slices=["country"])
    with credit.predict(features=ROW | {"country": "NL"}, id="r1") as p:
        p.score = 0.93
        p.cls = 1
    with credit.predict(features=[1800, 25], id="r2", slices={"country": "BE"}) as p:
        p.score = 0.25
        p.cls = 0
    assert calidris.flush()
    span = receiver.only("predict credit")
    assert span[semconv.ML_MODEL_NAME] == "credit"
    assert span[semconv.ML_MODEL_VERSION] == "7"
    assert span[semconv.ML_MODEL_TASK] == "binary"
    assert span[semconv.ML_PREDICTION_COUNT] == 2
    assert strings(span[semconv.ML_PREDICTION_ID]) == ["r1", "r2"]
    assert span[semconv.ML_FEATURES] == {"income": [2100.5, 1800.0], "age": [41.0, 25.0]}
    assert span[semconv.ML_SLICES] == {"country": ["NL", "BE"]}
    assert span[semconv.ML_PREDICTION_SCORE] == [0.93, 0.25]
    assert span[semconv.ML_PREDICTION_CLASS] == [1, 0]
    assert all(0 < seconds < 1 for seconds in span[semconv.ML_PREDICTION_DURATION])
    assert semconv.ML_PREDICTION_VALUE not in span
    assert semconv.ML_PREDICTION_ERROR not in span
    assert span["scope"].schema_url == semconv.SCHEMA_URL
    offsets = span[semconv.ML_PREDICTION_TIME_OFFSET]
    assert offsets[0] == 0 <= offsets[1]
    assert span["span"].parent_span_id == b""
    assert span["span"].dropped_attributes_count == 0


@pytest.mark.parametrize("value", [np.bool_(True), np.float32(1), np.int64(1), np.float64(1), True, Decimal(1)])
def test_numbers_of_every_kind_arrive_as_numbers(receiver: Any, value: object) -> None:
    with Model("m", features=["a", "b"]).predict(features={"a": value, "b": 2}) as p:
        p.score = np.float32(0.5)
    assert calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES] == {"a": [1.0], "b": [2.0]}
    assert span[semconv.ML_PREDICTION_SCORE] == [0.5]


def test_a_span_of_one_row_names_its_id_as_an_array(receiver: Any) -> None:
    """A bare string would be a scalar, and a JSON array in a string the id itself."""
    with Model("m").predict(id="only") as p:
        p.value = 3.5
    calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_ID] == ["only"]
    assert span[semconv.ML_PREDICTION_VALUE] == [3.5]


def test_features_need_not_be_declared(receiver: Any) -> None:
    model = Model("m")
    for row in ({"a": 1, "b": 2.5}, {"b": 3, "c": None}, [7, 8], np.array([[9.0, 1.0]])):
        with model.predict(features=row):
            pass
    with model.predict():
        pass
    calidris.flush()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == {
        "a": [1.0, None, None, None, None],
        "b": [2.5, 3.0, None, None, None],
        "c": [None] * 5,
        "x0": [None, None, 7.0, 9.0, None],
        "x1": [None, None, 8.0, 1.0, None],
    }


def test_a_declared_feature_may_be_missing_and_an_undeclared_one_stays_at_home(receiver: Any) -> None:
    model = Model("m", features=["a", "b"], slices=["c"])
    for row in ({"a": 1, "secret": 5}, {"a": 2, "b": 3, "c": "x"}, pd.Series({"a": 4, "b": 5, "c": 6})):
        with model.predict(features=row):
            pass
    calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES] == {"a": [1.0, 2.0, 4.0], "b": [None, 3.0, 5.0]}
    assert span[semconv.ML_SLICES] == {"c": [None, "x", "6"]}


def test_a_row_of_the_wrong_length_is_recorded_without_features(receiver: Any) -> None:
    with Model("m", features=["a", "b"]).predict(features=[1, 2, 3]) as p:
        p.score = 0.5
    calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_SCORE] == [0.5]
    assert span[semconv.ML_FEATURES] == {"a": [None], "b": [None]}
    assert runtime.notes()["features_not_copied", "m"] == 1


def test_what_the_application_changes_afterwards_does_not_arrive(receiver: Any) -> None:
    model, row, X = Model("m"), {"a": 1.0}, np.ones((2, 2))
    with model.predict(features=row):
        row["a"] = 99.0
    Model("batch").record_batch(X, X[:, 0])
    X[:] = 0.0
    calidris.flush()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == {"a": [1.0]}
    assert receiver.only("predict batch")[semconv.ML_FEATURES] == {"x0": [1.0, 1.0], "x1": [1.0, 1.0]}
    assert receiver.only("predict batch")[semconv.ML_PREDICTION_SCORE] == [1.0, 1.0]


def test_an_exception_is_recorded_and_goes_on_untouched(receiver: Any) -> None:
    error = ZeroDivisionError("theirs")
    model = Model("m", features=["a", "b"])
    with pytest.raises(ZeroDivisionError) as raised, model.predict(features={"a": 1, "b": 2}):
        raise error
    assert raised.value is error
    with model.predict(features={"a": 1, "b": 2}) as p:
        p.score = 0.5
    calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_PREDICTION_ERROR] == ["ZeroDivisionError", None]
    assert span[semconv.ML_PREDICTION_SCORE] == [None, 0.5]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (np.array([0.3]), [0.3]),
        ([0.75, 0.25], [0.25]),
        ({"spam": 0.75, "ham": 0.25}, {"spam": [0.75], "ham": [0.25]}),
        (np.array([[0.5, 0.25, 0.25]]), {"a": [0.5], "b": [0.25], "c": [0.25]}),
        (1.5, [None]),
        (1.0000001, [1.0]),
        (1.00009, [1.0]),
        (-0.00009, [0.0]),
        (1.0002, [None]),
    ],
)
def test_scores_in_every_shape(receiver: Any, score: object, expected: object) -> None:
    with Model("m", classes=["a", "b", "c"]).predict() as p:
        p.score = score
    calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_SCORE] == expected


def test_the_decorator_keeps_the_function_as_it_was(receiver: Any) -> None:
    credit = Model("credit", features=["a", "b"])

    @credit.observe
    def score(row: dict[str, float], strict: bool = False) -> float:
        """Doc."""
        if strict:
            raise KeyError("theirs")
        return row["a"]

    assert score({"a": 0.25, "b": 1}) == 0.25
    with pytest.raises(KeyError):
        score(row={"a": 0.5, "b": 1}, strict=True)
    assert score.__doc__ == "Doc."
    assert list(inspect.signature(score).parameters) == ["row", "strict"]
    calidris.flush()
    span = receiver.only("predict credit")
    assert span[semconv.ML_FEATURES]["a"] == [0.25, 0.5]
    assert span[semconv.ML_PREDICTION_SCORE] == [0.25, None]
    assert span[semconv.ML_PREDICTION_ERROR] == [None, "KeyError"]


def test_the_decorator_on_async_functions_methods_and_regressions(receiver: Any) -> None:
    price = Model("price", task="regression", features=["a", "b"])

    class Service:
        @price.observe
        async def ask(self, row: list[float]) -> float:
            await asyncio.sleep(0)
            return sum(row)

    assert inspect.iscoroutinefunction(Service.ask)

    async def all_of_them() -> list[float]:
        return await asyncio.gather(*(Service().ask([n, 1.0]) for n in range(3)))

    assert asyncio.run(all_of_them()) == [1.0, 2.0, 3.0]
    calidris.flush()
    span = receiver.only("predict price")
    assert sorted(span[semconv.ML_PREDICTION_VALUE]) == [1.0, 2.0, 3.0]
    assert sorted(span[semconv.ML_FEATURES]["a"]) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32),
        pd.DataFrame({"a": [1, 3], "b": [2.0, 4.0], "other": ["x", "y"]}),
        [[1, 2], [3, 4]],
        [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
        {"a": [1, 3], "b": np.array([2, 4])},
    ],
)
def test_batches_of_every_kind(receiver: Any, strings: Any, X: object) -> None:
    model = Model("m", task="binary", features=["a", "b"])
    model.record_batch(X, np.array([0.25, 0.75]), ids=["r1", "r2"], classes=np.array([0, 1]), slices={"s": ["u", "v"]})
    assert calidris.last_prediction_ids() == ("r1", "r2")
    calidris.flush()
    span = receiver.only("predict m")
    assert span[semconv.ML_FEATURES] == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert span[semconv.ML_PREDICTION_SCORE] == [0.25, 0.75]
    assert span[semconv.ML_PREDICTION_CLASS] == [0, 1]
    assert span[semconv.ML_SLICES] == {"s": ["u", "v"]}
    assert strings(span[semconv.ML_PREDICTION_ID]) == ["r1", "r2"]


def test_a_large_batch_is_cut_at_512_rows(receiver: Any, strings: Any) -> None:
    Model("m").record_batch(np.arange(2400.0).reshape(1200, 2), np.full((1200, 2), 0.5))
    calidris.flush()
    assert [span[semconv.ML_PREDICTION_COUNT] for span in receiver.spans()] == [512, 512, 176]
    assert [x for span in receiver.spans() for x in span[semconv.ML_FEATURES]["x0"]] == list(np.arange(0.0, 2400.0, 2))
    ids = [one for span in receiver.spans() for one in strings(span[semconv.ML_PREDICTION_ID])]
    assert tuple(ids) == calidris.last_prediction_ids()


def test_a_batch_whose_lengths_disagree_is_dropped_and_counted(receiver: Any) -> None:
    model = Model("m")
    model.record_batch(np.ones((3, 2)), [0.5, 0.5])
    model.record_batch(np.ones((3, 2)), [0.5] * 3, ids=["a"])
    calidris.flush()
    assert receiver.predictions_and_labels() == []
    assert receiver.only("report m")["ml.report.rows_dropped"] == {"malformed": 6}
    assert runtime.drops() == {("m", "malformed"): 6}


def test_labels_follow_their_predictions(receiver: Any, strings: Any) -> None:
    credit = Model("credit")
    calidris.record_label("early", 1, time_ns=5)
    with credit.predict(id="r1") as p:
        p.score = 0.5
    credit.record_label("r1", True)
    credit.record_labels(np.array(["r2", "r3"]), np.array([0, 1]), times_ns=[7, 8])
    credit.record_label("r4", None)
    calidris.flush()
    assert [span["name"] for span in receiver.predictions_and_labels()] == ["predict credit", "feedback credit"]
    span = receiver.only("feedback credit")
    assert span[semconv.ML_PREDICTION_COUNT] == 4
    assert strings(span[semconv.ML_PREDICTION_ID]) == ["early", "r1", "r2", "r3"]
    assert span[semconv.ML_LABEL] == [1, 1, 0, 1]
    assert span[semconv.ML_LABEL_TIME][0] == 5
    assert span[semconv.ML_LABEL_TIME][2:] == [7, 8]
    assert runtime.drops() == {("credit", "missing_label"): 1}


def test_labels_as_strings(receiver: Any) -> None:
    calidris.record_labels(["a", "b"], ["spam", "ham"], model="mail")
    calidris.flush()
    assert receiver.only("feedback mail")[semconv.ML_LABEL] == ["spam", "ham"]


def test_a_label_needs_a_model_that_is_known(receiver: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    calidris.record_label("r", 1)
    Model("one")
    Model("two")
    calidris.record_labels(["r", "s"], [1, 0])
    assert runtime.drops() == {("", "label_without_model"): 3}
    assert not calidris.flush()
    assert caplog.text.count("label without model") == 1
    monkeypatch.setenv("OTEL_CALIDRIS_MODEL_NAME", "three")
    calidris.configure(endpoint=receiver.endpoint)
    calidris.record_label("r", 1)
    calidris.flush()
    assert receiver.only("feedback three")[semconv.ML_LABEL] == [1]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ALWAYS_ON])
def test_ids_come_from_the_active_span_sampled_or_not(receiver: Any, strings: Any, sampler: Any) -> None:
    tracer = TracerProvider(sampler=sampler).get_tracer("t")
    model = Model("m")
    seen: list[str] = []
    with tracer.start_as_current_span("request") as outer:
        for _ in range(2):
            with model.predict():
                seen += calidris.last_prediction_ids()
        model.record_batch(None, [0.5, 0.5])
        seen += calidris.last_prediction_ids()
    context = outer.get_span_context()
    stem = f"{context.trace_id:032x}-{context.span_id:016x}"
    assert seen == [f"{stem}-{row}" for row in range(4)]
    calidris.flush()
    spans = receiver.spans()
    assert [one for span in spans for one in strings(span[semconv.ML_PREDICTION_ID])] == seen
    assert strings(spans[0][semconv.ML_PREDICTION_TRACE_ID]) == [f"{context.trace_id:032x}"] * 2
    assert strings(spans[0][semconv.ML_PREDICTION_SPAN_ID]) == [f"{context.span_id:016x}"] * 2


def test_ids_outside_a_trace_do_not_depend_on_the_applications_seed(receiver: Any) -> None:
    """Two workers that both call random.seed(42) must not send the same span ids: the receiver would drop one as a retry."""
    import random

    ids = set()
    for _ in range(2):
        random.seed(42)
        with Model("m").predict():
            ids |= set(calidris.last_prediction_ids())
        calidris.flush()
    assert len(ids) == 2
    assert len({span["span"].trace_id for span in receiver.spans()}) == 2
    assert semconv.ML_PREDICTION_TRACE_ID not in receiver.spans()[0]


def test_without_an_endpoint_nothing_is_kept_and_one_line_says_how(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    model = Model("m")
    Model("n")
    with model.predict(features=ROW, id="r") as p:
        p.score = 0.5
    model.record_batch([[1]], [0.5])
    calidris.record_label("r", 1)
    assert p.score == 0.5
    assert len(calidris.last_prediction_ids()) == 1
    assert calidris.flush()
    assert not runtime.on
    assert caplog.text.count("OTEL_EXPORTER_CALIDRIS_ENDPOINT") == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "calidris-flush"]


def test_headers_are_sent_and_the_applications_are_not(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret-of-the-backend")
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    calidris.configure(endpoint=receiver.endpoint)
    with Model("model-with-a-long-name").predict(features={"a": 1}):
        pass
    assert calidris.flush()
    assert receiver.metadata[0]["x-tenant"] == "blue"
    assert "authorization" not in receiver.metadata[0]
    span = receiver.only("predict model-with-a-long-name")
    assert span[semconv.ML_MODEL_NAME] == "model-with-a-long-name"
    assert span[semconv.ML_FEATURES] == {"a": [1.0]}


def test_eight_threads_lose_and_double_nothing(receiver: Any, strings: Any) -> None:
    model, tracer = Model("m", features=["a", "b"]), TracerProvider(sampler=ALWAYS_OFF).get_tracer("t")
    with tracer.start_as_current_span("request") as span:
        from opentelemetry.trace import use_span

        def work(thread: int) -> None:
            with use_span(span):
                for n in range(250):
                    with model.predict(features=(thread, n)) as p:
                        p.score = n / 250

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert calidris.flush()
    spans = receiver.spans()
    rows = {pair for s in spans for pair in zip(s[semconv.ML_FEATURES]["a"], s[semconv.ML_FEATURES]["b"])}
    ids = [one for s in spans for one in strings(s[semconv.ML_PREDICTION_ID])]
    assert rows == {(thread, n) for thread in range(8) for n in range(250)}
    assert len(ids) == len(set(ids)) == 2000
    assert runtime.drops() == {}


def test_importing_calidris_imports_nothing_heavy() -> None:
    code = """
import sys, calidris
assert not {"numpy", "grpc", "opentelemetry.sdk", "pandas", "sklearn"} & set(sys.modules)
assert "calidris.instrument.api" not in sys.modules
calidris.Model, calidris.record_label
assert not {"numpy", "grpc", "opentelemetry.sdk", "pandas", "sklearn"} & set(sys.modules), sorted(sys.modules)
assert set(calidris.__all__) <= set(dir(calidris))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_every_public_name_exists() -> None:
    for name in calidris.__all__:
        assert getattr(calidris, name) is not None
    with pytest.raises(AttributeError):
        calidris.nothing  # noqa: B018
