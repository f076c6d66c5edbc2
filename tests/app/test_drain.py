"""The end of a receiver: in order, within its deadline, and nothing that was acknowledged is lost by it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from running import CONFIG, EXPORT, Running, rows, until
from served import FREE

from calidris.app import loop
from calidris.app.shutdown import Ending
from calidris.wire import encode_predictions

Make = Callable[..., Any]
RECEIVER = {"grpc": {"endpoint": FREE}, "http": {"endpoint": FREE}, "lateness": "1s"}


def packed(n: int, seed: int) -> bytes:
    return encode_predictions(rows(n, seed=seed), form="packed", one_span_per_row=False)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts real receivers and kills what is left of them."""
    made: list[Running] = []

    def start(drain: str = "10s") -> Running:
        made.append(Running(tmp_path, CONFIG.replace("lateness: 1s", f"lateness: 1s, drain: {drain}")).start())
        return made[-1]

    yield start
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.kill()


@pytest.fixture
def dawdler() -> Iterator[Callable[[str], None]]:
    """A sender that begins a call and never sends its request: the receiver waits for it, up to its deadline."""
    over, begun = threading.Event(), []

    def never() -> Iterator[bytes]:
        over.wait()
        yield from ()

    def begin(address: str) -> None:
        channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        begun.append((channel, channel.stream_unary(EXPORT).future(never(), timeout=60)))

    yield begin
    over.set()
    for channel, _ in begun:
        channel.close()


class Flood(threading.Thread):
    """Sends as fast as it can until the receiver is gone; counts the rows that were acknowledged."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__(daemon=True)
        self._address, self._number, self.rows = address, number, 0

    def run(self) -> None:
        with grpc.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            export = channel.unary_unary(EXPORT)
            for n in range(100_000):
                try:
                    export(packed(300, self._number * 100_000 + n), timeout=10)
                except grpc.RpcError:
                    return
                self.rows += 300


@pytest.mark.e2e
def test_under_load_what_was_acknowledged_is_counted_after_the_restart(receiver: Callable[..., Running]) -> None:
    running = receiver()
    senders = [Flood(running.grpc, number) for number in range(4)]
    for sender in senders:
        sender.start()
    until(lambda: running.model()["rows"] > 3000)
    assert running.terminate() == 0
    for sender in senders:
        sender.join(20)
    assert running.lines[-1] == "stopped\n"
    running.start()
    assert running.model()["rows"] == sum(sender.rows for sender in senders) > 3000


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_it_drains_it_says_so_and_a_second_signal_ends_it_at_once(
    receiver: Callable[..., Running], dawdler: Callable[[str], None], number: signal.Signals
) -> None:
    running = receiver("1m")
    running.export(packed(100, 1))
    dawdler(running.grpc)
    until(lambda: running.total("calidris_receiver_requests_begun_total") == 2)
    assert running.process is not None
    running.process.send_signal(signal.SIGTERM)
    running.said("(stopping)")
    answer = httpx.get(f"{running.api}/readyz", trust_env=False)
    assert answer.status_code == 503 and answer.json()["state"] == "draining"
    assert "what was acknowledged is being applied" in answer.json()["why"]
    assert httpx.get(f"{running.api}/healthz", trust_env=False).status_code == 200
    assert running.total("calidris_receiver_state", calidris_state="draining") == 1
    with pytest.raises(grpc.RpcError) as refused:
        running.export(packed(100, 2), timeout_s=3)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE, "the sender keeps it and tries again"
    running.process.send_signal(number)
    assert running.process.wait(10) == 128 + number
    assert "quitting at once" in running.log
    running.start()
    assert running.model()["rows"] == 100


@pytest.mark.e2e
def test_a_sender_that_dawdles_cannot_hold_up_the_end(
    receiver: Callable[..., Running], dawdler: Callable[[str], None]
) -> None:
    running = receiver("2s")
    running.export(packed(100, 1))
    dawdler(running.grpc)
    until(lambda: running.total("calidris_receiver_requests_begun_total") == 2)
    assert running.terminate(20) == 0
    running.start()
    assert running.model()["rows"] == 100 and running.status()["receiver"]["replay"]["done"] == 0


def test_what_is_not_applied_in_time_is_said_and_waits_in_the_journal(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    short = RECEIVER | {"drain": "200ms"}
    started = make(receiver=short)
    usual, gate = loop.apply, threading.Event()

    def slow(*of: Any, **how: Any) -> None:
        gate.wait()
        time.sleep(0.05)
        usual(*of, **how)

    monkeypatch.setattr(loop, "apply", slow)
    for seed in range(40):
        started.export(packed(10, seed))
    threading.Timer(0.1, gate.set).start()
    started.server.stop()
    assert 0 < started.server.unapplied < 40 and not started.server.hung
    assert f"{started.server.unapplied} records were not applied in time" in caplog.text
    monkeypatch.setattr(loop, "apply", usual)
    again = make(receiver=short)
    assert again.server.replayed == started.server.unapplied, "the checkpoint holds the others"
    assert again.rows() == 400


def test_a_part_that_hangs_is_named_and_the_others_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    started = make(receiver=RECEIVER | {"drain": "100ms"})
    monkeypatch.setattr(started.server._ending, "_grace_s", 0.1)
    started.export(packed(10, 1))
    hold, usual = threading.Event(), started.server.loop.stop
    monkeypatch.setattr(started.server.loop, "stop", lambda drain_s: (hold.wait(), usual(drain_s))[1])
    started.server.stop()
    assert started.server.hung == ("engine",)
    assert started.server.journal._committer._closing, "later parts were stopped"
    hold.set()


def test_the_deadline_is_one_for_all_steps() -> None:
    now = [0.0]
    ending = Ending(10.0, clock_s=lambda: now[0])
    assert ending.left_s == 10.0
    ending.begin()
    now[0] = 4.0
    ending.begin()
    assert ending.left_s == 6.0
    now[0] = 40.0
    assert ending.left_s == 0.0


class Target(rpc.MetricsServiceServicer):
    def __init__(self) -> None:
        self.rows: list[float] = []
        self.states: list[str] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
            if metric.name == "ml.received.rows":
                self.rows += [p.as_double for p in metric.sum.data_points]
            if metric.name == "calidris.receiver.state":
                self.states += [p.attributes[0].value.string_value for p in metric.gauge.data_points]
        return service.ExportMetricsServiceResponse()


def test_the_last_push_has_what_was_applied_last(make: Make) -> None:
    target, server = Target(), grpc.server(ThreadPoolExecutor(2))
    rpc.add_MetricsServiceServicer_to_server(target, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        started = make(export={"otlp": {"endpoint": f"http://127.0.0.1:{port}", "interval": "1h"}})
        started.export(packed(70, 1))
        started.server.stop()
    finally:
        server.stop(None).wait()
    assert target.rows == [70.0] and target.states == ["draining"]
