"""Bets on a rate that live windows teach: their null by quadrature, by sums over all windows, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calidris.detect import Detector, Loss, loss_bets
from calidris.detect.bets.taught_rates import Rows, TaughtRate

UNIT = 2**30
WRONG = Loss.zero_one("accuracy")
SHIFTS = (0.03, 0.12, 0.5)
NOTHING = Rows(0.0, 0.0)
POINT = 0.005


def bets_of(rows: float, wrong: float, margin: float = 0.0, effect: float = 1.0) -> TaughtRate:
    return TaughtRate(SHIFTS, margin, Rows(rows, wrong), effect, 0.0)


def log_orders(n: int, k: np.ndarray) -> np.ndarray:
    """In how many orders k of n can be wrong, in logs."""
    return stats.binom.logpmf(k, n, 0.5) + n * np.log(2.0)


@pytest.mark.parametrize(
    ("rows", "wrong", "n"), [(5000, 500, 200), (300, 0, 100), (40, 4, 3000), (5000, 2, 5), (2000, 1999, 60)]
)
def test_without_a_margin_the_null_is_the_beta_binomial_law(rows: int, wrong: int, n: int) -> None:
    bets, k = bets_of(rows, wrong), np.arange(n + 1)
    rates = bets._alternatives(Rows(rows, wrong))
    log_null = stats.betabinom.logpmf(k, n, wrong + 0.5, rows - wrong + 0.5)
    for hits in (0, n // 10, n // 2, n):
        expected = stats.binom.logpmf(hits, n, rates) - log_null[hits]
        np.testing.assert_allclose(bets.log_e(Rows(n, hits), NOTHING), expected, rtol=1e-6, atol=1e-6)


def mean_of_e(bets: TaughtRate, n: int, rates: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean over all windows of n rows whose rate is drawn from some."""
    total = np.zeros(len(SHIFTS))
    for hits in range(n + 1):
        chance = float(weights @ stats.binom.pmf(hits, n, rates))
        total += chance * np.exp(bets.log_e(Rows(n, hits), NOTHING))
    return total


@pytest.mark.parametrize("margin", [0.0, POINT, 0.05])
def test_on_average_over_the_baseline_the_mean_is_one(margin: float) -> None:
    rates = stats.beta.ppf((np.arange(4000) + 0.5) / 4000, 50.5, 450.5)
    weights = np.full(4000, 1 / 4000)
    bets = bets_of(500, 50, margin)
    np.testing.assert_allclose(mean_of_e(bets, 40, rates + margin, weights), 1.0, rtol=2e-3)
    # Nothing has changed at all: then a margin makes it less.
    unchanged = mean_of_e(bets, 40, rates, weights)
    assert (unchanged <= 1.001).all()
    if margin:
        assert (unchanged < 1.0).all()


def test_the_design_effect_divides_the_evidence_and_what_is_taught() -> None:
    plain, repeated = bets_of(500, 50), bets_of(500, 50, effect=4.0)
    window = Rows(200.0, 40.0)
    np.testing.assert_allclose(repeated.log_e(window, NOTHING), plain.log_e(window, NOTHING) / 4.0)
    assert repeated.learn(window, NOTHING) == Rows(50.0, 10.0)


def windows(rng: np.random.Generator, rate: float, n: int, labels: int = 200) -> np.ndarray:
    return np.array([[labels, int(k) * UNIT] for k in rng.binomial(labels, rate, n)])


def first_alarm(rng: np.random.Generator, fed: np.ndarray, baseline: int = 5000) -> int | None:
    known = np.array([baseline, int(rng.binomial(baseline, 0.1)) * UNIT])
    detector = Detector(loss_bets([WRONG], known, tolerance=0.0, margin=POINT), 1000.0, 30)
    return next((i for i, window in enumerate(fed) if detector.score(window).fired), None)


def test_quiet_streams_stay_quiet_and_a_rise_by_three_points_is_found_in_twenty_windows() -> None:
    """By chance 20 streams of 300 windows may have 6 alarms at A = 1000; frozen bets alone took 66 windows, and missed a quarter."""
    quiet = []
    delays = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 1])
        quiet.append(first_alarm(rng, windows(rng, 0.1, 300)))
        rng = np.random.default_rng([seed, 2])
        fed = np.concatenate([windows(rng, 0.1, 50), windows(rng, 0.13, 150)])
        delays.append(first_alarm(rng, fed))
    assert sum(alarm is not None for alarm in quiet) <= 2
    assert all(delay is not None and delay >= 50 for delay in delays)
    assert np.mean([delay - 49 for delay in delays if delay is not None]) <= 20


def test_a_loss_that_is_there_from_the_first_window_is_found_by_the_frozen_ones() -> None:
    """Taught bets learn it; each single window is within its interval."""
    rng = np.random.default_rng(3)
    fed = windows(rng, 0.14, 300, labels=60)
    assert first_alarm(np.random.default_rng(4), fed) is not None


def test_a_detector_of_taught_bets_goes_on_bit_by_bit() -> None:
    bets = loss_bets([WRONG], np.array([5000, 500 * UNIT]), margin=POINT)
    fed = windows(np.random.default_rng(5), 0.11, 30)
    whole, first = Detector(bets, 1000.0), Detector(bets, 1000.0)
    for window in fed[:17]:
        whole.score(window)
        first.score(window)
    second = Detector.from_bytes(bets, first.to_bytes())
    assert [whole.score(w).evidence for w in fed[17:]] == [second.score(w).evidence for w in fed[17:]]
    assert whole.to_bytes() == second.to_bytes()
