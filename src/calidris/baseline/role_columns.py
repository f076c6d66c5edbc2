"""Columns that mean something: scores, durations, errors, weights. What cannot be right is refused, with row and value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from calidris.baseline.findings import Findings
from calidris.baseline.refusals import Cells
from calidris.batch import CodedColumn, Column, Floats, Mask, NumberColumn
from calidris.config.class_names import NO_CLASSES, class_text
from calidris.errors import ConfigError
from calidris.score_tolerance import TOLERANCE

TEXT: Final = "is text, where numbers belong"

FAILED: Final = "failed"
"""Type of the errors of which a file says no more than that they were."""

ERRORS: Final = "errors"

_NO_ERRORS: Final = NO_CLASSES | {"None", "0"}
"""What a text column says where there was no error. False is spelled "0"."""

DURATION_UNITS: Final = {
    "s": 1.0,
    "ms": 1e3,
    "us": 1e6,
    "ns": 1e9,
}
"""How many of a unit make a second."""

LONG_S: Final = 100.0
"""Durations beyond it are not told apart; a file where most are is rather one of another unit."""


LONG: Final = f"longer than {LONG_S:g} s, not told apart"


def read_numbers(
    cells: Cells,
    column: Column,
    findings: Findings,
    what: str,
) -> NumberColumn:
    """A column that must hold numbers.

    Texts that all look like numbers are noted, not refused: the row that made the column text may be in a later block.

    Args:
        cells: where it comes from.
        column: what was read.
        findings: is told.
        what: ``a score``, for the message.

    Raises:
        ConfigError: text, with the first row that is no number.
    """
    if isinstance(column, NumberColumn):
        return column
    cells.refuse_first(
        _without_number(column),
        f"is no number, and {what} is one: mend the cell, or leave it empty",
    )
    findings.note(cells, column.valid, TEXT)
    nothing = np.full(len(column), np.nan)
    return NumberColumn.of(nothing)


def _without_number(column: CodedColumn) -> Mask:
    """Rows of texts that are no number; of empty ones only where there are no others."""
    odd = _rows_where(column, lambda text: not _is_number(text))
    blank = _rows_where(column, _is_blank)
    words = odd & ~blank
    return words if words.any() else odd


def _rows_where(column: CodedColumn, asked: Callable[[str], bool]) -> Mask:
    """Rows whose text answers a question, asked once a level; bool[n]."""
    answers = [asked(level) for level in column.levels]
    # Code -1, which is missing, reads the last one.
    table = np.array([*answers, False])
    found: Mask = table[column.codes]
    return found


def _is_blank(text: str) -> bool:
    return not text.strip()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_texts(path: Path, findings: Findings) -> None:
    """Once all rows were seen: numbers that a file stores as text.

    Raises:
        ConfigError: there are some, with the first.
    """
    for (name, what), one in findings.found.items():
        if what == TEXT:
            raise ConfigError(f"{path}: column {name!r}, {one.first} {TEXT}: store the column as numbers")


def read_scores(
    cells: Cells,
    column: Column,
    findings: Findings,
) -> NumberColumn:
    """Probabilities; a rounding error outside of [0, 1] is cut off and counted.

    Raises:
        ConfigError: text, or a number further outside.
    """
    scores = read_numbers(cells, column, findings, "a score")
    values = scores.values
    missing = np.isnan(values)
    # Infinity is not valid, and yet no missing score.
    outside = ~missing & ~_within(values, 0.0)
    far = outside & ~_within(values, TOLERANCE)
    cells.refuse_first(
        far,
        "is no probability: a score lies in [0, 1]. Give logits and margins through a sigmoid, and percents divided by 100",
    )
    findings.note(cells, outside, "a hair outside of [0, 1], cut off there")
    inside = np.clip(values, 0.0, 1.0)
    return NumberColumn(inside, scores.valid, scores.non_finite)


def _within(values: Floats, slack: float) -> Mask:
    above: Mask = values >= -slack
    below: Mask = values <= 1.0 + slack
    return above & below


def read_values(
    cells: Cells,
    column: Column,
    findings: Findings,
    what: str,
) -> NumberColumn:
    """Numbers of any size; infinite ones are missing, and counted.

    Raises:
        ConfigError: text.
    """
    numbers = read_numbers(cells, column, findings, what)
    findings.note(cells, np.isinf(numbers.values), "infinite, counted as missing")
    return numbers


def read_durations(
    cells: Cells,
    column: Column,
    per_s: float,
    findings: Findings,
) -> NumberColumn:
    """Seconds; negative ones are missing, as on the wire, and counted.

    Raises:
        ConfigError: text.
    """
    numbers = read_values(cells, column, findings, "a duration")
    if pa.types.is_duration(cells.kind):
        # A length of time says its unit by itself, and is seconds here.
        per_s = 1.0
    seconds = numbers.values / per_s
    negative = numbers.valid & (seconds < 0.0)
    findings.note(cells, negative, "negative, counted as missing")
    long = numbers.valid & (seconds > LONG_S)
    findings.note(cells, long, LONG)
    valid = numbers.valid & ~negative
    return NumberColumn(seconds, valid, numbers.non_finite)


def read_errors(
    cells: Cells,
    column: Column,
    findings: Findings,
) -> CodedColumn:
    """Types of errors; missing where there was none: no text, what libraries write for nothing, or false.

    Raises:
        ConfigError: numbers that are no truth value.
    """
    errors = _read_flags(cells, column) if isinstance(column, NumberColumn) else _read_types(column)
    findings.note(cells, errors.valid, ERRORS)
    return errors


def _read_types(column: CodedColumn) -> CodedColumn:
    none = _rows_where(column, _is_no_error)
    codes = np.where(none, -1, column.codes)
    return CodedColumn(column.levels, codes.astype(np.int32))


def _is_no_error(text: str) -> bool:
    spelled = class_text(text)
    return spelled in _NO_ERRORS


def _read_flags(cells: Cells, column: NumberColumn) -> CodedColumn:
    failed = column.valid & (column.values == 1.0)
    succeeded = column.valid & (column.values == 0.0)
    cells.refuse_first(
        column.valid & ~failed & ~succeeded,
        "is neither true nor false: --error takes the type of an error as text, or whether there was one",
    )
    codes = np.where(failed, 0, -1)
    return CodedColumn((FAILED,), codes.astype(np.int32))


def read_weights(
    cells: Cells,
    column: Column,
    findings: Findings,
) -> NumberColumn:
    """Numbers above 0, one a row.

    Raises:
        ConfigError: text, a number that is none, or no number.
    """
    numbers = read_numbers(cells, column, findings, "a weight")
    good = numbers.valid & (numbers.values > 0.0)
    cells.refuse_first(
        ~good,
        "is no weight: each row needs a number above 0",
    )
    return numbers
