"""Fixed limits on figures, for people who must have them: outside of the budget, and marked so wherever they are shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from calidris.batch import ModelKey
from calidris.config import ModelConfig, ThresholdConfig
from calidris.config.units import window_name
from calidris.detect import ThresholdRule
from calidris.engine.snapshot import Alarm, NamedFeature
from calidris.metrics.base import Reading

KIND = "threshold"


@dataclass(frozen=True, slots=True)
class Beyond:
    """A figure that crossed its limit: its name in the user's words, which way, its rows and the limit."""

    name: str
    direction: str
    n: int
    since_ns: int
    windows: int


class ThresholdWatcher:
    """One fixed limit of a model: so many windows running beyond it raise an alarm, which latches.

    Args:
        config: the limit as written.
        number: its place in the settings; a restart finds it by that.
        window_s: the windows that are looked at.
        minimum_rows: a window with fewer rows counts for nothing.
    """

    def __init__(self, config: ThresholdConfig, number: int, window_s: float, minimum_rows: int) -> None:
        above = config.above is not None
        limit = config.above if config.above is not None else config.below
        assert limit is not None, "the settings have one of them"
        self.config = config
        self.number = number
        self.window_s = window_s
        self.rule = ThresholdRule(config.figure, limit, above, config.windows, minimum_rows)
        self.runs: dict[str, tuple[int, int]] = {}  # figure to windows running and since when
        self.latched = False
        self.valueless: int | None = 0  # windows so far in which its figure had no value; None once it had one

    @property
    def reference(self) -> str:
        """What tells the limits of a model apart."""
        side = "above" if self.rule.above else "below"
        return f"{self.number}: {self.config.figure} {side} {self.rule.limit:g}"

    def take(self, readings: Iterable[Reading], start_ns: int) -> list[Beyond]:
        """Look at the figures of one sealed window; those that open an alarm."""
        found = []
        meant = [reading for reading in readings if self._is_meant(reading)]
        if self.valueless is not None:
            known = any(reading.value is not None for reading in meant)
            self.valueless = None if known else self.valueless + 1
        for reading in meant:
            name = _name(reading)
            before, since_ns = self.runs.get(name, (0, start_ns))
            run = self.rule.run(before, reading.value, reading.n)
            self.runs[name] = (run, since_ns if run > 1 else start_ns)
            # A run stays as it was while its figure is unknown: only a window that made it longer fires.
            if run > before and self.rule.fires(run):
                direction = f"{reading.value:.4g}, {'above' if self.rule.above else 'below'} {self.rule.limit:g}"
                found.append(Beyond(name, direction, reading.n, self.runs[name][1], run))
        self.runs = {name: run for name, run in self.runs.items() if run[0]}
        return [] if self.latched else found

    def _is_meant(self, reading: Reading) -> bool:
        carried = dict(reading.attributes)
        return reading.metric.name == self.config.figure and all(
            carried.get(key) == value for key, value in self.config.attributes.items()
        )

    def latch(self, names: Collection[str] = ()) -> bool:
        """Raise no other alarm until it is cleared, whatever it names."""
        self.latched = True
        return True

    @property
    def unwritten(self) -> None:
        """A limit has one alarm, which nothing renews."""
        return None

    def clear(self, number: int = 0) -> None:
        """End the alarm, whatever its number; windows are counted from nothing."""
        self.latched, self.runs = False, {}

    def to_json(self) -> list[Any]:
        """What ``restore`` takes over; checkpoints of versions that counted no windows without a value end before those."""
        runs = sorted([name, *run] for name, run in self.runs.items())
        return [self.reference, self.latched, runs, *([] if self.valueless == 0 else [self.valueless])]

    def restore(self, saved: Iterable[Any]) -> None:
        """Go on as the same limit did; another limit in its place begins anew."""
        for reference, latched, runs, *valueless in saved:
            if reference == self.reference:
                self.latched, self.runs = latched, {name: (run, since) for name, run, since in runs}
                self.valueless = valueless[0] if valueless else None if runs or latched else 0


def threshold_alarm(
    limit: ThresholdWatcher, found: list[Beyond], key: ModelKey, number: int, raised_ns: int, trace_ids: tuple[str, ...]
) -> Alarm:
    """The alarm of a limit that figures crossed; without figures where it is not known any more which ones did."""
    return Alarm(
        id=number,
        model=key,
        kind=KIND,
        window=window_name(limit.window_s),
        raised_ns=raised_ns,
        since_ns=min((f.since_ns for f in found), default=raised_ns),
        windows=max((f.windows for f in found), default=0),
        n=max((f.n for f in found), default=0),
        evidence=1.0,
        features=tuple(NamedFeature(f.name, f.direction, 1.0) for f in found),
        baseline="",
        budget="",
        trace_ids=trace_ids,
        reference=limit.reference,
        budgeted=False,
    )


def thresholds_of(config: ModelConfig) -> list[ThresholdWatcher]:
    """The fixed limits of a model."""
    shortest = min(config.all_windows_s)
    return [
        ThresholdWatcher(limit, i, limit.window or shortest, config.detect.minimum_rows)
        for i, limit in enumerate(config.detect.thresholds)
    ]


def _name(reading: Reading) -> str:
    about = ", ".join(value for _, value in sorted(reading.attributes))
    return f"{reading.metric.name} ({about})" if about else reading.metric.name
