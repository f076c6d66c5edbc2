"""The receiver as its senders see it: real gRPC over loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from calidris.errors import ConfigError, MalformedRequest
from calidris.journal.disk import Disk
from calidris.receive.grpc import TRACES, GrpcReceiver
from calidris.receive.intake import digest_of, received_again

Bench = Any
MakeBench = Callable[..., Any]


def test_a_model_request_is_durable_decoded_and_handed_on(bench: Bench) -> None:
    raw = bench.request("predict credit")
    before = time.time_ns()
    assert bench.export(raw) == b""
    (received,) = bench.taken()
    (record,) = bench.journal.replay(0)
    assert (record.seq, record.tenant, record.payload) == (1, "default", raw)
    assert received.seq == 1 and received.decoded.spans == 1 and received.seal_ns is None
    assert before <= received.arrival_ns == record.arrival_ns == bench.wire.arrivals[0] <= time.time_ns()
    assert received.size_bytes == len(raw) == bench.admission.used_bytes
    received.release()
    assert bench.admission.used_bytes == 0
    assert bench.counts() == {"ok": 1} and bench.counts("begun") == {"traces": 1}


def test_replay_gives_the_engine_the_same_items(bench: Bench) -> None:
    bench.export(bench.request("predict credit", "bad_json"))
    bench.intake.seal(77)
    live = bench.taken()
    again = [received_again(record, bench.wire.decode) for record in bench.journal.replay(0)]
    fields = ("seq", "arrival_ns", "tenant", "digest", "decoded", "seal_ns")
    assert [[getattr(r, f) for f in fields] for r in again] == [[getattr(r, f) for f in fields] for r in live]
    assert live[0].digest == digest_of(bench.request("predict credit", "bad_json")) and len(live[0].digest) == 16
    assert live[1].seal_ns == 77 and live[1].decoded is None
    for received in (*live, *again):
        received.release()
    assert bench.admission.used_bytes == 0


def test_requests_without_model_telemetry_do_not_touch_the_disk(bench: Bench) -> None:
    assert bench.export(bench.request("GET /", "SELECT", model=False)) == b""
    assert bench.export(b"") == b""
    assert bench.journal.last_seq == 0 and bench.taken() == []
    assert bench.admission.used_bytes == 0
    assert bench.counts() == {"no_model": 2}
    assert bench.counts("spans_ignored") == {"no_model": 2}


def test_partial_success(bench: Bench) -> None:
    response = bench.response(bench.request("predict", "bad_json", "bad_json", "bad_count"))
    assert response.partial_success.rejected_spans == 3
    assert response.partial_success.error_message == "fix it"
    assert bench.counts() == {"partial": 1}
    assert bench.counts("spans_rejected") == {"bad_json": 2, "bad_count": 1}
    assert len(bench.taken()) == 1


def test_bad_bytes_are_refused_for_good(bench: Bench) -> None:
    error = bench.refused(b"\xff not OTLP")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bench.journal.last_seq == 0 and bench.counts() == {"malformed": 1}
    assert bench.admission.used_bytes == 0


def test_bad_bytes_that_look_like_ours_leave_an_empty_item(bench: Bench) -> None:
    """They are in the journal before they are decoded, so their number must reach the engine."""
    error = bench.refused(b"\xff ml.model.name")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert bench.export(bench.request("predict")) == b""
    empty, good = bench.taken()
    assert (empty.seq, empty.decoded, empty.seal_ns) == (1, None, None)
    assert good.seq == 2 and good.decoded is not None
    empty.release(), good.release()
    assert bench.admission.used_bytes == 0


def test_a_fault_of_the_decoder_is_not_retried_for_ever(bench: Bench) -> None:
    bench.wire.error = ZeroDivisionError("a bug")
    error = bench.refused(bench.request("predict"))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "ZeroDivisionError" in error.details()
    assert [received.decoded for received in bench.taken()] == [None]
    assert bench.counts() == {"internal": 1}


def test_any_other_fault_is_retried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was kept, and it may pass: the exporter must not drop its data."""
    monkeypatch.setattr(bench.wire, "holds", None)
    monkeypatch.setattr(bench.intake, "_holds", lambda raw: 1 // 0)
    error = bench.refused(bench.request("predict"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "google.rpc.retryinfo-bin" in dict(error.trailing_metadata())


def test_the_journal_is_written_while_the_request_is_decoded(bench: Bench) -> None:
    seen = []
    bench.wire.before = lambda: (time.sleep(0.2), seen.append(bench.journal.last_seq))
    bench.export(bench.request("predict"))
    assert seen == [1]


def test_the_answer_waits_for_the_disk(make_bench: MakeBench) -> None:
    let_go = threading.Event()

    class HeldDisk(Disk):
        def sync(self, fd: int) -> None:
            let_go.wait(10)
            super().sync(fd)

    bench = make_bench(disk=HeldDisk())
    call = bench.channel.unary_unary(f"/{TRACES}/Export").future(bench.request("predict"), timeout=10)
    time.sleep(0.2)
    assert not call.done() and bench.taken() == []
    let_go.set()
    assert call.result() == b"" and len(bench.taken()) == 1


def test_a_sender_that_gives_up_leaves_no_gap(make_bench: MakeBench) -> None:
    class SlowDisk(Disk):
        def sync(self, fd: int) -> None:
            time.sleep(0.3)
            super().sync(fd)

    bench = make_bench(disk=SlowDisk())
    with pytest.raises(grpc.RpcError) as caught:
        bench.export(bench.request("predict"), timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    bench.export(bench.request("predict"))
    assert [received.seq for received in bench.taken()] == [1, 2]


def test_order_under_load(make_bench: MakeBench) -> None:
    """32 threads at once: the engine gets 300 items, in order, and every byte is given back."""
    bench = make_bench(max_bytes=1 << 30)
    raws = [bench.request(f"predict {n}") for n in range(300)]
    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(bench.export, raws)) == {b""}
    received = bench.taken()
    assert [item.seq for item in received] == list(range(1, 301))
    by_seq = {record.seq: digest_of(record.payload) for record in bench.journal.replay(0)}
    assert all(item.digest == by_seq[item.seq] for item in received)
    for item in received:
        item.release()
    assert bench.admission.used_bytes == 0
    assert bench.journal.syncs <= 300


def health(bench: Bench, service: str = "") -> int:
    stub = health_pb2_grpc.HealthStub(bench.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status


@pytest.mark.parametrize("service", ["", TRACES])
def test_health(bench: Bench, service: str) -> None:
    assert health(bench, service) == health_pb2.HealthCheckResponse.SERVING


def test_gzip(bench: Bench) -> None:
    raw = bench.request(*["predict"] * 1000)
    method = bench.channel.unary_unary(f"/{TRACES}/Export")
    assert method(raw, timeout=10, compression=grpc.Compression.Gzip) == b""
    assert next(bench.journal.replay(0)).payload == raw


def test_five_megabytes_are_fine(make_bench: MakeBench) -> None:
    bench = make_bench(max_bytes=1 << 30, journal_bytes=1 << 30)
    assert bench.export(bench.request("x" * 5_000_000)) == b""


@pytest.mark.parametrize("signal", ["metrics", "logs"])
def test_other_signals_are_acknowledged_and_counted(bench: Bench, signal: str) -> None:
    path = f"/opentelemetry.proto.collector.{signal}.v1.{signal.title()}Service/Export"
    assert bench.export(b"anything", path=path) == b""
    assert bench.counts() == {signal: 1} and bench.taken() == []


def test_other_services_do_not_exist(bench: Bench) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        bench.export(b"", path="/some.Service/Call")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_port_in_use_names_the_key_and_the_cure(bench: Bench) -> None:
    second = GrpcReceiver(f"127.0.0.1:{bench.receiver.port}", bench.intake)
    expected = (
        rf"receiver\.grpc\.endpoint: cannot listen on 127\.0\.0\.1:{bench.receiver.port}: .* set another host:port"
    )
    with pytest.raises(ConfigError, match=expected):
        second.start()
    second.stop(grace_s=0)
    assert bench.export(bench.request("predict")) == b""


def test_the_port_is_unknown_before_the_start(bench: Bench) -> None:
    receiver = GrpcReceiver("127.0.0.1:0", bench.intake)
    with pytest.raises(RuntimeError, match="not been started"):
        _ = receiver.port
    receiver.stop(grace_s=0)


def test_stop_finishes_what_runs_and_takes_nothing_new(bench: Bench) -> None:
    bench.wire.before = lambda: time.sleep(0.5)
    running = bench.channel.unary_unary(f"/{TRACES}/Export").future(bench.request("predict"), timeout=10)
    while not bench.counts("begun"):
        time.sleep(0.01)
    time.sleep(0.1)
    bench.receiver.stop(grace_s=5)
    assert running.result() == b""
    assert len(bench.taken()) == 1
    assert bench.refused(bench.request("predict")).code() is grpc.StatusCode.UNAVAILABLE


def test_stop_cuts_off_the_sender_but_not_the_record(bench: Bench) -> None:
    bench.wire.before = lambda: time.sleep(0.6)
    running = bench.channel.unary_unary(f"/{TRACES}/Export").future(bench.request("predict"), timeout=10)
    while not bench.journal.last_seq:
        time.sleep(0.01)
    bench.receiver.stop(grace_s=0)
    assert running.exception() is not None
    assert [received.seq for received in bench.taken()] == [1]


def test_malformed_answers_do_not_show_the_request(bench: Bench) -> None:
    bench.wire.error = MalformedRequest("not OTLP")
    assert bench.refused(bench.request("secret")).details() == "not OTLP"
