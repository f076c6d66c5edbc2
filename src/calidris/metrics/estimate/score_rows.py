"""Rows of a window by score bin, labelled or not: what estimates without labels need, from the bins that drift is counted in.

Every row is counted in the bins of the score *field*, about ten of equal mass in the baseline. Labelled rows are counted in the
seventy bins of ``Spec.score_edges``. The first are spread over the second as the baseline's labelled rows lie in them, so
what moves *inside* a field bin is not seen, and what moves between them is.
"""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats
from calidris.state import CountsState, Kind, Role, Spec
from calidris.state.blocks.scores import N
from calidris.state.coding.fields import HIGH, LOW


def score_rows(spec: Spec, counts: CountsState, baseline: Floats) -> Floats | None:
    """Rows in each score bin, float64[bins]; None where the spec has no number line of scores.

    The sum is the rows with a score. A field bin without a labelled baseline row is spread by length.

    Args:
        spec: the spec of the counts.
        counts: rows of the window.
        baseline: labelled scores of the baseline, float64[2, bins, stats].
    """
    i = spec.index(Role.SCORE)
    if i is None or spec.fields[i].kind is not Kind.NUMERIC:
        return None
    f, cells = spec.fields[i], counts.field(i)
    line = np.concatenate([cells[[f.ordered + LOW]], cells[: f.ordered], cells[[f.ordered + HIGH]]])
    edges = np.clip(np.concatenate([[0.0], f.edges, [1.0]]), 0.0, 1.0)
    out: Floats = line @ _spread(edges, np.concatenate([[0.0], spec.score_edges, [1.0]]), baseline[..., N].sum(axis=0))
    return out


def decided_rows(spec: Spec, rows: Floats) -> Floats:
    """Rows below the threshold, and at or above it: float64[2]."""
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    return np.array([rows[:first].sum(), rows[first:].sum()])


def _spread(coarse: Floats, fine: Floats, held: Floats) -> Floats:
    """Share of each coarse bin's rows in each fine bin, float64[coarse bins, fine bins]; rows add up to 1."""
    left, right = np.maximum.outer(coarse[:-1], fine[:-1]), np.minimum.outer(coarse[1:], fine[1:])
    length = np.maximum(right - left, 0.0)
    by_rows = length / np.maximum(np.diff(fine), 1e-300) * held
    known = by_rows.sum(axis=1, keepdims=True)
    weight = np.where(known > 0, by_rows, length)
    total = weight.sum(axis=1, keepdims=True)
    # A bin of no length, such as the one below an edge at 0, lies where it lies.
    nearest = np.clip(np.searchsorted(fine, coarse[:-1], side="right") - 1, 0, len(held) - 1)
    point = np.eye(len(held))[nearest]
    shares: Floats = np.where(total > 0, weight / np.where(total > 0, total, 1.0), point)
    return shares
