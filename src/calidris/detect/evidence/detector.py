"""The e-SR detector: evidence that accumulates window by window, and an alarm with a false-alarm budget."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection
from dataclasses import replace
from typing import Self

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect import detector_bytes
from calidris.detect.evidence.onset import Onset, PageSums
from calidris.detect.evidence.renewal import Renewal
from calidris.detect.evidence.verdict import Change, Verdict
from calidris.detect.evidence.weighing import Weighing, find_shares, total_of
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry
from calidris.detect.game import Game
from calidris.detect.levels import Level, TwoLevels
from calidris.errors import CorruptState, IncompatibleState

_MAGIC = b"CALD"
_FIXED = struct.Struct("<dqqq?")  # threshold, minimum rows, windows scored, stratum of what waits, alarm
_LATER = struct.Struct(
    "<qII"
)  # begin of what waits, bytes of the Page sums and of the renewal; earlier versions had none


class Detector:
    """Watches one game through windows of one length (Shiryaev-Roberts e-detector, Shin, Ramdas and Rinaldo 2024).

    Every bet j keeps ``logR <- log e + logaddexp(logR, 0)``; the weighted mean of all R alarms at A. A bet that was idle in a
    window keeps its R as it was.

    Guarantee: if every bet has E[e | past] <= 1 in every scored window (what the game's docstring says, with its assumptions
    and its 1 - δ), the mean number of scored windows to a false alarm is at least A, and P(a false alarm within the first T)
    <= T/A, whatever the dependence between fields and bets. Proof: the weights add up to at most 1, so the mean of R minus the
    number of windows is a supermartingale; at the alarm A <= E[mean R] <= E[windows]. The same holds from every clear and
    reset on, as R starts again from 0.

    Renewal: an alarm latches until ``clear``. Meanwhile the bets on what it names are set aside, the others keep their evidence
    and their weights, and when they alone reach A the alarm is renewed by what is new (``Verdict.renewed``). Guarantee: the mean
    number of alarms within n scored windows, the first one and renewals together, is at most n/A while every bet is valid; after
    an alarm that names all that has changed, the mean number of renewals is at most n·v/A, v the weight of the others. Proof: let
    S be the weighted sum of R over the bets that are not set aside. A window lets S grow by at most v <= 1 in the mean. An alarm
    comes where S >= A and takes at least A out of S (``Renewal.set_aside``), whatever it names. So after n windows with N alarms
    0 <= E[S] <= n·v - A·E[N]. Which bets are set aside is known before the next window, so it changes no bet's mean.

    Silence is not evidence: a window with fewer than ``minimum_rows`` is carried into the next and does not count as scored;
    an empty one changes nothing. While an alarm stands, R of all bets goes on beside that, reset to 0 whenever it reaches A, so
    that ``fired`` shows whether the change persists.

    Of bets at two levels (``TwoLevels``) an alarm, first or renewed, is strong where the strong ones reach A by themselves, else
    early. An early one resets the early R alone: the bound of the strong ones holds on, and where they reach A too, they say so.

    Cost: O(bets + F·K) a window, twice that while an alarm stands; under a millisecond for 100 numeric fields. State: 5 numbers a
    bet and 2 a cell.

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
        self.page = PageSums(len(bets.owner))
        self.renewal: Renewal | None = None
        self._carry = Carry(bets.layout, minimum_rows)
        self._weighing = Weighing(bets)
        self._early = bets.is_early if isinstance(bets, TwoLevels) else None
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
            start_ns: begin of the window, since the epoch; seasonal games look at it, and onsets are told in it.
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
        merged = self._carry.add(counts, stratum, start_ns)
        if merged is None:
            return self._verdict(rows=0)
        play = self.bets.play(merged, self._memory, stratum)
        self._memory = play.memory
        self._log_r = play.log_e + np.logaddexp(self._log_r, np.where(play.idle, -np.inf, 0.0))
        self.scored += 1
        standing, merged_rows = self.renewal, self.bets.layout.rows(merged)
        if standing is not None:
            play = standing.play(merged, stratum)
        self.page.add(play, self._carry.began_ns, merged_rows)
        verdict = self._verdict(merged_rows)
        if standing is not None:
            verdict = replace(verdict, renewed=self._renew(standing, merged_rows))
        elif verdict.opened:
            verdict = replace(verdict, onset=self.page.find_onset(self._weighing.find_bets(verdict.changes)))
            self.stand(
                [c.field for c in verdict.changes], Renewal.after(self.bets, self._weighing, self._log_r, play.memory)
            )
        if verdict.fired:
            self._forget(verdict.level)
        return verdict

    def _renew(self, standing: Renewal, rows: int) -> Verdict | None:
        """What is new since the alarm, where it has reached A by itself; it is set aside too from now on."""
        fields = self._weighing.weigh(standing.log_r)
        total = total_of(fields)
        log_a = math.log(self.threshold)
        if total < log_a:
            return None
        level = self._level_of(standing.log_r, total)
        changes = self._name(standing.log_r, level)
        onset = self.page.find_onset(self._weighing.find_bets(changes))
        standing.set_aside([change.field for change in changes], log_a)
        return self._told(rows, fields, total, changes, level=level, opened=False, onset=onset)

    def stand(self, names: Collection[str], renewal: Renewal | None = None) -> None:
        """Latch an alarm that names some things; what others have of evidence is in ``renewal``, where it is known."""
        self.alarm = True
        self.renewal = renewal or Renewal(self.bets, self._weighing)
        self.renewal.set_aside(names, math.log(self.threshold))

    def recall(self, names: Collection[str]) -> None:
        """Say what the standing alarm names, where an earlier version saved it: what else changes from now on renews it."""
        if self.alarm and self.renewal is None:
            self.renewal = Renewal.of_names(self.bets, self._weighing, names)

    def clear(self, names: Collection[str] | None = None) -> None:
        """End the alarm, as a person decided; evidence starts from nothing.

        Args:
            names: what one of several standing alarms named: that alone is watched again, from nothing. None ends all of them.
        """
        ended = (
            np.ones(len(self.page), dtype=np.bool_)
            if names is None
            else np.isin(self.bets.owner, [i for i, name in enumerate(self.bets.names) if name in names])
        )
        self.page.forget(ended)
        if names is not None and self.renewal is not None:
            self.renewal.let_back(names)
            return
        self.alarm, self.renewal = False, None
        self._forget()

    def unlatch(self) -> None:
        """Let go of alarms that another detector of the same bets tells; evidence gathered since they were raised stays."""
        self.alarm, self.renewal = False, None

    def take_over(self, other: Detector, names: Collection[str]) -> None:
        """Go on with the evidence that another detector of the same ``Bets`` has on some fields; nothing of other bets.

        The rows of two versions of a model are one stream of evidence on what they share: the guarantee counts windows from
        where the other one's did.
        """
        if self.bets.identity != other.bets.identity:
            return
        mine = np.array([name in names for name in self.bets.names], dtype=np.bool_)
        self.page.take_over(other.page, mine[self.bets.owner])
        self._log_r = np.where(mine[self.bets.owner], other._log_r, self._log_r)
        self._memory = np.where(mine[None, :, None], other._memory, self._memory)

    def _forget(self, level: str = Level.STRONG) -> None:
        """Let evidence start from nothing: all of it, or that of the early level."""
        if level == Level.EARLY and self._early is not None:
            self._log_r = np.where(self._early, -np.inf, self._log_r)
            return
        self._log_r = np.full(len(self.bets.owner), -np.inf)
        self._memory = self.bets.nothing

    def _verdict(self, rows: int) -> Verdict:
        """Read the evidence; latch when this window reached the threshold."""
        fields = self._weighing.weigh(self._log_r)
        total = total_of(fields)
        level = self._level_of(self._log_r, total) if rows > 0 else ""
        fired = bool(level)
        opened = fired and not self.alarm
        self.alarm = self.alarm or fired
        changes = self._name(self._log_r, level) if fired else ()
        return self._told(rows, fields, total, changes, level=level, opened=opened)

    def _level_of(self, log_r: Floats, total: float) -> str:
        """The level of an alarm of evidence log_r float64[B]; empty where all of it together has not reached the threshold."""
        log_a = math.log(self.threshold)
        if total < log_a:
            return ""
        strong = total_of(self._weighing.weigh(self._at(log_r, Level.STRONG)))
        return Level.STRONG if strong >= log_a else Level.EARLY

    def _name(self, log_r: Floats, level: str) -> tuple[Change, ...]:
        """What an alarm names, by the evidence that raised it."""
        mine = self._at(log_r, level)
        return self._weighing.name(mine, self._weighing.weigh(mine), math.log(self.threshold))

    def _at(self, log_r: Floats, level: str) -> Floats:
        """The evidence that speaks for a level: all for the early one, its own for the strong one."""
        if level == Level.EARLY or self._early is None:
            return log_r
        return np.where(self._early, -np.inf, log_r)

    def _told(
        self, rows: int, fields: Floats, total: float, changes: tuple[Change, ...], *, level: str, opened: bool,
        onset: Onset | None = None,
    ) -> Verdict:  # fmt: skip
        log_a = math.log(self.threshold)
        return Verdict(
            scored=rows > 0,
            rows=rows,
            evidence=max(total / log_a, 0.0),
            fields=dict(zip(self.bets.names, find_shares(fields, log_a).tolist())),
            fired=bool(level),
            opened=opened,
            alarm=self.alarm,
            changes=changes,
            onset=onset,
            level=level,
        )

    def to_bytes(self) -> bytes:
        """Exact bytes of the detector's state, with the identity of its bets; equal states give equal bytes."""
        fixed = _FIXED.pack(self.threshold, self._carry.minimum_rows, self.scored, self._carry.stratum, self.alarm)
        arrays = (self._carry.pending.astype("<i8"), self._log_r.astype("<f8"), self._memory.astype("<f8"))
        body = fixed + b"".join(a.tobytes() for a in arrays)
        return detector_bytes.pack(_MAGIC, self.bets.identity, body + self._later_bytes())

    def _later_bytes(self) -> bytes:
        """What versions before onsets and renewals did not write; nothing where it holds nothing beyond what they did."""
        page = self.page.to_bytes()
        renewal = self.renewal.to_bytes() if self.renewal is not None else b""
        if not page and not renewal:
            return b""
        return _LATER.pack(self._carry.began_ns, len(page), len(renewal)) + page + renewal

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
        self.alarm = old.alarm
        self._carry = old._carry
        self._log_r[: len(old._log_r)] = old._log_r
        if old._memory.shape == self._memory.shape:
            self._memory = old._memory
        self.page = PageSums.continue_unknown(self._log_r)
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
        end = _FIXED.size + 8 * sum(sizes)
        if len(body) != end and len(body) < end + _LATER.size:
            raise CorruptState(f"a detector of {sizes[1]} bets is not {len(body)} bytes")
        threshold, minimum_rows, scored, stratum, alarm = _FIXED.unpack_from(body)
        self = cls(bets, threshold, minimum_rows)
        self.scored, self.alarm, self._carry.stratum = scored, alarm, stratum
        pending, log_r, memory = np.split(np.frombuffer(body, "<u8", sum(sizes), _FIXED.size), np.cumsum(sizes)[:-1])
        self._carry.pending = pending.view("<i8").astype(np.int64)
        self._log_r = log_r.view("<f8").astype(np.float64)
        self._memory = memory.view("<f8").astype(np.float64).reshape(shape)
        self._restore_later(body[end:])
        return self

    def _restore_later(self, data: bytes) -> None:
        began_ns, page, renewal = _LATER.unpack_from(data) if data else (0, 0, 0)
        if data and len(data) != _LATER.size + page + renewal:
            raise CorruptState(f"onsets and renewals of a detector are not {len(data)} bytes")
        middle = _LATER.size + page
        self._carry.began_ns = began_ns
        self.page = PageSums.from_bytes(self._log_r, data[_LATER.size : middle])
        if renewal:
            self.renewal = Renewal.from_bytes(self.bets, self._weighing, data[middle:])
