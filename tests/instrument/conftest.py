"""A real receiver in this process, and a guest that starts every test from nothing."""

from __future__ import annotations

import json
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

import calidris
from calidris.instrument import ids
from calidris.instrument.runtime import runtime
from calidris.instrument.sending.not_sent import NotSent

SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Receiver:
    """Captures OTLP requests on a loopback port; `answer` may be a status code or a partial success."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.metadata: list[dict[str, Any]] = []
        self.answer: grpc.StatusCode | ExportTracePartialSuccess | None = None
        self.hangs_s = 0.0
        self.acknowledged: list[bytes] = []
        self.trailers: tuple[tuple[str, bytes], ...] = ()
        self.port = 0
        self._server: grpc.Server | None = None

    def start(self) -> str:
        if self._server is not None:
            return self.endpoint
        handler = grpc.unary_unary_rpc_method_handler(self._export)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(2),
            handlers=[grpc.method_handlers_generic_handler(SERVICE, {"Export": handler})],
            options=[("grpc.so_reuseport", 0)],
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        return self.endpoint

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        time.sleep(self.hangs_s)
        if isinstance(self.answer, grpc.StatusCode):
            context.set_trailing_metadata(self.trailers)
            context.abort(self.answer, "as the test wants")
        self.acknowledged.append(request)
        response = ExportTraceServiceResponse()
        if self.answer is not None:
            response.partial_success.CopyFrom(self.answer)
        return response.SerializeToString()

    def settle(self, timeout_s: float = 30) -> None:
        """Have everything sent, or dropped and counted: nothing waits any more."""
        calidris.flush(timeout_s)
        calidris.flush(timeout_s)  # objects may record when they are read, which is within the first
        assert runtime._buffer is not None
        assert runtime._buffer._unsent() == {}

    def acknowledged_ids(self) -> set[str]:
        """Ids of the predictions in requests that were not refused."""
        spans = [span for span in self.spans(self.acknowledged) if span["name"].startswith("predict")]
        return {one for span in spans for one in strings(span["ml.prediction.id"])}

    def spans(self, requests: list[bytes] | None = None) -> list[dict[str, Any]]:
        """All spans received, flat: name, ids, scope, resource, and the attributes with columns decoded."""
        found = []
        for request in self.requests if requests is None else requests:
            for resource in ExportTraceServiceRequest.FromString(request).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        attributes = {pair.key: decoded(pair.value) for pair in span.attributes}
                        found.append(
                            attributes
                            | {
                                "name": span.name,
                                "span": span,
                                "scope": scope,
                                "resource": {pair.key: decoded(pair.value) for pair in resource.resource.attributes},
                            }
                        )
        return found

    def predictions_and_labels(self) -> list[dict[str, Any]]:
        """The spans without the reports of what was lost."""
        return [span for span in self.spans() if not span["name"].startswith("report")]

    def only(self, name: str) -> dict[str, Any]:
        """The one span of that name."""
        (span,) = [span for span in self.spans() if span["name"] == name]
        return span


def decoded(value: Any) -> Any:
    """An AnyValue as Python; the four kinds of column as lists. Anything that became a string by accident stays one."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [decoded(one) for one in value.array_value.values]
    if kind != "kvlist_value":
        return None if kind is None else getattr(value, kind)
    fields = {pair.key: decoded(pair.value) for pair in value.kvlist_value.values}
    if set(fields) == {"f64"}:
        numbers = struct.unpack(f"<{len(fields['f64']) // 8}d", fields["f64"])
        return [None if math.isnan(number) else number for number in numbers]
    if set(fields) == {"i64"}:
        return list(struct.unpack(f"<{len(fields['i64']) // 8}q", fields["i64"]))
    if set(fields) == {"levels", "codes"}:
        codes = struct.unpack(f"<{len(fields['codes']) // 4}i", fields["codes"])
        return [None if code < 0 else fields["levels"][code] for code in codes]
    return fields


def strings(column: Any) -> list[Any]:
    """A column of different strings: a JSON array in one string, or an OTLP array."""
    return json.loads(column) if isinstance(column, str) else column


@pytest.fixture(name="strings")
def _strings() -> Callable[[Any], list[Any]]:
    return strings


@pytest.fixture(autouse=True)
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside, errors of ours let through, and nothing left behind."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_CALIDRIS_DEBUG_RAISE", "1")
    fresh()
    yield
    runtime.shutdown(0.2)
    fresh()


def fresh() -> None:
    runtime.shutdown(0.2)
    runtime.models.clear()
    runtime.not_sent = NotSent()
    runtime.ready = False
    runtime._warned = False
    runtime.settings = type(runtime.settings)()
    ids.last_call.set(None)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver, and the guest configured to send to it."""
    one = Receiver()
    calidris.configure(endpoint=one.start())
    yield one
    runtime.shutdown(0.2)
    one.stop()


@pytest.fixture
def make_receiver() -> Iterator[Callable[[], Receiver]]:
    """Receivers that the test starts and stops itself."""
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver())
        return made[-1]

    yield make
    runtime.shutdown(0.2)
    for one in made:
        one.stop()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait for something that another thread does."""

    def wait(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "did not happen in time"
            threading.Event().wait(0.01)

    return wait
