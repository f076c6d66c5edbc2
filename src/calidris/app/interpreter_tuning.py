"""Settings of the interpreter for a process that decodes requests in many threads; measured in ``benchmarks/receiver.py``."""

from __future__ import annotations

import gc
import sys

SWITCH_INTERVAL_S = 0.02
"""Threads that decode hold the interpreter for some milliseconds anyway; asking four times as often costs 5 to 20 %."""

COLLECT_AFTER = (50_000, 20, 50)
"""A request of one-row spans makes thousands of short-lived objects and no cycles; looking for them costs 10 to 20 %."""


def tune() -> None:
    """Tune this process; called once by ``calidris serve``, when everything is imported and before the first request."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()  # what was imported lives as long as the process
    gc.set_threshold(*COLLECT_AFTER)
