"""One detector of a model at work: the learner that comes before it, the run of evidence, and the way back from an alarm.

From its bytes it goes on bit by bit as it would have.
"""

from __future__ import annotations

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import asdict, astuple, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from calidris import semconv
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.detect import Bets, Change, DesignLearner, Detector, Game, Onset, Recovery, References, Verdict
from calidris.detect.calendar import Calendar
from calidris.detect.levels import Level, TwoLevels, game_of
from calidris.engine.detectors.recipes import Recipe, TooFewLearned
from calidris.engine.detectors.set_aside import set_aside, without
from calidris.errors import CorruptState

QUIET = 0.2
"""A run of evidence begins after the last window with less than this share of the budget's evidence."""
CALM = 0.5
"""Windows with less evidence than this are learned as ordinary by the seasonal references."""
WANTED = 168
"""Windows that show the ordinary spread: where windows are short, as many, evenly over the time of ``detect.learn``."""
FEWEST = 30


@dataclass(slots=True)
class Run:
    """Windows since the evidence was last near nothing.

    Attributes:
        since_ns: begin of the first one, also where it was too small to be scored by itself; 0 before any.
        windows: how many were scored.
        rows: rows in those.
    """

    since_ns: int = 0
    windows: int = 0
    rows: int = 0


@dataclass(slots=True)
class Renewed:
    """What renewed a standing alarm: an alarm of its own.

    Attributes:
        verdict: what it names.
        counts: of the window that raised it, int64[cells].
        recovery: watches for its end, where its kind has a way back.
        number: the alarm in the list; 0 until it is written there.
    """

    verdict: Verdict
    counts: Ints
    recovery: Recovery | None
    number: int = 0


class SlotWatcher:
    """The detector in one slot of a model's budget, or the learner that comes before it.

    A baseline without windows of its own says nothing about how much whole windows vary, so that is learned from live
    windows first; until then nothing alarms.

    Args:
        recipe: what it is made of.
        config: the user's settings.
        threshold: evidence at which the detector alarms.
    """

    def __init__(self, recipe: Recipe, config: ModelConfig, threshold: float) -> None:
        self.threshold = threshold
        self.minimum_rows = config.detect.minimum_rows
        self.calendar = Calendar(config.timezone)
        self.run = Run()
        self.last: Verdict | None = None
        self.alarmed: Verdict | None = None
        self.fired: Ints | None = None
        self.recovery: Recovery | None = None
        self.renewals: list[Renewed] = []
        self.unsaved = True
        self.left_out: frozenset[str] = frozenset()  # columns that another detector watches
        self.live = b""  # windows that were learned live: a restart makes the same bets from them
        self.held = 0
        self.wanted, self.stride = _learning(config.detect.learn, recipe.slot.window_s)
        learns = recipe.spread is None and recipe.learns
        self.learner = DesignLearner(recipe.layout, self.wanted, self.minimum_rows) if learns else None
        self.detector = None if learns else self.detector_of(recipe.game(recipe.spread, recipe.days))
        self.recipe = replace(
            recipe, spread=None, days=None
        )  # the bets are made: it is 24 MB where windows are short and features many

    def detector_of(self, game: Game) -> Detector:
        """A fresh detector at this slot's threshold."""
        return Detector(game, self.threshold, self.minimum_rows)

    def take(self, counts: Ints, start_ns: int, hold: bool = False) -> Verdict | None:
        """Score one sealed window of counts int64[cells]; None while the spread is still being learned.

        A window on hold is neither scored nor learned, and says nothing of whether an alarm is over.
        """
        self.unsaved = True
        if hold:
            self.held += 1
            return None if self.detector is None else self.detector.score(counts, start_ns=start_ns, hold=True)
        self.held = 0
        if self.detector is None:
            self._learn(counts, start_ns)
            return None
        if self.recipe.layout.rows(counts) and not self.run.since_ns:
            self.run.since_ns = start_ns
        self.last = verdict = self.detector.score(counts, start_ns=start_ns)
        if verdict.scored:
            self.run.windows += 1
            self.run.rows += verdict.rows
            if verdict.evidence < QUIET and not verdict.fired:
                self.run = Run()
        if verdict.opened:
            self._begin_recovery(verdict, counts)
        if verdict.renewed is not None:
            new = verdict.renewed
            self.renewals.append(Renewed(new, counts.copy(), self.recovery_of(new, counts)))
        if self.recipe.references is not None:
            calm = not verdict.alarm and verdict.evidence < CALM
            self.recipe.references.learn(start_ns, counts, calm)
        return verdict

    def recovers(self, counts: Ints, start_ns: int) -> list[int]:
        """Of which standing alarms all has come back; each once, in the window that shows it. 0 is the first one."""
        found = []
        for number, recovery in ((0, self.recovery), *((new.number, new.recovery) for new in self.renewals)):
            if recovery is None or recovery.recovered:
                continue
            self.unsaved = True
            if recovery.score(counts, start_ns):
                found.append(number)
        return found

    def _begin_recovery(self, verdict: Verdict, counts: Ints) -> None:
        self.alarmed, self.fired = verdict, counts.copy()
        self.recovery = self.recovery_of(verdict, counts)

    def raise_level(self, number: int, counts: Ints) -> None:
        """An early alarm of the list is a strong one now: by its own tolerance it is over when all it named has come back."""
        self.unsaved = True
        new = self.renewal_of(number)
        if new is not None:
            new.verdict, new.counts = replace(new.verdict, level=Level.STRONG), counts.copy()
            new.recovery = self.recovery_of(new.verdict, counts)
        elif self.alarmed is not None:
            self._begin_recovery(replace(self.alarmed, level=Level.STRONG), counts)

    def recovery_of(self, verdict: Verdict, counts: Ints) -> Recovery | None:
        """What watches for the end of an alarm, where its kind has a way back."""
        if self.recipe.back is None or self.detector is None:
            return None
        learned = DesignLearner.from_bytes(self.recipe.layout, self.live).windows if self.live else None
        game = self.recipe.back(game_of(self.detector.bets, verdict.level), verdict.changes, counts, learned)
        return None if game is None else Recovery(game, minimum_rows=self.minimum_rows)

    def _learn(self, counts: Ints, start_ns: int) -> None:
        assert self.learner is not None, "either learns or scores"
        if self.recipe.teaches is not None and not self.recipe.teaches(counts):
            return
        if self.recipe.age_s:
            self.run.since_ns = self.run.since_ns or start_ns
        if start_ns // round(self.recipe.slot.window_s * 1e9) % self.stride:
            return
        self.learner.add(counts, start_ns)
        if self.learner.ready:
            self._begin(self.learner)

    def _begin(self, learner: DesignLearner) -> None:
        """Lay the bets, or learn on where nothing can be made of what was learned."""
        try:
            self.detector = self.detector_of(self._game_of(learner))
        except TooFewLearned:
            learner.want_more(FEWEST)
            return
        self.live, self.learner, self.run = learner.to_bytes(), None, Run()

    def _game_of(self, learner: DesignLearner) -> Game:
        """The bets from what was learned live."""
        days = learner.days(self.stride, self.calendar)
        return self.recipe.game(learner.windows, days)

    def resume(self, live: bytes) -> None:
        """Make the bets anew from the windows that ``live`` holds."""
        self.live, self.learner = live, None
        learner = DesignLearner.from_bytes(self.recipe.layout, live)
        self.detector = self.detector_of(self._game_of(learner))

    def go_back(self) -> None:
        """Lay the bets that an earlier version made of the same baseline, where today's learn live what that takes for granted."""
        if self.detector is None and self.recipe.former is not None:
            self.detector, self.learner = self.detector_of(self.recipe.former()), None

    def take_over(self, other: SlotWatcher, names: Collection[str]) -> None:
        """Go on with the evidence that another detector of the same bets has on some things."""
        if self.detector is not None and other.detector is not None:
            if isinstance(
                game_of(self.detector.bets, Level.STRONG), Bets
            ):  # the only ones whose memory is kept by field
                self.detector.take_over(other.detector, names)
            self.unsaved = True

    def leave_out(self, names: Collection[str]) -> None:
        """Bet on some columns no longer, which another detector does; evidence on the others stays, and so does the threshold."""
        self.left_out = frozenset(names)
        self.recipe = without(self.recipe, names)
        if self.detector is not None:
            left = set_aside(self.detector.bets, names)
            self.detector = Detector.from_bytes(left, self.detector.to_bytes())

    def succeed(self, other: SlotWatcher, *, take_alarms: bool = False) -> None:
        """Go on bit by bit where another detector of the same recipe is: what it learned, its evidence and its run.

        Its alarms stay its own, or are this one's from here on, with their way back.
        """
        restore_slot(self, slot_bytes(other))
        # Whoever ends an alarm ends it in one place.
        giver = other if take_alarms else self
        giver.give_alarms()
        self.unsaved = True

    def give_alarms(self) -> None:
        """Be rid of alarms that are another detector's; evidence stays."""
        self.unsaved = True
        self.alarmed = self.fired = self.recovery = None
        self.renewals = []
        if self.detector is not None:
            self.detector.unlatch()

    @property
    def latched(self) -> bool:
        """Whether its alarm stands."""
        return self.detector is not None and self.detector.alarm

    @property
    def levels(self) -> tuple[Level, ...]:
        """Those that its alarms can be of."""
        two = self.recipe.both_levels if self.detector is None else isinstance(self.detector.bets, TwoLevels)
        return tuple(Level) if two else (Level.STRONG,)

    @property
    def stands(self) -> bool:
        """Whether an alarm of it stands and what that named has not come back."""
        first = [self.recovery] if self.alarmed is not None or not self.renewals else []
        recoveries = [*first, *(new.recovery for new in self.renewals)]
        return self.latched and not all(r is not None and r.recovered for r in recoveries)

    @property
    def waits_for(self) -> str | None:
        """What it waits for, a value of ``ml.detection.waits_for``, before its first window is scored; then None."""
        if self._sleeps:
            return semconv.ML_DETECTION_WAITS_FOR_LEARNING
        if self.detector is not None and self.detector.scored:
            return None
        begun = self.run.since_ns or (self.learner is not None and self.learner.begun)
        if self.recipe.age_s and not begun:
            return semconv.ML_DETECTION_WAITS_FOR_LABELS
        learns = self.learner is not None
        return semconv.ML_DETECTION_WAITS_FOR_LEARNING if learns else semconv.ML_DETECTION_WAITS_FOR_ROWS

    @property
    def _sleeps(self) -> bool:
        """Whether no hour of the week can be judged yet: windows are scored, and no bet is laid on them."""
        references = self.recipe.references
        if references is None or self.recipe.slot.reference != "hour_of_week":
            return False
        return not references.season.ready

    def latch(self, names: Collection[str] = ()) -> bool:
        """Raise no other alarm of these names until it is cleared; false while it learns, when none can be raised."""
        if self.detector is None:
            return False
        self.detector.stand(names)
        self.unsaved = True
        return True

    @property
    def unwritten(self) -> Renewed | None:
        """A renewal that the list of alarms does not have yet."""
        return next((new for new in self.renewals if not new.number), None)

    def is_about(self, alarm: int, number: int) -> bool:
        """Whether an alarm of the list is the one that ``recovers`` told by a number."""
        return (alarm if self.renewal_of(alarm) else 0) == number

    def renewal_of(self, number: int) -> Renewed | None:
        """What an alarm of the list says of a renewal; None where it is the first one, or not of this detector."""
        return next((new for new in self.renewals if new.number == number), None)

    def end_run(self) -> Run:
        """The run that led to an alarm; a new one begins."""
        ended, self.run = self.run, Run()
        return ended

    def clear(self, number: int = 0) -> None:
        """End one latched alarm of those that stand; what it named is watched again, from nothing.

        Args:
            number: of the alarm in the list.
        """
        self.unsaved = True
        ended = self.renewal_of(number)
        names = _names(self.alarmed if ended is None else ended.verdict)
        if ended is None:
            self.alarmed = self.fired = self.recovery = None
        else:
            self.renewals.remove(ended)
        if self.detector is None:
            return
        if self.alarmed is not None or self.renewals:
            self.detector.clear(names)
            return
        self.run = Run()
        self.detector.clear()


def _names(verdict: Verdict | None) -> list[str]:
    return [] if verdict is None else [change.field for change in verdict.changes]


def _learning(learn_s: float, window_s: float) -> tuple[int, int]:
    """How many windows are learned, and every which one.

    >>> _learning(7 * 86400.0, 3600.0), _learning(7 * 86400.0, 300.0), _learning(7 * 86400.0, 86400.0)
    ((168, 1), (168, 12), (30, 1))
    """
    windows = learn_s / window_s
    if windows < WANTED:
        return max(int(windows), FEWEST), 1
    return WANTED, max(round(windows / WANTED), 1)


_SIZES = struct.Struct("<6I")
"""Bytes of the head, of what was learned live, of the worker, of the references, of the window that fired, of the recovery."""


def slot_bytes(watch: SlotWatcher) -> bytes:
    """The run and the verdicts as JSON, then the states behind them."""
    worker = watch.detector or watch.learner
    assert worker is not None, "either learns or scores"
    references, recovery, fired = watch.recipe.references, watch.recovery, watch.fired
    head: dict[str, Any] = {
        "scores": watch.detector is not None,
        "run": astuple(watch.run),
        "last": _plain(watch.last),
        "alarmed": _plain(watch.alarmed),
        # Left out where there is nothing to tell, as by versions that never held.
        **({"held": watch.held} if watch.held else {}),
    }
    if watch.renewals:  # checkpoints of versions without them had none
        head["renewals"] = [_plain_renewal(new) for new in watch.renewals]
    parts = (
        json.dumps(head).encode(),
        watch.live,
        worker.to_bytes(),
        references.to_bytes() if references is not None else b"",
        fired.astype("<i8").tobytes() if fired is not None else b"",
        recovery.to_bytes() if recovery is not None else b"",
    )
    return _SIZES.pack(*map(len, parts)) + b"".join(parts)


def restore_slot(watch: SlotWatcher, data: bytes) -> None:
    """Take over what ``slot_bytes`` wrote against the same baseline. The threshold is that of today's settings.

    Raises:
        IncompatibleState: other settings or other rules made it; only what was learned live is taken over.
        CorruptState: not such bytes.
    """
    head, live, worker, references, fired, recovery = _parts(data)
    if references and watch.recipe.references is not None:
        mine = watch.recipe.references
        restored = References.from_bytes(mine.spec, references, mine.calendar)
        watch.recipe.references.take_over(restored)
    if head["scores"]:
        _restore_detector(watch, live, worker)
    else:
        watch.learner, watch.detector = DesignLearner.from_bytes(watch.recipe.layout, worker), None
    watch.run, watch.held = Run(*head["run"]), head.get("held", 0)
    watch.last, watch.alarmed = _verdict(head["last"]), _verdict(head["alarmed"])
    if watch.alarmed is not None:
        watch.fired = np.frombuffer(fired, dtype="<i8").astype(np.int64)
        watch.recovery = _recovery(watch, watch.alarmed, watch.fired, recovery)
    watch.renewals = [_renewal(watch, plain) for plain in head.get("renewals", ())]
    if watch.detector is not None:
        watch.detector.recall(_names(watch.alarmed))
    watch.unsaved = False


def _parts(data: bytes) -> tuple[dict[str, Any], bytes, bytes, bytes, bytes, bytes]:
    try:
        ends = np.cumsum([_SIZES.size, *_SIZES.unpack_from(data)]).tolist()
        head, live, worker, references, fired, recovery = (data[a:b] for a, b in pairwise(ends))
        return json.loads(head), live, worker, references, fired, recovery
    except (struct.error, ValueError) as error:
        raise CorruptState(f"not the watch of a window: {error}") from error


def _restore_detector(watch: SlotWatcher, live: bytes, worker: bytes) -> None:
    if live:
        watch.resume(live)
    watch.go_back()
    if watch.detector is None:
        raise CorruptState("a detector without the windows that its bets were made from")
    watch.detector = Detector.go_on(watch.detector.bets, worker)
    watch.detector.threshold = watch.threshold


def _recovery(watch: SlotWatcher, alarmed: Verdict, counts: Ints, recovery: bytes) -> Recovery | None:
    fresh = watch.recovery_of(alarmed, counts)
    return fresh if fresh is None or not recovery else Recovery.from_bytes(fresh.game, recovery)


def _plain_renewal(new: Renewed) -> dict[str, Any]:
    recovery = b"" if new.recovery is None else new.recovery.to_bytes()
    plain = {"number": new.number, "verdict": _plain(new.verdict)}
    return plain | {"counts": new.counts.tolist(), "recovery": b64encode(recovery).decode()}


def _renewal(watch: SlotWatcher, plain: dict[str, Any]) -> Renewed:
    verdict, counts = _verdict(plain["verdict"]), np.array(plain["counts"], dtype=np.int64)
    assert verdict is not None, "it is written with its verdict"
    recovery = _recovery(watch, verdict, counts, b64decode(plain["recovery"]))
    return Renewed(verdict, counts, recovery, plain["number"])


def _plain(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    plain = asdict(replace(verdict, renewed=None))  # it has an alarm of its own
    for name in ("onset", "renewed"):
        if plain[name] is None:  # nothing that a checkpoint of a version before it would not hold
            del plain[name]
    if plain["level"] != Level.EARLY:  # likewise: there was one level
        del plain["level"]
    return plain


def _verdict(data: dict[str, Any] | None) -> Verdict | None:
    if data is None:
        return None
    onset = Onset(*data["onset"]) if "onset" in data else None
    level = data.get("level", Level.STRONG if data["fired"] else "")
    changes = tuple(Change(**change) for change in data["changes"])
    return Verdict(**(data | {"changes": changes, "onset": onset, "level": level}))
