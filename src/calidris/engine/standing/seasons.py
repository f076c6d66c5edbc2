"""How far the reference of the hour of the week is: in words for people, and as a state for programs."""

from __future__ import annotations

from dataclasses import replace

from calidris.baseline import Baseline
from calidris.baseline.replayed import Replayed
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Alert, Slot
from calidris.detect.references import FEWEST_WEEKS, Season
from calidris.engine.detectors.budgets import slots_of
from calidris.engine.detectors.recipes import references_of
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.snapshot import SeasonStanding
from calidris.engine.standing.reasons import missing_spread

NAME = "hour_of_week"
NO_SEASON = Season(0, 0)


def seasons(watcher: Watcher) -> tuple[SeasonStanding, ...]:
    """Of a model version that is watched: one standing for each detector against the hour of the week; none where there is none."""
    slots = _hourly(watcher.config)
    return tuple(_standing(watcher, slot) for slot in slots)


def seasons_of(config: ModelConfig, baseline: Baseline) -> tuple[SeasonStanding, ...]:
    """Likewise of a baseline alone: where a receiver will begin."""
    slots = _hourly(config)
    return tuple(_beginning(config, baseline, slot) for slot in slots)


def _hourly(config: ModelConfig) -> list[Slot]:
    slots = slots_of(config)
    drift = [slot for slot in slots if slot.kind is Alert.DRIFT]
    return [slot for slot in drift if slot.reference == NAME]


def _standing(watcher: Watcher, slot: Slot) -> SeasonStanding:
    lacks = _find_lacks(watcher.baseline, slot)
    season = NO_SEASON
    watch = watcher.slots.get(slot)
    if watch is not None and watch.recipe.references is not None:
        season = watch.recipe.references.season
    told = _told(watcher.config, slot, season, lacks)
    return _measure(told, watcher.baseline)


def _beginning(config: ModelConfig, baseline: Baseline, slot: Slot) -> SeasonStanding:
    lacks = _find_lacks(baseline, slot)
    windows = baseline.windows_of(slot.window_s)
    if windows is None:
        return _told(config, slot, NO_SEASON, lacks)
    filled = references_of(slot, config, baseline, windows)
    told = _told(config, slot, filled.season, lacks)
    return _measure(told, baseline)


def _measure(told: SeasonStanding, baseline: Baseline | None) -> SeasonStanding:
    """With what the replay of the baseline's days said of it."""
    if baseline is None:
        return told
    for one in baseline.left_out:
        if one.reference == told.reference and one.window == told.window:
            return replace(told, measured=one)
    return told


def _find_lacks(baseline: Baseline | None, slot: Slot) -> str:
    """Why there can be no such detector; nothing where there can."""
    if baseline is None or baseline.provisional:
        return "there is no baseline to say which columns are watched"
    if baseline.windows_of(slot.window_s) is None:
        cause, cure = missing_spread(baseline, slot.window_s)
        return f"{cause}; {cure} is the cure"
    return ""


def _told(config: ModelConfig, slot: Slot, season: Season, lacks: str) -> SeasonStanding:
    return SeasonStanding(
        reference=NAME,
        window=window_name(slot.window_s),
        state=season.state,
        ready=season.ready,
        hours=season.seen,
        replaces=config.detect.replaced,
        lacks=lacks,
    )


def asleep(watcher: Watcher) -> str:
    """That nothing watches drift yet, because no hour of the week can be judged and nothing else is there; else nothing."""
    if not watcher.config.detect.replaced:
        return ""
    told = seasons(watcher)
    if any(one.ready for one in told):
        return ""
    said = map(describe, told)
    return "; ".join(said)


def describe(standing: SeasonStanding) -> str:
    """One sentence for people."""
    said = f"the reference {standing.reference} on {standing.window} windows {_how_far(standing)}"
    if not standing.replaces:
        return said
    return (
        f"{said}. It stands in place of the frozen baseline (`references`): it absorbs slow drift, and no proven bound says how often "
        f"it alarms without a change; {_tell_rate(standing.measured)}"
    )


def _tell_rate(measured: Replayed | None) -> str:
    """Its measured rate."""
    if measured is None or not measured.windows:
        return "what it does on the baseline's own days was not measured: build the baseline again, from three weeks and more"
    return (
        f"measured: {measured.alarms} alarms in {measured.windows} windows of {measured.days} days of the baseline, each left out of it "
        f"(at most {measured.at_most_per_year:.0f} a year with 95 % confidence)"
    )


def _how_far(standing: SeasonStanding) -> str:
    # What can never be comes before what is not yet.
    if standing.lacks:
        return f"sleeps: {standing.lacks}"
    hours = f"{standing.ready} of {standing.hours} hours of the week"
    if standing.state == "ready":
        return f"is ready: {hours} can be judged"
    needed = f"an hour is judged once it was seen in {FEWEST_WEEKS} weeks"
    if standing.state == "learning":
        return f"learns: {hours} can be judged so far, {needed}"
    return f"sleeps: no hour of the week can be judged yet, {needed}"
