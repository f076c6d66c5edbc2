"""One detector of a model at work: the learner that comes before it, the run of evidence, and the way back from an alarm.

From its bytes it goes on bit by bit as it would have.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from dataclasses import asdict, astuple, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from calidris import semconv
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.detect import Bets, Change, DesignLearner, Detector, Game, Recovery, References, Verdict
from calidris.detect.calendar import Calendar
from calidris.engine.detectors.recipes import Recipe, TooFewLearned
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
        self.unsaved = True
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
        if self.recipe.references is not None:
            calm = not verdict.alarm and verdict.evidence < CALM
            self.recipe.references.learn(start_ns, counts, calm)
        return verdict

    def recovers(self, counts: Ints, start_ns: int) -> bool:
        """Look whether what a standing alarm named has come back; true once, in the window that shows it."""
        if self.recovery is None or self.recovery.recovered:
            return False
        self.unsaved = True
        return self.recovery.score(counts, start_ns)

    def _begin_recovery(self, verdict: Verdict, counts: Ints) -> None:
        self.alarmed, self.fired = verdict, counts.copy()
        self.recovery = self.recovery_of(verdict, counts)

    def recovery_of(self, verdict: Verdict, counts: Ints) -> Recovery | None:
        """What watches for the end of an alarm, where its kind has a way back."""
        if self.recipe.back is None or self.detector is None:
            return None
        learned = DesignLearner.from_bytes(self.recipe.layout, self.live).windows if self.live else None
        game = self.recipe.back(self.detector.bets, verdict.changes, counts, learned)
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
            if isinstance(self.detector.bets, Bets):  # the only ones whose memory is kept by field
                self.detector.take_over(other.detector, names)
            self.unsaved = True

    @property
    def latched(self) -> bool:
        """Whether its alarm stands."""
        return self.detector is not None and self.detector.alarm

    @property
    def stands(self) -> bool:
        """Whether its alarm stands and what it named has not come back."""
        return self.latched and not (self.recovery is not None and self.recovery.recovered)

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

    def latch(self) -> bool:
        """Raise no other alarm until it is cleared; false while it learns, when none can be raised."""
        if self.detector is None:
            return False
        self.detector.alarm = self.unsaved = True
        return True

    def end_run(self) -> Run:
        """The run that led to an alarm; a new one begins."""
        ended, self.run = self.run, Run()
        return ended

    def clear(self) -> None:
        """End a latched alarm; evidence starts from nothing."""
        self.unsaved = True
        self.run = Run()
        self.alarmed = self.fired = self.recovery = None
        if self.detector is not None:
            self.detector.clear()


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
    head = {
        "scores": watch.detector is not None,
        "run": astuple(watch.run),
        "last": _plain(watch.last),
        "alarmed": _plain(watch.alarmed),
        # Left out where there is nothing to tell, as by versions that never held.
        **({"held": watch.held} if watch.held else {}),
    }
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
        _restore_recovery(watch, watch.alarmed, recovery)
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


def _restore_recovery(watch: SlotWatcher, alarmed: Verdict, recovery: bytes) -> None:
    assert watch.fired is not None, "it is kept with the alarm"
    fresh = watch.recovery_of(alarmed, watch.fired)
    watch.recovery = fresh if fresh is None or not recovery else Recovery.from_bytes(fresh.game, recovery)


def _plain(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else asdict(verdict)


def _verdict(data: dict[str, Any] | None) -> Verdict | None:
    if data is None:
        return None
    return Verdict(**(data | {"changes": tuple(Change(**change) for change in data["changes"])}))
