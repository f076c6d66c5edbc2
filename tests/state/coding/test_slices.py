from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from calidris.batch import CodedColumn
from calidris.state import Slice, Spec
from calidris.state.coding.slices import SliceAxis

SEX, COUNTRY, AGE = Slice("sex", ("f",)), Slice("country", ("NL", "BE")), Slice("age", ("old", "young"))


def test_a_row_is_counted_in_the_rows_whose_labels_it_has() -> None:
    axis = SliceAxis((SEX, COUNTRY, AGE), (("country", "age"), ("sex", "country")))
    columns = {"sex": ["f", "m", None], "country": ["NL", "FR", None], "age": ["old", "", None]}
    people = list(product(*columns.values()))
    coded = [CodedColumn.of(values) for values in zip(*people)]
    rows = axis.cross(axis.rows(coded))
    assert rows.shape == (5, len(people))
    known = {s.name: s.levels for s in axis.slices}
    for who, found in zip(people, rows.T.tolist()):
        has = {
            name: value if value in known[name] else "rest" for name, value in zip(columns, who) if value is not None
        }
        want = {
            i for i, label in enumerate(axis.labels)
            if label and all(has.get(name) == ("rest" if level is None else level) for name, level in label)
        }  # fmt: skip
        assert {row for row in found if row >= 0} == want


def test_rows_follow_one_another_and_each_is_labelled_once() -> None:
    axis = SliceAxis((SEX, COUNTRY, AGE), (("country", "age"), ("sex", "country")))
    assert axis.count == 1 + 2 + 3 + 3 + 9 + 6 == len(axis.labels) == len(set(axis.labels))
    assert axis.starts == (1, 3, 6, 9, 18)


def test_no_slices_and_no_rows() -> None:
    axis = SliceAxis(())
    assert axis.count == 1
    assert axis.cross(axis.rows([])).size == 0
    crossed = SliceAxis((SEX, AGE), (("sex", "age"),))
    assert crossed.cross(crossed.rows([CodedColumn.of([]), CodedColumn.of([])])).shape == (3, 0)


@pytest.mark.parametrize(
    ("slices", "pairs", "message"),
    [
        ((SEX,), (("sex", "country"),), "sex x country.*two of the slices sex"),
        ((SEX,), (("sex", "sex"),), "two of the slices"),
        ((SEX, AGE), (("sex", "age"), ("age", "sex")), "intersection is listed twice"),
        ((SEX, SEX), (), "slice is listed twice"),
    ],
)
def test_what_makes_no_sense_is_refused(
    slices: tuple[Slice, ...], pairs: tuple[tuple[str, str], ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Spec(slices=slices, intersections=pairs)


def test_too_many_rows_are_refused_with_the_cure() -> None:
    many = tuple(Slice(name, tuple(f"{name}{i}" for i in range(14))) for name in "ab")
    assert Spec(slices=many).slice_count == 31
    with pytest.raises(ValueError, match=r"256 rows and 200 are allowed \(a: 15, b: 15, a x b: 225.*slice_cap"):
        Spec(slices=many, intersections=(("a", "b"),))
    assert Spec(slices=many, intersections=(("a", "b"),), slice_cap=256).slice_count == 256
    assert np.array_equal(
        Spec(slices=many, intersections=(("a", "b"),), slice_cap=256).axis.cross(np.array([[-1, 3], [20, -1]])),
        [[-1, 3], [20, -1], [-1, -1]],
    )
