"""The gRPC channel of Calidris' own, and what the flush thread works with: encoder, channel and meters in one.

Nothing here is shared with the application: neither the OTLP endpoint nor the headers and certificates of its environment.
Loading this file loads grpc and the SDK; the flush thread does so when there is something to send.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from calidris.instrument import VERSION
from calidris.instrument.guarded_log import log
from calidris.instrument.process.machine_clock import find_lag_s
from calidris.instrument.rows.buffered_items import Item
from calidris.instrument.sending.meters import Meters
from calidris.instrument.sending.not_sent import NotSent, Reports, Totals
from calidris.instrument.sending.outbox import Outcome, Request
from calidris.instrument.sending.packing import Encoder
from calidris.instrument.settings import SdkSettings
from calidris.instrument.shield import caught

LONGEST_DELAY_S = 300.0
"""Longest wish of a receiver to wait that is followed: half of the time for which a request is repeated."""

LONGEST_MESSAGE = 1000
"""Characters of what a receiver says that are kept, and logged."""

DESCRIPTORS = 24
"""Files that a connection may open, three times over: some for the polling, one for the name, one for the socket."""

_KEY = re.compile(r"[a-z0-9_.-]{1,100}")
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


class Channel:
    """Sends serialised requests to one address. Used by one thread. Whatever is answered, `send` raises nothing.

    A failed call closes the channel: the next attempt connects afresh, instead of waiting out gRPC's own back-off of up to
    two minutes after the receiver is back.
    """

    def __init__(self, settings: SdkSettings) -> None:
        self._settings = settings
        self._secure = not settings.endpoint.startswith("http://") and "://" in settings.endpoint
        self._target = re.sub(r"^\w+://", "", settings.endpoint).rstrip("/")
        self._metadata = metadata_of(settings.headers)
        self._channel: grpc.Channel | None = None

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt; the answer as an `Outcome`."""
        try:
            return self._attempt(payload, timeout_s)
        except grpc.RpcError as error:
            self.close()
            return outcome_of(error)
        except OSError as error:  # a certificate that is not there yet, or never will be
            return Outcome(False, True, message=f"{error.filename}: {error.strerror}")
        except Exception as error:
            self.close()
            caught("send")
            return Outcome(False, True, message=type(error).__name__, is_fault=True)

    def _attempt(self, payload: bytes, timeout_s: float) -> Outcome:
        if self._channel is None:
            self._channel = self._connect()
        call = self._channel.unary_unary(
            _EXPORT, request_serializer=None, response_deserializer=ExportTraceServiceResponse.FromString
        )
        answer = call(payload, timeout=timeout_s + find_lag_s(), metadata=self._metadata)
        partial = answer.partial_success
        message = partial.error_message[:LONGEST_MESSAGE]
        return Outcome(True, rejected_spans=partial.rejected_spans, message=message)

    def close(self) -> None:
        """Free the connection; the next `send` opens one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _connect(self) -> grpc.Channel:
        find_descriptors()
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.primary_user_agent", f"calidris-guest/{VERSION}")]
        if not self._secure:
            return grpc.insecure_channel(self._target, options=options)
        roots, cert, key = (
            Path(path).read_bytes() if path else None
            for path in (self._settings.certificate, self._settings.client_certificate, self._settings.client_key)
        )
        return grpc.secure_channel(self._target, grpc.ssl_channel_credentials(roots, key, cert), options=options)


def find_descriptors() -> None:
    """Have room for what gRPC opens: where it finds none for its first few, it aborts the process.

    Raises:
        OSError: the process has too many files open.
    """
    found: list[int] = []
    try:
        found += (os.open(os.devnull, os.O_RDONLY) for _ in range(DESCRIPTORS))
    finally:
        for one in found:
            os.close(one)


def metadata_of(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC takes them. One that it would not take is left out and told by its name alone: gRPC would quote it."""
    metadata = []
    for name, text in headers.items():
        key, value = str(name).strip().lower(), str(text).strip()
        if _KEY.fullmatch(key) and not key.endswith("-bin") and value.isascii() and value.isprintable():
            metadata.append((key, value))
        else:
            log.error("calidris: the header %r has a name or a value that cannot be sent; it is left out.", key[:100])
    return tuple(metadata)


def outcome_of(error: grpc.RpcError) -> Outcome:
    """What a failed call means for its request: keep it for later, or give it up."""
    code = error.code()
    delay_s = _read_delay((pair.key, pair.value) for pair in error.trailing_metadata() or ())
    retryable = code in _RETRYABLE or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay_s is not None)
    message = f"{code.name}: {error.details()}"
    return Outcome(False, retryable, retry_after_s=delay_s, message=message[:LONGEST_MESSAGE])


def _read_delay(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Seconds the receiver asks us to wait, if it says so in a way that can be read."""
    trailers = dict(metadata)
    try:
        info = _find_retry_info(trailers)
    except DecodeError:  # of a proxy, perhaps: what is no wish is none
        return None
    if info is None:
        return None
    delay = info.retry_delay
    delay_s = float(delay.seconds + delay.nanos / 1e9)
    return max(0.0, min(delay_s, LONGEST_DELAY_S))


def _find_retry_info(trailers: Mapping[str, str | bytes]) -> RetryInfo | None:
    """From either of the two trailers in use."""
    info = RetryInfo()
    if isinstance(raw := trailers.get("google.rpc.retryinfo-bin"), bytes):
        info.ParseFromString(raw)
        return info
    if isinstance(raw := trailers.get("grpc-status-details-bin"), bytes):
        status = Status.FromString(raw)
        if any(detail.Unpack(info) for detail in status.details):
            return info
    return None


class GrpcShipper:
    """Implements `calidris.instrument.sending.sender.Shipper`."""

    def __init__(self, encoder: Encoder, channel: Channel, told: Totals) -> None:
        self._encoder = encoder
        self._channel = channel
        self._meters = Meters(told)
        self._reports = Reports(encoder.report, told)

    def encode(self, items: list[Item]) -> list[Request]:
        """Items as requests."""
        return self._encoder.encode(items)

    def report(self, not_sent: NotSent) -> Request | None:
        """What was lost since the last report that arrived."""
        return self._reports.make(not_sent)

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt."""
        return self._channel.send(payload, timeout_s)

    def observe(self, items: list[Item], not_sent: NotSent) -> None:
        """Metrics of the items and of what was lost."""
        self._meters.observe(items, not_sent)

    def close(self) -> None:
        """Free the connection."""
        self._channel.close()


def connect(settings: SdkSettings, not_sent: NotSent, told: Totals) -> GrpcShipper:
    """A shipper to the settings' endpoint; opens no connection yet. What was counted under settings before is ``told``."""
    return GrpcShipper(Encoder(resource(), settings.policy, not_sent, settings.model_role), Channel(settings), told)


def resource() -> Resource:
    """Who the service is: what its own tracer provider says, else the OTel environment."""
    own = getattr(trace.get_tracer_provider(), "resource", None)
    if isinstance(own, Resource):
        return own
    try:
        return Resource.create()
    except RuntimeError:  # detectors run in a thread pool, which an ending interpreter refuses
        return OTELResourceDetector().detect()
