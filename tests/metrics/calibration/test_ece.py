"""ECE in its forms and smooth ECE, against uncertainty-calibration, relplot and plain loops over the raw rows."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import relplot
from calibration.utils import unbiased_square_ce
from tests.metrics.scored import Rows, bins_of, drawn, shapes

from calidris.metrics.calibration.ece import (
    MCE_MINIMUM,
    ece_equal_mass,
    ece_squared_debiased,
    ece_sweep,
    mce,
    smooth_ece,
)
from calidris.state import Spec

SPEC = Spec()


@pytest.fixture(params=[name for name in shapes() if name != "no rows"])
def rows(request: pytest.FixtureRequest) -> Rows:
    return shapes()[request.param]


def tenths(rows: Rows) -> list[list[tuple[float, int]]]:
    """Rows of each tenth, as pairs of score and outcome."""
    into = np.sum([rows.score >= k / 10 for k in range(1, 10)], axis=0)
    groups = [list(zip(rows.score[into == b].tolist(), rows.outcome[into == b].tolist())) for b in range(10)]
    return [group for group in groups if group]


def test_debiased_square_is_that_of_uncertainty_calibration(rows: Rows) -> None:
    assert ece_squared_debiased(bins_of(rows), SPEC).value == pytest.approx(unbiased_square_ce(tenths(rows)), abs=1e-8)


def test_debiased_square_of_a_calibrated_model_is_nothing_on_average() -> None:
    g = np.random.default_rng(1)
    found = [ece_squared_debiased(bins_of(drawn(g.beta(2, 3, 200), g)), SPEC).value for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    assert np.mean(np.abs(found)) > 1e-3


def test_mce_is_the_worst_tenth_with_enough_rows(rows: Rows) -> None:
    full = [np.array(group) for group in tenths(rows) if len(group) >= MCE_MINIMUM]
    want = max((abs(group[:, 0].mean() - group[:, 1].mean()) for group in full), default=math.nan)
    assert mce(bins_of(rows), SPEC).value == pytest.approx(want, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "too high", "rare"])
def test_equal_mass_is_near_that_of_sorted_rows(name: str) -> None:
    """Groups that are cut at bins instead of at rows: within 0.006 at n = 5000."""
    rows = shapes()[name]
    order = np.argsort(rows.score, kind="stable")
    parts = zip(np.array_split(rows.score[order], 10), np.array_split(rows.outcome[order], 10))
    want = sum(len(s) * abs(s.mean() - y.mean()) for s, y in parts) / len(order)
    assert ece_equal_mass(bins_of(rows), SPEC).value == pytest.approx(want, abs=0.006)


def sweep(rows: Rows) -> float:
    """Roelofs et al. on sorted rows, as they state it."""
    order = np.argsort(rows.score, kind="stable")
    kept = 0.0
    for count in range(1, len(order) + 1):
        parts = list(zip(np.array_split(rows.score[order], count), np.array_split(rows.outcome[order], count)))
        outcomes = [y.mean() for _, y in parts]
        if any(b < a for a, b in pairwise(outcomes)):
            return kept
        kept = sum(len(s) * abs(s.mean() - y.mean()) for s, y in parts) / len(order)
    return kept


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "too high", "rare"])
def test_sweep_is_near_that_of_sorted_rows(name: str) -> None:
    rows = shapes()[name]
    assert ece_sweep(bins_of(rows), SPEC).value == pytest.approx(sweep(rows), abs=0.01)


def direct_smooth_ece(rows: Rows) -> float:
    """The definition on raw rows: a reflected Gaussian that ends at one half, by trapezoids, no grid and no bins."""
    t = np.linspace(0, 1, 501)
    residual = (rows.score - rows.outcome) / len(rows.score)

    def size(bandwidth: float) -> float:
        images = [np.abs(t[:, None] - at[None, :]) for at in (rows.score, -rows.score, 2 - rows.score)]
        kernel = sum(np.exp(-((d / bandwidth) ** 2) / 2) * (d <= 0.5) for d in images)
        weight = np.trapezoid(kernel, t, axis=0)
        return float(np.trapezoid(np.abs(kernel @ (residual / weight)), t))

    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < size(middle) else (low, middle)
    return size(high)


@pytest.mark.parametrize(("n", "tolerance"), [(50, 0.005), (300, 0.002), (700, 0.002)])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.4, 1.0), (0.0, 1.5)])
@pytest.mark.parametrize(("a", "b"), [(2, 3), (0.5, 10)])
def test_smooth_ece_of_bins_is_near_the_definition_on_raw_rows(
    n: int, tolerance: float, shift: float, scale: float, a: float, b: float
) -> None:
    g = np.random.default_rng(n)
    rows = drawn(g.beta(a, b, n) + 1e-6, g, shift, scale)
    assert smooth_ece(bins_of(rows), SPEC).value == pytest.approx(direct_smooth_ece(rows), abs=tolerance)


@pytest.mark.parametrize("name", [name for name in shapes() if name not in ("no rows", "rare", "extremes")])
def test_smooth_ece_is_relplots(name: str) -> None:
    """Within 0.002.

    relplot lets half of the rows within 0.001 of 0 and 1 fall off its grid, so scores there are left out of the comparison
    unless all of them are 0 or 1.
    """
    rows = shapes()[name]
    inside = (rows.score > 0.002) & (rows.score < 0.998)
    rows = Rows(rows.score[inside], rows.outcome[inside]) if inside.any() else rows
    want = relplot.smECE(rows.score, rows.outcome.astype(float))
    assert smooth_ece(bins_of(rows), SPEC).value == pytest.approx(want, abs=0.002)


@pytest.mark.parametrize("n", [200, 1000, 10_000])
def test_smooth_ece_is_relplots_at_every_n(n: int) -> None:
    g = np.random.default_rng(n)
    for shift, scale in ((0.0, 1.0), (0.4, 1.0), (0.0, 1.5)):
        rows = drawn(g.beta(2, 3, n), g, shift, scale)
        want = relplot.smECE(rows.score, rows.outcome.astype(float))
        assert smooth_ece(bins_of(rows), SPEC).value == pytest.approx(want, abs=0.002)


def test_no_rows_have_no_error() -> None:
    bins = bins_of(shapes()["no rows"])
    for measure in (ece_equal_mass, ece_sweep, ece_squared_debiased, mce, smooth_ece):
        assert math.isnan(measure(bins, SPEC).value)
