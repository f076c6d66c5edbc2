"""Other tools' default verdicts, for comparison and migration: from raw tables, never from a receiver, never an alarm.

``evidently`` says what that tool would say, ``kinds`` what it would take a column for, ``beside`` what Calidris says of the
same rows. Everything here is a pure function of columns.
"""

from calidris.compat.beside import Beside, Finding, beside
from calidris.compat.evidently import ColumnKind, ColumnVerdict, Left, Rule, TableVerdict, kind_of, verdicts

__all__ = [
    "Beside",
    "ColumnKind",
    "ColumnVerdict",
    "Finding",
    "Left",
    "Rule",
    "TableVerdict",
    "beside",
    "kind_of",
    "verdicts",
]
