"""Rates and shares: who sends too fast waits, nobody waits for another tenant, and what was journalled is never refused."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from calidris import wire
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.config import RatesConfig
from calidris.engine.inbox import Inbox
from calidris.errors import RetryableError
from calidris.journal.journal import Journal
from calidris.receive.admission import Admission, ReceiverCounters, refusal_of
from calidris.receive.intake import Intake
from calidris.receive.rates import Rates

MakeBench = Callable[..., Any]


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def limited(clock: Clock, **settings: Any) -> Rates:
    return Rates(RatesConfig.model_validate(settings), clock)


def admitted(rates: Rates, tenant: str, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            rates.admit(tenant)
            count += 1
        except RetryableError as error:
            assert error.retry_after_s > 0
    return count


def test_a_burst_passes_then_the_rate_and_the_delay_is_the_bucket_s_own() -> None:
    clock = Clock()
    rates = limited(clock, tenant={"requests": 4}, burst="2s")
    assert admitted(rates, "a", 20) == 8
    with pytest.raises(RetryableError) as refused:
        rates.admit("a")
    assert refused.value.retry_after_s == pytest.approx(0.25)
    clock.now_s += refused.value.retry_after_s
    assert admitted(rates, "a", 20) == 1
    clock.now_s += 3600
    assert admitted(rates, "a", 20) == 8


def test_each_tenant_has_a_bucket_of_its_own_and_all_share_the_total() -> None:
    clock = Clock()
    rates = limited(clock, tenant={"requests": 2}, total={"requests": 3}, burst="1s")
    assert [admitted(rates, tenant, 9) for tenant in ("a", "b", "c")] == [2, 1, 0]
    clock.now_s += 1 / 3  # one for all: what "a" was refused by the total did not cost it a token of its own
    assert [admitted(rates, tenant, 9) for tenant in ("c", "a")] == [1, 0]


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(0, 500)), max_size=60),
    st.floats(1, 100),
)
def test_rows_stay_under_the_rate_but_for_the_burst_and_the_last_request(
    sent: list[tuple[float, int]], rate: float
) -> None:
    clock = Clock()
    rates = limited(clock, tenant={"rows": rate}, burst="1s")
    taken = 0
    for pause_s, rows in sent:
        clock.now_s += pause_s
        if admitted(rates, "a", 1):
            rates.charge("a", rows)
            taken += rows
            assert taken - rows <= rate * clock.now_s + rate * 1.0 + 1e-6 * (1 + taken)


def test_a_request_is_refused_while_rows_are_owed_and_told_for_how_long() -> None:
    clock = Clock()
    rates = limited(clock, tenant={"rows": 100}, burst="1s")
    rates.admit("a")
    rates.charge("a", 1_000)  # one request far above the rate is taken: it is in the journal by then
    with pytest.raises(RetryableError) as refused:
        rates.admit("a")
    assert refused.value.retry_after_s == pytest.approx(9.01)
    refusal = refusal_of(refused.value)
    assert (refusal.reason, refusal.retry_after_s, refusal.http_status) == ("rate_rows", 3.0, 503)
    rates.admit("b")  # not b's debt
    clock.now_s += 9.02
    rates.admit("a")


def test_a_clock_that_stands_or_steps_back_gives_nothing_away() -> None:
    clock = Clock(100.0)
    rates = limited(clock, tenant={"requests": 1}, burst="1s")
    assert admitted(rates, "a", 5) == 1
    clock.now_s = 0.0
    assert admitted(rates, "a", 5) == 0
    clock.now_s = 100.5
    assert admitted(rates, "a", 5) == 0


def test_over_grpc_a_fast_sender_gets_retry_info_and_is_counted(make_bench: MakeBench) -> None:
    clock = Clock()
    bench = make_bench(rates=limited(clock, tenant={"requests": 1}, burst="1s"))
    bench.export(bench.request("predict"))
    error = bench.refused(bench.request("predict again"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(error.trailing_metadata())
    retry = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    assert retry.retry_delay.ToTimedelta().total_seconds() == pytest.approx(1.0)
    assert bench.counts() == {"ok": 1, "rate_requests": 1}
    assert bench.admission.used_bytes == len(bench.request("predict"))  # the refused one holds nothing
    clock.now_s += 1
    bench.export(bench.request("predict again"))


def test_rows_of_packed_spans_are_charged_once_decoded(tmp_path: Path) -> None:
    clock, journal = Clock(), Journal(tmp_path)
    inbox = Inbox(first_seq=1)
    intake = Intake(
        admission=Admission(1 << 20),
        journal=journal,
        inbox=inbox,
        holds=wire.holds_model_telemetry,
        decode=wire.decode,
        clock_ns=lambda: 1_800_000_000_000_000_000,
        counters=ReceiverCounters(),
        rates=limited(clock, tenant={"rows": 100}, burst="1s"),
    )
    batch = PredictionBatch(
        ModelKey("default", "credit", "7"),
        np.full(150, 1_800_000_000_000_000_000),
        {"age": NumberColumn.of(np.arange(150))},
    )
    raw = wire.encode_predictions(batch, form="packed", one_span_per_row=False)
    intake.accept(raw)
    with pytest.raises(RetryableError, match="100 rows a second of one tenant"):
        intake.accept(raw)
    clock.now_s += 0.52
    intake.accept(raw)
    assert [item.decoded.rows for item in inbox.take(10, timeout_s=0) if item.decoded] == [150, 150]
    journal.close()


def fill(admission: Admission, tenant: str, size: int) -> int:
    """Bytes that a greedy tenant gets."""
    held = 0
    while tried(admission, tenant, size):
        held += size
    return held


def tried(admission: Admission, tenant: str, size: int) -> bool:
    try:
        admission.reserve(size, tenant)
    except RetryableError:
        return False
    return True


def test_a_tenant_alone_may_fill_the_queue() -> None:
    admission = Admission(1000)
    assert fill(admission, "a", 10) == 1000


def test_a_greedy_tenant_that_filled_the_queue_makes_room_for_others() -> None:
    admission = Admission(1000)
    fill(admission, "a", 10)
    assert fill(admission, "b", 10) == 0  # full: but from now on a is held to its share
    admission.release(100, "a")
    assert fill(admission, "a", 10) == 0
    assert fill(admission, "b", 10) == 70
    with pytest.raises(RetryableError) as refused:
        admission.reserve(10, "a")
    assert refusal_of(refused.value).reason == "throttled_tenant"


@pytest.mark.parametrize("tenants", [2, 3, 7])
def test_greedy_tenants_end_with_equal_shares_and_room_for_one_more(tenants: int) -> None:
    admission, queue = Admission(10_000), deque[str]()
    for _ in range(60):  # the engine applies the oldest tenth, then all send as much as they can
        for tenant in [queue.popleft() for _ in range(len(queue) // 10)]:
            admission.release(10, tenant)
        while got := [i for i in range(tenants) if tried(admission, f"tenant {i}", 10)]:
            queue.extend(f"tenant {i}" for i in got)
    held, share = Counter(queue), 10_000 / (1 + 3 * tenants)
    assert all(abs(10 * held[f"tenant {i}"] - 3 * share) < 0.1 * 3 * share for i in range(tenants))
    free = 10_000 - admission.used_bytes
    assert abs(free - share) < 0.2 * share
    admission.reserve(free, "a newcomer")
    for tenant, size in (*((tenant, 10) for tenant in queue), ("a newcomer", free)):
        admission.release(size, tenant)
    assert admission.used_bytes == 0
