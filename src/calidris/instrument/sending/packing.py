"""Chunks to the attributes of spans: privacy first, then packed columns.

Runs in the flush thread. With grouping and serialising, a row of 25 features costs some 5 µs there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from calidris import semconv
from calidris.instrument import columns as col
from calidris.instrument.privacy import Action, Policy
from calidris.instrument.sending.chunks import Chunk, LabelChunk

Attributes = dict[str, Any]


def prediction_attributes(chunk: Chunk, policy: Policy, note: col.Note) -> Attributes:
    """The attributes of a predict span. Nothing passes that `policy` does not let pass."""
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
        semconv.ML_FEATURES: {**_features(chunk, policy, note), **_embeddings(chunk, policy, note)},
        semconv.ML_SLICES: _slices(chunk.slices, policy, note),
        semconv.ML_PREDICTION_SCORE: _scores(chunk.scores, note),
        semconv.ML_PREDICTION_CLASS: None if chunk.classes is None else col.outcomes(chunk.classes),
        semconv.ML_PREDICTION_VALUE: None if chunk.values is None else col.f64(chunk.values),
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


def _features(chunk: Chunk, policy: Policy, note: col.Note) -> Attributes:
    def tell(reason: str, name: str) -> None:
        if name not in chunk.slices:  # it does leave, as a slice
            note(reason, name)

    packed = {name: col.feature(name, values, policy, tell) for name, values in chunk.features.items()}
    return {name: column for name, column in packed.items() if column is not None and name}


def _embeddings(chunk: Chunk, policy: Policy, note: col.Note) -> Attributes:
    """Embeddings were declared by the user, so they leave, unless a rule names them."""
    found: Attributes = {}
    for name, vectors in chunk.embeddings.items():
        action = policy.action(name)
        if action in (None, Action.ALLOW):
            found[name] = {"f32": vectors.data, "dim": vectors.dimension}
        elif action is not Action.DROP:
            note("embedding_rule", name)
    return found


def _slices(slices: dict[str, Any], policy: Policy, note: col.Note) -> Attributes:
    """Slices were listed by the user, so they leave, unless a rule names them."""
    packed: Attributes = {}
    for name, values in slices.items():
        ruled = policy.action(name) in (Action.DROP, Action.HASH, Action.BUCKET)
        column = col.feature(name, values, policy, note) if ruled else col.texts(values)
        if column is not None and name:
            packed[name] = column
    return packed


def _scores(scores: Any, note: col.Note) -> Any:
    if isinstance(scores, dict):
        return {name: col.probabilities(column, note) for name, column in scores.items()}
    return None if scores is None else col.probabilities(scores, note)
