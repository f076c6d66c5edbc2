"""Bets that labels come at other times: what is counted of raw labels, quiet without a change, loud either way, over when they are back."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.batch import Floats, Ints
from calidris.detect import Detector, Recovery
from calidris.detect.bets.losses import layout_of
from calidris.detect.label_delays import (
    back_bets,
    coverage_counts,
    coverage_events,
    delay_counts,
    delay_events,
    moved_bets,
)
from calidris.state.blocks.table_state import delay_buckets

HOUR = 3600.0
LAST = 2
"""Labels count within a day."""
THRESHOLD = 1000.0
UNIT = 2**30


def table(outcome: Ints, delay_s: Floats) -> Ints:
    """Labelled rows by outcome and delay bucket up to the age, of raw rows."""
    out = np.zeros((2, LAST + 1), dtype=np.int64)
    bucket = delay_buckets(delay_s)
    for one, at in zip(outcome.tolist(), bucket.tolist()):
        if at <= LAST:
            out[one, at] += 1
    return out


def draw(rng: np.random.Generator, n: int, share: float = 0.3, slow: tuple[float, float] = (0.3, 0.6)) -> Ints:
    """A window's labels: positive ones by ``share``, of either class some slow."""
    outcome = (rng.random(n) < share).astype(np.int64)
    late = rng.random(n) < np.array(slow)[outcome]
    return table(outcome, np.where(late, rng.choice([3 * HOUR, 12 * HOUR], n), 0.5 * HOUR))


def test_events_are_counted_as_raw_labels_say() -> None:
    rng = np.random.default_rng(1)
    outcome, delay = rng.integers(0, 2, 500), rng.exponential(9 * HOUR, 500)
    counts = dict(
        zip(
            [event.name for event in delay_events(["0", "1"], LAST)],
            delay_counts(table(outcome, delay)).reshape(-1, 2).tolist(),
        )
    )
    in_time = delay <= 24 * HOUR
    assert counts["labels"] == [in_time.sum(), 0]
    for one in (0, 1):
        mine = in_time & (outcome == one)
        for hours in (1, 6):
            soon = int((mine & (delay <= hours * HOUR)).sum())
            assert counts[f"outcome {one} within {hours}h"] == [mine.sum(), soon * UNIT]
            assert counts[f"outcome {one} after {hours}h"] == [mine.sum(), (mine.sum() - soon) * UNIT]


def test_of_a_regression_all_labels_are_of_one_outcome() -> None:
    names = [event.name for event in delay_events([""], 1)]
    assert names == ["labels", "label within 1h", "label after 1h"]


def watch(windows: Ints, names: tuple[str, ...] = ("0", "1")) -> Detector:
    events = delay_events(names, LAST)
    return Detector(moved_bets(events, windows.sum(axis=0), windows), THRESHOLD)


def learned(rng: np.random.Generator, windows: int = 100, n: int = 300) -> Ints:
    return np.array([delay_counts(draw(rng, n)) for _ in range(windows)])


def test_nothing_is_said_while_delays_stay_whatever_becomes_of_the_outcomes() -> None:
    """Outcomes that become twice as frequent are the model's business, and no news of the labels."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng([2, seed])
        detector = watch(learned(rng))
        alarms += sum(detector.score(delay_counts(draw(rng, 300, share=0.6))).fired for _ in range(200))
    assert alarms == 0  # one in 1000 windows is allowed: 4 in these 4000


@pytest.mark.parametrize(("slow", "word"), [((0.3, 0.85), "within"), ((0.3, 0.35), "after")])
def test_one_outcome_that_becomes_slower_or_faster_is_named(slow: tuple[float, float], word: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng([3, seed])
        detector = watch(learned(rng))
        verdicts = [detector.score(delay_counts(draw(rng, 300, slow=slow))) for _ in range(15)]
        first = next(v for v in verdicts if v.fired)
        assert {(c.field.split()[1], c.direction) for c in first.changes} == {("1", "less often")}
        assert word in first.changes[0].field


def test_fewer_rows_with_a_label_are_told_and_more() -> None:
    events, rng = coverage_events(LAST), np.random.default_rng(4)
    windows = np.array([coverage_counts(500, int(rng.binomial(500, 0.7))) for _ in range(100)])
    for share, name in ((0.6, "a label within 1d"), (0.8, "no label within 1d")):
        detector = Detector(moved_bets(events, windows.sum(axis=0), windows), THRESHOLD)
        verdicts = [detector.score(coverage_counts(500, int(rng.binomial(500, share)))) for _ in range(15)]
        first = next(v for v in verdicts if v.fired)
        assert [(c.field, c.direction) for c in first.changes] == [(name, "less often")]


def test_the_null_holds_at_its_edge() -> None:
    """E[e] <= 1 where an event happens as seldom as the tolerance allows, and less so below."""
    events = coverage_events(LAST)
    known = coverage_counts(200_000, 140_000)
    bets = moved_bets(events, known, None)
    share = 0.7 - 0.05 * np.sqrt(0.7 * 0.3)
    rng = np.random.default_rng(5)
    draws = rng.binomial(60, share, 20_000)
    logs = np.array([bets.play(coverage_counts(60, int(k)), bets.nothing).log_e for k in range(61)])[draws]
    fewer = bets.owner == 0
    mean, error = np.exp(logs[:, fewer]).mean(axis=0), np.exp(logs[:, fewer]).std(axis=0) / np.sqrt(len(draws))
    assert (mean <= 1.0 + 3.0 * error).all()


def test_recovery_is_told_when_labels_are_back_and_not_before() -> None:
    events, rng = coverage_events(LAST), np.random.default_rng(6)
    windows = np.array([coverage_counts(500, int(rng.binomial(500, 0.7))) for _ in range(100)])
    named = ["a label within 1d"]
    for share, back in ((0.55, False), (0.7, True)):
        recovery = Recovery(back_bets(events, windows.sum(axis=0), named))
        said = [recovery.score(coverage_counts(500, int(rng.binomial(500, share)))) for _ in range(100)]
        assert said[-1] is back


def test_a_window_without_labels_is_no_evidence_of_delays() -> None:
    rng = np.random.default_rng(7)
    detector = watch(learned(rng))
    nothing = delay_counts(np.zeros((2, LAST + 1), dtype=np.int64))
    assert not layout_of(delay_events(["0", "1"], LAST)).rows(nothing)
    assert not detector.score(nothing).scored
