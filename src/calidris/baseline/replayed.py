"""What detectors said of days of their own baseline, each of which was left out of what it was compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from scipy import special

DAYS_A_YEAR = 365.25
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Replayed:
    """One detector over days of its baseline. Whoever believes the baseline takes each of its alarms for a false one.

    Attributes:
        kind: what was watched, as alarms have it.
        window: length of its windows.
        reference: what tells detectors of one kind apart.
        alarms: how many there were; after each of them the evidence began with nothing.
        days: days that were left out and replayed, of ``of_days`` whole ones.
        windows: windows in those that were judged.
        highest: the most evidence, as a share of what raises an alarm.
        features: what alarms named, and how many of them did.
        dates: on which days alarms came.
    """

    kind: str
    window: str
    reference: str
    alarms: int
    days: int
    of_days: int
    windows: int
    highest: float
    features: tuple[tuple[str, int], ...] = ()
    dates: tuple[str, ...] = ()

    @property
    def per_year(self) -> float:
        """Alarms a year, if all days were as those that were replayed."""
        return self.alarms / self.days * DAYS_A_YEAR

    @property
    def at_most_per_year(self) -> float:
        """The upper end of a one-sided 95 % interval of it, for alarms that come independently (Garwood 1936)."""
        most = special.gammaincinv(self.alarms + 1, SURE)
        return float(most) / self.days * DAYS_A_YEAR

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``to_json`` gave, after a way through JSON."""
        features = tuple((str(name), int(n)) for name, n in data["features"])
        dates = tuple(map(str, data["dates"]))
        return cls(**(data | {"features": features, "dates": dates}))
