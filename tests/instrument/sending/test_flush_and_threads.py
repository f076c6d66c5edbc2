"""Flush tells the truth and tries again; the sending thread lives or is started again; signal handlers may record."""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

import calidris
from calidris import Model, semconv
from calidris.instrument.process.threads import run_apart
from calidris.instrument.runtime import runtime
from calidris.instrument.tally import Tally


def predict(model: Model, rows: int, start: int = 0) -> None:
    for n in range(start, start + rows):
        with model.predict(features={"n": n}):
            pass


def numbers(receiver: Any) -> list[float]:
    return [n for span in receiver.spans() for n in span.get(semconv.ML_FEATURES, {}).get("n", ())]


def sending_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "calidris-flush"]


def test_a_flush_waits_for_a_receiver_that_comes_back(make_receiver: Any) -> None:
    receiver = make_receiver()
    endpoint = receiver.start()
    receiver.stop()
    calidris.configure(endpoint=endpoint)
    predict(Model("m"), 3)
    back = threading.Timer(1.0, receiver.start)
    back.start()
    assert calidris.flush(20)
    back.join()
    assert numbers(receiver) == [0, 1, 2]
    assert runtime.drops() == {}


def test_a_flush_is_true_only_when_everything_was_acknowledged(receiver: Any, caplog: Any) -> None:
    model = Model("m")
    assert calidris.flush()
    predict(model, 3)
    model.record_batch([[1], [2]], [0.5])
    assert not calidris.flush()
    assert "2 of m dropped: malformed" in caplog.text
    assert calidris.flush(), "what was told once is not told again"
    receiver.answer = ExportTracePartialSuccess(rejected_spans=1, error_message="not that one")
    predict(model, 4)
    assert not calidris.flush()
    assert "4 of m dropped: rejected" in caplog.text


def test_a_flush_that_runs_out_of_time_says_what_waits(make_receiver: Any, caplog: Any) -> None:
    receiver = make_receiver()
    endpoint = receiver.start()
    receiver.stop()
    calidris.configure(endpoint=endpoint)
    predict(Model("m"), 7)
    begun = time.monotonic()
    assert not calidris.flush(1)
    assert 0.5 < time.monotonic() - begun < 5
    assert "7 of m still wait" in caplog.text


def test_a_sending_thread_that_dies_is_started_again(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any, caplog: Any
) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    model = Model("m")
    predict(model, 1)
    assert calidris.flush()
    (thread,) = sending_threads()
    # As libraries do that end what takes too long: an exception from outside, at any place of the thread.
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    predict(model, 1, 1)
    eventually(lambda: not thread.is_alive())
    predict(model, 3, 2)
    assert calidris.flush()
    assert sorted(numbers(receiver)) == [0, 1, 2, 3, 4]
    assert caplog.text.count("internal error in sending thread") <= 1


def test_a_thread_that_cannot_start_is_tried_again(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    real, failures = threading.Thread.start, iter([True])

    def start(self: threading.Thread) -> None:
        if self.name == "calidris-flush" and next(failures, False):
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    predict(Model("m"), 5)
    assert calidris.flush(10)
    assert numbers(receiver) == [0, 1, 2, 3, 4]


SIGNALS = """
import signal, sys, time, calidris
model = calidris.Model("m")
made = 0
def on_alarm(number, frame):
    global made
    for _ in range(3):
        with model.predict(features={"n": 1}) as p:
            p.score = 0.5
        made += 1
    calidris.record_label("r", 1, model="m")
    model.record_batch([[1], [2]])
    made += 2
    calidris.flush(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0.0011)
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.0003)  # the first before the thread has been started
end = time.monotonic() + 2
while time.monotonic() < end:
    model.record_batch([[1], [2], [3]])
    with model.predict(features={"n": 2}) as p:
        p.score = 0.5
    made += 4
    calidris.record_label("r", 1, model="m")
    calidris.flush(0.01)
signal.setitimer(signal.ITIMER_REAL, 0)
calidris.flush(20)
from calidris.instrument.runtime import runtime
print(made, sum(runtime.drops().values()))
"""


def test_a_signal_handler_may_record_while_its_thread_is_recording(receiver: Any) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", SIGNALS],
        env=clean | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": receiver.endpoint},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    made, dropped = map(int, done.stdout.split())
    counted = sum(s[semconv.ML_PREDICTION_COUNT] for s in receiver.spans() if s["name"] == "predict m")
    assert made > 100
    assert dropped == 0
    # `made += 4` is itself no one step: a handler's additions may get lost in it, ours do not.
    assert counted >= made


def test_a_tally_loses_nothing_to_threads_and_signal_handlers() -> None:
    tally: Tally[str] = Tally()
    handled = 0

    def on_alarm(number: int, frame: Any) -> None:
        nonlocal handled
        handled += 1
        tally.add("signal")

    def add() -> None:
        for _ in range(20_000):
            tally.add("thread")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    threads = [threading.Thread(target=add) for _ in range(3)]
    for one in threads:
        one.start()
    for _ in range(50_000):
        tally.add("main")
    for one in threads:
        one.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    assert tally.sums() == {"main": 50_000, "thread": 60_000, "signal": handled}
    assert handled > 10


def test_a_note_waits_for_no_log_that_is_held() -> None:
    """A signal handler that flushes may have interrupted its own thread in the midst of logging."""
    held, done = threading.Lock(), threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with held:
                done.set()

    log = logging.getLogger("calidris.test")
    log.addHandler(Handler())
    with held:
        run_apart(lambda: log.warning("something"), 0.1)
        assert not done.is_set()
    assert done.wait(5)


def test_what_is_lost_is_reported_once_and_again_if_the_report_was_lost(make_receiver: Any, eventually: Any) -> None:
    receiver = make_receiver()
    calidris.configure(endpoint=receiver.start())
    model = Model("m")
    model.record_batch([[1], [2]], [0.5])
    with model.predict(features={"a": "text", "n": 1}) as p:
        p.score = 7.0
    assert not calidris.flush()
    predict(model, 1)
    assert calidris.flush()
    (report,) = [span for span in receiver.spans() if span["name"] == "report m"]
    assert report[semconv.ML_PREDICTION_COUNT] == 0
    assert report[semconv.ML_REPORT_ROWS_DROPPED] == {"malformed": 2}
    assert report[semconv.ML_REPORT_VALUES_WITHHELD] == {"string_feature": 1, "score_out_of_range": 1}


def test_of_two_flushes_at_once_neither_is_true_where_rows_were_lost(receiver: Any) -> None:
    model = Model("m")
    receiver.hangs_s = 0.3
    receiver.answer = grpc.StatusCode.INVALID_ARGUMENT
    predict(model, 3)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(calidris.flush(10))) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == [False, False]


def test_settings_that_change_while_rows_are_made_lose_none_uncounted(make_receiver: Any) -> None:
    first, second = make_receiver(), make_receiver()
    first.start(), second.start()
    model, made, end_s = Model("m"), 0, time.monotonic() + 2
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for one in (first, second):
                calidris.configure(endpoint=one.endpoint, delay_s=0.05)

    calidris.configure(endpoint=first.endpoint)
    thread = threading.Thread(target=switch)
    thread.start()
    while time.monotonic() < end_s:
        with model.predict(features={"n": made}):
            pass
        made += 1
        time.sleep(0.001)
    stop.set()
    thread.join()
    calidris.flush(20)
    arrived = len(numbers(first)) + len(numbers(second))
    assert arrived + sum(runtime.drops().values()) == made
    assert arrived > made / 2


def test_functions_that_send_first_are_pickled_as_what_they_replace(receiver: Any) -> None:
    ours = pickle.dumps((os.kill, signal.raise_signal))
    assert pickle.loads(ours) == (os.kill, signal.raise_signal)  # noqa: S301


class Late(Exception):
    """The application's time-out."""


def test_a_time_out_in_a_batch_reaches_the_application_and_its_rows_are_counted(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_alarm(number: int, frame: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, on_alarm)
    monkeypatch.setattr("calidris.instrument.many_rows.ids.place_of", lambda *_: signal.raise_signal(signal.SIGALRM))
    try:
        with pytest.raises(Late):
            Model("m").record_batch(None, [0.5] * 7)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert runtime.drops() == {("m", "interrupted"): 7}


def test_a_label_without_an_id_costs_its_neighbours_nothing(receiver: Any) -> None:
    Model("m").record_labels(["a", "", "b"], [1, 1, 0])
    calidris.flush()
    assert receiver.only("feedback m")[semconv.ML_PREDICTION_COUNT] == 2
    assert runtime.drops() == {("m", "missing_id"): 1}


class SlowLog(logging.Handler):
    """A log that takes its time, as one on a busy machine does."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        time.sleep(0.05)
        self.written.append(record.getMessage())


def test_who_closes_waits_for_the_note_whoever_writes_it(make_receiver: Any) -> None:
    """The sending thread may be the one that tells of what stays behind; behind ``os._exit`` nothing runs any more."""
    nobody = make_receiver()
    nobody.stop()
    log, log_handler = logging.getLogger("calidris"), SlowLog()
    log.addHandler(log_handler)
    try:
        for _ in range(20):
            calidris.configure(endpoint=nobody.endpoint)
            predict(Model("m"), 3)
            log_handler.written.clear()
            calidris.shutdown(0.3)
            told = [note for note in log_handler.written if "m: shutdown (3 so far" in note]
            assert told, log_handler.written
            runtime.not_sent.after_fork()  # said once in the life of a process; here it is said again
    finally:
        log.removeHandler(log_handler)
