"""What becomes of every row and label: each is counted once when it is read from the journal, and once by its outcome.

::

    calidris.engine.rows   = ml.received.rows   + rows.retired   + rows.duplicate   + models.overflow  + engine.rows.failed
    calidris.engine.labels = ml.received.labels + labels.retired + labels.duplicate + labels.unmatched + labels.early + labels.revised

Late rows are among the received ones. ``labels.early`` is a gauge: what still waits for its prediction. A row that has a label is
received once, however often that is replaced; each replacement is counted as revised. A defect of ours must
not break the law: what it leaves without an outcome of a batch is counted as failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from calidris import semconv
from calidris.batch import LabelBatch, ModelKey, PredictionBatch
from calidris.engine.model import WatchedModel
from calidris.engine.registry import Owner, Registry
from calidris.labels import EarlyLabels

Batch = PredictionBatch | LabelBatch


class Books(Protocol):
    """What the engine counts."""

    @property
    def models(self) -> Mapping[ModelKey, WatchedModel]:
        """What is remembered of each watched version."""
        ...

    @property
    def registry(self) -> Registry:
        """Which versions are watched."""
        ...

    @property
    def early(self) -> Mapping[Owner, EarlyLabels]:
        """Labels that wait for their prediction, by model."""
        ...

    @property
    def counters(self) -> Mapping[str, Counter[str]]:
        """Counts by metric name and reason."""
        ...


def settled(engine: Books, batch: Batch) -> int:
    """Rows or labels that have an outcome, of this batch's model and of none: what two calls differ by came between them.

    O(versions of the model); called twice a batch.
    """
    if isinstance(batch, PredictionBatch):
        model = engine.models.get(batch.model)
        rows = model.rows if model else 0
        return rows + _total(engine.counters, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW)
    owner = (batch.tenant, batch.model_name)
    joined = sum(engine.models[key].labels for key in engine.registry.versions(owner))
    waiting = len(engine.early.get(owner, ()))
    elsewhere = (semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, semconv.METRIC_CALIDRIS_LABELS_REVISED)
    return joined + waiting + sum(_total(engine.counters, metric) for metric in elsewhere)


def balance(engine: Books) -> None:
    """Open the books of a state that was saved before there were any: what has an outcome was read."""
    overflow, unmatched = semconv.METRIC_CALIDRIS_MODELS_OVERFLOW, semconv.METRIC_CALIDRIS_LABELS_UNMATCHED
    rows = sum(model.rows for model in engine.models.values()) + _total(engine.counters, overflow)
    labels = sum(model.labels for model in engine.models.values()) + _total(engine.counters, unmatched)
    labels += sum(map(len, engine.early.values()))
    for metric, n in ((semconv.METRIC_CALIDRIS_ENGINE_ROWS, rows), (semconv.METRIC_CALIDRIS_ENGINE_LABELS, labels)):
        if n and metric.name not in engine.counters:
            engine.counters[metric.name][""] = n


def _total(counters: Mapping[str, Mapping[str, int]], metric: semconv.Metric) -> int:
    return sum(counters.get(metric.name, {}).values())
