"""What a version does beside others has its name on the wire, and a sender that says it already loses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from calidris import semconv

SCORE = {"ml.prediction.score": 0.5}


@pytest.mark.parametrize(
    "role", [semconv.ML_MODEL_ROLE_CHAMPION, semconv.ML_MODEL_ROLE_CANARY, semconv.ML_MODEL_ROLE_SHADOW, 7]
)
def test_rows_of_every_role_are_taken(wire: Any, role: object) -> None:
    said = {semconv.ML_MODEL_ROLE: role}
    on_spans = wire.decode(*[wire.span(SCORE | said) for _ in range(3)])
    on_resource = wire.decode(*[wire.span(SCORE) for _ in range(3)], resource=said)
    for decoded in (on_spans, on_resource):
        assert (decoded.rows, decoded.rejected) == (3, {})
        assert [list(batch.features) for batch in decoded.items] == [[]]
