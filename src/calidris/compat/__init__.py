"""Other tools' default verdicts, for comparison and migration: from raw tables, never from a receiver, never an alarm."""

from calidris.compat.evidently import ColumnKind, ColumnVerdict, Left, Rule, TableVerdict, kind_of, verdicts
from calidris.compat.side_by_side import Beside, Finding, beside

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
