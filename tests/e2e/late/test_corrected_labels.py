"""A corrected label, through a served receiver: what was wrong for ever is right, also when it is killed between old and new."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from running import CONFIG, Running, until

from calidris.baseline import BaselineColumns, build, write
from calidris.batch import Floats, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Spec
from calidris.wire import encode_labels, encode_predictions

pytestmark = pytest.mark.e2e

N = 1000
MODEL = """
models:
  - name: credit
    windows: [5s, 1h]
    baseline: credit.calidris
    detect: {windows: [5s]}
"""
SECOND = 10**9
DECIDED: Floats = np.tile([1.0, 0.0], N // 2)
HALF = np.where(np.arange(N) < 493, DECIDED, 1 - DECIDED)
"""Outcomes as they were told first: 493 of 1000 decisions were right."""
BETTER = np.where(np.arange(N) < 750, DECIDED, 1 - DECIDED)
"""Corrected: 750 were."""


def predictions(begin_ns: int) -> PredictionBatch:
    return PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=begin_ns + np.arange(N, dtype=np.int64),
        features={"x": NumberColumn.of(np.arange(N) / N)},
        task="binary",
        ids=[f"c{i}" for i in range(N)],
        score=NumberColumn.of(DECIDED * 0.8 + 0.1),
    )


def outcomes(truth: Floats, known_ns: int) -> LabelBatch:
    times = np.full(N, known_ns, dtype=np.int64)
    return LabelBatch("default", "credit", [f"c{i}" for i in range(N)], NumberColumn.of(truth), times)


def accuracy(receiver: Running) -> float | None:
    """Of the long window, as the read API tells it."""
    if not receiver.model()["labels"]:
        return None  # not seen yet
    about = {"ml.performance.measure": "accuracy", "ml.label.maturity": "arrived"}
    told = receiver.get("/v1/models/credit/7/readings")
    found = [r for r in told if r["window"] == "1h" and about.items() <= r["attributes"].items()]
    return found[0]["value"] if found else None


def applied(receiver: Running, revised: int, repeated: int = 0) -> bool:
    told = (
        receiver.total("calidris_labels_revised_total"),
        receiver.total("calidris_labels_unmatched_total", calidris_reason="repeated"),
    )
    return told == (revised, repeated)


def test_a_corrected_outcome_takes_the_place_of_the_first_one(make_receiver: Callable[..., Running]) -> None:
    """Found in an audit: accuracy stayed .493 where .75 was right."""
    receiver = make_receiver(CONFIG + MODEL)
    columns = BaselineColumns(predictions(SECOND), NumberColumn.of(HALF), delay_s=np.ones(N))
    write(build(columns, Spec(positive="1"), window_s=5.0), receiver.folder / "credit.calidris")
    receiver.start()
    begin = time.time_ns() - 60 * SECOND
    receiver.export(encode_predictions(predictions(begin), form="packed", one_span_per_row=False))
    receiver.export(encode_labels(outcomes(HALF, begin + SECOND)))
    until(lambda: accuracy(receiver) == pytest.approx(0.493))
    receiver.kill()
    receiver.start()
    assert until(lambda: accuracy(receiver)) == pytest.approx(0.493)
    receiver.export(encode_labels(outcomes(BETTER, begin + 2 * SECOND)))
    changed = int((HALF != BETTER).sum())
    until(lambda: applied(receiver, changed, N - changed))
    receiver.kill()  # before or after a checkpoint: the journal has it
    receiver.start()
    until(lambda: accuracy(receiver) == pytest.approx(0.75))
    # The first request again is a repeat of its bytes; an older word that comes late in another one is superseded.
    receiver.export(encode_labels(outcomes(HALF, begin + SECOND)))
    until(lambda: receiver.total("calidris_labels_duplicate_total") == N)
    receiver.export(encode_labels(outcomes(HALF, begin + SECOND + 1)))
    until(lambda: receiver.total("calidris_labels_unmatched_total", calidris_reason="superseded") == changed)
    assert applied(receiver, changed, 2 * (N - changed)) and accuracy(receiver) == pytest.approx(0.75)
    assert receiver.total("ml_received_labels_total") == N == receiver.model()["labels"]
    assert receiver.total("calidris_engine_failures_total") == 0
