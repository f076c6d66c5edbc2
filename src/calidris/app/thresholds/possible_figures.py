"""Which figures a closed window can have: those that the engine gives of rows like the baseline's, tried in memory.

There is no second list of what may be written: what matches nothing here matches nothing in a receiver either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from calidris import semconv
from calidris.app.dry_run import labels_of, rows_like
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.learning import MIN_ROWS, Reservoir
from calidris.engine.model import WatchedModel
from calidris.engine.panes.pane import merge_panes
from calidris.engine.readings import window_families
from calidris.state import Spec
from calidris.wire import Decoded

Attributes = Mapping[str, str]
Figures = dict[str, list[Attributes]]
"""Name of a figure to the attributes of each of its kind."""

NUMBER: Final = "any number"
TEXT: Final = "any text"
VALUES: Final = ("any value", "another value")
ANY: Final = frozenset({NUMBER, TEXT, *VALUES})
"""Names of columns, levels and classes where no baseline knows them: each stands for every name."""

_VERSION: Final = "1"
_SEED: Final = 1
_ROWS: Final = 2000
"""So many that each slice has labelled rows; without any it has its headline figure alone."""


def find_figures(
    model: ModelConfig,
    baselines: Iterable[Baseline],
    window_s: float,
) -> Figures:
    """Every figure of a closed window of one length, whether or not it has a value; some 50 ms a baseline."""
    found: Figures = {}
    for baseline in baselines:
        watched = _watch_rows_like(model, baseline)
        panes = (pane for _, pane in watched.panes.every())
        window = merge_panes(watched.spec, panes)
        families = window_families(model, baseline, window, window_s)
        for figures in families.values():
            for figure in figures:
                kinds = found.setdefault(figure.metric.name, [])
                kinds.append(dict(figure.attributes))
    return found


def _watch_rows_like(model: ModelConfig, baseline: Baseline) -> WatchedModel:
    """The model after one step of rows whose labels have come."""
    config = CalidrisConfig(models=(model,))
    engine = Engine(config, lambda *_: (baseline, ""))
    engine.apply(_record(model, baseline))
    return engine.models[_key(model)]


def _record(model: ModelConfig, baseline: Baseline) -> Received:
    rows = rows_like(
        baseline,
        _key(model),
        time_ns=model.step_ns,
        n=_ROWS,
        seed=_SEED,
    )
    labels = _labels(model, baseline, rows)
    items = (rows, labels)
    decoded = Decoded(items, len(items), 0, {}, "", 0, 0)
    return Received(
        seq=1,
        arrival_ns=model.step_ns,
        tenant=model.tenant,
        digest=bytes(16),
        size_bytes=0,
        decoded=decoded,
        seal_ns=None,
        release=lambda: None,
    )


def _labels(model: ModelConfig, baseline: Baseline, rows: PredictionBatch) -> LabelBatch:
    assert rows.ids is not None, "labels find them by these"
    return LabelBatch(
        tenant=model.tenant,
        model_name=model.name,
        ids=rows.ids,
        label=labels_of(baseline, rows, _SEED),
        label_time_ns=rows.event_time_ns + 1,
    )


def learn_any(model: ModelConfig) -> Baseline:
    """What the engine would learn from live rows whose columns may have any name."""
    reservoir = Reservoir()
    reservoir.add(_any_rows(model))
    template = Spec(
        task=model.task,
        positive=model.positive_text,
        threshold=model.threshold,
    )
    step_s = model.step_ns / 1e9
    learned = reservoir.learn(template, step_s, model.cuts, len(ANY))
    assert learned is not None, "there are as many rows as it takes"
    return learned


def _any_rows(model: ModelConfig) -> PredictionBatch:
    even = np.linspace(0.0, 1.0, MIN_ROWS)
    numbers = NumberColumn.of(even)
    names = [VALUES[i % len(VALUES)] for i in range(MIN_ROWS)]
    texts = CodedColumn.of(names)
    # Nothing but what a task's rows always have: what only some models send must not count as given.
    regression = model.task == semconv.ML_MODEL_TASK_REGRESSION
    several = model.task == semconv.ML_MODEL_TASK_MULTICLASS
    return PredictionBatch(
        model=_key(model),
        event_time_ns=np.full(MIN_ROWS, model.step_ns),
        features={NUMBER: numbers, TEXT: texts},
        score=None if regression else numbers,
        decision=texts if several else None,
        value=numbers if regression else None,
        slices=dict.fromkeys(model.cuts, texts),
    )


def _key(model: ModelConfig) -> ModelKey:
    return ModelKey(model.tenant, model.name, _VERSION)
