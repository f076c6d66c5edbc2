"""The onset of alarms on data whose change is known: NannyML's car loans, Friedman's function, the demonstration."""

from __future__ import annotations

import os

import numpy as np
import pytest
from benchmarks.detection.onsets import DATASETS, LOAN, MOST, Loans, of_demo, of_friedman, of_loans

DAY_NS = 24 * 3_600_000_000_000


def test_car_loans_change_where_their_documentation_says() -> None:
    """Drift and performance, against a change that `since` missed by five months."""
    if not (DATASETS / f"{LOAN}_reference.csv").exists():
        assert not os.environ.get("CI"), "the tables are not there: run `python scripts/fetch_datasets.py`"
        pytest.skip("the tables are not there: run `python scripts/fetch_datasets.py`")
    found = dict(of_loans(Loans("1d", DAY_NS)))
    assert found.keys() >= {"drift", "performance"}
    assert np.median([abs(found[kind].error) for kind in ("drift", "performance")]) <= MOST  # measured: 0 and 1 days


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_a_model_of_friedmans_function_gets_worse_where_it_does(share: float) -> None:
    found = [of_friedman(share, np.random.default_rng([9600, seed])) for seed in range(6)]
    assert np.median([abs(f.error) for f in found if f is not None]) <= MOST and None not in found


def test_the_demonstration_changes_where_it_does() -> None:
    found = of_demo(0)
    assert found is not None and abs(found.error) <= MOST and found.held
