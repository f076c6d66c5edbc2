"""The false-alarm budget as people write it: ``1 per year``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_DAY = 86400.0
_SECONDS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": _DAY,
    "week": 7 * _DAY,
    "month": 365 * _DAY / 12,
    "quarter": 365 * _DAY / 4,
    "year": 365 * _DAY,
}
_TEXT = re.compile(
    r"(?P<alarms>\d+(\.\d+)?)\s*(per|in|/)\s*(?P<every>\d+(\.\d+)?)?\s*(?P<unit>[a-z]+?)s?", re.IGNORECASE
)
CURE = 'write it like "1 per year", "2 per month" or "1 per 1000 windows"'


@dataclass(frozen=True, slots=True)
class FalseAlarmBudget:
    """How often a model may raise an alarm although nothing changed.

    Attributes:
        seconds: mean time between false alarms; 0 where it is counted in windows.
        windows: mean number of windows between false alarms, in windows of the shortest length; 0 where it is a time.
    """

    seconds: float = 0.0
    windows: float = 0.0

    @classmethod
    def parse(cls, text: str) -> FalseAlarmBudget:
        """Read what a user writes.

        Raises:
            ValueError: the text is no budget; the message says how to write one.

        >>> FalseAlarmBudget.parse("1 per year").seconds
        31536000.0
        >>> FalseAlarmBudget.parse("2 per 1000 windows").windows
        500.0
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None or match["unit"].lower() not in (*_SECONDS, "window"):
            raise ValueError(f"{text!r} is no false-alarm budget: {CURE}")
        alarms, every, unit = float(match["alarms"]), float(match["every"] or 1), match["unit"].lower()
        if alarms <= 0 or every <= 0:
            raise ValueError(f"{text!r} allows no false alarm at all, which no rule but silence can keep: {CURE}")
        mean = every / alarms
        return cls(windows=mean) if unit == "window" else cls(seconds=mean * _SECONDS[unit])

    @staticmethod
    def shared(text: str, over: int) -> str:
        """An even part of a budget that so many models share.

        >>> FalseAlarmBudget.shared("2 per week", 6)
        '2 per 6 weeks'
        """
        match = _TEXT.fullmatch(text.strip())
        assert match is not None, "it was read before"
        if over == 1:
            return text
        return f"{match['alarms']} per {float(match['every'] or 1) * over:g} {match['unit'].lower()}s"

    def mean_seconds(self, windows_s: Sequence[float]) -> float:
        """Mean seconds between false alarms of a model that is scored on windows of these lengths."""
        return self.seconds or self.windows * min(windows_s)
