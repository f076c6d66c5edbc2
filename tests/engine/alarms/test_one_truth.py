"""List, latches, exposition and read API say the same of alarms, whatever is unknown, and over restarts and crashes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import xxhash
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.engine.conftest import KEY, SECOND, START, Journal, baseline, configuration, labels, rows

from calidris import semconv
from calidris.api.json_shapes import alarms_json, readings_json, status_json
from calidris.baseline import Baseline
from calidris.config import ExportConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.thresholds import ThresholdWatcher
from calidris.engine.panes.pane import Window
from calidris.engine.readings import window_families
from calidris.export import points
from calidris.metrics.base import Reading, Status

BASE = baseline()
MEASURED = "ml.performance.measure"
LIMITS = [
    {"figure": "ml.drift.score", "attributes": {"ml.feature.name": "age", "ml.drift.measure": "psi"}, "above": 0.5},
    {"figure": "ml.drift.score", "attributes": {"ml.drift.measure": "psi_debiased"}, "above": 0.3, "windows": 2},
    {"figure": "ml.performance.score", "attributes": {MEASURED: "accuracy"}, "below": 0.9, "windows": 2},
    {"figure": "ml.window.rows", "below": 90, "window": "10s"},
]
CONFIG = configuration(
    detect={"windows": ["1s"], "false_alarms": "1 per day", "thresholds": LIMITS, "clear_recovered": True}
)


def unknown_by(share: int) -> Any:
    """The figures of a window without some of their values: which ones is decided by the window's own rows, so a replay agrees."""

    def families(
        config: ModelConfig, base: Baseline | None, window: Window, window_s: float
    ) -> Mapping[str, Iterator[Reading]]:
        seed = xxhash.xxh32_intdigest(window.counts.array.tobytes())

        def lost(figures: Iterator[Reading]) -> Iterator[Reading]:
            for number, figure in enumerate(figures):
                hidden = xxhash.xxh32_intdigest(bytes([number % 251]), seed) % 4 < share
                yield figure.marked(Status.TOO_FEW) if hidden else figure

        return {name: lost(figures) for name, figures in window_families(config, base, window, window_s).items()}

    return families


class OneTruth(RuleBasedStateMachine):
    """Windows of traffic, decisions, restarts, and crashes that lose all since the last checkpoint but the journal."""

    @initialize(share=st.integers(0, 4))
    def begin(self, share: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.hidden = mock.patch("calidris.engine.detectors.watcher.window_families", unknown_by(share))
        self.hidden.start()
        self.journal, self.windows = Journal(), 0
        self.open()

    def open(self) -> None:
        """The engine as the last checkpoint left it."""
        self.store = Store(Path(self.folder.name))
        self.checkpoint = Checkpoint(self.store)
        self.engine = Engine(CONFIG, lambda *_: (BASE, ""), self.checkpoint)
        self.checkpoint.restore(self.engine)

    @rule(
        shift=st.sampled_from([0.0, 9.0]),
        n=st.sampled_from([5, 100]),
        labelled=st.booleans(),
        windows=st.integers(1, 4),
    )
    def live(self, shift: float, n: int, labelled: bool, windows: int) -> None:
        """Some windows of rows, and a seal after each."""
        for _ in range(windows):
            begin_ns = START + self.windows * SECOND
            batch = rows(100 + self.windows, n, begin_ns, shift=shift)
            self.engine.apply(self.journal.request(batch, arrival_ns=begin_ns))
            if labelled:
                known = labels(batch, self.windows, delay_s=0.1)
                self.engine.apply(self.journal.request(known, arrival_ns=begin_ns))
            self.windows += 1
            self.engine.apply(self.journal.seal(begin_ns + SECOND))

    @rule(which=st.integers(1, 6), action=st.sampled_from(["ack", "clear"]))
    def decide(self, which: int, action: str) -> None:
        """Somebody's order about an alarm that may be there."""
        self.engine.apply(self.journal.order(Command(which, action, "ada", "known", START)))

    @rule()
    def save(self) -> None:
        """A checkpoint, as there is one every few seconds."""
        self.checkpoint.save(self.engine)

    @rule(saved=st.booleans())
    def restart(self, saved: bool) -> None:
        """A new process: after a last checkpoint, or after a kill -9, when the journal tells the rest."""
        if saved:
            self.save()
        before = alarms_json(snapshot(self.engine, 0))
        self.store.close()
        self.open()
        for record in self.journal.records:
            self.engine.apply(record)
        assert alarms_json(snapshot(self.engine, 0)) == before

    @invariant()
    def all_say_the_same(self) -> None:
        taken = snapshot(self.engine, 0)
        listed = {(a["window"], a["kind"]) for a in alarms_json(taken) if a["latched"]}
        told = status_json(taken, ready=True, health={})
        assert {(a["window"], a["kind"]) for a in told["alarms"]} == listed
        assert not self.engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name]
        if not taken.models:
            return
        (model,) = taken.models
        assert sum(len(one["latched"]) for one in told["models"]) == len(told["alarms"])
        found = [p for p in points(taken, ExportConfig()) if p.metric is semconv.METRIC_ML_DETECTION_ALARM]
        exposed = {(p.attributes["ml.window"], p.attributes["ml.detection.kind"]) for p in found if p.value}
        assert exposed == listed
        figures = [r for r in readings_json(model) if r["metric"] == "ml.detection.alarm" and r["value"]]
        assert {(r["window"], r["attributes"]["ml.detection.kind"]) for r in figures} == listed
        self.latches_are_the_list()

    def latches_are_the_list(self) -> None:
        watcher = self.engine.watchers[KEY]
        standing = [watcher.latch_of(alarm) for alarm in self.engine.book.standing()]
        assert None not in standing
        # A detector has its first alarm, until that is cleared, and one for each renewal of it.
        firsts = [latch for latch in watcher.latches() if latch.latched and not _only_renewed(latch)]
        renewals = [new.number for watch in watcher.slots.values() for new in watch.renewals]
        assert len(standing) == len(firsts) + len(renewals) and set(renewals) <= self.engine.latched
        assert {id(latch) for latch in watcher.latches() if latch.latched} == {id(latch) for latch in standing}

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.hidden.stop()
            self.store.close()
            self.folder.cleanup()


def _only_renewed(latch: SlotWatcher | ThresholdWatcher) -> bool:
    """Whether the first of its alarms was cleared and only renewals of it stand."""
    return isinstance(latch, SlotWatcher) and bool(latch.renewals) and latch.alarmed is None


OneTruth.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestOneTruth = OneTruth.TestCase
