"""Is it over? The roles swapped: a latched alarm says when it may be cleared, with a bound of its own."""

from __future__ import annotations

import math
import struct
from typing import Self

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect import detector_bytes
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry
from calidris.detect.game import Game
from calidris.errors import CorruptState

_MAGIC = b"CALR"
_FIXED = struct.Struct("<dqq")


class Recovery:
    """Watches an alarm until every thing that it named has come back.

    Its game is one whose e-values have mean at most 1 while the change is still there (``loss_bets(side="recovered")``,
    ``drift_recovery.drift_recovery``, ``reliability_bets`` and ``group_bets`` with ``recovered``). Each bet keeps
    ``R_t = e_t·(R_{t-1} + w_t)`` with ``w_t = 1/(t(t+1))`` in its t-th window: recovery may begin at any time.

    Guarantee: while a named change is still there in every window since the alarm, the chance that ``recovered`` ever becomes
    true is at most α, per alarm and whatever the number of windows and names. Proof: for each name the weighted mean of R
    plus the weights still to come is a supermartingale that starts at 1 (Ville 1939: it reaches 1/α with probability at
    most α); and all names must have come back, the one that has not among them.

    What it does not say: that all is as it was. Things that the alarm did not name are the detector's business.

    Args:
        game: made for the names of the alarm.
        alpha: chance to call an alarm over that is not.
        minimum_rows: smallest window that is scored by itself.
    """

    def __init__(self, game: Game, alpha: float = 0.05, minimum_rows: int = MINIMUM_ROWS) -> None:
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha must lie between 0 and 1, got {alpha}")
        self.game = game
        self.alpha = alpha
        self._carry = Carry(game.layout, minimum_rows)
        self._log_r: Floats = np.full(len(game.owner), -np.inf)
        self._age: Floats = np.zeros(len(game.owner))
        self._best: Floats = np.full(len(game.names), -np.inf)
        self._memory: Floats = game.nothing

    def score(self, counts: Ints, start_ns: int = 0) -> bool:
        """Take one closed window, each once and in order; whether the alarm may be cleared now."""
        stratum = self.game.stratum(start_ns)
        merged = self._carry.add(counts, stratum)
        if merged is None:
            return self.recovered
        log_e, idle, self._memory = self.game.play(merged, self._memory, stratum)
        self._age += ~idle
        entry = np.where(idle, -np.inf, -np.log(np.maximum(self._age, 1.0)) - np.log(self._age + 1.0))
        self._log_r = log_e + np.logaddexp(self._log_r, entry)
        weighted = self.game.log_weight + self._log_r
        for f in range(len(self._best)):
            mine = weighted[self.game.owner == f]
            now = float(np.logaddexp.reduce(mine)) if len(mine) else -math.inf
            self._best[f] = max(self._best[f], now)
        return self.recovered

    @property
    def recovered(self) -> bool:
        """Whether every named thing has come back."""
        return bool(len(self._best)) and bool((self._best >= -math.log(self.alpha)).all())

    @property
    def evidence(self) -> dict[str, float]:
        """How far each name is, in logs: 1 has come back."""
        shares = np.maximum(self._best / -math.log(self.alpha), 0.0)
        return dict(zip(self.game.names, shares.tolist()))

    def to_bytes(self) -> bytes:
        """Exact bytes; equal states give equal bytes."""
        fixed = _FIXED.pack(self.alpha, self._carry.minimum_rows, self._carry.stratum)
        floats = np.concatenate([self._log_r, self._age, self._best, self._memory.ravel()])
        return detector_bytes.pack(
            _MAGIC, self.game.identity, fixed + self._carry.pending.astype("<i8").tobytes() + floats.tobytes()
        )

    @classmethod
    def from_bytes(cls, game: Game, data: bytes) -> Self:
        """What ``to_bytes`` wrote; it goes on bit by bit.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: of another game.
        """
        body = detector_bytes.unpack(_MAGIC, game.identity, data)
        bets, cells = len(game.owner), game.layout.cells
        sizes = (bets, bets, len(game.names), game.nothing.size)
        if len(body) != _FIXED.size + 8 * (cells + sum(sizes)):
            raise CorruptState(f"a recovery of {bets} bets is not {len(body)} bytes")
        alpha, minimum_rows, stratum = _FIXED.unpack_from(body)
        self = cls(game, alpha, minimum_rows)
        self._carry.stratum = stratum
        self._carry.pending = np.frombuffer(body, "<i8", cells, _FIXED.size).astype(np.int64)
        floats = np.frombuffer(body, "<f8", -1, _FIXED.size + 8 * cells).astype(np.float64)
        self._log_r, self._age, self._best, memory = np.split(floats, np.cumsum(sizes)[:-1])
        self._memory = memory.reshape(game.nothing.shape)
        return self
