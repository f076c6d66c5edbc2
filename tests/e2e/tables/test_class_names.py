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
    model, raw = told(folder, SERVICE, {"columns": None, "mapping": False} | given, task="multiclass")
    return model["accuracy"], float(sk.accuracy_score(raw["truth"], raw["said"]))


def told(folder: Path, service: str, given: Any, **settings: str) -> tuple[dict[str, Any], Any]:
    """The model as status tells it, with its accuracy and the rows of that, and what the service says of itself."""
    models = json.dumps([{"name": "m", **settings}])
    receiver = Running(folder, f"{CONFIG}models: {models}\n").start()
    env = environment() | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}"}
    command = [sys.executable, "-c", service, json.dumps(given)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
        raw = json.loads(done.stdout)
        until(lambda: receiver.model("m")["labels"] == raw.get("labels", len(raw["truth"])))
        readings = receiver.get("/v1/models/m/1/readings")
        model = receiver.model("m")
    finally:
        receiver.kill()
    (found,) = [
        r
        for r in readings
        if r["attributes"].get("ml.performance.measure") == "accuracy" and r["window"] == "5m"
        and r["attributes"]["ml.label.maturity"] == "arrived"
    ]  # fmt: skip
    return model | {"accuracy": found["value"], "n": found["n"]}, raw


@pytest.mark.parametrize(
    "classes",
    [["01", "1", "001"], ["9007199254740993", "9007199254740992"], ["1e3", "1000"], [2**53 + 1, 2**53, 2**53 + 2]],
)
def test_codes_that_a_number_would_make_one_are_several_classes(tmp_path: Path, classes: list[Any]) -> None:
    found, expected = accuracy(tmp_path, classes=classes)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("mapping", [False, True], ids=["table", "mapping"])
@pytest.mark.parametrize(
    ("classes", "columns"),
    [
        (["cat", "dog", "eel"], ["p_cat", "p_dog", "p_eel"]),
        (["cat", "dog", "eel"], ["Cat", "DOG", " eel"]),
        (["card_a", "card_b", "card_c"], ["y_pred_card_a", "y_pred_card_b", "y_pred_card_c"]),
        ([0, 1, 2], ["2.0", "1.0", "0.0"][::-1]),
        ([0, 1, 2], ["p(0)", "p(1)", "p(2)"]),
    ],
    ids=str,
)
def test_columns_in_any_order_are_known_by_the_class_in_their_name(
    tmp_path: Path, classes: list[Any], columns: list[str], mapping: bool
) -> None:
    found, expected = accuracy(tmp_path, classes=classes, columns=columns, mapping=mapping)
    assert found == pytest.approx(expected)


BINARY = """
import json, sys
import numpy as np
import calidris

rng = np.random.default_rng(6)
n = 600
score = rng.random(n)
truth = (rng.random(n) < score).astype(int)
said = (score >= 0.5).astype(int)
ids = [f"r{at}" for at in range(n)]
known = np.ones(n, dtype=bool)
given = json.loads(sys.argv[1])
sent = {"scores": np.c_[score, 1 - score]} if given["classes"] else {"classes": said.astype(str).astype(object)}
outcome = truth.astype(str).astype(object)
if given["blank"] == "label":
    known = np.arange(n) % 4 > 0
    outcome[~known] = given["gap"]
if given["blank"] == "decision":
    known = np.arange(n) % 4 > 0
    sent["classes"][~known] = given["gap"]
model = calidris.Model("m", version="1", task="binary", classes=given["classes"])
model.record_batch(None, ids=ids, **sent)
model.record_labels(ids, outcome)
labels = int(known.sum())
print(json.dumps({"flushed": calidris.flush(20), "labels": labels, "truth": truth[known].tolist(), "said": said[known].tolist()}))
"""


@pytest.mark.parametrize("gap", ["", "nan"])
@pytest.mark.parametrize("what", ["label", "decision"])
def test_a_text_that_stands_for_nothing_is_no_class(tmp_path: Path, what: str, gap: str) -> None:
    model, raw = told(tmp_path, BINARY, {"classes": None, "blank": what, "gap": gap})
    assert model["accuracy"] == pytest.approx(sk.accuracy_score(raw["truth"], raw["said"]))
    assert model["n"] == model["labels"] == len(raw["truth"])


def test_two_named_scores_of_which_none_is_the_positive_one_are_no_figure(tmp_path: Path) -> None:
    model, _ = told(tmp_path, BINARY, {"classes": ["approved", "denied"], "blank": None})
    assert (model["accuracy"], model["status"]) == (None, "undefined")
    assert (
        "scores are of the classes 'approved', 'denied', and labels of the positive class '1'" in model["status_detail"]
    )
