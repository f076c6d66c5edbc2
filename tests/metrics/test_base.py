from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calidris import semconv
from calidris.metrics import Reading, Status, reading

METRIC = semconv.METRIC_ML_ERROR_RATIO
VALUELESS = {Status.TOO_FEW, Status.UNDEFINED, Status.NO_BASELINE, Status.LEARNING, Status.SUPPRESSED}
anything = st.floats(allow_nan=True, allow_infinity=True)


def raw(**changes: object) -> Reading:
    parts = {"metric": METRIC, "attributes": (), "value": 0.5, "n": 10, "lower": 0.4, "upper": 0.6, "window": "1h"}
    return Reading(**{**parts, "baseline": None, "status": Status.OK, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("status", Status)
def test_a_value_is_there_exactly_where_the_status_says_so(status: Status) -> None:
    assert status.has_value == (status not in VALUELESS)
    with_value, without = {"status": status}, {"status": status, "value": None, "lower": None, "upper": None}
    good, bad = (with_value, without) if status.has_value else (without, with_value)
    assert raw(**good).status is status
    with pytest.raises(ValueError, match="status"):
        raw(**bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"value": math.nan},
        {"value": math.inf, "upper": None},
        {"value": -math.inf, "lower": None},
        {"lower": math.nan},
        {"upper": math.inf},
        {"lower": 0.51},
        {"upper": 0.49},
        {"n": -1},
        {"attributes": (("b", "1"), ("a", "1"))},
        {"value": None, "status": Status.TOO_FEW},
    ],
)
def test_contradictions_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=METRIC.name):
        raw(**changes)


@given(value=anything, lower=anything, upper=anything)
def test_no_raw_float_becomes_a_nan_or_an_infinity(value: float, lower: float, upper: float) -> None:
    try:
        r = reading(METRIC, value, 5, window="1h", lower=lower, upper=upper)
    except ValueError:
        assert math.isfinite(value)  # bounds on the wrong side are an error, not a reading
        return
    assert (r.value is None) == (r.status is Status.UNDEFINED) == (not math.isfinite(value))
    assert all(x is None or math.isfinite(x) for x in (r.value, r.lower, r.upper))


def test_rounding_on_a_bound_is_moved_onto_the_value() -> None:
    r = reading(METRIC, 1.0, 5, window="1h", lower=0.5, upper=1 - 1e-12)
    assert r.upper == r.value == 1.0


def test_attributes_are_sorted() -> None:
    assert reading(METRIC, 1.0, 5, window="1h", attributes={"b": "2", "a": "1"}).attributes == (("a", "1"), ("b", "2"))


def test_marked_keeps_drops_and_leaves() -> None:
    r = raw()
    assert r.marked(Status.PROVISIONAL).value == 0.5
    dropped = r.marked(Status.SUPPRESSED)
    assert (dropped.value, dropped.lower, dropped.upper, dropped.status) == (None, None, None, Status.SUPPRESSED)
    few = raw(value=None, lower=None, upper=None, status=Status.TOO_FEW)
    assert few.marked(Status.PARTIAL) is few
