"""A Celery application whose queue is a folder: ``QUEUE``. A task is some predictions."""

from __future__ import annotations

import os
from pathlib import Path

import ledger
from celery import Celery

QUEUE = Path(os.environ["QUEUE"])
EACH = 5

app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(QUEUE),
        "data_folder_out": str(QUEUE),
        "control_folder": str(QUEUE / "control"),
        "polling_interval": 0.02,  # seconds; 1 if nothing is said
    },
    worker_prefetch_multiplier=0,  # take what there is: the loop without a broker looks only every other second
    broker_connection_retry_on_startup=True,
)


@app.task
def task() -> None:
    """Predict a few times."""
    ledger.predict(EACH)


if __name__ == "__main__":  # fill the queue
    for _ in range(int(os.environ["TASKS"])):
        task.delay()
