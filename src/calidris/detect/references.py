"""What is normal at this hour, and what was normal lately: references that windows build, beside the frozen one or in its place.

====  ==============  =========================================  ======================================
R0    frozen          the baseline itself                        sees all, slow drift included
R1    hour of week    the same hour of the weeks before          no false alarm on a first weekend; absorbs slow drift
R2    decayed         the last day or so, older rows fading      change points; absorbs everything else
====  ==============  =========================================  ======================================

R1 alarms and R0 is quiet: abrupt, but inside the known range. R0 alarms and R1 is quiet: slow drift. Both: a break.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect import detector_bytes
from calidris.detect.calendar import HOURS, IN_UTC, Calendar
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState, Spec

WEEKS = 8
FEWEST_WEEKS = 2
"""An hour of the week that was seen in fewer weeks has no reference of its own."""
_UNIT = 1 << 8  # profiles and the decayed reference are counted in 1/256 of a row
_SHIFT = 16
_MAGIC = b"CALF"
_FIXED = struct.Struct("<ddq")
_LONGEST_ZONE = 64


class _Hours(NamedTuple):
    """What is held of some hours: profiles and the week that waits int64[n, cells], its number and how many joined int64[n]."""

    profile: Ints
    fresh: Ints
    fresh_week: Ints
    weeks: Ints


class Season(NamedTuple):
    """How far R1 is: hours of the week that can be judged, of those that ever had rows."""

    ready: int
    seen: int

    @property
    def state(self) -> str:
        """Sleeping before any hour can be judged, learning before all can, then ready."""
        if not self.ready:
            return "sleeping"
        return "ready" if self.ready == self.seen else "learning"


class References:
    """R1 and R2 of one model, as integers: the same windows in the same order give the same bits.

    R1 keeps for each hour of the week a profile that forgets an eighth a week, lagged by a week: rows join it when their
    hour comes round again. R2 is one histogram in which rows fade by half every ``half_life_s``. Windows that were not calm are
    left out of both, so that a change does not become normal while its alarm stands.

    Memory: 2·168 + 1 vectors of int64[cells]; 3.8 MB for 100 fields.

    Args:
        spec: of the model version.
        window_s: length of the windows that are learned.
        half_life_s: of R2.
        calendar: says which hour of the week a window lies in.
    """

    def __init__(self, spec: Spec, window_s: float, half_life_s: float = 86400.0, calendar: Calendar = IN_UTC) -> None:
        if not 0 < window_s < float("inf") or not 0 < half_life_s < float("inf"):
            raise ValueError(f"window and half-life must be positive, got {window_s} and {half_life_s}")
        self.spec = spec
        self.window_s = window_s
        self.half_life_s = half_life_s
        self.calendar = calendar
        self.version = 0
        self._profile: Ints = np.zeros((HOURS, spec.cells), dtype=np.int64)
        self._fresh: Ints = np.zeros((HOURS, spec.cells), dtype=np.int64)
        self._fresh_week: Ints = np.full(HOURS, -1, dtype=np.int64)
        self._weeks: Ints = np.zeros(HOURS, dtype=np.int64)
        self._decayed: Ints = np.zeros(spec.cells, dtype=np.int64)
        self._last = 0

    def learn(self, start_ns: int, counts: Ints, calm: bool = True) -> None:
        """Take one closed window, after it was scored; each once and in order.

        Args:
            start_ns: begin of the window.
            counts: int64[cells].
            calm: whether the detectors saw nothing: no alarm stands, and the evidence is below one half of what alarms.
        """
        self._fade(start_ns)
        # Also where nothing is learned: what fades is another reference, before a restart and after it.
        self.version += 1
        if not calm:
            return
        hour, week = self.calendar.hour_of_week(start_ns), self.calendar.week(start_ns)
        self._fold(hour, week)
        self._fresh[hour] += counts
        self._fresh_week[hour] = week
        self._decayed += counts * _UNIT

    def fill(self, starts_ns: Ints, windows: Ints) -> None:
        """Learn the baseline's own windows, int64[W, cells] in the order of their begins int64[W], before any live one."""
        for start_ns, counts in zip(starts_ns.tolist(), windows):
            self.learn(start_ns, counts)

    @property
    def season(self) -> Season:
        """How far R1 is."""
        rows_of_week = self._waiting()
        weeks = self._weeks + rows_of_week
        return Season(int((weeks >= FEWEST_WEEKS).sum()), int((weeks > 0).sum()))

    def _waiting(self) -> Mask:
        """Hours with rows that join their profile when the hour comes round again, bool[HOURS]."""
        # Every row is in one cell of the first field.
        first = self._fresh[:, : int(self.spec.offsets[1])]
        waiting: Mask = first.max(axis=1) > 0
        return waiting

    def seasonal(self, start_ns: int) -> CountsState | None:
        """R1 for a window: its hour's profile, and κ rows more that lie as the same hour of other days does.

        Those in turn are filled up with rows that lie as all hours do. κ is read off how much hours differ (moments of the
        Dirichlet-multinomial). None where the hour was seen in fewer than two weeks.
        """
        hour, week = self.calendar.hour_of_week(start_ns), self.calendar.week(start_ns)
        profile = self._profile[hour]
        due = self._fresh[hour].any() and self._fresh_week[hour] < week
        if self._weeks[hour] + due < FEWEST_WEEKS:
            return None
        mine = _rows_of(self._blend(profile, self._fresh[hour]) if due else profile)
        table = _rows_of(self._profile)
        table[hour] = mine  # whether it has joined already or is about to: the same reference all through its hour
        days = table.reshape(7, 24, -1).sum(0)
        day = self._filled(days[hour % 24], table.sum(0), days)
        return CountsState(self.spec, self._filled(mine, day, table[hour % 24 :: 24]))

    def decayed(self) -> CountsState | None:
        """R2 now; None before the first window."""
        rows = _rows_of(self._decayed)
        return CountsState(self.spec, rows) if rows.any() else None

    def _fold(self, hour: int, week: int) -> None:
        if self._fresh[hour].any() and self._fresh_week[hour] < week:
            self._profile[hour] = self._blend(self._profile[hour], self._fresh[hour])
            self._weeks[hour] += 1
            self._fresh[hour] = 0

    @staticmethod
    def _blend(profile: Ints, fresh: Ints) -> Ints:
        return profile - profile // WEEKS + fresh * _UNIT

    def _fade(self, start_ns: int) -> None:
        passed = max(start_ns - self._last, 0) if self._last else 0
        self._last = max(self._last, start_ns)
        factor = round(2.0 ** (_SHIFT - passed / 1e9 / self.half_life_s))
        self._decayed = self._decayed * factor >> _SHIFT

    def _filled(self, rows: Ints, parent: Ints, siblings: Ints) -> Ints:
        """Rows, and κ more that lie as the parent's do: whole numbers, and κ the same in every field."""
        share = self._shares(parent.astype(np.float64))
        kappa = min(self._kappa(siblings, share), int(parent[: self.spec.offsets[1]].sum()))
        # Rounding the running total keeps each field's sum: a field's shares add up to 1.
        total: Ints = np.concatenate([[0], np.rint(np.cumsum(share) * kappa)]).astype(np.int64)
        return rows + total[1:] - total[:-1]

    def _kappa(self, siblings: Ints, share: Floats) -> int:
        """Rows that a parent is worth, the least over the fields: ``(m - 1)/(D - 1) - 1`` with D the siblings' own spread."""
        first = slice(0, int(self.spec.offsets[1]))
        rows = siblings[:, first].sum(1).astype(np.float64)
        used = rows > 0
        if used.sum() < 2:
            return 0
        n = rows[used][:, None]
        scatter = (
            n * np.divide((siblings[used] / n - share) ** 2, share, out=np.zeros_like(share * n), where=share > 0)
        ).sum(0)
        per_field = np.add.reduceat(scatter, self.spec.offsets[:-1])
        free = np.maximum(np.add.reduceat(share > 0, self.spec.offsets[:-1]).astype(np.float64) - 1.0, 1.0)
        spread = float((per_field / (free * (used.sum() - 1))).max())
        return int(max((n.mean() - 1.0) / max(spread - 1.0, 1e-6) - 1.0, 0.0)) if n.mean() > 1.0 else 0

    def _shares(self, rows: Floats) -> Floats:
        total = np.add.reduceat(rows, self.spec.offsets[:-1])
        width = np.diff(self.spec.offsets)
        even: Floats = rows / np.repeat(np.maximum(total, 1.0), width)
        return even

    def take_over(self, other: References) -> None:
        """Become what another one is: bets hold this object, and a restart brings its state later.

        Hours of which the baseline has shown more weeks stay: earlier versions began without its windows.
        """
        fuller = self._weeks > other._weeks
        mine = _Hours(self._profile[fuller], self._fresh[fuller], self._fresh_week[fuller], self._weeks[fuller])
        for name in ("version", "_profile", "_fresh", "_fresh_week", "_weeks", "_decayed", "_last"):
            setattr(self, name, getattr(other, name))
        if fuller.any():
            self._keep(fuller, mine)

    def _keep(self, hours: Mask, mine: _Hours) -> None:
        """Give hours their former profiles; the newer of the two weeks waits, the other one joins."""
        newer = self._waiting()[hours] & (self._fresh_week[hours] > mine.fresh_week)
        joined = self._blend(mine.profile, mine.fresh)
        self._profile[hours] = np.where(newer[:, None], joined, mine.profile)
        self._weeks[hours] = mine.weeks + newer
        self._fresh[hours] = np.where(newer[:, None], self._fresh[hours], mine.fresh)
        self._fresh_week[hours] = np.where(newer, self._fresh_week[hours], mine.fresh_week)

    def to_bytes(self) -> bytes:
        """Exact bytes; equal states give equal bytes."""
        fixed = _FIXED.pack(self.window_s, self.half_life_s, self.version)
        head = np.concatenate([[self._last], self._weeks, self._fresh_week])
        parts = [head, self._profile.ravel(), self._fresh.ravel(), self._decayed]
        numbers = b"".join(p.astype("<i8").tobytes() for p in parts)
        # In UTC as earlier versions wrote them, who knew no other clock.
        zone = b"" if self.calendar.is_utc else self.calendar.zone.encode()
        return detector_bytes.pack(_MAGIC, bytes.fromhex(self.spec.hash), fixed + numbers + zone)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes, calendar: Calendar = IN_UTC) -> Self:
        """What ``to_bytes`` wrote.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: of another spec, or of another clock, whose hours of the week are others.
        """
        body = detector_bytes.unpack(_MAGIC, bytes.fromhex(spec.hash), data)
        sizes = (1, HOURS, HOURS, HOURS * spec.cells, HOURS * spec.cells, spec.cells)
        ends = _FIXED.size + 8 * sum(sizes)
        if len(body) < ends or len(body) > ends + _LONGEST_ZONE:
            raise CorruptState(f"references of {spec.cells} cells are not {len(body)} bytes")
        zone = body[ends:].decode(errors="replace") or IN_UTC.zone
        if zone != calendar.zone:
            raise IncompatibleState(f"references by the clock of {zone} for a model by that of {calendar.zone}")
        window_s, half_life_s, version = _FIXED.unpack_from(body)
        self = cls(spec, window_s, half_life_s, calendar)
        numbers = np.frombuffer(body, "<i8", sum(sizes), _FIXED.size).astype(np.int64)
        last, self._weeks, self._fresh_week, profile, fresh, self._decayed = np.split(numbers, np.cumsum(sizes)[:-1])
        self._last, self.version = int(last[0]), version
        self._profile, self._fresh = profile.reshape(HOURS, -1), fresh.reshape(HOURS, -1)
        return self


def _rows_of(units: Ints) -> Ints:
    rows: Ints = (units + _UNIT // 2) // _UNIT
    return rows
