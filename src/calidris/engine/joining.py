"""Predictions that wait for a label, as rows of a fixed shape, and those rows with their labels under the spec of their pane."""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.baseline.build import slice_columns
from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.engine.columns import class_hashes
from calidris.labels import NO_ID, Held, Match, hash_ids, hash_text
from calidris.labels.held import DELAY, KNOWN, RIGHT
from calidris.labels.pending import Rows
from calidris.state import Spec, class_codes, class_names
from calidris.state.blocks.labelled import ClassRows, LabelledRows, NumberRows
from calidris.state.blocks.table_state import DELAY_EDGES_S, delay_buckets
from calidris.state.coding.stated_types import as_stated
from calidris.state.weights import LEAST, MOST, units_of_numbers


def waiting_rows(batch: PredictionBatch, spec: Spec, number: int, dtype: np.dtype[np.void]) -> Rows:
    """The rows of a batch whose label can be counted: an id, and a score, a decision or a regression output.

    Args:
        batch: the predictions.
        spec: of the pane that they are counted in.
        number: the spec's number in the model.
        dtype: ``pending_dtype`` of the model.
    """
    rows = np.zeros(len(batch), dtype=dtype)
    rows["id"] = hash_ids(batch.ids or [])
    rows["time_ns"] = batch.event_time_ns
    numbers = batch.value if spec.task == semconv.ML_MODEL_TASK_REGRESSION else batch.score
    rows["score"] = np.nan if numbers is None else np.where(numbers.valid, numbers.values, np.nan)
    rows["decision"] = class_hashes(batch.decision, len(batch))
    rows["spec"] = number
    rows["slices"] = -1
    rows["slices"][:, : len(spec.slices)] = spec.slice_rows(slice_columns(batch, spec)).T
    if "weight" in (dtype.names or ()):
        rows["weight"] = 1.0 if batch.weight is None else _within(batch.weight)
    found: Rows = rows[(rows["id"] != NO_ID) & _answered(spec.task, rows)]
    return found


def _answered(task: str, rows: Rows) -> Mask:
    """Rows that said something which a label can prove right or wrong: several classes need a decided one."""
    number: Mask = ~np.isnan(rows["score"])
    decided: Mask = rows["decision"] != 0
    if task == semconv.ML_MODEL_TASK_REGRESSION:
        return number
    return number | decided if task == semconv.ML_MODEL_TASK_BINARY else decided


_OF_BUCKET: Floats = np.array([*DELAY_EDGES_S, np.inf])
"""A delay of each bucket: tables ask for no more."""


def held_labels(spec: Spec, match: Match, label: Column, delay_s: Floats, out: Held) -> Mask:
    """Write down labels, none of them missing, as the rows that they name will hold them.

    Args:
        spec: of the pane that the rows were counted in.
        match: the rows, n.
        label: what came true, n.
        delay_s: seconds from prediction to label, float64[n]; a row keeps the one of its first label.
        out: where to, n of a ``held_dtype``; all but ``as_of_ns``.

    Returns:
        Which of them can be counted, bool[n]: a regression needs numbers.
    """
    first = np.where(match.used, match.held["marks"] & DELAY, delay_buckets(delay_s))
    out["marks"] = first | KNOWN
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        truth = as_numbers(label)
        out["label"] = np.where(truth.valid, truth.values, 0.0)
        return truth.valid
    codes = class_codes(spec, label)
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        right = codes == 1
    else:  # by hash, not by code: two classes beyond the cap are not one
        right = class_hashes(label, len(codes)) == match.rows["decision"]
    out["label"] = codes
    out["marks"] |= np.where(right, RIGHT, 0).astype(np.uint8)
    return np.ones(len(codes), dtype=np.bool_)


def labelled_rows(spec: Spec, rows: Rows, held: Held) -> LabelledRows:
    """Predictions with the labels that they hold. The same ones give the same rows: what was added can be taken off, exactly."""
    delay_s = _OF_BUCKET[held["marks"] & DELAY]
    slices = spec.cross(rows["slices"].T[: len(spec.slices)].astype(np.int64))
    score = rows["score"].astype(np.float64)
    weights = rows["weight"].astype(np.float64) if "weight" in (rows.dtype.names or ()) else None
    units = None if weights is None else units_of_numbers(weights)
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        truth = held["label"].astype(np.float64)
        return NumberRows(truth, score, delay_s, slices, units)
    right = (held["marks"] & RIGHT != 0).astype(np.int64)
    truth_codes = held["label"].astype(np.int64)
    decided = _decision_codes(spec, rows)
    return ClassRows(score, right, truth_codes, decided, delay_s, slices, units)


def _within(weight: NumberColumn) -> Floats:
    """Weights as they are counted: a double of 1e300 would be infinite in four bytes."""
    inside = np.clip(weight.values, LEAST, MOST)
    return np.where(weight.valid, inside, 1.0)


def outcome_column(texts: list[str], task: str) -> Column:
    """Outcomes that were kept as text, as a column again: numbers in a regression, where they are such."""
    column = CodedColumn.of(list(texts))
    return as_numbers(column) if task == semconv.ML_MODEL_TASK_REGRESSION else column


def as_numbers(label: Column) -> NumberColumn:
    """Outcomes of a regression: one text among them, or one long whole number, makes a sender's whole column text."""
    found = as_stated(label, "number")
    assert isinstance(found, NumberColumn), "stated so"
    return found


def _decision_codes(spec: Spec, rows: Rows) -> Ints:
    """Code of each row's decided class, int64[n]; a binary task without a decision decides by the threshold."""
    decision = rows["decision"]
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        said = (decision == hash_text(class_text(spec.positive))).astype(np.int64)
        by_score = np.where(np.isnan(rows["score"]), -1, rows["score"] >= spec.threshold)
        return np.where(decision == 0, by_score, said)
    names = class_names(spec)
    codes = np.where(decision == 0, -1, len(names) - 1)
    for code, name in reversed(list(enumerate(names[:-1]))):
        codes[decision == hash_text(class_text(name))] = code
    return codes
