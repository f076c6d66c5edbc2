"""Labels that come late, by class: what watches them, and what becomes of performance while it is judged and while it is on hold.

Windows of rows with an outcome, a mistake or none, and a label of some delay or none. Live windows teach what labels of one age are
like, as for a baseline without label times; then something changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from benchmarks.detection.common import BEFORE
from benchmarks.detection.config import CONFIG
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown, mean_se, quiet

from calidris.batch import Ints
from calidris.detect import Detector, Game, Loss, loss_bets
from calidris.detect.label_delays import (
    coverage_counts,
    coverage_events,
    delay_counts,
    delay_events,
    moved_bets,
)

ROWS, LEARNED, LAST = 300, 168, 2
"""Rows of a window, windows that are learned, and the bucket that ends at the age of a day."""
WRONG = Loss.zero_one("accuracy")
AHEAD = 0.05
"""Of streams in which labels move, the share in which performance may have spoken before the labels did."""


class How(NamedTuple):
    """How a window is drawn; the defaults are those of before.

    Attributes:
        name: of the change.
        share: of outcomes that are positive.
        mistakes: of either class.
        labelled: share of rows that get a label.
        labelled_before: the same before the change.
        late: of either class, the share of labels that come after the age.
        slow: of either class, the share of the others that take longer than an hour.
    """

    name: str = "nothing"
    share: float = 0.3
    mistakes: tuple[float, float] = (0.05, 0.2)
    labelled: float = 0.8
    labelled_before: float = 0.8
    late: tuple[float, float] = (0.05, 0.1)
    slow: tuple[float, float] = (0.4, 0.6)

    @property
    def before(self) -> How:
        """What was before the change."""
        return How(labelled=self.labelled_before)


MOVED = (
    How("all negative outcomes come after the age", late=(1.0, 0.1)),
    How("half of the negative ones", late=(0.5, 0.1)),
    How("half of the positive ones", late=(0.05, 0.5)),
    How("a tenth more of the negative ones", late=(0.15, 0.1)),
    How("a third of all labels never come", labelled=0.53),
    How("negative ones take longer, within the age", slow=(0.7, 0.6)),
    How("labels of a fifth of the rows, of all negative ones late", labelled=0.2, labelled_before=0.2, late=(1.0, 0.1)),
)
SAME = (
    How("mistakes of either class × 1.5", mistakes=(0.075, 0.3)),
    How("mistakes of either class × 2", mistakes=(0.1, 0.4)),
    How("positive outcomes .3 → .4", share=0.4),
)
"""Changes that move no delay."""


class Seen(NamedTuple):
    """What the detectors are fed with of one window."""

    delays: Ints
    coverage: Ints
    losses: Ints


def draw(rng: np.random.Generator, how: How) -> Seen:
    """One window."""
    outcome = (rng.random(ROWS) < how.share).astype(np.int64)
    wrong = rng.random(ROWS) < np.array(how.mistakes)[outcome]
    in_time = rng.random(ROWS) >= np.array(how.late)[outcome]
    known = in_time & (rng.random(ROWS) < how.labelled)
    slow = rng.random(ROWS) < np.array(how.slow)[outcome]
    bucket = np.where(slow, rng.integers(1, LAST + 1, ROWS), 0)
    labelled = np.zeros((2, LAST + 1), dtype=np.int64)
    np.add.at(labelled, (outcome[known], bucket[known]), 1)
    losses = WRONG.counts(wrong[known].astype(np.float64))
    coverage = coverage_counts(ROWS, int(known.sum()))
    return Seen(delay_counts(labelled), coverage, losses)


class Watch:
    """The detectors of one model, from live windows; what holds is asked after the labels of the same window."""

    def __init__(self, rng: np.random.Generator, before: How, *, hold: bool) -> None:
        seen = [draw(rng, before) for _ in range(LEARNED)]
        delays, coverage, losses = (np.array(part) for part in zip(*seen))
        self.hold = hold
        self.labels = (
            _detector(_moved(delay_events(("0", "1"), LAST), delays)),
            _detector(_moved(coverage_events(LAST), coverage)),
        )
        self.performance = _detector(_losses(losses))

    def take(self, seen: Seen) -> tuple[bool, bool]:
        """Whether the labels' detectors alarm now, and that of performance."""
        delays, coverage = self.labels
        moved = [delays.score(seen.delays).opened, coverage.score(seen.coverage).opened]
        holds = self.hold and (delays.alarm or coverage.alarm)
        worse = self.performance.score(seen.losses, hold=holds)
        return any(moved), worse.opened


def _moved(events: tuple[Loss, ...], windows: Ints) -> Game:
    return moved_bets(
        events,
        windows.sum(axis=0),
        windows,
        delta=CONFIG["delta"],
        tolerance=CONFIG["tolerance_sd"],
    )


def _losses(windows: Ints) -> Game:
    return loss_bets(
        [WRONG],
        windows.sum(axis=0),
        windows,
        delta=CONFIG["delta"],
        tolerance=0.0,
        margin=CONFIG["tolerance_loss"],
    )


def _detector(game: Game) -> Detector:
    return Detector(game, CONFIG["threshold"], CONFIG["minimum_rows"])


def null_table(effort: Effort) -> Table:
    """False alarms of both, counted as if each were cleared at once."""
    found: list[list[float]] = [[], []]
    for s in range(effort.streams):
        rng = np.random.default_rng([7100, s])
        watch = Watch(rng, How(), hold=True)
        alarms = [0.0, 0.0]
        for _ in range(effort.windows):
            opened = watch.take(draw(rng, How()))
            for kind, now in enumerate(opened):
                alarms[kind] += now
            for detector in (*watch.labels, watch.performance):
                if detector.alarm:
                    detector.clear()
        for kind, number in enumerate(alarms):
            found[kind].append(number)
    rows, musts = [], []
    for name, allowed, alarms in zip(("labels (two detectors)", "performance"), (2.0, 1.0), found):
        scaled = [number * 1000.0 / effort.windows for number in alarms]
        rows.append([name, f"{allowed:g}", mean_se(scaled, 2)])
        must = quiet(f"labels by class, {name}", alarms, effort.windows)
        musts.append(must._replace(measured=must.measured / allowed))
    title = f"Labels of {ROWS} rows a window, late by class, learned from {LEARNED} live windows; nothing changes"
    head = ("detector", "allowed per 1000 windows", "false alarms per 1000 windows")
    return Table(markdown(f"{title}; {effort.streams} streams of {effort.windows} windows", head, rows), tuple(musts))


class Outcome(NamedTuple):
    """Windows from the change to the alarm of the labels, and to that of performance."""

    labels: float
    performance: float


def _live(seed: list[int], how: How, horizon: int, *, hold: bool) -> Outcome:
    rng = np.random.default_rng(seed)
    watch = Watch(rng, how.before, hold=hold)
    for _ in range(BEFORE):
        watch.take(draw(rng, how.before))
    first = [NEVER, NEVER]
    for i in range(1, horizon + 1):
        for kind, opened in enumerate(watch.take(draw(rng, how))):
            if opened and first[kind] != first[kind]:
                first[kind] = float(i)
    return Outcome(*first)


def change_table(effort: Effort) -> Table:
    """What speaks after a change, with the hold and without."""
    rows, musts = [], []
    for number, how in enumerate((*MOVED, *SAME)):
        seeds = [[7200 + number, s] for s in range(effort.streams)]
        held = [_live(seed, how, effort.horizon, hold=True) for seed in seeds]
        free = [_live(seed, how, effort.horizon, hold=False) for seed in seeds]
        spoke = sum(one.performance == one.performance for one in held)
        before = sum(one.performance == one.performance for one in free)
        rows.append(
            [
                how.name,
                delay([one.labels for one in held]),
                f"{before} of {len(free)}",
                f"{spoke} of {len(held)}",
                delay([one.performance for one in held]),
            ]
        )
        musts += _musts(how, held, spoke)
    title = f"The same after {BEFORE} quiet windows and a change, {effort.streams} streams, at most {effort.horizon} windows"
    head = (
        "change",
        "alarm of the labels after",
        "streams in which performance alarms, never on hold",
        "the same, on hold while labels have moved",
        "performance alarms after",
    )
    return Table(markdown(title, head, rows), tuple(musts))


def _musts(how: How, held: list[Outcome], spoke: int) -> Iterator[Must]:
    missed = sum(one.labels != one.labels for one in held)
    if how in MOVED:
        yield Must(f"{how.name}: streams without an alarm of the labels", 0.0, float(missed))
        yield Must(f"{how.name}: share of streams in which performance spoke first", AHEAD, spoke / len(held))
    elif how in SAME[:2]:
        unfound = len(held) - spoke
        yield Must(f"{how.name}: streams without an alarm of performance", 0.0, float(unfound))


def tables(effort: Effort) -> Iterator[Table]:
    """Two tables; a minute."""
    yield null_table(effort.part(0.3, 0.4))
    yield change_table(Effort(max(effort.streams // 2, 4), 0, 0, min(effort.horizon, 100)))
