from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.baseline.learn import learn_edges
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.errors import CorruptState
from calidris.state import DisplayState, Field, Kind, Role, Spec, state_bytes
from calidris.state.blocks.display import CELLS, FIELD, PAGES, SIDE, ZERO, bounds, number_cells

SPEC = Spec(fields=(Field("x", Role.FEATURE, Kind.PRESENCE),))
X = 2


def state_of(column: Column | None, n: int | None = None, spec: Spec = SPEC) -> DisplayState:
    state = DisplayState(spec)
    rows = len(column) if column is not None else n or 0
    features = {} if column is None else {"x": column}
    state.update(PredictionBatch(ModelKey("t", "m", "1"), np.zeros(rows, np.int64), features))
    return state


def exact(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """What a field with these edges would have counted."""
    f = Field("x", Role.FEATURE, Kind.NUMERIC, edges=edges)
    return np.bincount(f.encode(NumberColumn.of(values), len(values)), minlength=f.width)


def test_bins_lie_side_by_side_and_hold_their_numbers() -> None:
    low, high = bounds()
    assert len(low) == len(high) == 2 * SIDE + 1
    tiny = np.nextafter(0.0, 1.0)
    assert np.array_equal(np.where(low[1:] == -tiny, 0.0, low[1:]), np.where(high[:-1] == -tiny, 0.0, high[:-1]))
    inner = np.concatenate([high[1:-1], low[1:-1], np.nextafter(high[1:-1], np.inf), np.nextafter(low[1:-1], -np.inf)])
    inner = np.concatenate([inner, np.random.default_rng(0).normal(size=1000), [0.0, -0.0, 1e308, -1e308]])
    at = number_cells(inner)
    assert ((low[at] < inner) & (inner <= high[at])).all()
    assert number_cells(np.array([0.0, -0.0])).tolist() == [ZERO, ZERO]


def test_a_bin_is_narrow() -> None:
    low, high = bounds()
    positive = slice(ZERO + 2, 2 * SIDE)
    assert ((high - low)[positive] / low[positive]).max() <= 1 / 16


edges_lists = st.one_of(
    st.lists(st.integers(-40, 40), min_size=2, max_size=8, unique=True).map(sorted),
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8, unique=True).map(sorted),
)
values_lists = st.lists(st.one_of(st.integers(-50, 50).map(float), st.floats(), st.floats(-1e6, 1e6)), max_size=60)


@settings(max_examples=200, deadline=None)
@given(values=values_lists, edges=edges_lists)
def test_rebinned_counts_are_as_near_as_they_say(values: list[float], edges: list[float]) -> None:
    table = tuple(float(e) for e in edges)
    got = state_of(NumberColumn.of(values)).rebin(X, table)
    want = exact(np.array(values, dtype=np.float64), table)
    assert got.counts.sum() == len(values)
    assert (got.counts >= 0).all()
    assert (np.abs(got.counts - want) <= got.error).all()


def test_edges_of_five_binary_digits_are_met_exactly() -> None:
    values = np.random.default_rng(0).integers(-32, 33, 5000).astype(float)
    for edges in (tuple(range(0, 33, 4)), tuple(np.arange(-15.5, 16.5, 1).tolist()), (1.0, 2.0, 30.0), (64.0, 68.0)):
        got = state_of(NumberColumn.of(values)).rebin(X, tuple(map(float, edges)))
        assert np.array_equal(got.counts, exact(values, tuple(map(float, edges))))


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential"])
def test_the_edges_of_a_later_baseline_are_met_within_two_percent(draw: str) -> None:
    g = np.random.default_rng(0)
    past, later = getattr(g, draw)(size=20_000), getattr(g, draw)(size=20_000)
    edges = learn_edges(later)
    got, want = state_of(NumberColumn.of(past)).rebin(X, edges), exact(past, edges)
    k = len(edges) - 1
    assert np.abs(got.counts - want).max() < 0.02 * want[:k].min() + 15
    assert got.error[:k].max() < 2 * 0.05 * len(past)


def test_numbers_that_vary_little_beside_their_size_say_so() -> None:
    years = np.random.default_rng(0).integers(2000, 2025, 1000).astype(float)
    got = state_of(NumberColumn.of(years)).rebin(X, (1999.5, 2012.5, 2024.5))
    assert got.error[0] > 300


def test_numbers_outside_the_octaves_keep_their_sign() -> None:
    values = np.array([1e-300, -1e-300, 1e300, -1e300, 0.0])
    got = state_of(NumberColumn.of(values)).rebin(X, (-1.0, 0.0, 1.0))
    assert got.counts.tolist() == [2, 1, 0, 0, 1, 1]
    assert np.array_equal(got.counts, exact(values, (-1.0, 0.0, 1.0)))


@pytest.mark.parametrize(
    ("column", "n", "want"),
    [
        (None, 3, [0, 3, 0, 0, 0]),
        (NumberColumn.of([np.nan, np.inf, 0.5]), None, [1, 2, 0, 0, 0]),
        (CodedColumn.of(["a", None]), None, [0, 1, 1, 0, 0]),
        (NumberColumn.of([]), None, [0, 0, 0, 0, 0]),
        (NumberColumn.of([2.0]), None, [0, 0, 0, 0, 1]),
    ],
)
def test_special_cells(column: Column | None, n: int | None, want: list[int]) -> None:
    state = state_of(column, n)
    got = state.rebin(X, (0.0, 1.0))
    assert got.counts.tolist() == want
    assert not got.error.any()
    assert state.count == sum(want)


def test_under_another_spec_the_same_fields_keep_their_rows() -> None:
    values = np.random.default_rng(0).normal(size=500)
    new = Field("new", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0))
    x = Field("x", Role.FEATURE, Kind.NUMERIC, edges=(-1.0, 0.0, 1.0))
    spec = Spec(fields=(new, x))
    state = state_of(NumberColumn.of(values)).under(spec)
    assert (state.count, state.spec.hash) == (500, spec.hash)
    assert state.rebin(3, (-9.0, 0.0, 9.0)).counts.tolist() == exact(values, (-9.0, 0.0, 9.0)).tolist()
    assert state.rebin(2, new.edges).counts.tolist() == [0, 500, 0, 0, 0]
    state.merge(DisplayState(spec))
    assert DisplayState(SPEC).under(spec) == DisplayState(spec)


def test_memory_grows_with_what_is_touched_and_is_bounded() -> None:
    assert state_of(NumberColumn.of([])).nbytes == 8 * PAGES
    typical = state_of(NumberColumn.of(np.random.default_rng(0).normal(size=100_000)))
    assert typical.nbytes < 16_000
    assert len(typical.to_bytes()) < 3000
    anything = np.random.default_rng(0).integers(0, 2**64, 500_000, dtype=np.uint64).view(np.float64)
    everything = state_of(NumberColumn.of(np.concatenate([anything, np.ldexp(1.0, np.arange(-70, 70))])))
    assert everything.nbytes <= 8 * PAGES + 8 * FIELD
    assert len(everything.to_bytes()) < 16 * CELLS


def test_fields_that_are_not_shown_are_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        DisplayState(SPEC).field(0)


@pytest.mark.parametrize("numbers", [[], [0, 1], [0, 5, 5, 1, 1], [0, -1, 1], [0, FIELD, 1], [0, 7, 6, 1, 1]], ids=str)
def test_bytes_whose_cells_are_out_of_order_are_refused(numbers: list[int]) -> None:
    raw = np.array(numbers, dtype="<i8").tobytes()
    with pytest.raises(CorruptState):
        DisplayState.from_bytes(SPEC, state_bytes.pack(DisplayState.KIND, DisplayState.VERSION, SPEC.hash, raw))
