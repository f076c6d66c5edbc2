"""A request's bytes to batches: read, sort into tables, build, merge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calidris.batch import LabelBatch, MatrixColumn, NumberColumn, PredictionBatch
from calidris.wire.columns.batches import Batch, Origin, Refused, build
from calidris.wire.columns.convert import MixedKinds
from calidris.wire.columns.merge import agreeing, joined, merge
from calidris.wire.columns.sort import sort_spans
from calidris.wire.columns.tables import Table
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
    """

    items: tuple[PredictionBatch | LabelBatch, ...]
    spans: int
    ignored: int
    rejected: Mapping[str, int]
    message: str
    clamped: int
    non_finite: int
    span_hashes: Hashes = field(default_factory=lambda: NO_IDS)

    @property
    def rows(self) -> int:
        """Predictions in all."""
        return sum(len(item) for item in self.items if isinstance(item, PredictionBatch))

    @property
    def used(self) -> int:
        """Spans whose rows are in the batches."""
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
    tables, marks = sort_spans(spans, limits, ledger)
    origin = Origin.of(spans, tenant, arrival_ns, limits)
    builder = _Builder(origin, ledger, spans.positions, spans.names)
    built = merge(batch for table in joined(tables, origin) for batch in builder.batches(table))
    return Decoded(
        items=tuple(built),
        spans=spans.total,
        ignored=spans.foreign + marks,
        rejected=dict(ledger.counts),
        message=ledger.message,
        clamped=builder.clamped,
        non_finite=sum(map(_non_finite, built)),
        span_hashes=span_hashes(spans.trace_ids, spans.span_ids, tenant),
    )


class _Builder:
    """Builds tables and, where that fails, drops the spans at fault and builds the rest."""

    def __init__(self, origin: Origin, ledger: Ledger, positions: list[int], names: list[str]) -> None:
        self.clamped = 0
        self._origin = origin
        self._ledger = ledger
        self._positions = positions
        self._names = names

    def batches(self, table: Table) -> Iterator[Batch]:
        """The batches of one table: one, or several where one-row spans disagree on a column's kind.

        Each round removes every row at fault, so a table is built three times at the most.
        """
        try:
            batch, clamped = build(table, self._origin)
        except Refused as refused:
            for part in self._remaining(table, refused.faults):
                yield from self.batches(part)
            return
        self.clamped += clamped
        yield batch

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
