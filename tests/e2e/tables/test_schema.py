"""A stated schema through the doors of users: settings and an MLflow signature, rows of the SDK, status, scrape and alarms."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import CALIDRIS, CONFIG, Running, environment, until

pytestmark = pytest.mark.e2e

SIGNATURE = Path(__file__).parents[2] / "config" / "testdata" / "credit"
MODEL = f"""
models:
  - name: credit
    schema:
      mlflow: {SIGNATURE}
      features: {{age: {{min: 18, max: 120}}, country: {{levels: [nl, de]}}, limit: {{nulls: true}}, small: {{nulls: true}}}}
"""
SEND = """
import sys
import calidris

model = calidris.Model("credit", version="7", task="binary", allow=["country"])
right = {"age": 40, "income": 3e4, "employed": True, "country": "nl"}
for row in [right] * 50 + eval(sys.argv[1]):
    with model.predict(features=right | row) as p:
        p.score = 0.5
sys.exit(not calidris.flush(20))
"""
WRITE = """
import sys
import pandas as pd

rows = {"age": [40] * 98 + [130, 12], "employed": [True] * 100, "country": ["nl"] * 99 + ["xx"], "score": [0.5] * 100}
pd.DataFrame(rows).assign(income=3e4).to_parquet(sys.argv[1])
"""


def run(*command: object, code: int = 0, **env: str) -> str:
    texts = [*map(str, command)]
    done = subprocess.run(texts, capture_output=True, text=True, env=environment() | env, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def alarms(receiver: Running) -> list[dict[str, Any]]:
    return receiver.get("/v1/alarms")


def named(alarm: dict[str, Any]) -> dict[str, str]:
    return {feature["name"]: feature["direction"] for feature in alarm["features"]}


def test_a_row_against_the_schema_raises_an_alarm_at_once(tmp_path: Path) -> None:
    receiver = Running(tmp_path, CONFIG + MODEL).start()

    def send(*rows: dict[str, Any]) -> None:
        run(
            sys.executable,
            "-c",
            SEND,
            json.dumps(rows).replace("null", "None"),
            OTEL_EXPORTER_CALIDRIS_ENDPOINT=f"http://{receiver.grpc}",
        )

    try:
        send()
        until(lambda: receiver.model()["rows"] == 50)
        assert not alarms(receiver)
        assert receiver.model()["baseline"] is None, "nothing was learned yet: a row is enough"
        beyond = {"ml_feature_name": "age", "ml_data_quality_kind": "out_of_range"}
        told = [
            rows
            for (name, labels), rows in receiver.metrics().items()
            if name == "ml_data_quality_violations_total" and beyond.items() <= set(labels)
        ]
        assert told == [0.0], "the first one is an increase"
        send({"age": 130}, {"age": 40.5}, {"country": "xx"}, {"employed": 3}, {"income": "much"})
        until(lambda: receiver.model()["rows"] == 105)
        until(lambda: alarms(receiver))
        found = {name: said for alarm in alarms(receiver) for name, said in named(alarm).items()}
        assert found["country"] == "unseen: 'xx' is none of the 2 levels"
        assert found["employed"] == "type_violation: 3 is neither true nor false"
        assert found["age"] in ("out_of_range: 130, above 120", "type_violation: 40.5 is no whole number")
        alarm = alarms(receiver)[0]
        assert (alarm["kind"], alarm["window"], alarm["latched"], alarm["budgeted"]) == ("schema", "row", True, False)
        kind = {"ml_detection_kind": "schema"}
        until(lambda: receiver.total("ml_detection_alarm", **kind) == 1.0)
        faults = {(f["feature"], f["kind"]): f["rows"] for f in receiver.model()["faults"]}
        assert faults["age", "out_of_range"] == 1
        assert faults["age", "type_violation"] == 1
        assert receiver.total("ml_data_quality_violations_total", **beyond) == 1.0
        shown = run(*CALIDRIS, "status", "--endpoint", receiver.api)
        assert "against its `schema`" in shown
        assert "out_of_range in 1 (130, above 120)" in shown
        receiver.kill()
        receiver.start()
        assert alarms(receiver)[0]["latched"], "it stands after a crash"
        assert receiver.total("ml_detection_alarm", **kind) == 1.0
        run(*CALIDRIS, "alarms", "clear", alarm["id"], "--reason", "mended", "--endpoint", receiver.api)
        until(lambda: not alarms(receiver)[0]["latched"])
    finally:
        receiver.kill()


def test_check_and_build_say_what_it_means(tmp_path: Path) -> None:
    config, data = tmp_path / "calidris.yaml", tmp_path / "rows.parquet"
    config.write_text(MODEL, encoding="utf-8")
    shown = run(*CALIDRIS, "check", "-c", config)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "age integer from 18 to 120 yes" in lines
    assert "country text nl, de yes" in lines
    assert "income number no" in lines
    assert any("never arrives: opened (datetime)" in line for line in lines)
    run(sys.executable, "-c", WRITE, data)
    command = ["baseline", "build", "-c", config, "--model", "credit", "--data", data, "-o", tmp_path / "made.calidris"]
    told = " ".join(run(*CALIDRIS, *command).split())
    assert "feature 'age': out_of_range in 2 rows, against the model's `schema`: the first: 130, above 120" in told
    assert "feature 'country': unseen in 1 row," in told
