"""Real traffic whose whole days are put into random order, so that nothing changes; and the same with a change.

Two sets out of `scripts/fetch_datasets.py`: the rides of ISLP's Bikeshare, one row a ride with the weather of its hour, and popmon's
flights. Without them the tables are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from benchmarks.detection.common import EARLY
from benchmarks.detection.config import CONFIG
from benchmarks.detection.promised import Promise, World, batch_of, column_of, control, runs
from benchmarks.detection.streams import HOUR_NS
from benchmarks.detection.table import NEVER, Effort, Must, Table, markdown

from calidris.batch import Ints, PredictionBatch
from calidris.detect import Detector, Game, Loss, loss_bets
from calidris.detect.calendar import DAY_NS
from calidris.detect.evidence.day_blocks import ENOUGH_DAYS, Days
from calidris.detect.levels import TwoLevels

DATASETS = Path(__file__).parents[2] / ".tools" / "datasets"
BASELINE_DAYS = LIVE_DAYS = 28
FEWER_DAYS = (14, 10, 7)
WRONG = Loss.zero_one("accuracy")
UNIT = 1 << 30
HEAD = ("days in random order", "windows", "A", "streams with an alarm", "promised at most")
SETS = ("rides", "flights")

Change = Callable[[dict[str, np.ndarray], np.random.Generator], None]


@dataclass(frozen=True)
class Traffic:
    """The rows of a year.

    Attributes:
        columns: by name.
        day: of each row, from 0 on.
        hour: of each row.
        wrong: whether the model's answer to the row was wrong: a model that says "registered", or "on time".
        window_h: hours of a window.
        baseline_days: days before the four weeks that are watched.
    """

    columns: dict[str, np.ndarray]
    day: Ints
    hour: Ints
    wrong: np.ndarray
    window_h: int
    baseline_days: int = BASELINE_DAYS

    @property
    def windows_a_day(self) -> int:
        return 24 // self.window_h

    @property
    def promise(self) -> Promise:
        """One false alarm a year, over four weeks."""
        return Promise(LIVE_DAYS * self.windows_a_day, 365.0 * self.windows_a_day)

    def shuffled(self, rng: np.random.Generator) -> tuple[np.ndarray, Ints, Ints]:
        """Rows of the days before and after, and the hour of each since the epoch."""
        order = rng.permutation(np.unique(self.day))
        place = np.full(int(self.day.max()) + 1, -1)
        drawn = order[: self.baseline_days + LIVE_DAYS]
        place[drawn] = np.arange(len(drawn))
        rows = np.nonzero(place[self.day] >= 0)[0]
        new_day = place[self.day[rows]]
        return rows, new_day, new_day * 24 + self.hour[rows]

    def first_alarm(self, rng: np.random.Generator, change: Change | None) -> float:
        rows, day, hour = self.shuffled(rng)
        early = day < self.baseline_days
        before = self._batch(rows[early], hour[early], rng, None)
        after = self._batch(rows[~early], hour[~early], rng, change)
        world = World.of(before, after, self.window_h * 3600.0)
        return world.first_alarm(self.promise.threshold)

    def _batch(
        self,
        rows: Ints,
        hour: Ints,
        rng: np.random.Generator,
        change: Change | None,
    ) -> PredictionBatch:
        columns = {name: values[rows] for name, values in self.columns.items()}
        if change is not None:
            change(columns, rng)
        made = {name: column_of(values) for name, values in columns.items()}
        return batch_of(made, hour * HOUR_NS)

    def first_loss(self, rng: np.random.Generator, factor: float) -> float:
        """Windows to an alarm of errors that became so many times as frequent."""
        rows, day, hour = self.shuffled(rng)
        wrong, early = self.wrong[rows], day < self.baseline_days
        rate = float(wrong[early].mean())
        more = rng.random(len(rows)) < (factor - 1.0) * rate / (1.0 - rate)
        wrong = np.where(early, wrong, wrong | more)
        window = hour // self.window_h
        windows = int(window.max()) + 1
        n = np.bincount(window, minlength=windows)
        errors = np.bincount(window, wrong, minlength=windows).astype(np.int64)
        counts = np.stack([n, errors * UNIT], axis=1)
        cut = self.baseline_days * self.windows_a_day
        base = counts[:cut]
        days = Days(np.arange(cut) // self.windows_a_day)

        def at(tolerance: float) -> Game:
            return loss_bets([WRONG], base.sum(0), base, delta=CONFIG["delta"], tolerance=tolerance, days=days)

        both = TwoLevels(at(CONFIG["tolerance_sd"]), at(EARLY.early_tolerance))
        detector = Detector(both, self.promise.threshold, int(CONFIG["minimum_rows"]))
        for i, counted in enumerate(counts[cut:], 1):
            if detector.score(counted).fired:
                return float(i)
        return NEVER


def moved(name: str, by: float) -> Change:
    """So many standard deviations."""

    def change(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
        columns[name] = columns[name] + by * np.nanstd(columns[name])

    return change


def left_out(name: str, share: float) -> Change:
    def change(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
        columns[name] = np.where(rng.random(len(columns[name])) < share, np.nan, columns[name])

    return change


def scaled(name: str, by: float) -> Change:
    def change(columns: dict[str, np.ndarray], rng: np.random.Generator) -> None:
        columns[name] = columns[name] * by

    return change


@cache
def read(name: str) -> Traffic:
    return _rides() if name == "rides" else _flights()


def _rides() -> Traffic:
    table = _table("Bikeshare.csv")
    kinds = {"casual": True, "registered": False}
    parts = []
    for kind in kinds:
        times = table[kind].to_numpy()
        parts.append(np.repeat(np.arange(len(table)), times))
    rows = np.concatenate(parts)
    wrong = np.repeat(list(kinds.values()), [len(part) for part in parts])
    columns = {name: _floats(table, name)[rows] for name in ("temp", "atemp", "hum", "windspeed")}
    columns["weathersit"] = _texts(table, "weathersit")[rows]
    columns["rider"] = np.where(wrong, "casual", "registered").astype(object)
    day = _floats(table, "day").astype(np.int64) - 1
    hour = _floats(table, "hr").astype(np.int64)
    return Traffic(columns, day[rows], hour[rows], wrong, 1)


def _flights() -> Traffic:
    parts = [_table(name) for name in ("flight_delays_reference.csv.gz", "flight_delays.csv.gz")]
    table = pa.concat_tables(parts)
    date = table["DATE"].cast(pa.timestamp("ns")).to_numpy().astype(np.int64) // DAY_NS
    order = np.argsort(date, kind="stable")
    names = ("DEPARTURE_DELAY", "TAXI_OUT", "AIR_TIME", "DISTANCE", "CANCELLED")
    columns = {name: _floats(table, name)[order] for name in names}
    columns["AIRLINE"] = _texts(table, "AIRLINE")[order]
    day = date[order] - date.min()
    # Only their day is known: those of a day are spread evenly over six windows.
    first = np.searchsorted(day, day)
    each = np.bincount(day)[day]
    window = (np.arange(len(day)) - first) * 6 // each
    late = np.nan_to_num(columns["DEPARTURE_DELAY"], nan=60.0) > 15.0
    return Traffic(columns, day, window * 4, late, 4)


def _table(name: str) -> pa.Table:
    return pyarrow.csv.read_csv(DATASETS / name)


def _floats(table: pa.Table, name: str) -> np.ndarray:
    return table[name].cast(pa.float64()).to_numpy()


def _texts(table: pa.Table, name: str) -> np.ndarray:
    return np.array(table[name].cast(pa.string()).to_pylist(), dtype=object)


def are_there() -> bool:
    """Whether the tables were fetched."""
    return (DATASETS / "Bikeshare.csv").exists()


def null_table(effort: Effort) -> Table:
    streams = effort.streams * 4 // 3
    out: list[list[str]] = []
    musts: list[Must] = []
    for seed, name in enumerate(SETS):
        traffic = read(name)
        kinds = {
            f"{name}: six columns": lambda rng: traffic.first_alarm(rng, None),  # noqa: B023
            f"{name}: errors": lambda rng: traffic.first_loss(rng, 1.0),  # noqa: B023
        }
        for said, draw in kinds.items():
            cells, must = traffic.promise.row(said, runs(draw, streams, 7200 + seed))
            out.append(cells)
            musts.append(must)
    title = (
        f"Real days in random order: four weeks after a baseline of four weeks, once a year promised, {streams} streams"
    )
    return Table(markdown(title, HEAD, out), tuple(musts))


def fewer_table(effort: Effort) -> Table:
    """Baselines of fewer days: nothing is promised below ``ENOUGH_DAYS``, so what happens there is told and held against nothing."""
    out: list[list[str]] = []
    musts: list[Must] = []
    for seed, name in enumerate(SETS):
        for days in FEWER_DAYS:
            traffic = replace(read(name), baseline_days=days)
            kinds = {
                f"{name}, {days} days: six columns": lambda rng: traffic.first_alarm(rng, None),  # noqa: B023
                f"{name}, {days} days: errors": lambda rng: traffic.first_loss(rng, 1.0),  # noqa: B023
            }
            for said, draw in kinds.items():
                cells, must = traffic.promise.row(said, runs(draw, effort.streams, 7500 + seed))
                out.append(cells)
                if days >= ENOUGH_DAYS:
                    musts.append(must)
                else:
                    cells[-1] = "nothing"
    title = f"The same after baselines of fewer days, {effort.streams} streams"
    return Table(markdown(title, HEAD, out), tuple(musts))


CHANGES: dict[str, tuple[tuple[str, Change, float | None], ...]] = {
    "rides": (
        ("hum +.25 σ", moved("hum", 0.25), None),
        ("5 % of hum missing", left_out("hum", 0.05), None),
        ("half of hum missing", left_out("hum", 0.5), 100.0),
        ("hum in another unit", scaled("hum", 100.0), 500.0),
    ),
    "flights": (
        ("TAXI_OUT +.25 σ", moved("TAXI_OUT", 0.25), 30.0),
        ("5 % of DISTANCE missing", left_out("DISTANCE", 0.05), 12.0),
    ),
}


def change_table(effort: Effort) -> Table:
    """Controls: a detector that never speaks must fail."""
    streams = max(effort.streams // 3, 3)
    out: list[list[str]] = []
    musts: list[Must] = []
    for seed, name in enumerate(SETS):
        traffic = read(name)
        for said, change, limit in CHANGES[name]:
            delays = runs(lambda rng: traffic.first_alarm(rng, change), streams, 7300 + seed)  # noqa: B023
            cells, found = control(f"{name}: {said}", delays, limit)
            out.append(cells)
            musts += found
        for factor, limit in ((1.5, None), (3.0, 200.0)):
            delays = runs(lambda rng: traffic.first_loss(rng, factor), streams, 7400 + seed)  # noqa: B023
            cells, found = control(f"{name}: errors × {factor:g}", delays, limit)
            out.append(cells)
            musts += found
    title = "Windows to the alarm in the same real days (an hour of rides, four hours of flights)"
    return Table(markdown(title, ("change", "streams", "windows"), out), tuple(musts))


def tables(effort: Effort) -> Iterator[Table]:
    if not are_there():
        print("real days are left out: their tables are not there (python scripts/fetch_datasets.py)")
        return
    yield null_table(effort)
    yield fewer_table(effort)
    yield change_table(effort)
