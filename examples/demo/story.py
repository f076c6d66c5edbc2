"""The story and how it is judged: the same for real processes and for the short run in one process."""

from __future__ import annotations

from dataclasses import dataclass

from examples.demo.data import CHANGED

WINDOW_S = 2.0
BASELINE_WINDOWS = 40
BASELINE_ROWS = 100
"""Rows a window of the baseline: 4000 in all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each phase lasts, in windows, and how fast patients come.

    Attributes:
        quiet: windows without a change; an alarm in them is a false one.
        changed: longest wait for the alarm, in windows after the change.
        settle: windows after the alarm, in which labels of changed rows arrive.
        rate: predictions a second at most.
    """

    quiet: int
    changed: int
    settle: int
    rate: float


FULL = Plan(quiet=60, changed=20, settle=8, rate=60.0)
FAST = Plan(quiet=18, changed=8, settle=4, rate=50.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened.

    Attributes:
        false_alarms: alarms raised before the change.
        features: what the first alarm after the change names; empty where none came.
        direction: which way the first of them went.
        windows: windows from the change to the alarm.
    """

    false_alarms: int
    features: tuple[str, ...]
    direction: str
    windows: int

    @property
    def good(self) -> bool:
        """No alarm before the change, one after it, and it names the feature that changed."""
        return self.false_alarms == 0 and CHANGED in self.features

    def __str__(self) -> str:
        """One sentence."""
        if not self.features:
            return f"no alarm after the change, {self.false_alarms} before it"
        others = [f for f in self.features if f != CHANGED]
        rest = f" (and {', '.join(others)})" if others else ""
        return (
            f"{self.false_alarms} alarms before the change; alarm {self.windows} window{'s' * (self.windows != 1)} after it, "
            f"naming {CHANGED!r}, {self.direction}{rest}"
            if CHANGED in self.features
            else f"{self.false_alarms} alarms before the change; the alarm names {', '.join(self.features)}, not {CHANGED!r}"
        )


def judge(alarms: list[dict[str, object]], changed_ns: int) -> Outcome:
    """Judge alarms in the shape of the read API against the time of the change.

    A window that began before the change and holds changed rows counts as the first one after it.
    """
    before = [a for a in alarms if int(str(a["raised_ns"])) <= changed_ns]
    after = [a for a in alarms if int(str(a["raised_ns"])) > changed_ns]
    if not after:
        return Outcome(len(before), (), "", 0)
    first = after[0]
    features: list[dict[str, str]] = first["features"]  # type: ignore[assignment]
    windows = -(-(int(str(first["raised_ns"])) - changed_ns) // round(WINDOW_S * 1e9))
    direction = next((f["direction"] for f in features if f["name"] == CHANGED), "")
    return Outcome(len(before), tuple(f["name"] for f in features), direction, windows)
