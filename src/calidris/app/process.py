"""What the operating system says of this process. Where it does not say (not every system has ``/proc``), there is no figure."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path

from calidris import semconv

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
