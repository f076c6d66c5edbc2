"""One table as a file and as live rows, through the processes that people start: the same cells, and no fault of the data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import CONFIG, Running, environment, until

pytestmark = pytest.mark.e2e

ROWS = 2000
TABLE = """
import sys
import numpy as np
import pandas as pd

def draw(seed, n):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "price": np.minimum(np.round(rng.normal(20, 8, n), 1), 30.1),
        "country": rng.choice(["nl", "de", None], n),
        "zip": rng.choice(["01067", "10115", "80331"], n),
        "remark": rng.choice(["good", "bad"], n),
        "opened": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, n), unit="D"),
        "score": rng.random(n),
    })
"""
WRITE = f"{TABLE}\ndraw(1, {ROWS}).to_csv(sys.argv[1])\n"
SERVE = f"""{TABLE}
import calidris
rows = draw(1, {ROWS})
scores = rows.pop("score").to_numpy(copy=True)
scores[0], scores[1] = 1.0000001, -0.00005
rows["price"] = rows["price"].astype("float32")
model = calidris.Model("shop", version="1", task="binary", allow=["country", "zip"])
model.record_batch(X=rows, scores=scores)
sys.exit(not calidris.flush(20))
"""


def run(script: str, *arguments: object, **env: str) -> None:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | env, check=False)
    assert done.returncode == 0, done.stderr


def faults(readings: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Share of each fault of the data that there is, by feature and kind."""
    found = {}
    for reading in readings:
        carried = reading["attributes"]
        if reading["metric"] == "ml.data_quality.ratio" and reading["window"] == "5m" and reading["value"]:
            found[carried["ml.feature.name"], carried["ml.data_quality.kind"]] = reading["value"]
    return found


def test_a_file_and_live_rows_are_one_table(tmp_path: Path) -> None:
    data, made = tmp_path / "rows.csv", tmp_path / "shop-1.calidris"
    run(WRITE, data)
    config = f"{CONFIG}models: [{{name: shop, baseline: {json.dumps(str(tmp_path / 'shop-{version}.calidris'))}}}]\n"
    receiver = Running(tmp_path, config)
    build = ["baseline", "build", "-c", str(receiver.config), "--model", "shop", "--data", str(data), "-o", str(made)]
    command = [sys.executable, "-m", "calidris.cli", *build]
    built = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert built.returncode == 0, built.stderr
    assert "left out: column 'opened'" in built.stdout and "left out: column ''" in built.stdout
    receiver.start()
    try:
        run(SERVE, OTEL_EXPORTER_CALIDRIS_ENDPOINT=f"http://{receiver.grpc}")
        until(lambda: receiver.model("shop")["rows"] == ROWS)
        until(lambda: faults(receiver.get("/v1/models/shop/1/readings")))
        found = faults(receiver.get("/v1/models/shop/1/readings"))
        assert receiver.total("calidris_receiver_scores_clipped_total") == 0, "the SDK has cut them off"
    finally:
        receiver.kill()
    missing = found.pop(("country", "missing"))
    assert missing == pytest.approx(1 / 3, abs=0.05)
    assert found == {("remark", "absent"): 1.0, ("remark", "missing"): 1.0}


GAPS = """
import sys
import numpy as np
import pandas as pd

LARGEST = sys.float_info.max

def draw(seed, n, broken):
    rng = np.random.default_rng(seed)
    tenth = lambda: rng.random(n) < 0.1
    return pd.DataFrame({
        "age": np.where(tenth(), -999.0, rng.integers(18, 91, n)),
        "income": np.where(tenth(), LARGEST, np.clip(rng.normal(30_000, 5_000, n), 20_000, 40_000).round()),
        "height": np.where(tenth() & broken, -LARGEST, np.clip(rng.normal(170, 10, n), 150, 190).round()),
        "job": np.where(tenth(), "unknown", rng.choice(["baker", "smith"], n)),
        "score": rng.random(n),
    })
"""
WRITE_GAPS = f"{GAPS}\ndraw(1, {ROWS}, False).to_csv(sys.argv[1], index=False)\n"
SERVE_GAPS = f"""{GAPS}
import calidris
rows = draw(2, {ROWS}, True)
scores = rows.pop("score").to_numpy(copy=True)
model = calidris.Model("shop", version="1", task="binary", allow=["job"])
model.record_batch(X=rows, scores=scores)
sys.exit(not calidris.flush(20))
"""


def drifts(readings: list[dict[str, Any]]) -> dict[str, float]:
    return {
        r["attributes"]["ml.feature.name"]: r["value"]
        for r in readings
        if r["metric"] == "ml.drift.score"
        and r["attributes"]["ml.drift.measure"] == "psi_debiased"
        and r["window"] == "5m"
        and r["value"] is not None
    }


def test_values_that_stand_for_a_gap(tmp_path: Path) -> None:
    """A tenth of the ages is -999, of the incomes the largest double; heights are so in live rows only."""
    data, made = tmp_path / "rows.csv", tmp_path / "shop-1.calidris"
    run(WRITE_GAPS, data)
    missing = "missing: {age: [-999], job: [unknown]}"
    config = f"{CONFIG}models: [{{name: shop, {missing}, baseline: {json.dumps(str(tmp_path / 'shop-{version}.calidris'))}}}]\n"
    receiver = Running(tmp_path, config)
    build = ["baseline", "build", "-c", str(receiver.config), "--model", "shop", "--data", str(data), "-o", str(made)]
    command = [sys.executable, "-m", "calidris.cli", *build]
    built = subprocess.run(command, capture_output=True, text=True, env=environment() | {"COLUMNS": "400"}, check=False)
    assert built.returncode == 0, built.stderr
    assert "`missing: {income: [1.7976931348623157e+308]}`" in built.stdout and "-999" not in built.stdout
    receiver.start()
    try:
        run(SERVE_GAPS, OTEL_EXPORTER_CALIDRIS_ENDPOINT=f"http://{receiver.grpc}")
        until(lambda: receiver.model("shop")["rows"] == ROWS)
        until(lambda: drifts(receiver.get("/v1/models/shop/1/readings")))
        readings = receiver.get("/v1/models/shop/1/readings")
        found, drift = faults(readings), drifts(readings)
        beyond = receiver.total("calidris_receiver_values_non_finite_total")
    finally:
        receiver.kill()
    assert found["age", "missing"] == pytest.approx(0.1, abs=0.025)
    assert found["job", "missing"] == pytest.approx(0.1, abs=0.025)
    assert found["income", "out_of_range"] == pytest.approx(0.1, abs=0.025)
    assert found["height", "out_of_range"] == pytest.approx(0.1, abs=0.025)
    assert ("income", "missing") not in found
    assert beyond == round((found["income", "out_of_range"] + found["height", "out_of_range"]) * ROWS)
    assert drift["height"] > 0.1 > max(drift["age"], drift["income"], drift["job"])
