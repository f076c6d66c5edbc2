"""Every alarm, and which of them are latched: written together, so that neither is ever there without the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from calidris.batch import ModelKey
from calidris.engine.snapshot import Alarm


class AlarmBook:
    """The alarms of all models, oldest first. One writer, the engine.

    Attributes:
        latched: ids of those that stand.
    """

    latched: set[int]

    def __init__(self) -> None:
        self.latched = set()
        self._by_id: dict[int, Alarm] = {}

    def __iter__(self) -> Iterator[Alarm]:
        yield from self._by_id.values()

    @property
    def next_id(self) -> int:
        """The number of the next alarm; they count from 1."""
        newest = max(self._by_id, default=0)
        return newest + 1

    def open(self, alarm: Alarm) -> None:
        """Write an alarm down and latch it."""
        self._by_id[alarm.id] = alarm
        self.latched.add(alarm.id)

    def end(self, number: int) -> Alarm | None:
        """Let a latched alarm go; it stays in the list. None where no such alarm stands."""
        if number not in self.latched:
            return None
        self.latched.discard(number)
        alarm = self._by_id[number]
        return alarm

    def note_recovered(
        self,
        alarm: Alarm,
        at_ns: int,
    ) -> None:
        """Note since when all that an alarm named has come back."""
        noted = replace(alarm, recovered_ns=at_ns)
        self._by_id[alarm.id] = noted

    def raise_level(self, alarm: Alarm) -> None:
        """Take a latched alarm as it is now: its evidence has become strong, and what had come back has gone again."""
        risen = replace(
            alarm,
            recovered_ns=0,
        )
        self._by_id[alarm.id] = risen

    def standing(self) -> list[Alarm]:
        """The latched ones, oldest first; O(latched)."""
        numbers = sorted(self.latched)
        return [self._by_id[number] for number in numbers]

    def standing_of(self, key: ModelKey) -> list[Alarm]:
        """The latched ones of one model version."""
        found = []
        for alarm in self.standing():
            if alarm.model == key:
                found.append(alarm)
        return found

    def own_of(self, key: ModelKey) -> list[Alarm]:
        """Those that its own detectors raised."""
        standing = self.standing_of(key)
        return [alarm for alarm in standing if not alarm.shared]

    def shared_of(self, owner: tuple[str, str]) -> list[Alarm]:
        """The latched ones about the features of all versions of a model, whichever of them led."""
        found = []
        for alarm in self.standing():
            if alarm.shared and alarm.model[:2] == owner:
                found.append(alarm)
        return found

    def share(self, alarm: Alarm) -> None:
        """Note that an alarm is about the features of all versions from here on."""
        noted = replace(alarm, shared=True)
        self._by_id[alarm.id] = noted

    def lead(self, alarm: Alarm, key: ModelKey) -> None:
        """Tell a shared alarm of another version: the one that it was told of is watched no longer."""
        noted = replace(alarm, model=key)
        self._by_id[alarm.id] = noted

    def restore(
        self,
        alarms: Iterable[Alarm],
        latched: Iterable[int],
    ) -> list[int]:
        """Take over what a checkpoint holds; ids that it calls latched and that no alarm has, which are left out."""
        self._by_id.clear()
        for alarm in alarms:
            self._by_id[alarm.id] = alarm
        told = set(latched)
        self.latched = told & self._by_id.keys()
        unknown = told - self.latched
        return sorted(unknown)
