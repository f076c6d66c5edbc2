"""What a version does beside others: decoded from span or resource, refused where it is no role, and never at a neighbour's cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from calidris import semconv
from calidris.batch import LabelBatch, PredictionBatch
from calidris.wire.encoder import FORMS, encode_predictions

SCORE = {"ml.prediction.score": 0.5}
LABEL = {"ml.label": 1, "ml.prediction.id": "a"}
ROLES = (semconv.ML_MODEL_ROLE_CHAMPION, semconv.ML_MODEL_ROLE_CANARY, semconv.ML_MODEL_ROLE_SHADOW)
NO_ROLES: Sequence[Any] = (
    "challenger",
    "Shadow",
    "shadow ",
    7,
    True,
    ["canary", "shadow"],
    {"role": "shadow"},
    b"shadow",
)


def roles(decoded: Any) -> list[tuple[str | None, int]]:
    """Role and rows of each batch of predictions."""
    return [(item.role, len(item)) for item in decoded.items if isinstance(item, PredictionBatch)]


@pytest.mark.parametrize("role", ROLES)
def test_rows_of_every_role_are_taken(wire: Any, role: str) -> None:
    said = {semconv.ML_MODEL_ROLE: role}
    on_spans = wire.decode(*[wire.span(SCORE | said) for _ in range(3)])
    on_resource = wire.decode(*[wire.span(SCORE) for _ in range(3)], resource=said)
    for decoded in (on_spans, on_resource):
        assert (decoded.rows, decoded.rejected) == (3, {})
        assert roles(decoded) == [(role, 3)]
        assert [list(batch.features) for batch in decoded.items] == [[]]


@pytest.mark.parametrize("nothing", [{}, {semconv.ML_MODEL_ROLE: ""}, {semconv.ML_MODEL_ROLE: None}])
def test_who_says_nothing_has_none(wire: Any, nothing: dict[str, Any]) -> None:
    assert roles(wire.decode(wire.span(SCORE | nothing), wire.span(SCORE | nothing))) == [(None, 2)]


def test_a_span_overrules_its_resource(wire: Any) -> None:
    spans = [wire.span(SCORE), wire.span(SCORE | {semconv.ML_MODEL_ROLE: "shadow"})]
    decoded = wire.decode(*spans, resource={semconv.ML_MODEL_ROLE: "canary"})
    assert sorted(map(str, roles(decoded))) == ["('canary', 1)", "('shadow', 1)"]


@pytest.mark.parametrize("role", NO_ROLES, ids=repr)
@pytest.mark.parametrize("rows", [1, 3])
def test_what_is_no_role_costs_its_own_span_alone(wire: Any, role: Any, rows: int) -> None:
    """Were it taken for the champion, a shadow's rows would be scored among those that people live by."""
    many = {"ml.prediction.count": rows, "ml.prediction.score": [0.5] * rows} if rows > 1 else SCORE
    bad = wire.span(many | {semconv.ML_MODEL_ROLE: role})
    decoded = wire.decode(wire.span(SCORE), bad, wire.span(SCORE | {semconv.ML_MODEL_ROLE: "canary"}))
    assert sum(decoded.rejected.values()) == 1 and set(decoded.rejected) <= {"bad_role", "wrong_type"}
    assert "ml.model.role" in decoded.message
    assert sorted(map(str, roles(decoded))) == ["('canary', 1)", "(None, 1)"]


def test_a_bad_role_of_a_resource_costs_no_label(wire: Any) -> None:
    """Labels have no role: they are their prediction's, whoever sends them."""
    spans = [wire.span(SCORE), wire.span(LABEL, name="feedback credit")]
    decoded = wire.decode(*spans, resource={semconv.ML_MODEL_ROLE: "challenger"})
    assert decoded.rejected == {"bad_role": 1}
    assert [type(item) for item in decoded.items] == [LabelBatch]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("alone", [True, False])
def test_every_form_brings_it_back(wire: Any, form: Any, alone: bool) -> None:
    said = {semconv.ML_MODEL_ROLE: "canary"}
    batch = wire.one(*[wire.span({"ml.prediction.score": score} | said) for score in (0.25, 0.75)])
    again = wire.decode_bytes(encode_predictions(batch, form=form, one_span_per_row=alone))
    assert roles(again) == [("canary", 2)]
