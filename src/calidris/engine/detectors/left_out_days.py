"""A replay of a baseline's own days: each is left out of the baseline, and its windows are scored against what remains.

Nothing changed in a baseline, so that every alarm of the replay is a false one, of the kind that a day like it would raise again. A day
that takes part in its own reference says little: it widens what is usual (leave-one-out cross-validation, Stone 1974).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np

from calidris.baseline import Baseline
from calidris.baseline.replayed import Replayed
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Alert, Game, Slot
from calidris.detect.calendar import Calendar
from calidris.detect.evidence.windows import Carry
from calidris.engine.detectors.budgets import budget_of
from calidris.engine.detectors.label_recipes import label_recipe
from calidris.engine.detectors.recipes import Recipe, recipe
from calidris.engine.detectors.replayed_evidence import LaidBets, ReplayedEvidence

FEWEST_DAYS = 7
"""With fewer whole days a baseline without one of them is another baseline."""
FEWEST_REPLAYED = 3
"""Fewer days are no sample of days: what would take too long is left alone."""
PLAYS = 20_000
"""Windows that the bets of one detector are laid on, over all days: it bounds the time, and is the same on every machine."""

Tell = Callable[[str], None]
"""Is told what is being done, day by day."""

_FROM_LABELS = frozenset(
    {
        Alert.LABELS,
        Alert.PERFORMANCE,
        Alert.CALIBRATION,
        Alert.FAIRNESS,
    }
)
_OWN_PAST = "decayed"


def replay_left_out_days(
    baseline: Baseline,
    config: ModelConfig,
    tell: Tell,
) -> tuple[Replayed, ...]:
    """Replay the baseline's days against each detector that it can feed at once.

    Guarantee: none; it is a measurement, on the only data that are at hand. Days are taken evenly where all of them would take too long;
    a detector of which not even three days can be afforded (windows of minutes over weeks) is left alone.

    Args:
        baseline: with windows, and labels where there are any.
        config: the user's settings of the model: its windows, its budget, its clock.
        tell: is told how far it is.

    Cost: ``PLAYS`` windows are scored for each detector, at both levels of evidence: 53 s of one processor for all seven of a model with
    ten features and four weeks of hours; it grows with the features.
    """
    budget = budget_of(config)
    found = []
    for slot in budget.slots:
        made = _find_recipe(slot, config, baseline)
        if made is None:
            continue
        replay = _Replay(made, config, baseline)
        if replay.is_possible:
            threshold = budget.threshold(slot)
            found.append(replay.run(threshold, tell))
    return tuple(found)


def _find_recipe(
    slot: Slot,
    config: ModelConfig,
    baseline: Baseline,
) -> Recipe | None:
    """None where the baseline has nothing that the detector could be fed with."""
    # The other version is not in the baseline, and the day before is no reference of it.
    if slot.kind is Alert.VERSIONS or slot.reference == _OWN_PAST:
        return None
    by_labels = slot.kind in _FROM_LABELS
    make = label_recipe if by_labels else recipe
    made = make(slot, config, baseline)
    if made is None or made.spread is None:
        return None
    return made


class _Replay:
    """The replay of one detector."""

    def __init__(
        self,
        made: Recipe,
        config: ModelConfig,
        baseline: Baseline,
    ) -> None:
        assert made.spread is not None, "there is nothing to replay"
        self._made = made
        self._config = config
        self._baseline = baseline
        self._windows = made.spread
        window_s = made.slot.window_s
        self._starts = baseline.starts_of(window_s)
        self._calendar = Calendar(config.timezone)
        self._days = self._calendar.days(self._starts)

    @cached_property
    def _whole(self) -> Ints:
        """Days that have at least half of the windows of the fullest one."""
        days, size = np.unique(self._days, return_counts=True)
        fullest = size.max(initial=0)
        whole: Ints = days[2 * size >= fullest]
        return whole

    @property
    def _affordable(self) -> int:
        """How many days there is time for."""
        # Without a day the bets are laid on all other windows twice, for what they must give away.
        a_day = 2 * len(self._windows)
        return PLAYS // a_day

    @property
    def is_possible(self) -> bool:
        """Whether there are days enough, and time for some of them."""
        if len(self._whole) < FEWEST_DAYS:
            return False
        return self._affordable >= FEWEST_REPLAYED

    def run(self, threshold: float, tell: Tell) -> Replayed:
        """Every chosen day, in their order: evidence goes on from one to the next."""
        kind = self._made.slot.kind.value
        chosen = self._choose_days()
        game = self._made.game(self._windows, self._made.days)
        evidence = ReplayedEvidence(game, threshold)
        for n, day in enumerate(chosen.tolist(), 1):
            tell(f"replaying {kind}, day {n} of {len(chosen)}, of")
            self._play_day(day, evidence)
        return self._sum_up(len(chosen), evidence)

    def _choose_days(self) -> Ints:
        """As many days as there is time for, evenly spread."""
        last = len(self._whole) - 1
        many = min(self._affordable, last + 1)
        places = np.linspace(0, last, many).round()
        chosen: Ints = self._whole[places.astype(np.int64)]
        return chosen

    def _play_day(self, day: int, evidence: ReplayedEvidence) -> None:
        """Score one day's windows against the others."""
        game = self._lay_without(day)
        if game is None:
            return
        laid = LaidBets(evidence.game, game)
        for counts, stratum in self._feed(day, game):
            evidence.take(laid, counts, stratum, day)

    def _lay_without(self, day: int) -> Game | None:
        """The bets of a baseline that never saw the day."""
        starts = self._baseline.window_starts
        gone = self._calendar.days(starts) == day
        without = self._baseline.leave_out(gone)
        slot = self._made.slot
        made = _find_recipe(slot, self._config, without)
        if made is None:
            return None
        return made.game(made.spread, made.days)

    def _feed(self, day: int, game: Game) -> Iterator[tuple[Ints, int]]:
        """The day's windows with their strata, small ones merged as a detector does."""
        least = self._config.detect.minimum_rows
        carry = Carry(self._made.layout, least)
        mine = np.nonzero(self._days == day)[0]
        for place in mine.tolist():
            start_ns = int(self._starts[place])
            stratum = game.stratum(start_ns)
            counts = carry.add(self._windows[place], stratum)
            if counts is not None:
                yield counts, stratum

    def _sum_up(self, days: int, evidence: ReplayedEvidence) -> Replayed:
        slot = self._made.slot
        named = evidence.named.most_common()
        return Replayed(
            kind=slot.kind.value,
            window=window_name(slot.window_s),
            reference=slot.reference,
            alarms=len(evidence.dates),
            days=days,
            of_days=len(self._whole),
            windows=evidence.windows,
            highest=round(evidence.highest, 3),
            features=tuple(named),
            dates=tuple(evidence.dates),
        )
