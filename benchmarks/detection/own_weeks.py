"""The hour of the week, begun with the baseline's own weeks: a day that moves, a change to summer time, a first weekend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.streams import HOUR_NS, WEEK, as_counts, cells
from benchmarks.detection.table import NEVER, Effort, Must, Table, delay, markdown

from calidris.batch import Ints
from calidris.detect import Detector, References, SeasonalBets, freeze
from calidris.detect.calendar import HOURS, Calendar
from calidris.detect.evidence.day_blocks import Days
from calidris.state import CountsState

BERLIN = Calendar("Europe/Berlin")
SPRING = round(datetime(2027, 3, 29, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * 10**9
"""The Monday after clocks were put forward: live windows begin here."""
SATURDAY, SUNDAY = 2, 3
"""Days of the week since the epoch, which began on a Thursday."""
ROWS = 500


@dataclass(frozen=True)
class Case:
    """Two weeks of an hour a window, in Berlin, after a baseline of some.

    Attributes:
        name: of the row.
        weeks: of the baseline.
        zone: whose clock the reference goes by.
        moved: hours by which the day moves.
        shift: of the mean, in standard deviations.
        office: the day is an office's, from nine to five by +.6 σ, in place of a wave.
        weekends: whether the baseline has any.
        seasonal: against the hour of the week, else against the frozen baseline.
        most: of a change the most windows that it may take, else the largest share of streams with an alarm; None is no promise.
    """

    name: str
    weeks: int = 7
    zone: str = "Europe/Berlin"
    moved: int = 0
    shift: float = 0.0
    office: bool = False
    weekends: bool = True
    seasonal: bool = True
    most: float | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether an alarm is a false one."""
        return not self.moved and not self.shift

    def find(self, rng: np.random.Generator) -> float:
        """After how many windows the first alarm came."""
        spec = WEEK.spec()
        before = SPRING + np.arange(-self.weeks * HOURS, 0) * HOUR_NS
        live = SPRING + np.arange(2 * HOURS) * HOUR_NS
        if not self.weekends:
            before = before[~_at_weekend(before)]
        base = as_counts(spec, self._draw(rng, before, 0, 0.0))
        windows = as_counts(spec, self._draw(rng, live, self.moved, self.shift))
        state, calendar = CountsState(spec, base.sum(0)), Calendar(self.zone)
        known = {"delta": CONFIG["delta"], "tolerance": CONFIG["tolerance_sd"]}
        references = References(spec, 3600.0, calendar=calendar)
        if self.seasonal:
            references.fill(before, base)
            bets = SeasonalBets(spec, state, base, before, references, **known)
        else:
            bets = freeze(spec, state, base, days=Days.of(before, calendar=calendar), **known)
        detector = Detector(bets, CONFIG["threshold"], CONFIG["minimum_rows"])
        for n, (start_ns, window) in enumerate(zip(live.tolist(), windows), 1):
            verdict = detector.score(window, start_ns=start_ns)
            if verdict.fired:
                return float(n)
            references.learn(start_ns, window, calm=verdict.evidence < 0.5)
        return NEVER

    def _draw(self, rng: np.random.Generator, starts: Ints, moved: int, shift: float) -> Ints:
        """Histograms of each hour, by the clock of Berlin."""
        shown = starts - moved * HOUR_NS
        clock = BERLIN.hours_of_week(shown) % 24
        if self.office:
            mean = 0.6 * ((clock >= 9) & (clock < 17) & ~_at_weekend(shown))
        else:
            mean = 0.2 * np.sin(2 * np.pi * clock / 24) + 0.4 * _at_weekend(shown)
        return rng.multinomial(ROWS, cells(mean + shift, 1.0, 0.01))

    def must(self, found: list[float]) -> Must | None:
        """What it is held to."""
        if self.most is None:
            return None
        if self.is_quiet:
            return Must(f"share of streams with a false alarm: {self.name}", self.most, _share(found))
        return Must(f"delay in windows: {self.name}", self.most, float(np.mean(found)))


def _at_weekend(starts: Ints) -> np.ndarray:
    return np.isin(BERLIN.days(starts) % 7, (SATURDAY, SUNDAY))


def _share(found: list[float]) -> float:
    return float(np.isfinite(found).mean())


BY_WEEK, FROZEN = "hour of the week", "frozen"
CASES = (
    Case(f"no change, {BY_WEEK}", most=0.336),
    Case(f"no change, {FROZEN}", seasonal=False, most=0.336),
    Case(f"the day moved by 6 h, {BY_WEEK}", moved=6, most=24.0),
    Case(f"the day moved by 6 h, {FROZEN}", moved=6, seasonal=False),
    Case(f"+.25 σ, {BY_WEEK}", shift=0.25, most=24.0),
    Case(f"+.25 σ, {FROZEN}", shift=0.25, seasonal=False),
    Case(f"office hours over a change to summer time, {BY_WEEK} with its `timezone`", office=True, most=0.336),
    Case(f"office hours over a change to summer time, {BY_WEEK} by UTC", office=True, zone="UTC"),
    Case(f"baseline without weekends, no change, {FROZEN}", weekends=False, seasonal=False),
    Case(f"baseline without weekends, no change, {BY_WEEK}", weekends=False),
)
"""336 windows at A = 1000: at most .336 of streams may have a false alarm where there is a bound."""


def own_weeks_table(effort: Effort) -> Table:
    """Every case."""
    count = effort.part(0.4).streams
    rows: list[list[str]] = []
    musts: list[Must] = []
    for i, case in enumerate(CASES):
        found = [case.find(np.random.default_rng([3100 + i, s])) for s in range(count)]
        rows.append([case.name, f"{_share(found):.2f}", delay(found)])
        must = case.must(found)
        musts += [must] if must is not None else []
    title = (
        f"Seasons from the baseline's own seven weeks: daily wave ±.2 σ, weekends +.4 σ; {count} streams of two weeks after a change "
        "to summer time"
    )
    head = ("stream and reference", "share of streams with an alarm", "windows to the first one")
    return Table(markdown(title, head, rows), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    yield own_weeks_table(effort)
