"""What a receiver, or a proxy before it, may answer: nothing of it ends the sending, and whose rows were refused is said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess
from tests.instrument.conftest import Receiver

import calidris
from calidris import Model
from calidris.instrument.runtime import runtime
from calidris.instrument.sending import channel
from calidris.instrument.sending.outbox import MAX_FAULT_AGE_S, Outbox, Outcome, Request, find_rejected
from calidris.wire.rejections import TOO_LONG, Ledger, Rejected

GARBAGE = b"\xff\xfe\xfd garbage"
DETAILS, RETRY = "grpc-status-details-bin", "google.rpc.retryinfo-bin"


def predict(model: str, rows: int = 3) -> None:
    one = Model(model)
    for _ in range(rows):
        with one.predict(features={"n": 1.0}):
            pass


def detailed(seconds: int) -> bytes:
    detail = ProtoAny()
    detail.Pack(RetryInfo(retry_delay=Duration(seconds=seconds)))
    return bytes(Status(code=8, details=[detail]).SerializeToString())


def in_any(garbage: bytes) -> bytes:
    detail = ProtoAny(type_url="type.googleapis.com/google.rpc.RetryInfo", value=garbage)
    return bytes(Status(code=8, details=[detail]).SerializeToString())


@pytest.mark.parametrize(
    "trailer",
    [(DETAILS, GARBAGE), (RETRY, GARBAGE), (DETAILS, in_any(GARBAGE))],
    ids=["details", "retry", "in details"],
)
def test_garbage_beside_a_status_changes_nothing(receiver: Any, trailer: tuple[str, bytes]) -> None:
    receiver.answer, receiver.trailers = grpc.StatusCode.UNAVAILABLE, (trailer,)
    predict("m")
    assert not calidris.flush(1)
    receiver.answer = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not calidris.flush(2)
    assert runtime.drops() == {("m", "refused"): 3}
    receiver.answer = None
    predict("m")
    assert calidris.flush(20)


@pytest.mark.parametrize("seconds", [10**11, 315_576_000_000, -(10**11)])
def test_an_absurd_wish_to_wait_is_not_followed(receiver: Any, seconds: int) -> None:
    receiver.answer, receiver.trailers = grpc.StatusCode.UNAVAILABLE, ((DETAILS, detailed(seconds)),)
    outcome = channel.Channel(runtime.settings).send(b"", 2)
    assert outcome.retry_after_s is not None
    assert 0 <= outcome.retry_after_s <= channel.LONGEST_DELAY_S


class Garbling(Receiver):
    """It answers with what is no answer."""

    def _export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return GARBAGE


def test_an_answer_that_is_none_is_counted() -> None:
    receiver = Garbling()
    calidris.configure(endpoint=receiver.start())
    predict("m")
    assert not calidris.flush(5)
    assert runtime.drops() == {("m", "refused"): 3}
    receiver.stop()


def test_an_error_of_ours_at_one_request_does_not_keep_those_behind_it(
    receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    connect, failures = channel.Channel._connect, iter([True, True])

    def fail(self: Any) -> Any:
        if next(failures, False):
            raise ValueError("not today")
        return connect(self)

    monkeypatch.setattr(channel.Channel, "_connect", fail)
    predict("m")
    assert calidris.flush(20), "it is tried again within the flush"


def test_a_request_that_only_meets_errors_makes_room_for_the_next() -> None:
    dropped: list[tuple[str, str, int]] = []
    clock, box = [0.0], Outbox(lambda *what: dropped.append(what))
    for name in ("poison", "good"):
        request = Request()
        request.add(name.encode(), name, 1)
        box.put([request])

    def send(payload: bytes, timeout_s: float) -> Outcome:
        is_fault = payload == b"poison"
        return Outcome(not is_fault, retryable=is_fault, is_fault=is_fault)

    while len(box):
        box.send(send, lambda: clock[0], 1.0)
        clock[0] += 1.0
    assert dropped == [("poison", "internal_error", 1)]
    assert clock[0] < 3 * MAX_FAULT_AGE_S


PARTS = [("a", 100), ("b", 1), ("c", 10)]


@pytest.mark.parametrize(
    ("parts", "rejected", "message", "found"),
    [
        (PARTS, 1, "span 1 'predict b': ml.model.name: it is missing; set it", {"b": 1}),
        (PARTS, 2, "span 0 'predict a': no\nspan 2 'predict c': no", {"a": 100, "c": 10}),
        (PARTS, 1, "no", {"": 37}),
        (PARTS, 2, "span 0 'predict a': no\nand 1 more", {"a": 100, "": 6}),
        (PARTS, 3, "no", {"a": 100, "b": 1, "c": 10}),
        (PARTS, 9, "span 77 'x': no", {"a": 100, "b": 1, "c": 10}),
        ([("a", 1), ("a", 2)], 1, "no", {"a": 2}),
        (PARTS, -1, "no", {}),
    ],
)
def test_what_was_refused_of_a_request_is_counted_for_whom_it_is_known(
    parts: list[tuple[str, int]], rejected: int, message: str, found: dict[str, int]
) -> None:
    counted = find_rejected(parts, Outcome(True, rejected_spans=rejected, message=message))
    assert +counted == Counter(found)


def test_calidris_own_receiver_says_which_spans_it_refused() -> None:
    ledger = Ledger()
    ledger.add(1, "predict b", Rejected(TOO_LONG, "it has 4000 characters", "ml.prediction.id"))
    outcome = Outcome(True, rejected_spans=1, message=ledger.message)
    assert find_rejected(PARTS, outcome) == Counter({"b": 1})


def test_one_refused_span_blames_no_other_model(receiver: Any) -> None:
    receiver.answer = ExportTracePartialSuccess(rejected_spans=1, error_message="span 1 'predict b': not that one")
    for name in ("a", "b", "c"):
        predict(name)
    assert not calidris.flush(5)
    assert runtime.drops() == {("b", "rejected"): 3}


def test_where_nobody_knows_whose_rows_were_refused_none_is_blamed(receiver: Any) -> None:
    receiver.answer = ExportTracePartialSuccess(rejected_spans=1, error_message="not that one")
    for name in ("a", "b", "c"):
        predict(name, 1)
    assert not calidris.flush(5)
    assert runtime.drops() == {("", "rejected"): 1}
