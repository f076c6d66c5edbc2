"""Late labels on simulated raw rows: positives take four times as long as negatives, and 5 % never come."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics import Status
from calidris.metrics.labels.late_label_readings import (
    WITHIN,
    adjusted_calibration,
    adjusted_performance,
    delay_readings,
)
from calidris.metrics.labels.maturity import Cohort, delay_adjusted, find_settled_age_s, fixed_age, reporting
from calidris.metrics.performance.performance_measures import accuracy
from calidris.state import ScoresState, Spec
from calidris.state.blocks.scores import DELAY_EDGES_S

DAY = 86400.0
SPEC = Spec()
ONE_DAY = DELAY_EDGES_S.index(DAY)


class Raw(NamedTuple):
    """Rows of one cohort, with the seconds until each label (infinite: never)."""

    score: NDArray[np.float64]
    outcome: NDArray[np.int64]
    delay_s: NDArray[np.float64]

    @property
    def accuracy(self) -> float:
        return float(((self.score >= 0.5) == self.outcome).mean())


def raw(n: int, g: np.random.Generator) -> Raw:
    score = g.beta(2, 4, n)
    outcome = (g.random(n) < score).astype(np.int64)
    # Positives are found late and are what the model gets wrong most, so early labels flatter it.
    delay = np.minimum(g.lognormal(np.where(outcome == 1, math.log(2 * DAY), math.log(0.5 * DAY)), 1.0), 29 * DAY)
    return Raw(score, outcome, np.where(g.random(n) < 0.05, math.inf, delay))


def cohort(rows: Raw, age_s: float) -> Cohort:
    state = ScoresState(SPEC)
    here = rows.delay_s <= age_s
    state.update(rows.score[here], rows.outcome[here], rows.delay_s[here])
    return Cohort.of(age_s, len(rows.score), state)


@pytest.fixture(scope="module")
def history() -> list[tuple[Raw, Cohort]]:
    """Forty days, a cohort every twelve hours, oldest first."""
    g = np.random.default_rng(1)
    ages = np.arange(80, 0, -1) * DAY / 2
    return [(rows, cohort(rows, age)) for age in ages.tolist() for rows in [raw(600, g)]]


def value(bins: NDArray[np.float64]) -> float:
    return accuracy(bins, SPEC).value


def test_delays_are_estimated_from_what_was_cut_off(history: list[tuple[Raw, Cohort]]) -> None:
    """Against all delays of all rows, which no cohort under 30 days shows."""
    cohorts = [c for _, c in history]
    known = reporting(cohorts)
    for outcome in (0, 1):
        delays = np.concatenate([r.delay_s[r.outcome == outcome] for r, _ in history])
        delays = delays[np.isfinite(delays)]
        want = [(delays <= edge).mean() for edge in DELAY_EDGES_S]
        assert known.share[outcome] == pytest.approx(want, abs=0.01)
    arrived = np.concatenate([r.delay_s[(r.outcome == 1) & (r.delay_s <= c.age_s)] for r, c in history[-10:]])
    assert (arrived <= DAY).mean() > known.share[1, ONE_DAY] + 0.1  # what a histogram of arrivals would say
    assert known.share[0, 1] > 2 * known.share[1, 1]
    assert known.nearly_all() == 5
    assert known.nearly_all(0.85) == 4


def test_what_is_in_is_biased_fixed_age_compares_and_adjusted_is_near_the_truth(
    history: list[tuple[Raw, Cohort]],
) -> None:
    """The truth is about 0.75. Newest three days: naive is 0.05 too high; fixed age as much off as a month ago; adjusted 0.015."""
    cohorts = [c for _, c in history]
    newest, old = history[-6:-1], history[:20]
    truth = np.mean([r.accuracy for r, _ in history])
    naive = value(np.sum([c.scores.sum(axis=1) for _, c in newest], axis=0))
    assert naive > truth + 0.03
    now, then = (fixed_age([c for _, c in part], ONE_DAY) for part in (history[-8:], old))
    assert value(now.bins) > truth + 0.03
    assert value(now.bins) == pytest.approx(value(then.bins), abs=0.03)
    adjusted = delay_adjusted([c for _, c in newest], reporting(cohorts))
    assert adjusted is not None
    assert value(adjusted.bins) == pytest.approx(truth, abs=0.02)


def test_adjusted_is_right_on_average_and_its_interval_covers() -> None:
    """100 histories of 33 days; the figure of the three cohorts that are one to three days old."""
    g = np.random.default_rng(2)
    big = raw(400_000, g)
    seen = np.isfinite(big.delay_s)
    truth = Raw(*(x[seen] for x in big)).accuracy
    values, inside, naive = [], [], []
    for _ in range(100):
        cohorts = [cohort(raw(250, g), age) for age in (np.arange(33, 0, -1) * DAY + 3600).tolist()]
        window = cohorts[-3:]
        (r,) = adjusted_performance(delay_adjusted(window, reporting(cohorts)), SPEC, "1d", measures=["accuracy"])
        assert r.value is not None and r.lower is not None and r.upper is not None
        values.append(r.value)
        inside.append(r.lower <= truth <= r.upper)
        naive.append(value(np.sum([c.scores.sum(axis=1) for c in window], axis=0)))
    assert abs(np.mean(values) - truth) < 3 * np.std(values) / math.sqrt(100) + 0.002
    assert np.mean(naive) > truth + 0.03
    assert 0.9 <= np.mean(inside) <= 0.99


def test_adjusted_weighs_each_class_by_what_is_in(history: list[tuple[Raw, Cohort]]) -> None:
    """By hand for one cohort: sums over rows of 1/G, class by class."""
    cohorts, (rows, newest) = [c for _, c in history], history[-4]
    known = reporting(cohorts)
    adjusted = delay_adjusted([newest], known)
    assert adjusted is not None
    last = newest.complete - 1
    here = rows.delay_s <= DELAY_EDGES_S[last]
    weight = 1 / known.share[rows.outcome[here], last]
    right = (rows.score[here] >= 0.5) == rows.outcome[here]
    assert value(adjusted.bins) == pytest.approx((weight * right).sum() / weight.sum(), abs=1e-9)
    of_classes = [weight[rows.outcome[here] == outcome] for outcome in (0, 1)]
    worth = min(w.sum() / (w**2).sum() for w in of_classes)
    assert adjusted.bins[..., 0].sum() == pytest.approx(weight.sum() * worth)
    assert adjusted.labelled == here.sum()
    assert adjusted.smallest == pytest.approx(known.share[:, last].min())


def test_too_young_or_unknown_delays_are_refused(history: list[tuple[Raw, Cohort]]) -> None:
    cohorts = [c for _, c in history]
    g = np.random.default_rng(3)
    known = reporting(cohorts)
    assert delay_adjusted([cohort(raw(500, g), 1800.0)], known) is None  # not one complete bucket
    assert known.share[1, 0] < 0.1
    assert delay_adjusted([cohort(raw(500, g), 2 * 3600.0)], known) is None  # less than a tenth of the positives
    assert delay_adjusted([], known) is None
    assert delay_adjusted([cohorts[-5]], reporting([])) is None
    assert math.isnan(value(fixed_age([], 0).bins))
    none = adjusted_performance(None, SPEC, "1d") + adjusted_calibration(None, SPEC, "1d")
    assert {(r.status, r.n) for r in none} == {(Status.TOO_FEW, 0)}


def test_a_class_that_never_came_is_not_known() -> None:
    only = Raw(np.full(50, 0.3), np.zeros(50, np.int64), np.full(50, 2 * 3600.0))
    assert np.isnan(reporting([cohort(only, 10 * DAY)]).share[1, :-1]).all()


def settled(quick: Floats, slow: Floats, age_s: float = 10 * DAY) -> float | None:
    """From which age rows are complete, by one cohort with labels of two classes after so many seconds."""
    delay = np.concatenate([quick, slow])
    rows = Raw(np.full(len(delay), 0.3), np.repeat([0, 1], [len(quick), len(slow)]), delay)
    cohorts = [cohort(rows, age_s)]
    return find_settled_age_s(cohorts, reporting(cohorts))


def test_rows_are_complete_from_the_delay_on_that_nearly_all_labels_of_each_class_keep() -> None:
    hour = 3600.0
    soon, within_a_day = np.full(400, 0.5 * hour), np.full(400, 20 * hour)
    assert settled(soon, soon) == hour
    assert settled(soon, within_a_day) == 24 * hour, "the slower class decides"
    late = np.concatenate([soon, np.full(3, 2 * hour)])
    assert settled(soon, late) == hour, "3 of 403 may be late"
    assert settled(soon, np.concatenate([soon, np.full(5, 2 * hour)])) == 6 * hour, "5 of 405 may not"


def test_what_was_not_watched_for_longer_is_not_said_to_be_over() -> None:
    soon = np.full(400, 1800.0)
    assert settled(soon, soon, age_s=2 * 3600.0) is None, "one delay is watched: all labels are in by construction"
    assert settled(soon, soon, age_s=7 * 3600.0) == 3600.0
    assert settled(soon, np.full(299, 1800.0)) is None, "too few labels of a class"
    assert settled(soon, np.zeros(0)) is None


def test_readings_say_their_maturity(history: list[tuple[Raw, Cohort]]) -> None:
    cohorts = [c for _, c in history]
    adjusted = delay_adjusted(cohorts[-8:-2], reporting(cohorts))
    found = adjusted_performance(adjusted, SPEC, "3d", labels={"country": "NL"}) + adjusted_calibration(
        adjusted, SPEC, "3d", measures=["brier", "ece", "slope"]
    )
    assert {dict(r.attributes)[semconv.ML_LABEL_MATURITY] for r in found} == {"delay_adjusted"}
    assert {r.status for r in found} == {Status.OK}
    assert adjusted is not None
    assert {r.n for r in found} == {adjusted.labelled}
    assert adjusted_calibration(adjusted, Spec(task=semconv.ML_MODEL_TASK_REGRESSION), "3d") == []


def test_delay_histogram(history: list[tuple[Raw, Cohort]]) -> None:
    found = delay_readings([c for _, c in history], "30d")
    delays = np.concatenate([r.delay_s for r, c in history if c.age_s >= 30 * DAY])
    delays = delays[np.isfinite(delays)]
    assert [r.value for r in found] == pytest.approx([(delays <= edge).mean() for edge in DELAY_EDGES_S])
    assert [dict(r.attributes)["ml.label.delay.within"] for r in found] == list(WITHIN)
    assert delay_readings([], "30d") == []
