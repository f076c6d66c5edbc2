"""What every program here predicts with, and its own account of it: one byte before a prediction, one after it.

The account is a file that all processes of a program append to, so it stands whatever becomes of them.
"""

from __future__ import annotations

import atexit
import json
import os

ACCOUNT = os.environ["ACCOUNT"]
_account = os.open(ACCOUNT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def write_drops() -> None:
    """What this process says it has dropped, and what had been made by then, once everything else has ended."""
    from calidris.instrument.runtime import runtime

    with open(ACCOUNT, "rb") as written:
        ended = written.read().count(b"e")
    drops = {f"{model} {reason}": rows for (model, reason), rows in runtime.drops().items()}
    with open(f"{ACCOUNT}.drops", "a") as file:
        file.write(json.dumps({"made": ended, "dropped": drops}) + "\n")


atexit.register(write_drops)  # before Calidris is imported: what is registered first is called last

from calidris import Model  # noqa: E402

MODEL = Model(os.environ["MODEL"], version="7", task="binary", features=["age"])


def predict(times: int = 1) -> None:
    """Predict, and write down that it was done."""
    for _ in range(times):
        os.write(_account, b"b")
        with MODEL.predict(features={"age": 40.0}) as prediction:
            prediction.score = 0.5
        os.write(_account, b"e")


def batch(rows: int) -> None:
    """The same for many at once, one byte each."""
    os.write(_account, b"b" * rows)
    MODEL.record_batch([[40.0]] * rows, scores=[0.5] * rows)
    os.write(_account, b"e" * rows)
