"""What each kind of detector is fed with, from the states of a sealed window: pure functions, integers to integers.

Labels come late. A window of predictions is scored once, when every row in it is older than a fixed age, and only labels
that came within that age count: ``delay`` is the last bucket of ``DELAY_EDGES_S`` that does. Whatever arrived today must
not be fed instead: the faster class arrives first and looks like a change.
"""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.losses import Loss
from calidris.state import CountsState, Role, ScoresState, Spec
from calidris.state.fields import HIGH, SPECIALS
from calidris.state.scores import DELAY_EDGES_S, P2, N, P

ALL_DELAYS = len(DELAY_EDGES_S)
_UNIT = 1 << 30


def labelled(scores: ScoresState, delay: int, slice_row: int = 0) -> Ints:
    """Sums of the labels that came within bucket ``delay``, int64[2 classes, bins, stats]."""
    sums: Ints = scores.array[slice_row, :, : delay + 1].sum(axis=1)
    return sums


def fixed_age_s(delay: int) -> float:
    """How old a window's last row must be before it is scored at this delay bucket; infinite for the last one."""
    return DELAY_EDGES_S[delay] if delay < len(DELAY_EDGES_S) else float("inf")


ACCURACY = Loss.zero_one("accuracy")
ERRORS = Loss.zero_one("errors")


def accuracy_counts(scores: ScoresState, delay: int = ALL_DELAYS, slice_row: int = 0) -> Ints:
    """Rows and wrong decisions, for ``ACCURACY``: int64[2]. Exact, because the threshold is an edge of the score bins."""
    n = labelled(scores, delay, slice_row)[..., N]
    above = _above(scores.spec)
    wrong = n[0, above:].sum() + n[1, :above].sum()
    return np.array([n.sum(), wrong * _UNIT], dtype=np.int64)


def brier_loss(spec: Spec) -> Loss:
    """The Brier loss ``(y - p)²`` in one bin for each class and score bin of a spec."""
    low, high = bin_ends(spec)
    return Loss("brier", (*(low**2).tolist(), *((1 - high) ** 2).tolist()), (*(high**2), *((1 - low) ** 2)))


def brier_counts(scores: ScoresState, delay: int = ALL_DELAYS, slice_row: int = 0) -> Ints:
    """Rows and sums for ``brier_loss``: int64[4·bins]."""
    sums = labelled(scores, delay, slice_row)
    loss = np.stack([sums[0, :, P2], sums[1, :, N] * _UNIT - 2 * sums[1, :, P] + sums[1, :, P2]])
    out: Ints = np.concatenate([sums[..., N].ravel(), loss.ravel()])
    return out


def error_counts(counts: CountsState) -> Ints:
    """Calls and failed calls, for ``ERRORS``: int64[2]."""
    i = counts.spec.index(Role.ERROR)
    cells = counts.field(i if i is not None else 0)
    return np.array([cells.sum(), (cells.sum() - cells[0]) * _UNIT], dtype=np.int64)


def slow_loss(spec: Spec, over_s: float) -> tuple[Loss, int]:
    """The 0/1 loss "slower than ``over_s``", and the first duration bin that counts as slow.

    The limit is moved up to the next edge of the duration bins: at most 12 % higher.
    """
    field = spec.fields[_duration(spec)]
    first = int(np.searchsorted(field.edges, over_s * (1.0 - 1e-9)))
    return Loss.zero_one(f"slower than {over_s:g} s"), min(first, field.ordered)


def slow_counts(counts: CountsState, first: int) -> Ints:
    """Timed calls and those in duration bin ``first`` or above, for ``slow_loss``: int64[2]."""
    i = _duration(counts.spec)
    cells, ordered = counts.field(i), counts.spec.fields[i].ordered
    slow = cells[first:ordered].sum() + cells[ordered + HIGH]
    timed = cells[:ordered].sum() + cells[ordered + HIGH] + cells[ordered + SPECIALS.index("low")]
    return np.array([timed, slow * _UNIT], dtype=np.int64)


def calibration_counts(scores: ScoresState, delay: int = ALL_DELAYS, slice_row: int = 0) -> Ints:
    """Rows and sums of scores by class and bin, for calibration: int64[4·bins], ``[n0 | n1 | Σp0 | Σp1]``."""
    sums = labelled(scores, delay, slice_row)
    out: Ints = np.concatenate([sums[..., N].ravel(), sums[..., P].ravel()])
    return out


def selected_counts(scores: ScoresState, attribute: str, delay: int = ALL_DELAYS) -> Ints:
    """Labelled rows of each level of a slice by decision, int64[levels + 1, 2]: demographic parity."""
    n = _by_level(scores, attribute, delay).sum(axis=1)
    return _split(n, _above(scores.spec))


def true_positive_counts(scores: ScoresState, attribute: str, delay: int = ALL_DELAYS) -> Ints:
    """Positives of each level by decision, int64[levels + 1, 2]: equal opportunity."""
    return _split(_by_level(scores, attribute, delay)[:, 1], _above(scores.spec))


def false_positive_counts(scores: ScoresState, attribute: str, delay: int = ALL_DELAYS) -> Ints:
    """Negatives of each level by decision, int64[levels + 1, 2]: with the other one, equalised odds."""
    return _split(_by_level(scores, attribute, delay)[:, 0], _above(scores.spec))


def correct_counts(scores: ScoresState, attribute: str, delay: int = ALL_DELAYS) -> Ints:
    """Rows of each level by whether they were decided right, int64[levels + 1, 2]: accuracy gap."""
    n, above = _by_level(scores, attribute, delay), _above(scores.spec)
    right = n[:, 0, :above].sum(-1) + n[:, 1, above:].sum(-1)
    out: Ints = np.stack([n.sum((1, 2)) - right, right], axis=1)
    return out


def level_names(spec: Spec, attribute: str) -> tuple[str, ...]:
    """Names of the rows that the four functions above return: the levels of a slice, and the rest of it."""
    found = next((s for s in spec.slices if s.name == attribute), None)
    if found is None:
        raise ValueError(f"{attribute!r} is no slice of this model; it has {[s.name for s in spec.slices]}")
    return (*found.levels, "(other)")


def bin_ends(spec: Spec) -> tuple[Floats, Floats]:
    """Low and high end of each score bin, float64[bins] each."""
    edges = np.concatenate([[0.0], spec.score_edges, [1.0]])
    return edges[:-1], edges[1:]


def _above(spec: Spec) -> int:
    """First score bin at or above the decision threshold."""
    return int(np.searchsorted(spec.score_edges, spec.threshold, side="left")) + 1


def _by_level(scores: ScoresState, attribute: str, delay: int) -> Ints:
    """Rows of each level by class and bin, int64[levels + 1, 2, bins]."""
    names = level_names(scores.spec, attribute)
    start = 1
    for s in scores.spec.slices:
        if s.name == attribute:
            break
        start += len(s.levels) + 1
    n: Ints = scores.array[start : start + len(names), :, : delay + 1, :, N].sum(axis=2)
    return n


def _split(n: Ints, above: int) -> Ints:
    out: Ints = np.stack([n[:, :above].sum(-1), n[:, above:].sum(-1)], axis=1)
    return out


def _duration(spec: Spec) -> int:
    i = spec.index(Role.DURATION)
    assert i is not None  # every spec has it
    return i
