from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, r2_score

from calidris.baseline.learn import learn_edges
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Field, Kind, Loss, MomentsState, ResidualsState, Role, Slice, Spec
from calidris.state.blocks.residuals import ABSOLUTE, ERROR, PREDICTION, RELATIVE, SQUARED, TRUTH, residual_scales
from calidris.state.fixed import LIMIT, Moments, Scale


def batch(values: Column | None, n: int) -> PredictionBatch:
    return PredictionBatch(ModelKey("t", "m", "1"), np.zeros(n, np.int64), {} if values is None else {"x": values})


def spec_of(edges: tuple[float, ...]) -> Spec:
    return Spec(fields=(Field("x", Role.FEATURE, Kind.NUMERIC, edges=edges),))


def moments_of(values: np.ndarray, edges: tuple[float, ...], parts: int = 1) -> Moments:
    state = MomentsState(spec_of(edges))
    for part in np.array_split(values, parts):
        state.update(batch(NumberColumn.of(part), len(part)))
    assert state.count == len(values)
    return state.field(2)


DRAWS = {
    "normal": lambda g: g.normal(size=20_000),
    "far from 0": lambda g: 1e9 + g.normal(size=20_000),
    "heavy": lambda g: np.exp(3 * g.normal(size=20_000)),
    "tiny": lambda g: 1e-200 * g.normal(size=5000),
    "huge": lambda g: 1e140 * g.normal(size=5000),
    "counts": lambda g: g.poisson(3, 5000).astype(float),
    "one": lambda g: np.array([3.25]),
    "missing": lambda g: np.where(g.random(5000) < 0.3, np.nan, g.normal(size=5000)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_mean_and_variance_are_those_of_numpy(draw: object) -> None:
    values = draw(np.random.default_rng(0))  # type: ignore[operator]
    known = values[np.isfinite(values)]
    got = moments_of(values, learn_edges(known), parts=3)
    spread = got.unit * 2**16
    assert (got.n, got.clipped) == (len(known), 0)
    assert got.mean == pytest.approx(known.mean(), abs=got.unit / 2 + 1e-12 * abs(known.mean()))
    # Rounding adds a twelfth of a unit's square, and at most the spread's share of a unit.
    assert math.sqrt(got.variance) == pytest.approx(known.std(), abs=got.unit, rel=1e-5) or spread == 0


def test_numbers_on_the_scale_are_exact_however_many_and_wherever() -> None:
    """Sums of squares of a million numbers a billion units from the centre: doubles would keep nothing of the variance."""
    scale = Scale.of_field(spec_of((0.0, 1.0)).fields[2])
    whole = np.random.default_rng(0).integers(2**29, 2**29 + 3, 1_000_000)
    got = moments_of(scale.centre + whole * scale.unit, (0.0, 1.0))
    n, s, s2 = len(whole), int(whole.sum()), int((whole.astype(object) ** 2).sum())
    assert got.mean == scale.centre + scale.unit * (s / n)
    assert got.variance == float(Fraction(n * s2 - s * s, n * n)) * scale.unit**2


@settings(max_examples=60, deadline=None)
@given(edges=st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=8, unique=True).map(sorted))
def test_the_range_of_a_scale_holds_all_of_the_edges(edges: list[float]) -> None:
    if not math.isfinite(edges[-1] - edges[0]):
        return
    scale = Scale.of_field(spec_of(tuple(edges)).fields[2])
    assert math.frexp(scale.unit)[0] == 0.5  # a power of two
    assert all(abs((edge - scale.centre) / scale.unit) <= LIMIT for edge in edges)


def test_what_lies_too_far_out_is_clipped_and_counted() -> None:
    # The largest doubles are in no sum at all.
    largest = np.finfo(float).max
    got = moments_of(np.array([0.0, 1e300, -1e300, 0.5, largest, -largest]), (0.0, 1.0))
    end = LIMIT * got.unit
    assert (got.n, got.clipped) == (4, 2)
    assert got.mean == pytest.approx((0.5 + 1.0 + end + 1.0 - end) / 4)


def test_a_constant_baseline_does_not_clip_what_comes_after() -> None:
    for constant in (0.0, 40.0, -1e6):
        got = moments_of(np.array([constant, constant + 1, constant - 1]), learn_edges(np.full(9, constant)))
        assert (got.n, got.clipped) == (3, 0)
        assert got.mean == pytest.approx(constant, abs=got.unit)


@pytest.mark.parametrize("values", [None, NumberColumn.of([np.nan] * 3), CodedColumn.of(["a", None, "b"])])
def test_missing_absent_and_textual_columns_are_rows_without_a_value(values: Column | None) -> None:
    state = MomentsState(spec_of((0.0, 1.0)))
    state.update(batch(values, 3))
    assert state.count == 3
    n, clipped, mean, variance, _ = state.field(2)
    assert (n, clipped) == (0, 0)
    assert math.isnan(mean)
    assert math.isnan(variance)


def test_no_rows_and_a_field_that_is_not_measured() -> None:
    state = MomentsState(spec_of((0.0, 1.0)))
    state.update(batch(NumberColumn.of([]), 0))
    assert state == MomentsState(state.spec)
    with pytest.raises(KeyError, match="duration"):
        state.field(1)


OUTPUT = Field("value", Role.VALUE, Kind.NUMERIC, edges=tuple(np.linspace(-5, 15, 11).tolist()))
REGRESSION = Spec(
    task="regression", fields=(OUTPUT,), slices=(Slice("sex", ("f",)),), losses=(Loss("absolute_error", 3.0),)
)


def residuals_of(truth: np.ndarray, value: np.ndarray, slice_row: np.ndarray | None = None) -> ResidualsState:
    state = ResidualsState(REGRESSION)
    state.update(truth, value, np.zeros(len(truth)), None if slice_row is None else slice_row[None, :])
    return state


def test_regression_figures_are_those_of_scikit_learn_by_slice() -> None:
    g = np.random.default_rng(0)
    truth = 5 + 3 * g.normal(size=6000)
    value, slice_row = truth + 0.5 + g.normal(size=6000), g.choice([-1, 1, 2], 6000)
    state = residuals_of(truth, value, slice_row)
    assert state.count == 6000
    for row in (0, 1, 2):
        y, f = (column[(slice_row == row) | (row == 0)] for column in (truth, value))
        m = {which: state.variable(which, row) for which in range(6)}
        assert m[ABSOLUTE].mean == pytest.approx(mean_absolute_error(y, f), abs=1e-4)
        assert m[SQUARED].mean == pytest.approx(mean_squared_error(y, f), abs=1e-3)
        assert m[RELATIVE].mean == pytest.approx(mean_absolute_percentage_error(y, f), abs=1e-4)
        assert m[ERROR].mean == pytest.approx((f - y).mean(), abs=1e-4)
        mse = m[ERROR].variance + m[ERROR].mean ** 2  # the exact one, which no rounded square goes into
        assert mse == pytest.approx(mean_squared_error(y, f), abs=1e-4)
        assert 1 - mse / m[TRUTH].variance == pytest.approx(r2_score(y, f), abs=1e-4)
        covariance = (m[TRUTH].variance + m[PREDICTION].variance - m[ERROR].variance) / 2
        assert covariance == pytest.approx(np.cov(y, f, ddof=0)[0, 1], abs=1e-3)
        assert m[SQUARED].variance == pytest.approx(((y - f) ** 2).var(), rel=1e-3)


def test_a_truth_of_0_has_no_relative_error_and_a_missing_prediction_only_a_truth() -> None:
    state = residuals_of(np.array([0.0, 2.0, 4.0]), np.array([1.0, 3.0, np.nan]))
    assert [state.variable(which).n for which in range(6)] == [2, 2, 2, 3, 2, 1]
    assert state.variable(RELATIVE).mean == pytest.approx(0.5)
    assert (state.count, state.variable(TRUTH).mean) == (3, 2.0)


def test_residuals_need_an_output_and_finite_truths() -> None:
    with pytest.raises(ValueError, match="truth"):
        residuals_of(np.array([1.0, np.nan]), np.zeros(2))
    without = ResidualsState(Spec(task="regression"))
    assert (without.array.size, without.count) == (0, 0)
    with pytest.raises(ValueError, match="output"):
        without.update(np.zeros(1), np.zeros(1), np.zeros(1))


def test_errors_are_on_the_scale_of_the_cap_else_of_the_output() -> None:
    plain = Spec(task="regression", fields=(OUTPUT,))
    output = Scale.of_field(OUTPUT)
    assert residual_scales(plain)[ERROR].unit == output.unit
    assert residual_scales(REGRESSION)[ERROR] == Scale.of(0.0, 3.0)
    assert residual_scales(REGRESSION)[TRUTH] == output
