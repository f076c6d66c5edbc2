"""The status of a window: what it says of late, missing, silent and mixed rows, and which word stays where several hold."""

from __future__ import annotations

import itertools

import pytest

from calidris import semconv
from calidris.metrics.base import Reading, Status, gravest, reading
from calidris.metrics.window_status import WindowContents

ORDER = ["ok", "partial", "stale", "provisional", "mixed_baseline", "approximate"]
VALUELESS = ["too_few", "undefined", "no_baseline", "learning", "suppressed"]


def figure(status: str) -> Reading:
    return reading(semconv.METRIC_ML_ERROR_RATIO, 0.5, 10, window="1h", lower=0.4, upper=0.6, status=Status(status))


@pytest.mark.parametrize(
    ("contents", "right"),
    [
        (WindowContents(1000), "ok"),
        (WindowContents(0), "ok"),
        (WindowContents(1000, late=49), "ok"),
        (WindowContents(1000, late=50), "partial"),
        (WindowContents(1000, late=830), "partial"),
        (WindowContents(1, late=1), "partial"),
        (WindowContents(1000, full=False), "partial"),
        (WindowContents(1000, stale=True), "stale"),
        (WindowContents(1000, late=830, stale=True), "stale"),
        (WindowContents(1000, others=1), "mixed_baseline"),
        (WindowContents(1000, late=830, others=1, full=False, stale=True), "mixed_baseline"),
    ],
)
def test_the_gravest_of_what_holds(contents: WindowContents, right: str) -> None:
    assert contents.status.value == right
    state, late = contents.readings("1h")
    assert dict(state.attributes) == {semconv.ML_MONITORING_STATE: right} and state.value == 1.0
    assert late.n == contents.rows
    assert late.value == (contents.late / contents.rows if contents.rows else None)


def test_every_status_has_its_place() -> None:
    assert sorted(ORDER + VALUELESS) == sorted(status.value for status in Status)
    assert {status for status in Status if not status.has_value} == set(map(Status, VALUELESS))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(ORDER, ORDER)))
def test_of_two_statuses_the_graver_one_stays_in_whatever_order(first: str, second: str) -> None:
    right = max(first, second, key=ORDER.index)
    marked = figure(first).marked(Status(second))
    assert marked.status.value == figure(second).marked(Status(first)).status.value == right
    assert (marked.value, marked.lower, marked.upper) == (0.5, 0.4, 0.6)
    assert gravest([Status(first), Status(second)]).value == right


@pytest.mark.parametrize(("kept", "other"), list(itertools.product(VALUELESS, ORDER)))
def test_what_is_not_known_is_not_known_by_whatever_window(kept: str, other: str) -> None:
    assert figure(kept).marked(Status(other)).status.value == kept
    assert figure(other).marked(Status(kept)).status.value == kept
    assert figure(other).marked(Status(kept)).value is None
