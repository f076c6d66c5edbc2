"""What the detectors are fed with agrees with the raw rows, whatever the delay and the slice."""

import numpy as np
import pytest

from calidris.batch import CodedColumn
from calidris.detect import feeds
from calidris.detect.losses import Loss, parts
from calidris.state import CountsState, ScoresState, Slice, Spec

SPEC = Spec(threshold=0.3, slices=(Slice("country", ("de",)), Slice("sex", ("f", "m"))))


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    n = 3000
    score = rng.random(n)
    score[:3] = 0.3, 0.0, 1.0
    outcome = (rng.random(n) < score).astype(np.int64)
    delay = rng.choice([10.0, 5 * 3600.0, 10 * 86400.0], n)
    sex = rng.choice(["f", "m", "x"], n)
    state = ScoresState(SPEC)
    country = CodedColumn.of(["de"] * n)
    state.update(score, outcome, delay, SPEC.slice_rows([country, CodedColumn.of(list(sex))]))
    return score, outcome, delay, sex, state


@pytest.mark.parametrize(("delay", "within"), [(0, 3600.0), (1, 21600.0), (feeds.ALL_DELAYS, np.inf)])
def test_accuracy_and_brier_agree_with_the_rows(rows, delay, within):
    score, outcome, late, _, state = rows
    use = late <= within
    wrong = ((score >= 0.3) != outcome)[use]
    n, sums = feeds.accuracy_counts(state, delay)
    assert (n, sums / 2**30) == (use.sum(), wrong.sum())
    loss = feeds.brier_loss(SPEC)
    n_k, s_k = parts([loss], feeds.brier_counts(state, delay))[0]
    assert n_k.sum() == use.sum()
    assert s_k.sum() == pytest.approx(((score - outcome) ** 2)[use].sum(), abs=1e-5)
    assert (s_k >= n_k * np.array(loss.low) - 1e-5).all()
    assert (s_k <= n_k * np.array(loss.high) + 1e-5).all()


def test_groups_agree_with_the_rows(rows):
    score, outcome, _, sex, state = rows
    said = score >= 0.3
    assert feeds.level_names(SPEC, "sex") == ("f", "m", "(other)")
    expected = {
        feeds.selected_counts: (np.ones(len(sex), bool), said),
        feeds.true_positive_counts: (outcome == 1, said),
        feeds.false_positive_counts: (outcome == 0, said),
        feeds.correct_counts: (np.ones(len(sex), bool), said == (outcome == 1)),
    }
    for feed, (use, hit) in expected.items():
        table = feed(state, "sex")
        for i, level in enumerate(("f", "m", "x")):
            mine = use & (sex == level)
            assert table[i].tolist() == [(mine & ~hit).sum(), (mine & hit).sum()], feed.__name__
    with pytest.raises(ValueError, match="no slice"):
        feeds.level_names(SPEC, "age")


def test_errors_and_slow_calls_agree_with_the_cells():
    state = CountsState(SPEC)
    state.field(0)[:] = [90, 2, 8, 0, 0]
    assert (feeds.error_counts(state) == [100, 10 * 2**30]).all()
    cells = state.field(1)
    cells[0], cells[80], cells[100], cells[-1], cells[-2] = 50, 30, 10, 4, 6  # of them 4 above and 6 below the range
    loss, first = feeds.slow_loss(SPEC, 0.5)
    assert loss == Loss.zero_one("slower than 0.5 s")
    edge = SPEC.fields[1].edges[first]
    assert 0.5 <= edge <= 0.5 * 1.13
    n, slow = feeds.slow_counts(state, first)
    assert (n, slow / 2**30) == (100, 10 + 4)


def test_a_window_is_scored_once_its_last_row_is_old_enough():
    assert feeds.fixed_age_s(0) == 3600.0
    assert feeds.fixed_age_s(2) == 86400.0
    assert feeds.fixed_age_s(feeds.ALL_DELAYS) == float("inf")
