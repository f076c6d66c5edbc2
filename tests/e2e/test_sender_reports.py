"""A service's report of what it dropped, through gRPC into a real receiver, to /metrics, status and over kill -9."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from running import CALIDRIS, Running, environment, rows, until

from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e

DROPPED, WITHHELD = "ml_inference_dropped_total", "ml_inference_withheld_total"


def counts(plain: dict[str, int]) -> AnyValue:
    pairs = [KeyValue(key=key, value=AnyValue(int_value=n)) for key, n in plain.items()]
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


def report(model: str, dropped: dict[str, int], withheld: dict[str, int], span_id: bytes) -> Span:
    """As the SDK writes it."""
    attributes = [
        KeyValue(key="ml.prediction.count", value=AnyValue(int_value=0)),
        KeyValue(key="ml.report.rows_dropped", value=counts(dropped)),
        KeyValue(key="ml.report.values_withheld", value=counts(withheld)),
    ]
    if model:
        attributes.append(KeyValue(key="ml.model.name", value=AnyValue(string_value=model)))
    now = time.time_ns()
    fields = {"start_time_unix_nano": now, "end_time_unix_nano": now}
    return Span(name=f"report {model}".strip(), trace_id=b"t" * 16, span_id=span_id, attributes=attributes, **fields)


def request(*spans: Span) -> bytes:
    """Reports behind some predictions, as the SDK sends them."""
    batch = rows(20, seed=spans[0].span_id[0])
    message = ExportTraceServiceRequest.FromString(encode_predictions(batch, form="packed", one_span_per_row=False))
    message.resource_spans.add().scope_spans.add().spans.extend(spans)
    return message.SerializeToString()


def told_of(receiver: Running) -> dict[tuple[str, str, str], float]:
    """Metric, model and reason to value."""
    return {
        (name, dict(labels).get("ml_model_name", ""), dict(labels)["calidris_reason"]): value
        for (name, labels), value in receiver.metrics().items()
        if name in (DROPPED, WITHHELD)
    }


def test_what_a_sender_dropped_is_counted_once_and_stays(receiver: Running) -> None:
    first = request(report("credit", {"queue_full": 1234}, {"not_a_number": 3}, b"1" * 8))
    again = request(report("credit", {"queue_full": 1234}, {}, b"1" * 8), report("", {"exit": 7}, {}, b"2" * 8))
    for raw in (first, first, again):
        receiver.export(raw)
    expected = {
        (DROPPED, "credit", "queue_full"): 1234.0,
        (WITHHELD, "credit", "not_a_number"): 3.0,
        (DROPPED, "", "exit"): 7.0,
    }
    until(lambda: told_of(receiver) == expected)
    receiver.kill()
    receiver.start()  # from the journal, and what a checkpoint held by then
    receiver.export(first)
    until(lambda: receiver.total("calidris_lag_records") == 0 and told_of(receiver) == expected)
    assert receiver.terminate() == 0
    receiver.start()  # from the checkpoint alone
    until(lambda: told_of(receiver) == expected)
    receiver.export(request(report("stranger", {"queue_full": 1}, {}, b"3" * 8)))
    until(lambda: told_of(receiver).get((DROPPED, "stranger", "queue_full")) == 1)
    assert [model["name"] for model in receiver.status()["models"]] == ["credit"]
    assert receiver.total("calidris_receiver_spans_rejected_total") == 0

    command = [*CALIDRIS, "status", "--once", "--endpoint", receiver.api]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment() | {"COLUMNS": "120"})
    assert (
        "credit: sender dropped 1,234 rows and labels: queue_full, and withheld 3 values: not_a_number" in shown.stdout
    )
    assert "of no model: sender dropped 7 rows and labels: exit" in shown.stdout


def test_a_report_by_hand_over_http(receiver: Running) -> None:
    """As a shell or any SDK writes it: JSON, the map as a string or as an OTLP map whose ints are strings."""
    counts = [{"key": "exit", "value": {"intValue": "3"}}]
    maps = [{"stringValue": '{"queue_full": 512}'}, {"kvlistValue": {"values": counts}}]
    spans = [
        {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": f"eee19b7ec3c1b17{n}",
            "name": "report credit",
            "startTimeUnixNano": str(time.time_ns()),
            "attributes": [
                {"key": "ml.model.name", "value": {"stringValue": "credit"}},
                {"key": "ml.prediction.count", "value": {"intValue": "0"}},
                {"key": "ml.report.rows_dropped", "value": told},
            ],
        }
        for n, told in enumerate(maps)
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    answer = httpx.post(f"{receiver.http}/v1/traces", json=body, timeout=10, trust_env=False)
    assert answer.status_code == 200 and not answer.json().get("partialSuccess")
    expected = {(DROPPED, "credit", "queue_full"): 512.0, (DROPPED, "credit", "exit"): 3.0}
    until(lambda: told_of(receiver) == expected)


SERVICE = """
import calidris
model = calidris.Model("shop", features=["age", "job"], version="3")
with model.predict(features={"age": 41, "job": "a text that stays"}) as p:
    p.score = 7.0
model.record_batch([[1.0, 2.0]] * 4, [0.5])
model.record_labels(["a", "b"], [None, 1])
print(calidris.flush(20))
"""


def test_what_the_sdk_drops_and_withholds_arrives(receiver: Running) -> None:
    """In a service of its own: nothing that was given and did not leave is silent at the receiver."""
    settings = environment() | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}"}
    done = subprocess.run([sys.executable, "-c", SERVICE], env=settings, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"
    assert "4 of shop dropped: malformed" in done.stderr
    expected = {
        (DROPPED, "shop", "malformed"): 4.0,
        (DROPPED, "shop", "missing_label"): 1.0,
        (WITHHELD, "shop", "string_feature"): 1.0,
        (WITHHELD, "shop", "score_out_of_range"): 1.0,
    }
    until(lambda: told_of(receiver) == expected)
