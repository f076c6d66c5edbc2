"""Packed spans to bytes to the receiver: a tracer provider and a gRPC channel of Calidris' own.

Nothing here is shared with the application: neither the provider, nor its limits, sampler and processors, nor the OTLP
endpoint, headers and certificates of its environment. Requests are serialised once, so that a retry is the same bytes with
the same trace and span ids, by which the receiver recognises it.

This is the only file of the guest that needs the SDK and grpc; it is loaded by the flush thread when there is something to send.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from calidris import semconv
from calidris.instrument import SCOPE, VERSION
from calidris.instrument.columns import Note
from calidris.instrument.ids import random_bits
from calidris.instrument.items import Item
from calidris.instrument.libraries._patch import caught
from calidris.instrument.privacy import Policy
from calidris.instrument.sending.chunks import Chunk, Group, LabelChunk, groups_of
from calidris.instrument.sending.outbox import Drop, Outcome, Request
from calidris.instrument.sending.packing import Attributes, label_attributes, prediction_attributes
from calidris.instrument.settings import GuestSettings

MAX_SPAN_BYTES = 256 * 1024
MAX_REQUEST_BYTES = 2 * 1024 * 1024 - 4096
"""The Collector's default limit is 4 MiB; headers and framing are not ours to count."""

_KEY = re.compile(r"[a-z0-9_.-]{1,100}")
_log = logging.getLogger("calidris")

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# What OTLP lets a client repeat. RESOURCE_EXHAUSTED belongs here only with a RetryInfo: without one the request is too large.
_RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class OwnIds(IdGenerator):
    """Ids that do not depend on the host's ``random.seed``."""

    def generate_span_id(self) -> int:
        """64 random bits, never 0."""
        return random_bits(64)

    def generate_trace_id(self) -> int:
        """128 random bits, never 0."""
        return random_bits(128)

    def is_trace_id_random(self) -> bool:
        """Sets the flag of the same name."""
        return True


class _Collected(SpanProcessor):
    """Keeps the spans that ended, until they are taken."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Encoder:
    """Buffered items to requests: spans of at most 512 rows and 256 KiB, requests below 2 MiB.

    Used by one thread. With ``OTEL_SDK_DISABLED=true`` it encodes nothing.
    """

    def __init__(self, resource: Resource, policy: Policy, note: Note, drop: Drop) -> None:
        limits = SpanLimits(max_span_attributes=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET)
        self._ended = _Collected()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=OwnIds(), span_limits=limits
        )
        self._provider.add_span_processor(self._ended)
        self._tracer = self._provider.get_tracer(SCOPE, VERSION, semconv.SCHEMA_URL)
        self._policy = policy
        self._note = note
        self._drop = drop

    def encode(self, items: Iterable[Item]) -> list[Request]:
        """All items as requests, in order: predictions before labels. What cannot be packed is dropped and counted."""
        requests: list[Request] = []
        for group in groups_of(items):
            self._encode_group(group, requests)
        return requests

    def _encode_group(self, group: Group, requests: list[Request]) -> None:
        left = group.rows
        try:
            for chunk in group.chunks():
                for payload, rows in self._spans(chunk):
                    if not requests or len(requests[-1].payload) + len(payload) > MAX_REQUEST_BYTES:
                        requests.append(Request())
                    requests[-1].add(payload, group.model, rows)
                left -= len(chunk)
        except Exception:
            self._drop(group.model, "internal_error", left)
            caught("packing")

    def _spans(self, chunk: Chunk | LabelChunk) -> list[tuple[bytes, int]]:
        """A chunk as one serialised span and its rows, or as several spans where it is too large for one."""
        payload = self._span(chunk)
        if len(payload) <= MAX_SPAN_BYTES:
            return [(payload, len(chunk))] if payload else []
        if len(chunk) == 1:
            self._drop(chunk.model, "row_too_large", 1)
            return []
        first, second = chunk.halves()
        return [*self._spans(first), *self._spans(second)]

    def _span(self, chunk: Chunk | LabelChunk) -> bytes:
        """One span as a whole request. Joining such requests is joining their bytes: protobuf appends repeated fields."""
        if isinstance(chunk, LabelChunk):
            name, attributes = f"feedback {chunk.model}", label_attributes(chunk)
            start, end = min(chunk.times_ns), max(chunk.times_ns)
        else:
            name = f"predict {chunk.series.name}"
            attributes = prediction_attributes(chunk, self._policy, self._note)
            start, end = _extent(chunk)
        return self._serialise(name, attributes, start, end)

    def _serialise(self, name: str, attributes: Attributes, start_ns: int, end_ns: int) -> bytes:
        span = self._tracer.start_span(name, Context(), trace.SpanKind.INTERNAL, attributes, start_time=start_ns)
        span.end(end_ns)
        ended, self._ended.spans = self._ended.spans, []
        return encode_spans(ended).SerializeToString() if ended else b""


class Channel:
    """Sends serialised requests to one address. Used by one thread.

    A failed call closes the channel: the next attempt connects afresh, instead of waiting out gRPC's own back-off of up to
    two minutes after the receiver is back.
    """

    def __init__(self, settings: GuestSettings) -> None:
        self._settings = settings
        self._secure = not settings.endpoint.startswith("http://") and "://" in settings.endpoint
        self._target = re.sub(r"^\w+://", "", settings.endpoint).rstrip("/")
        self._metadata = metadata_of(settings.headers)
        self._channel: grpc.Channel | None = None

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt; the answer as an `Outcome`. Raises nothing that gRPC raises."""
        if self._channel is None:
            try:
                self._channel = self._connect()
            except OSError as error:  # a certificate that is not there yet, or never will be
                return Outcome(False, True, message=f"{error.filename}: {error.strerror}")
        call = self._channel.unary_unary(
            _EXPORT, request_serializer=None, response_deserializer=ExportTraceServiceResponse.FromString
        )
        try:
            answer = call(payload, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            self.close()
            return outcome_of(error)
        partial = answer.partial_success
        return Outcome(True, rejected_spans=partial.rejected_spans, message=partial.error_message)

    def close(self) -> None:
        """Free the connection; the next `send` opens one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _connect(self) -> grpc.Channel:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.primary_user_agent", f"calidris-guest/{VERSION}")]
        if not self._secure:
            return grpc.insecure_channel(self._target, options=options)
        roots, cert, key = (
            Path(path).read_bytes() if path else None
            for path in (self._settings.certificate, self._settings.client_certificate, self._settings.client_key)
        )
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(roots, key, cert), options=options)


def metadata_of(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC takes them. One that it would not take is left out and told by its name alone: gRPC would quote it."""
    metadata = []
    for name, text in headers.items():
        key, value = str(name).strip().lower(), str(text).strip()
        if _KEY.fullmatch(key) and not key.endswith("-bin") and value.isascii() and value.isprintable():
            metadata.append((key, value))
        else:
            _log.error("calidris: the header %r has a name or a value that cannot be sent; it is left out.", key[:100])
    return tuple(metadata)


def outcome_of(error: grpc.RpcError) -> Outcome:
    """What a failed call means for its request: keep it for later, or give it up."""
    code, delay = error.code(), _retry_delay((pair.key, pair.value) for pair in error.trailing_metadata() or ())
    retryable = code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay is not None)
    return Outcome(False, retryable, retry_after_s=delay, message=f"{code.name}: {error.details()}")


def _retry_delay(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Seconds the receiver asks us to wait, from either of the two trailers in use."""
    trailers = dict(metadata)
    info = RetryInfo()
    if isinstance(raw := trailers.get("google.rpc.retryinfo-bin"), bytes):
        info.ParseFromString(raw)
        return _seconds(info)
    if isinstance(raw := trailers.get("grpc-status-details-bin"), bytes):
        for detail in Status.FromString(raw).details:
            if detail.Unpack(info):
                return _seconds(info)
    return None


def _seconds(info: RetryInfo) -> float:
    return float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)


def _extent(chunk: Chunk) -> tuple[int, int]:
    """First start and last end of the calls."""
    ends = (begun + int((lasted or 0.0) * 1e9) for begun, lasted in zip(chunk.times_ns, chunk.durations_s))
    return min(chunk.times_ns), max(ends)
