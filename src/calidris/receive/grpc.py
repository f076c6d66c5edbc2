"""The OTLP/gRPC server: thin handlers on raw bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from calidris.access import Certificates, Pem, TenantOf, joined
from calidris.batch import DEFAULT_TENANT
from calidris.errors import ConfigError
from calidris.receive.admission import Admission, refusal_of
from calidris.receive.intake import Answer, Intake
from calidris.receive.slow_requests import MESSAGES, READ_S, READERS, MessageReader

TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
_EXPORTS = {
    f"/{TRACES}/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
_HANDSHAKE_MS = 10_000
_LAST_MESSAGE_S = 1.0  # what a message that is on its way gets at the end
_LAST_ANSWER_S = 0.5
_KEEPALIVE_MS = 60_000
_KEEPALIVE_TIMEOUT_MS = 20_000
_PINGS_EVERY_MS = 10_000
_SUCCESS = b""  # the empty message of every Export response

_Handler = Callable[[bytes, grpc.ServicerContext], bytes]
_Refuse = Callable[[Exception, grpc.ServicerContext], NoReturn]


class GrpcReceiver:
    """Serves ``TraceService/Export``, the health check, and politely swallows metrics and logs.

    gzip is accepted; ``max_message_bytes`` holds after decompression too. Metrics and logs are acknowledged, counted and
    forgotten: an exporter pointed here by mistake would otherwise retry them for ever.

    Args:
        endpoint: ``host:port``; port 0 takes a free one.
        intake: what takes the requests in.
        max_message_bytes: larger requests are refused by the transport, with RESOURCE_EXHAUSTED and no RetryInfo.
        threads: requests handled at the same time. Each waits for the disk most of its life, so there are more of them
            than processors. Messages that were read and wait for one of them are bounded together, at ``MESSAGES`` times
            ``max_message_bytes``; beyond that senders are asked to try again.
        tenant_of: who sends, by the metadata ``authorization``. Asked before the request's body is read, so that nobody
            unknown takes memory. The health check needs no token.
        certificates: for TLS; None speaks in clear.
        read_s: how long a message may take; a call that takes longer is cancelled when another one comes.

    Example:
        receiver = GrpcReceiver("127.0.0.1:4327", intake)
        receiver.start()
        ...
        receiver.stop(grace_s=5)
    """

    def __init__(
        self,
        endpoint: str,
        intake: Intake,
        *,
        max_message_bytes: int = 64 << 20,
        threads: int = 32,
        tenant_of: TenantOf = lambda authorization: DEFAULT_TENANT,
        certificates: Certificates | None = None,
        read_s: float = READ_S,
    ) -> None:
        self._certificates = certificates
        self._endpoint = endpoint
        self._intake = intake
        self._pool = ThreadPoolExecutor(max(threads, READERS), thread_name_prefix="calidris-grpc")
        memory = Admission(MESSAGES * max_message_bytes)
        too_slow = partial(intake.counters.add, "requests", "too_slow")
        self._reader = MessageReader(threads, memory, self._refuse, too_slow, read_s)
        self._health = health.HealthServicer()
        self._server = grpc.server(self._pool, options=_options(max_message_bytes))
        self._server.add_generic_rpc_handlers(
            (_Exports(intake, self._reader, self._export_traces, self._refuse, tenant_of),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._port: int | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        if self._port is None:
            raise RuntimeError("the receiver has not been started")
        return self._port

    def start(self) -> None:
        """Listen and serve, in threads of its own.

        Raises:
            ConfigError: the endpoint cannot be listened on.
        """
        try:
            self._port = self._listen()
        except RuntimeError as error:
            raise ConfigError(
                f"receiver.grpc.endpoint: cannot listen on {self._endpoint}: it is in use, or not an address of this "
                "machine. Stop the other process, or set another host:port"
            ) from error
        self._server.start()
        self._report(health_pb2.HealthCheckResponse.SERVING)

    def _listen(self) -> int:
        if self._certificates is None:
            return self._server.add_insecure_port(self._endpoint)
        return self._server.add_secure_port(self._endpoint, _credentials(self._certificates))

    def stop(self, grace_s: float) -> None:
        """Stop accepting, then wait for the handlers that run.

        Calls that take longer than ``grace_s`` are cut off for their sender, but their handlers still finish: what is in
        the journal also reaches the inbox. May be called without ``start``, and more than once.
        """
        self._health.enter_graceful_shutdown()
        stopped = self._server.stop(grace_s)
        if not stopped.wait(_LAST_MESSAGE_S):
            self._reader.cut_off(everybody=True)
            self._reader.wait_idle(grace_s - _LAST_MESSAGE_S)
            # What is left are connections without a call, whose peers do not answer that we go.
            self._server.stop(_LAST_ANSWER_S).wait()
        self._pool.shutdown(wait=True)

    def _export_traces(self, tenant: str, raw: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return _encode(self._intake.accept(raw, tenant))
        except Exception as error:
            if self._intake.failed:
                self._report(health_pb2.HealthCheckResponse.NOT_SERVING)
            self._refuse(error, context)

    def _refuse(self, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        refusal = refusal_of(error)
        self._intake.counters.add("requests", refusal.reason)
        context.set_trailing_metadata(refusal.trailers)
        context.abort(refusal.code, refusal.message)
        raise AssertionError  # abort always raises

    def _report(self, status: Any) -> None:
        for service in (health.OVERALL_HEALTH, TRACES):
            self._health.set(service, status)


class _Exports(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds the handler of a call. Requests and responses stay bytes: no message object is ever made of a request."""

    def __init__(
        self,
        intake: Intake,
        reader: MessageReader,
        export_traces: Callable[[str, bytes, grpc.ServicerContext], bytes],
        refuse: _Refuse,
        tenant_of: TenantOf,
    ) -> None:
        self._counters = intake.counters
        self._reader = reader
        self._export_traces = export_traces
        self._refuse = refuse
        self._tenant_of = tenant_of
        self._others = {signal: reader.handler(self._swallow(signal)) for signal in ("metrics", "logs")}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method, or None for methods of other services."""
        signal = _EXPORTS.get(handler_call_details.method)
        if signal is None:
            return None
        self._counters.add("begun", signal)
        self._reader.cut_off()
        try:
            metadata = handler_call_details.invocation_metadata or ()
            tenant = self._tenant_of(joined([value for key, value in metadata if key == "authorization"]))
        except Exception as error:
            # A handler of streams gets to answer before the message is read.
            return grpc.stream_unary_rpc_method_handler(partial(self._turn_away, error))
        if signal != "traces":
            return self._others[signal]
        return self._reader.handler(partial(self._export_traces, tenant))

    def _turn_away(self, error: Exception, unread: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
        self._refuse(error, context)

    def _swallow(self, signal: str) -> _Handler:
        def handle(raw: bytes, context: grpc.ServicerContext) -> bytes:
            self._counters.add("requests", signal)
            return _SUCCESS

        return handle


def _encode(answer: Answer) -> bytes:
    if not answer.rejected and not answer.message:
        return _SUCCESS
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = answer.rejected
    response.partial_success.error_message = answer.message
    return response.SerializeToString()


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Asked at each handshake; what has not changed since the last one is not handed over again."""
    given = certificates.now()

    def newest() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        found = certificates.now()
        if found is given:
            return None
        given = found
        return _configuration(found)

    first = _configuration(given)
    return grpc.dynamic_ssl_server_credentials(first, newest, certificates.mutual)  # type: ignore[arg-type]  # None: as before


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.cert)], root_certificates=pem.client_ca)


def _options(max_message_bytes: int) -> tuple[tuple[str, int], ...]:
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),  # a peer that is gone without a word is not kept for hours
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _PINGS_EVERY_MS),  # senders may look after us too
        ("grpc.so_reuseport", 0),  # two receivers on one port would each get half of the requests, silently
    )
