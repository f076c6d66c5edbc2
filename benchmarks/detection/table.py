"""Tables of results: false alarms per 1000 windows, and delays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

NEVER = math.nan


@dataclass(frozen=True)
class Effort:
    """How much is simulated: a full run has the configuration's numbers, a quick one a part of them."""

    streams: int
    windows: int
    horizon: int

    def part(self, share: float) -> Effort:
        """Fewer streams, for what is slow."""
        return Effort(max(round(self.streams * share), 3), self.windows, self.horizon)


def streams(what: Callable[[np.random.Generator], float], count: int, seed: int) -> list[float]:
    """One number a stream, each with a generator of its own."""
    return [what(np.random.default_rng([seed, s])) for s in range(count)]


def mean_se(values: Sequence[float], digits: int = 1) -> str:
    if not values:
        return "–"
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def rate(alarms: Sequence[float], windows: int) -> list[str]:
    """Per 1000 windows with its standard error over streams, and the share of streams with any."""
    scaled = [a * 1000.0 / windows for a in alarms]
    return [mean_se(scaled, 2), f"{100.0 * np.mean([a > 0 for a in alarms]):.0f} %"]


def delay(delays: Sequence[float]) -> str:
    """Mean delay in windows; in brackets the share that was found, where it is not all."""
    found = [d for d in delays if d == d]
    if not found:
        return "never"
    share = "" if len(found) == len(delays) else f" ({100.0 * len(found) / len(delays):.0f} %)"
    return mean_se(found) + share


def markdown(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
