"""Public tables from file to figure: ``baseline build``, a job that sends by the SDK, and the read API, beside scikit-learn."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from running import CALIDRIS, CONFIG, Running, environment, until
from scipy import stats
from sklearn.linear_model import LogisticRegression

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).resolve().parents[3] / "docs" / "statistics.md"
DATASETS = Path(__file__).resolve().parents[3] / ".tools" / "datasets"
MOST = 20_000
"""Rows of each table that are sent: enough for every figure, and the job ends in seconds."""


@pytest.fixture(scope="module", autouse=True)
def _tables() -> None:
    if not (DATASETS / "unpacked").exists():
        assert not os.environ.get("CI"), "the tables are not there: run `python scripts/fetch_datasets.py`"
        pytest.skip("the tables are not there: run `python scripts/fetch_datasets.py`")


@dataclass(frozen=True)
class Tables:
    """Where the rows of a model are, and which column is what."""

    name: str
    reference: str
    rows: str
    outcomes: str
    features: tuple[str, ...]
    label: str
    task: str = "binary"
    text: tuple[str, ...] = ()
    id: str = "id"
    score: Any = "y_pred_proba"
    decision: str | None = "y_pred"
    value: str | None = None
    time: str | None = "timestamp"
    settings: dict[str, Any] = field(default_factory=dict)


CAR_LOAN = Tables(
    "car-loan", "synthetic_car_loan_reference.csv", "synthetic_car_loan_analysis.csv", "synthetic_car_loan_analysis_target.csv",
    ("car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car", "size_of_downpayment",
     "driver_tenure"),
    label="repaid", text=("salary_range", "size_of_downpayment"),
)  # fmt: skip
HOUSING = Tables(
    "housing", "california_housing_reference.csv", "california_housing_analysis.csv", "california_housing_analysis_gt.csv",
    ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"), label="clf_target",
)  # fmt: skip
_CENSUS = (
    "SCHL",
    "MAR",
    "RELP",
    "DIS",
    "ESP",
    "CIT",
    "MIG",
    "MIL",
    "ANC",
    "NATIVITY",
    "DEAR",
    "DEYE",
    "DREM",
    "SEX",
    "RAC1P",
)
EMPLOYMENT = Tables(
    "employment", "employment_MA_reference.pq", "employment_MA_analysis.pq", "employment_MA_analysis_target.pq",
    ("AGEP", *_CENSUS), label="employed", text=_CENSUS, score="predicted_probability", decision="prediction", time=None,
)  # fmt: skip
_CARDS = ("prepaid_card", "highstreet_card", "upmarket_card")
CREDIT_CARDS = Tables(
    "credit-cards", "mc_reference.csv", "mc_analysis.csv", "mc_analysis_gt.csv",
    ("acq_channel", "app_behavioral_score", "requested_credit_limit", "app_channel", "credit_bureau_score", "stated_income",
     "is_customer"),
    label="y_true", task="multiclass", text=("acq_channel", "app_channel"),
    score={name: f"y_pred_proba_{name}" for name in _CARDS},
)  # fmt: skip
CAR_PRICE = Tables(
    "car-price", "regression_synthetic_reference.csv", "regression_synthetic_analysis.csv",
    "regression_synthetic_analysis_targets.csv",
    ("car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"),
    label="y_true", task="regression", text=("fuel", "transmission"), score=None, decision=None, value="y_pred",
)  # fmt: skip


def titanic(folder: Path) -> Tables:
    """These have no predictions: a model that is fitted to half of the reference makes them, and the other half is its baseline."""
    known = pd.read_csv(DATASETS / "titanic_reference.csv")
    new = pd.read_csv(DATASETS / "titanic_analysis.csv")
    numbers = ("Pclass", "Age", "SibSp", "Parch", "Fare")

    def matrix(table: pd.DataFrame) -> np.ndarray:
        return np.c_[table[list(numbers)].fillna(0.0), table["Sex"] == "female"]

    model = LogisticRegression(max_iter=2000).fit(matrix(known)[::2], known["Survived"][::2])
    for table, name in ((known.iloc[1::2], "reference"), (new, "analysis")):
        probability = model.predict_proba(matrix(table))[:, 1]
        said = table.assign(y_pred_proba=probability, y_pred=(probability >= 0.5).astype(int))
        said.to_csv(folder / f"{name}.csv", index=False)
    return Tables(
        "titanic", str(folder / "reference.csv"), str(folder / "analysis.csv"), "titanic_target.csv", (*numbers, "Sex", "Embarked"),
        label="Survived", text=("Sex", "Embarked"), id="PassengerId", time=None,
    )  # fmt: skip


def built(folder: Path, tables: Tables) -> Path:
    """A baseline of the reference rows, made by the command."""
    config, out = folder / "build.yaml", folder / f"{tables.name}.calidris"
    config.write_text(json.dumps({"models": [settings(tables)]}), encoding="utf-8")
    command = [
        "baseline",
        "build",
        "-c",
        str(config),
        "--model",
        tables.name,
        "--data",
        str(DATASETS / tables.reference),
    ]
    command += ["-o", str(out), "--features", ",".join(tables.features), "--label", tables.label]
    roles = {"--score": tables.score, "--decision": tables.decision, "--value": tables.value, "--time": tables.time}
    for flag, column in roles.items():
        command += [flag, column] if isinstance(column, str) else []
    done = subprocess.run([*CALIDRIS, *command], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def settings(tables: Tables, **more: Any) -> dict[str, Any]:
    return {"name": tables.name, "task": tables.task, "windows": ["1d"], **tables.settings, **more}


def sent(folder: Path, receiver: Running, tables: Tables) -> dict[str, Any]:
    """What a job says of itself that sends the rows and their outcomes."""
    job = {
        "model": tables.name, "task": tables.task, "features": list(tables.features), "allow": list(tables.text),
        "rows": str(DATASETS / tables.rows), "outcomes": str(DATASETS / tables.outcomes), "id": tables.id, "label": tables.label,
        "score": tables.score, "decision": tables.decision, "value": tables.value, "most": MOST,
    }  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    env = environment() | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}"}
    command = [sys.executable, str(Path(__file__).with_name("send_table.py")), str(folder / "job.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows_with_outcomes(tables: Tables) -> pd.DataFrame:
    """The rows that are sent, beside their outcomes, by nobody's code but pandas'."""
    rows, outcomes = (
        pd.read_parquet(DATASETS / name) if name.endswith(".pq") else pd.read_csv(DATASETS / name)
        for name in (tables.rows, tables.outcomes)
    )
    rows = rows.head(MOST).drop(columns=[tables.label], errors="ignore")
    return rows.merge(outcomes[[tables.id, tables.label]], on=tables.id)


def expected(tables: Tables, rows: pd.DataFrame) -> dict[str, float]:
    truth = rows[tables.label]
    if tables.task == "regression":
        return {"mae": sk.mean_absolute_error(truth, rows[tables.value])}
    found = {"accuracy": sk.accuracy_score(truth, rows[tables.decision])}
    if tables.task == "multiclass":
        found["macro_f1"] = sk.f1_score(truth, rows[tables.decision], average="macro")
        found["weighted_f1"] = sk.f1_score(truth, rows[tables.decision], average="weighted")
    return found


def documented(section: str) -> set[str]:
    """Measures of a table of the page, by the attribute that heads it."""
    found, inside = set[str](), False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        inside = line.startswith(f"| `{section}`") or (inside and line.startswith("|"))
        if inside and not line.startswith(f"| `{section}`"):
            found |= set(re.findall(r"`([a-z_0-9]+)`", line.split("|")[1]))
    assert len(found) > 5, section
    return found


def told(readings: list[dict[str, Any]], measure: str, window: str | None = None) -> dict[str, Any]:
    """Figures of all rows whose labels are in, by measure."""
    return {
        r["attributes"][measure]: r
        for r in readings
        if measure in r["attributes"]
        and r["attributes"].get("ml.label.maturity", "arrived") == "arrived"
        and r["attributes"].get("ml.performance.source", "labels") == "labels"
        and "ml.prediction.class" not in r["attributes"]
        and r["window"] == (window or r["window"])
        and r["window"] != "baseline"
        and r["status"] != "too_few"
    }


def of_decisions(tables: Tables, rows: pd.DataFrame) -> dict[str, float]:
    """Every measure of performance of a binary task, by scikit-learn and scipy."""
    truth, decided, score = rows[tables.label], rows[tables.decision], rows[tables.score]
    return {
        "accuracy": sk.accuracy_score(truth, decided),
        "precision": sk.precision_score(truth, decided),
        "recall": sk.recall_score(truth, decided),
        "f1": sk.f1_score(truth, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, decided),
        "specificity": sk.recall_score(truth, decided, pos_label=0),
        "mcc": sk.matthews_corrcoef(truth, decided),
        "prevalence": truth.mean(),
        "roc_auc": sk.roc_auc_score(truth, score),
        "gini": 2 * sk.roc_auc_score(truth, score) - 1,
        "average_precision": sk.average_precision_score(truth, score),
        "ks_separation": stats.ks_2samp(score[truth == 1], score[truth == 0]).statistic,
    }


OF_BINS = {"roc_auc": 0.005, "gini": 0.01, "average_precision": 0.01, "ks_separation": 0.02}
"""How far a measure of the order of scores may lie from the raw scores'."""


def of_scores(tables: Tables, rows: pd.DataFrame) -> dict[str, float]:
    """Measures of calibration, by scikit-learn or by hand."""
    if tables.task == "binary":
        truth, score = rows[tables.label].to_numpy(float), rows[tables.score].to_numpy(float)
    else:
        by_class = rows[list(tables.score.values())].to_numpy()
        at = rows[tables.decision].map({name: i for i, name in enumerate(tables.score)})
        score = by_class[np.arange(len(rows)), at]
        truth = (rows[tables.decision] == rows[tables.label]).to_numpy(float)
    tenth = np.minimum((score * 10).astype(int), 9)
    gaps = [abs((score - truth)[tenth == t].sum()) for t in range(10)]
    spread = (score * (1 - score) * (1 - 2 * score) ** 2).sum()
    return {
        "brier": ((score - truth) ** 2).mean(),
        "log_loss": sk.log_loss(truth, score, labels=[0, 1]),
        "ece": sum(gaps) / len(rows),
        "mce": max(g / (tenth == t).sum() for t, g in enumerate(gaps) if (tenth == t).sum() >= 30),
        "observed_to_expected": truth.sum() / score.sum(),
        "spiegelhalter_z": ((truth - score) * (1 - 2 * score)).sum() / np.sqrt(spread),
    }


def check_every_measure(tables: Tables, rows: pd.DataFrame, readings: list[dict[str, Any]], scraped: str) -> None:
    """Each measure that the page documents for the task can be had, and is what others say that it is."""
    drift = told(readings, "ml.drift.measure")
    assert drift.keys() >= documented("ml.drift.measure")
    if tables.task == "regression":
        found = told(readings, "ml.performance.measure", "1d")
        assert found.keys() == {"mae", "rmse", "mape", "bias", "r_squared"}
        truth, value = rows[tables.label], rows[tables.value]
        assert found["rmse"]["value"] == pytest.approx(sk.root_mean_squared_error(truth, value), rel=1e-4)
        assert found["r_squared"]["value"] == pytest.approx(sk.r2_score(truth, value), abs=1e-3)
        return
    calibration = told(readings, "ml.calibration.measure", "1d")
    assert calibration.keys() == documented("ml.calibration.measure")
    wanted = of_scores(tables, rows)
    assert {m: calibration[m]["value"] for m in wanted} == pytest.approx(wanted, rel=2e-2, abs=2e-6)
    if tables.task == "binary":
        performance = told(readings, "ml.performance.measure", "1d")
        assert performance.keys() == documented("ml.performance.measure")
        wanted = of_decisions(tables, rows)
        assert performance.keys() == wanted.keys()
        for measure, value in wanted.items():
            assert performance[measure]["value"] == pytest.approx(value, abs=OF_BINS.get(measure, 1e-6)), measure
    for measure, reading in calibration.items():
        if reading["value"] is None:
            # Groups of nothing but 0 or 1 have no Hosmer-Lemeshow, certain scores no slope.
            assert reading["status"] == "undefined" and measure in (
                "hosmer_lemeshow",
                "slope",
                "intercept",
                "in_the_large",
            )
            continue
        assert f'ml_calibration_measure="{measure}"' in scraped, measure


@pytest.mark.parametrize(
    "tables", [CAR_LOAN, HOUSING, EMPLOYMENT, CREDIT_CARDS, CAR_PRICE, None], ids=lambda t: t.name if t else "titanic"
)
def test_rows_labels_classes_and_figures_are_those_of_the_table(tmp_path: Path, tables: Tables | None) -> None:
    tables = tables or titanic(tmp_path)
    baseline = built(tmp_path, tables)
    models = json.dumps([settings(tables, baseline=str(baseline))])
    config = CONFIG.replace("export: {", "export: {series: full, max_series_per_model: 20000, ")
    receiver = Running(tmp_path, f"{config}models: {models}\n").start()
    try:
        said = sent(tmp_path, receiver, tables)
        rows = rows_with_outcomes(tables)
        assert said == {"rows": len(rows), "labels": len(rows), "acknowledged": True}
        until(lambda: receiver.model(tables.name)["labels"] == len(rows))
        assert receiver.model(tables.name)["rows"] == len(rows)
        readings = receiver.get(f"/v1/models/{tables.name}/1/readings")
        scraped = httpx.get(receiver.metrics_url, timeout=60).text
    finally:
        receiver.kill()
    check_every_measure(tables, rows, readings, scraped)
    found = overall(readings)
    wanted = expected(tables, rows)
    assert {measure: found[measure]["value"] for measure in wanted} == pytest.approx(wanted, abs=1e-6)
    assert {found[measure]["n"] for measure in wanted} == {len(rows)}
    if tables.task == "binary":
        area = sk.roc_auc_score(rows[tables.label], rows[tables.score])
        assert found["roc_auc"]["value"] == pytest.approx(area, abs=0.005)
        assert found["roc_auc"]["lower"] <= area <= found["roc_auc"]["upper"]
    if tables.task == "multiclass":
        of_class = {
            r["attributes"]["ml.prediction.class"]: r["value"]
            for r in readings
            if is_of_labels(r) and r["attributes"]["ml.performance.measure"] == "recall"
        }
        names = sorted(of_class)
        recall = sk.recall_score(rows[tables.label], rows[tables.decision], average=None, labels=names)
        assert names == sorted(_CARDS) and list(of_class[n] for n in names) == pytest.approx(recall.tolist())
    missing = {name: int(rows[name].isna().sum()) for name in tables.features}
    assert quality(readings, "missing", len(rows)) == {name: n for name, n in missing.items()}


def check_lengths(tables: Tables, rows: pd.DataFrame, readings: list[dict[str, Any]]) -> None:
    """How far each number moved is scipy's on the raw rows; of few values to the digit, else as far as bins tell."""
    before = pd.read_csv(DATASETS / tables.reference)
    for name in set(tables.features) - set(tables.text):
        (found,) = [
            r
            for r in readings
            if r["attributes"].get("ml.drift.measure") == "wasserstein"
            and r["attributes"].get("ml.feature.name") == name
            and r["window"] == "1d"
        ]
        iqr = np.subtract(*np.quantile(before[name], [0.75, 0.25]))
        right = stats.wasserstein_distance(before[name], rows[name]) / iqr
        few = before[name].nunique() <= 20
        assert found["status"] == "partial"  # the day is not over
        assert found["value"] == pytest.approx(right, rel=0.01 if few else 0.5), name


def test_prices_that_come_in_cents_have_the_figures_of_that_unit(tmp_path: Path) -> None:
    """Somebody's outcomes change their unit: R² read .954 of such rows once, and RMSE less than MAE."""
    truths = pd.read_csv(DATASETS / CAR_PRICE.outcomes)
    in_cents = truths.assign(**{CAR_PRICE.label: truths[CAR_PRICE.label] * 100})
    in_cents.to_csv(tmp_path / "cents.csv", index=False)
    tables = replace(CAR_PRICE, outcomes=str(tmp_path / "cents.csv"))
    models = json.dumps([settings(tables, baseline=str(built(tmp_path, tables)))])
    config = CONFIG.replace("export: {", "export: {series: full, ")
    receiver = Running(tmp_path, f"{config}models: {models}\n").start()
    try:
        said = sent(tmp_path, receiver, tables)
        until(lambda: receiver.model(tables.name)["labels"] == said["labels"])
        readings = receiver.get(f"/v1/models/{tables.name}/1/readings")
    finally:
        receiver.kill()
    found = told(readings, "ml.performance.measure", "1d")
    rows = rows_with_outcomes(tables)
    check_lengths(tables, rows, readings)
    truth, value = rows[tables.label], rows[tables.value]
    right = {
        "mae": sk.mean_absolute_error(truth, value),
        "rmse": sk.root_mean_squared_error(truth, value),
        "r_squared": sk.r2_score(truth, value),
    }
    assert right["r_squared"] < 0
    assert {measure: found[measure]["value"] for measure in right} == pytest.approx(right, rel=1e-6)
    for measure, value in right.items():
        assert found[measure]["status"] == "partial"  # the day is not over
        assert found[measure]["lower"] < value < found[measure]["upper"]


def is_of_labels(reading: dict[str, Any]) -> bool:
    """Whether it is a figure of performance of all labels of the window that are in."""
    is_performance = reading["metric"] == "ml.performance.score" and reading["window"] == "1d"
    return is_performance and reading["attributes"].get("ml.label.maturity") == "arrived"


def overall(readings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures of all classes together, by measure."""
    found = [r for r in readings if is_of_labels(r) and "ml.prediction.class" not in r["attributes"]]
    return {r["attributes"]["ml.performance.measure"]: r for r in found}


def quality(readings: list[dict[str, Any]], kind: str, rows: int) -> dict[str, int]:
    """Rows of a kind of data quality of each feature."""
    return {
        r["attributes"]["ml.feature.name"]: round(r["value"] * rows)
        for r in readings
        if r["metric"] == "ml.data_quality.ratio" and r["attributes"].get("ml.data_quality.kind") == kind
        and "ml.feature.name" in r["attributes"]
    }  # fmt: skip
