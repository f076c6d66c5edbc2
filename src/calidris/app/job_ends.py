"""When a job is over: no row of its model came for a while. Decided once, here, and written into the journal as a seal.

A replay reads that seal and waits for nothing. Pauses are measured by a clock that is never set, from the start of this process
on: a sender that was kept waiting while the receiver was down has as long again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from calidris.batch import ModelKey
from calidris.engine.arrival.jobs import LONGEST_S
from calidris.engine.model import WatchedModel

MOST_STEPS = 32
"""Steps with rows that one seal closes: a month of them takes seconds, and live models must not wait for it."""

Owner = tuple[str, str]
Models = Mapping[ModelKey, WatchedModel]


@dataclass(slots=True)
class _Arrivals:
    """What came of a model, all versions together: one job may score with two of them, which are compared at its end.

    Attributes:
        rows: how many there were at the last look.
        began_s: since when they have come without a pause.
        newest_s: when there were more than before.
    """

    rows: int
    began_s: float
    newest_s: float


class JobEnds:
    """Watches models whose rows come in jobs. For one thread.

    Args:
        lateness_s: ``receiver.lateness``, for what goes on for ever.
        steady_s: a clock that is never set, in seconds since any moment.
    """

    def __init__(
        self,
        lateness_s: float,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lateness_ns = round(lateness_s * 1e9)
        self._steady_s = steady_s
        self._owners: dict[Owner, _Arrivals] = {}
        self._asked: WeakKeyDictionary[WatchedModel, int] = WeakKeyDictionary()

    def due(self, models: Models, now_ns: int) -> Iterator[tuple[ModelKey, int]]:
        """Which versions close windows now, and until when; of many windows the first ones, and the rest the next time.

        Args:
            models: everything that is watched.
            now_ns: the time by the clock, which keeps windows open that are not over.
        """
        found = _in_jobs(models)
        if not found:
            return
        self._look(found)
        for key in sorted(found):
            model = found[key]
            until_ns = self._until_ns(key, model, now_ns)
            if until_ns <= self._asked.get(model, 0):
                continue
            yield key, until_ns
            # Only where no error came back: the seal is in the journal, applied or not.
            self._asked[model] = until_ns

    def _look(self, found: Models) -> None:
        """Note of which models rows came since the last look."""
        rows: Counter[Owner] = Counter()
        for key, model in found.items():
            rows[key[:2]] += model.rows
        now_s = self._steady_s()
        before = self._owners
        self._owners = {}
        for owner, count in rows.items():
            came = before.get(owner)
            if came is None:
                came = _Arrivals(count, now_s, now_s)
            if came.rows != count:
                came.rows = count
                came.newest_s = now_s
            self._owners[owner] = came

    def _until_ns(self, key: ModelKey, model: WatchedModel, now_ns: int) -> int:
        """Until when windows of a model close now; 0 where none do."""
        came = self._owners[key[:2]]
        now_s = self._steady_s()
        pause_s = now_s - came.newest_s
        run_s = now_s - came.began_s
        if pause_s >= model.config.batch_idle:
            came.began_s = now_s
            until_ns = self._end_ns(model, now_ns)
        elif run_s >= LONGEST_S:
            until_ns = self._passed_ns(model)
            if until_ns <= model.sealed_ns:
                came.began_s = now_s
        else:
            return 0
        if until_ns <= model.sealed_ns:
            return 0
        return model.open_steps_end_ns(until_ns, MOST_STEPS)

    def _end_ns(self, model: WatchedModel, now_ns: int) -> int:
        """Until when windows close now that a job is over."""
        config = model.config
        scored_ns = [round(s * 1e9) for s in config.detect_windows_s]
        return model.jobs.closes_ns(
            model.last_event_ns,
            config.step_ns,
            scored_ns,
            now_ns,
        )

    def _passed_ns(self, model: WatchedModel) -> int:
        """Until when windows close of rows that never stop: their own watermark, less what may be on its way."""
        step_ns = model.config.step_ns
        watermark_ns = model.last_event_ns - self._lateness_ns
        return watermark_ns // step_ns * step_ns


def _in_jobs(models: Models) -> dict[ModelKey, WatchedModel]:
    """Those with rows whose rows come in jobs."""
    found = {}
    for key, model in models.items():
        if model.is_batch and model.rows:
            found[key] = model
    return found
