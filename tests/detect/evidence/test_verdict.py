"""Which fields an alarm names: the e-BH rule against its definition, and the errors that it may make."""

import numpy as np
import pytest

from calidris.detect.evidence.verdict import named


def by_definition(evidence, weight, alpha):
    """Weighted e-BH (Wang and Ramdas 2022): with e_i = F·w_i·R_i in descending order, k* = max{k: e_(k) >= F/(α·k)}."""
    e = len(evidence) * weight * evidence
    order = sorted(range(len(e)), key=lambda i: -e[i])
    k = max((k for k in range(1, len(e) + 1) if e[order[k - 1]] >= len(e) / (alpha * k)), default=0)
    return order[: max(k, 1)]  # the strongest is named in any case


@pytest.mark.parametrize("seed", range(40))
def test_named_fields_are_those_of_e_bh(seed):
    rng = np.random.default_rng(seed)
    fields, threshold = int(rng.integers(1, 30)), float(rng.choice([20.0, 1000.0]))
    evidence = np.exp(rng.normal(np.log(threshold), 2.5, fields))
    weight = rng.dirichlet(np.ones(fields))
    found = named(np.log(weight * evidence), np.log(threshold)).tolist()
    assert found == by_definition(evidence, weight, 1.0 / threshold)


def test_the_last_rank_that_reaches_its_limit_counts_not_the_first():
    """The second of three is below A/2, the third reaches A/3: all three are named."""
    assert named(np.log([1000.0, 450.0, 400.0]), np.log(1000.0)).tolist() == [0, 1, 2]
    assert named(np.log([1000.0, 450.0, 300.0]), np.log(1000.0)).tolist() == [0]


def test_falsely_named_fields_are_rare_among_e_values():
    """The rule's own claim, for e-values under strong dependence: the mean share of wrong names is at most α."""
    rng, alpha, share = np.random.default_rng(7), 0.2, []
    for _ in range(4000):
        common = rng.normal()
        z = 0.8 * common + 0.6 * rng.normal(size=10)
        z[:2] += 3.0
        log_e = 1.5 * z - 1.5**2 / 2
        e = np.sort(log_e)[::-1]
        k = max((k for k in range(1, 11) if e[k - 1] >= np.log(10 / (alpha * k))), default=0)
        found = named(log_e - np.log(10), -np.log(alpha))[:k]
        share.append(np.mean(found >= 2) if k else 0.0)
    assert 0.0 < np.mean(share) <= alpha
