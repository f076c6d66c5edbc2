"""Bets that labels come at other times than they did: how late those of each outcome are, and how many rows have one in time.

Figures of a fixed age compare windows only while labels take as long as they took. Where those of one outcome come later than
they did, the rows that have one by then are others, and a model that is as good as ever looks better or worse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from calidris.batch import Ints
from calidris.config.units import window_name
from calidris.detect.bets.linear import LinearBets
from calidris.detect.bets.losses import Loss, loss_bets
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.handicap import handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.state.blocks.table_state import DELAY_EDGES_S

LESS = "less often"
"""The direction of every bet: of each event its opposite is there too."""

_HEAD = "labels"
"""Counts the rows of the window, and is bet on by nobody."""

_UNIT = 1 << 30


def delay_events(outcomes: Sequence[str], last: int) -> tuple[Loss, ...]:
    """Whether a label came within each delay that is shorter than the age, of each outcome, and the opposites.

    Given the outcome, so that outcomes that become more frequent are no news here.

    Args:
        outcomes: what they are called; one empty name where there are no classes.
        last: the delay bucket that ends at the age.

    >>> [event.name for event in delay_events(["1"], 1)]
    ['labels', 'outcome 1 within 1h', 'outcome 1 after 1h']
    """
    events = [Loss.zero_one(_HEAD)]
    for outcome in outcomes:
        about = f"outcome {outcome}" if outcome else "label"
        for edge in DELAY_EDGES_S[:last]:
            length = window_name(edge)
            events.append(Loss.zero_one(f"{about} within {length}"))
            events.append(Loss.zero_one(f"{about} after {length}"))
    return tuple(events)


def delay_counts(labelled: Ints) -> Ints:
    """Rows and hits of ``delay_events``, int64[cells], of labelled rows int64[outcomes, buckets up to the age]."""
    total = labelled.sum(axis=1)
    out = [int(total.sum()), 0]
    for rows, by_bucket in zip(total.tolist(), labelled):
        within = by_bucket.cumsum()[:-1]
        for soon in within.tolist():
            out += [rows, soon * _UNIT]
            out += [rows, (rows - soon) * _UNIT]
    return np.array(out, dtype=np.int64)


def coverage_events(last: int) -> tuple[Loss, ...]:
    """Whether a row has a label at the age, and the opposite.

    >>> [event.name for event in coverage_events(2)]
    ['a label within 1d', 'no label within 1d']
    """
    length = window_name(DELAY_EDGES_S[last])
    names = (f"a label within {length}", f"no label within {length}")
    return tuple(map(Loss.zero_one, names))


def coverage_counts(rows: int, labelled: int) -> Ints:
    """Rows and hits of ``coverage_events``, int64[4].

    >>> (coverage_counts(10, 4) // [1, 2**30, 1, 2**30]).tolist()
    [10, 4, 10, 6]
    """
    some = min(labelled, rows)
    counts = [rows, some * _UNIT, rows, (rows - some) * _UNIT]
    return np.array(counts, dtype=np.int64)


def moved_bets(
    events: Sequence[Loss],
    known: Ints,
    windows: Ints | None,
    *,
    delta: float = 0.05,
    tolerance: float = 0.05,
    minimum_rows: int = MINIMUM_ROWS,
    days: Days | None = None,
) -> LinearBets:
    """Bets that events happen less often than they did; as each event's opposite is watched too, in either direction.

    Each is the bet of ``loss_bets`` on one minus the event, a number that is 0 or 1, and so are guarantee and cost: with probability
    at least 1 - δ over the rows that ``known`` counts, and for rows that are independent given the past, E[e | past] <= 1 in every
    window in which each event happens as often as it did, up to ``tolerance`` standard deviations. Clopper-Pearson, exact; with
    windows their design effects divide the evidence, which is approximate.

    Which rows have a label by the age may depend on anything. It is asked only that it goes on to depend on it in the same way.

    Args:
        events: from ``delay_events`` or ``coverage_events``.
        known: counts int64[cells] of rows from before any change.
        windows: counts int64[W, cells] of windows from before any change, or None.
        delta: chance that ``known`` misleads.
        tolerance: changes up to this many standard deviations are no news.
        minimum_rows: windows with fewer rows are merged with the next.
        days: that the windows lie in.

    >>> events = coverage_events(2)
    >>> bets = moved_bets(events, coverage_counts(5000, 4000), None)
    >>> bets.names[1], bets.directions[0], len(bets)
    ('no label within 1d', 'less often', 12)
    """
    made = loss_bets(
        events,
        known,
        windows,
        delta=delta,
        tolerance=tolerance,
        weights={_HEAD: 0.0},
        side="better",
        minimum_rows=minimum_rows,
        days=days,
    )
    assert isinstance(made, LinearBets), "live windows teach bets on worse alone"
    said = replace(made, directions=(LESS,) * len(made))
    given = handicap(said, windows, minimum_rows)
    return replace(said, handicap=given)


def back_bets(
    events: Sequence[Loss],
    known: Ints,
    named: Sequence[str],
    *,
    delta: float = 0.05,
    tolerance: float = 0.05,
    minimum_rows: int = MINIMUM_ROWS,
) -> LinearBets:
    """For ``Recovery``: bets that named events happen as often as they did, so that their opposites are back below what is allowed.

    Guarantee: E[e | past] <= 1 while the opposite of each named event still happens more often than ``moved_bets`` allows.
    """
    opposite = dict(_opposites(events))
    made = loss_bets(
        events,
        known,
        None,
        delta=delta,
        tolerance=tolerance,
        weights={_HEAD: 0.0},
        side="recovered",
        minimum_rows=minimum_rows,
    )
    assert isinstance(made, LinearBets), "live windows teach bets on worse alone"
    return made.of(tuple(opposite[name] for name in named))


def _opposites(events: Sequence[Loss]) -> Iterator[tuple[str, str]]:
    """Each event and its opposite, which is beside it."""
    names = [event.name for event in events if event.name != _HEAD]
    for one, other in zip(names[::2], names[1::2]):
        yield one, other
        yield other, one
