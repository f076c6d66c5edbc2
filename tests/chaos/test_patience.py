"""What must not disturb anybody: dead targets, silent peers, and a receiver that stood still for half a minute.

The receiver of the last one has stood still while other tests ran.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import grpc
import pytest
from account import conserved, total
from halves import connection, greeted, half
from hatched import Reborn
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from running import CONFIG, until
from senders import Load, load
from watched import history

pytestmark = pytest.mark.e2e

Make = Callable[..., Reborn]
STILL_S = 30.0
MIB = 1 << 20
FAILED = "calidris.export.pushes.failed"
SENT = "calidris.export.pushes"


def resident_bytes(receiver: Reborn) -> int:
    """Memory of its process."""
    assert receiver.process
    lines = Path(f"/proc/{receiver.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


class Target(rpc.MetricsServiceServicer):
    """Takes pushes."""

    def __init__(self) -> None:
        self.rows = 0.0

    def Export(
        self, request: service.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> service.ExportMetricsServiceResponse:
        scopes = [s for r in request.resource_metrics for s in r.scope_metrics]
        found = [m for scope in scopes for m in scope.metrics if m.name == "calidris.engine.rows"]
        self.rows = sum(point.as_double for metric in found for point in metric.sum.data_points)
        return service.ExportMetricsServiceResponse()


def test_a_dead_target_disturbs_nobody(make_receiver: Make) -> None:
    """Refused, then accepted and never answered, then back: a push each 50 ms stands for an hour of them."""
    target = socket.socket()
    target.bind(("127.0.0.1", 0))  # nobody listens: refused
    port = target.getsockname()[1]
    otlp = f'otlp: {{endpoint: "http://127.0.0.1:{port}", interval: 50ms}}'
    receiver = make_receiver(CONFIG.replace("export: {", f"export: {{{otlp}, ")).start()
    with load(receiver, copies=1, senders=2) as senders:
        until(senders.grown(100))
        before = resident_bytes(receiver)
        until(lambda: total(receiver.status(), FAILED) >= 40)
        target.listen(1)  # and never accepts
        until(lambda: total(receiver.status(), FAILED) >= 80)
        until(senders.grown(100))
        assert total(receiver.status(), SENT) == 0
        target.close()
        server, servicer = grpc.server(ThreadPoolExecutor(2)), Target()
        rpc.add_MetricsServiceServicer_to_server(servicer, server)
        assert server.add_insecure_port(f"127.0.0.1:{port}") == port
        server.start()
        until(lambda: total(receiver.status(), SENT) > 2, 30)
        ledger = senders.finish()
        assert not senders.refusals
    conserved(receiver, ledger)
    grew = resident_bytes(receiver) - before
    assert grew < 60 * MIB, f"memory grew by {grew / MIB:.0f} MiB"
    until(lambda: servicer.rows == sum(r.rows for r in ledger))
    server.stop(None).wait()


def test_scrapers_that_never_read(make_receiver: Make) -> None:
    receiver = make_receiver(CONFIG).start()
    host, _, port = receiver.metrics_url.split("/")[2].partition(":")
    with ExitStack() as stack, load(receiver, copies=1, senders=2) as senders:
        until(senders.grown(50))
        for _ in range(20):
            scraper = stack.enter_context(closing(socket.socket()))
            scraper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            scraper.connect((host, int(port)))
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        until(senders.grown(50))
        assert receiver.total("calidris_engine_rows_total") > 0, "others are still answered"
        ledger = senders.finish()
        assert not senders.refusals
        conserved(receiver, ledger)


def test_a_thousand_silent_peers(make_receiver: Make) -> None:
    """Some say nothing, some greet, some stop in the middle of a request: a live sender is answered all the while."""
    receiver = make_receiver(CONFIG.replace("256KiB", "64MiB")).start()
    with ExitStack() as stack, load(receiver, copies=1, senders=2) as senders:
        until(senders.grown(50))
        before = resident_bytes(receiver)
        for count, kind in ((500, connection), (400, greeted), (100, half)):
            for _ in range(count):
                stack.enter_context(closing(kind(receiver.grpc)))
        until(senders.grown(100))
        ledger = senders.finish()
        assert not senders.refusals
        conserved(receiver, ledger)
        grew = resident_bytes(receiver) - before
        assert grew < 200 * MIB, f"memory grew by {grew / MIB:.0f} MiB"
    assert receiver.terminate() == 0


def test_it_stood_still_for_half_a_minute(still: tuple[Reborn, Load, float]) -> None:
    """Nothing is lost, windows go on, and the silence is no evidence of anything."""
    receiver, senders, since = still
    time.sleep(max(since + STILL_S - time.monotonic(), 0))
    assert receiver.process
    receiver.process.send_signal(signal.SIGCONT)
    resumed_ns = time.time_ns()
    until(senders.grown(100), 40)
    until(lambda: sum(window["end_ns"] > resumed_ns for window in history(receiver)) >= 2)
    told = conserved(receiver, senders.finish())
    assert told["alarms"] == [] and receiver.get("/v1/alarms") == []
    assert all(window["rows"] for window in history(receiver)), "a silent window was closed as if it told something"
