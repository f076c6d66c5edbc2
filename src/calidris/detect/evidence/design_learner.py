"""Learning how much live windows vary, for a baseline that has no time order."""

from __future__ import annotations

import struct
from typing import Self

import numpy as np

from calidris.batch import Ints
from calidris.detect import detector_bytes
from calidris.detect.calendar import IN_UTC, Calendar
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry
from calidris.detect.layout import Layout
from calidris.errors import CorruptState
from calidris.state import Spec

WEEK_OF_HOURS = 168
MOST = 4096
"""Windows that are kept where even those of a week were too few."""
_MAGIC = b"CALL"
_FIXED = struct.Struct("<qqq")  # windows wanted, minimum rows, windows kept


class DesignLearner:
    """Keeps the first W live windows of a model; ``freeze(spec, baseline, learner.windows, days=learner.days())`` then knows the design effects.

    Until it is ready nothing may page. What it learns is the variation around the live mean, not the distance from the
    baseline: a change that was there before the first window still alarms afterwards. A window with too few rows is merged
    with the next, as a ``Detector`` does.

    Cost: at most W·cells int64, 2 MB for 168 windows of 100 fields; it stops growing at W.

    Args:
        what: the spec of the model version, or the layout of another kind of window (``Game.layout``).
        wanted: W. 168 windows of an hour show a whole week.
        minimum_rows: smallest window that is kept by itself.

    >>> learner = DesignLearner(Spec(), wanted=2, minimum_rows=1)
    >>> learner.ready, learner.windows.shape[0]
    (False, 0)
    """

    def __init__(self, what: Spec | Layout, wanted: int = WEEK_OF_HOURS, minimum_rows: int = MINIMUM_ROWS) -> None:
        if wanted < 2:
            raise ValueError(f"the variation between windows needs at least 2 of them, got {wanted}")
        self.layout = Layout.of(what)
        self.wanted = wanted
        self._carry = Carry(self.layout, minimum_rows)
        self._kept: list[Ints] = []
        self._starts: list[int] = []

    def add(self, counts: Ints, start_ns: int = 0) -> None:
        """Take one closed window's counts int64[cells] and its begin; ignored once ready."""
        if self.ready:
            return
        merged = self._carry.add(counts)
        if merged is not None:
            self._kept.append(merged)
            self._starts.append(start_ns)

    @property
    def begun(self) -> bool:
        """Whether any row has come."""
        return bool(self._kept) or bool(self._carry.pending.any())

    @property
    def ready(self) -> bool:
        """Whether all W windows are there."""
        return len(self._kept) >= self.wanted

    def want_more(self, windows: int) -> None:
        """Ask for so many more, as what was kept is too little to make bets from. Beyond ``MOST`` the oldest make room."""
        self.wanted += windows
        beyond = max(self.wanted - MOST, 0)
        self.wanted -= beyond
        del self._kept[:beyond]
        del self._starts[:beyond]

    @property
    def windows(self) -> Ints:
        """The windows so far, int64[at most W, cells]."""
        return np.array(self._kept, dtype=np.int64).reshape(len(self._kept), self.layout.cells)

    def days(self, one_in: int = 1, calendar: Calendar = IN_UTC) -> Days | None:
        """The days that the windows lie in, each of which stands for so many; None where an earlier version kept no times."""
        starts = np.array(self._starts, dtype=np.int64)
        return Days.of(starts, one_in, calendar) if starts.all() else None

    def to_bytes(self) -> bytes:
        """Exact bytes; equal learners give equal bytes."""
        fixed = _FIXED.pack(self.wanted, self._carry.minimum_rows, len(self._kept))
        rows = np.concatenate([self._carry.pending[None, :], self.windows]).astype("<i8")
        starts = np.array(self._starts, dtype="<i8")
        return detector_bytes.pack(_MAGIC, self.layout.identity, fixed + rows.tobytes() + starts.tobytes())

    @classmethod
    def from_bytes(cls, what: Spec | Layout, data: bytes) -> Self:
        """The learner that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of a learner.
            IncompatibleState: of another spec or layout.
        """
        layout = Layout.of(what)
        body = detector_bytes.unpack(_MAGIC, layout.identity, data)
        if len(body) < _FIXED.size:
            raise CorruptState(f"{len(body)} bytes are too few for a learner")
        wanted, minimum_rows, kept = _FIXED.unpack_from(body)
        cells = layout.cells * (kept + 1)
        # Earlier versions wrote no times.
        if len(body) not in {_FIXED.size + 8 * cells, _FIXED.size + 8 * (cells + kept)}:
            raise CorruptState(f"a learner of {kept} windows is not {len(body)} bytes")
        numbers = np.frombuffer(body, dtype="<i8", offset=_FIXED.size).astype(np.int64)
        rows = numbers[:cells].reshape(kept + 1, layout.cells)
        self = cls(layout, wanted, minimum_rows)
        self._carry.pending = rows[0]
        self._kept = list(rows[1:])
        self._starts = numbers[cells:].tolist() or [0] * kept
        return self
