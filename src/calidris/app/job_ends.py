"""When a job is over: no row of its model came for a while. Decided once, here, and written into the journal as a seal.

A replay reads that seal and waits for nothing. Pauses are measured by a clock that is never set, from the start of this process
on: a sender that was kept waiting while the receiver was down has as long again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from calidris.batch import ModelKey
from calidris.engine.arrival.jobs import LONGEST_S
from calidris.engine.model import WatchedModel

MOST_STEPS = 32
"""Steps with rows that one seal closes: a month of them takes seconds, and live models must not wait for it."""


@dataclass(slots=True)
class _Arrivals:
    """What came of a model, all versions together: one job may score with two of them, which are compared at its end."""

    rows: int
    began_s: float
    newest_s: float


class JobEnds:
    """Watches models whose rows come in jobs. For one thread.

    Args:
        lateness_s: ``receiver.lateness``, for what goes on for ever.
        steady_s: a clock that is never set, in seconds since any moment.
    """

    def __init__(self, lateness_s: float, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._lateness_ns = round(lateness_s * 1e9)
        self._steady_s = steady_s
        self._owners: dict[tuple[str, str], _Arrivals] = {}
        self._asked: WeakKeyDictionary[WatchedModel, int] = WeakKeyDictionary()

    def due(self, models: Mapping[ModelKey, WatchedModel], now_ns: int) -> Iterator[tuple[ModelKey, int]]:
        """Which versions close windows now, and until when; of many windows the first ones, and the rest the next time.

        Args:
            models: everything that is watched.
            now_ns: the time by the clock, which keeps windows open that are not over.
        """
        found = {key: model for key, model in models.items() if model.is_batch and model.rows}
        if not found:
            return
        rows: dict[tuple[str, str], int] = {}
        for key, model in found.items():
            rows[key[:2]] = rows.get(key[:2], 0) + model.rows
        now_s = self._steady_s()
        self._owners = {owner: self._seen(owner, count, now_s) for owner, count in rows.items()}
        for key, model in sorted(found.items()):
            until_ns = self._until_ns(model, self._owners[key[:2]], now_s, now_ns)
            if until_ns <= model.sealed_ns:
                continue
            until_ns = model.open_steps_end_ns(until_ns, MOST_STEPS)
            if until_ns > self._asked.get(model, 0):
                yield key, until_ns
                # Only where no error came back: the seal is in the journal, applied or not.
                self._asked[model] = until_ns

    def _seen(self, owner: tuple[str, str], rows: int, now_s: float) -> _Arrivals:
        before = self._owners.get(owner)
        if before is None:
            return _Arrivals(rows, now_s, now_s)
        if rows != before.rows:
            return _Arrivals(rows, before.began_s, now_s)
        return before

    def _until_ns(self, model: WatchedModel, came: _Arrivals, now_s: float, now_ns: int) -> int:
        """Until when its windows are to be closed; 0 while its job goes on."""
        config = model.config
        if now_s - came.newest_s >= config.batch_idle:
            came.began_s = now_s
            scored = [round(window_s * 1e9) for window_s in config.detect_windows_s]
            return model.jobs.closes_ns(model.last_event_ns, config.step_ns, scored, now_ns)
        if now_s - came.began_s < LONGEST_S:
            return 0
        passed_ns = (model.last_event_ns - self._lateness_ns) // config.step_ns * config.step_ns
        if passed_ns <= model.sealed_ns:
            came.began_s = now_s
        return passed_ns
