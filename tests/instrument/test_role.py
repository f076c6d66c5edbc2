"""What a version does beside others: said by `Model`, by `configure` or by the environment, and never a reason to lose a row."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

import calidris
from calidris import Model, semconv
from calidris.batch import PredictionBatch
from calidris.instrument.runtime import runtime
from calidris.instrument.settings import SdkSettings
from calidris.wire import decode


def roles(receiver: Any) -> Counter[Any]:
    """Rows of each model and role, as the receiver's own decoder reads them."""
    rows: Counter[Any] = Counter()
    for request in receiver.requests:
        found = decode(request, tenant="default", arrival_ns=time.time_ns())
        assert not found.rejected
        for batch in found.items:
            assert isinstance(batch, PredictionBatch)
            rows[batch.model.name, batch.role] += len(batch)
    return rows


def predict(model: Model) -> None:
    """One row by itself and three together."""
    with model.predict(features={"x": 1.0}) as p:
        p.score = 0.5
    model.record_batch([[1.0], [2.0], [3.0]], [0.5, 0.5, 0.5])


def test_a_model_says_it_of_all_its_rows(receiver: Any) -> None:
    for role in ("champion", "canary", "shadow"):
        predict(Model(role, features=["x"], role=role))
    predict(Model("silent", features=["x"]))
    receiver.settle()
    said = {("champion", "champion"): 4, ("canary", "canary"): 4, ("shadow", "shadow"): 4}
    assert roles(receiver) == said | {("silent", None): 4}


def test_the_process_says_it_for_models_that_do_not(receiver: Any) -> None:
    calidris.configure(endpoint=receiver.endpoint, model_role="shadow")
    predict(Model("a", features=["x"]))
    predict(Model("b", features=["x"], role="canary"))
    receiver.settle()
    assert roles(receiver) == {("a", "shadow"): 4, ("b", "canary"): 4}


def test_the_environment_says_it() -> None:
    assert SdkSettings.from_env({"OTEL_CALIDRIS_MODEL_ROLE": " shadow "}).model_role == "shadow"
    assert SdkSettings.from_env({}).model_role == ""


@pytest.mark.parametrize("role", ["challenger", "Shadow", 7, ["canary"], object()])
def test_what_is_no_role_is_told_and_costs_no_row(receiver: Any, caplog: pytest.LogCaptureFixture, role: Any) -> None:
    predict(Model("m", features=["x"], role=role))
    receiver.settle()
    assert roles(receiver) == {("m", None): 4}
    assert ("argument_unusable", "m: role") in runtime.notes()


def test_what_is_no_role_in_the_environment_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert SdkSettings.from_env({"OTEL_CALIDRIS_MODEL_ROLE": "challenger"}).model_role == ""
    assert "OTEL_CALIDRIS_MODEL_ROLE must be one of champion, canary, shadow" in caplog.text


def test_configure_refuses_another_word_and_changes_nothing(receiver: Any, caplog: pytest.LogCaptureFixture) -> None:
    calidris.configure(endpoint=receiver.endpoint, model_role="challenger")
    assert "model_role must be one of" in caplog.text
    predict(Model("m", features=["x"]))
    receiver.settle()
    assert roles(receiver) == {("m", None): 4}


def test_the_names_are_those_of_the_convention() -> None:
    assert semconv.ML_MODEL_ROLE == "ml.model.role"
