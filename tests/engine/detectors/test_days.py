"""The days of a baseline's windows, and of windows that are learned live, reach the bets."""

from __future__ import annotations

import numpy as np

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Bets, Slot
from calidris.detect.levels import Level, game_of
from calidris.engine.detectors.recipes import recipe
from calidris.engine.detectors.slot import SlotWatcher, restore_slot, slot_bytes
from calidris.state import Spec

HOUR_NS = 3_600_000_000_000
SLOT = Slot(Alert.DRIFT, 3600.0)
CONFIG = ModelConfig(name="m", windows=("1h",))
DAYS, ROWS = 14, 100


def stormy(days: int = DAYS) -> PredictionBatch:
    """Hours of rows whose mean is moved for a whole day at a time."""
    rng = np.random.default_rng(0)
    hours = np.repeat(np.arange(days * 24), ROWS)
    moved = np.repeat(rng.normal(0.0, 0.3, days), 24 * ROWS)
    values = rng.normal(size=len(hours)) + moved
    times = (20_000 * 24 + hours) * HOUR_NS
    return PredictionBatch(ModelKey("default", "m", "1"), times, {"x": NumberColumn.of(values)})


def made(timed: bool) -> Baseline:
    return build(BaselineColumns(stormy(), timed=timed), Spec(), window_s=3600.0)


def watch(baseline: Baseline) -> SlotWatcher:
    found = recipe(SLOT, CONFIG, baseline)
    assert found is not None
    return SlotWatcher(found, CONFIG, 1000.0)


def bets_of(slot: SlotWatcher) -> Bets:
    assert slot.detector is not None
    strong, early = (game_of(slot.detector.bets, level) for level in Level)
    assert isinstance(strong, Bets) and isinstance(early, Bets) and early.days_depend == strong.days_depend
    return strong


def live(baseline: Baseline) -> list[tuple[int, Ints]]:
    rows = stormy()
    cells = baseline.spec.encode(rows)
    hour = rows.event_time_ns // HOUR_NS
    counts = []
    for start in np.unique(hour).tolist():
        window = np.bincount(cells[:, hour == start].ravel(), minlength=baseline.spec.cells)
        counts.append((start * HOUR_NS, window))
    return counts


def test_of_a_baseline_with_times() -> None:
    assert bets_of(watch(made(timed=True))).days_depend


def test_of_windows_that_are_learned_live() -> None:
    baseline = made(timed=False)
    slot = watch(baseline)
    for start_ns, window in live(baseline):
        if slot.detector is None:
            slot.take(window, start_ns)
    bets = bets_of(slot)
    assert bets.days_depend
    again = watch(baseline)
    restore_slot(again, slot_bytes(slot))
    np.testing.assert_array_equal(bets_of(again).tilts.effect, bets.tilts.effect)
