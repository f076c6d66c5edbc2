"""From score to chance: the rising step function that fits a baseline's labels best, on its score bins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state.blocks.scores import N


class CalibrationMap(NamedTuple):
    """Chance of a positive outcome in each score bin, and how well it is known.

    Attributes:
        chance: float64[bins], rising.
        block: int64[bins]: bins of one block share one chance, which all of its rows have told.
        noise: variance of the chance of each block, float64[blocks].
        seen: bool[bins], bins that the baseline has rows in; the others take the chance of the nearest one below, or above.
        rows: labelled rows behind the map.
    """

    chance: Floats
    block: Ints
    noise: Floats
    seen: Mask
    rows: int


def calibration_map(bins: Floats) -> CalibrationMap | None:
    """The isotonic map of labelled scores, or None without rows.

    Exact on bins: a model whose scores differ inside a bin only cannot be told from one whose do not. The variance of a block
    of m rows is that of a binomial share with half a row added to each outcome, so that a pure block keeps its doubt.
    B. Zadrozny & C. Elkan, KDD 2002.

    Args:
        bins: float64[2, bins, stats] as ``ScoresState.bins`` gives them.
    """
    rows, positives = bins[..., N].sum(axis=0), bins[1, :, N]
    seen = np.flatnonzero(rows)
    if not len(seen):
        return None
    of_seen = pool_adjacent(positives[seen], rows[seen])
    # Bins without rows join the block of the last bin below that has some, the lowest ones that of the first above.
    block = of_seen[np.maximum(np.searchsorted(seen, np.arange(len(rows)), side="right") - 1, 0)]
    m, k = np.bincount(block, rows), np.bincount(block, positives)
    smooth = (k + 0.5) / (m + 1)
    return CalibrationMap((k / m)[block], block, smooth * (1 - smooth) / m, rows > 0, int(rows.sum()))


def pool_adjacent(successes: Floats, rows: Floats) -> Ints:
    """Block of each of some ascending groups so that the shares of blocks rise strictly: pool adjacent violators.

    Weighted least squares and maximum likelihood at once; O(groups). M. Ayer et al., Annals of Mathematical Statistics 1955.

    >>> pool_adjacent(np.array([1.0, 4.0, 2.0, 9.0]), np.array([10.0, 10.0, 10.0, 10.0])).tolist()
    [0, 1, 1, 2]
    """
    blocks: list[tuple[float, float, int]] = []
    for k, n in zip(successes.tolist(), rows.tolist()):
        k_all, n_all, groups = k, n, 1
        # Cross-multiplied, because equal shares must be one block and quotients round.
        while blocks and blocks[-1][0] * n_all >= k_all * blocks[-1][1]:
            before = blocks.pop()
            k_all, n_all, groups = k_all + before[0], n_all + before[1], groups + before[2]
        blocks.append((k_all, n_all, groups))
    return np.repeat(np.arange(len(blocks)), [groups for _, _, groups in blocks])
