"""Predictions that wait for a label, as rows of a fixed shape, and those rows with their labels under the spec of their pane."""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.baseline.build import slice_columns
from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.engine.columns import class_hashes
from calidris.labels import NO_ID, hash_ids, hash_text
from calidris.labels.pending import Rows
from calidris.state import Spec, class_codes, class_names
from calidris.state.blocks.labelled import ClassRows, LabelledRows, NumberRows
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


def labelled_rows(spec: Spec, rows: Rows, label: Column, label_time_ns: Ints) -> tuple[LabelledRows, int]:
    """Waiting rows with their labels, none of them missing; and how many labels were left out, being no numbers."""
    delay_s: Floats = np.maximum(label_time_ns - rows["time_ns"], 0) / 1e9
    slices = spec.cross(rows["slices"].T[: len(spec.slices)].astype(np.int64))
    score = rows["score"].astype(np.float64)
    weights = rows["weight"].astype(np.float64) if "weight" in (rows.dtype.names or ()) else None
    units = None if weights is None else units_of_numbers(weights)
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        truth = _as_numbers(label)
        use = truth.valid
        found = NumberRows(truth.values, score, delay_s, slices, units)
        return found.take(use), int(np.count_nonzero(~use))
    truth_codes = class_codes(spec, label)
    decided = _decision_codes(spec, rows)
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        right = truth_codes
    else:  # by hash, not by code: two classes beyond the cap are not one
        right = (class_hashes(label, len(rows)) == rows["decision"]).astype(np.int64)
    return ClassRows(score, right, truth_codes, decided, delay_s, slices, units), 0


def _within(weight: NumberColumn) -> Floats:
    """Weights as they are counted: a double of 1e300 would be infinite in four bytes."""
    inside = np.clip(weight.values, LEAST, MOST)
    return np.where(weight.valid, inside, 1.0)


def outcome_column(texts: list[str], task: str) -> Column:
    """Outcomes that were kept as text, as a column again: numbers in a regression, where they are such."""
    column = CodedColumn.of(list(texts))
    return _as_numbers(column) if task == semconv.ML_MODEL_TASK_REGRESSION else column


def _as_numbers(label: Column) -> NumberColumn:
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
