"""All cases, by family."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from benchmarks.coverage import (
    classes,
    distances,
    durations,
    groups,
    guesses,
    late,
    numbers,
    scored,
    served,
    shares,
    trends,
)
from benchmarks.coverage.config import SEED, Effort
from benchmarks.coverage.tally import Tallies
from benchmarks.coverage.tally import run as simulate

FAMILIES = {
    "scored": scored,
    "classes": classes,
    "numbers": numbers,
    "late": late,
    "guesses": guesses,
    "groups": groups,
    "distances": distances,
    "shares": shares,
    "durations": durations,
    "trends": trends,
    "served": served,
}
"""Name to module; the place gives the seeds: add at the end."""


def run(effort: Effort, only: Collection[str] | None = None, told: Callable[[str], object] = lambda _: None) -> Tallies:
    """Simulate all families, or some."""
    out: Tallies = {}
    for place, (name, family) in enumerate(FAMILIES.items()):
        if only and name not in only:
            continue
        started = time.perf_counter()
        numbered = ((100 * place + i, case) for i, case in enumerate(family.cases()))
        out.update(simulate(numbered, effort.sizes, effort.trials, SEED))
        told(f"{name}: {time.perf_counter() - started:.0f} s")
    return out
