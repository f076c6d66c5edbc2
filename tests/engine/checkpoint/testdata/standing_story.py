"""What arrives at the receiver that ``make_standing_alarm`` writes the directory of: six models in two days and a bit.

::

    step    0 ... 5     every eight hours   incomes are wrong at 2 and alarm, which bob clears at 4
            6 ... 22    every quarter       shadow 6-10, age goes up at 12 and stays, its canary from 13, prices and kinds
                   │                        from 14, the canary fails from 17 (ada looks after the age there), all from 21
                   └ 15 the second checkpoint is after it
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.engine.commands import Command
from calidris.journal.segment_format import Kind, seal_payload
from calidris.wire import Form, encode_labels, encode_predictions

HOUR = 3600 * 10**9
DAY, STEP, MINUTE = 24 * HOUR, HOUR // 4, HOUR // 60
START = 1_800_000_000 * 10**9 // DAY * DAY
BEGINS = [*range(0, 2 * DAY, 8 * HOUR), *range(2 * DAY, 2 * DAY + 17 * STEP, STEP)]
"""Of the steps that have rows: two days of one every eight hours, then four hours and a quarter without a gap."""
ROWS = 36
CREDIT = ModelKey("default", "credit", "7")
CANARY, ACME = CREDIT._replace(version="8"), ModelKey("acme", "credit", "1")
SHADOW, PRICE, KINDS = (ModelKey("default", name, "1") for name in ("shadow", "price", "kinds"))


class Said(NamedTuple):
    """What arrives: a record of the journal."""

    kind: Kind
    payload: bytes
    arrival_ns: int
    tenant: str = "default"


def rows(
    seed: int, n: int, start_ns: int, *, key: ModelKey = CREDIT, age: float = 40.0, income: float = 1.0,
    failed: float = 0.02, span_ns: int = STEP,
) -> PredictionBatch:  # fmt: skip
    """Two numbers and a string, a score and what it decides, durations, some errors and missing values."""
    rng = np.random.default_rng(seed)
    ages = np.where(rng.random(n) < 0.03, np.nan, np.round(rng.normal(age, 10, n)))
    country, sex = (CodedColumn.of(rng.choice(of, n).tolist()) for of in (["NL", "DE"], ["f", "m"]))
    score = rng.integers(1, 100, n) / 100
    return PredictionBatch(
        model=key,
        event_time_ns=start_ns + np.arange(n) * (span_ns // n),
        features={
            "age": NumberColumn.of(ages),
            "income": NumberColumn.of(rng.integers(1, 99, n) * 1e3 * income),
            "country": country,
        },
        ids=[f"{key.version}/{seed}/{i}" for i in range(n)],
        score=NumberColumn.of(score),
        decision=NumberColumn.of(score >= 0.5),
        duration_s=NumberColumn.of(rng.integers(1, 32, n) / 1e3),
        error=CodedColumn(("Timeout",), np.where(rng.random(n) < failed, 0, -1).astype(np.int32)),
        slices={"country": country, "sex": sex},
        trace_ids=CodedColumn.of([f"{seed + 1:032x}"] * n),
    )


def outcomes(batch: PredictionBatch, seed: int, late_ns: int = 10 * MINUTE) -> LabelBatch:
    """An outcome for each row, some minutes after it, drawn from its score."""
    assert batch.score is not None and batch.ids is not None
    drawn = np.random.default_rng(seed).random(len(batch)) < batch.score.values
    times = batch.event_time_ns + late_ns
    return LabelBatch(batch.model.tenant, batch.model.name, batch.ids, NumberColumn.of(drawn), times)


def some(labels: LabelBatch, first: int, last: int) -> LabelBatch:
    """The labels in some places."""
    part = np.arange(first, last)
    return LabelBatch(
        labels.tenant, labels.model_name, labels.ids[first:last], labels.label.take(part), labels.label_time_ns[part]
    )


def prices(seed: int, n: int, start_ns: int) -> PredictionBatch:
    """A number for each row."""
    rng = np.random.default_rng(seed)
    size = rng.integers(20, 200, n).astype(np.float64)
    return PredictionBatch(
        model=PRICE, event_time_ns=start_ns + np.arange(n) * (5 * MINUTE // n), features={"size": NumberColumn.of(size)},
        task="regression", ids=[f"p/{seed}/{i}" for i in range(n)] if seed == 14 else None, value=NumberColumn.of(size * 3 + 10),
    )  # fmt: skip


def kinds(seed: int, n: int, start_ns: int) -> PredictionBatch:
    """One of three classes for each row, with a probability of each."""
    shares = np.round(np.random.default_rng(seed).dirichlet([2.0, 1.0, 1.0], n), 2)
    names = ("ant", "bee", "cat")
    return PredictionBatch(
        model=KINDS, event_time_ns=start_ns + np.arange(n) * (5 * MINUTE // n), task="multiclass",
        features={"length": NumberColumn.of(shares[:, 0] * 9)}, ids=[f"k/{seed}/{i}" for i in range(n)],
        class_scores={name: NumberColumn.of(shares[:, i]) for i, name in enumerate(names)},
        decision=CodedColumn(names, shares.argmax(axis=1).astype(np.int32)),
    )  # fmt: skip


def request(batch: PredictionBatch, form: Form = "packed", one_span_per_row: bool = False, first: int = 1) -> bytes:
    """The batch's bytes, its spans with ids, so that one that comes again is told."""
    made = ExportTraceServiceRequest.FromString(encode_predictions(batch, form=form, one_span_per_row=one_span_per_row))
    trace = hashlib.blake2b(f"{batch.model} {batch.event_time_ns[0]}".encode(), digest_size=16).digest()
    for number, span in enumerate(made.resource_spans[0].scope_spans[0].spans, first):
        span.trace_id, span.span_id = trace, number.to_bytes(8, "big")
    return bytes(made.SerializeToString())


def traffic(number: int) -> PredictionBatch:
    """What ``credit`` 7 is asked in a step: incomes go up for a while and come back, ages go up and stay, calls fail at last."""
    start = START + BEGINS[number]
    return rows(
        number, ROWS, start, income=4.0 if number == 2 else 1.0, age=58.0 if number >= 12 else 40.0,
        failed=0.7 if number >= 21 else 0.02,
    )  # fmt: skip


def story() -> Iterator[list[Said]]:
    """All that arrives in each step, its seal last."""
    for number, begin in enumerate(BEGINS):
        end = START + begin + STEP
        said = [Said(Kind.REQUEST, request(traffic(number)), end)]
        said += _labels(number, end)
        said += [Said(Kind.REQUEST, raw, end, tenant) for tenant, raw in _others(number, end - STEP)]
        said += _unusual(number, end)
        yield [*said, Said(Kind.SEAL, seal_payload(end), end + MINUTE)]


def _labels(number: int, end: int) -> Iterator[Said]:
    """Of the step before all but the last rows; two of the next step, before it, and one that nobody will ask for."""
    if number:
        labels = outcomes(traffic(number - 1), number)
        yield Said(Kind.REQUEST, encode_labels(some(labels, 0, ROWS - 6)), end)
    if number + 1 < len(BEGINS):
        labels = outcomes(traffic(number + 1), number + 1)
        yield Said(Kind.REQUEST, encode_labels(some(labels, 0, 2)), end)
    if number % 5 == 1:
        nobody = LabelBatch("default", "credit", [f"nobody/{number}"], NumberColumn.of([1.0]), np.array([end]))
        yield Said(Kind.REQUEST, encode_labels(nobody), end)


def _others(number: int, start: int) -> Iterator[tuple[str, bytes]]:
    """What the other models are asked: tenant and request."""
    if 6 <= number < 11:
        yield "default", request(replace(rows(200 + number, 110, start, key=SHADOW, span_ns=5 * MINUTE), ids=None))
    if number in (14, 15, 17, 18):
        yield "default", request(prices(number, 130, start))
    if number in (14, 19):
        yield "default", request(kinds(number, 20, start))
    if number >= 13:
        failed = 0.9 if number >= 17 else 0.02
        yield "default", request(rows(300 + number, 30, start, key=CANARY, failed=failed, age=58.0))
    if number in (7, 22):
        yield ACME.tenant, request(rows(400 + number, 20, start, key=ACME, span_ns=5 * MINUTE), form="map")


def _unusual(number: int, end: int) -> Iterator[Said]:
    """What happens once."""
    if number == 4:
        yield _command(Command(1, "clear", "bob", "the currency was wrong", end))
    if number in (14, 18):  # the same request again; its span beside new ones; those in another request
        yield Said(Kind.REQUEST, request(traffic(number)), end + 1)
        few = rows(500 + number, 5, end - STEP)
        yield Said(Kind.REQUEST, request(few, "attributes", one_span_per_row=True), end + 2)
        yield Said(Kind.REQUEST, request(few, "json", one_span_per_row=True), end + 3)
    if number in (15, 20):  # rows of a step that is closed, and of yesterday
        yield Said(Kind.REQUEST, request(rows(510 + number, 4, end - 3 * STEP), "arrays", first=90), end + 4)
        yield Said(Kind.REQUEST, request(rows(520 + number, 4, end - DAY), "json"), end + 5)
    if number == 16:  # what came just before the checkpoint, after it: the span in another request, and the request
        again = rows(525, 4, end - 4 * STEP)
        yield Said(Kind.REQUEST, request(again, "packed", first=90), end - MINUTE)
        yield Said(Kind.REQUEST, request(again, "arrays", first=90), end - MINUTE + 1)
    if number in (15, 19):  # labels of the first day, of the day before, of rows that have one, of a price
        for old in (1, 5, number - 1):
            labels = outcomes(traffic(old), old, late_ns=end - START - BEGINS[old])
            yield Said(Kind.REQUEST, encode_labels(some(labels, ROWS - 12, ROWS - 2)), end + 6)
        batch = prices(14, 130, START + BEGINS[14])
        assert batch.ids is not None
        paid = LabelBatch("default", "price", batch.ids, NumberColumn.of(np.full(130, 300.0)), np.full(130, end))
        yield Said(Kind.REQUEST, encode_labels(some(paid, 0, 40 if number == 15 else 60)), end + 7)
    if number == 17:
        yield Said(Kind.REQUEST, b"\xff ml.model.name, and no protobuf", end + 8)
        yield _command(Command(2, "ack", "ada", "asked the branch", end + 9, "oncall"))


def _command(command: Command) -> Said:
    return Said(Kind.COMMAND, command.to_bytes(), command.at_ns)
