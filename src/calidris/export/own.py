"""The program's own health as series: what the engine keeps across restarts, and what this process counts.

A counter of the engine (``Snapshot.counters``) comes back from the checkpoint and goes on: it counts since the state began.
A counter of the process (``Health``) begins at 0 with each start. Both only ever rise between two starts, which is what
``rate()`` asks for. While the journal is read back the engine's counters are behind what was told before the end of the last
process, so nothing of them is told then: a gap costs ``rate()`` nothing, a step back would count everything again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from calidris import semconv
from calidris.semconv import Metric

Health: TypeAlias = Mapping[str, "float | Mapping[str, float]"]
"""Own health: metric name to its value, or to (reason or "") to value."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in semconv.METRICS}
_COUNTERS = sorted(m.name for m in semconv.METRICS if m.name.startswith("calidris.") and m.instrument == "counter")
_DROPPED = semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED.name
_ATTRIBUTES = {
    semconv.METRIC_CALIDRIS_RECEIVER_STATE.name: semconv.CALIDRIS_STATE,
    semconv.METRIC_CALIDRIS_BUILD_INFO.name: semconv.CALIDRIS_VERSION,
}
"""What tells the series of a metric apart, where it is not a reason."""


class OwnSeries(NamedTuple):
    """One value; ``kept`` where it goes on across restarts."""

    metric: Metric
    attributes: tuple[tuple[str, str], ...]
    value: float
    kept: bool


def own_series(counters: Health, health: Health, dropped: int, *, counted: bool) -> Iterator[OwnSeries]:
    """Every figure of the program's own.

    Args:
        counters: the engine's.
        health: the process's; counters of both are added up. A name that the convention does not have is left out and counted.
        dropped: series that were left out so far.
        counted: false while the engine reads the journal back. Else a counter that nobody has told of stands at 0, so that
            its first event is an increase.
    """
    found: dict[tuple[str, str], float] = {}
    kept = {(name, reason) for name, reason, _ in _told(counters)}
    for name, reason, value in (*_told(counters if counted else {}), *_told(health)):
        if name not in BY_NAME:
            dropped += 1
        elif math.isfinite(value):
            before = found.get((name, reason), 0.0) if BY_NAME[name].instrument == "counter" else 0.0
            found[name, reason] = before + value
    found[_DROPPED, ""] = found.get((_DROPPED, ""), 0.0) + dropped
    if counted:
        known = {name for name, _ in found}
        found |= {(name, ""): 0.0 for name in _COUNTERS if name not in known}
    for (name, reason), value in found.items():
        pairs = ((_ATTRIBUTES.get(name, semconv.CALIDRIS_REASON), reason),) if reason else ()
        yield OwnSeries(BY_NAME[name], pairs, value, kept=(name, reason) in kept or name not in health)


def _told(figures: Health) -> Iterator[tuple[str, str, float]]:
    for name, value in figures.items():
        for reason, count in value.items() if isinstance(value, Mapping) else (("", value),):
            yield name, reason, float(count)
