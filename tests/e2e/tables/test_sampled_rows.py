"""A sender that keeps every positive decision and a tenth of the others, at a served receiver: what it says is of all traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from running import CONFIG, Running, until
from sklearn import metrics as sk

from calidris.baseline import Baseline, BaselineColumns, build, write
from calidris.batch import LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Spec
from calidris.wire import encode_labels, encode_predictions

pytestmark = pytest.mark.e2e

Make = Callable[..., Running]
MODEL = """
models:
  - name: credit
    positive: 1
    windows: [1h]
    baseline: credit.calidris
    detect: {windows: [1h], label_age: 1h}
"""
HOUR_NS = 3_600_000_000_000
KEY = ModelKey("default", "credit", "1")
N = 20_000


def traffic(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number, a score and an outcome of each row."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 3, N)
    return score * 10 + rng.normal(size=N), score, (rng.random(N) < score).astype(float)


def baseline() -> Baseline:
    x, score, outcome = traffic(1)
    ends = np.sort(np.random.default_rng(2).integers(1, 168 * HOUR_NS, N))[::-1]
    batch = PredictionBatch(
        KEY, 1_790_000_000_000_000_000 - ends, {"x": NumberColumn.of(x)}, score=NumberColumn.of(score)
    )
    return build(BaselineColumns(batch, NumberColumn.of(outcome)), Spec(positive="1"), window_s=3600.0)


def sampled(weighted: bool) -> tuple[PredictionBatch, LabelBatch, np.ndarray, np.ndarray, np.ndarray]:
    x, score, outcome = traffic(0)
    kept = (score >= 0.5) | (np.random.default_rng(5).random(N) < 0.1)
    weight = np.where(score >= 0.5, 1.0, 10.0)[kept]
    n = int(kept.sum())
    times = np.full(n, time.time_ns() // HOUR_NS * HOUR_NS)
    ids = [f"r{i}" for i in range(n)]
    batch = PredictionBatch(
        KEY,
        times,
        {"x": NumberColumn.of(x[kept])},
        score=NumberColumn.of(score[kept]),
        ids=ids,
        weight=NumberColumn.of(weight) if weighted else None,
    )
    labels = LabelBatch("default", "credit", ids, NumberColumn.of(outcome[kept]), times + 1)
    return batch, labels, score[kept], outcome[kept], weight


def told(make_receiver: Make, *, weighted: bool) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The status of the model, its figures of performance and of drift, and what was sent."""
    receiver = make_receiver(CONFIG + MODEL)
    write(baseline(), receiver.folder / "credit.calidris")
    receiver.start()
    batch, labels, *rest = sampled(weighted)
    receiver.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    receiver.export(encode_labels(labels))
    n = len(batch)

    def ready() -> dict[str, Any] | None:
        model = receiver.model()
        return model if model["labels"] == n and model["windows"][0]["labels"] == n else None

    status = until(ready, 60.0)
    found = receiver.get("/v1/models/credit/1/readings")
    figures = {
        about["ml.performance.measure"]: r
        for r in found
        if r["window"] == "1h" and (about := r["attributes"]).get("ml.performance.source") == "labels"
        and about.get("ml.label.maturity") == "arrived"
    }  # fmt: skip
    drift = {
        r["attributes"]["ml.feature.name"]: r
        for r in found
        if r["metric"] == "ml.drift.score" and r["attributes"]["ml.drift.measure"] == "psi_debiased"
    }
    return status, figures | drift, rest


def test_figures_are_of_all_traffic(make_receiver: Make) -> None:
    status, found, (score, outcome, weight) = told(make_receiver, weighted=True)
    decided = score >= 0.5
    wanted = {
        "accuracy": sk.accuracy_score(outcome, decided, sample_weight=weight),
        "precision": sk.precision_score(outcome, decided, sample_weight=weight),
        "recall": sk.recall_score(outcome, decided, sample_weight=weight),
        "f1": sk.f1_score(outcome, decided, sample_weight=weight),
    }
    for measure, value in wanted.items():
        assert found[measure]["value"] == pytest.approx(value, abs=1e-5)
        assert found[measure]["lower"] < value < found[measure]["upper"]
    assert found["accuracy"]["value"] == pytest.approx(0.857, abs=0.01), "by row it was .766"
    assert status["weighted"] and status["rows"] == len(score)
    kish = weight.sum() ** 2 / (weight**2).sum()
    assert status["windows"][0]["effective_rows"] == pytest.approx(kish, abs=1)
    assert 0.5 * kish < found["accuracy"]["n"] <= kish + 1
    assert abs(found["x"]["value"]) < 0.02 and abs(found["ml.prediction.score"]["value"]) < 0.02


def test_without_weights_they_are_of_the_rows_that_came(make_receiver: Make) -> None:
    status, found, (score, outcome, _) = told(make_receiver, weighted=False)
    assert not status["weighted"] and status["windows"][0]["effective_rows"] == len(score)
    assert found["accuracy"]["value"] == pytest.approx(sk.accuracy_score(outcome, score >= 0.5))
    assert found["x"]["value"] > 0.1, "what was kept does not lie as the traffic did"
