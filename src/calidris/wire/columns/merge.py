"""Batches of the same model and the same columns, made one; and packed spans of one model, one after the other, as one table.

A column without a single value has no kind: it goes with numbers, strings and embeddings. Where batches hold different
kinds under one name, embeddings of different dimensions among them, they stay apart.

Of a table of spans each column gets its type once, not once a span. Only where nothing can tell the difference: the same names
in the same order, every column packed the same way and with few enough levels, all spans with a trace id or none, none that
failed. What is wrong with such a table is looked for in its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np

from calidris.batch import (
    CodedColumn,
    Codes,
    Column,
    Ints,
    LabelBatch,
    Mask,
    MatrixColumn,
    NumberColumn,
    PredictionBatch,
)
from calidris.wire.columns.batches import Batch, Origin
from calidris.wire.columns.embeddings import split
from calidris.wire.columns.span_tables import Table

NUMBER, STRING, NOTHING = "n", "s", "?"
_OPTIONAL = ("ids", "score", "decision", "value", "duration_s", "error", "weight", "trace_ids")
T = TypeVar("T")


def merge(batches: Iterable[Batch]) -> list[Batch]:
    """Concatenate what has the same schema: predictions, then labels, each in order of first appearance.

    Cost: one copy of what is concatenated; a batch that is alone is passed on as it is.
    """
    parts = [part for group in _group(batches, _names) for part in _same_kinds(group)]
    return sorted((_join(part) for part in parts), key=lambda batch: isinstance(batch, LabelBatch))


def agreeing(kinds: Sequence[Sequence[str]]) -> list[list[int]]:
    """Places whose kinds go together; each item is one kind per column.

    >>> agreeing(["ns", "?s", "n?"]), agreeing(["n", "s", "?"]), agreeing([["?"], ["e2"], ["e3"]])
    ([[0, 1, 2]], [[0, 2], [1]], [[0, 1], [2]])
    """
    if len(set(map(tuple, kinds))) == 1:  # the usual case
        return [list(range(len(kinds)))]
    companions = [_companion(found) for found in zip(*kinds)]
    return _group(
        range(len(kinds)),
        lambda place: tuple(
            companion if kind == NOTHING else kind for kind, companion in zip(kinds[place], companions)
        ),
    )


def _companion(kinds: Sequence[str]) -> str:
    """With which kind the columns without a value go: numbers if there are any, else the first."""
    return NUMBER if NUMBER in kinds else next((kind for kind in kinds if kind != NOTHING), NOTHING)


def _group(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _names(batch: Batch) -> Hashable:
    if isinstance(batch, LabelBatch):
        return batch.tenant, batch.model_name
    optional = tuple(getattr(batch, name) is None for name in _OPTIONAL)
    maps = map(frozenset, ((*batch.features, *batch.embeddings), batch.slices, batch.class_scores))
    return batch.model, batch.task, batch.batch_id, batch.role, optional, *maps


def _same_kinds(batches: list[Batch]) -> list[list[Batch]]:
    if len(batches) == 1:
        return [batches]
    first = batches[0]
    names = [*first.features, *first.embeddings] if isinstance(first, PredictionBatch) else []
    return [[batches[place] for place in part] for part in agreeing([_kinds(batch, names) for batch in batches])]


def _kinds(batch: Batch, names: Sequence[str]) -> list[str]:
    if isinstance(batch, LabelBatch):
        return [_kind(batch.label)]
    return [*(_kind(_feature(batch, name)) for name in names), _kind(batch.decision)]


def _feature(batch: PredictionBatch, name: str) -> Column | MatrixColumn:
    return batch.features[name] if name in batch.features else batch.embeddings[name]


def _kind(column: Column | MatrixColumn | None) -> str:
    if isinstance(column, MatrixColumn):
        return f"e{column.dimension}"
    if isinstance(column, CodedColumn):
        return STRING
    return NUMBER if column is not None and bool(column.valid.any()) else NOTHING


def _join(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    predictions = [part for part in parts if isinstance(part, PredictionBatch)]
    return _join_predictions(predictions) if predictions else _join_labels(parts)


def _join_labels(parts: Iterable[Batch]) -> LabelBatch:
    labels = [part for part in parts if isinstance(part, LabelBatch)]
    return LabelBatch(
        tenant=labels[0].tenant,
        model_name=labels[0].model_name,
        ids=[name for part in labels for name in part.ids],
        label=_columns([part.label for part in labels]),
        label_time_ns=np.concatenate([part.label_time_ns for part in labels]),
        spans=_optional([part.spans for part in labels], np.concatenate),
        untimed=_join_untimed(labels),
    )


def _join_untimed(labels: Sequence[LabelBatch]) -> Mask | None:
    if all(part.untimed is None for part in labels):
        return None
    stated = (np.zeros(len(part), dtype=np.bool_) for part in labels)
    return np.concatenate([zeros if part.untimed is None else part.untimed for part, zeros in zip(labels, stated)])


def _join_predictions(parts: Sequence[PredictionBatch]) -> PredictionBatch:
    first = parts[0]
    names = [*first.features, *first.embeddings]
    features, embeddings = split({name: _any([_feature(part, name) for part in parts]) for name in names})
    decisions = [part.decision for part in parts if part.decision is not None]
    return PredictionBatch(
        model=first.model,
        event_time_ns=np.concatenate([part.event_time_ns for part in parts]),
        features=features,
        task=first.task,
        ids=None if first.ids is None else [name for part in parts for name in part.ids or ()],
        score=_optional([part.score for part in parts], _numbers),
        class_scores=_maps([part.class_scores for part in parts], _numbers),
        decision=_columns(decisions) if decisions else None,
        value=_optional([part.value for part in parts], _numbers),
        duration_s=_optional([part.duration_s for part in parts], _numbers),
        error=_optional([part.error for part in parts], strings),
        slices=_maps([part.slices for part in parts], strings),
        weight=_optional([part.weight for part in parts], _numbers),
        trace_ids=_optional([part.trace_ids for part in parts], strings),
        embeddings=embeddings,
        spans=_optional([part.spans for part in parts], np.concatenate),
        batch_id=first.batch_id,
        role=first.role,
        moved_ns=_moved_ns(parts),
    )


def _moved_ns(parts: Sequence[PredictionBatch]) -> Ints | None:
    if all(part.moved_ns is None for part in parts):
        return None
    none = (np.zeros(len(part), dtype=np.int64) for part in parts)
    return np.concatenate([zeros if part.moved_ns is None else part.moved_ns for part, zeros in zip(parts, none)])


def _maps(maps: Sequence[Mapping[str, T]], join: Callable[[list[T]], T]) -> dict[str, T]:
    return {name: join([columns[name] for columns in maps]) for name in maps[0]}


def _optional(columns: Sequence[T | None], join: Callable[[list[T]], T]) -> T | None:
    present = [column for column in columns if column is not None]
    return join(present) if present else None


def _numbers(columns: list[NumberColumn]) -> NumberColumn:
    return NumberColumn(
        np.concatenate([column.values for column in columns]),
        np.concatenate([column.valid for column in columns]),
        sum(column.non_finite for column in columns),
    )


def strings(columns: list[CodedColumn]) -> CodedColumn:
    """Columns one behind the other, their levels in order of first appearance."""
    levels = columns[0].levels
    if all(column.levels == levels for column in columns):
        return CodedColumn(levels, np.concatenate([column.codes for column in columns]))
    every = tuple(level for column in columns for level in column.levels)
    if len(set(every)) == len(every):  # ids: none comes twice, so places only move
        return CodedColumn(every, np.concatenate(list(_moved(columns))))
    index: dict[str, int] = {}
    codes = []
    for column in columns:
        # The last place is what code -1, missing, looks up.
        table = [index.setdefault(level, len(index)) for level in column.levels]
        codes.append(np.array([*table, -1], dtype=np.int32)[column.codes])
    return CodedColumn(tuple(index), np.concatenate(codes))


def _moved(columns: list[CodedColumn]) -> Iterator[Codes]:
    """Codes into all levels, one column's behind the other's."""
    before = 0
    for column in columns:
        yield np.where(column.codes < 0, column.codes, column.codes + np.int32(before))
        before += len(column.levels)


def _any(columns: list[Column | MatrixColumn]) -> Column | MatrixColumn:
    """Columns of one kind, and columns without a value."""
    matrices = [column for column in columns if isinstance(column, MatrixColumn)]
    if not matrices:
        return _columns([column for column in columns if not isinstance(column, MatrixColumn)])
    return MatrixColumn(
        np.concatenate([matrix.values for matrix in matrices]),
        np.concatenate([column.valid for column in columns]),
        sum(matrix.non_finite for matrix in matrices),
    )


def _columns(columns: list[Column]) -> Column:
    numbers = [column for column in columns if isinstance(column, NumberColumn)]
    if len(numbers) == len(columns):
        return _numbers(numbers)
    return strings([column if isinstance(column, CodedColumn) else _no_strings(column) for column in columns])


def _no_strings(column: NumberColumn) -> CodedColumn:
    return CodedColumn((), np.full(len(column), -1, dtype=np.int32))


def joined(tables: Sequence[Table], origin: Origin) -> list[Table]:
    """The same tables, neighbours that fit made one; their ``parts`` are what they were made of."""
    out: list[Table] = []
    for form, neighbours in groupby(tables, lambda table: _form(table, origin)):
        group = list(neighbours)
        out += group if form is None else [_join_tables(group)]
    return out


def _form(table: Table, origin: Origin) -> Hashable:
    """What tables have to agree on; None for one that stays alone."""
    if table.one_row or origin.failed[table.spans[0]]:
        return None
    most = origin.limits.max_levels
    forms = [_forms(columns, most) for columns in (table.fields, table.features, table.slices, table.classes)]
    if any(form is None for form in forms):
        return None
    return table.identity, origin.trace_ids[int(table.spans[0])] is None, *forms


def _forms(columns: Mapping[str, Any], most: int) -> tuple[tuple[str, str | None], ...] | None:
    found = tuple((name, _packing(column, most)) for name, column in columns.items())
    return None if any(packing is None for _, packing in found) else found


def _packing(column: Any, most: int) -> str | None:
    if isinstance(column, np.ndarray):
        return str(column.dtype.str)
    return "coded" if isinstance(column, CodedColumn) and len(column.levels) <= most else None


def _join_tables(tables: list[Table]) -> Table:
    if len(tables) == 1:
        return tables[0]
    return replace(
        tables[0],
        spans=np.concatenate([table.spans for table in tables]),
        fields=_join_maps([table.fields for table in tables]),
        features=_join_maps([table.features for table in tables]),
        slices=_join_maps([table.slices for table in tables]),
        classes=_join_maps([table.classes for table in tables]),
        parts=tuple(tables),
    )


def _join_maps(maps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _column([columns[name] for columns in maps]) for name in maps[0]}


def _column(parts: list[Any]) -> Any:
    return strings(parts) if isinstance(parts[0], CodedColumn) else np.concatenate(parts)
