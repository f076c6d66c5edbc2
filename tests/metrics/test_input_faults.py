"""Rows against a stated schema: each kind of fault, in each kind of column, by hand on the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from calidris.batch import CodedColumn, Column, MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config.input_schema import FeatureSchema, InputSchema
from calidris.metrics.input_faults import FaultCount, FaultCounts, find_faults

NAN = float("nan")


def column(values: list[Any]) -> Column:
    if any(isinstance(v, str) for v in values):
        return CodedColumn.of(values)
    return NumberColumn.of([NAN if v is None else v for v in values])


def faults(
    values: list[Any] | None, schema: dict[str, Any], *, stated_type: bool = False, as_slice: bool = False
) -> dict[tuple[str, str], list[int]]:
    """Kind and example of each fault, to the places of its rows."""
    columns = {} if values is None else {"a": column(values)}
    n = 4 if values is None else len(values)
    batch = PredictionBatch(
        ModelKey("default", "m", "1"),
        np.zeros(n, dtype=np.int64),
        {} if as_slice else columns,
        slices={name: c for name, c in columns.items() if isinstance(c, CodedColumn)} if as_slice else {},
    )
    stated = InputSchema(features={"a": FeatureSchema.model_validate(schema)})
    found = find_faults(batch, stated, {"a"} if stated_type else ())
    return {(f.kind, f.example): np.flatnonzero(f.rows).tolist() for f in found}


CASES: dict[str, tuple[list[Any] | None, dict[str, Any], dict[tuple[str, str], list[int]]]] = {
    "numbers are numbers": ([1, 2.5, None], {"type": "number"}, {}),
    "text is no number": (["x", None, "y"], {"type": "number"}, {("type_violation", "'x' is no number"): [0, 2]}),
    "digits are text too": (["1", "2"], {"type": "number"}, {("type_violation", "'1' is no number"): [0, 1]}),
    "a half is no integer": ([1, 2.5, None], {"type": "integer"}, {("type_violation", "2.5 is no whole number"): [1]}),
    "truth values": ([0, 1, None, 2], {"type": "boolean"}, {("type_violation", "2 is neither true nor false"): [3]}),
    "a number is no text": ([7, None], {"type": "text"}, {("type_violation", "7 is a number, not a text"): [0]}),
    "texts are texts": (["x", None], {"type": "text"}, {}),
    "any type": (["x", None], {}, {}),
    "below": ([17.9, 18, 120], {"min": 18, "max": 120}, {("out_of_range", "17.9, below 18"): [0]}),
    "above": ([18, 120, 121, 999], {"min": 18, "max": 120}, {("out_of_range", "121, above 120"): [2, 3]}),
    "a range is of numbers": (["x"], {"min": 0}, {("type_violation", "'x' is no number"): [0]}),
    "one fault a value": ([130.5, 130], {"type": "integer", "max": 120}, {
        ("type_violation", "130.5 is no whole number"): [0], ("out_of_range", "130, above 120"): [1],
    }),
    "levels of texts": (["nl", "xx", None], {"levels": ["nl", "de"]}, {("unseen", "'xx' is none of the 2 levels"): [1]}),
    "levels of numbers": ([1, 4, None], {"levels": [1, 2, "3"]}, {("unseen", "4 is none of the 3 levels"): [1]}),
    "levels as digits": (["1", "4"], {"levels": [1, 2.0]}, {("unseen", "'4' is none of the 2 levels"): [1]}),
    "a zero in front": (["007", "7"], {"levels": ["007"]}, {("unseen", "'7' is none of the 1 levels"): [1]}),
    "truth values as levels": (["True", "no"], {"levels": [True, False]}, {("unseen", "'no' is none of the 2 levels"): [1]}),
    "gaps": ([1, None, NAN, float("inf")], {"nulls": False}, {("missing", "no value"): [1, 2, 3]}),
    "an empty text is a gap": (["x", "", None], {"nulls": False}, {("missing", "no value"): [1, 2]}),
    "no column": (None, {"nulls": False}, {("missing", "no such column"): [0, 1, 2, 3]}),
    "no column is no fault": (None, {"type": "number"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("values", "schema", "expected"), CASES.values(), ids=CASES.keys())
def test_faults_of_rows(
    values: list[Any] | None, schema: dict[str, Any], expected: dict[tuple[str, str], list[int]]
) -> None:
    assert faults(values, schema) == expected


def test_a_bound_holds_in_single_precision_too() -> None:
    singles = [float(np.float32(0.1)), float(np.float32(0.7))]
    assert singles[0] > 0.1
    assert singles[1] < 0.7
    assert faults(singles, {"min": 0.7, "max": 0.7}) == {("out_of_range", "0.1, below 0.7"): [0]}
    assert faults(singles, {"min": 0.1, "max": 0.1}) == {("out_of_range", "0.7, above 0.1"): [1]}
    assert faults([1e300], {"max": 1e300}) == {}


def test_texts_of_a_stated_type_are_read_first() -> None:
    assert faults(["12", "x", "130"], {"type": "integer", "max": 120}, stated_type=True) == {
        ("type_violation", "'x' is no whole number"): [1],
        ("out_of_range", "130, above 120"): [2],
    }
    assert faults([7, 8], {"type": "text", "levels": ["7"]}, stated_type=True) == {
        ("unseen", "'8' is none of the 1 levels"): [1]
    }
    assert faults(["True", "2"], {"type": "boolean"}, stated_type=True) == {
        ("type_violation", "'2' is neither true nor false"): [1]
    }


def test_what_is_sent_as_a_slice_only_is_found_there() -> None:
    assert faults(["12", "130"], {"max": 120}, as_slice=True) == {("out_of_range", "130, above 120"): [1]}
    assert faults(["nl", "xx"], {"levels": ["nl"], "nulls": False}, as_slice=True) == {
        ("unseen", "'xx' is none of the 1 levels"): [1]
    }


def test_an_embedding_may_only_be_missing() -> None:
    vectors = MatrixColumn.of([[1.0, 2.0], [NAN, 1.0]])
    batch = PredictionBatch(ModelKey("default", "m", "1"), np.zeros(2, dtype=np.int64), {}, embeddings={"a": vectors})
    stated = InputSchema(features={"a": FeatureSchema(type="number", nulls=False)})
    assert [(f.kind, f.rows.tolist()) for f in find_faults(batch, stated, ())] == [("missing", [False, True])]


def test_a_long_text_is_cut() -> None:
    assert list(faults(["x" * 1000], {"levels": ["y"]})) == [("unseen", f"'{'x' * 40}…' is none of the 1 levels")]


def test_faults_add_up_and_keep_the_first_example() -> None:
    stated = InputSchema(features={"a": FeatureSchema(max=1)})
    counts = FaultCounts()
    for values in ([2.0, 3.0], [0.5], [9.0]):
        batch = PredictionBatch(
            ModelKey("default", "m", "1"), np.zeros(len(values), dtype=np.int64), {"a": NumberColumn.of(values)}
        )
        counts.add(find_faults(batch, stated, ()))
    assert list(counts) == [FaultCount("a", "out_of_range", 3, "2, above 1")]
