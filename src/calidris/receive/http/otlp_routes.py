"""The paths of OTLP/HTTP: what is decided before a body is read, and what is done with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from calidris.access import TenantOf
from calidris.errors import MalformedRequest
from calidris.receive.admission import UnknownPath, WrongMethod, refusal_of
from calidris.receive.http import otlp_json
from calidris.receive.http.decompression import JSON, PROTOBUF, content_type_of, encoding_of, restored, too_large
from calidris.receive.http.request_response import Head, Job, Reply, json_reply, message_reply, refusal_reply
from calidris.receive.intake import Answer, Intake

_SIGNALS: Final = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_HEALTH: Final = ("/healthz", "/readyz")
_SUCCESS: Final = {PROTOBUF: Reply(200, b"", PROTOBUF), JSON: Reply(200, b"{}")}

Take = Callable[[int], None]


class Routes:
    """Answers requests. ``open`` belongs to the event loop and takes microseconds; the jobs belong to worker threads.

    Args:
        intake: what takes the traces in.
        max_message_bytes: bound of a body, as sent and once decompressed.
        tenant_of: the tenant of an Authorization header (None without one); raises what ``refusal_of`` knows. It is
            asked before a body is read, on the event loop, so it must not block.
        ready: what ``/readyz`` says.
        about: why it says so.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        max_message_bytes: int,
        tenant_of: TenantOf,
        ready: Callable[[], bool],
        about: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._intake = intake
        self._counters = intake.counters
        self._max_bytes = max_message_bytes
        self._tenant_of = tenant_of
        self._ready = ready
        self._about = about
        # As in Intake: threads that fight for the interpreter while they parse cost more than threads that queue. It
        # also bounds the memory of parsed JSON to one request's.
        self._parsing = threading.Lock()

    def open(self, head: Head) -> Job | Reply:
        """What to do with a request, or its answer if it needs no body.

        Raises:
            CalidrisError: it is refused for its head alone; ``refuse`` says how to answer.
        """
        if head.path in _HEALTH:
            return self._health(head)
        signal = _SIGNALS.get(head.path)
        if signal is None:
            raise UnknownPath("there is nothing here; POST OTLP to /v1/traces, /v1/metrics or /v1/logs")
        if head.method != "POST":
            raise WrongMethod(f"POST OTLP to {head.path}")
        tenant = self._tenant_of(head.headers.get("authorization"))
        content_type = content_type_of(head.header("content-type"))
        encoding = encoding_of(head.header("content-encoding"))
        length = head.header("content-length")
        if length and int(length) > self._max_bytes:  # digits only: the parser refused anything else
            raise too_large(self._max_bytes)
        self._counters.add("begun", signal)
        return Job(tenant, self._max_bytes, partial(self._run, signal, content_type, encoding, tenant))

    def refuse(self, error: Exception, head: Head) -> Reply:
        """The answer to a request that failed; counts it."""
        refusal = refusal_of(error)
        self._counters.add("requests", refusal.reason)
        stated = head.header("content-type").partition(";")[0].strip().lower()
        return refusal_reply(refusal, PROTOBUF if stated == PROTOBUF else JSON)

    def _run(
        self, signal: str, content_type: str, encoding: str, tenant: str, parts: list[bytes | bytearray], take: Take
    ) -> Reply:
        raw = restored(parts, encoding, self._max_bytes, take)
        if signal == "traces":
            return _success(self._intake.accept(self._protobuf(raw, content_type), tenant), content_type)
        self._check(raw, content_type)
        self._counters.add("requests", signal)
        return _SUCCESS[content_type]

    def _protobuf(self, raw: bytes, content_type: str) -> bytes:
        """What the journal keeps: protobuf, so that a replay knows one form."""
        if content_type == PROTOBUF:
            return raw
        with self._parsing:
            return otlp_json.traces_to_protobuf(raw)

    def _check(self, raw: bytes, content_type: str) -> None:
        """Refuse what is plainly no OTLP; the rest is forgotten, so its insides do not matter."""
        with self._parsing:
            if content_type == JSON:
                otlp_json.parse(raw)
                return
            try:
                Empty.FromString(raw)  # everything is an unknown field to it: one pass, no objects
            except DecodeError:
                raise MalformedRequest("the body is no protobuf") from None

    def _health(self, head: Head) -> Reply:
        if head.method not in ("GET", "HEAD"):
            raise WrongMethod(f"GET {head.path}")
        if self._intake.failed:
            return json_reply(503, {"status": "failed"})
        if head.path == "/healthz":
            return json_reply(200, {"status": "ok"})
        ready = self._ready()
        return json_reply(200 if ready else 503, {"status": "ready" if ready else "not ready", **self._about()})


def _success(answer: Answer, content_type: str) -> Reply:
    if not answer.rejected and not answer.message:
        return _SUCCESS[content_type]
    response: Any = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = answer.rejected
    response.partial_success.error_message = answer.message
    return message_reply(200, response, content_type)
