"""What one core receives: floor, journal, decode and state through real gRPC, decode through HTTP, and the ratios.

The server runs in a process of its own that accounts for its CPU time, so that rows per second per core are the server's
alone; the client shares the machine, so the wall figures are a lower bound. Compare stages of one run only.

    python -m benchmarks.receiver --seconds 3
    python -m benchmarks.receiver --sink some.module:make_sink      # make_sink() -> function of list[Received]
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from benchmarks.payloads import FORMS, Payload, stream
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.app.interpreter_tuning import tune
from calidris.engine.inbox import Inbox, Received
from calidris.journal.journal import Journal
from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.grpc import TRACES, GrpcReceiver
from calidris.receive.http.otlp_server import HttpReceiver
from calidris.receive.intake import Intake
from calidris.wire import Decoded, decode, holds_model_telemetry

IN_FLIGHT = 8
DISTINCT = 16
CHECKPOINT_S = 0.5
STAGES = ("floor", "journal", "decode", "http")
HTTP_HEADERS = {"Content-Type": "application/x-protobuf"}
Sink = Callable[[list[Received]], None]


# ---- the server's process


def nothing_decoded(raw: bytes, *, tenant: str, arrival_ns: int) -> Decoded:
    return Decoded((), 0, 0, {}, "", 0, 0)


def drain(inbox: Inbox, journal: Journal, sink: Sink | None) -> None:
    """Stands in for the engine: applies, releases, and truncates as after a checkpoint."""
    due, last = time.monotonic(), 0
    while True:
        items = inbox.take(64, timeout_s=0.1)
        if not items and inbox.closed:
            return
        if sink and items:
            sink(items)
        for received in items:
            received.release()
            last = received.seq
        if last and time.monotonic() >= due:
            journal.truncate(last)
            due = time.monotonic() + CHECKPOINT_S


@contextmanager
def receiver(stage: str, sink: Sink | None) -> Iterator[int]:
    """The real receiver, with a decoder only where the stage has one."""
    with tempfile.TemporaryDirectory() as path:
        journal, admission = Journal(path), Admission(256 << 20)
        inbox = Inbox(first_seq=1)
        intake = Intake(
            admission=admission,
            journal=journal,
            inbox=inbox,
            holds=holds_model_telemetry,
            decode=nothing_decoded if stage == "journal" else decode,
            clock_ns=time.time_ns,
            counters=ReceiverCounters(),
        )
        engine = threading.Thread(target=drain, args=(inbox, journal, sink))
        engine.start()
        server = (HttpReceiver if stage == "http" else GrpcReceiver)("127.0.0.1:0", intake)
        server.start()
        yield server.port
        server.stop(grace_s=5)
        inbox.close()
        engine.join()
        journal.close()


@contextmanager
def floor() -> Iterator[int]:
    """Only gRPC: the handler returns at once."""
    handler = grpc.unary_unary_rpc_method_handler(lambda raw, context: b"")
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 64 << 20)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(TRACES, {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(5).wait()


def serve(stage: str, sink_name: str | None) -> None:
    """Print the port; at the first line of input note the CPU time, at the second print how much was used since."""
    tune()
    sink = None
    if stage == "state" and sink_name:
        module, _, name = sink_name.partition(":")
        sink = getattr(importlib.import_module(module), name)()
    with floor() if stage == "floor" else receiver(stage, sink) as port:
        print(port, flush=True)
        sys.stdin.readline()
        began = resource.getrusage(resource.RUSAGE_SELF)
        sys.stdin.readline()
        ended = resource.getrusage(resource.RUSAGE_SELF)
        user, system = ended.ru_utime - began.ru_utime, ended.ru_stime - began.ru_stime
        print(json.dumps({"user_s": user, "system_s": system, "rss_mib": ended.ru_maxrss / 1024}), flush=True)


# ---- the client's process


def send(port: int, requests: Iterator[bytes], seconds: float) -> tuple[int, float]:
    """Keep a few calls in flight for a while; how many were answered, in how many seconds."""
    free = threading.Semaphore(IN_FLIGHT)
    failed: list[grpc.RpcError] = []

    def done(call: Any) -> None:
        if call.exception() is not None:
            failed.append(call.exception())
        free.release()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(f"/{TRACES}/Export")
        began, count = time.monotonic(), 0
        while time.monotonic() - began < seconds and not failed:
            free.acquire()
            export.future(next(requests), timeout=30).add_done_callback(done)
            count += 1
        for _ in range(IN_FLIGHT):
            free.acquire()
        if failed:
            raise failed[0]
        return count, time.monotonic() - began


def send_http(port: int, requests: Iterator[bytes], seconds: float) -> tuple[int, float]:
    """The same over HTTP: as many connections, each with one request in flight."""
    began, turn = time.monotonic(), threading.Lock()

    def sender(_: int) -> int:
        connection, count = http.client.HTTPConnection("127.0.0.1", port, timeout=30), 0
        while time.monotonic() - began < seconds:
            with turn:
                raw = next(requests)
            connection.request("POST", "/v1/traces", raw, HTTP_HEADERS)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
            count += 1
        connection.close()
        return count

    with futures.ThreadPoolExecutor(IN_FLIGHT) as pool:
        return sum(pool.map(sender, range(IN_FLIGHT))), time.monotonic() - began


def measure(stage: str, payloads: list[Payload], seconds: float, sink: str | None) -> dict[str, Any]:
    """One stage in a fresh process, after a warm-up."""
    command = [sys.executable, "-m", "benchmarks.receiver", "--serve", stage, *(["--sink", sink] if sink else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        port = int(child.stdout.readline())
        sender, requests, rows = send_http if stage == "http" else send, stream(payloads), payloads[0].rows
        sender(port, requests, seconds / 4)
        child.stdin.write("begin\n")
        child.stdin.flush()
        count, wall_s = sender(port, requests, seconds)
        child.stdin.write("end\n")
        child.stdin.flush()
        used = json.loads(child.stdout.readline())
    cpu_s = used["user_s"] + used["system_s"]
    return {
        "rows_per_core_s": count * rows / cpu_s,
        "rows_per_wall_s": count * rows / wall_s,
        "cpu_us_per_request": cpu_s / count * 1e6,
        "server_cores": cpu_s / wall_s,
        "rss_mib": used["rss_mib"],
    }


def in_process(function: Callable[[bytes], object], payloads: list[bytes], rows: int, seconds: float) -> dict[str, Any]:
    """Rows per second of CPU of a function of a request, without any transport."""
    began, count = time.process_time(), 0
    while time.process_time() - began < seconds:
        function(payloads[count % len(payloads)])
        count += 1
    cpu_s = time.process_time() - began
    return {"rows_per_core_s": count * rows / cpu_s, "cpu_us_per_request": cpu_s / count * 1e6}


def stages_of(name: str) -> tuple[str, ...]:
    """All stages for the two forms that differ most, the floor for the others."""
    return STAGES if name in ("packed 4 x 512", "one-row JSON x 512") else STAGES[:1]


def run(seconds: float = 3.0, sink: str | None = None) -> list[dict[str, Any]]:
    """Every payload at every stage; ``ratio`` is against ``FromString`` alone in the same run."""
    results = []
    for name, make in FORMS.items():
        payloads = [make(seed) for seed in range(DISTINCT)]
        raws, rows = [payload.raw for payload in payloads], payloads[0].rows
        stages = {
            "FromString (in process)": in_process(ExportTraceServiceRequest.FromString, raws, rows, seconds / 4),
            "decode (in process)": in_process(
                lambda raw: decode(raw, tenant="default", arrival_ns=time.time_ns()), raws, rows, seconds / 4
            ),
        }
        for stage in (*stages_of(name), *(["state"] if sink else [])):
            stages[stage] = measure(stage, payloads, seconds, sink)
        base = stages["FromString (in process)"]["rows_per_core_s"]
        for stage, figures in stages.items():
            ratio = figures["rows_per_core_s"] / base
            results.append({"payload": name, "bytes": len(raws[0]), "stage": stage, **figures, "ratio": ratio})
    return results


def show(results: list[dict[str, Any]]) -> None:
    print(
        f"{'payload':<26}{'kB':>6}  {'stage':<25}{'rows/s/core':>12}{'rows/s wall':>12}{'us/request':>12}{'ratio':>8}"
    )
    for row in results:
        wall = f"{row['rows_per_wall_s']:,.0f}" if "rows_per_wall_s" in row else ""
        print(
            f"{row['payload']:<26}{row['bytes'] / 1000:>6.0f}  {row['stage']:<25}{row['rows_per_core_s']:>12,.0f}"
            f"{wall:>12}{row['cpu_us_per_request']:>12,.0f}{row['ratio']:>8.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="What one core receives.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--sink", help="module:factory of what applies the items, for the stage '+ state'")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.sink)
    else:
        show(run(arguments.seconds, arguments.sink))


if __name__ == "__main__":
    main()
