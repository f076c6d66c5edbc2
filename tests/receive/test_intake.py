"""The intake with the real decoder: what the convention's encoder sends arrives at the engine, live and replayed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from calidris import wire
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.engine.inbox import Inbox
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind, Record
from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.intake import Intake, received_again


def batch(rows: int) -> PredictionBatch:
    return PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=np.full(rows, time.time_ns()),
        features={"age": NumberColumn.of(np.arange(rows)), "city": CodedColumn.of(["Zürich"] * rows)},
        score=NumberColumn.of(np.full(rows, 0.5)),
        ids=[f"id-{n}" for n in range(rows)],
    )


@pytest.mark.parametrize("one_span_per_row", [False, True])
@pytest.mark.parametrize("form", wire.FORMS)
def test_every_form_arrives_and_is_replayed_alike(tmp_path: Path, form: wire.Form, one_span_per_row: bool) -> None:
    journal, inbox = Journal(tmp_path), Inbox(first_seq=1)
    intake = Intake(
        admission=Admission(1 << 20),
        journal=journal,
        inbox=inbox,
        holds=wire.holds_model_telemetry,
        decode=wire.decode,
        clock_ns=time.time_ns,
        counters=ReceiverCounters(),
    )
    answer = intake.accept(wire.encode_predictions(batch(5), form=form, one_span_per_row=one_span_per_row))
    assert answer.rejected == 0
    (live,) = inbox.take(10, timeout_s=0)
    (again,) = (received_again(record, wire.decode) for record in journal.replay(0))
    assert live.decoded is not None and again.decoded is not None
    assert live.decoded.rows == again.decoded.rows == 5
    for item, twin in zip(live.decoded.items, again.decoded.items, strict=True):
        assert isinstance(item, PredictionBatch) and isinstance(twin, PredictionBatch)
        assert item.ids == twin.ids
        assert item.event_time_ns.tolist() == twin.event_time_ns.tolist()
    journal.close()


@pytest.mark.parametrize(
    "payload",
    [
        b'{"alarm": 0, "action": "invented later", "by": "ada", "reason": "", "at_ns": 1, "model": ["t", "m", "1"]}',
        b'{"alarm": 1, "action": "ack", "by": "ada", "reason": "", "at_ns": 1, "since": "later"}',
        b"[]",
    ],
)
def test_a_command_of_a_later_release_keeps_nobody_from_starting(
    payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A release that was taken back: what it wrote is told in the log and left out, the records around it are applied."""
    again = received_again(Record(Kind.COMMAND, 7, 1, "default", payload), lambda *_, **__: None)  # type: ignore[arg-type, return-value]
    assert (again.seq, again.command, again.decoded, again.seal_ns) == (7, None, None, None)
    assert "record 7 is a command that this release does not know" in caplog.text
