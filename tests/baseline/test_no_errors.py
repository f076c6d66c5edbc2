"""A regression that never erred in its baseline: nothing says what is worse, and that is said."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Slot
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.engine.standing.reasons import rebuild
from calidris.state import Spec

STEP_NS = 60_000_000_000


def regression(error: float) -> Baseline:
    rng = np.random.default_rng(1)
    said = 100.0 * rng.random(6_000)
    times = np.arange(len(said)) * (STEP_NS // 100)
    batch = PredictionBatch(ModelKey("default", "m", "1"), times, {}, value=NumberColumn.of(said))
    truth = said + error * rng.normal(size=len(said))
    rows = BaselineColumns(batch, NumberColumn.of(truth), delay_s=np.ones(len(said)))
    return build(rows, Spec(task="regression"), window_s=60.0)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_performance_that_is_not_watched_is_said(error: float) -> None:
    made = regression(error)
    config = ModelConfig.model_validate({"name": "m", "task": "regression", "detect": {"label_age": "1h"}})
    watched = label_recipe(Slot(Alert.PERFORMANCE, 60.0), config, made) is not None
    said = rebuild(made, corners=False)
    assert watched == bool(error)
    assert ("no error at all, so that nothing says what is worse and performance is not watched" in said) != watched
