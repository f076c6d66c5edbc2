"""C: labelled scores by bin. Feeds Brier, log loss, ECE, reliability, accuracy, AUC and the reporting triangle."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state.blocks.table_state import DELAY_EDGES_S, DELAYS, Entries, TableState, delay_buckets, over_slices
from calidris.state.spec import Spec
from calidris.state.weights import weigh

__all__ = ["DELAY_EDGES_S", "SCALE", "SMALLEST_P", "STATS", "ScoresState"]

N, P, P2, BRIER2, LOSS, LOSS2 = range(6)
STATS = ("n", "sum_p", "sum_p2", "sum_brier2", "sum_log_loss", "sum_log_loss2")
SCALE = np.array([1.0, 2.0**30, 2.0**30, 2.0**30, 2.0**24, 2.0**20])
"""Sums are int64 fixed point, so that order and bytes are exact: Σp keeps 9 decimals up to 8 billion rows."""

SMALLEST_P = float(np.finfo(np.float64).eps)
"""Scores are clipped this far (2.2e-16) from 0 and 1 in the log loss, as scikit-learn does for doubles."""


class ScoresState(TableState):
    """Sums over labelled rows, int64[slice, class, delay, bin, stat].

    ``class`` is the outcome (1 = the positive class, or a right top label), ``delay`` the bucket of the time between
    prediction and label, ``bin`` the score bin of ``Spec.score_edges``, ``stat`` one of ``STATS``: rows, Σp, Σp²,
    Σ(y-p)⁴, Σ log loss and Σ (log loss)². All of Brier, log loss and their standard errors follow exactly.
    """

    KIND: ClassVar[int] = 2
    SUMS: ClassVar[int] = len(STATS)
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(slices, 2 classes, delay buckets, score bins, stats)."""
        return (spec.slice_count, 2, DELAYS, len(spec.score_edges) + 1, len(STATS))

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """All cells of row 0 of the slice axis."""
        return np.arange(cls.size(spec) // spec.slice_count)

    @classmethod
    def place(
        cls,
        spec: Spec,
        score: Floats,
        outcome: Ints,
        delay_s: Floats,
        slice_rows: Ints | None = None,
        units: Ints | None = None,
    ) -> Entries:
        """Where n labelled rows go; see ``update``. With weights (``units_of``), what they add by those."""
        if len(score) == 0:
            return Entries(np.empty(0, dtype=np.int64), np.empty((cls.SUMS, 0), dtype=np.int64))
        if not (score.min() >= 0.0 and score.max() <= 1.0 and outcome.min() >= 0 and outcome.max() <= 1):
            raise ValueError("a labelled score is a probability, and its outcome is 0 or 1")
        bins = len(spec.score_edges) + 1
        score_bin = np.searchsorted(spec.score_edges, score, side="right")
        cells = (outcome * DELAYS + delay_buckets(delay_s)) * bins + score_bin
        stats = _row_stats(score, outcome)
        return over_slices(
            Entries(cells, stats if units is None else weigh(stats, units)), slice_rows, 2 * DELAYS * bins
        )

    def update(self, score: Floats, outcome: Ints, delay_s: Floats, slice_rows: Ints | None = None) -> None:
        """Add n labelled rows.

        Args:
            score: probabilities, float64[n].
            outcome: 0 or 1, int64[n].
            delay_s: seconds from prediction to label, float64[n].
            slice_rows: int64[any, n] as ``Spec.slice_rows`` or ``Spec.cross`` give them; -1 is a missing value.

        Raises:
            ValueError: a score outside [0, 1] or NaN, an outcome that is neither 0 nor 1; nothing is added then.
        """
        self.add(self.place(self.spec, score, outcome, delay_s, slice_rows))

    def bins(self, slice_row: int = 0, delay: int | None = None) -> Floats:
        """Sums per class, bin and stat of one slice, float64[2, bins, stats]; all delays, or up to bucket ``delay``."""
        part = self.array[slice_row] if delay is None else self.array[slice_row, :, : delay + 1]
        sums: Floats = part.sum(axis=1) / SCALE
        return sums


def _row_stats(score: Floats, outcome: Ints) -> Ints:
    """What each row adds to each stat, int64[stats, n]."""
    clipped = np.clip(score, SMALLEST_P, 1.0 - SMALLEST_P)
    loss = -np.where(outcome == 1, np.log(clipped), np.log1p(-clipped))
    rows = np.stack([np.ones_like(score), score, score**2, (outcome - score) ** 4, loss, loss**2])
    whole: Ints = np.rint(rows * SCALE[:, None]).astype(np.int64)
    return whole
