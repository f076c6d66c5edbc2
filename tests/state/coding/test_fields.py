from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Field, Kind, Role, Spec
from calidris.state.coding.encoding import BLOCK_VALUES, MOST_EDGES
from calidris.state.spec import column_of

AGE = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0))
COUNTRY = Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=("NL", "BE", "1"))
MISSING, OTHER, LOW, HIGH = "missing", "other", "low", "high"


def cell(f: Field, code: int) -> int | str:
    return code if code < f.ordered else (MISSING, OTHER, LOW, HIGH)[code - f.ordered]


def encoded(f: Field, column: Column | None, n: int) -> list[int | str]:
    """Cells by name, as a field of its own and as a part of a spec must agree on."""
    alone = f.encode(column, n).tolist()
    spec = Spec(fields=(f,))
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(n, np.int64), {} if column is None else {f.name: column})
    together = (spec.encode(batch)[2] - spec.offsets[2]).tolist()
    assert alone == together
    return [cell(f, code) for code in alone]


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (0.0, 0),  # the left edge belongs to the first bin
        (-0.0, 0),
        (float(-np.spacing(np.float32(0))), 0),  # a unit in the last place of single precision is no news at either end
        (float(-2 * np.spacing(np.float32(0))), LOW),
        (30.0, 0),  # every other edge to the bin below it
        (float(np.nextafter(30.0, 31)), 1),
        (60.0, 1),
        (float(np.nextafter(60.0, 61)), 1),
        (float(60 + np.spacing(np.float32(60))), 1),
        (float(np.nextafter(60 + np.spacing(np.float32(60)), 61)), HIGH),
        (-1e308, LOW),
        (1e308, HIGH),
        (float("nan"), MISSING),
        (float("inf"), MISSING),
        (float("-inf"), MISSING),
    ],
)
def test_numbers(value: float, want: int | str) -> None:
    assert encoded(AGE, NumberColumn.of([value]), 1) == [want]


tenths = st.lists(st.integers(-(10**6), 10**6).map(lambda x: x / 10), min_size=2, max_size=30, unique=True).map(sorted)


@given(edges=tenths)
def test_a_value_that_is_an_edge_has_one_cell_in_double_and_in_single_precision(edges: list[float]) -> None:
    f = Field("price", Role.FEATURE, Kind.NUMERIC, edges=tuple(edges))
    double = NumberColumn.of(edges)
    single = NumberColumn.of(np.array(edges, dtype=np.float32))
    want = [0, *range(len(edges) - 1)]
    assert encoded(f, double, len(edges)) == encoded(f, single, len(edges)) == want


def test_edges_closer_than_single_precision_tells_apart_keep_their_bins() -> None:
    begin = 2.0**53 - 64
    f = Field("id", Role.FEATURE, Kind.NUMERIC, edges=(begin, begin + 1, begin + 2, begin + 3))
    assert encoded(f, NumberColumn.of([begin + at for at in range(4)]), 4) == [0, 0, 1, 2]


def test_strings_for_a_number_are_other() -> None:
    assert encoded(AGE, CodedColumn.of(["30", None, ""]), 3) == [OTHER, MISSING, OTHER]


def test_levels() -> None:
    assert encoded(COUNTRY, CodedColumn.of(["BE", "NL", "FR", "", None]), 5) == [1, 0, OTHER, OTHER, MISSING]


def test_a_level_that_no_row_has_and_a_column_of_nothing_but_missing() -> None:
    assert encoded(COUNTRY, CodedColumn(("FR", "NL"), np.array([1, -1], np.int32)), 2) == [0, MISSING]
    assert encoded(COUNTRY, CodedColumn((), np.array([-1, -1], np.int32)), 2) == [MISSING, MISSING]


def test_numbers_for_a_category_are_read_as_text() -> None:
    assert encoded(COUNTRY, NumberColumn.of([1.0, 2.0, float("nan")]), 3) == [2, OTHER, MISSING]
    zero = Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("0",))
    assert encoded(zero, NumberColumn.of([-0.0, 0.0]), 2) == [0, 0]


def test_presence() -> None:
    f = Field("note", Role.FEATURE, Kind.PRESENCE)
    assert encoded(f, CodedColumn.of(["x", None]), 2) == [0, MISSING]
    assert encoded(f, NumberColumn.of([0.0, float("nan")]), 2) == [0, MISSING]


@pytest.mark.parametrize("f", [AGE, COUNTRY, Field("note", Role.FEATURE, Kind.PRESENCE)])
def test_an_absent_column_is_missing_and_no_rows_are_none(f: Field) -> None:
    assert encoded(f, None, 3) == [MISSING] * 3
    assert encoded(f, None, 0) == []
    assert encoded(f, NumberColumn.of([]), 0) == []


@pytest.mark.parametrize(
    "edges",
    [
        (),
        (1.0,),
        (1.0, 1.0),
        (2.0, 1.0),
        (0.0, float("nan")),
        (0.0, float("inf")),
        (float("-inf"), 0.0),
        (-1e308, 1e308),
    ],
)
def test_edges_that_make_no_bins_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="'x'"):
        Field("x", Role.FEATURE, Kind.NUMERIC, edges=edges)


@pytest.mark.parametrize("levels", [(), ("a", "a")])
def test_levels_that_make_no_cells_are_refused(levels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="'x'"):
        Field("x", Role.FEATURE, Kind.CATEGORICAL, levels=levels)


any_edges = st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=MOST_EDGES + 5, unique=True).map(sorted)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), edges=st.lists(any_edges, min_size=1, max_size=4))
def test_counting_edges_gives_the_cells_of_a_binary_search(data: st.DataObject, edges: list[list[float]]) -> None:
    """The fast path of ``Spec.encode`` against ``Field.encode``, over fields of any width, some without their column."""
    fields = tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=tuple(e)) for i, e in enumerate(edges))
    spec = Spec(fields=fields)
    value = st.one_of(st.sampled_from([x for e in edges for x in e]), st.floats())
    rows = data.draw(st.lists(st.tuples(*[value] * len(fields)), max_size=6))
    there = data.draw(st.lists(st.booleans(), min_size=len(fields), max_size=len(fields)))
    features: dict[str, Column] = {
        f.name: NumberColumn.of([r[i] for r in rows]) for i, f in enumerate(fields) if there[i]
    }
    assert_same(spec, PredictionBatch(ModelKey("t", "m", "1"), np.zeros(len(rows), np.int64), features))


def assert_same(spec: Spec, batch: PredictionBatch) -> None:
    want: Sequence[np.ndarray] = [f.encode(column_of(batch, f), len(batch)) for f in spec.fields]
    assert np.array_equal(spec.encode(batch), np.stack(want) + spec.offsets[:-1, None])


def test_counting_in_blocks_has_no_seam() -> None:
    g = np.random.default_rng(0)
    n = BLOCK_VALUES + 7
    fields = tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=(-1.0, 0.0, float(i + 1))) for i in range(3))
    values = np.where(g.random((3, n)) < 0.1, np.nan, g.normal(0, 2, (3, n)))
    features: dict[str, Column] = {f.name: NumberColumn.of(v) for f, v in zip(fields, values)}
    assert_same(Spec(fields=fields), PredictionBatch(ModelKey("t", "m", "1"), np.zeros(n, np.int64), features))
