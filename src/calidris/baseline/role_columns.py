"""Columns that mean something: scores, durations, errors, weights. What cannot be right is refused, with row and value."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from calidris.baseline.findings import Findings
from calidris.baseline.refusals import Cells
from calidris.batch import CodedColumn, Column, Mask, NumberColumn
from calidris.errors import ConfigError
from calidris.score_tolerance import TOLERANCE

TEXT: Final = "is text, where numbers belong"

FAILED: Final = "failed"
"""Type of the errors of which a file says no more than that they were."""

DURATION_UNITS: Final = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""How many of a unit make a second."""

LONG_S: Final = 100.0
"""Durations beyond it are not told apart; a file where most are is rather one of another unit."""


LONG: Final = f"longer than {LONG_S:g} s, not told apart"


def read_numbers(cells: Cells, column: Column, findings: Findings, what: str) -> NumberColumn:
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
    cells.refuse_first(_without_number(column), f"is no number, and {what} is one: mend the cell, or leave it empty")
    findings.note(cells, column.valid, TEXT)
    return NumberColumn.of(np.full(len(column), np.nan))


def _without_number(column: CodedColumn) -> Mask:
    """Rows of texts that are no number; of empty ones only where there are no others."""
    odd = np.array([not _is_number(level) for level in column.levels] + [False])
    blank = np.array([not level.strip() for level in column.levels] + [False])
    words: Mask = (odd & ~blank)[column.codes]
    return words if words.any() else odd[column.codes]


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


def read_scores(cells: Cells, column: Column, findings: Findings) -> NumberColumn:
    """Probabilities; a rounding error outside of [0, 1] is cut off and counted.

    Raises:
        ConfigError: text, or a number further outside.
    """
    scores = read_numbers(cells, column, findings, "a score")
    values = scores.values
    inside = (values >= 0.0) & (values <= 1.0)
    # Infinity is not valid, and yet no missing score.
    outside = ~inside & ~np.isnan(values)
    near = (values >= -TOLERANCE) & (values <= 1.0 + TOLERANCE)
    cells.refuse_first(
        outside & ~near,
        "is no probability: a score lies in [0, 1]. Give logits and margins through a sigmoid, and percents divided by 100",
    )
    findings.note(cells, outside, "a hair outside of [0, 1], cut off there")
    return NumberColumn(np.clip(values, 0.0, 1.0), scores.valid, scores.non_finite)


def read_values(cells: Cells, column: Column, findings: Findings, what: str) -> NumberColumn:
    """Numbers of any size; infinite ones are missing, and counted.

    Raises:
        ConfigError: text.
    """
    numbers = read_numbers(cells, column, findings, what)
    findings.note(cells, np.isinf(numbers.values), "infinite, counted as missing")
    return numbers


def read_durations(cells: Cells, column: Column, per_s: float, findings: Findings) -> NumberColumn:
    """Seconds; negative ones are missing, as on the wire, and counted.

    Raises:
        ConfigError: text.
    """
    numbers = read_values(cells, column, findings, "a duration")
    negative = numbers.valid & (numbers.values < 0.0)
    findings.note(cells, negative, "negative, counted as missing")
    seconds = numbers.values / per_s
    findings.note(cells, numbers.valid & (seconds > LONG_S), LONG)
    return NumberColumn(seconds, numbers.valid & ~negative, numbers.non_finite)


def read_errors(cells: Cells, column: Column, findings: Findings) -> CodedColumn:
    """Types of errors; missing where there was none: no text, or false.

    Raises:
        ConfigError: numbers that are no truth value.
    """
    if isinstance(column, NumberColumn):
        errors = _read_flags(cells, column)
    else:
        blank = np.array([not level.strip() for level in column.levels] + [True])
        errors = CodedColumn(column.levels, np.where(blank[column.codes], -1, column.codes).astype(np.int32))
    findings.note(cells, errors.valid, "errors")
    return errors


def _read_flags(cells: Cells, column: NumberColumn) -> CodedColumn:
    flags = (column.values == 0.0) | (column.values == 1.0)
    cells.refuse_first(
        column.valid & ~flags,
        "is neither true nor false: --error takes the type of an error as text, or whether there was one",
    )
    failed = column.valid & (column.values == 1.0)
    return CodedColumn((FAILED,), np.where(failed, 0, -1).astype(np.int32))


def read_weights(cells: Cells, column: Column, findings: Findings) -> NumberColumn:
    """Numbers above 0, one a row.

    Raises:
        ConfigError: text, a number that is none, or no number.
    """
    numbers = read_numbers(cells, column, findings, "a weight")
    good = numbers.valid & (numbers.values > 0.0)
    cells.refuse_first(~good, "is no weight: each row needs a number above 0")
    return numbers
