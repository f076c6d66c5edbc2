"""An alarm in the list without its latch, or a latch without an alarm, is mended and said: neither may hide what comes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from calidris.batch import ModelKey
from calidris.engine.alarms.book import AlarmBook
from calidris.engine.snapshot import Alarm


class Latch(Protocol):
    """A detector or a fixed limit, as far as it is latched."""

    @property
    def latched(self) -> bool:
        """Whether it has raised an alarm that nobody has ended."""

    @property
    def unwritten(self) -> object | None:
        """A renewal of its alarm that the list does not have."""

    def latch(self, names: Collection[str]) -> bool:
        """Raise no other alarm of these names until it is cleared; false where it cannot raise any yet."""


class Latches(Protocol):
    """All latches of a model version."""

    def latches(self) -> Iterator[Latch]:
        """Each of them."""

    def standing(
        self,
        book: AlarmBook,
        key: ModelKey,
    ) -> list[Alarm]:
        """The alarms that stand of them, oldest first."""

    def latch_of(self, alarm: Alarm) -> Latch | None:
        """The one that raised an alarm; None where it was another baseline's, or the settings no longer have it."""

    def alarm_of(
        self,
        latch: Latch,
        key: ModelKey,
        book: AlarmBook,
        raised_ns: int,
    ) -> Alarm:
        """The alarm of a latched one, or of its renewal, that is not in the list: from what is still known of it."""


def mend_alarms(
    watcher: Latches,
    key: ModelKey,
    book: AlarmBook,
    at_ns: int,
) -> list[str]:
    """Make the list and the latches of one model version, or of what its versions share, agree; what was mended, mostly nothing.

    Args:
        watcher: whose latches.
        key: which model version.
        book: the list.
        at_ns: time of an alarm that has to be written down late.
    """
    said = []
    told = []
    for alarm in watcher.standing(book, key):
        latch = watcher.latch_of(alarm)
        if latch is None:
            continue
        told.append(latch)
        if not latch.latched and _latch_again(watcher, book, key, latch):
            said.append(f"alarm {alarm.id} ({alarm.kind}, {alarm.window}) stood without its latch, which is set again")
    for latch in watcher.latches():
        known = any(latch is one for one in told)
        if (latch.latched and not known) or latch.unwritten:
            alarm = watcher.alarm_of(latch, key, book, at_ns)
            book.open(alarm)
            said.append(f"a latch of {alarm.kind} on {alarm.window} windows had no alarm; it is alarm {alarm.id} now")
    return said


def _latch_again(
    watcher: Latches,
    book: AlarmBook,
    key: ModelKey,
    latch: Latch,
) -> bool:
    """Latch it with what all of its standing alarms name: nothing of that may renew them."""
    names = set()
    for alarm in watcher.standing(book, key):
        if watcher.latch_of(alarm) is latch:
            names |= {feature.name for feature in alarm.features}
    return latch.latch(names)
