"""What is kept of the label of a labelled row, so that a newer one can take its place: the old one is taken off, the new one added.

::

    label      code of the true class (1 byte), or the true number (8 bytes)
    marks      delay bucket of the row's first label, whether the answer was right, whether anything is known (1 byte)
    as_of_ns   when the label became known (8 bytes): a label that is older than the one held changes nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from calidris import semconv
from calidris.batch import Ints, Mask

Held = npt.NDArray[np.void]
"""Labels of n rows, of a ``held_dtype``."""

DELAY: Final = 0b0000_0111
RIGHT: Final = 0b0000_1000
KNOWN: Final = 0b0001_0000
"""A labelled row without it was labelled by an earlier version, or its pane is deleted: nobody knows what to take off.

Who adds a table of labelled rows takes another bit: rows that it has not counted cannot be taken off it.
"""

REVISED: Final = "revised"


def held_dtype(task: str) -> np.dtype[np.void]:
    """What a labelled row keeps of its label: 10 bytes, of a regression 17.

    >>> held_dtype("binary").itemsize, held_dtype("regression").itemsize
    (10, 17)
    """
    is_number = task == semconv.ML_MODEL_TASK_REGRESSION
    label = "<f8" if is_number else "u1"
    return np.dtype(
        [
            ("label", label),
            ("marks", "u1"),
            ("as_of_ns", "<i8"),
        ]
    )


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What n labels do to the rows that they name: each label is one of the first five, or not usable; bool[n].

    Attributes:
        first: the row has none yet.
        revises: it says otherwise than the one held, and is not older.
        repeats: it says the same.
        superseded: it says otherwise, and is older than the one held.
        lost: the row has one, and nobody knows which.
        holds: those to keep: the first, those that revise, and repeats that are newer, for what is older than them is superseded.
    """

    first: Mask
    revises: Mask
    repeats: Mask
    superseded: Mask
    lost: Mask
    holds: Mask

    def told(self) -> dict[str, int]:
        """How many became what, but for the first: `REVISED`, and the others by why they were left out."""
        told = {
            REVISED: _count(self.revises),
            "repeated": _count(self.repeats),
            "superseded": _count(self.superseded),
            "not_kept": _count(self.lost),
        }
        counted = _count(self.first)
        counted += sum(told.values())
        told["not_a_number"] = len(self.first) - counted
        return told


class Labelled(Protocol):
    """Rows with or without a label: where they have one, and which."""

    used: Mask
    held: Held


def judge(
    rows: Labelled,
    labels: Held,
    usable: Mask,
) -> Verdicts:
    """Compare n labels with those held by their rows.

    Of equal times the later label in the journal counts: a correction may well carry the day of the outcome, as the outcome did.
    """
    first = usable & ~rows.used
    again = usable & rows.used
    is_known = _has(rows.held, KNOWN)
    known = again & is_known
    same = _say_the_same(rows.held, labels)
    repeats = known & same
    other = known & ~same
    was, now = rows.held["as_of_ns"], labels["as_of_ns"]
    older = other & (now < was)
    revises = other & ~older
    newer = repeats & (now > was)
    return Verdicts(
        first,
        revises,
        repeats,
        superseded=older,
        lost=again & ~is_known,
        holds=first | revises | newer,
    )


def _say_the_same(held: Held, labels: Held) -> Mask:
    """Where two labels are of one value; classes that are not kept apart are, unless one of them makes the answer right."""
    same: Mask = labels["label"] == held["label"]
    same &= _has(labels, RIGHT) == _has(held, RIGHT)
    return same


def _has(labels: Held, mark: int) -> Mask:
    marked: Mask = (labels["marks"] & mark) != 0
    return marked


def _count(labels: Mask) -> int:
    return int(np.count_nonzero(labels))


def newest(
    ids: npt.NDArray[np.uint64],
    as_of_ns: Ints,
) -> tuple[Ints, Ints]:
    """The place of the newest label of each id, of equal times the last one; and of its first label. Both in the order of the first ones.

    >>> ids, times = np.array([7, 8, 7, 7], dtype=np.uint64), np.array([5, 5, 6, 4])
    >>> [places.tolist() for places in newest(ids, times)]
    [[2, 1], [0, 1]]
    """
    known, first = np.unique(ids, return_index=True)
    if len(known) == len(ids):
        places = np.arange(len(ids))
        return places, places
    # Stable: of equal ones the last stays last.
    order = np.lexsort((as_of_ns, ids))
    ends = np.searchsorted(ids, known, side="right", sorter=order)
    last = order[ends - 1]
    by_first = np.argsort(first)
    return last[by_first], first[by_first]
