"""OTLP bytes to the spans that concern us: with :mod:`calidris.wire.otlp.attributes`, all that knows the encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from calidris.errors import MalformedRequest
from calidris.wire.otlp import blocks
from calidris.wire.otlp.attributes import AttributeReader
from calidris.wire.otlp.blocks import Block
from calidris.wire.otlp.gate import MODEL_KEYS, is_ours_by_attributes, is_ours_by_name
from calidris.wire.otlp.messages import Request
from calidris.wire.rejections import Ledger, Rejected

STATUS_ERROR: Final = 2


_CHUNK: Final = 2048
"""Spans whose attributes are held at the same time."""

_MOST_AT_ONCE: Final = 1000
"""A span with more attributes is read on its own, without holding them all."""

_Kept = tuple[int, Any, dict[str, Any] | None, Mapping[str, Any]]
_Rows = Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Spans:
    """The model and feedback spans of a request as parallel lists, in order.

    ``positions`` are their places among all ``total`` spans of the request, ``foreign`` of which do not concern us;
    ``models`` are the model attributes of their resources. Spans that are alike have their attributes in ``blocks``, and
    None in ``attributes``.
    """

    total: int
    foreign: int
    positions: list[int]
    names: list[str]
    starts: list[int]
    ends: list[int]
    trace_ids: list[bytes]
    span_ids: list[bytes]
    failed: list[bool]
    attributes: list[dict[str, Any] | None]
    models: list[Mapping[str, Any]]
    blocks: list[Block]


def read_spans(raw: bytes, ledger: Ledger) -> Spans:
    """The spans that carry model telemetry; attributes that are not ours are left out.

    Raises:
        MalformedRequest: the bytes are no ``ExportTraceServiceRequest``.
    """
    reader = AttributeReader()
    kept: list[_Kept] = []
    alike: list[Block] = []
    total = 0
    for spans, model in _walk(raw, reader):
        rows = [span.attributes[:] if len(span.attributes) <= _MOST_AT_ONCE else span.attributes for span in spans]
        whole = [block for places in _of_one_size(rows) for block in _read_blocks(rows, places, reader)]
        taken = {place for block in whole for place in block.spans}
        for place, span in enumerate(spans):
            if place in taken:
                kept.append((total + place, span, None, model))
            elif (attributes := _read_alone(total + place, span, rows[place], model, reader, ledger)) is not None:
                kept.append((total + place, span, attributes, model))
        alike += [Block([total + place for place in block.spans], block.columns) for block in whole]
        total += len(spans)
    return _transpose(total, total - len(kept) - ledger.counts.total(), kept, alike)


def _of_one_size(rows: _Rows) -> list[list[int]]:
    """Places of rows with as many attributes, where they are enough for a block."""
    sizes: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        sizes.setdefault(len(row), []).append(place)
    return [places for size, places in sizes.items() if len(places) >= blocks.FEWEST and size <= _MOST_AT_ONCE]


def _read_blocks(rows: _Rows, places: list[int], reader: AttributeReader) -> Iterator[Block]:
    """The blocks of rows with as many attributes: one, or one for each order of the keys."""
    found = [rows[place] for place in places]
    columns = blocks.read_block(found, reader)
    if columns is not None:
        if is_ours_by_attributes(columns):
            yield Block(places, columns)
        return
    parts = blocks.alike(found)
    for part in parts if len(parts) > 1 else ():
        if len(part) >= blocks.FEWEST:
            yield from _read_blocks(rows, [places[place] for place in part], reader)


def _read_alone(
    position: int, span: Any, row: Iterable[bytes], model: Mapping[str, Any], reader: AttributeReader, ledger: Ledger
) -> dict[str, Any] | None:
    """The attributes of one span; None where it is refused or does not concern us."""
    try:
        attributes = reader.read(row)
    except Rejected as fault:
        ledger.add(position, _name(span), fault)
        return None
    if is_ours_by_attributes(attributes) or is_ours_by_name(_name(span), model):
        return attributes
    return None


def _transpose(total: int, foreign: int, kept: list[_Kept], found: Sequence[Block] = ()) -> Spans:
    spans = [span for _, span, _, _ in kept]
    at = {position: place for place, (position, _, _, _) in enumerate(kept)} if found else {}
    return Spans(
        total,
        foreign,
        positions=[position for position, _, _, _ in kept],
        names=[_name(span) for span in spans],
        starts=[span.start_time_unix_nano for span in spans],
        ends=[span.end_time_unix_nano for span in spans],
        trace_ids=[span.trace_id for span in spans],
        span_ids=[span.span_id for span in spans],
        failed=[span.HasField("status") and span.status.code == STATUS_ERROR for span in spans],
        attributes=[attributes for _, _, attributes, _ in kept],
        models=[model for _, _, _, model in kept],
        blocks=[Block([at[position] for position in block.spans], block.columns) for block in found],
    )


def _name(span: Any) -> str:
    name: str = span.name.decode(errors="replace")
    return name


def _walk(raw: bytes, reader: AttributeReader) -> Iterator[tuple[list[Any], Mapping[str, Any]]]:
    """The spans of each resource, a chunk at a time, with its model attributes."""
    try:
        request = Request.FromString(raw)
    except DecodeError:
        raise MalformedRequest("the body is no OTLP ExportTraceServiceRequest") from None
    for resource_spans in request.resource_spans:
        model = _read_model(resource_spans.resource.attributes, reader)
        for scope_spans in resource_spans.scope_spans:
            for start in range(0, len(scope_spans.spans), _CHUNK):
                yield scope_spans.spans[start : start + _CHUNK], model


def _read_model(entries: Iterable[bytes], reader: AttributeReader) -> Mapping[str, Any]:
    """The resource's model attributes; a resource that states them badly states nothing."""
    try:
        return {key: value for key, value in reader.read(entries).items() if key in MODEL_KEYS}
    except Rejected:
        return {}
