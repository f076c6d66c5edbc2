"""Requests written by hand, and batches compared by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from calidris.batch import CodedColumn, LabelBatch, MatrixColumn, NumberColumn, PredictionBatch
from calidris.wire import Decoded, decode

NOW_NS = 1_800_000_000_000_000_000
MODEL = {"ml.model.name": "credit", "ml.model.version": "7"}


def value(plain: Any) -> AnyValue:
    """A Python value as OTLP."""
    if plain is None:
        return AnyValue()
    if isinstance(plain, dict):
        return AnyValue(kvlist_value=KeyValueList(values=entries(plain)))
    if isinstance(plain, list):
        return AnyValue(array_value=ArrayValue(values=[value(one) for one in plain]))
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue(**{kinds[type(plain)]: plain})


def entries(plain: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(one)) for key, one in plain.items()]


class Wire:
    """What the tests of this directory write requests with."""

    now_ns = NOW_NS
    value = staticmethod(value)

    @staticmethod
    def span(attributes: dict[str, Any], *, name: str = "predict credit", model: Any = MODEL, **fields: Any) -> Span:
        fields = {"start_time_unix_nano": NOW_NS, **fields}
        return Span(name=name, attributes=entries({**model, **attributes}), **fields)

    @staticmethod
    def request(*spans: Span, resource: dict[str, Any] | None = None) -> bytes:
        scope = ScopeSpans(spans=spans)
        part = ResourceSpans(scope_spans=[scope], resource=Resource(attributes=entries(resource or {})))
        return ExportTraceServiceRequest(resource_spans=[part]).SerializeToString()

    def decode(self, *spans: Span, **rest: Any) -> Decoded:
        return decode(self.request(*spans, **rest), tenant="default", arrival_ns=NOW_NS)

    @staticmethod
    def decode_bytes(request: bytes) -> Decoded:
        return decode(request, tenant="default", arrival_ns=NOW_NS)

    def one(self, *spans: Span, **rest: Any) -> Any:
        """The only batch of these spans, none of which is refused."""
        decoded = self.decode(*spans, **rest)
        assert decoded.message == ""
        (item,) = decoded.items
        return item

    @staticmethod
    def plain(batch: PredictionBatch | LabelBatch) -> dict[str, Any]:
        """A batch as Python lists, missing values as None: equal batches give equal dictionaries.

        Which span a row came in is left out: the same rows may come in one span or in many.
        """
        found = {name: getattr(batch, name) for name in type(batch).__dataclass_fields__ if name != "spans"}
        return {name: _plain(column) for name, column in found.items()}


def _plain(column: Any) -> Any:
    if isinstance(column, NumberColumn):
        assert column.values.dtype == np.float64 and column.valid.dtype == np.bool_
        assert len(column.values) == len(column.valid) and np.isfinite(column.values[column.valid]).all()
        return [one if valid else None for one, valid in zip(column.values.tolist(), column.valid.tolist())]
    if isinstance(column, MatrixColumn):
        assert column.values.dtype == np.float32 and column.valid.dtype == np.bool_
        assert len(column.values) == column.valid.sum() and np.isfinite(column.values).all()
        return [row if valid else None for row, valid in zip(column.dense().tolist(), column.valid.tolist())]
    if isinstance(column, CodedColumn):
        assert column.codes.dtype == np.int32 and len(set(column.levels)) == len(column.levels)
        return column.strings()
    if isinstance(column, np.ndarray):
        assert column.dtype in (np.int64, np.bool_)
        return column.tolist()
    if isinstance(column, dict):
        return {name: _plain(one) for name, one in column.items()}
    return list(column) if isinstance(column, list) else column


@pytest.fixture(scope="session")
def wire() -> Wire:
    return Wire()
