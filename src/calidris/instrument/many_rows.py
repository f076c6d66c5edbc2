"""Many rows or labels of one call, copied and checked: what `api` and the library instrumentations have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.trace import get_current_span

from calidris import semconv
from calidris.instrument import ids
from calidris.instrument.privacy import text_of
from calidris.instrument.rows.buffered_items import Block, Labels, Series
from calidris.instrument.rows.input_table import Table, TooLarge, copied, rows_of, table_of
from calidris.instrument.rows.packed_columns import is_missing, plain
from calidris.instrument.rows.vectors import capture_many
from calidris.instrument.runtime import runtime


def record_batch(
    series: Series, X: Any, scores: Any, given: Any, classes: Any, values: Any, slices: Any, embeddings: Any
) -> None:
    """Record predictions already made; see ``Model.record_batch``."""
    begun_ns = time.time_ns()
    vectors = dict(embeddings or {})
    rows = next((rows_of(one) for one in (X, given, classes, values, scores, *vectors.values()) if one is not None), 0)
    if rows == 0:
        return
    place = ids.place_of(get_current_span(), rows)
    names = None if given is None else ids.as_ids(given)
    ids.remember(names, place, rows)
    if not runtime.on:
        return
    block = Block(series, begun_ns, None, place, rows)
    whole = table_or_none(series, X)
    block.ids = names
    block.scores = score_columns(scores, series)
    block.classes = None if classes is None else copied(classes)
    block.values = None if values is None else copied(values)
    block.slices = slice_table(series.slices, slices, whole)
    block.features = chosen(series, whole)
    block.embeddings = capture_many(series.embeddings, vectors, runtime.note)
    if _lengths(block) == {rows}:
        runtime.append_many(block)
    else:
        runtime.drop(series.name, "malformed", rows)


def record_labels(given: Any, labels: Any, model: str | None, times_ns: Any) -> None:
    """Record outcomes; see ``record_labels`` of the manual interface."""
    runtime.ensure()
    model = model or runtime.label_model()
    if not runtime.on:
        return
    names, outcomes = ids.as_ids(given), plain(copied(labels))
    times = [time.time_ns()] * len(names) if times_ns is None else [int(one) for one in plain(times_ns)]
    known = [at for at, label in enumerate(outcomes) if not is_missing(label)]
    if model is None:
        runtime.drop("", "label_without_model", len(names))
        return
    if not len(names) == len(outcomes) == len(times):
        runtime.drop(model, "malformed", len(names))
        return
    if len(known) < len(names):
        runtime.drop(model, "missing_label", len(names) - len(known))
    if known:
        kept = [names[at] for at in known], [outcomes[at] for at in known], [times[at] for at in known]
        runtime.append_many(Labels(model, *kept))


def table_or_none(series: Series, X: Any, names: Sequence[str] | None = None) -> Table | None:
    """A copy of an input, or None, counted, where it is too large or of an unknown kind."""
    if X is None:
        return None
    try:
        return table_of(X, series.features or names)
    except (TooLarge, TypeError, ValueError):
        runtime.note("features_not_copied", series.name)
        return None


def chosen(series: Series, table: Table | None) -> Table | None:
    """The columns that the model declares, of those that there are."""
    try:
        return None if table is None else table.only(series.features)
    except ValueError:
        runtime.note("features_not_copied", series.name)
        return None


def slice_table(names: Sequence[str], given: Any, features: Table | None) -> Table | None:
    """Slices given with the call, else those columns of the features that are slices."""
    if given is not None:
        return table_of(given)
    found = [name for name in names if features is not None and name in features.names]
    return features.only(found) if features is not None and found else None


def score_columns(scores: Any, series: Series) -> Any:
    """One column of probabilities, or a mapping from class to column.

    Two columns of a binary model are reduced to the second, the positive class, as scikit-learn orders them.
    """
    if scores is None:
        return None
    if isinstance(scores, Mapping):
        return {text_of(name): copied(column) for name, column in scores.items()}
    two_d = getattr(scores, "ndim", 1) == 2 or (isinstance(scores, (list, tuple)) and hasattr(scores[0], "__len__"))
    if not two_d:
        return copied(scores)
    table = table_of(scores)
    width = len(table.names)
    if width == 1 or (width == 2 and series.task in (None, semconv.ML_MODEL_TASK_BINARY)):
        return table.column(width - 1)
    return {text_of(name): table.column(at) for at, name in enumerate(_class_names(series, width))}


def frozen_score(score: Any, series: Series) -> Any:
    """One row's score as a number, or a mapping from class to number, owned by us."""
    if isinstance(score, Mapping):
        return dict(score)
    values = score.tolist() if hasattr(score, "tolist") else score
    while isinstance(values, (list, tuple)) and len(values) == 1:
        values = values[0]
    if not isinstance(values, (list, tuple)):
        return values
    if len(values) == 2 and series.task in (None, semconv.ML_MODEL_TASK_BINARY):
        return values[1]
    return dict(zip(_class_names(series, len(values)), values))


def _class_names(series: Series, width: int) -> Sequence[object]:
    return series.classes if series.classes is not None and len(series.classes) == width else range(width)


def _lengths(block: Block) -> set[int]:
    scores = list(block.scores.values()) if isinstance(block.scores, dict) else [block.scores]
    tables = {table.rows for table in (block.features, block.slices) if table is not None}
    tables |= {len(one) for one in block.embeddings.values()}
    return tables | {len(one) for one in (block.ids, block.classes, block.values, *scores) if one is not None}
