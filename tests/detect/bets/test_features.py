"""Every bet is an e-value: exactly one where the baseline is known, at most one on the edge of what it allows."""

from dataclasses import replace
from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from scipy.stats import beta

from calidris.detect import Bets, freeze
from calidris.detect.bets.learned_shapes import Stake
from calidris.detect.bounds import cell_lower, cell_upper
from calidris.errors import IncompatibleState
from calidris.state import CountsState, Field, Kind, Role, Spec


def small_spec():
    return Spec(
        fields=(
            Field("x", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0)),
            Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b")),
        )
    )


def compositions(n, cells):
    return (c for c in product(range(n + 1), repeat=cells) if sum(c) == n)


def multinomial(c, p):
    return factorial(sum(c)) / prod(factorial(k) for k in c) * prod(q**k for q, k in zip(p, c))


def row_ratios(bets: Bets, stake: Stake):
    """What a row in each cell multiplies every bet by, float64[B, F, K]."""
    shape = bets.learned.p.shape
    out = np.empty((len(bets), *shape))
    for f, k in product(*map(range, shape)):
        one = np.zeros(shape)
        one[f, k] = 1.0
        out[:, f, k] = np.exp(bets.log_e(one, stake, 1))
    return out


def test_every_bet_has_mean_exactly_one_when_the_baseline_is_known(world):
    """Enumerates all windows of 4 rows: E_p[e] = 1 for every bet, the learned ones included."""
    spec = small_spec()
    p = {"x": [0.4, 0.3, 0.1, 0.08, 0.07, 0.05], "c": [0.6, 0.2, 0.15, 0.05, 0.0, 0.0]}
    m = 10**15
    baseline = CountsState(spec, world.counts(spec, {n: [round(q * m) for q in v] for n, v in p.items()}))
    bets = freeze(spec, baseline, tolerance=0.0)
    stake = bets.learned.stake(np.random.default_rng(0).random((2, 2, 6)) * 50.0 * (bets.watch.real))
    expected = np.zeros(len(bets))
    for c in compositions(4, 6):
        # Both fields at once: each bet reads its own, so their dependence does not matter.
        log_e = np.exp(bets.log_e(np.array([c, c], dtype=float), stake, 4))
        weight = np.array([multinomial(c, p["x"]), multinomial(c, p["c"])])
        expected += log_e * weight[bets.owner]
    assert not stake.idle.any()
    np.testing.assert_allclose(expected, 1.0, atol=1e-5)


def test_cell_bets_have_mean_one_at_the_bound_and_less_inside(world):
    spec = world.spec()
    bets = freeze(spec, CountsState(spec, world.window(spec, 2000)))
    cells = bets.cells
    at_bound = cells.bound * np.exp(cells.gain) + (1 - cells.bound) * np.exp(cells.rest)
    np.testing.assert_allclose(at_bound, 1.0, rtol=1e-12)
    p = bets.learned.p[cells.field, cells.cell]
    assert (p * np.exp(cells.gain) + (1 - p) * np.exp(cells.rest) < 1.0).all()


@pytest.mark.parametrize("rows", [0, 1, 7, 1999, 2000])
def test_cell_bounds_are_clopper_pearson(rows):
    alpha = np.array(1e-5)
    upper = beta.isf(1e-5, rows + 1, 2000 - rows) if rows < 2000 else 1.0
    lower = beta.ppf(1e-5, rows, 2001 - rows) if rows else 0.0
    assert cell_upper(np.array(float(rows)), np.array(2000.0), alpha, 0.0) == pytest.approx(upper, rel=1e-6)
    assert cell_lower(np.array(float(rows)), np.array(2000.0), alpha, 0.0) == pytest.approx(lower, abs=1e-9)


def test_tolerance_covers_every_change_of_its_chi_distance():
    """The worst p' within χ-distance ε of p moves one cell by ε·sqrt(p(1-p)), and the bound grows with p."""
    p = np.linspace(0.0, 1.0, 10_001)
    worst = np.minimum(p + 0.05 * np.sqrt(p * (1 - p)), 1.0)
    assert (np.diff(worst) >= 0).all()


def test_tilts_have_mean_at_most_one_on_their_bound(world):
    """At the edge of what a tilt allows, p' = p(1 + ρ(r-1)/χ), its mean is one; learned bets stay below it on the ball."""
    spec = world.spec(numeric=1, categorical=0)
    bets = freeze(spec, CountsState(spec, world.window(spec, 5000)))
    ratios = row_ratios(bets, bets.learned.stake(bets.learned.nothing))[: len(bets.tilts.field), 0]
    p = bets.learned.p[0]
    for r in ratios:
        mean = p @ r
        chi = np.sqrt(p @ (r / mean - 1.0) ** 2)
        rho = (1.0 / mean - 1.0) / chi  # the slack that freeze put in
        assert 0.05 < rho < 0.15
        edge = p * (1.0 + rho * (r / mean - 1.0) / chi)
        assert edge @ r == pytest.approx(1.0, rel=1e-9)


def test_learned_bets_have_mean_at_most_one_on_the_whole_ball(world):
    spec = world.spec(numeric=1, categorical=0)
    bets = freeze(spec, CountsState(spec, world.window(spec, 5000)))
    p, inside, rho = bets.learned.p[0], bets.learned.inside[0], bets.learned.rho[0]
    seen = np.stack([world.rng.multinomial(500, world.numeric(np.arange(1, 11)))[None] for _ in range(2)]).astype(float)
    stake = bets.learned.stake(seen * inside)
    ratios = np.exp(stake.log_ratio[:, 0])
    direction = world.rng.normal(size=(20_000, len(p))) * np.sqrt(p) * inside
    direction[:2] = ((ratios - 1.0) * p * inside)[:2]  # the worst ones
    direction -= p * inside * direction.sum(axis=1, keepdims=True) / (p * inside).sum()
    length = np.sqrt((direction**2 / np.where(inside, p, 1.0)).sum(axis=1, keepdims=True))
    surface = p + rho * direction / length
    surface = surface[(surface >= 0).all(axis=1)]
    assert len(surface) > 10_000
    assert (surface @ ratios.T).max() <= 1.0 + 1e-12
    assert (surface @ ratios.T).max() > 0.99


def test_repeating_every_row_leaves_the_evidence_alone(world):
    """A D-fold repeated window scores, with design effect D, exactly as the window itself with design effect 1."""
    spec = world.spec()
    once = freeze(spec, CountsState(spec, world.window(spec, 5000)))
    fivefold = replace(
        once,
        tilts=replace(once.tilts, effect=5.0 * once.tilts.effect),
        cells=replace(once.cells, effect=5.0 * once.cells.effect),
        learned=replace(once.learned, effect=5.0 * once.learned.effect),
    )
    stake = once.learned.stake(once.learned.nothing)
    window = once.watch.padded(world.window(spec, 300)).astype(float)
    np.testing.assert_allclose(fivefold.log_e(5 * window, stake, 1500), once.log_e(window, stake, 300), rtol=1e-12)


def test_repeating_every_row_is_found_in_the_baseline_windows(world):
    spec = world.spec()
    windows = world.windows(spec, 60, 500)
    once = freeze(spec, CountsState(spec, windows.sum(axis=0)), windows)
    tenfold = freeze(spec, CountsState(spec, 10 * windows.sum(axis=0)), 10 * windows)
    effect, repeated = 1.0 + once.excess, 1.0 + tenfold.excess
    free = effect > 1.0  # elsewhere the lower limit of 1 holds
    assert free.mean() > 0.5
    np.testing.assert_allclose(repeated[free] / effect[free], 10.0, rtol=1e-5)


def test_design_effect_is_known_only_from_windows(world):
    spec = world.spec()
    windows = world.windows(spec, 40, 200)
    baseline = CountsState(spec, windows.sum(axis=0))
    assert not freeze(spec, baseline).design_known
    assert not freeze(spec, baseline, windows[:1]).design_known
    known = freeze(spec, baseline, windows)
    assert known.design_known
    assert 1.0 < (1.0 + known.excess).max() < 4.0


def test_a_larger_window_is_not_taken_for_more_independent_rows(world):
    spec = world.spec()
    windows = world.windows(spec, 40, 200)
    bets = freeze(spec, CountsState(spec, windows.sum(axis=0)), windows)
    np.testing.assert_array_equal(bets.design(100), bets.design(200))
    np.testing.assert_allclose(bets.design(2000) - 1.0, 10.0 * (bets.design(200) - 1.0))


def test_weights_are_fixed_and_add_up_to_one(world):
    spec = world.spec()
    bets = freeze(spec, CountsState(spec, world.window(spec, 1000)), weights={"x0": 3.0, "c0": 0.0})
    np.testing.assert_allclose(np.bincount(bets.owner, np.exp(bets.log_weight)), 1.0)
    np.testing.assert_allclose(bets.field_weight, [0.75, 0.25, 0.0])


def test_fields_without_baseline_values_are_not_watched(world):
    """Training rows have neither errors nor durations: the first live call must not be a change."""
    spec = world.spec(numeric=2)
    window = world.window(spec, 1000)
    missing = np.zeros(14, dtype=np.int64)
    missing[10] = 1000
    window[spec.offsets[3] : spec.offsets[4]] = missing
    assert freeze(spec, CountsState(spec, window)).names == ("x0", "c0")


def test_live_baselines_watch_durations_and_errors(world):
    spec = world.spec(numeric=1, categorical=0)
    window = world.window(spec, 1000)
    window[spec.offsets[1] : spec.offsets[2]] = 0
    window[spec.offsets[1] + 50] = 1000
    window[:2] = [998, 2]
    bets = freeze(spec, CountsState(spec, window))
    assert [f.role for f in bets.watch.fields] == [Role.ERROR, Role.DURATION, Role.FEATURE]
    assert freeze(spec, CountsState(spec, window), roles=[Role.FEATURE]).names == ("x0",)


def test_identity_follows_what_the_bets_are_made_from(world):
    spec = world.spec()
    baseline = CountsState(spec, world.window(spec, 1000))
    identity = freeze(spec, baseline).identity
    assert freeze(spec, baseline.copy()).identity == identity
    assert freeze(spec, baseline, tolerance=0.04).identity != identity
    assert freeze(spec, baseline, weights={"x0": 2.0}).identity != identity
    assert freeze(spec, CountsState(spec, 2 * baseline.array)).identity != identity


def test_a_baseline_without_rows_watches_nothing(world):
    spec = world.spec()
    assert len(freeze(spec, CountsState(spec))) == 0


@pytest.mark.parametrize(
    "wrong", [{"delta": 0.0}, {"delta": 1.0}, {"tolerance": -0.1}, {"tolerance": 1.0}, {"weights": {"x0": -1.0}}]
)
def test_settings_out_of_range_are_refused(world, wrong):
    spec = world.spec()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        freeze(spec, CountsState(spec, world.window(spec, 100)), **wrong)


def test_a_baseline_of_another_spec_is_refused(world):
    with pytest.raises(IncompatibleState):
        freeze(world.spec(), CountsState(world.spec(numeric=1)))


def three_cells(world, rows):
    """A numeric field of three cells, whose special ones are never seen."""
    spec = Spec(fields=(Field("x", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0, 3.0)),))
    return spec, CountsState(spec, world.counts(spec, {"x": [rows // 2, rows // 3, rows // 6, 0, 0, 0, 0]}))


def test_three_cells_and_four_rows_at_the_centre(world):
    """All 15 windows: where no slack was taken tilts and learned bets have mean one; cells that are never seen, less."""
    spec, baseline = three_cells(world, 6 * 10**14)
    bets = freeze(spec, baseline, tolerance=0.0)
    p = np.array([1 / 2, 1 / 3, 1 / 6])
    seen = np.zeros_like(bets.learned.nothing)
    seen[:, 0, :3] = [[5.0, 40.0, 3.0], [80.0, 1.0, 1.0]]
    mean = np.zeros(len(bets))
    for c in compositions(4, 3):
        window = np.zeros((1, 7))
        window[0, :3] = c
        mean += multinomial(c, p) * np.exp(bets.log_e(window, bets.learned.stake(seen), 4))
    tilts, special, learned = np.split(mean, [16, 28])
    np.testing.assert_allclose(tilts, 1.0, atol=1e-6)
    np.testing.assert_allclose(learned, 1.0, atol=1e-6)
    assert len(learned) == 2
    assert (special < 1.0).all()


def test_three_cells_and_four_rows_on_the_ball_s_surface(world):
    """All 35 windows under 360 truths at distance ρ: learned bets have mean at most one, and nearly one at the worst."""
    spec, baseline = three_cells(world, 6000)
    bets = freeze(spec, baseline)
    p, rho = bets.learned.p[0, :3], float(bets.learned.rho[0])
    seen = np.zeros_like(bets.learned.nothing)
    seen[:, 0, :3] = [[10.0, 80.0, 30.0], [90.0, 20.0, 60.0]]
    stake = bets.learned.stake(seen)
    assert not stake.idle.any()
    basis = np.linalg.svd(np.sqrt(p)[None])[2][1:]  # directions that keep the sum
    angle = np.deg2rad(np.arange(360))[:, None]
    truths = p + rho * np.sqrt(p) * (np.cos(angle) * basis[0] + np.sin(angle) * basis[1])
    np.testing.assert_allclose(((truths - p) ** 2 / p).sum(1), rho**2)
    truths = np.c_[truths, 1.0 - truths.sum(1)]  # what p leaves to cells that were never seen, as one more
    mean = np.zeros((360, 2))
    for c in compositions(4, 4):
        window = np.zeros((1, 7))
        window[0, :4] = c
        e = np.exp(bets.log_e(window, stake, 4))[-2:]
        mean += np.array([multinomial(c, t) for t in truths])[:, None] * e
    assert mean.max() <= 1.0 + 1e-9
    assert mean.max(0).min() > 0.99
