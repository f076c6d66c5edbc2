"""Logs: bounded whatever arrives, one event a line, and nothing of what people sent."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from running import rows, until

from calidris import semconv
from calidris.app.logs import BURST, UNLIMITED, Limiter, Logs
from calidris.config import LogConfig
from calidris.wire import encode_predictions

Make = Callable[..., Any]
SECRET = "4111-1111-1111-1111"
_logger = logging.getLogger("calidris.somewhere")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> Iterator[Callable[..., tuple[Logs, io.StringIO]]]:
    """Starts logging to a string; ended with the test."""
    started: list[Logs] = []

    def start(stream: io.StringIO | None = None, **settings: str) -> tuple[Logs, io.StringIO]:
        out = stream or io.StringIO()
        started.append(Logs(LogConfig.model_validate(settings), out, Limiter(clock)))
        return started[-1], out

    yield start
    for logs in started:
        logs.close()


def objects(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_place_that_says_much_is_cut_and_says_how_much(log: Any, clock: Clock) -> None:
    logs, out = log(format="json")
    for i in range(1003):
        if i == 1000:
            clock.now_s += 60
        _logger.warning("request %d is bad", i)
    _logger.warning("another place is heard at once")
    told = objects(out)
    assert [line["message"] for line in told[:BURST]] == [f"request {i} is bad" for i in range(BURST)]
    assert told[BURST]["message"] == "request 1000 is bad" and told[BURST]["left_out"] == 1000 - BURST
    assert told[-1]["message"] == "another place is heard at once" and "left_out" not in told[-1]
    assert len(told) == BURST + 3 + 1
    assert logs.suppressed == 1000 - BURST


def test_people_are_told_of_what_was_left_out_too(log: Any, clock: Clock) -> None:
    _, out = log(Terminal())
    for i in range(20):
        if i == 10:
            clock.now_s += 61
        _logger.warning("again")
    line = out.getvalue().splitlines()[BURST]
    assert "WARNING again (5 more like this were left out)" in line


def test_a_pace_of_its_own(log: Any) -> None:
    _, out = log()
    for i in range(50):
        _logger.info("%d of 50", i, extra=UNLIMITED)
    assert len(objects(out)) == 50


def test_generated_places_share_one_account(log: Any) -> None:
    """A library that logs from code made on the fly must not grow our memory."""
    logs, out = log()
    for i in range(5000):
        _logger.handle(_logger.makeRecord("x", logging.WARNING, f"<made {i}>", 1, "hello", (), None))
    assert len(objects(out)) <= 1000 + BURST and logs.suppressed > 3000


def test_a_flood_from_many_threads_is_counted_exactly(log: Any) -> None:
    logs, out = log()

    def shout() -> None:
        for _ in range(500):
            _logger.error("bad")

    threads = [threading.Thread(target=shout) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(objects(out)) + logs.suppressed == 4000 and len(objects(out)) == BURST


@pytest.mark.parametrize("name", ["evil\x1b[31m\x07", "two\nlines", "rtl\u202etxt", "nul\x00", "\ud800"])
@pytest.mark.parametrize("shape", ["text", "json"])
def test_names_cannot_draw_or_forge_lines(log: Any, name: str, shape: str) -> None:
    _, out = log(format=shape)
    _logger.warning("model %s: no baseline", name)
    (line,) = out.getvalue().splitlines()
    assert line.isprintable()
    line.encode()


def test_no_line_is_longer_than_a_screen(log: Any) -> None:
    _, out = log()
    _logger.warning("model %s", "x" * 10**6)
    assert len(out.getvalue()) < 3000


@pytest.mark.parametrize("shape", ["text", "json"])
def test_errors_show_type_and_place_but_no_values(log: Any, shape: str) -> None:
    _, out = log(format=shape)
    try:
        float(SECRET)
    except ValueError:
        _logger.exception("the decoder failed")
    try:
        Path("/nowhere/at/all").read_text()
    except OSError:
        _logger.exception("disk")
    said = out.getvalue()
    assert SECRET not in said and "ValueError" in said and "test_logs.py" in said
    assert "No such file or directory" in said


def test_what_ends_a_thread_is_logged_without_values(log: Any) -> None:
    _, out = log()
    thread = threading.Thread(target=lambda: float(SECRET), name="worker")
    thread.start()
    thread.join()
    (line,) = objects(out)
    assert line["message"] == "thread worker died" and line["exception"]["type"] == "ValueError"
    assert SECRET not in out.getvalue()


def test_a_line_that_cannot_be_formatted_does_not_show_its_arguments(
    log: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    log()
    _logger.warning("%d rows", SECRET)  # the mistake is the point
    assert SECRET not in capsys.readouterr().err


def test_format_and_level(log: Any) -> None:
    _, quiet = log(level="error")
    _logger.warning("not this")
    _logger.error("this")
    assert [line["level"] for line in objects(quiet)] == ["error"]
    assert list(objects(quiet)[0]) == ["time", "level", "logger", "message"]


def test_other_libraries_are_heard_when_something_is_wrong(log: Any) -> None:
    _, out = log(level="debug")
    logging.getLogger("grpc._server").info("chatter")
    logging.getLogger("grpc._server").error("broken")
    assert [line["message"] for line in objects(out)] == ["broken"]


def test_a_flood_of_requests_that_break_the_decoder(make: Make, log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to log that a sender can reach: the decoder, the engine, refusals, a model's baseline. A handful of lines."""
    logs, out = log()

    def decode(raw: bytes, **more: Any) -> Any:
        if b"break me" in raw:
            raise ValueError(f"cannot convert {SECRET}")
        return decode_as_ever(raw, **more)

    started = make()
    decode_as_ever = started.server.intake._decode
    monkeypatch.setattr(started.server.intake, "_decode", decode)
    good = encode_predictions(rows(5, seed=1), form="packed", one_span_per_row=False)
    broken = encode_predictions(rows(5, seed=1, name="break me"), form="packed", one_span_per_row=False)
    refused = 0
    with grpc.insecure_channel(started.lines[0].rpartition(" ")[2]) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        for n in range(300):
            for raw in (broken, b"\xff" * (n + 1), good[: n + 5] + b"\xff"):
                try:
                    export(raw, timeout=10)
                except grpc.RpcError:
                    refused += 1
        export(good, timeout=10)
    until(lambda: started.rows() == 5)
    assert refused >= 600
    told = objects(out)
    assert 1 <= len(told) <= 3 * BURST, [line["message"] for line in told]
    assert logs.suppressed >= 300 - BURST
    assert SECRET not in out.getvalue() and "break me" not in out.getvalue()
    answered = started.server.health()[semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS.name]
    assert sum(answered.values()) == 901, "what is not in the log is in the counters"
