"""What the replay of a baseline's own days says, in words: how often it would alarm by itself, on what, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from calidris.baseline.replayed import Replayed

SHOWN = 5
"""Features and days that are named."""
_CURES = {
    "drift": "or raise `detect.tolerance`, or give these less weight (`detect.importance`)",
    "performance": "or raise `detect.loss_tolerance`",
    "calibration": "or raise `detect.calibration_tolerance`",
    "errors": "or raise `detect.tolerance`",
    "latency": "or raise `detect.tolerance`",
    "fairness": "or raise `fairness.tolerance`",
}
"""What makes a kind less sensitive."""


def describe_replays(replays: Sequence[Replayed]) -> Iterator[str]:
    """Sentences for people: one where all days were quiet, else one for each detector that was not."""
    loud = [one for one in replays if one.alarms]
    for one in loud:
        yield f"{_count(one)}: {_name_causes(one)}. {advise(one)}"
    if replays and not loud:
        yield _tell_quiet(replays)


def _tell_quiet(replays: Sequence[Replayed]) -> str:
    fewest = max(replays, key=lambda one: one.at_most_per_year)
    highest = max(replays, key=lambda one: one.highest)
    days = f"on {fewest.days} of its {fewest.of_days} days"
    if len({one.days for one in replays}) > 1:
        # Windows of different lengths are not replayed on equally many days.
        days = f"on any day that was replayed, {days[3:]} at the fewest ({fewest.kind} on {fewest.window} windows)"
    return (
        f"no alarm {days}, each left out of what it was compared with (so at most "
        f"{fewest.at_most_per_year:.0f} a year of each kind, with 95 % confidence); the most evidence was {highest.highest:.0%} of what "
        f"alarms, {highest.kind} on {highest.window} windows"
    )


def _count(one: Replayed) -> str:
    against = "" if one.reference == "frozen" else f" ({one.reference})"
    alarms = "1 alarm" if one.alarms == 1 else f"{one.alarms} alarms"
    return (
        f"{one.kind}{against} on {one.window} windows: {alarms} on {one.days} of its {one.of_days} days, each left out of what it was "
        f"compared with, about {one.per_year:.0f} false alarms a year"
    )


def _name_causes(one: Replayed) -> str:
    names = [f"{name!r}" if n == 1 else f"{name!r} {n} times" for name, n in one.features[:SHOWN]]
    days = ", ".join(one.dates[:SHOWN])
    return f"by {', '.join(names)}, on {days}"


def advise(one: Replayed) -> str:
    """What to do about a detector that alarms on days of its own baseline."""
    cure = _CURES.get(one.kind, "or raise the budget")
    weekday = _find_weekday(one.dates)
    if weekday:
        return (
            f"All of them are on {weekday}s: a baseline of four weeks and more shows that they come every week, or "
            "`references: [frozen, hour_of_week]` compares them with each other"
        )
    return f"If such days are usual, a longer baseline shows more of them; {cure}; if not, leave their rows out"


def _find_weekday(dates: Sequence[str]) -> str:
    """The day of the week that several alarms have in common; nothing where there is none."""
    if len(set(dates)) < 2:
        return ""
    names = {f"{date.fromisoformat(one):%A}" for one in dates}
    return names.pop() if len(names) == 1 else ""
