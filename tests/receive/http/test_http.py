"""OTLP/HTTP as its senders see it: real requests over loopback, beside gRPC on the same intake."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from calidris.errors import ConfigError, PermanentError, RetryableError
from calidris.receive.admission import refusal_of
from calidris.receive.http.otlp_server import HttpReceiver

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
MODEL_JSON = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"predict","attributes":[{"key":"ml.model.name","value":{"stringValue":"credit"}}]}]}]}]}'


Http = Any
MakeHttp = Callable[..., Any]


def status_of(answer: httpx.Response) -> Any:
    """The body as a google.rpc.Status."""
    assert answer.headers["content-type"] == PROTOBUF["Content-Type"]
    return status_pb2.Status.FromString(answer.content)


def test_a_model_request_is_durable_decoded_and_handed_on(http: Http) -> None:
    raw = http.bench.request("predict credit")
    answer = http.post(raw)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "application/x-protobuf")
    (received,) = http.bench.taken()
    (record,) = http.bench.journal.replay(0)
    assert (record.seq, record.tenant, record.payload) == (1, "default", raw)
    received.release()
    assert http.bench.admission.used_bytes == 0
    assert http.bench.counts() == {"ok": 1} and http.bench.counts("begun") == {"traces": 1}


def test_json_is_kept_as_protobuf(http: Http) -> None:
    answer = http.post(MODEL_JSON, headers={"Content-Type": "application/json; charset=utf-8"})
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (200, {}, "application/json")
    (record,) = http.bench.journal.replay(0)
    assert record.payload == http.bench.request("predict")


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
def test_requests_without_model_telemetry_do_not_touch_the_disk(http: Http, headers: dict[str, str]) -> None:
    protobuf = headers is PROTOBUF
    body = http.bench.request("GET /", model=False) if protobuf else MODEL_JSON.replace(b"ml.model.name", b"color")
    assert http.post(body, headers=headers).status_code == 200
    assert http.post(b"" if protobuf else b"{}", headers=headers).status_code == 200
    assert http.bench.journal.last_seq == 0 and http.bench.counts() == {"no_model": 2}


@pytest.mark.parametrize(
    ("encoding", "packed"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_encodings(http: Http, encoding: str, packed: Callable[[bytes], bytes]) -> None:
    raw = http.bench.request(*["predict"] * 1000)
    assert http.post(packed(raw), headers={**PROTOBUF, "Content-Encoding": encoding}).status_code == 200
    (record,) = http.bench.journal.replay(0)
    assert record.payload == raw


def test_partial_success(http: Http) -> None:
    answer = http.post(http.bench.request("predict", "bad_json", "bad_json"))
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans, told.error_message) == (200, 2, "fix it")
    answer = http.post(MODEL_JSON.replace(b'"predict"', b'"bad_count"'), headers=JSON)
    assert answer.json() == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "fix it"}}
    assert http.bench.counts() == {"partial": 2}
    assert http.bench.counts("spans_rejected") == {"bad_json": 2, "bad_count": 1}


def test_a_full_queue_is_throttled_in_header_and_body(make_http: MakeHttp) -> None:
    http = make_http({"max_bytes": 100})
    raw = http.bench.request("predict", "predict")
    http.post(raw)
    answer = http.post(raw)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
    status, retry = status_of(answer), error_details_pb2.RetryInfo()
    assert status.code == 14 and status.details[0].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.8
    answer = http.post(MODEL_JSON, headers=JSON)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
    (detail,) = answer.json()["details"]
    assert detail == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.800s"}
    assert http.bench.counts() == {"ok": 1, "throttled": 2}
    http.bench.taken()[0].release()
    assert http.post(raw).status_code == 200


def test_a_tenant_comes_from_the_authorization(make_http: MakeHttp) -> None:
    class Unauthorised(PermanentError):
        """Stands for the error of whoever checks."""

    def tenant_of(authorization: str | None) -> str:
        if authorization != "Bearer right":
            raise Unauthorised("no such token")
        return "risk"

    http = make_http(tenant_of=tenant_of)
    raw = http.bench.request("predict")
    assert http.post(raw, headers={**PROTOBUF, "Authorization": "Bearer right"}).status_code == 200
    for headers in (PROTOBUF, {**PROTOBUF, "Authorization": "Bearer wrong"}):
        assert status_of(http.post(raw, headers=headers)).message == "no such token"
    assert [record.tenant for record in http.bench.journal.replay(0)] == ["risk"]


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_other_signals_are_checked_acknowledged_and_counted(http: Http, signal: str) -> None:
    assert http.post(b"\n\x00", f"/v1/{signal}").content == b""
    assert http.post(b'{"resourceMetrics":[]}', f"/v1/{signal}", JSON).json() == {}
    assert http.post(b"\xff", f"/v1/{signal}").status_code == 400
    assert http.post(b"[]", f"/v1/{signal}", JSON).status_code == 400
    assert http.bench.counts() == {signal: 2, "malformed": 2} and http.bench.journal.last_seq == 0


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("POST", "/", 404), ("POST", "/v1/traces/", 404), ("GET", "/v1/traces", 405), ("POST", "/healthz", 405)],
)
def test_wrong_paths_and_methods(http: Http, method: str, path: str, code: int) -> None:
    answer = http.client.request(method, path)
    assert answer.status_code == code and answer.json()["code"] == 12
    assert "POST OTLP to /v1/traces" in answer.json()["message"] or "GET" in answer.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {**PROTOBUF, "Content-Encoding": "zstd"},
        {"Content-Type": "application/grpc"},
    ],
    ids=str,
)
def test_wrong_types_and_encodings(http: Http, headers: dict[str, str]) -> None:
    answer = http.post(b"x", headers=headers)
    assert answer.status_code == 415
    assert http.bench.counts() == {"unsupported": 1}


def test_health(make_http: MakeHttp) -> None:
    ready = False
    http = make_http(ready=lambda: ready, about=lambda: {"why": "asked to stop"})
    assert http.client.get("/healthz").json() == {"status": "ok"}
    answer = http.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "why": "asked to stop"})
    ready = True
    assert http.client.get("/readyz").status_code == http.client.head("/readyz").status_code == 200
    assert http.bench.counts() == {}


def test_a_port_in_use_names_the_key_and_the_cure(http: Http) -> None:
    second = HttpReceiver(f"127.0.0.1:{http.receiver.port}", http.bench.intake)
    with pytest.raises(ConfigError, match=r"receiver\.http\.endpoint: cannot listen on .* set another host:port"):
        second.start()
    second.stop(grace_s=0)


def test_every_reason_is_in_the_page_for_operators() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `calidris.receiver.requests` |"))
    kinds: list[type[Exception]] = [ValueError, PermanentError, RetryableError]
    for kind in kinds:
        if kind is not ValueError:
            kinds += kind.__subclasses__()
        assert f"`{refusal_of(kind('why')).reason}`" in row
    assert "`crowded`" in row and "`stray_grpc`" in row
