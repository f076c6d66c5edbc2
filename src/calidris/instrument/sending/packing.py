"""Buffered items to serialised requests: privacy first, then packed columns, then spans of a tracer provider of our own.

The provider, its limits, its sampler and its processors are not the application's. Requests are serialised once, so that a retry
is the same bytes with the same trace and span ids, by which the receiver recognises it.

Runs in the flush thread, which loads it when there is something to send: it needs the SDK. With grouping and serialising, a row
of 25 features costs some 5 µs there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from calidris import semconv
from calidris.instrument import SCOPE, VERSION
from calidris.instrument.ids import random_bits
from calidris.instrument.privacy import Action, Policy
from calidris.instrument.rows import packed_columns as col
from calidris.instrument.rows.buffered_items import Item
from calidris.instrument.rows.index_names import is_index
from calidris.instrument.rows.packed_columns import Note
from calidris.instrument.rows.times import MAX_NS
from calidris.instrument.sending.chunks import Chunk, LabelChunk, chunks_of, groups_of, halves_of
from calidris.instrument.sending.not_sent import NotSent
from calidris.instrument.sending.outbox import Request
from calidris.instrument.shield import caught

MAX_SPAN_BYTES = 256 * 1024
MAX_REQUEST_BYTES = 2 * 1024 * 1024 - 4096
"""The Collector's default limit is 4 MiB; headers and framing are not ours to count."""

MAX_SPANS = 500
"""Spans of one request: each may be of another model, and the receiver takes a thousand of them."""


class OwnIds(IdGenerator):
    """Ids that do not depend on the host's ``random.seed``."""

    def generate_span_id(self) -> int:
        """64 random bits, never 0."""
        return random_bits(64)

    def generate_trace_id(self) -> int:
        """128 random bits, never 0."""
        return random_bits(128)

    def is_trace_id_random(self) -> bool:
        """Sets the flag of the same name."""
        return True


class _Collected(SpanProcessor):
    """Keeps the spans that ended, until they are taken."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class _Notes:
    """What was withheld while a run was packed. Counted only when it is packed: a part of it may be tried again."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, int, str]] = []

    def __call__(self, reason: str, name: str, values: int = 1, first: str = "") -> None:
        self.taken.append((reason, name, values, first))


class Encoder:
    """Buffered items to requests: spans of at most 512 rows and 256 KiB, requests below 2 MiB.

    Used by one thread. With ``OTEL_SDK_DISABLED=true`` it encodes nothing.
    """

    def __init__(self, resource: Resource, policy: Policy, not_sent: NotSent, role: str = "") -> None:
        limits = SpanLimits(max_span_attributes=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET)
        self._ended = _Collected()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=OwnIds(), span_limits=limits
        )
        self._provider.add_span_processor(self._ended)
        self._tracer = self._provider.get_tracer(SCOPE, VERSION, semconv.SCHEMA_URL)
        self._policy = policy
        self._not_sent = not_sent
        self._role = role  # of models that state none of their own

    def encode(self, items: Iterable[Item]) -> list[Request]:
        """All items as requests, in order: predictions before labels. A row that cannot be packed is dropped alone, and counted."""
        requests: list[Request] = []
        for group in groups_of(items):
            for run in group.runs():
                for payload, rows in self._pack(group.model, run):
                    self._room_for(payload, requests).add(payload, group.model, rows)
        return requests

    def report(self, model: str, dropped: Mapping[str, int], withheld: Mapping[str, int]) -> bytes:
        """What was lost of one model, by reason, as a serialised span."""
        attributes: Attributes = {semconv.ML_MODEL_NAME: model} if model else {}
        attributes[semconv.ML_PREDICTION_COUNT] = 0
        if dropped:
            attributes[semconv.ML_REPORT_ROWS_DROPPED] = dict(dropped)
        if withheld:
            attributes[semconv.ML_REPORT_VALUES_WITHHELD] = dict(withheld)
        now_ns = time.time_ns()
        return self._serialise(f"report {model}".rstrip(), attributes, now_ns, now_ns)

    def _room_for(self, payload: bytes, requests: list[Request]) -> Request:
        """The last request if it has room for one more span, else a new one."""
        last = requests[-1] if requests else None
        if last is None or len(last.parts) >= MAX_SPANS or len(last.payload) + len(payload) > MAX_REQUEST_BYTES:
            last = Request()
            requests.append(last)
        return last

    def _pack(self, model: str, run: list[Any]) -> list[tuple[bytes, int]]:
        """A run as serialised spans and their rows. One that cannot be packed is halved until the row is found."""
        notes = _Notes()
        try:
            packed = [span for chunk in chunks_of(run) for span in self._spans(chunk, notes)]
        except BaseException:  # a value may raise whatever it likes when it is read
            return self._pack_halves(model, run)
        for reason, name, values, first in notes.taken:
            self._not_sent.withhold(model, reason, name, values, first)
        return packed

    def _pack_halves(self, model: str, run: list[Any]) -> list[tuple[bytes, int]]:
        halves = halves_of(run)
        if halves is None:
            self._not_sent.drop(model, "unreadable", 1)
            caught("packing")
            return []
        first, second = halves
        return [*self._pack(model, first), *self._pack(model, second)]

    def _spans(self, chunk: Chunk | LabelChunk, notes: _Notes) -> list[tuple[bytes, int]]:
        """A chunk as one serialised span and its rows, or as several spans where it is too large for one."""
        before = len(notes.taken)
        payload = self._span(chunk, notes)
        if len(payload) <= MAX_SPAN_BYTES:
            return [(payload, len(chunk))] if payload else []
        del notes.taken[before:]  # its parts will say the same again
        if len(chunk) == 1:
            self._not_sent.drop(chunk.model, "row_too_large", 1)
            return []
        first, second = chunk.halves()
        return [*self._spans(first, notes), *self._spans(second, notes)]

    def _span(self, chunk: Chunk | LabelChunk, note: Note) -> bytes:
        """One span as a whole request. Joining such requests is joining their bytes: protobuf appends repeated fields."""
        if isinstance(chunk, LabelChunk):
            name, attributes = f"feedback {chunk.model}", label_attributes(chunk)
            start, end = min(chunk.times_ns), max(chunk.times_ns)
        else:
            name = f"predict {chunk.series.name}"
            attributes = prediction_attributes(chunk, self._policy, note, self._role)
            start, end = _extent(chunk)
        return self._serialise(name, attributes, start, end)

    def _serialise(self, name: str, attributes: Attributes, start_ns: int, end_ns: int) -> bytes:
        start_ns = _fit_time(start_ns)
        span = self._tracer.start_span(name, Context(), trace.SpanKind.INTERNAL, attributes, start_time=start_ns)
        span.end(_fit_time(end_ns))
        ended, self._ended.spans = self._ended.spans, []
        return encode_spans(ended).SerializeToString() if ended else b""


def _fit_time(at_ns: int) -> int:
    """A time as a span may have it: the application's clocks may be stopped before 1970, or in the midst of a call."""
    return max(0, min(at_ns, MAX_NS))


def _extent(chunk: Chunk) -> tuple[int, int]:
    """First start and last end of the calls."""
    ends = (begun + int((lasted or 0.0) * 1e9) for begun, lasted in zip(chunk.times_ns, chunk.durations_s))
    return min(chunk.times_ns), max(ends)


Attributes = dict[str, Any]


def prediction_attributes(chunk: Chunk, policy: Policy, note: col.Note, role: str = "") -> Attributes:
    """The attributes of a predict span. Nothing passes that `policy` does not let pass; `role` is that of models that state none."""
    series, start = chunk.series, min(chunk.times_ns)
    policy = policy.with_(series.policy)
    attributes: Attributes = {
        semconv.ML_MODEL_NAME: series.name,
        semconv.ML_MODEL_VERSION: series.version,
        semconv.ML_PREDICTION_COUNT: len(chunk),
        semconv.ML_PREDICTION_ID: strings(chunk.ids),
        semconv.ML_PREDICTION_TIME_OFFSET: col.i64([t - start for t in chunk.times_ns]),
    }
    optional = {
        semconv.ML_MODEL_TASK: series.task,
        semconv.ML_PREDICTION_BATCH_ID: chunk.batch_id,
        semconv.ML_MODEL_ROLE: series.role or role,
        semconv.ML_FEATURES: {**_features(chunk, policy, note), **_embeddings(chunk, policy, note)},
        semconv.ML_SLICES: _slices(chunk.slices, policy, note),
        semconv.ML_PREDICTION_SCORE: _scores(chunk, note),
        semconv.ML_PREDICTION_CLASS: None if chunk.classes is None else col.outcomes(chunk.classes, note, "class"),
        semconv.ML_PREDICTION_VALUE: None if chunk.values is None else col.f64(chunk.values, note, "value"),
        semconv.ML_PREDICTION_DURATION: col.f64(chunk.durations_s) if any(chunk.durations_s) else None,
        semconv.ML_PREDICTION_ERROR: col.coded(chunk.errors) if chunk.errors and any(chunk.errors) else None,
    }
    if any(chunk.span_ids):
        in_trace = list(zip(chunk.trace_ids, chunk.span_ids))
        optional[semconv.ML_PREDICTION_TRACE_ID] = strings([f"{t:032x}" if s else None for t, s in in_trace])
        optional[semconv.ML_PREDICTION_SPAN_ID] = strings([f"{s:016x}" if s else None for _, s in in_trace])
    attributes.update({name: value for name, value in optional.items() if value})
    return attributes


def label_attributes(chunk: LabelChunk) -> Attributes:
    """The attributes of a feedback span."""
    return {
        semconv.ML_MODEL_NAME: chunk.model,
        semconv.ML_PREDICTION_COUNT: len(chunk),
        semconv.ML_PREDICTION_ID: strings(chunk.ids),
        semconv.ML_LABEL: col.outcomes(chunk.labels),
        semconv.ML_LABEL_TIME: col.i64(chunk.times_ns),
    }


def strings(values: Sequence[str | None]) -> str | tuple[str | None, ...]:
    """Many different strings: one JSON array, because it decodes fastest; a single one as an OTLP array.

    With one row a bare string would be a scalar, so that a JSON array would be taken for the id itself.
    """
    return tuple(values) if len(values) == 1 else json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _leave_out_nameless(columns: dict[str, Any], note: col.Note, what: str) -> dict[str, Any]:
    """All columns but one whose name is empty, which cannot be sent."""
    nameless = columns.get("")
    if nameless is None:
        return columns
    missing = sum(value is not None for value in nameless)
    if missing:
        note("no_name", what, missing)
    return {name: column for name, column in columns.items() if name}


def _features(chunk: Chunk, policy: Policy, note: col.Note) -> Attributes:
    def tell(reason: str, name: str, values: int = 1, first: str = "") -> None:
        if name not in chunk.slices:  # it does leave, as a slice
            note(reason, name, values, first)

    named = _leave_out_nameless(chunk.features, note, "features")
    declared = chunk.series.features or ()
    packed: Attributes = {}
    for name, values in named.items():
        if name not in declared and is_index(name):
            tell("index_column", name, len(values))
            continue
        column = col.feature(name, values, policy, tell)
        if column is not None:
            packed[name] = column
    return packed


def _embeddings(chunk: Chunk, policy: Policy, note: col.Note) -> Attributes:
    """Embeddings were declared by the user, so they leave, unless a rule names them."""
    found: Attributes = {}
    for name, vectors in chunk.embeddings.items():
        action = policy.action(name)
        if not name:
            note("no_name", "embeddings", len(vectors))
        elif action in (None, Action.ALLOW):
            found[name] = {"f32": vectors.data, "dim": vectors.dimension}
        elif action is not Action.DROP:
            note("embedding_rule", name)
    return found


def _slices(slices: dict[str, Any], policy: Policy, note: col.Note) -> Attributes:
    packed: Attributes = {}
    for name, values in _leave_out_nameless(slices, note, "slices").items():
        column = col.slice_column(name, values, policy, note)
        if column is not None:
            packed[name] = column
    return packed


def _scores(chunk: Chunk, note: Note) -> Any:
    scores = chunk.scores
    if isinstance(scores, dict):
        named = _leave_out_nameless(scores, note, "score")
        return {name: col.probabilities(column, note, chunk.ids) for name, column in named.items()}
    return None if scores is None else col.probabilities(scores, note, chunk.ids)
