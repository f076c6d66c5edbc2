"""What is said of a file, a column or a cell that cannot be used: one line with file, column, row, value and cure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from calidris.batch import Mask
from calidris.errors import ConfigError, printable

LONGEST_VALUE = 60
"""Characters of a value that a line shows."""


@dataclass(frozen=True, slots=True)
class Cells:
    """One column of some rows of a file that follow each other.

    Attributes:
        path: the file.
        name: the column's name.
        values: its cells.
        first: rows of the file before the first of them.
    """

    path: Path
    name: str
    values: pa.ChunkedArray
    first: int = 0

    @property
    def kind(self) -> pa.DataType:
        """Type that the file stores."""
        return self.values.type

    def refuse_first(self, where: Mask, problem: str) -> None:
        """Raise for the first row of a mask, bool[n]; nothing where it is nowhere true.

        Raises:
            ConfigError: with file, column, row (from 1) and value in front of the problem.
        """
        if where.any():
            at = int(np.argmax(where))
            raise self.error(at, problem)

    def error(self, at: int, problem: str) -> ConfigError:
        """The error of one cell, by its place among these."""
        row = self.first + at + 1
        return ConfigError(f"{self.path}: column {self.name!r}, row {row}: {self.shown(at)} {problem}")

    def column_error(self, problem: str) -> ConfigError:
        """The error of the whole column."""
        return ConfigError(f"{self.path}: column {self.name!r} {problem}")

    def shown(self, at: int) -> str:
        """A cell as a line shows it."""
        text = printable(_spell(self.values[at]), LONGEST_VALUE)
        quoted = holds_text(self.kind) and self.values[at].is_valid
        return repr(text) if quoted else text


def holds_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text, as it is or coded."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_text(kind) for is_text in _TEXTS)


_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
)


def _spell(cell: pa.Scalar) -> str:
    try:
        value: Any = cell.as_py()
    except (ValueError, OverflowError):
        # Python knows no years beyond 9999 and no nanoseconds.
        value = cell.cast(pa.int64()).as_py()
    return "(empty)" if value is None else str(value)


@contextmanager
def reading(path: Path, kind: str, passed: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """What a library says of a file it cannot read, as one line; but errors that the caller wants to see pass.

    Raises:
        ConfigError: instead of the library's own errors.
    """
    try:
        yield
    except passed:
        raise
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; pass a .parquet or .csv file") from None
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as {kind}: {said}; pass a .parquet or .csv file") from error
