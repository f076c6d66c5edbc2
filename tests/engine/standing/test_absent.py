"""Did you mean: which of what came is the configured model that never did."""

from __future__ import annotations

import pytest

from calidris.batch import ModelKey
from calidris.engine.standing import Expected, find_absent, find_unconfigured


def key(name: str, version: str = "1", tenant: str = "default") -> ModelKey:
    return ModelKey(tenant, name, version)


def meant(expected: list[str], came: list[str]) -> dict[str, str | None]:
    keys = [key(name) for name in came]
    found = find_absent([Expected("default", name) for name in expected], keys, keys)
    return {one.name: one.meant and one.meant.name for one in found}


@pytest.mark.parametrize(
    ("name", "came", "found"),
    [
        ("credit", ["Credit", "other"], "Credit"),
        ("credit_risk", ["CREDIT-risk", "other"], "CREDIT-risk"),
        ("credit", ["other", "credit-api-logisticregression"], "credit-api-logisticregression"),
        ("credit-model", ["other", "credit"], "credit"),
        ("tumour", ["other", "tumor"], "tumor"),
        ("credit", ["svc-logisticregression"], "svc-logisticregression"),  # one waits, one came
        ("credit", ["fraud", "churn"], None),
        ("ab", ["fabulous", "other"], None),  # too short to be a part of anything
        ("credit", [], None),
    ],
)
def test_names(name: str, came: list[str], found: str | None) -> None:
    assert meant([name], came) == {name: found}


def test_what_came_is_nothing_to_ask_about() -> None:
    assert meant(["credit"], ["credit", "other"]) == {}
    assert find_unconfigured([Expected("default", "credit")], [key("credit"), key("x")]) == [key("x")]


def test_each_stranger_is_taken_for_one_model() -> None:
    assert meant(["credit", "credits"], ["Credit", "Credits"]) == {"credit": "Credit", "credits": "Credits"}
    assert meant(["credit", "credits"], ["Credit"]) == {"credit": "Credit", "credits": None}


def test_another_tenants_models_are_no_answer() -> None:
    (one,) = find_absent([Expected("acme", "credit")], [key("credit")], [key("credit")])
    assert one.meant is None


def test_what_still_sends_is_the_likelier_answer_but_has_come() -> None:
    asked, old, new = [Expected("default", "credit")], key("Credit"), key("credit-api-svc")
    (one,) = find_absent(asked, [old, new], [new])
    assert one.meant == new
    (one,) = find_absent(asked, [old], [])
    assert one.meant == old
    assert not find_absent(asked, [key("credit")], [])


@pytest.mark.parametrize(
    ("known", "sent", "found"),
    [
        (["6", "7"], "unknown", "7"),
        (["7"], "v7", "7"),
        (["v7"], "7.0", "v7"),
        (["2026-11-20-a"], "2026-11-20-A", "2026-11-20-a"),
        (["6", "7"], "8", None),  # a new deploy, not a misspelt old one
        (["2026-11-20-a"], "2026-11-20-b", None),
        ([], "unknown", None),
    ],
)
def test_versions(known: list[str], sent: str, found: str | None) -> None:
    keys = [key("credit", sent)]
    absent = find_absent([Expected("default", "credit", tuple(known))], keys, keys)
    assert [one.version for one in absent] == ([found] if found else [])
    assert all(f"OTEL_CALIDRIS_MODEL_VERSION={found}" in one.cure and one.meant == keys[0] for one in absent)


def test_a_version_that_came_too_is_not_asked_about() -> None:
    keys = [key("credit", "unknown"), key("credit", "7")]
    assert not find_absent([Expected("default", "credit", ("7",))], keys, keys)


def test_the_cure_names_the_variables() -> None:
    (one,) = find_absent([Expected("default", "credit")], [], [key("svc-logisticregression", "unknown")])
    assert "OTEL_CALIDRIS_MODEL_NAME=credit" in one.cure and "OTEL_CALIDRIS_MODELS" in one.cure
