"""APScheduler, whose jobs run in threads or in processes: ``python scheduled.py processes``."""

from __future__ import annotations

import sys

import ledger
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler

EXECUTORS = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}
JOBS, EACH = 8, 25


def main() -> None:
    """Run for ever; each job comes once."""
    executor = EXECUTORS[sys.argv[1]](2)
    scheduler = BlockingScheduler(executors={"default": executor})
    for _ in range(JOBS):
        scheduler.add_job(ledger.predict, args=(EACH,), misfire_grace_time=None)
    scheduler.start()


if __name__ == "__main__":
    main()
