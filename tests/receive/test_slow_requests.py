"""Senders that stop in the middle of a message: they cost no thread that others need, and are not waited for at the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from halves import half
from running import until

from calidris.receive.grpc import TRACES
from calidris.receive.slow_requests import MESSAGES, READERS

MakeBench = Callable[..., Any]


def halves(bench: Any, count: int) -> list[Any]:
    made = [half(f"127.0.0.1:{bench.receiver.port}") for _ in range(count)]
    until(lambda: bench.counts("begun") == {"traces": count})
    return made


def test_half_a_message_holds_up_nobody(make_bench: MakeBench) -> None:
    """More of them than handlers may work at the same time."""
    bench = make_bench()
    slow = halves(bench, 100)
    assert bench.export(bench.request("predict"), timeout=5) == b""
    assert bench.counts() == {"ok": 1}
    for one in slow:
        one.close()


def test_those_that_take_too_long_make_room(make_bench: MakeBench) -> None:
    """Every place is taken; the next caller gets one, and those who were cut off are counted."""
    bench = make_bench(read_s=1.0)
    slow = halves(bench, READERS)
    time.sleep(1.1)
    until(lambda: bench.export(bench.request("predict"), timeout=5) == b"" and bench.counts()["too_slow"] == READERS)
    for one in slow:
        one.close()


def test_the_end_waits_for_whole_messages_only(make_bench: MakeBench) -> None:
    bench = make_bench()
    slow = halves(bench, 3)
    begun = time.monotonic()
    bench.receiver.stop(grace_s=60)
    assert time.monotonic() - begun < 30, "it waited for what will never come"
    for one in slow:
        one.close()


@pytest.mark.parametrize("message", [b"", b"\x00" * 5])
def test_a_call_without_a_message_or_with_an_empty_one(make_bench: MakeBench, message: bytes) -> None:
    """An empty request is one: it holds no spans."""
    bench = make_bench()
    calls = bench.channel.stream_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    if message:
        assert calls(iter([b""]), timeout=5) == b""
        return
    with pytest.raises(Exception, match="no message"):
        calls(iter(()), timeout=5)


def test_messages_that_wait_for_a_place_are_bounded(make_bench: MakeBench) -> None:
    """More than fit into memory come at once while nobody is answered: some wait, the others are told to try again."""
    bench = make_bench(max_message_bytes=50_000, threads=1)
    going = threading.Event()
    bench.wire.before = going.wait
    raw = bench.request("predict" + "x" * 45_000)
    export = bench.channel.unary_unary(f"/{TRACES}/Export")
    calls = [export.future(raw, timeout=20) for _ in range(MESSAGES + 8)]
    until(lambda: bench.counts().get("throttled") == 8)
    going.set()
    assert Counter(call.code() for call in calls) == {grpc.StatusCode.OK: MESSAGES, grpc.StatusCode.UNAVAILABLE: 8}
    assert bench.export(raw) == b"", "what was held is free again"
