"""Classes of several rows at once: which of them are the same, and which one a model meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calidris.batch import CodedColumn, Column, Ints, Mask, NumberColumn, PredictionBatch
from calidris.state.blocks.groups import class_text
from calidris.state.coding.fields import as_coded


def same_class(one: Column, other: Column) -> Mask:
    """Where both columns hold the same class, bool[n]; nowhere that one of them is missing. 1, 1.0 and "1" are one class.

    >>> same_class(NumberColumn.of([1.0, 2.0, float("nan")]), CodedColumn.of(["1", "3", None])).tolist()
    [True, False, False]
    """
    index: dict[str, int] = {}
    a, b = (_codes(column, index) for column in (one, other))
    same: Mask = (a == b) & (a >= 0)
    return same


def _codes(column: Column, index: dict[str, int]) -> Ints:
    coded = as_coded(column) if isinstance(column, NumberColumn) else column
    codes = [index.setdefault(class_text(level), len(index)) for level in coded.levels]
    return np.array([*codes, -1], dtype=np.int64)[coded.codes]


def with_top_label(batch: PredictionBatch) -> PredictionBatch:
    """A multi-class batch with the score of its decided class, or with its likeliest class and that one's score."""
    if batch.score is not None or not batch.class_scores:
        return batch
    names = sorted(batch.class_scores)
    columns = [batch.class_scores[name] for name in names]
    scores = np.array([np.where(c.valid, c.values, -1.0) for c in columns])  # float64[classes, n]
    if batch.decision is None:
        best = scores.argmax(axis=0)
        top = scores[best, np.arange(len(batch))]
        decision: Column = CodedColumn(tuple(names), np.where(top >= 0, best, -1).astype(np.int32))
    else:
        decision = batch.decision
        index: dict[str, int] = {}
        known = [index.setdefault(class_text(name), len(index)) for name in names]
        decided = _codes(decision, index) == np.array(known)[:, None]
        top = np.where(decided, scores, -1.0).max(axis=0)
    return replace(batch, score=NumberColumn.of(np.where(top >= 0, top, np.nan)), decision=decision)
