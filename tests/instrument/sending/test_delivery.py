"""The way to the receiver when it is away, refuses, forks or never was: the host notices nothing and nothing is lost silently."""

from __future__ import annotations

import itertools
import os
import pickle
import socket
import subprocess
import sys
import time
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime
from calidris.instrument.sending import channel, outbox, waiting
from calidris.instrument.sending.outbox import Outbox, Outcome, Request
from calidris.instrument.sending.packing import MAX_REQUEST_BYTES, MAX_SPAN_BYTES


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def predict(model: Model, rows: int, start: int = 0) -> None:
    for n in range(start, start + rows):
        with model.predict(features={"n": n}, id=f"r{n}"):
            pass


def numbers(receiver: Any) -> list[float]:
    return [n for span in receiver.spans() for n in span.get(semconv.ML_FEATURES, {}).get("n", ())]


def test_a_receiver_that_comes_back_gets_everything_once(make_receiver: Any, caplog: Any) -> None:
    receiver = make_receiver()
    receiver.port = closed_port()
    calidris.configure(endpoint=receiver.endpoint)
    model = Model("m")
    predict(model, 3)
    assert not calidris.flush(2)
    predict(model, 3, 3)
    assert not calidris.flush(2)
    receiver.start()
    assert calidris.flush(5)
    assert numbers(receiver) == [0, 1, 2, 3, 4, 5]
    assert runtime.drops() == {}
    assert caplog.text.count("does not answer") == 1


def test_a_retry_is_the_same_bytes(receiver: Any) -> None:
    """By the hash of the request, and by its trace and span ids, the receiver knows it for a retry."""
    receiver.answer = grpc.StatusCode.UNAVAILABLE
    predict(Model("m"), 3)
    assert not calidris.flush(2)
    receiver.answer = None
    assert calidris.flush()
    assert len(receiver.requests) > 2
    assert len(set(receiver.requests)) == 1


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_is_refused_for_good_is_not_repeated(receiver: Any, code: grpc.StatusCode, caplog: Any) -> None:
    receiver.answer = code
    predict(Model("m"), 3)
    assert not calidris.flush()
    receiver.answer = None
    predict(Model("m"), 1, 9)
    assert calidris.flush()
    requests = [r for r in receiver.requests if b"report m" not in r]
    assert len(requests) == 2
    assert runtime.drops() == {("m", "refused"): 3}
    assert code.name in caplog.text


def test_a_partial_success_is_counted(receiver: Any) -> None:
    receiver.answer = ExportTracePartialSuccess(rejected_spans=1, error_message="no model name")
    predict(Model("m"), 3)
    assert not calidris.flush()
    assert runtime.drops() == {("m", "rejected"): 3}


@pytest.mark.parametrize("trailer", ["google.rpc.retryinfo-bin", "grpc-status-details-bin"])
def test_the_receivers_wish_to_wait_is_heard(receiver: Any, trailer: str) -> None:
    info = RetryInfo(retry_delay=Duration(nanos=200_000_000))
    detail = ProtoAny()
    detail.Pack(info)
    raw = info if trailer.startswith("google") else Status(code=8, details=[detail])
    receiver.answer, receiver.trailers = grpc.StatusCode.RESOURCE_EXHAUSTED, ((trailer, raw.SerializeToString()),)
    outcome = channel.Channel(runtime.settings).send(b"", 2)
    assert (outcome.delivered, outcome.retryable, outcome.retry_after_s) == (False, True, 0.2)


def test_back_off_grows_and_what_is_too_old_is_given_up() -> None:
    dropped: list[tuple[str, str, int]] = []
    clock, box = [100.0], Outbox(lambda *what: dropped.append(what))
    tries: list[float] = []

    def away(payload: bytes, timeout_s: float) -> Outcome:
        tries.append(clock[0])
        return Outcome(False, retryable=True)

    request = Request()
    request.add(b"x", "m", 5)
    box.put([request])
    while len(box):
        box.send(away, lambda: clock[0], 1.0)
        clock[0] += 0.5
    assert [b - a for a, b in itertools.pairwise(tries)][:6] == [1, 2, 4, 8, 16, 30]
    assert tries[-1] - tries[0] <= outbox.MAX_AGE_S
    assert dropped == [("m", "expired", 5)]


def test_the_outbox_is_bounded_and_the_oldest_makes_room() -> None:
    dropped: list[tuple[str, str, int]] = []
    box = Outbox(lambda *what: dropped.append(what), max_bytes=250)
    for n in range(4):
        request = Request()
        request.add(bytes(100), f"m{n}", 1)
        box.put([request])
    assert len(box) == 2
    assert dropped == [("m0", "backlog_full", 1), ("m1", "backlog_full", 1)]


def test_in_a_full_buffer_the_oldest_make_room_and_are_counted(make_receiver: Any) -> None:
    receiver = make_receiver()
    calidris.configure(endpoint=receiver.start(), queue_rows=300, delay_s=30)
    model = Model("m")
    predict(model, 1, 1000)
    assert calidris.flush()  # its thread has begun to wait
    predict(model, 400)
    model.record_labels(["a"], [1])
    assert not calidris.flush()
    assert numbers(receiver) == [1000, *range(101, 400)]
    assert runtime.drops() == {("m", "queue_full"): 101}


def test_wide_rows_do_not_multiply_the_memory(make_receiver: Any) -> None:
    calidris.configure(endpoint=make_receiver().start(), delay_s=30)
    Model("wide", features=[f"f{n}" for n in range(2000)])
    assert runtime._buffer is not None
    assert runtime._buffer._waiting.limit == waiting.MAX_CELLS // 2000


def test_spans_and_requests_stay_small(receiver: Any) -> None:
    """512 rows of 200 features are 800 KiB: the Collector's default limit is 4 MiB, ours 256 KiB a span and 2 MiB a request."""
    rng = np.random.default_rng(1)
    Model("wide").record_batch(rng.normal(size=(3000, 200)))
    assert calidris.flush()
    assert all(len(request) < 2 * 1024 * 1024 for request in receiver.requests)
    assert len(receiver.requests) == -(-3000 * 200 * 8 // MAX_REQUEST_BYTES)
    spans = receiver.spans()
    assert sum(span[semconv.ML_PREDICTION_COUNT] for span in spans) == 3000
    assert max(span["span"].ByteSize() for span in spans) <= MAX_SPAN_BYTES


def test_a_row_that_fits_no_span_is_dropped_alone(receiver: Any) -> None:
    model = Model("m")
    predict(model, 1)
    with model.predict(id="x" * 300_000):
        pass
    assert not calidris.flush()
    assert numbers(receiver) == [0.0]
    assert runtime.drops() == {("m", "row_too_large"): 1}


def test_a_row_that_cannot_be_packed_costs_the_application_nothing(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Awkward:
        def __str__(self) -> str:
            raise RuntimeError("not today")

    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    with Model("bad").predict(id=Awkward()):
        pass
    predict(Model("good"), 2)
    assert calidris.flush()
    assert numbers(receiver) == [0.0, 1.0]
    assert receiver.only("predict bad")[semconv.ML_PREDICTION_COUNT] == 1
    assert runtime.notes() == {("id_unreadable", "bad"): 1}


def test_a_forked_child_sends_its_own_rows_and_none_of_its_parents(receiver: Any, strings: Any) -> None:
    model = Model("m")
    predict(model, 2)
    assert calidris.flush()  # the parent's connection is open and its thread runs
    predict(model, 2, 10)
    child = os.fork()
    if child == 0:
        try:
            predict(model, 3, 100)
            with model.predict(features={"n": 103}):
                pass
            os._exit(0 if calidris.flush(10) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with model.predict(features={"n": 12}):
        pass
    assert calidris.flush()
    assert sorted(numbers(receiver)) == [0, 1, 10, 11, 12, 100, 101, 102, 103]
    made = [one for s in receiver.spans() for one in strings(s[semconv.ML_PREDICTION_ID]) if not one.startswith("r")]
    assert len(set(made)) == 2


APPLICATION = """
import sys, time, calidris
model = calidris.Model("m")
for n in range(100):
    with model.predict(features={"n": n}) as p:
        p.score = 0.5
print("host done", flush=True)
"""


def run_application(endpoint: str, **env: str) -> tuple[subprocess.CompletedProcess[str], float]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION],
        env=clean | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": endpoint} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, time.monotonic() - begun


def test_the_end_of_a_process_sends_what_is_left(receiver: Any) -> None:
    done, _ = run_application(receiver.endpoint, OTEL_CALIDRIS_SCHEDULE_DELAY="60000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "host done\n", "")
    assert sorted(numbers(receiver)) == list(range(100))


def test_a_receiver_that_never_was_does_not_keep_the_process() -> None:
    done, took_s = run_application(f"http://127.0.0.1:{closed_port()}")
    assert (done.returncode, done.stdout) == (0, "host done\n")
    assert took_s < 10
    assert "Traceback" not in done.stderr
    assert "m: shutdown" in done.stderr


def test_a_receiver_that_swallows_everything_does_not_keep_the_process() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        done, took_s = run_application(f"http://127.0.0.1:{mute.getsockname()[1]}")
    assert (done.returncode, done.stdout) == (0, "host done\n")
    assert took_s < 10
    assert "Traceback" not in done.stderr


BY_VALUE = """
import pickle, sys
model = pickle.loads(bytes.fromhex(sys.argv[1]))
with model.predict(features={"n": 1}) as p:
    p.score = 0.5
model.record_batch({"n": [2, 3]})
"""


def test_a_model_that_came_by_pickle_records_where_none_was_made(receiver: Any) -> None:
    """As functions of the main program come to the workers of joblib and of clusters."""
    pickled = pickle.dumps(Model("m", features=["n", "k"], allow=["k"])).hex()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    settings = clean | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": receiver.endpoint}
    done = subprocess.run([sys.executable, "-c", BY_VALUE, pickled], env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(numbers(receiver)) == [1, 2, 3]


def test_configure_switches_receivers_and_shutdown_stops(receiver: Any, make_receiver: Any) -> None:
    model = Model("m")
    predict(model, 1)
    other = make_receiver()
    calidris.configure(endpoint=other.start())
    predict(model, 1, 1)
    assert calidris.shutdown()
    predict(model, 1, 2)
    assert (numbers(receiver), numbers(other)) == ([0.0], [1.0])
    calidris.configure(endpoint="")
    assert not runtime.on


def test_no_span_of_ours_is_instrumented(receiver: Any) -> None:
    """An application that instruments grpc must not see our exports."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled

    seen: list[bool] = []
    send = channel.Channel.send

    def spy(self: Any, payload: bytes, timeout_s: float) -> Outcome:
        seen.append(is_instrumentation_enabled())
        return send(self, payload, timeout_s)

    channel.Channel.send = spy  # type: ignore[method-assign]
    try:
        predict(Model("m"), 1)
        assert calidris.flush()
    finally:
        channel.Channel.send = send  # type: ignore[method-assign]
    assert seen == [False]


FEW_FILES = """
import resource, time, calidris, calidris.instrument.sending.channel
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
files = []
try:
    while True:
        files.append(open("/dev/null"))
except OSError:
    files.pop()
calidris.record_label("a", 1, model="m")
time.sleep(2)
files.clear()
print(calidris.flush(20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts files as Linux does")
def test_a_process_with_one_file_to_spare_is_not_aborted(receiver: Any) -> None:
    """As gRPC does where it finds too few at its start; the rows wait until there are more."""
    environ = os.environ | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": receiver.endpoint}
    assert subprocess.check_output([sys.executable, "-c", FEW_FILES], env=environ, text=True) == "True\n"
