"""What senders of any language see: bad spans, bad bytes, models nobody configured, and the forms of one and the same rows."""

from __future__ import annotations

import math
import time
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from running import CONFIG, Running, labels, rows, until

from calidris.wire import FORMS, encode_labels, encode_predictions

pytestmark = pytest.mark.e2e

CREDIT = {"ml.model.name": "credit", "ml.model.version": "7"}


def value(plain: Any) -> AnyValue:
    """What an SDK makes of a plain value."""
    match plain:
        case bool():
            return AnyValue(bool_value=plain)
        case str():
            return AnyValue(string_value=plain)
        case int():
            return AnyValue(int_value=plain)
        case float():
            return AnyValue(double_value=plain)
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(v) for v in plain]))
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=value(v)) for k, v in plain.items()]))


def request(*spans: dict[str, Any]) -> bytes:
    """A request of one span for each dictionary of attributes."""
    made = [
        Span(
            name="predict",
            start_time_unix_nano=time.time_ns(),
            attributes=[KeyValue(key=k, value=value(v)) for k, v in attributes.items()],
        )
        for attributes in spans
    ]
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.extend(made)
    return message.SerializeToString()


def test_bad_spans_cost_their_neighbours_nothing(receiver: Running) -> None:
    good = {**CREDIT, "ml.prediction.score": 0.5, "ml.features": {"age": 40.0}}
    raw = request(
        good,
        {"ml.prediction.score": 0.5},
        {**CREDIT, "ml.prediction.count": 3, "ml.prediction.score": [0.1, 0.2]},
        {**CREDIT, "ml.prediction.count": 2, "ml.features": {"age": [40.0, "old"]}},
        {**CREDIT, "ml.prediction.score": 1.5},
        {**CREDIT, "ml.features": {"age": math.nan, "income": math.inf}},
        good,
    )
    partial = ExportTraceServiceResponse.FromString(receiver.export(raw)).partial_success
    assert partial.rejected_spans == 4
    assert "set ml.model.name on the span" in partial.error_message and "and 1 more" in partial.error_message
    until(lambda: receiver.model()["rows"] == 3)
    reasons = ("missing_model_name", "unequal_length", "wrong_type", "score_out_of_range")
    spans = "calidris_receiver_spans_rejected_total"
    assert [receiver.total(spans, calidris_reason=reason) for reason in reasons] == [1, 1, 1, 1]
    assert receiver.total("calidris_receiver_requests_total", calidris_reason="partial") == 1
    assert receiver.total("calidris_receiver_values_non_finite_total") == 1


@pytest.mark.parametrize("raw", [b"\xff not OTLP", b"\xff ml.model.name"])
def test_bytes_that_are_no_request_are_refused_for_good(receiver: Running, raw: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        receiver.export(raw)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    until(lambda: receiver.total("calidris_receiver_requests_total", calidris_reason="malformed") == 1)
    receiver.export(encode_predictions(rows(10, seed=1), form="packed", one_span_per_row=False))
    until(lambda: receiver.model()["rows"] == 10)


def test_a_model_that_nobody_configured(receiver: Running) -> None:
    """Seen at once with what can be said without a baseline; a provisional one is learned, and nothing ever alarms."""
    few = rows(100, seed=1, name="new")
    receiver.export(encode_predictions(few, form="json", one_span_per_row=True))
    receiver.export(encode_labels(labels(few)))
    receiver.export(request({"ml.model.name": "new", "ml.model.version": "7", "error.type": "Timeout"}))
    until(lambda: receiver.model("new")["rows"] == 101)
    assert receiver.model("new")["status"] == "no_baseline"
    assert receiver.model("new")["labels"] == 100
    told = {"ml_model_name": "new", "ml_window": "5m"}
    assert receiver.total("ml_window_rows", **told) == 101
    assert receiver.total("ml_error_ratio", **told) == pytest.approx(1 / 101)
    names = {name for name, has in receiver.metrics() if told.items() <= dict(has).items()}
    assert {"ml_latency_duration_seconds", "ml_performance_score", "ml_label_coverage"} <= names
    quality = [r for r in receiver.get("/v1/models/new/7/readings") if r["metric"] == "ml.data_quality.ratio"]
    assert {r["attributes"]["ml.feature.name"]: r["value"] for r in quality if r["window"] == "5m"} == {
        "age": pytest.approx(1 / 101),
        "country": pytest.approx(1 / 101),
        "income": pytest.approx(1 / 101),
    }


def test_a_provisional_baseline_is_learned_and_never_alarms(make_receiver: Any) -> None:
    windows = "models: [{name: new, windows: [1s, 10s], detect: {windows: [1s], false_alarms: 1 per hour}}]\n"
    receiver: Running = make_receiver(CONFIG + windows).start()

    def send(seed: int, scale: float = 1.0) -> None:
        batch = rows(300, seed=seed, name="new")
        batch.features["age"].values[:] *= scale  # type: ignore[union-attr]
        receiver.export(encode_predictions(batch, form="packed", one_span_per_row=False))

    send(1), send(2)
    until(lambda: receiver.model("new")["status"] == "provisional")
    for seed in range(3, 23):
        send(seed, scale=100.0)
        time.sleep(0.2)
    until(lambda: any(point["rows"] for point in receiver.model("new")["history"][-2:]))
    until(lambda: receiver.model("new")["rows"] == 22 * 300)
    assert receiver.get("/v1/alarms") == []
    assert receiver.total("ml_detection_alarm", ml_model_name="new") == 0


def test_the_forms_of_one_batch_give_equal_figures(receiver: Running) -> None:
    """Scalars, arrays, packed bytes, JSON strings, one row a span or many: every figure is the same."""
    now = time.time_ns()
    kinds = [(form, single) for form in FORMS for single in (True, False) if (form, single) != ("attributes", False)]
    for number, (form, single) in enumerate(kinds):
        batch = rows(200, seed=5, name=f"m{number}", time_ns=now)
        receiver.export(encode_predictions(batch, form=form, one_span_per_row=single))
        receiver.export(encode_labels(labels(batch)))
    names = [f"m{number}" for number in range(len(kinds))]
    until(lambda: [receiver.model(name)["labels"] for name in names] == [200] * len(names))
    figures = [receiver.get(f"/v1/models/{name}/7/readings") for name in names]
    assert [reading["metric"] for reading in figures[0]].count("ml.data_quality.ratio") > 5
    for kind, found in zip(kinds, figures, strict=True):
        assert found == figures[0], kind


def test_plain_attributes_of_another_sdk(receiver: Running) -> None:
    """What a Java or Go service sets by hand: scalars, arrays, a JSON string; ints where others send doubles."""
    plain = {**CREDIT, "ml.prediction.score": 0.5, "ml.prediction.id": "a", "ml.features": {"age": 40, "ok": True}}
    dotted = {
        **CREDIT,
        "ml.prediction.score": 1,
        "ml.prediction.id": "b",
        "ml.features.age": 41.5,
        "ml.features.ok": False,
    }
    text = {**CREDIT, "ml.prediction.score": 0.25, "ml.prediction.id": "c", "ml.features": '{"age": 42, "ok": true}'}
    several = {
        **CREDIT,
        "ml.prediction.count": 2,
        "ml.prediction.score": [0.5, 0.75],
        "ml.prediction.id": ["d", "e"],
        "ml.features": '{"age": [43, null], "ok": [true, false]}',
    }
    assert receiver.export(request(plain, dotted, text, several)) == b""
    feedback = {"ml.model.name": "credit", "ml.prediction.id": ["a", "b", "c", "d", "e"], "ml.label": [1, 1, 0, 0, 1]}
    assert receiver.export(request({**feedback, "ml.prediction.count": 5})) == b""
    until(lambda: receiver.model()["labels"] == 5)
    assert receiver.model()["rows"] == 5
    quality = [r for r in receiver.get("/v1/models/credit/7/readings") if r["metric"] == "ml.data_quality.ratio"]
    assert {r["attributes"]["ml.feature.name"]: r["value"] for r in quality if r["window"] == "5m"} == {
        "age": pytest.approx(1 / 5),
        "ok": 0.0,
    }
