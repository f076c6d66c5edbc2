from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, mean_absolute_error

from calidris.state import Loss, LossesState, Slice, Spec, row_losses
from calidris.state.blocks.losses import LOSS_BINS
from calidris.state.blocks.table_state import DELAY_EDGES_S

BINARY = Spec(slices=(Slice("sex", ("f",)),), losses=(Loss("error"), Loss("brier")))
NUMBER = Spec(task="regression", losses=(Loss("absolute_error", 2.0), Loss("squared_error", 4.0)))


def test_means_are_those_of_scikit_learn_on_the_raw_rows() -> None:
    g = np.random.default_rng(0)
    score, sex = g.random(5000), g.integers(-1, 3, 5000)
    outcome = (g.random(5000) < score).astype(float)
    state = LossesState(BINARY)
    losses = row_losses(BINARY.losses, outcome, (score >= 0.5).astype(float), score)
    state.update(losses, np.zeros(5000), np.array([np.where(sex >= 0, 1 + np.minimum(sex, 1), -1)]))
    for row, chosen in ((0, sex > -2), (1, sex == 0), (2, sex >= 1)):
        n, total, missing, clipped = state.bins(row)
        assert n.sum(axis=1).tolist() == [chosen.sum()] * 2
        error, brier = total.sum(axis=1) / n.sum(axis=1)
        assert error == pytest.approx(1 - accuracy_score(outcome[chosen], score[chosen] >= 0.5), abs=1e-12)
        assert brier == pytest.approx(brier_score_loss(outcome[chosen], score[chosen]), abs=1e-9)
        assert not missing.any()
        assert not clipped.any()


def test_regression_losses_are_shares_of_their_caps_and_clipped_there() -> None:
    g = np.random.default_rng(1)
    truth, value = g.normal(size=4000), g.normal(size=4000)
    state = LossesState(NUMBER)
    state.update(row_losses(NUMBER.losses, truth, None, value), g.exponential(1e5, 4000))
    n, total, _, clipped = state.bins()
    error = np.abs(truth - value)
    assert clipped.tolist() == [(error > 2).sum()] * 2
    assert 2 * total[0].sum() / n[0].sum() == pytest.approx(
        mean_absolute_error(np.minimum(error, 2), np.zeros(4000)), abs=1e-9
    )
    assert 4 * total[1].sum() == pytest.approx(np.minimum(error**2, 4).sum(), abs=1e-5)


def test_a_bins_sum_lies_between_its_ends_exactly() -> None:
    g = np.random.default_rng(2)
    edges = np.arange(LOSS_BINS + 1) / LOSS_BINS
    near = np.concatenate([edges, np.nextafter(edges, 2)[:-1], np.nextafter(edges, -1)[1:], g.random(1000)])
    spec = Spec(losses=(Loss("absolute_error", 1.0),))
    for loss in near:
        state = LossesState(spec)
        state.update(np.array([[loss]]), np.zeros(1))
        n, total, _, _ = state.bins()
        (k,) = np.flatnonzero(n[0])
        fixed = int(state.array[..., :LOSS_BINS, 1].sum())
        assert k * 2**30 <= fixed * LOSS_BINS <= (k + 1) * 2**30
        assert total[0, k] == pytest.approx(loss, abs=1e-9)


def test_views_by_delay_add_up() -> None:
    g = np.random.default_rng(3)
    delay, losses = g.exponential(3e5, 3000), g.random((2, 3000))
    state = LossesState(BINARY)
    state.update(losses, delay)
    for bucket, end in enumerate(DELAY_EDGES_S):
        n, total, _, _ = state.bins(delay=bucket)
        assert n.sum(axis=1).tolist() == [(delay <= end).sum()] * 2
        assert total.sum(axis=1) == pytest.approx(losses[:, delay <= end].sum(axis=1), abs=1e-5)


def test_missing_losses_are_counted_and_nothing_else() -> None:
    state = LossesState(BINARY)
    nothing = np.full(3, np.nan)
    state.update(
        row_losses(BINARY.losses, np.array([1.0, 0.0, np.nan]), np.array([1.0, np.nan, 0.0]), None), np.zeros(3)
    )
    n, total, missing, _ = state.bins()
    assert state.count == 3
    assert missing.tolist() == [2, 3]
    assert n.sum(axis=1).tolist() == [1, 0]
    assert not total.any()
    assert row_losses((), nothing).shape == (0, 3)


def test_empty_one_row_and_a_spec_without_losses() -> None:
    state = LossesState(BINARY)
    state.update(np.empty((2, 0)), np.empty(0), np.empty((1, 0), np.int64))
    assert state == LossesState(BINARY)
    state.update(np.array([[1.0], [0.3]]), np.zeros(1))
    assert state.count == 1
    without = LossesState(Spec())
    without.update(np.empty((0, 4)), np.zeros(4))
    assert without.count == 0
    assert without.bins().n.shape == (0, LOSS_BINS)


@pytest.mark.parametrize("losses", [np.zeros((1, 2)), np.zeros((2, 3)), np.array([[0.0, 0.1], [-1e-9, 0.0]])])
def test_losses_that_do_not_fit_are_refused(losses: np.ndarray) -> None:
    state = LossesState(BINARY)
    with pytest.raises(ValueError, match="loss"):
        state.update(losses, np.zeros(2))
    assert state == LossesState(BINARY)


def test_an_infinite_loss_is_the_cap() -> None:
    state = LossesState(NUMBER)
    state.update(row_losses(NUMBER.losses, np.array([-1e308]), None, np.array([1e308])), np.zeros(1))
    n, total, _, clipped = state.bins()
    assert n[:, -1].tolist() == total[:, -1].tolist() == clipped.tolist() == [1, 1]
