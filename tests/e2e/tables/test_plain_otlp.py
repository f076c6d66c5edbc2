"""Columns as plain OTLP/JSON can say them, where an array holds no null and a number may be too long for a double."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sklearn.metrics as sk
from running import CONFIG, Running, until

pytestmark = pytest.mark.e2e

N = 100
MODELS = "models: [{name: gaps}, {name: codes, task: multiclass}, {name: price, task: regression}]\n"
IDS = [f"r{at}" for at in range(N)]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Any:
    running = Running(Path(tmp_path_factory.mktemp("plain")), CONFIG + MODELS).start()
    yield running
    running.kill()


def value(given: Any) -> dict[str, Any]:
    match given:
        case bool():
            return {"boolValue": given}
        case int():
            return {"intValue": str(given)}
        case float():
            return {"doubleValue": given}
        case str():
            return {"stringValue": given}
        case list():
            return {"arrayValue": {"values": list(map(value, given))}}
        case _:
            return {"kvlistValue": {"values": pairs(given)}}


def pairs(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(one)} for key, one in given.items()]


def send(receiver: Running, name: str, **columns: Any) -> None:
    named = {f"ml.{key.replace('__', '.')}": column for key, column in columns.items()}
    about = {"ml.model.name": name, "ml.model.version": "1", "ml.prediction.count": N, "ml.prediction.id": IDS}
    now = str(time.time_ns())
    span = {
        "traceId": os.urandom(16).hex(), "spanId": os.urandom(8).hex(), "name": "p", "startTimeUnixNano": now, "endTimeUnixNano": now,
        "attributes": pairs(about | named),
    }  # fmt: skip
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    url = receiver.http if receiver.http.startswith("http") else f"http://{receiver.http}"
    said = httpx.post(f"{url}/v1/traces", json=request, trust_env=False).raise_for_status().json()
    assert said == {}


def readings(receiver: Running, name: str, metric: str) -> list[dict[str, Any]]:
    every = receiver.get(f"/v1/models/{name}/1/readings")
    return [one for one in every if one["metric"] == metric and one["window"] == "5m"]


def test_an_empty_text_between_numbers_is_a_gap_and_costs_no_other_row(receiver: Running) -> None:
    ages = [25.0 if at % 4 else "" for at in range(N)]
    scores = [at / N if at % 5 else "" for at in range(N)]
    send(receiver, "gaps", features={"age": ages}, prediction__score=scores)
    until(lambda: receiver.model("gaps")["rows"] == N)
    missing = {
        one["attributes"]["ml.feature.name"]: one["value"]
        for one in until(lambda: readings(receiver, "gaps", "ml.data_quality.ratio"))
        if one["attributes"]["ml.data_quality.kind"] == "missing"
    }
    assert missing["age"] == 0.25


def test_long_whole_numbers_are_different_classes(receiver: Running) -> None:
    rng = np.random.default_rng(8)
    said, truth = (rng.integers(2**53, 2**53 + 3, N).tolist() for _ in range(2))
    send(receiver, "codes", prediction__class=said)
    send(receiver, "codes", label=truth)
    until(lambda: receiver.model("codes")["labels"] == N)
    (found,) = [
        one["value"]
        for one in readings(receiver, "codes", "ml.performance.score")
        if one["attributes"]["ml.performance.measure"] == "accuracy" and one["attributes"]["ml.label.maturity"] == "arrived"
    ]  # fmt: skip
    assert found == pytest.approx(sk.accuracy_score(truth, said))


def test_outcomes_of_a_regression_may_be_texts(receiver: Running) -> None:
    """As a client sends them that has a gap among them: all of the column is text then."""
    send(receiver, "price", prediction__value=[float(at) for at in range(N)])
    send(receiver, "price", label=[str(at + 0.5) if at % 4 else "" for at in range(N)])
    until(lambda: receiver.model("price")["labels"] == N * 3 // 4)
