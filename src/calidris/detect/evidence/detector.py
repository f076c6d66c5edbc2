"""The e-SR detector: evidence that accumulates window by window, and an alarm with a false-alarm budget."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection
from typing import Self

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect import detector_bytes
from calidris.detect.evidence.verdict import Change, Verdict, named
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry
from calidris.detect.game import SHAPE, Game, safe_log
from calidris.detect.levels import Level, TwoLevels
from calidris.errors import CorruptState, IncompatibleState

_MAGIC = b"CALD"
_FIXED = struct.Struct("<dqqqB")  # threshold, minimum rows, windows scored, stratum of what waits, alarm
_NO_ALARM, _STRONG, _EARLY = range(3)
_SHAPE_MARGIN = 0.5


class Detector:
    """Watches one game through windows of one length (Shiryaev-Roberts e-detector, Shin, Ramdas and Rinaldo 2024).

    Every bet j keeps ``logR <- log e + logaddexp(logR, 0)``; the weighted mean of all R alarms at A. A bet that was idle in a
    window keeps its R as it was.

    Guarantee: if every bet has E[e | past] <= 1 in every scored window (what the game's docstring says, with its assumptions
    and its 1 - δ), the mean number of scored windows to a false alarm is at least A, and P(a false alarm within the first T)
    <= T/A, whatever the dependence between fields and bets. Proof: the weights add up to at most 1, so the mean of R minus the
    number of windows is a supermartingale; at the alarm A <= E[mean R] <= E[windows]. The same holds from every clear and
    reset on, as R starts again from 0.

    Silence is not evidence: a window with fewer than ``minimum_rows`` is carried into the next and does not count as scored;
    an empty one changes nothing. An alarm latches until ``clear``; meanwhile R, reset to 0, goes on, so that ``fired`` shows
    whether the change persists.

    Of bets at two levels (``TwoLevels``) an alarm is strong where the strong ones reach A by themselves, else early. An early one
    resets the early R alone, and rises to strong when the strong ones reach A too: the bound of those holds until then.

    Cost: O(bets + F·K) a window; under a millisecond for 100 numeric fields. State: 1 float a bet and 2 a cell.

    Args:
        bets: the game: from ``freeze``, ``loss_bets``, ``calibration_bets``, ``reliability_bets``, ``group_bets`` or
            ``window_score_bets``.
        threshold: A, from ``Budget.threshold``; above 1.
        minimum_rows: smallest window that is scored by itself.
    """

    def __init__(self, bets: Game, threshold: float, minimum_rows: int = MINIMUM_ROWS) -> None:
        if not 1.0 < threshold < math.inf:
            raise ValueError(
                f"the threshold must be above 1, got {threshold}: allow fewer false alarms or take windows shorter"
            )
        self.bets = bets
        self.threshold = threshold
        self.scored = 0
        self.alarm = False
        self.early = False  # whether the alarm that stands is of the early level
        self._is_early = bets.is_early if isinstance(bets, TwoLevels) else None
        self._carry = Carry(bets.layout, minimum_rows)
        self._order = np.argsort(bets.owner, kind="stable")
        self._owners, self._starts = np.unique(bets.owner[self._order], return_index=True)
        self._with_field_weight = safe_log(bets.field_weight)
        self._log_weight = bets.log_weight
        self._log_r: Floats
        self._memory: Floats
        self._forget()

    def score(self, counts: Ints, rows: int | None = None, start_ns: int = 0, hold: bool = False) -> Verdict:
        """Take one closed window; each window exactly once, in order.

        A window on hold is not scored, and neither adds to the evidence nor takes from it: as far as the guarantee goes it was never
        there. That is so exactly where holding is decided by what came before the window. Where it is decided by something in the
        window itself that happens with chance q under "no change", the mean of R grows by at most a share q more in that window.

        Args:
            counts: int64[cells] of the window, raw counts as the game's layout has them.
            rows: how many rows the caller believes it holds, to be checked; None where there is nothing to check.
            start_ns: begin of the window, since the epoch; only seasonal games look at it.
            hold: do not score it, nor merge it with others.

        Raises:
            ValueError: the counts hold another number of rows.
        """
        held = self.bets.layout.rows(counts)
        if rows is not None and rows != held:
            raise ValueError(f"the counts hold {held} rows, not {rows}")
        if hold:
            return self._verdict(rows=0)
        stratum = self.bets.stratum(start_ns)
        merged = self._carry.add(counts, stratum)
        if merged is None:
            return self._verdict(rows=0)
        log_e, idle, self._memory = self.bets.play(merged, self._memory, stratum)
        self._log_r = log_e + np.logaddexp(self._log_r, np.where(idle, -np.inf, 0.0))
        self.scored += 1
        verdict = self._verdict(self.bets.layout.rows(merged))
        if verdict.fired:
            self._forget(verdict.level)
        return verdict

    def clear(self) -> None:
        """End the alarm, as a person decided; evidence starts from nothing."""
        self.alarm = self.early = False
        self._forget()

    def take_over(self, other: Detector, names: Collection[str]) -> None:
        """Go on with the evidence that another detector of the same ``Bets`` has on some fields; nothing of other bets.

        The rows of two versions of a model are one stream of evidence on what they share: the guarantee counts windows from
        where the other one's did.
        """
        if self.bets.identity != other.bets.identity:
            return
        mine = np.array([name in names for name in self.bets.names], dtype=np.bool_)
        self._log_r = np.where(mine[self.bets.owner], other._log_r, self._log_r)
        self._memory = np.where(mine[None, :, None], other._memory, self._memory)

    def _forget(self, level: str = Level.STRONG) -> None:
        """Let evidence start from nothing: all of it, or that of the early level."""
        if level == Level.EARLY and self._is_early is not None:
            self._log_r = np.where(self._is_early, -np.inf, self._log_r)
            return
        self._log_r = np.full(len(self.bets.owner), -np.inf)
        self._memory = self.bets.nothing

    def _verdict(self, rows: int) -> Verdict:
        """Read the evidence; latch when this window reached the threshold."""
        fields = self._per_field(self._log_r)
        log_a = math.log(self.threshold)
        total = float(np.logaddexp.reduce(fields))
        level = self._level(total, log_a) if rows > 0 else ""
        fired = bool(level)
        opened = fired and not self.alarm
        raised = self.early and level == Level.STRONG
        if opened or raised:
            self.alarm, self.early = True, level == Level.EARLY
        shares = np.maximum(fields / log_a, 0.0)
        return Verdict(
            scored=rows > 0,
            rows=rows,
            evidence=max(total / log_a, 0.0),
            fields=dict(zip(self.bets.names, shares.tolist())),
            fired=fired,
            opened=opened,
            alarm=self.alarm,
            changes=self._changes(fields, shares) if fired else (),
            level=level,
            raised=raised,
        )

    def _level(self, total: float, log_a: float) -> str:
        """The level that an alarm has now; empty where the evidence has not reached the threshold."""
        if total < log_a:
            return ""
        if self._is_early is None:
            return Level.STRONG
        strong = self._per_field(np.where(self._is_early, -np.inf, self._log_r))
        return Level.STRONG if float(np.logaddexp.reduce(strong)) >= log_a else Level.EARLY

    def _per_field(self, log_r: Floats) -> Floats:
        """``log(w_f·R_f)``, float64[F]: never leaves the log space, so never overflows."""
        fields = np.full(len(self.bets.names), -np.inf)
        weighted = (self._log_weight + log_r)[self._order]
        if len(weighted):
            fields[self._owners] = np.logaddexp.reduceat(weighted, self._starts)
        return fields + self._with_field_weight

    def _changes(self, fields: Floats, shares: Floats) -> tuple[Change, ...]:
        order = named(fields, math.log(self.threshold)).tolist()
        return tuple(Change(self.bets.names[f], self._direction(f), float(shares[f])) for f in order)

    def _direction(self, field: int) -> str:
        """The direction with the most evidence; "shape" only where no plain direction has half of its logs."""
        mine: list[int] = np.nonzero((self.bets.owner == field) & (self._log_weight > -np.inf))[0].tolist()
        plain = [b for b in mine if self.bets.directions[b] != SHAPE]
        evidence = self._log_r + self._log_weight - float(self._log_weight[mine].max())
        best = max(plain, key=lambda b: float(evidence[b]), default=None)
        if best is None or float(evidence[best]) < _SHAPE_MARGIN * float(evidence[mine].max()):
            return SHAPE
        return self.bets.directions[best]

    def to_bytes(self) -> bytes:
        """Exact bytes of the detector's state, with the identity of its bets; equal states give equal bytes."""
        alarm = _EARLY if self.early else _STRONG if self.alarm else _NO_ALARM
        fixed = _FIXED.pack(self.threshold, self._carry.minimum_rows, self.scored, self._carry.stratum, alarm)
        arrays = (self._carry.pending.astype("<i8"), self._log_r.astype("<f8"), self._memory.astype("<f8"))
        return detector_bytes.pack(_MAGIC, self.bets.identity, fixed + b"".join(a.tobytes() for a in arrays))

    @classmethod
    def go_on(cls, bets: Game, data: bytes) -> Self:
        """The detector that ``to_bytes`` wrote, of an earlier version too, whose bets are the first of today's.

        Their evidence goes on, and so does an alarm: each e is valid given the past, whatever the ones before it were. The other bets
        begin with nothing.

        Raises:
            CorruptState: as ``from_bytes``.
            IncompatibleState: of bets that no version has made of this.
        """
        before: Game | None = getattr(bets, "before", None)
        try:
            return cls.from_bytes(bets, data)
        except IncompatibleState:
            if before is None:
                raise
        old = cls.go_on(before, data)
        self = cls(bets, old.threshold, old._carry.minimum_rows)
        self.scored = old.scored
        self.alarm, self.early = old.alarm, old.early
        self._carry = old._carry
        self._log_r[: len(old._log_r)] = old._log_r
        if old._memory.shape == self._memory.shape:
            self._memory = old._memory
        return self

    @classmethod
    def from_bytes(cls, bets: Game, data: bytes) -> Self:
        """The detector that ``to_bytes`` wrote; it goes on bit by bit as the other would have.

        Raises:
            CorruptState: not the bytes of a detector.
            IncompatibleState: of other bets: another baseline, spec, setting or set of windows.
        """
        body = detector_bytes.unpack(_MAGIC, bets.identity, data)
        shape = bets.nothing.shape
        sizes = (bets.layout.cells, len(bets.owner), math.prod(shape))
        if len(body) != _FIXED.size + 8 * sum(sizes):
            raise CorruptState(f"a detector of {sizes[1]} bets is not {len(body)} bytes")
        threshold, minimum_rows, scored, stratum, alarm = _FIXED.unpack_from(body)
        self = cls(bets, threshold, minimum_rows)
        self.scored, self._carry.stratum = scored, stratum
        self.alarm, self.early = alarm != _NO_ALARM, alarm == _EARLY
        pending, log_r, memory = np.split(np.frombuffer(body, dtype="<u8", offset=_FIXED.size), np.cumsum(sizes)[:-1])
        self._carry.pending = pending.view("<i8").astype(np.int64)
        self._log_r = log_r.view("<f8").astype(np.float64)
        self._memory = memory.view("<f8").astype(np.float64).reshape(shape)
        return self
