"""An alarm in the list without its latch, or a latch without an alarm, is mended and said: neither may hide what comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from calidris.batch import ModelKey
from calidris.engine.alarms.book import AlarmBook
from calidris.engine.snapshot import Alarm


class Latch(Protocol):
    """A detector or a fixed limit, as far as it is latched."""

    @property
    def latched(self) -> bool:
        """Whether it has raised an alarm that nobody has ended."""

    def latch(self) -> bool:
        """Raise no other alarm until it is cleared; false where it cannot raise any yet."""


class Latches(Protocol):
    """All latches of a model version."""

    def latches(self) -> Iterator[Latch]:
        """Each of them."""

    def latch_of(self, alarm: Alarm) -> Latch | None:
        """The one that raised an alarm; None where it was another baseline's, or the settings no longer have it."""

    def alarm_of(
        self,
        latch: Latch,
        key: ModelKey,
        number: int,
        raised_ns: int,
    ) -> Alarm:
        """The alarm of a latched one, from what is still known of it."""


def mend_alarms(
    watcher: Latches,
    key: ModelKey,
    book: AlarmBook,
    at_ns: int,
    standing: list[Alarm] | None = None,
) -> list[str]:
    """Make the list and the latches of one model version, or of what its versions share, agree; what was mended, mostly nothing.

    Args:
        watcher: whose latches.
        key: which model version.
        book: the list.
        at_ns: time of an alarm that has to be written down late.
        standing: the alarms that stand of it; None are those that the version's own detectors raised.
    """
    alarms = book.own_of(key) if standing is None else standing
    told = [watcher.latch_of(alarm) for alarm in alarms]
    said = _set_latches(alarms, told)
    for latch in watcher.latches():
        known = any(latch is one for one in told)
        if latch.latched and not known:
            alarm = watcher.alarm_of(latch, key, book.next_id, at_ns)
            book.open(alarm)
            said.append(f"a latch of {alarm.kind} on {alarm.window} windows had no alarm; it is alarm {alarm.id} now")
    return said


def _set_latches(alarms: list[Alarm], latches: list[Latch | None]) -> list[str]:
    """Latch what stands in the list; what was mended. An alarm of another baseline has no latch."""
    said = []
    for alarm, latch in zip(alarms, latches):
        if latch is not None and not latch.latched and latch.latch():
            said.append(f"alarm {alarm.id} ({alarm.kind}, {alarm.window}) stood without its latch, which is set again")
    return said
