"""Every alarm, and which of them are latched: written together, so that neither is ever there without the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from calidris.batch import ModelKey
from calidris.engine.snapshot import Alarm

Watched = tuple[str, str]
"""Window and kind of an alarm: what its series are told apart by."""


class AlarmBook:
    """The alarms of all models, oldest first. One writer, the engine.

    Attributes:
        latched: ids of those that stand.
    """

    def __init__(self) -> None:
        self.latched: set[int] = set()
        self._by_id: dict[int, Alarm] = {}

    def __iter__(self) -> Iterator[Alarm]:
        return iter(self._by_id.values())

    @property
    def next_id(self) -> int:
        """The number of the next alarm; they count from 1."""
        return max(self._by_id, default=0) + 1

    def open(self, alarm: Alarm) -> None:
        """Write an alarm down and latch it."""
        self._by_id[alarm.id] = alarm
        self.latched.add(alarm.id)

    def end(self, number: int) -> Alarm | None:
        """Let a latched alarm go; it stays in the list. None where no such alarm stands."""
        if number not in self.latched:
            return None
        self.latched.discard(number)
        return self._by_id[number]

    def note_recovered(self, alarm: Alarm, at_ns: int) -> None:
        """Note since when all that an alarm named has come back."""
        self._by_id[alarm.id] = replace(alarm, recovered_ns=at_ns)

    def standing(self) -> list[Alarm]:
        """The latched ones, oldest first; O(latched)."""
        return [self._by_id[number] for number in sorted(self.latched)]

    def standing_of(self, key: ModelKey) -> list[Alarm]:
        """The latched ones of one model version."""
        return [alarm for alarm in self.standing() if alarm.model == key]

    def restore(self, alarms: Iterable[Alarm], latched: Iterable[int]) -> list[int]:
        """Take over what a checkpoint holds; ids that it calls latched and that no alarm has, which are left out."""
        self._by_id = {alarm.id: alarm for alarm in alarms}
        told = set(latched)
        self.latched = told & self._by_id.keys()
        return sorted(told - self.latched)
