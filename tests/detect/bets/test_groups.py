"""Two groups: E <= 1 over the whole null, by enumeration; silence, waiting, naming."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, multinomial

from calidris.detect import Detector, group_bets
from calidris.detect.bets.groups import log_e, projected


def window(rng, a, b, n_a=300, n_b=60):
    hits = rng.binomial([n_a, n_b], [a, b])
    return np.array([n_a - hits[0], hits[0], n_b - hits[1], hits[1]])


@pytest.mark.parametrize("gap", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("beyond", [False, True])
def test_nobody_wins_in_the_mean_anywhere_in_the_null(gap, beyond):
    """All windows of 5 and 3 rows, at rates all over the null, for bets of all kinds."""
    rates = np.linspace(0.01, 0.99, 9)
    q_a, q_b = (x.ravel() for x in np.meshgrid(rates, rates))
    wanted = (q_a - q_b < gap) if beyond else (q_a - q_b > gap)
    q_a, q_b = q_a[wanted], q_b[wanted]
    n = np.array([5.0, 3.0])
    theta = projected(q_a, q_b, n[0], n[1], gap, beyond=beyond)
    e = {
        (i, j): np.exp(log_e(q_a, theta[0], i, n[0]) + log_e(q_b, theta[1], j, n[1]))
        for i, j in product(range(6), range(4))
    }
    for r_a, r_b in product(np.linspace(0.0, 1.0, 21), repeat=2):
        if (r_a - r_b < gap) if beyond else (abs(r_a - r_b) > gap + 1e-12):
            continue
        mean = sum(binom.pmf(i, 5, r_a) * binom.pmf(j, 3, r_b) * each for (i, j), each in e.items())
        assert mean.max() <= 1.0 + 1e-9


def test_the_projection_is_the_minimum():
    q_a, q_b, n_a, n_b, gap = 0.4, 0.15, 30.0, 90.0, 0.05

    def loss(t):
        kl = [q * np.log(q / x) + (1 - q) * np.log((1 - q) / (1 - x)) for q, x in ((q_a, t + gap), (q_b, t))]
        return n_a * kl[0] + n_b * kl[1]

    best = minimize_scalar(loss, bounds=(0.01, 0.9), method="bounded", options={"xatol": 1e-10}).x
    theta = projected(np.array([q_a]), np.array([q_b]), n_a, n_b, gap, beyond=False)
    assert theta[1][0] == pytest.approx(best, abs=1e-6)
    assert theta[0][0] - theta[1][0] == pytest.approx(gap)


@pytest.mark.parametrize(
    ("categories", "ordered"), [(("no", "yes"), False), (("a", "b", "c"), False), (tuple("abcd"), True)]
)
def test_every_bet_has_mean_at_most_one_after_any_past(categories, ordered):
    """Enumerates all windows of 3 and 2 rows, with memories that lean the other way."""
    k = len(categories)
    bets = group_bets(["f", "m"], categories, tolerance=0.02, ordered=ordered, minimum_rows=1)
    rng = np.random.default_rng(1)
    memory = bets.nothing
    for _ in range(3):
        memory = bets.play(rng.integers(1, 20, 2 * k), memory).memory
    p = rng.dirichlet(np.ones(k))
    shift = np.zeros(k)
    shift[:2] = 0.02, -0.02  # total variation 0.02: just no news
    sides = [(np.abs(p + shift), 3), (p, 2)]
    tables = [[c for c in product(range(n + 1), repeat=k) if sum(c) == n] for _, n in sides]
    mean = np.zeros(len(bets.owner))
    for a, b in product(*tables):
        weight = multinomial.pmf(a, 3, sides[0][0] / sides[0][0].sum()) * multinomial.pmf(b, 2, p)
        mean += weight * np.exp(bets.play(np.array([*a, *b]), memory).log_e)
    assert (mean <= 1.0 + 1e-6).all()
    assert np.exp(bets.log_weight).sum() == pytest.approx(1.0)


def test_false_alarms_are_rarer_than_the_budget_without_tolerance():
    alarms, horizon = 0, 40
    for seed in range(60):
        rng, detector = np.random.default_rng([seed, 3]), Detector(group_bets(["a", "b"], tolerance=0.0), 100.0)
        alarms += any(detector.score(window(rng, 0.3, 0.3)).fired for _ in range(horizon))
    assert alarms / 60 <= horizon / 100.0


def test_a_common_rate_may_go_where_it_likes():
    rng, detector = np.random.default_rng(4), Detector(group_bets(["a", "b"], tolerance=0.0), 1000.0)
    rates = 0.5 + 0.4 * np.sin(np.arange(150) / 5)
    assert not any(detector.score(window(rng, r, r)).fired for r in rates)


def test_a_gap_is_found_and_named():
    rng, detector = np.random.default_rng(5), Detector(group_bets(["f", "m"], ["rejected", "granted"]), 1000.0)
    fired = next(v for v in (detector.score(window(rng, 0.3, 0.5)) for _ in range(40)) if v.fired)
    assert (fired.changes[0].field, fired.changes[0].direction) == ("f", "granted less often")


def test_one_of_three_groups_is_named_against_the_rest():
    rng, detector = np.random.default_rng(6), Detector(group_bets(["x", "y", "z"], tolerance=0.02), 1000.0)
    for _ in range(60):
        hits = rng.binomial(150, [0.3, 0.3, 0.55])
        verdict = detector.score(np.stack([150 - hits, hits], axis=1).ravel())
        if verdict.fired:
            break
    assert verdict.changes[0].field == "z"
    assert verdict.changes[0].direction == "yes more often"


def test_a_shape_is_found_against_an_unordered_set():
    """A canary whose classes come in other proportions."""
    rng, detector = (
        np.random.default_rng(7),
        Detector(group_bets(["stable", "canary"], list("abcdef"), tolerance=0.02), 1000.0),
    )
    p, q = np.full(6, 1 / 6), np.array([1, 3, 1, 3, 1, 3]) / 12
    assert any(detector.score(np.r_[rng.multinomial(400, p), rng.multinomial(100, q)]).fired for _ in range(30))


def test_a_group_without_rows_waits_and_silence_is_nothing():
    bets = group_bets(["a", "b"], tolerance=0.0)
    detector = Detector(bets, 10.0)
    for _ in range(200):
        assert detector.score(np.array([70, 30, 0, 0])).evidence == 0.0
    before = detector.to_bytes()
    assert not any(detector.score(np.zeros(4, dtype=np.int64)).scored for _ in range(8760))
    assert detector.to_bytes() == before
    memory = bets.nothing
    for rows in (10, 10, 10):
        played = bets.play(np.array([50, 50, rows - 1, 1]), memory)
        memory = played.memory
    np.testing.assert_array_equal(memory[0, :2], 0.0)  # the third window completed the pair
    np.testing.assert_array_equal(memory[0, 2], [150 + 27, 150 + 3])


def test_bytes_go_on_bit_by_bit():
    rng, bets = np.random.default_rng(8), group_bets(["a", "b", "c"], tolerance=0.01)
    detector = Detector(bets, 1000.0)
    for _ in range(5):
        detector.score(rng.integers(5, 60, 6))
    other = Detector.from_bytes(bets, detector.to_bytes())
    live = rng.integers(5, 60, 6)
    assert other.score(live) == detector.score(live)
    assert other.to_bytes() == detector.to_bytes()


def test_repeated_rows_are_found_in_the_windows():
    rng = np.random.default_rng(9)
    windows = np.array([6 * window(rng, 0.3, 0.3, 100, 60) for _ in range(80)])
    assert 5.0 < group_bets(["a", "b"], windows=windows).effect[0] < 10.0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: group_bets(["a"]), "two groups"),
        (lambda: group_bets(["a", "b"], ["x"]), "two categories"),
        (lambda: group_bets(["a", "b"], tolerance=0.5), "one half"),
        (lambda: group_bets(["a", "b"], list("xyz"), recovered="x more often"), "two categories"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong()
