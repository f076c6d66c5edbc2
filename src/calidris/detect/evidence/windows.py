"""Windows with enough rows: small ones are carried and merged with the next."""

from __future__ import annotations

import numpy as np

from calidris.batch import Ints
from calidris.detect.layout import Layout
from calidris.state import Spec

MINIMUM_ROWS = 30
"""A window with fewer rows is not scored by itself."""


class Carry:
    """Counts that wait until there are rows enough to score them. Silence adds nothing: an empty window changes nothing.

    When a window is complete depends on row counts only, never on what the rows say, so that merging keeps an e-value valid.
    Windows of different strata (hours of the week, say) are not merged: what waits is dropped when another stratum begins.
    """

    __slots__ = ("_layout", "began_ns", "minimum_rows", "pending", "stratum")

    def __init__(self, layout: Layout, minimum_rows: int = MINIMUM_ROWS) -> None:
        if minimum_rows < 1:
            raise ValueError(
                f"minimum_rows must be at least 1, got {minimum_rows}: a window without rows is no evidence"
            )
        self._layout = layout
        self.minimum_rows = minimum_rows
        self.pending: Ints = np.zeros(layout.cells, dtype=np.int64)
        self.stratum = 0
        self.began_ns = 0

    def add(self, counts: Ints, stratum: int = 0, start_ns: int = 0) -> Ints | None:
        """Take a window's counts int64[cells]; the merged counts once there are rows enough, else None.

        ``began_ns`` is the begin of the first of the windows that were merged, and of those that wait.
        """
        if stratum != self.stratum or not self.pending.any():
            self.began_ns = start_ns
        merged = self.pending + counts if stratum == self.stratum else counts.copy()
        self.stratum = stratum
        if self._layout.rows(merged) < self.minimum_rows:
            self.pending = merged
            return None
        self.pending = np.zeros_like(merged)
        return merged


def merge_small(what: Spec | Layout, windows: Ints, minimum_rows: int = MINIMUM_ROWS) -> Ints:
    """Windows int64[W, cells] with small ones merged into the next; what is too little at the end is left out."""
    return merge_with_ends(what, windows, minimum_rows)[0]


def merge_with_ends(what: Spec | Layout, windows: Ints, minimum_rows: int = MINIMUM_ROWS) -> tuple[Ints, Ints]:
    """``merge_small``, and the place of the last window in each merged one."""
    layout = Layout.of(what)
    carry = Carry(layout, minimum_rows)
    full = [(merged, i) for i, counts in enumerate(windows) if (merged := carry.add(counts)) is not None]
    merged = np.array([counts for counts, _ in full], dtype=np.int64).reshape(len(full), layout.cells)
    return merged, np.array([i for _, i in full], dtype=np.int64)
