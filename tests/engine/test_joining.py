"""What the engine counts of labelled rows is what a baseline of the same rows counts: every task, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, LabelBatch, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.model import WatchedModel
from calidris.state import Spec, fitting_rows
from calidris.state.blocks.labelled import LabelStates

N = 400


def batch(task: str, seed: int) -> tuple[PredictionBatch, Column]:
    rng = np.random.default_rng(seed)
    region = CodedColumn.of(rng.choice(["north", "south", None], N).tolist())
    rows = PredictionBatch(
        model=KEY,
        event_time_ns=START + np.sort(rng.integers(0, 3 * SECOND, N)),
        features={"x": NumberColumn.of(rng.normal(size=N))},
        ids=[f"{seed}-{i}" for i in range(N)],
        slices={"region": region},
    )
    if task == "regression":
        truth = rng.normal(100, 20, N)
        value = np.where(rng.random(N) < 0.05, np.nan, truth + rng.normal(0, 5, N))
        return replace(rows, value=NumberColumn.of(value)), NumberColumn.of(truth)
    if task == "multiclass":
        classes = [f"class {i}" for i in range(25)]  # more than are kept apart
        truth = rng.choice(classes, N)
        decided = np.where(rng.random(N) < 0.7, truth, rng.choice(classes, N))
        score = NumberColumn.of(rng.uniform(0.3, 1.0, N))
        return replace(rows, decision=CodedColumn.of(decided.tolist()), score=score), CodedColumn.of(truth.tolist())
    score = rng.random(N)
    explicit = [None if rng.random() < 0.5 else str(int(s >= 0.6)) for s in score]
    outcome = NumberColumn.of((rng.random(N) < score).astype(float))
    return replace(rows, score=NumberColumn.of(score), decision=CodedColumn.of(explicit)), outcome


def engine_of(task: str, base: Baseline) -> Engine:
    model = ModelConfig.model_validate(
        {"name": "credit", "task": task, "windows": ["1s", "10s"], "slices": ["region"], "detect": {"windows": ["1s"]}}
    )
    return Engine(CalidrisConfig(models=(model,)), lambda key, config: (base, ""))


def labels_of(model: WatchedModel) -> LabelStates:
    out = LabelStates.empty(model.spec)
    for pane in model.panes.memory.values():
        out.add(pane.labels)
    return out


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_engine_counts_as_a_baseline_does(task: str) -> None:
    rows, label = batch(task, 1)
    delay_s = np.random.default_rng(2).exponential(30_000.0, N).round()
    template = Spec(task=task, positive="1")
    base = build(BaselineColumns(rows, label, delay_s=delay_s), template, window_s=1.0, slices=["region"], corners=True)
    engine, journal = engine_of(task, base), Journal()
    assert rows.ids is not None
    times = rows.event_time_ns + (delay_s * SECOND).astype(np.int64)
    engine.apply(journal.request(rows))
    order = np.random.default_rng(3).permutation(N)
    for part in np.array_split(order, 7):
        ids = [rows.ids[i] for i in part]
        engine.apply(journal.request(LabelBatch("default", "credit", ids, label.take(part), times[part])))
    (model,) = engine.models.values()
    live = labels_of(model)
    known = ~np.isnan(rows.value.values) if rows.value is not None else np.ones(N, dtype=bool)
    if task == "regression":  # a row without a prediction does not wait for its label
        assert live.count == model.labels == int(known.sum())
        assert np.array_equal(live.residuals.array[:, :, :3], base.labels.residuals.array[:, :, :3])
    else:
        here = base.spec.slice_count
        assert np.array_equal(live.losses.array[:here], base.labels.losses.array[:here])
        others = zip(live.all, base.labels.all)
        assert all(mine == theirs for mine, theirs in others if mine is not live.losses)
        # Corners count every live row, and of a baseline those that did not draw them.
        more = live.losses.array[here] - base.labels.losses.array[here]
        assert more[:, 0, :, 0].sum() == fitting_rows(N).sum()
        assert np.array_equal(live.losses.array[here], live.losses.array[0])
        assert np.array_equal(live.losses.array[here + 1 :].sum(axis=0), live.losses.array[here])
        assert live.count == model.labels == N
    merged = LabelStates.empty(base.spec)
    for tables in base.window_labels:
        merged.add(tables)
    assert merged == base.labels


def test_an_early_label_of_a_regression_is_a_number_again() -> None:
    rows, label = batch("regression", 4)
    base = build(BaselineColumns(rows, label), Spec(task="regression"), window_s=1.0)
    engine, journal = engine_of("regression", base), Journal()
    assert rows.ids is not None and rows.value is not None
    engine.apply(journal.request(LabelBatch("default", "credit", rows.ids, label, rows.event_time_ns)))
    engine.apply(journal.request(rows))
    (model,) = engine.models.values()
    assert model.labels == int(rows.value.valid.sum())


def test_a_text_is_no_outcome_of_a_regression_and_is_counted() -> None:
    rows, label = batch("regression", 5)
    base = build(BaselineColumns(rows, label), Spec(task="regression"), window_s=1.0)
    engine, journal = engine_of("regression", base), Journal()
    assert rows.ids is not None and rows.value is not None
    engine.apply(journal.request(rows))
    texts = CodedColumn.of(["high"] * N)
    engine.apply(journal.request(LabelBatch("default", "credit", rows.ids, texts, rows.event_time_ns)))
    (model,) = engine.models.values()
    assert model.labels == 0
    assert engine.counters["calidris.labels.unmatched"]["not_a_number"] == int(rows.value.valid.sum())
