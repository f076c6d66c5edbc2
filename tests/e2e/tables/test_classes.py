"""Which class is which, from a service without instrumentation to the read API: whatever order classes have, and whatever their names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sklearn.metrics as sk
from running import CONFIG, Running, environment, until

pytestmark = pytest.mark.e2e

SERVICE = """
import json, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
import calidris

names = json.loads(sys.argv[1])
rng = np.random.default_rng(3)
x = rng.normal(size=(1600, 3))
is_positive = rng.random(1600) < 1 / (1 + np.exp(-2 * x[:, 0]))
y = np.where(is_positive, *np.array(names))
model = LogisticRegression().fit(x[:800], y[:800])
probability = model.predict_proba(x[800:])
said = model.predict(x[800:])
ids = calidris.last_prediction_ids()
calidris.record_labels(ids, y[800:])
print(json.dumps({
    "flushed": calidris.flush(20),
    "truth": is_positive[800:].tolist(),
    "said": (said == np.array(names)[0]).tolist(),
    "score": probability[:, list(model.classes_).index(names[0])].tolist(),
}))
"""


@pytest.mark.parametrize("names", [["approved", "denied"], [1, 0], [0, 1], [True, False]], ids=str)
def test_zero_code_finds_the_positive_class_by_its_name(tmp_path: Path, names: list[object]) -> None:
    config = f"{CONFIG}models: [{{name: risk, positive: {json.dumps(names[0])}}}]\n"
    receiver = Running(tmp_path, config).start()
    env = environment() | {
        "OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}",
        "OTEL_CALIDRIS_MODEL_NAME": "risk",
        "OTEL_CALIDRIS_MODEL_VERSION": "1",
    }
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    instrumented = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    command = [instrumented, sys.executable, "-c", SERVICE, json.dumps(names)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env | exporters, check=False)
        assert done.returncode == 0, done.stderr
        raw = json.loads(done.stdout)
        assert raw["flushed"]
        until(lambda: receiver.model("risk")["labels"] == 800)
        assert receiver.model("risk")["status"] != "undefined"
        readings = receiver.get("/v1/models/risk/1/readings")
    finally:
        receiver.kill()
    found = {
        r["attributes"]["ml.performance.measure"]: r["value"]
        for r in readings
        if r["metric"] == "ml.performance.score" and r["attributes"].get("ml.label.maturity") == "arrived"
    }
    truth, said, score = raw["truth"], raw["said"], raw["score"]
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, said))
    assert found["recall"] == pytest.approx(sk.recall_score(truth, said))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, said))
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, score), abs=0.01)
    (brier,) = {
        r["value"]
        for r in readings
        if r["attributes"].get("ml.calibration.measure") == "brier" and r["attributes"]["ml.label.maturity"] == "arrived"
        and r["window"] == "5m"
    }  # fmt: skip
    assert brier == pytest.approx(sk.brier_score_loss(truth, score), abs=1e-6)
