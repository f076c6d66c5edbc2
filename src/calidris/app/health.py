"""The receiver's own figures, gathered when somebody asks: each part keeps plain numbers, nothing is pushed.

``docs/operations.md`` says what each one means and what to do when it rises; a test holds the two together.

Where the operating system does not say something of this process (not every system has ``/proc``), there is no figure.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeAlias

from calidris import semconv
from calidris.app.listeners import ListenerAuth
from calidris.app.loop import EngineLoop
from calidris.app.restore import Storage
from calidris.export import OtlpExporter
from calidris.receive.admission import Admission, ReceiverCounters

Values: TypeAlias = dict[str, "float | dict[str, float]"]


@dataclass
class Health:
    """Reads the parts of a running receiver. Safe from any thread: every part may be asked at any time.

    Attributes:
        storage: journal, checkpoint and replay.
        loop: the engine's thread.
        admission: the queue.
        counters: what was answered.
        auth: who was refused, and what could not be read again.
        state: what the receiver does now, a value of ``calidris.state``.
        clock_ns: time, ns since the epoch.
        started_ns: when the process started.
        otlp: the push, where there is one.
        suppressed: log lines left out so far.
    """

    storage: Storage
    loop: EngineLoop
    admission: Admission
    counters: ReceiverCounters
    auth: ListenerAuth
    state: Callable[[], str]
    clock_ns: Callable[[], int]
    started_ns: int
    otlp: OtlpExporter | None = None
    suppressed: Callable[[], int] = field(default=lambda: 0)

    def read(self) -> Values:
        """Every figure by metric name, or by metric name and reason. Costs some 100 µs."""
        now_ns = self.clock_ns()
        return {
            **self._receiver(),
            **self._queue(),
            **self._journal(),
            **self._checkpoint(now_ns),
            **self._leaving(now_ns),
            **self.storage.progress.health(),
            **process_health(self.started_ns, now_ns),
            semconv.METRIC_CALIDRIS_BUILD_INFO.name: {calidris_version(): 1.0},
        }

    def _receiver(self) -> Values:
        told: Mapping[str, Mapping[str, int]] = self.counters.snapshot()

        def table(name: str) -> dict[str, float]:
            return {reason: float(count) for reason, count in told.get(name, {}).items()}

        spans, rows = told.get("spans", {}), told.get("rows", {})
        return {
            semconv.METRIC_CALIDRIS_RECEIVER_STATE.name: {self.state(): 1.0},
            semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS.name: table("requests"),
            semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_BEGUN.name: table("begun"),
            semconv.METRIC_CALIDRIS_RECEIVER_RECEIVED.name: float(told.get("bytes", {}).get("", 0)),
            semconv.METRIC_CALIDRIS_RECEIVER_SPANS_RECEIVED.name: float(spans.get("received", 0)),
            semconv.METRIC_CALIDRIS_RECEIVER_SPANS_ACCEPTED.name: float(spans.get("accepted", 0)),
            semconv.METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED.name: table("spans_rejected"),
            semconv.METRIC_CALIDRIS_RECEIVER_SPANS_IGNORED.name: table("spans_ignored"),
            semconv.METRIC_CALIDRIS_RECEIVER_ROWS_ACCEPTED.name: float(rows.get("accepted", 0)),
            semconv.METRIC_CALIDRIS_ACCESS_REFUSED.name: {
                r: float(n) for r, n in self.auth.access.refused.copy().items()
            },
            semconv.METRIC_CALIDRIS_ACCESS_FAILURES.name: float(self.auth.failures),
        }

    def _queue(self) -> Values:
        records, seconds = self.loop.lag()
        return {
            semconv.METRIC_CALIDRIS_QUEUE_SIZE.name: float(self.admission.used_bytes),
            semconv.METRIC_CALIDRIS_QUEUE_LIMIT.name: float(self.admission.max_bytes),
            semconv.METRIC_CALIDRIS_QUEUE_ITEMS.name: float(self.loop.waiting),
            semconv.METRIC_CALIDRIS_LAG_RECORDS.name: float(records),
            semconv.METRIC_CALIDRIS_LAG_TIME.name: seconds,
        }

    def _journal(self) -> Values:
        journal = self.storage.journal
        return {
            semconv.METRIC_CALIDRIS_JOURNAL_SIZE.name: float(journal.size_bytes),
            semconv.METRIC_CALIDRIS_JOURNAL_LIVE.name: float(journal.live_bytes),
            semconv.METRIC_CALIDRIS_JOURNAL_LIMIT.name: float(journal.limit_bytes),
            semconv.METRIC_CALIDRIS_JOURNAL_LOST.name: float(journal.lost_records),
            semconv.METRIC_CALIDRIS_JOURNAL_TORN.name: float(journal.torn_bytes),
            semconv.METRIC_CALIDRIS_JOURNAL_RECORDS.name: float(journal.records),
            semconv.METRIC_CALIDRIS_JOURNAL_SYNCS.name: float(journal.sync_timing.count),
            semconv.METRIC_CALIDRIS_JOURNAL_SYNC_TIME.name: journal.sync_timing.total_s,
            semconv.METRIC_CALIDRIS_JOURNAL_SYNC_MAX.name: journal.sync_timing.longest_s,
        }

    def _checkpoint(self, now_ns: int) -> Values:
        saving = self.loop.saving
        return {
            semconv.METRIC_CALIDRIS_CHECKPOINT_AGE.name: max(now_ns - self.loop.saved_ns, 0) / 1e9,
            semconv.METRIC_CALIDRIS_CHECKPOINT_SIZE.name: float(self.storage.checkpoint_bytes),
            semconv.METRIC_CALIDRIS_CHECKPOINT_SAVES.name: float(saving.count),
            semconv.METRIC_CALIDRIS_CHECKPOINT_TIME.name: saving.total_s,
            semconv.METRIC_CALIDRIS_CHECKPOINT_DURATION.name: saving.last_s,
            semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name: {r: float(n) for r, n in self.loop.failures.copy().items()},
        }

    def _leaving(self, now_ns: int) -> Values:
        pushes = self.otlp.counts if self.otlp else None
        self.loop.warn_if_old()
        return {
            semconv.METRIC_CALIDRIS_CLOCK_OFFSET.name: self.loop.clock_offset_s,
            semconv.METRIC_CALIDRIS_SNAPSHOT_AGE.name: max(now_ns - self.loop.latest.taken_ns, 0) / 1e9,
            semconv.METRIC_CALIDRIS_SNAPSHOT_DURATION.name: self.loop.publishing.last_s,
            semconv.METRIC_CALIDRIS_EXPORT_PUSHES.name: float(pushes.sent if pushes else 0),
            semconv.METRIC_CALIDRIS_EXPORT_PUSHES_FAILED.name: float(pushes.failed if pushes else 0),
            semconv.METRIC_CALIDRIS_LOG_SUPPRESSED.name: float(self.suppressed()),
        }


@cache
def calidris_version() -> str:
    """The version that runs; ``unknown`` where it was not installed.

    >>> calidris_version() != ""
    True
    """
    try:
        return version("calidris")
    except PackageNotFoundError:
        return "unknown"


_PROC = Path("/proc/self")


def process_health(started_ns: int, now_ns: int) -> dict[str, float]:
    """Memory, descriptors, threads, processor time and age of this process by metric name. Costs some 50 µs."""
    found = {
        semconv.METRIC_CALIDRIS_PROCESS_THREADS.name: float(threading.active_count()),
        semconv.METRIC_CALIDRIS_PROCESS_CPU_TIME.name: time.process_time(),
        semconv.METRIC_CALIDRIS_PROCESS_UPTIME.name: max(now_ns - started_ns, 0) / 1e9,
        semconv.METRIC_CALIDRIS_PROCESS_DESCRIPTORS_LIMIT.name: float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    }
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
        found[semconv.METRIC_CALIDRIS_PROCESS_MEMORY.name] = float(pages * os.sysconf("SC_PAGE_SIZE"))
        found[semconv.METRIC_CALIDRIS_PROCESS_DESCRIPTORS.name] = float(len(os.listdir(_PROC / "fd")))
    except (OSError, ValueError, IndexError):
        pass
    return found
