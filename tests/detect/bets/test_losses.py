"""Bounded losses: e-values by enumeration, the chord bound, θ0, and both other sides."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import beta

from calidris.detect import Detector, Loss, loss_bets
from calidris.detect.bets.loss_game import LossBets
from calidris.detect.bets.losses import Known, parts
from calidris.errors import IncompatibleState

WRONG = Loss.zero_one("accuracy")
ERROR = Loss.binned("error", np.linspace(0.0, 1.0, 6))
UNIT = 2**30


def zero_one(n, wrong):
    return np.array([n, wrong * UNIT], dtype=np.int64)


def theta_of(bets, bet=0):
    """θ0 of a 0/1 loss, read off the coefficients: (1 + λ(1-θ)) and (1 - λθ)."""
    win, lose = np.exp(bets.coefficient[bet] @ [1, UNIT]), np.exp(bets.coefficient[bet, 0])
    return (1.0 - lose) / (win - lose)


def frozen(bets):
    """The bets that nothing is taught: all of them but where worse is bet on."""
    return bets.frozen if isinstance(bets, LossBets) else bets


@pytest.mark.parametrize("side", ["worse", "recovered", "better"])
def test_the_mean_is_one_at_the_limit_and_less_on_the_right_side(side):
    """All 2^6 windows of six rows."""
    bets = frozen(loss_bets([WRONG], zero_one(2000, 300), side=side))
    theta = theta_of(bets)
    inside = theta - 0.05 if side == "worse" else theta + 0.05
    for rate, exact in ((theta, True), (inside, False)):
        mean = np.zeros(len(bets))
        for rows in product((0, 1), repeat=6):
            weight = np.prod([rate if r else 1 - rate for r in rows])
            mean += weight * np.exp(bets.play(zero_one(6, sum(rows)), bets.nothing).log_e)
        if exact:
            np.testing.assert_allclose(mean, 1.0, rtol=1e-9)
        else:
            assert (mean < 1.0).all()


def test_rates_that_move_inside_the_window_do_not_matter():
    """Rows of different rates whose mean is θ0: the inequality of the means."""
    bets = frozen(loss_bets([WRONG], zero_one(2000, 300)))
    theta = theta_of(bets)
    rates = theta + np.array([-0.1, 0.1, -0.05, 0.05])
    mean = np.zeros(len(bets))
    for rows in product((0, 1), repeat=4):
        weight = np.prod([r if hit else 1 - r for r, hit in zip(rates, rows)])
        mean += weight * np.exp(bets.play(zero_one(4, sum(rows)), bets.nothing).log_e)
    assert (mean <= 1.0).all()
    assert (mean > 0.9).all()


def test_the_limit_is_clopper_pearson_and_the_tolerance():
    upper = beta.ppf(0.95, 301, 1700)
    assert theta_of(frozen(loss_bets([WRONG], zero_one(2000, 300), tolerance=0.0))) == pytest.approx(upper, rel=1e-6)
    assert theta_of(frozen(loss_bets([WRONG], zero_one(2000, 300), tolerance=0.0, margin=0.01))) == pytest.approx(
        upper + 0.01
    )
    with_tolerance = theta_of(frozen(loss_bets([WRONG], zero_one(2000, 300), tolerance=0.05)))
    assert with_tolerance == pytest.approx(upper + 0.05 * np.sqrt(upper * (1 - upper)), rel=1e-6)


def test_a_rate_of_nought_in_the_baseline_is_no_proof_of_nought():
    """No error in 1000 calls: 3 in 1000 are possible, and an error in 500 calls is no news."""
    bets = frozen(loss_bets([Loss.zero_one("errors")], zero_one(1000, 0), tolerance=0.0))
    assert theta_of(bets) == pytest.approx(0.003, abs=1e-4)
    detector = Detector(bets, 1000.0)
    assert not any(detector.score(zero_one(500, 1)).fired for _ in range(300))
    assert detector.score(zero_one(500, 50)).changes[0].direction == "worse"


def test_the_chord_is_never_more_than_the_rows_themselves():
    """Binned losses score at most what the raw rows would, and nearly as much."""
    rng = np.random.default_rng(3)
    base = rng.beta(1.0, 4.0, 4000)
    fine, coarse = (Loss.binned("error", np.linspace(0, 1, k)) for k in (21, 2))
    live = rng.beta(1.3, 4.0, 500)
    totals = []
    for loss in (fine, coarse):
        bets = loss_bets([loss], loss.counts(base))
        # Two rows at the ends of a bin give λ and θ0 back.
        scored = bets.play(loss.counts(live), bets.nothing).log_e
        ends = np.array([bets.play(loss.counts(np.array([x])), bets.nothing).log_e for x in (0.0, 1.0)])
        lose, win = np.exp(ends)
        raw = np.log(lose + (win - lose) * live[:, None]).sum(0)
        assert (scored <= raw + 1e-9).all()
        totals.append((raw - scored)[raw > 1.0].max() / raw.max())
    assert totals[0] < 0.1 < totals[1]


def test_every_loss_between_the_ends_has_mean_at_most_one():
    """Distributions on a grid of losses with mean θ0, the worst ones (two points) among them."""
    bets = loss_bets([ERROR], ERROR.counts(np.random.default_rng(0).beta(2, 5, 3000)))
    at = np.linspace(0.0, 1.0, 101)
    row = np.exp([bets.play(ERROR.counts(np.array([x])), bets.nothing).log_e for x in at])
    slope = (row[-1] - row[0])[0]
    theta = (1.0 - row[0, 0]) / slope
    for low, high in product(at[at < theta], at[at > theta]):
        w = (theta - low) / (high - low)
        mean = (1 - w) * row[round(float(low) * 100)] + w * row[round(float(high) * 100)]
        assert (mean <= 1.0 + 1e-8).all()


def test_the_limit_of_a_bounded_loss_holds():
    """The empirical Bernstein bound at α = 0.05 is missed less often than that."""
    rng, misses = np.random.default_rng(8), 0
    for _ in range(300):
        rows, sums = parts([ERROR], ERROR.counts(rng.beta(0.3, 3.0, 300)))[0]
        misses += Known.of(ERROR, rows, sums).upper(ERROR, 1.0, 0.05) < 0.3 / 3.3
    assert misses <= 15


def test_variance_of_bins_encloses_the_raw_one():
    raw = np.random.default_rng(1).beta(2, 5, 2000)
    known = Known.of(ERROR, *parts([ERROR], ERROR.counts(raw))[0])
    assert known.mean == pytest.approx(raw.mean())
    assert known.variance_lower <= raw.var() <= known.variance_upper


def test_false_alarms_are_rarer_than_the_budget():
    """Without tolerance and with a huge baseline there is nothing to spare: P(alarm within T) <= T/A."""
    bets = loss_bets([WRONG], zero_one(8 * 10**9, 8 * 10**8), tolerance=0.0)
    rng, horizon, alarms = np.random.default_rng(5), 20, 0
    for _ in range(400):
        detector = Detector(bets, 100.0)
        alarms += any(detector.score(zero_one(100, rng.binomial(100, 0.1))).fired for _ in range(horizon))
    assert 0 < alarms / 400 <= horizon / 100.0


def test_the_baseline_s_own_error_is_inside():
    rng, alarms = np.random.default_rng(6), 0
    for _ in range(60):
        bets = loss_bets([WRONG], zero_one(2000, rng.binomial(2000, 0.1)))
        detector = Detector(bets, 1000.0)
        alarms += sum(detector.score(zero_one(200, k)).fired for k in rng.binomial(200, 0.1, 300))
    assert alarms <= 1


def test_a_worse_mean_is_found_and_a_better_one_is_news_on_its_own_side():
    rng = np.random.default_rng(7)
    worse = Detector(loss_bets([WRONG], zero_one(5000, 500)), 1000.0)
    better = Detector(loss_bets([WRONG], zero_one(5000, 500), side="better"), 1000.0)
    good, bad = rng.binomial(200, 0.05, 40), rng.binomial(200, 0.2, 4)
    assert not any(worse.score(zero_one(200, k)).fired for k in good)
    assert any(better.score(zero_one(200, k)).fired for k in good)
    assert any(worse.score(zero_one(200, k)).fired for k in bad)


def test_an_empty_year_and_windows_without_labels_change_nothing():
    detector = Detector(
        loss_bets([WRONG, ERROR], np.concatenate([zero_one(500, 50), ERROR.counts(np.ones(9) / 9)])), 10.0
    )
    detector.score(np.concatenate([zero_one(100, 10), ERROR.counts(np.zeros(0))]))  # the second loss has no rows
    before = detector.to_bytes()
    silence = np.zeros(12, dtype=np.int64)
    assert not any(detector.score(silence).scored for _ in range(8760))
    assert detector.to_bytes() == before
    assert detector.score(np.concatenate([zero_one(100, 10), ERROR.counts(np.zeros(0))])).fields["error"] == 0.0


def test_a_loss_without_a_baseline_is_not_watched():
    bets = loss_bets([WRONG, ERROR], np.concatenate([zero_one(500, 50), ERROR.counts(np.zeros(0))]))
    np.testing.assert_array_equal(bets.field_weight, [1.0, 0.0])


def test_repeated_rows_are_found_in_the_windows():
    rng = np.random.default_rng(2)
    windows = np.array([10 * zero_one(50, k) for k in rng.binomial(50, 0.2, 80)])
    bets = loss_bets([WRONG], windows.sum(0), windows)
    assert bets.design_known
    assert 8.0 < bets.frozen.effect[0] < 16.0


def test_bytes_go_on_bit_by_bit_and_know_their_baseline():
    bets = loss_bets([WRONG], zero_one(5000, 500))
    detector = Detector(bets, 1000.0)
    for n in (200, 100, 10):
        detector.score(zero_one(n, n // 5))
    other = Detector.from_bytes(bets, detector.to_bytes())
    assert other.score(zero_one(90, 20)) == detector.score(zero_one(90, 20))
    assert other.to_bytes() == detector.to_bytes()
    with pytest.raises(IncompatibleState):
        Detector.from_bytes(loss_bets([WRONG], zero_one(5000, 501)), detector.to_bytes())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Loss("x", (0.5,), (0.2,)), "low end first"),
        (lambda: Loss("x", (0.0, 0.5), (0.5, 1.5)), "between 0 and 1"),
        (lambda: Loss("x", (0.0, 0.5), (0.5, 1.0), binary=True), "one bin"),
        (lambda: loss_bets([], np.zeros(0)), "no loss"),
        (lambda: loss_bets([WRONG], zero_one(9, 1), delta=0.0), "out of range"),
        (lambda: loss_bets([WRONG], zero_one(9, 1), margin=1.0), "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()


def test_power_agrees_with_the_literature():
    """Statistics table: from 0.10 to 0.15 at 200 labels, A = 1000, no tolerance: 4.4 windows."""
    delays = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        detector = Detector(loss_bets([WRONG], zero_one(5000, rng.binomial(5000, 0.1)), tolerance=0.0), 1000.0)
        wrong = (zero_one(200, rng.binomial(200, 0.15)) for _ in range(100))
        delays.append(next(i for i, window in enumerate(wrong, 1) if detector.score(window).fired))
    assert 3.0 < np.mean(delays) < 6.0
