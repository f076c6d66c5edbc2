"""The calls of the SDK that an application waits for, as `hot_paths` measures them in each of two checkouts.

What is recorded is thrown away at the buffer's door, so no thread runs beside the calls: theirs alone is measured.
What it takes from a checkout is the manual interface, `SklearnInstrumentor`, and `runtime` with its `append` and `append_many`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from sklearn.linear_model import LogisticRegression

import calidris
from calidris.instrument.libraries.sklearn import SklearnInstrumentor
from calidris.instrument.runtime import runtime

NOWHERE = "http://127.0.0.1:1"
"""Recording is on, and nothing is ever sent."""

ROWS = 512
NUMERIC = [f"n{at}" for at in range(20)]
NAMES = [*NUMERIC, *(f"c{at}" for at in range(5))]
VALUES: list[Any] = [*(0.1 * at for at in range(20)), *["level"] * 5]
ROW = dict(zip(NAMES, VALUES))

ONE_ROW = 500
MANY_ROWS = 20
"""How often a call is made for one figure: some milliseconds."""

Call = Callable[[], object]


def make_floor() -> Call:
    """Make what every row costs at least: a call, and a copy of its values."""
    return lambda: tuple(VALUES)


def make_calls() -> dict[str, tuple[int, Call]]:
    """Make all calls by name, and how often each is made for one figure."""
    warnings.simplefilter("ignore")
    calidris.configure(endpoint=NOWHERE)
    runtime.append = throw_away
    runtime.append_many = throw_away  # type: ignore[method-assign]
    calls: dict[str, tuple[int, Call]] = {}
    for name, call in (make_predictions() | make_single_calls()).items():
        calls[name] = ONE_ROW, call
    for name, call in (make_batches() | make_labels()).items():
        calls[name] = MANY_ROWS, call
    return calls


def throw_away(item: object) -> None:
    """Take what the buffer would."""


def make_predictions() -> dict[str, Call]:
    """Make calls of ``predict`` with rows of 25 values in many forms."""
    credit = calidris.Model("credit", task="binary", features=NAMES, allow=NAMES)
    other = calidris.Model("other", task="binary", allow=NAMES)
    sliced = calidris.Model("sliced", task="binary", features=NAMES, slices=["c0"], allow=NAMES)
    cut = {"region": "north"}
    some = dict(list(ROW.items())[:-1])
    array = np.linspace(0.0, 1.0, len(NAMES))
    observed = credit.observe(lambda row: 0.5)
    return {
        "dict": predict_with(credit, ROW),
        "dict, nothing declared": predict_with(other, ROW),
        "dict and id": lambda: predict(credit, ROW, id="request"),
        "list": predict_with(credit, VALUES),
        "list, nothing declared": predict_with(other, VALUES),
        "list of [[...]]": predict_with(credit, [VALUES]),
        "list, slices declared": predict_with(sliced, VALUES),
        "dict, slices declared": predict_with(sliced, ROW),
        "dict, slices given": lambda: predict(credit, ROW, slices=cut),
        "dict, a name missing": predict_with(credit, some),
        "dict, nothing declared, slices": lambda: predict(other, ROW, slices=cut),
        "tuple": predict_with(credit, tuple(VALUES)),
        "numpy row": predict_with(credit, array),
        "numpy row of [[...]]": predict_with(credit, array.reshape(1, -1)),
        "dict in a span": in_span(predict_with(credit, ROW)),
        "observe": lambda: observed(ROW),
        "switched off": switched_off(predict_with(credit, ROW)),
    }


def predict_with(model: calidris.Model, row: object) -> Call:
    """Make a call with a score."""
    return lambda: predict(model, row)


def predict(model: calidris.Model, row: object, **options: Any) -> None:
    """Make one prediction."""
    with model.predict(row, **options) as prediction:
        prediction.score = 0.5


def in_span(call: Call) -> Call:
    """Make a call within a span that nobody samples, as in a service."""
    tracer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("alternate")

    def run() -> None:
        call()

    return tracer.start_as_current_span("request")(run)


def switched_off(call: Call) -> Call:
    """Make a call as it is without an endpoint."""

    def run() -> None:
        runtime.on = False
        call()
        runtime.on = True

    return run


def make_single_calls() -> dict[str, Call]:
    """Make calls with many rows that bring one."""
    batch = calidris.Model("batch", task="binary", features=NUMERIC)
    X = np.random.default_rng(1).normal(size=(1, len(NUMERIC)))
    scores = np.full(1, 0.5)
    return {
        "batch 1 x 20": lambda: batch.record_batch(X, scores),
        "label": lambda: batch.record_label("request", 1),
        "sklearn, 1 x 20": make_estimator_call(X),
    }


def make_estimator_call(X: Any) -> Call:
    """Make a call of an estimator that is watched. Most of it is the estimator's own."""
    rng = np.random.default_rng(1)
    train = rng.normal(size=(200, len(NUMERIC)))
    estimator = LogisticRegression().fit(train, train[:, 0] > 0)
    SklearnInstrumentor().instrument()
    return lambda: estimator.predict_proba(X)


def make_batches() -> dict[str, Call]:
    """Make calls of ``record_batch`` with many rows in many forms."""
    batch = calidris.Model("batch", task="binary", features=NUMERIC)
    X = np.random.default_rng(1).normal(size=(ROWS, len(NUMERIC)))
    frame = pd.DataFrame(X, columns=NUMERIC)
    mixed = frame.assign(n0="level")
    rows = X.tolist()
    columns = dict(zip(NUMERIC, X.T))
    scores = np.full(ROWS, 0.5)
    score_list = scores.tolist()
    ids = make_ids()
    numbers = list(range(ROWS))
    array = np.array(ids)
    return {
        "batch 512 x 20": lambda: batch.record_batch(X, scores),
        "batch and ids": lambda: batch.record_batch(X, scores, ids),
        "batch and ids, numbers": lambda: batch.record_batch(X, scores, numbers),
        "batch and ids, array": lambda: batch.record_batch(X, scores, array),
        "batch, DataFrame": lambda: batch.record_batch(frame, scores),
        "batch, mixed DataFrame": lambda: batch.record_batch(mixed, scores),
        "batch, lists": lambda: batch.record_batch(rows, score_list),
        "batch, columns": lambda: batch.record_batch(columns, scores),
    }


def make_labels() -> dict[str, Call]:
    """Make calls of ``record_labels`` with many labels in many forms."""
    batch = calidris.Model("batch", task="binary", features=NUMERIC)
    ids = make_ids()
    numbers = list(range(ROWS))
    labels = [at % 2 for at in range(ROWS)]
    array = np.array(labels)
    texts = ["spam"] * ROWS
    return {
        "labels": lambda: batch.record_labels(ids, labels),
        "labels, texts": lambda: batch.record_labels(ids, texts),
        "labels, array": lambda: batch.record_labels(ids, array),
        "labels of numbers": lambda: batch.record_labels(numbers, labels),
    }


def make_ids() -> list[str]:
    """Make the ids of a batch."""
    return [f"request-{at}" for at in range(ROWS)]
