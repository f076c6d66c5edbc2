"""Version against version: what is counted, that equal versions are left alone, and that a shadow's pairs do no harm."""

from itertools import product

import numpy as np
import pytest

from calidris.detect import Detector, version_bets, version_counts
from calidris.errors import IncompatibleState
from calidris.state import CountsState, Field, Kind, Role

NUMBER = Field("x", Role.FEATURE, Kind.NUMERIC, edges=tuple(float(e) for e in range(25)))
LEVELS = Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b"))


def test_counts_of_both_versions_in_the_order_of_the_categories(world):
    spec = world.spec(numeric=1, categorical=1)
    sides = [CountsState(spec, world.window(spec, n)) for n in (300, 60)]
    for state, low in zip(sides, (7, 5)):
        state.field(2)[-4:] = [3, 1, low, 2]  # missing, unknown, low, high
    both = version_counts("x0", *sides).reshape(2, -1)
    bets = version_bets(spec.fields[2], "canary", "stable")
    assert both.shape == (2, bets.events.shape[1]) == (2, 14)
    assert both[:, 0].tolist() == [7, 5]
    assert both[0, -3:].tolist() == [2, 3, 1]
    np.testing.assert_array_equal(both[0, 1:11], sides[0].field(2)[:10])
    colours = version_counts("c0", *sides).reshape(2, -1)
    np.testing.assert_array_equal(colours[1], sides[1].field(3)[:6])


def test_many_bins_are_taken_together_and_no_row_is_lost(world):
    bets = version_bets(NUMBER, "b", "a")
    assert bets.events.shape[1] == 14
    assert ("from 0 to 3 more often", "from 0 to 3 less often") in bets.words
    assert version_bets(LEVELS, "b", "a").words[-1] == ("unknown values more often", "unknown values less often")
    spec = world.spec(numeric=0, categorical=0)
    state = CountsState(spec)
    state.field(1)[:] = np.arange(state.field(1).size)
    duration = spec.fields[1].name
    assert version_counts(duration, state, state).sum() == 2 * state.field(1).sum()


def test_equal_versions_are_left_alone_while_both_move(world):
    """No baseline: the common distribution drifts as it likes."""
    spec = world.spec(numeric=1, categorical=0)
    detector = Detector(version_bets(spec.fields[2], "b", "a", tolerance=0.02), 1000.0)
    for t in range(150):
        p = world.numeric(np.exp(0.2 * np.sin(t / 9) * (np.arange(10) - 4.5)))
        sides = [CountsState(spec, world.window(spec, n, x0=p)) for n in (300, 60)]
        assert not detector.score(version_counts("x0", *sides)).fired


def test_a_version_that_scores_higher_is_named(world):
    spec = world.spec(numeric=1, categorical=0)
    detector = Detector(version_bets(spec.fields[2], "v2", "v1"), 1000.0)
    up = world.numeric(np.exp(0.15 * (np.arange(10) - 4.5)))
    for _ in range(20):
        new, old = CountsState(spec, world.window(spec, 150, x0=up)), CountsState(spec, world.window(spec, 400))
        verdict = detector.score(version_counts("x0", new, old))
        if verdict.fired:
            break
    assert verdict.changes[0].field == "v2"
    assert "less often" in verdict.changes[0].direction  # "at most …" became rarer


@pytest.mark.parametrize("agree", [0.0, 0.5, 1.0])
def test_a_shadow_that_sees_the_same_rows_cannot_win_either(agree):
    """All windows of three pairs, of equal rates and answers that agree as if by chance, often, or always."""
    bets = version_bets(LEVELS, "shadow", "serving", tolerance=0.0, minimum_rows=1)
    memory = bets.play(np.array([9, 3, 1, 0, 4, 8, 0, 1]), bets.nothing).memory
    p = 0.35
    both = agree * p + (1 - agree) * p * p
    joint = {(1, 1): both, (1, 0): p - both, (0, 1): p - both, (0, 0): 1 - 2 * p + both}
    mean = np.zeros(len(bets.owner))
    for pairs in product(joint, repeat=3):
        a, b = np.sum(pairs, axis=0)
        window = np.array([a, 3 - a, 0, 0, b, 3 - b, 0, 0])
        mean += np.prod([joint[x] for x in pairs]) * np.exp(bets.play(window, memory).log_e)
    assert (mean <= 1.0 + 1e-9).all()
    assert mean.max() > 0.9 or agree


def test_other_cells_and_unknown_columns_are_refused(world):
    state = CountsState(world.spec())
    with pytest.raises(IncompatibleState):
        version_counts("x0", state, CountsState(world.spec(numeric=1)))
    with pytest.raises(ValueError, match="no column"):
        version_counts("y", state, state)
