"""A baseline of rows by weight: as many whole rows as they are worth, laid as all of the traffic was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.readings.test_readings import BEGIN, MINUTE, Raw, column, draw

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Floats, NumberColumn
from calidris.metrics.performance.regression import MEASURES, Errors
from calidris.state import Spec
from calidris.state.blocks.labelled import LabelStates

N = 20_000


def baseline_of(raw: Raw, task: str, weight: Floats | None = None, *, timed: bool = True) -> Baseline:
    batch = raw.batch if weight is None else replace(raw.batch, weight=NumberColumn.of(weight))
    template = Spec(task=task, positive="1", threshold=0.3)
    delay = np.full(len(raw.truth), 5.0)
    columns = BaselineColumns(batch, column(raw.truth), timed, delay_s=delay)
    return build(columns, template, window_s=60.0, slices=("sex",))


def sampled(task: str) -> tuple[Raw, Floats]:
    """Every row with a high score, and a tenth of the others."""
    raw = draw(task, 3, N, BEGIN - 100 * MINUTE, 100 * MINUTE)
    high = raw.score >= 0.5
    return raw, np.where(high, 1.0, 10.0)


def kish(weight: Floats) -> int:
    return round(weight.sum() ** 2 / (weight**2).sum())


@pytest.mark.parametrize("timed", [True, False])
def test_shares_are_weighted_and_rows_are_what_they_are_worth(timed: bool) -> None:
    raw, weight = sampled("binary")
    made = baseline_of(raw, "binary", weight, timed=timed)
    # Each of a hundred windows is rounded by itself.
    assert made.rows == pytest.approx(kish(weight), abs=60) and made.given_rows == N
    assert made.labels.count == pytest.approx(kish(weight), abs=60)
    scores = made.counts.field(next(i for i, f in enumerate(made.spec.fields) if f.name == "ml.prediction.score"))
    cells = made.spec.encode(raw.batch) - made.spec.offsets[:-1, None]
    at = next(i for i, f in enumerate(made.spec.fields) if f.name == "ml.prediction.score")
    wanted = np.bincount(cells[at], weights=weight, minlength=len(scores)) / weight.sum()
    np.testing.assert_allclose(scores / scores.sum(), wanted, atol=0.003)
    confusion = made.labels.groups.confusion()
    right = (raw.predicted == "1") == (raw.truth == 1)
    assert np.trace(confusion) / confusion.sum() == pytest.approx(np.average(right, weights=weight), abs=0.005)


def test_all_is_the_sum_of_its_windows() -> None:
    raw, weight = sampled("binary")
    made = baseline_of(raw, "binary", weight)
    np.testing.assert_array_equal(made.windows.sum(axis=0, dtype=np.int64), made.counts.array)
    total = LabelStates.empty(made.spec)
    for tables in made.window_labels:
        total.add(tables)
    for one, whole in zip(total.all, made.labels.all):
        np.testing.assert_array_equal(one.array, whole.array)
    left = made.leave_out(np.arange(len(made.window_starts)) < 10)
    assert (left.counts.array >= 0).all() and all((state.array[..., 0] >= 0).all() for state in left.labels.all)


def test_losses_stay_inside_their_bins() -> None:
    raw, weight = sampled("binary")
    bins = baseline_of(raw, "binary", weight).labels.losses.bins()
    begins = np.arange(20) / 20
    assert (bins.total >= begins * bins.n).all() and (bins.total <= (begins + 0.05) * bins.n).all()


def test_errors_and_moments_are_weighted() -> None:
    raw, weight = sampled("regression")
    made = baseline_of(raw, "regression", weight)
    errors = raw.predicted - raw.truth
    found = Errors.of(made.labels.residuals)
    assert MEASURES["mae"](found).value == pytest.approx(np.average(np.abs(errors), weights=weight), rel=2e-3)
    assert MEASURES["bias"](found).value == pytest.approx(np.average(errors, weights=weight), abs=0.02)
    at = next(i for i, f in enumerate(made.spec.fields) if f.name == "ml.prediction.value")
    moments = made.moments.field(at)
    assert moments.mean == pytest.approx(np.average(raw.predicted, weights=weight), abs=0.01)
    assert moments.n == kish(weight)


def test_a_file_holds_it_and_says_so() -> None:
    raw, weight = sampled("binary")
    made = baseline_of(raw, "binary", weight)
    back = Baseline.from_bytes(made.to_bytes())
    assert (back.id, back.weighed, back.rows) == (made.id, N, made.rows)
    plain = baseline_of(raw, "binary")
    assert plain.weighed is None and b"weighed" not in plain.to_bytes()
    assert baseline_of(raw, "binary", np.ones(N)).to_bytes() == plain.to_bytes(), "weights of one are none"
