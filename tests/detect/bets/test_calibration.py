"""Calibration bets: E <= 1 on all of every bin, by enumeration of small windows, and at the power of the literature."""

from itertools import product

import numpy as np
import pytest
from scipy.special import expit, logit

from calidris.detect import Detector, calibration_bets, reliability_bets
from calidris.detect.bets.calibration import bin_ends, calibration_counts, layout_of
from calidris.detect.bets.linear import SCALE
from calidris.state import ScoresState, Spec

SPEC = Spec()
LOW, HIGH = bin_ends(SPEC)


def counts_of(score, outcome, spec=SPEC):
    state = ScoresState(spec)
    state.update(np.asarray(score, dtype=float), np.asarray(outcome, dtype=np.int64), np.zeros(len(score)))
    return calibration_counts(state)


def window(rng, n=200, shift=0.0, slope=1.0, beta=(2, 5)):
    score = rng.beta(*beta, n)
    return counts_of(score, rng.random(n) < expit(shift + slope * logit(score)))


def row_factors(bets, w):
    """What a row of either class multiplies each bet by in each bin, at ``low + w·width``: float64[2, B, bins]."""
    zero, one, sum_zero, sum_one = np.split(bets.coefficient, 4, axis=1)
    p = LOW + w * (HIGH - LOW)
    return np.exp([zero + SCALE * sum_zero * p, one + SCALE * sum_one * p])


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 0.5])
def test_no_row_wins_in_the_mean_anywhere_in_any_bin(tolerance):
    bets = calibration_bets(SPEC, tolerance=tolerance)
    largest = 0.0
    for w, off in product(np.linspace(0, 1, 41), (-tolerance, 0.0, tolerance)):
        p = LOW + w * (HIGH - LOW)
        inner = (p > 0) & (p < 1)
        truth = expit(logit(np.where(inner, p, 0.5)) + off)
        zero, one = row_factors(bets, w)
        mean = (1 - truth) * zero + truth * one
        assert mean[:, inner].max() <= 1.0 + 1e-9
        largest = max(largest, mean[:, inner].max())
    assert largest > 1.0 - 1e-6  # at the edge of what is allowed nothing is given away


def test_small_windows_by_enumeration():
    """All outcomes of five rows with scores anywhere: the fixed point's rounding included."""
    bets = calibration_bets(SPEC, tolerance=0.1)
    rng = np.random.default_rng(1)
    for _ in range(5):
        score = rng.random(5)
        truth = expit(logit(score) + rng.uniform(-0.1, 0.1, 5))
        mean = np.zeros(len(bets))
        for outcome in product((0, 1), repeat=5):
            weight = np.prod(np.where(outcome, truth, 1 - truth))
            mean += weight * np.exp(bets.play(counts_of(score, outcome), bets.nothing).log_e)
        assert (mean <= 1.0 + 1e-6).all()


def test_bins_lose_next_to_nothing():
    """The bins' evidence against that of the raw rows, on a shifted window."""
    rng = np.random.default_rng(4)
    score = rng.beta(2, 5, 1000)
    outcome = rng.random(1000) < expit(logit(score) + 0.4)
    bets = calibration_bets(SPEC, tolerance=0.1)
    q, u = expit(logit(score) + 0.5), expit(logit(score) + 0.1)
    raw = np.where(outcome, np.log(q / u), np.log((1 - q) / (1 - u))).sum()
    binned = bets.play(counts_of(score, outcome), bets.nothing).log_e[2]
    assert binned == pytest.approx(raw, abs=0.1)


CHANGES = {
    "shift .4": ({"shift": 0.4}, "outcomes more frequent", 6.5),
    "shift -.4": ({"shift": -0.4}, "outcomes less frequent", 6.5),
    "slope .7": ({"slope": 0.7}, "overconfident", 5.3),
    "slope 1.5": ({"slope": 1.5}, "underconfident", 5.3),
}


@pytest.mark.parametrize("case", CHANGES.values(), ids=CHANGES)
def test_changes_are_found_and_named_in_the_time_of_the_literature(case):
    change, word, expected = case
    delays, words = [], []
    for seed in range(12):
        rng, detector = np.random.default_rng([seed, 1]), Detector(calibration_bets(SPEC), 1000.0)
        for _ in range(5):
            detector.score(window(rng, beta=(1, 1)))
        for i in range(1, 60):
            verdict = detector.score(window(rng, beta=(1, 1), **change))
            if verdict.fired:
                delays.append(i)
                words.append(verdict.changes[0].direction)
                break
    assert len(delays) == 12
    assert np.mean(delays) < 2.0 * expected
    assert max(set(words), key=words.count) == word


def test_a_calibrated_model_is_left_alone_also_when_its_scores_drift():
    rng, detector = np.random.default_rng(11), Detector(calibration_bets(SPEC), 1000.0)
    assert not any(detector.score(window(rng, beta=(2, 5 + i % 7))).fired for i in range(400))


def test_an_empty_year_changes_nothing():
    detector = Detector(calibration_bets(SPEC), 10.0)
    detector.score(window(np.random.default_rng(0)))
    before = detector.to_bytes()
    silence = np.zeros(layout_of(SPEC).cells, dtype=np.int64)
    assert not any(detector.score(silence).scored for _ in range(8760))
    assert detector.to_bytes() == before


def test_repeated_rows_are_found_in_the_windows():
    rng = np.random.default_rng(9)
    windows = np.array([8 * window(rng, 100) for _ in range(60)])
    assert 6.0 < calibration_bets(SPEC, windows).effect[0] < 14.0


def test_a_map_covers_a_baseline_that_was_never_calibrated():
    """Overconfident from the start: identity alarms at once, the baseline's map does not; a further shift is found."""
    rng = np.random.default_rng(12)
    baseline = window(rng, 8000, slope=0.6)
    own = Detector(reliability_bets(SPEC, baseline), 1000.0)
    ideal = Detector(calibration_bets(SPEC), 1000.0)
    quiet = [window(rng, slope=0.6) for _ in range(200)]
    assert not any(own.score(w).fired for w in quiet)
    assert any(ideal.score(w).fired for w in quiet[:10])
    changed = [own.score(window(rng, shift=0.6, slope=0.6)) for _ in range(20)]
    assert next(v for v in changed if v.fired).changes[0].direction == "outcomes more frequent"


def test_the_map_s_own_error_is_inside():
    """Without any tolerance, over many small baselines: fewer streams alarm than T/A + δ allows."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 2])
        detector = Detector(reliability_bets(SPEC, window(rng, 1500), tolerance=0.0), 1000.0)
        alarms += any(detector.score(window(rng, 150)).fired for _ in range(60))
    assert alarms <= 60 * (0.05 + 60 / 1000)


def test_too_few_labels_for_a_map_are_said_so():
    with pytest.raises(ValueError, match="too few"):
        reliability_bets(SPEC, window(np.random.default_rng(0), 30))
    with pytest.raises(ValueError, match="out of range"):
        reliability_bets(SPEC, window(np.random.default_rng(0), 3000), delta=0.0)
    with pytest.raises(ValueError, match="below 2 logits"):
        calibration_bets(SPEC, tolerance=2.0)
