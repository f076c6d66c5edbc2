"""Raw personal data never leaves: asserted on the bytes that the receiver got."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import calidris
from calidris import Model, semconv
from calidris.instrument.privacy import Action, Policy
from calidris.instrument.runtime import runtime

ROW = {"age": 41, "job": "embalmer", "member": True, "email": "ada@example.org"}


def sent(receiver: Any, *rows: dict[str, Any], **model: Any) -> dict[str, Any]:
    one = Model("m", **model)
    for row in rows:
        with one.predict(features=row):
            pass
    assert calidris.flush()
    found: dict[str, Any] = receiver.only("predict m")
    return found


def test_by_default_numbers_and_booleans_leave_and_strings_do_not(receiver: Any, caplog: Any) -> None:
    span = sent(receiver, ROW, ROW)
    assert span[semconv.ML_FEATURES] == {"age": [41.0, 41.0], "member": [1.0, 1.0]}
    assert b"embalmer" not in receiver.requests[0]
    assert b"ada@" not in receiver.requests[0]
    assert runtime.notes()["string_feature", "job"] == 2
    assert caplog.text.count("job: string feature") == 1
    assert "OTEL_CALIDRIS_ALLOW" in caplog.text


def test_listed_strings_leave(receiver: Any) -> None:
    span = sent(receiver, ROW, ROW | {"job": None}, ROW | {"job": 7}, allow=["job"])
    assert span[semconv.ML_FEATURES]["job"] == ["embalmer", None, "7"]
    assert b"ada@" not in receiver.requests[0]


def test_the_environment_lists_them_too(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_CALIDRIS_ALLOW", "job")
    monkeypatch.setenv("OTEL_CALIDRIS_DROP", "member")
    monkeypatch.setenv("OTEL_CALIDRIS_BUCKET", "age:18,30,50;tall:oops")
    monkeypatch.setenv("OTEL_CALIDRIS_HASH", "email")
    monkeypatch.setenv("OTEL_CALIDRIS_HASH_KEY", "k" * 100)
    calidris.configure(endpoint=receiver.endpoint)
    features = sent(receiver, ROW | {"tall": 1.9}, ROW | {"age": None, "email": None, "tall": 2})[semconv.ML_FEATURES]
    assert sorted(features) == ["age", "email", "job"]
    assert features["age"] == ["[30,50)", None]
    assert features["email"][0] == Policy.of(hash_key="k" * 100).hashed("email", "ada@example.org")
    assert features["email"][1] is None
    assert b"ada@" not in receiver.requests[0]


def test_a_hash_without_a_key_withholds_the_feature(receiver: Any, caplog: Any) -> None:
    span = sent(receiver, ROW, hash=["email", "age"])
    assert span[semconv.ML_FEATURES] == {"member": [1.0]}
    assert "OTEL_CALIDRIS_HASH_KEY" in caplog.text


def test_a_few_stray_strings_do_not_take_a_numeric_feature_along(receiver: Any) -> None:
    span = sent(receiver, {"age": 1}, {"age": "a secret"}, {"age": np.float32(3)})
    assert span[semconv.ML_FEATURES] == {"age": [1.0, None, 3.0]}


def test_values_of_no_known_kind_stay(receiver: Any) -> None:
    span = sent(receiver, {"a": 1, "b": pd.Timestamp("2026-01-01"), "c": [1, 2], "d": pd.NA}, {"a": object()})
    assert span[semconv.ML_FEATURES] == {"a": [1.0, None], "d": [None, None]}


def test_slices_leave_because_they_were_listed_unless_a_rule_names_them(receiver: Any) -> None:
    rules: dict[str, Any] = {"bucket": {"age": [18, 50]}, "drop": ["job"], "features": ["member"]}
    span = sent(receiver, ROW | {"country": "NL"}, slices=["country", "age", "job"], **rules)
    assert span[semconv.ML_SLICES] == {"country": ["NL"], "age": ["[18,50)"]}
    assert span[semconv.ML_FEATURES] == {"member": [1.0]}


def test_errors_leave_as_a_type_and_never_as_a_message(receiver: Any) -> None:
    with pytest.raises(ValueError), Model("m").predict():
        raise ValueError("bad customer ada@example.org")
    calidris.flush()
    assert b"ada@" not in receiver.requests[0]


def test_dataframes_obey_the_same_rules(receiver: Any) -> None:
    frame = pd.DataFrame([ROW, ROW]).astype({"job": "category", "email": "string"})
    Model("m", hash=["email"]).record_batch(frame)
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == {"age": [41.0, 41.0], "member": [1.0, 1.0]}
    assert b"embalmer" not in receiver.requests[0]


def test_the_strictest_rule_wins_and_a_name_wins_over_all() -> None:
    policy = Policy.of(allow=["a", "b", "*"], drop=["b"], hash=["c"], bucket={"c": [1]})
    assert [policy.action(name) for name in "abcd"] == [Action.ALLOW, Action.DROP, Action.HASH, Action.ALLOW]
    closed = Policy.of(drop=["*"], allow="age")
    assert (closed.action("age"), closed.action("job")) == (Action.ALLOW, Action.DROP)
    assert Policy.of(bucket={"age": ["x"]}).action("age") is Action.DROP  # type: ignore[list-item]


def test_equal_values_hash_alike_within_a_feature_and_unlike_across() -> None:
    policy = Policy.of(hash_key="secret")
    assert policy.hashed("a", 1) == policy.hashed("a", 1.0) == policy.hashed("a", np.int64(1))
    assert policy.hashed("a", 1) != policy.hashed("b", 1)
    assert policy.hashed("a", 1) != Policy.of(hash_key="other").hashed("a", 1)
    with pytest.raises(ValueError, match="key"):
        Policy().hashed("a", 1)


def test_long_strings_are_cut(receiver: Any) -> None:
    span = sent(receiver, {"a": "x" * 10_000}, {"a": "y"}, allow=["a"])
    assert span[semconv.ML_FEATURES] == {"a": ["x" * 256, "y"]}
