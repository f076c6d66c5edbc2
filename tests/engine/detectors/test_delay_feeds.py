"""What detectors of labels are fed with, by task, laid against plain counting of the raw rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, Floats, LabelBatch, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.detect import Alert, Slot
from calidris.detect.label_delays import coverage_counts, delay_events
from calidris.engine.core import Engine
from calidris.engine.panes.pane import merge_panes
from calidris.state import Spec

N = 600
UNIT = 2**30
SPECS = {
    "binary": Spec(positive="1"),
    "multiclass": Spec(task="multiclass"),
    "regression": Spec(task="regression"),
}


def draw(task: str, seed: int) -> tuple[PredictionBatch, Column, list[str], Floats]:
    """Rows, their outcomes, what each outcome is called, and seconds until it is known, some beyond a day."""
    rng = np.random.default_rng(seed)
    score = rng.random(N)
    columns: dict[str, Any] = {"score": NumberColumn.of(score)}
    outcome: Column = NumberColumn.of((rng.random(N) < score).astype(np.float64))
    names = ["1" if one else "0" for one in outcome.values.tolist()]
    if task == "multiclass":
        names = rng.choice(["ant", "bee", "cat"], N).tolist()
        outcome = CodedColumn.of(names)
        columns = {"decision": CodedColumn.of(rng.choice(["ant", "bee", "cat"], N).tolist())}
    elif task == "regression":
        outcome, names = NumberColumn.of(rng.normal(size=N)), [""] * N
        columns = {"value": NumberColumn.of(rng.normal(size=N))}
    batch = PredictionBatch(
        model=KEY,
        event_time_ns=START + np.arange(N) * (SECOND // 20),
        features={"x": NumberColumn.of(rng.normal(size=N))},
        task=task,
        ids=[f"{seed}-{i}" for i in range(N)],
        **columns,
    )
    return batch, outcome, names, rng.exponential(40_000.0, N).round()


def base_of(task: str) -> Baseline:
    batch, outcome, _, delay = draw(task, 1)
    return build(BaselineColumns(batch, outcome, delay_s=delay), SPECS[task], window_s=60.0)


@pytest.mark.parametrize("task", [*SPECS])
def test_feeds_are_the_counts_of_raw_rows(task: str) -> None:
    base = base_of(task)
    model = {"name": "credit", "task": task, "windows": ["1m"], "detect": {"windows": ["1m"], "label_age": "1d"}}
    engine = Engine(CalidrisConfig(models=(ModelConfig.model_validate(model),)), lambda *_: (base, ""))
    journal = Journal()
    batch, outcome, names, delay = draw(task, 2)
    assert batch.ids is not None
    known = batch.event_time_ns + (delay * SECOND).astype(np.int64)
    for item in (batch, LabelBatch("default", "credit", batch.ids, outcome, known)):
        engine.apply(journal.request(item))
    watched = engine.models[KEY]
    window = merge_panes(watched.spec, (pane for _, pane in watched.panes_in(START, START + 60 * SECOND)))
    slots = engine.watchers[KEY].slots
    in_time = delay <= 86_400.0
    coverage = slots[Slot(Alert.LABELS, 60.0, "coverage")].recipe.counts(window)
    assert coverage.tolist() == coverage_counts(N, int(in_time.sum())).tolist()
    recipe = slots[Slot(Alert.LABELS, 60.0, "delays")].recipe
    fed = recipe.counts(window).reshape(-1, 2).tolist()
    outcomes = {"binary": ["0", "1"], "regression": [""]}.get(task, [*base.spec.classes, "(other)"])
    found = dict(zip([event.name for event in delay_events(outcomes, 2)], fed))
    assert found["labels"] == [in_time.sum(), 0] and len(found) == len(fed)
    for one in sorted(set(names)):
        mine = in_time & (np.array(names) == one)
        about = f"outcome {one}" if one else "label"
        for hours in (1, 6):
            soon = int((mine & (delay <= hours * 3600.0)).sum())
            assert found[f"{about} within {hours}h"] == [mine.sum(), soon * UNIT]
            assert found[f"{about} after {hours}h"] == [mine.sum(), (mine.sum() - soon) * UNIT]
