"""Classes whose names look alike, from a service to the read API, beside scikit-learn on the raw rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sklearn.metrics as sk
from running import CONFIG, Running, environment, until

pytestmark = pytest.mark.e2e

SERVICE = """
import json, sys
import numpy as np
import pandas as pd
import calidris

rng = np.random.default_rng(5)
n = 600
given = json.loads(sys.argv[1])
classes = given["classes"]
share = rng.dirichlet(np.ones(len(classes)), n)
drawn = [rng.choice(len(classes), p=row) for row in share]
truth = [classes[at] for at in drawn]
said = [classes[at] for at in share.argmax(axis=1)]
ids = [f"r{at}" for at in range(n)]
sent = {}
if given["columns"]:
    order = rng.permutation(len(classes))
    table = pd.DataFrame(share, columns=given["columns"]).iloc[:, order]
    sent["scores"] = dict(table.items()) if given["mapping"] else table
else:
    sent["classes"] = said
model = calidris.Model("m", version="1", task="multiclass", classes=classes if given["columns"] else None)
model.record_batch(None, ids=ids, **sent)
model.record_labels(ids, truth)
print(json.dumps({"flushed": calidris.flush(20), "truth": truth, "said": said}))
"""


def accuracy(folder: Path, **given: Any) -> tuple[float, float]:
    """As the read API has it, and as scikit-learn has it."""
    receiver = Running(folder, f"{CONFIG}models: [{{name: m, task: multiclass}}]\n").start()
    command = [sys.executable, "-c", SERVICE, json.dumps({"columns": None, "mapping": False} | given)]
    env = environment() | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        raw = json.loads(done.stdout)
        until(lambda: receiver.model("m")["labels"] == len(raw["truth"]))
        readings = receiver.get("/v1/models/m/1/readings")
    finally:
        receiver.kill()
    (found,) = [
        r["value"]
        for r in readings
        if r["attributes"].get("ml.performance.measure") == "accuracy" and r["window"] == "5m"
        and r["attributes"]["ml.label.maturity"] == "complete"
    ]  # fmt: skip
    return found, float(sk.accuracy_score(raw["truth"], raw["said"]))


@pytest.mark.parametrize("classes", [["01", "1", "001"], ["9007199254740993", "9007199254740992"], ["1e3", "1000"]])
def test_codes_that_a_number_would_make_one_are_several_classes(tmp_path: Path, classes: list[str]) -> None:
    found, expected = accuracy(tmp_path, classes=classes)
    assert found == pytest.approx(expected)
