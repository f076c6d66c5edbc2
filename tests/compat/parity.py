"""Our verdicts beside recorded ones: shared by the test and by the live re-check of ``make bench-peers``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from tests.compat.cases import Values, cases

from calidris.batch import CodedColumn, Column, NumberColumn
from calidris.compat import ColumnVerdict, Left, TableVerdict, kind_of, verdicts

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Scores agree to nine digits; p-values below 1e-12 count as equal. Rules, thresholds and verdicts agree exactly."""


def column(values: np.ndarray) -> tuple[pa.DataType, Column]:
    """The type that a file would have, and the column."""
    stored = pa.array(values.tolist() if values.dtype.kind in "UO" else values)
    if pa.types.is_string(stored.type):
        return stored.type, CodedColumn.of(stored.to_pylist())
    return stored.type, NumberColumn.of(np.array(stored.to_pylist(), dtype=np.float64))


def ours(baseline: Values, window: Values) -> TableVerdict:
    now = {name: column(values) for name, values in window.items()}
    kinds = {name: kind_of(stored, values) for name, (stored, values) in now.items()}
    return verdicts(
        {name: column(v)[1] for name, v in baseline.items()}, {name: v for name, (_, v) in now.items()}, kinds
    )


def differences(recorded: dict[str, Any]) -> Iterator[str]:
    """One line for each thing on which the profile and the record do not agree."""
    for name, baseline, window in cases():
        said, found = recorded[name], ours(baseline, window)
        for one in found.columns:
            if (wrong := _column(one, said["columns"].get(one.column))) is not None:
                yield f"{name}: {one.column}: {wrong}"
        table = said["table"]
        if found.drifted is None or found.drifted != table["drifted"] or abs(found.share - table["share"]) > ABSOLUTE:
            yield f"{name}: the table: {found.share}, {found.drifted} and not {table}"


def _column(found: ColumnVerdict, said: list[Any] | None) -> str | None:
    if said is None or found.left is Left.TEXT:
        left_out = said is None and found.left in (Left.OTHER, Left.GONE)
        is_text = said is not None and "text" in said[0] and found.left is Left.TEXT
        return None if left_out or is_text else f"{found} and not {said}"
    rule, score, threshold, drifted = said
    if found.rule is None or found.score is None:
        return f"no verdict, and not {said}"
    same = (found.rule.name, found.rule.threshold, found.drifted) == (rule, threshold, drifted)
    near = math.isclose(found.score, score, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return None if same and near else f"{found} and not {said}"


def compared(recorded: dict[str, Any]) -> int:
    """How many verdicts on columns there are."""
    return sum(len(case["columns"]) for case in recorded.values())
