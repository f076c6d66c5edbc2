"""A sender that keeps every positive decision and a tenth of the others, at a served receiver: what it says is of all traffic."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from running import until
from sklearn import metrics as sk

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.baseline.bundle import write
from calidris.batch import LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Spec
from calidris.wire import encode_labels, encode_predictions

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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("baseline") / "credit.calidris"
    write(baseline(), file)
    return file


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


def told(make: Callable[..., Any], path: Path, *, weighted: bool) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The figures of performance and of drift that the read API has, and its status."""
    model = {"name": "credit", "positive": 1, "windows": ["1h"], "baseline": str(path), "detect": {"label_age": "1h"}}
    started = make(models=[model])
    (url,) = (line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    batch, labels, *rest = sampled(weighted)
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    started.export(encode_labels(labels))
    n = len(batch)

    def ready() -> Any:
        (model,) = httpx.get(f"{url}/v1/status", trust_env=False).json()["models"] or [{}]
        return model if model.get("labels") == n and model["windows"][0]["labels"] == n else None

    status = until(ready, 60.0)
    found = httpx.get(f"{url}/v1/models/credit/1/readings", trust_env=False).json()
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


def test_figures_are_of_all_traffic(make: Callable[..., Any], path: Path) -> None:
    status, found, (score, outcome, weight) = told(make, path, weighted=True)
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
    assert found["accuracy"]["n"] == pytest.approx(kish, abs=1)
    assert abs(found["x"]["value"]) < 0.02 and abs(found["ml.prediction.score"]["value"]) < 0.02


def test_without_weights_they_are_of_the_rows_that_came(make: Callable[..., Any], path: Path) -> None:
    status, found, (score, outcome, _) = told(make, path, weighted=False)
    assert not status["weighted"] and status["windows"][0]["effective_rows"] == len(score)
    assert found["accuracy"]["value"] == pytest.approx(sk.accuracy_score(outcome, score >= 0.5))
    assert found["x"]["value"] > 0.1, "what was kept does not lie as the traffic did"
