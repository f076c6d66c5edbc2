"""Rows like a baseline's, with outcomes: enough of each kind that every figure is known."""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, Column, Floats, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics.performance.decisions import threshold_decides
from calidris.state import Field, Kind, Role, Spec
from calidris.state.blocks.scores import N


def rows_like(baseline: Baseline, key: ModelKey, time_ns: int, n: int, seed: int) -> PredictionBatch:
    """Rows that go through every bin, level and slice of the baseline in turn; scores are drawn as its labelled ones lie."""
    spec, rng = baseline.spec, np.random.default_rng(seed)
    made = {f.name for book in spec.codebooks for f in book.fields}
    features = {f.name: _column(f, n) for f in spec.fields if f.role is Role.FEATURE and f.name not in made}
    values = [_column(f, n) for f in spec.fields if f.role is Role.VALUE]
    scored = spec.task != semconv.ML_MODEL_TASK_REGRESSION
    score = _scores(baseline, n, rng) if scored else None
    return PredictionBatch(
        model=key,
        event_time_ns=np.full(n, time_ns),
        features=features,
        ids=[f"{seed}-{i}" for i in range(n)],
        score=None if score is None else NumberColumn.of(score),
        decision=_decisions(baseline, score, n),
        value=next((v for v in values if isinstance(v, NumberColumn)), None),
        duration_s=NumberColumn.of(np.full(n, 0.01)),
        slices=_slices(spec, n),
    )


def labels_of(baseline: Baseline, batch: PredictionBatch, seed: int) -> Column:
    """Outcomes that the scores or decisions would be right about."""
    spec, n, rng = baseline.spec, len(batch), np.random.default_rng([seed, 1])
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        assert batch.value is not None
        spread = max((loss.cap for loss in spec.losses if loss.name == "absolute_error"), default=1.0)
        return NumberColumn.of(batch.value.values + rng.normal(0.0, spread / 3, n))
    assert batch.score is not None
    right = rng.random(n) < batch.score.values
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        return CodedColumn((f"not {spec.positive}", spec.positive), right.astype(np.int32))
    assert isinstance(batch.decision, CodedColumn)
    wrong = (batch.decision.codes + 1) % max(len(batch.decision.levels), 1)
    return CodedColumn(batch.decision.levels, np.where(right, batch.decision.codes, wrong).astype(np.int32))


def _scores(baseline: Baseline, n: int, rng: np.random.Generator) -> Floats:
    """Scores in the bins in which the baseline's labelled rows lie; even ones where it has none."""
    held = baseline.scores.bins()[..., N].sum(axis=0)
    if not held.sum():
        return np.linspace(0.0, 1.0, n)
    ends = np.concatenate([[0.0], baseline.spec.score_edges, [1.0]])
    at = rng.choice(len(held), n, p=held / held.sum())
    drawn: Floats = ends[at] + (ends[at + 1] - ends[at]) * rng.random(n)
    return drawn


def _decisions(baseline: Baseline, score: Floats | None, n: int) -> Column | None:
    """The threshold's, unless the baseline's are others: then those of another one. Of several classes each in turn."""
    spec, labels = baseline.spec, baseline.labels
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        classes = spec.classes or ("a", "b")
        return CodedColumn(classes, np.arange(n, dtype=np.int32) % len(classes))
    if score is None or spec.index(Role.DECISION) is None:
        return None
    usual = threshold_decides(labels.groups.confusion(), labels.scores.bins(), spec)
    threshold = spec.threshold if usual else float(np.median(score)) / 2
    return CodedColumn((f"not {spec.positive}", spec.positive), (score >= threshold).astype(np.int32))


def _slices(spec: Spec, n: int) -> dict[str, CodedColumn]:
    """Every level with every level of the other slices."""
    out, every = {}, np.arange(n)
    for s in spec.slices:
        if s.levels:
            out[s.name] = CodedColumn(s.levels, (every % len(s.levels)).astype(np.int32))
            every = every // len(s.levels) if spec.intersections else every
    return out


def _column(f: Field, n: int) -> Column:
    if f.kind is Kind.CATEGORICAL:
        return CodedColumn(f.levels, np.arange(n, dtype=np.int32) % len(f.levels))
    edges = np.array(f.edges or (0.0, 1.0))
    return NumberColumn.of((edges[1:] + edges[:-1])[np.arange(n) % (len(edges) - 1)] / 2)
