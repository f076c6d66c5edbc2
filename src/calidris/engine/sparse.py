"""Labelled scores of one pane, without the cells that no label ever touched.

A dense ``ScoresState`` of twenty slices is a megabyte, and a day of five-minute panes holds 288 of them for every model. A
pane's labels touch a few hundred of its cells; windows are merged into a dense state, panes stay sparse.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from calidris.batch import Ints
from calidris.errors import CorruptState
from calidris.state import ScoresState, Spec
from calidris.state.scores import STATS, N

_HEADER = struct.Struct("<4s16sI")  # magic, spec hash, cells
_MAGIC = b"CALP"


class SparseScores:
    """State C of a pane: the cells with rows, in order, and their sums. Exact: ``dense`` gives the state of one pass."""

    __slots__ = ("cells", "spec", "sums")

    def __init__(self, spec: Spec, cells: Ints | None = None, sums: Ints | None = None) -> None:
        self.spec = spec
        self.cells: Ints = np.empty(0, dtype=np.int64) if cells is None else cells
        self.sums: Ints = np.empty((0, len(STATS)), dtype=np.int64) if sums is None else sums

    @classmethod
    def of(cls, state: ScoresState) -> SparseScores:
        """The cells of a dense state that hold rows; O(cells)."""
        flat = state.array.reshape(-1, len(STATS))
        cells = np.flatnonzero(flat[:, N])
        return cls(state.spec, cells, flat[cells])

    @property
    def count(self) -> int:
        """Labelled rows seen: the first slice row holds every one once."""
        every = np.searchsorted(self.cells, self._cells_a_slice)
        return int(self.sums[:every, N].sum())

    @property
    def _cells_a_slice(self) -> int:
        _, classes, delays, bins, _ = ScoresState.shape(self.spec)
        return classes * delays * bins

    def merge(self, other: SparseScores) -> None:
        """Add the rows of another pane of the same spec; O(touched cells)."""
        cells, place = np.unique(np.concatenate([self.cells, other.cells]), return_inverse=True)
        sums = np.zeros((len(cells), len(STATS)), dtype=np.int64)
        sums[place[: len(self.cells)]] = self.sums
        sums[place[len(self.cells) :]] += other.sums
        self.cells, self.sums = cells, sums

    def add_to(self, state: ScoresState) -> None:
        """Add the rows to a dense state of the same spec, in place."""
        state.array.reshape(-1, len(STATS))[self.cells] += self.sums

    def dense(self) -> ScoresState:
        """The same rows as a dense state."""
        state = ScoresState(self.spec)
        self.add_to(state)
        return state

    def to_bytes(self) -> bytes:
        """Self-describing bytes; equal states give equal ones."""
        raw = self.cells.astype("<i8").tobytes() + self.sums.astype("<i8").tobytes()
        return _HEADER.pack(_MAGIC, bytes.fromhex(self.spec.hash), len(self.cells)) + zlib.compress(raw, 1)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> SparseScores:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: other bytes, or bytes of another spec.
        """
        try:
            magic, owner, n = _HEADER.unpack_from(data)
            raw = np.frombuffer(zlib.decompress(data[_HEADER.size :]), dtype="<i8").astype(np.int64)
            cells, sums = raw[:n], raw[n:].reshape(n, len(STATS))
        except (struct.error, zlib.error, ValueError) as error:
            raise CorruptState(f"not the labelled scores of a pane: {error}") from error
        if magic != _MAGIC or owner.hex() != spec.hash:
            raise CorruptState(f"labelled scores of something else than spec {spec.hash[:8]}")
        return cls(spec, cells, sums)
