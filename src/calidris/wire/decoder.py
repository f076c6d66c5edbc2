"""A request's bytes to batches: read, sort into tables, build, merge.

The written rule; ``docs/wire.md`` says the same to people who send from other languages, with examples.

**Spans.**

* A *model span* carries ``ml.model.name`` or any other ``ml.*`` attribute of a prediction, or is named ``predict …``
  under a resource that carries ``ml.model.name``. Without a name on span or resource it is rejected.
* A *feedback span* carries ``ml.label``, or is named ``feedback …``. It needs ``ml.prediction.id`` and ``ml.label``,
  and no prediction beside them.
* A *report span* carries ``ml.report.rows_dropped`` or ``ml.report.values_withheld``, and no rows: what its sender left out.
* Other spans with ``ml.prediction.count`` = 0 only mark a trace. They and all other spans are *ignored*.
* A span is used whole or rejected whole, and costs its neighbours nothing.

**Columns.** Each holds ``ml.prediction.count`` rows (1 if absent), in any of these forms:

* a scalar, for one row; several rows are never made of one value, except by ``error.type``, which is the whole call's;
* an OTLP array, an empty value being a missing row;
* ``{f64 | f32 | i64: bytes}``, little-endian, NaN being a missing row;
* ``{levels: [strings], codes: bytes}``, int32 little-endian, -1 being a missing row;
* a string that is a JSON array, for several rows.

A map (``ml.features``, ``ml.slices``, ``ml.prediction.score`` by class) is an OTLP map of name to column, or one
string that is a JSON object of name to scalar, array or (one row only) null. ``ml.features.<name>`` as an attribute
of its own is one entry of that map, and so are ``ml.slices.<name>`` and ``ml.prediction.score.<class>``; where both
were sent the map wins. A count without any column is rejected: it would make rows out of nothing.

**Embeddings.** An entry of ``ml.features`` may hold a vector of d numbers a row: ``{f32: bytes, dim: d}``, n·d values
little-endian and row by row, or in the JSON object an array of n arrays of d numbers (also for one row), null being a
missing row. A row with a number that is not finite is missing. d is 1 to 4096; a span of several rows holds at most
2^22 numbers in embeddings. Bytes that are no multiple of 4·d, arrays of different lengths and embeddings anywhere else
are rejected. One-row spans of different dimensions become two batches.

**Values.** NaN and null are missing; infinity is missing and counted; a boolean is 0 or 1, in slices ``true`` or
``false``. Numbers and strings in one column of one span are rejected; one-row spans that disagree become two batches.
A column without any value comes as numbers, all missing, unless another span of the request says otherwise. A
probability up to 1e-4 outside [0, 1] is cut off and counted, one further outside is rejected. A negative duration is missing. A weight is greater than 0.
Ids are strings, or ints, which become strings; a prediction's missing id is the empty string and joins nothing; a
label's missing id is rejected. An empty error is none. An unknown ``ml.model.task`` is left out.

**Span fields.** A row's time is its span's start (the arrival if 0) plus its offset; a label's is its
``ml.label.time``, else its span's start; beside other labels for the same row it is then as new as its arrival. A time more
than 60 s after the arrival becomes the arrival, one more than ``receiver.max_age`` (30 days) before it becomes that bound; both
are counted. Without ``ml.prediction.duration`` a one-row span lasts from its
start to its end. Without ``ml.prediction.error`` the ``error.type`` of the span holds for its rows, and ``_OTHER``
where only its status says that it failed. Without ``ml.prediction.trace_id`` it is the span's own.
``ml.model.*`` and ``ml.prediction.batch_id`` on the resource stand in for what the span leaves out.
A span belongs to one batch, and its version has one role: a column of either says the same in every row, or the span is rejected.
So is a span of predictions whose ``ml.model.role`` is none of the three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calidris.batch import LabelBatch, MatrixColumn, NumberColumn, PredictionBatch
from calidris.wire.columns.batches import Batch, Moved, Origin, Refused, build
from calidris.wire.columns.convert import MixedKinds
from calidris.wire.columns.merge import agreeing, joined, merge
from calidris.wire.columns.reports import Report
from calidris.wire.columns.sort import sort_spans
from calidris.wire.columns.span_tables import Table
from calidris.wire.limits import DEFAULT_LIMITS, WireLimits
from calidris.wire.otlp.spans import read_spans
from calidris.wire.rejections import Ledger, Rejected
from calidris.wire.span_ids import NO_IDS, Hashes, span_hashes


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a request held.

    Attributes:
        items: prediction batches, one per model version and schema, then label batches.
        spans: all spans of the request.
        ignored: spans without model telemetry, and spans that only mark a trace (count 0).
        rejected: reason to the number of spans refused for it; each refused span counts once.
        message: the first few refusals for people, with their cure; empty if there were none.
        clamped: rows whose time lay too far from the arrival.
        non_finite: infinite values, kept as missing; of an embedding, rows with one.
        span_hashes: uint64, 64 bits of (tenant, trace id, span id) of each span that the batches' ``spans`` name, 0 where
            it has no valid id.
        reports: what senders say that they left out.
        clipped: scores that lay a rounding error outside of [0, 1], and were cut off there.
    """

    items: tuple[PredictionBatch | LabelBatch, ...]
    spans: int
    ignored: int
    rejected: Mapping[str, int]
    message: str
    clamped: int
    non_finite: int
    span_hashes: Hashes = field(default_factory=lambda: NO_IDS)
    reports: tuple[Report, ...] = ()
    clipped: int = 0

    @property
    def rows(self) -> int:
        """Predictions in all."""
        return sum(len(item) for item in self.items if isinstance(item, PredictionBatch))

    @property
    def used(self) -> int:
        """Spans whose rows are in the batches, and reports."""
        return self.spans - self.ignored - sum(self.rejected.values())

    @property
    def labels(self) -> int:
        """Labels in all."""
        return sum(len(item) for item in self.items if isinstance(item, LabelBatch))


def decode(raw: bytes, *, tenant: str, arrival_ns: int, limits: WireLimits = DEFAULT_LIMITS) -> Decoded:
    """The batches of an ``ExportTraceServiceRequest``.

    A pure function: the same bytes at the same arrival give the same batches, so a replayed journal does too. A span
    that cannot be used is counted under its reason and costs its neighbours nothing.

    Args:
        raw: the request, uncompressed.
        tenant: who sent it.
        arrival_ns: when it arrived, ns since the epoch; times are clamped against it.
        limits: bounds on each span.

    Raises:
        MalformedRequest: the bytes are not such a request. Nothing else is raised, whatever the bytes.

    >>> decode(b"", tenant="default", arrival_ns=0).items
    ()
    """
    ledger = Ledger()
    spans = read_spans(raw, ledger)
    found = sort_spans(spans, limits, ledger)
    origin = Origin.of(spans, tenant, arrival_ns, limits)
    builder = _Builder(origin, ledger, spans.positions, spans.names)
    built = merge(batch for table in joined(found.tables, origin) for batch in builder.batches(table))
    return Decoded(
        items=tuple(built),
        spans=spans.total,
        ignored=spans.foreign + found.marks,
        rejected=dict(ledger.counts),
        message=ledger.message,
        clamped=builder.clamped,
        clipped=builder.clipped,
        non_finite=sum(map(_non_finite, built)),
        span_hashes=span_hashes(spans.trace_ids, spans.span_ids, tenant),
        reports=tuple(found.reports),
    )


class _Builder:
    """Builds tables and, where that fails, drops the spans at fault and builds the rest."""

    def __init__(self, origin: Origin, ledger: Ledger, positions: list[int], names: list[str]) -> None:
        self.clamped = 0
        self.clipped = 0
        self._origin = origin
        self._ledger = ledger
        self._positions = positions
        self._names = names

    def batches(self, table: Table) -> Iterator[Batch]:
        """The batches of one table: one, or several where one-row spans disagree on a column's kind.

        Each round removes every row at fault, so a table is built three times at the most.
        """
        try:
            batch, moved = build(table, self._origin)
        except Refused as refused:
            for part in self._remaining(table, refused.faults):
                yield from self.batches(part)
            return
        self._note(moved)
        yield batch

    def _note(self, moved: Moved) -> None:
        self.clamped += moved.times
        self.clipped += moved.scores

    def _remaining(self, table: Table, faults: list[Rejected]) -> list[Table]:
        if table.parts:
            return list(table.parts)
        if not table.one_row:
            self._reject(int(table.spans[0]), faults[0])
            return []
        bad: dict[int, Rejected] = {
            row: fault for fault in reversed(faults) if not isinstance(fault, MixedKinds) for row in fault.rows
        }
        if not bad:
            parts = agreeing(table.kinds())
            assert len(parts) > 1, "mixed kinds that agree"
            return [table.take(rows) for rows in parts]
        for row in sorted(bad):
            self._reject(int(table.spans[row]), bad[row])
        rest = [row for row in range(len(table.spans)) if row not in bad]
        return [table.take(rest)] if rest else []

    def _reject(self, span: int, fault: Rejected) -> None:
        self._ledger.add(self._positions[span], self._names[span], fault)


def _non_finite(batch: Batch) -> int:
    return sum(column.non_finite for column in _columns(batch) if isinstance(column, NumberColumn | MatrixColumn))


def _columns(batch: Batch) -> Iterator[Any]:
    if isinstance(batch, LabelBatch):
        yield batch.label
        return
    yield from batch.features.values()
    yield from batch.embeddings.values()
    yield from batch.class_scores.values()
    yield from (batch.score, batch.decision, batch.value, batch.duration_s, batch.weight)
