"""PSI under no change: against exact sums over binomial counts, and against draws through ``drift_table``."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calidris.batch import Floats
from calidris.metrics.drift import drift_table
from calidris.metrics.drift.psi_noise import find_noise
from calidris.state import CountsState, Field, Kind, Role, Spec

DRAWS = 400


def part_of(window: Floats, baseline: Floats, n: int, m: int, cells: int) -> Floats:
    """A cell's part of PSI for every pair of counts, by the definition."""
    q = (window[:, None] + 0.5) / (n + cells / 2)
    p = (baseline[None, :] + 0.5) / (m + cells / 2)
    return (q - p) * np.log(q / p)


@pytest.mark.parametrize("n", [20, 60, 400])
@pytest.mark.parametrize("m", [100, 900])
@pytest.mark.parametrize("share", [0.002, 0.02, 0.1, 0.4])
def test_one_cell_of_two_agrees_with_sums_over_all_counts(n: int, m: int, share: float) -> None:
    """With two cells the counts of one decide those of the other: the sum over all pairs of counts is exact."""
    both = np.array([[share], [1 - share]]) * (n + m)
    found = find_noise(both, np.array([float(n)]), np.array([float(m)]), np.array([2.0]))
    a, b = np.arange(n + 1.0), np.arange(m + 1.0)
    chance = stats.binom.pmf(a, n, share)[:, None] * stats.binom.pmf(b, m, share)[None, :]
    psi = part_of(a, b, n, m, 2) + part_of(n - a, m - b, n, m, 2)
    mean = float((chance * psi).sum())
    variance = float((chance * (psi - mean) ** 2).sum())
    assert float(found.mean[0]) == pytest.approx(mean, rel=0.12, abs=1e-4)
    # The two parts depend on each other by more than their totals say: two cells are the worst case.
    assert 0.3 * variance < float(found.variance[0]) < 1.7 * variance


def zipf(cells: int, power: float) -> Floats:
    shares = 1.0 / np.arange(1, cells + 1) ** power
    found: Floats = shares / shares.sum()
    return found


def state(spec: Spec, counted: np.ndarray) -> CountsState:
    made = CountsState(spec)
    place = [field.name for field in spec.fields].index("x")
    begin = int(spec.offsets[place])
    made.array[begin : begin + len(counted)] = counted
    return made


@pytest.mark.parametrize(
    ("cells", "power", "m", "n"),
    [
        (10, 1, 5000, 60),
        (20, 1, 5000, 60),
        (50, 1, 1000, 60),
        (50, 1, 20_000, 60),
        (50, 1, 20_000, 200),
        (50, 0, 1000, 60),
        (50, 0, 300, 1000),
        (3, 1, 1000, 200),
    ],
)
def test_nothing_changed_reads_nothing(cells: int, power: float, m: int, n: int) -> None:
    """Mean below .015 (.01 and the noise of the draws), and seldom an interval that lies below 0."""
    rng, shares = np.random.default_rng(7), zipf(cells, power)
    levels = tuple(map(str, range(cells)))
    spec = Spec(fields=(Field("x", Role.FEATURE, Kind.CATEGORICAL, levels=levels),))
    values, bounds = [], []
    for _ in range(DRAWS):
        before, after = state(spec, rng.multinomial(m, shares)), state(spec, rng.multinomial(n, shares))
        table = drift_table(spec, before, after, ("psi_debiased",))
        values.append(table.values["psi_debiased"][0])
        bounds.append((table.lower["psi_debiased"][0], table.upper["psi_debiased"][0]))
    value, (lower, upper) = np.array(values), np.array(bounds).T
    assert abs(value.mean()) < 0.015, value.mean()
    assert ((lower <= 0) & (upper >= 0)).mean() >= 0.9
    assert (upper < 0).mean() <= 0.04


def test_a_change_as_small_as_its_noise_is_inside_the_interval() -> None:
    """Two levels, PSI .02, a hundred rows: 66 % when the width was read off at the figure itself."""
    rng, p, q = np.random.default_rng(8), np.array([0.7, 0.3]), np.array([0.763, 0.237])
    truth = float(((q - p) * np.log(q / p)).sum())
    spec = Spec(fields=(Field("x", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b")),))
    held = 0
    for _ in range(DRAWS):
        before, after = state(spec, rng.multinomial(5000, p)), state(spec, rng.multinomial(100, q))
        table = drift_table(spec, before, after, ("psi_debiased",))
        lower, upper = (float(end["psi_debiased"][0]) for end in (table.lower, table.upper))
        held += lower <= truth <= upper
    assert held >= 0.92 * DRAWS


def test_bounds_solve_for_the_true_figure() -> None:
    """At each bound the figure is 1.96 standard deviations away, those of no change and of as much change put together."""
    rng = np.random.default_rng(9)
    spec = Spec(fields=(Field("x", Role.FEATURE, Kind.CATEGORICAL, levels=tuple("abcde")),))
    n, m = 400, 2000
    before = state(spec, rng.multinomial(m, np.full(5, 0.2)))
    after = state(spec, rng.multinomial(n, np.array([0.2, 0.2, 0.22, 0.18, 0.2])))
    table = drift_table(spec, before, after, ("psi_debiased",))
    value, upper, lower = (float(of["psi_debiased"][0]) for of in (table.values, table.upper, table.lower))
    counts = [s.array[int(spec.offsets[2]) :][:5].astype(float) for s in (before, after)]
    s = 1 / n + 1 / m
    noise = float(
        find_noise(
            (counts[0] + counts[1])[:, None], np.array([n * 1.0]), np.array([m * 1.0]), np.array([5.0])
        ).variance[0]
    )
    assert upper - value == pytest.approx(1.959964 * np.sqrt(noise + 4 * s * upper), rel=0.05)
    lowest = lower + 0.2 * 4 * s
    assert value - lowest == pytest.approx(1.959964 * np.sqrt(noise + 4 * s * lowest), rel=0.05)
