"""A sender that keeps every row with a high score and a tenth of the others: no alarm where rows carry weights, one where they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, MINUTE, base_of, draw, engine_of, figures, shown

from calidris import semconv
from calidris.batch import NumberColumn, PredictionBatch
from calidris.engine.columns import rows_of
from calidris.engine.core import Engine
from calidris.metrics.base import Status

WINDOWS = 6


def sampled(seed: int, window: int, weighted: bool, shift: float = 0.0) -> PredictionBatch:
    raw = draw("binary", seed, 1500, BEGIN + window * MINUTE, MINUTE, shift)
    high = raw.score >= 0.5
    kept = np.flatnonzero(high | (np.random.default_rng(seed).random(len(high)) < 0.1))
    batch = rows_of(raw.batch, kept)
    weight = np.where(high, 1.0, 10.0)[kept]
    return replace(batch, weight=NumberColumn.of(weight)) if weighted else batch


def watched(weighted: bool, shift: float = 0.0) -> Engine:
    engine, journal = engine_of("binary", base_of("binary", 0.3)), Journal()
    for window in range(WINDOWS):
        batch = sampled(30 + window, window, weighted, shift)
        engine.apply(journal.request(batch, arrival_ns=int(batch.event_time_ns.max())))
        engine.apply(journal.seal(BEGIN + (window + 1) * MINUTE))
    return engine


@pytest.mark.parametrize("weighted", [True, False])
def test_sampling_is_no_drift_where_rows_say_what_they_stand_for(weighted: bool) -> None:
    engine = watched(weighted)
    drifted = {f.name for alarm in engine.alarms if alarm.kind == "drift" for f in alarm.features}
    assert ("ml.prediction.score" in drifted) != weighted
    (evidence,) = [
        r
        for r in figures(shown(engine), semconv.METRIC_ML_DETECTION_EVIDENCE, ML_DETECTION_KIND="drift")
        if semconv.ML_FEATURE_NAME not in dict(r.attributes)
    ]
    assert evidence.status is (Status.APPROXIMATE if weighted else Status.OK)
    weight = sampled(30 + WINDOWS - 1, WINDOWS - 1, True).weight
    assert weight is not None
    rows = weight.values.sum() ** 2 / (weight.values**2).sum() if weighted else len(weight)
    assert evidence.n == pytest.approx(rows, abs=1)


def test_a_real_change_alarms_all_the_same() -> None:
    engine = watched(True, shift=1.0)
    assert any(alarm.kind == "drift" for alarm in engine.alarms)
