"""Classes of several rows at once: which of them are the same, and which one a model meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Ints, Mask, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.state.coding.fields import as_coded
from calidris.state.spec import Spec


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


def with_score(batch: PredictionBatch, spec: Spec) -> PredictionBatch:
    """A batch whose scores came by class, with the one score that is counted; any other batch as it is.

    Of a binary task that is the positive class's, whatever the order in which classes came. Where none of them is called so it is
    the last one's in the order of their names, as scikit-learn has them: its drift is worth a look all the same, and its outcomes
    never are positive, which is told. Of several classes it is the decided one's, or the likeliest class and its score.
    """
    if batch.score is not None or not batch.class_scores:
        return batch
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        name = positive_name(batch.class_scores, spec.positive)
        return replace(batch, score=batch.class_scores[name])
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        return _with_top_label(batch)
    return batch


def positive_name(names: Iterable[str], positive: str) -> str:
    """Which of some names of classes is the positive one's, or else the last one in order.

    >>> positive_name(["1", "0"], "1"), positive_name(["good", "bad"], "1")
    ('1', 'good')
    """
    ordered = sorted(names)
    wanted = class_text(positive)
    return next((name for name in ordered if class_text(name) == wanted), ordered[-1])


def _with_top_label(batch: PredictionBatch) -> PredictionBatch:
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
