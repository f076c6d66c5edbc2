"""What was met in a file that is no reason to refuse it: counted, with the first row, so that nothing is silent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calidris.baseline.refusals import Cells
from calidris.batch import Mask


@dataclass(slots=True)
class Finding:
    """Rows of one kind.

    Attributes:
        rows: how many.
        first: the first of them, from 1, with its value.
    """

    rows: int
    first: str


@dataclass
class Findings:
    """What was met, by column and in words."""

    found: dict[tuple[str, str], Finding] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def note(
        self,
        cells: Cells,
        where: Mask,
        what: str,
    ) -> None:
        """Count rows of a column, bool[n]."""
        rows = int(np.count_nonzero(where))
        if not rows:
            return
        place = (cells.name, what)
        known = self.found.get(place)
        if known is not None:
            # Of an earlier block, which had the first row.
            known.rows += rows
            return
        at = int(np.argmax(where))
        row = cells.first + at + 1
        first = f"row {row}: {cells.shown(at)}"
        self.found[cells.name, what] = Finding(rows, first)

    def remark(self, line: str) -> None:
        """Say something once."""
        if line not in self.remarks:
            self.remarks.append(line)

    def rows(self, column: str, what: str) -> int:
        """Rows of one kind."""
        known = self.found.get((column, what))
        return 0 if known is None else known.rows

    def lines(self) -> list[str]:
        """All of it, a line each."""
        counted = []
        for (column, what), one in self.found.items():
            rows = "1 row" if one.rows == 1 else f"{one.rows:,} rows"
            counted.append(f"column {column!r}: {what}: {rows}, the first is {one.first}")
        return [*counted, *self.remarks]
