"""A receiver on a free loopback port, with a fake decoder that a test can make misbehave."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))

from calidris.engine.inbox import Inbox, Received
from calidris.errors import MalformedRequest
from calidris.journal.disk import Disk
from calidris.journal.journal import Journal
from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.grpc import TRACES, GrpcReceiver
from calidris.receive.http.otlp_server import HttpReceiver
from calidris.receive.intake import Intake
from calidris.receive.rates import Rates
from calidris.wire import Decoded

MODEL = b"ml.model.name"
PROTOBUF = {"Content-Type": "application/x-protobuf"}


@dataclass
class FakeWire:
    """Decodes any OTLP request to nothing: a span named like a reason is rejected for it."""

    error: Exception | None = None
    before: Callable[[], None] = lambda: None
    arrivals: list[int] = field(default_factory=list)

    def holds(self, raw: bytes) -> bool:
        return MODEL in raw

    def decode(self, raw: bytes, *, tenant: str, arrival_ns: int) -> Decoded:
        self.before()
        self.arrivals.append(arrival_ns)
        if self.error is not None:
            raise self.error
        try:
            request = ExportTraceServiceRequest.FromString(raw)
        except Exception as error:
            raise MalformedRequest("not an ExportTraceServiceRequest") from error
        names = [s.name for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        rejected: Mapping[str, int] = {name: names.count(name) for name in names if name.startswith("bad_")}
        ignored = 0 if self.holds(raw) else len(names)
        return Decoded((), len(names), ignored, rejected, "fix it" if rejected else "", 0, 0)


def request(*names: str, model: bool = True) -> bytes:
    """A request of spans with these names."""
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for name in names:
        span = scope.spans.add(name=name)
        if model:
            span.attributes.add(key=MODEL.decode()).value.string_value = "credit"
    return message.SerializeToString()


@dataclass
class Bench:
    """Everything of one running receiver."""

    receiver: GrpcReceiver
    intake: Intake
    journal: Journal
    inbox: Inbox
    admission: Admission
    wire: FakeWire
    channel: grpc.Channel

    request = staticmethod(request)

    def export(self, raw: bytes, *, path: str = f"/{TRACES}/Export", timeout: float = 10) -> bytes:
        return self.channel.unary_unary(path)(raw, timeout=timeout)

    def refused(self, raw: bytes) -> grpc.RpcError:
        with pytest.raises(grpc.RpcError) as caught:
            self.export(raw)
        return caught.value

    def response(self, raw: bytes) -> ExportTraceServiceResponse:
        return ExportTraceServiceResponse.FromString(self.export(raw))

    def taken(self) -> list[Received]:
        return self.inbox.take(1000, timeout_s=0.2)

    def counts(self, table: str = "requests") -> Mapping[str, int]:
        return self.intake.counters.snapshot().get(table, {})


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes receivers and stops them."""
    made: list[Bench] = []

    def make(
        *,
        max_bytes: int = 1 << 20,
        disk: Disk | None = None,
        journal_bytes: int = 1 << 24,
        rates: Rates | None = None,
        **server,
    ) -> Bench:
        journal = Journal(tmp_path / f"journal-{len(made)}", disk=disk, max_bytes=journal_bytes)
        admission, inbox, wire = Admission(max_bytes), Inbox(journal.last_seq + 1), FakeWire()
        intake = Intake(
            admission=admission,
            journal=journal,
            inbox=inbox,
            holds=wire.holds,
            decode=wire.decode,
            clock_ns=time.time_ns,
            counters=ReceiverCounters(),
            rates=rates,
        )
        receiver = GrpcReceiver("127.0.0.1:0", intake, **server)
        receiver.start()
        channel = grpc.insecure_channel(f"127.0.0.1:{receiver.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        made.append(Bench(receiver, intake, journal, inbox, admission, wire, channel))
        return made[-1]

    yield make
    for bench in made:
        bench.channel.close()
        bench.receiver.stop(grace_s=1)
        bench.journal.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A receiver with ordinary settings."""
    return make_bench()


class Http:
    """A receiver, a client of it, and the bench behind both."""

    def __init__(self, bench: Any, receiver: HttpReceiver) -> None:
        self.bench = bench
        self.receiver = receiver
        self.url = f"http://127.0.0.1:{receiver.port}"
        self.client = httpx.Client(base_url=self.url, timeout=10, trust_env=False)

    def post(self, body: Any, path: str = "/v1/traces", headers: Mapping[str, str] = PROTOBUF) -> httpx.Response:
        return self.client.post(path, content=body, headers=headers)


@pytest.fixture
def make_http(make_bench: Callable[..., Any]) -> Iterator[Callable[..., Http]]:
    """Makes receivers and stops them."""
    made: list[Http] = []

    def make(bench: dict[str, Any] | None = None, **server: Any) -> Http:
        behind = make_bench(**(bench or {}))
        receiver = HttpReceiver("127.0.0.1:0", behind.intake, **server)
        receiver.start()
        made.append(Http(behind, receiver))
        return made[-1]

    yield make
    for http in made:
        http.client.close()
        http.receiver.stop(grace_s=1)


@pytest.fixture
def http(make_http: Callable[..., Http]) -> Http:
    """A receiver with ordinary settings."""
    return make_http()
