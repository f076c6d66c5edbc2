"""The profile against what the tool itself said of the same seeded tables (``make_fixture.py``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.compat.cases import cases
from tests.compat.parity import compared, differences

from calidris.batch import CodedColumn, NumberColumn
from calidris.compat import ColumnKind, Left, verdicts
from calidris.compat.evidently import VERSION

RECORDED = json.loads(Path(__file__).with_name("evidently.json").read_text(encoding="utf-8"))
X, TEXT = NumberColumn.of([1.0, 2.0, 3.0, 4.0]), CodedColumn.of(["a", "b", "a", "b"])
NOTHING = NumberColumn.of([float("nan")] * 4)


def test_rules_scores_and_verdicts_are_the_recorded_ones() -> None:
    assert list(differences(RECORDED["cases"])) == []


def test_the_record_is_of_these_cases_and_of_the_version_that_the_profile_names() -> None:
    assert RECORDED["evidently"] == VERSION
    assert list(RECORDED["cases"]) == [name for name, *_ in cases()]
    said = [column for case in RECORDED["cases"].values() for column in case["columns"].values()]
    assert len({rule for rule, *_ in said if "text" not in rule}) == 5  # every rule of the profile is in the record
    assert 50 < sum(drifted for *_, drifted in said) < len(said) - 50 and compared(RECORDED["cases"]) == len(said)


@pytest.mark.parametrize(
    ("baseline", "window", "kind", "left"),
    [
        (X, None, None, Left.GONE),
        (None, X, ColumnKind.NUMERICAL, Left.NEW),
        (X, NOTHING, ColumnKind.NUMERICAL, Left.EMPTY),
        (NOTHING, X, ColumnKind.NUMERICAL, Left.EMPTY),
        (X, TEXT, ColumnKind.CATEGORICAL, Left.CHANGED),
        (TEXT, TEXT, ColumnKind.TEXT, Left.TEXT),
        (X, X, ColumnKind.OTHER, Left.OTHER),
    ],
)
def test_no_verdict_says_why_and_whether_the_table_may_hang_on_it(baseline, window, kind, left) -> None:
    one = {"x": X} | ({"odd": baseline} if baseline else {})
    two = {"x": X} | ({"odd": window} if window else {})
    found = verdicts(one, two, {"x": ColumnKind.NUMERICAL} | ({"odd": kind} if kind else {}))
    odd = next(c for c in found.columns if c.column == "odd")
    assert (odd.left, odd.rule, odd.score, odd.drifted) == (left, None, None, None)
    assert found.share == 0.0 and found.drifted is (None if left.decides else False)


def test_no_column_with_a_verdict() -> None:
    found = verdicts({"t": TEXT}, {"t": TEXT}, {"t": ColumnKind.TEXT})
    assert found.share is None and found.drifted is None
    assert verdicts({}, {}, {}).columns == ()
