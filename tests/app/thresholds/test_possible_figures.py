"""Thresholds that no figure of their model and window can ever meet are refused, with what comes near them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from rich.console import Console

from calidris.app.thresholds import check_thresholds
from calidris.app.thresholds.possible_figures import find_figures
from calidris.baseline import Baseline, BaselineColumns, build, write
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.cli.check import check
from calidris.config import ModelConfig, load
from calidris.errors import ConfigError
from calidris.state import Spec

N = 600
Task = Literal["binary", "multiclass", "regression"]


def made(task: Task = "binary") -> Baseline:
    """Of an age and a country, with a slice and labels."""
    rng = np.random.default_rng(1)
    classes = CodedColumn.of(rng.choice(["a", "b", "c"], N).tolist())
    score, value = rng.random(N), rng.normal(100, 10, N)
    outcomes: dict[str, Column] = {
        "binary": NumberColumn.of(rng.random(N) < score),
        "multiclass": classes,
        "regression": NumberColumn.of(value + rng.normal(0, 1, N)),
    }
    rows = PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=np.arange(N) * 1_000_000_000,
        features={"age": NumberColumn.of(rng.normal(40, 10, N)), "country": CodedColumn.of(["NL", "DE"] * (N // 2))},
        score=None if task == "regression" else NumberColumn.of(score),
        decision=classes if task == "multiclass" else None,
        value=NumberColumn.of(value) if task == "regression" else None,
        slices={"country": CodedColumn.of(["NL", "DE"] * (N // 2))},
    )
    spec = Spec(task=task, positive="1")
    return build(BaselineColumns(rows, outcomes[task], True), spec, window_s=300.0, slices=["country"])


def written(folder: Path, limit: str, more: str = "", task: Task = "binary") -> Path:
    """A configuration with one threshold and, if ``more`` names it, a baseline."""
    write(made(task), folder / "credit.calidris")
    path = folder / "calidris.yaml"
    path.write_text(
        f"models:\n  - name: credit\n    task: {task}\n    windows: [5m, 1h, 1d]\n    slices: [country]\n"
        f"    detect:\n      thresholds:\n        - {{figure: {limit}}}\n{more}"
    )
    return path


WITH = "    baseline: credit.calidris\n"
EITHER = pytest.mark.parametrize("more", ["", WITH])


@EITHER
@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (
            "ml.performance.score, attributes: {ml.performance.measure: accuracyy}, below: 0.9",
            "attributes.ml.performance.measure: no ml.performance.score of 5m windows has "
            "ml.performance.measure: accuracyy, so it would never fire; did you mean accuracy",
        ),
        (
            "ml.drift.score, attributes: {ml.drift.measure: mmd}, above: 0.1",
            "thresholds.0.ml.drift.measure: no ml.drift.score of 5m windows has ml.drift.measure: mmd",
        ),
        (
            "ml.performance.score, attributes: {ml.performance.measure: rmse}, above: 9",
            "ml.performance.measure: rmse, so it would never fire",
        ),
        (
            "ml.drift.score, attributes: {ml.drift.measur: psi}, above: 0.1",
            "has no attribute 'ml.drift.measur'; did you mean ml.drift.measure?",
        ),
        (
            "ml.drift.score, attributes: {ml.drift.measure: hellinger}, window: 1d, above: 0.1",
            "no ml.drift.score of 1d windows has ml.drift.measure: hellinger",
        ),
        (
            "ml.detection.evidence, above: 0.5",
            "thresholds.0.figure: a closed 5m window of this model has no ml.detection",
        ),
        (
            "ml.performance.score, attributes: {ml.label.maturity: fixed_age}, below: 0.5",
            "no ml.performance.score of 5m windows has ml.label.maturity: fixed_age",
        ),
    ],
)
def test_what_can_never_fire_is_refused(tmp_path: Path, limit: str, said: str, more: str) -> None:
    path = written(tmp_path, limit, more)
    with pytest.raises(ConfigError) as refused:
        check(path, Console(quiet=True))
    assert str(refused.value).startswith(f"{path}:8: models.0.detect.thresholds.0.")
    assert said.removeprefix("attributes.").removeprefix("thresholds.0.") in str(refused.value)


@EITHER
@pytest.mark.parametrize(
    "limit",
    [
        "ml.drift.score, attributes: {ml.feature.name: age, ml.drift.measure: psi}, above: 0.2",
        "ml.drift.score, attributes: {ml.feature.name: country, ml.drift.measure: hellinger}, window: 1h, above: 0.2",
        "ml.drift.score, attributes: {ml.drift.measure: psi_debiased}, window: 1d, above: 0.2",
        "ml.performance.score, attributes: {ml.performance.measure: recall, country: NL}, below: 0.5",
        "ml.data_quality.ratio, attributes: {ml.data_quality.kind: missing, ml.feature.name: age}, above: 0.1",
        "ml.calibration.score, attributes: {ml.calibration.measure: brier}, above: 0.3",
        "ml.error.ratio, above: 0.1",
        "ml.window.rows, below: 10",
        "ml.latency.duration, above: 1",
    ],
)
def test_what_can_fire_is_taken(tmp_path: Path, limit: str, more: str) -> None:
    path = written(tmp_path, limit, more)
    check_thresholds(load(path), path)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("attributes: {ml.feature.name: agee, ml.drift.measure: psi}", "did you mean age?"),
        (
            "attributes: {ml.feature.name: country, ml.drift.measure: psi, ml.model.name: credit}",
            "has no attribute 'ml.model.name'",
        ),
    ],
)
def test_a_baseline_knows_its_features(tmp_path: Path, limit: str, said: str) -> None:
    path = written(tmp_path, f"ml.drift.score, {limit}, above: 0.2", WITH)
    with pytest.raises(ConfigError) as refused:
        check_thresholds(load(path), path)
    assert said in str(refused.value)


@EITHER
@pytest.mark.parametrize(
    ("task", "measure", "found"),
    [
        ("regression", "mae", True),
        ("regression", "accuracy", False),
        ("multiclass", "macro_f1", True),
        ("multiclass", "mae", False),
    ],
)
def test_each_task_has_its_measures(tmp_path: Path, more: str, task: Task, measure: str, found: bool) -> None:
    limit = f"ml.performance.score, attributes: {{ml.performance.measure: {measure}}}, above: 0.5"
    path = written(tmp_path, limit, more, task)
    if found:
        check_thresholds(load(path), path)
        return
    with pytest.raises(ConfigError, match=r"so it would never fire"):
        check_thresholds(load(path), path)


def test_the_possible_figures_are_those_of_a_receiver_that_closes_such_a_window() -> None:
    model = ModelConfig(name="credit", slices=("country",))
    found = find_figures(model, [made()], 300.0)
    measures = {kind.get("ml.performance.measure") for kind in found["ml.performance.score"]}
    assert {"accuracy", "recall", "roc_auc"} <= measures
