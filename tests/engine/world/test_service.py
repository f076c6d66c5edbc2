"""Errors and latency of a new version are held against what the version before it has shown, from its first window on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, configuration, labels, rows

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.detect import Alert, Slot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.state import Spec

ERRORS, LATENCY = Slot(Alert.ERRORS, 1.0), Slot(Alert.LATENCY, 1.0)


def trained() -> Baseline:
    """A baseline of training rows: neither durations nor errors, so that both are learned live."""
    batch = replace(rows(1, 6000, span_s=60.0), duration_s=None)
    return build(BaselineColumns(batch, labels(batch, 2).label, True), Spec(task="binary", positive="1"), window_s=1.0)


BASE = trained()
LEARN = 30
"""Windows that are learned: the fewest."""


def settings() -> CalidrisConfig:
    others = ("drift", "performance", "calibration", "fairness", "versions")
    shares = {"errors": 0.5, "latency": 0.5, **dict.fromkeys(others, 0.0)}
    return configuration(detect={"windows": ["1s"], "false_alarms": "1 per day", "learn": "30s", "shares": shares})


def called(second: int, version: str, failed: float, slower: float = 1.0, n: int = 400) -> PredictionBatch:
    """Calls of a second, of which a share fails and that take so much longer."""
    key: ModelKey = KEY._replace(version=version)
    batch = rows(second, n, START + second * SECOND, span_s=0.9, key=key)
    rng = np.random.default_rng(second + 1)
    errors = CodedColumn(("Timeout",), np.where(rng.random(n) < failed, 0, -1).astype(np.int32))
    return replace(batch, error=errors, duration_s=NumberColumn.of(rng.lognormal(-4.0, 0.5, n) * slower))


def run(engine: Engine, journal: Journal, second: int, *batches: PredictionBatch) -> None:
    for batch in batches:
        engine.apply(journal.request(batch))
    engine.apply(journal.seal(START + (second + 1) * SECOND))


def windows_to(engine: Engine, journal: Journal, kind: str, failed: float, slower: float) -> int | None:
    """Windows of new versions, one every ten, until an alarm of the kind; None where none comes in a hundred."""
    for n in range(100):
        second = LEARN + 5 + n
        run(engine, journal, second, called(second, f"{8 + n // 10}", failed, slower))
        if any(alarm.kind == kind for alarm in engine.alarms):
            return n + 1
    return None


@pytest.mark.parametrize(
    ("kind", "failed", "slower", "most"), [("errors", 0.08, 1.0, 40), ("latency", 0.04, 1.3, 6), ("errors", 0.04, 1.0, None)]
)  # fmt: skip
def test_a_new_version_is_held_against_the_one_before(
    make_engine: MakeEngine, kind: str, failed: float, slower: float, most: int | None
) -> None:
    """Version 7 shows 4 %; from 8 on there is a version every ten windows: none lives as long as it would have to learn."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    assert engine.watchers[KEY].slots[ERRORS].detector is not None
    found = windows_to(engine, journal, kind, failed, slower)
    if most is None:
        assert found is None and not engine.alarms
    else:
        assert found is not None and found <= most
        (alarm,) = [alarm for alarm in engine.alarms if alarm.kind == kind]
        assert alarm.model.version == str(8 + (found - 1) // 10) and not alarm.shared


def test_a_bad_first_day_is_no_baseline(make_engine: MakeEngine) -> None:
    """What version 8 is from its first window on, half of its calls failing, is never taken for ordinary."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    run(engine, journal, LEARN + 5, called(LEARN + 5, "8", 0.5))
    new = engine.watchers[KEY._replace(version="8")].slots[ERRORS]
    assert new.learner is None and new.live == engine.watchers[KEY].slots[ERRORS].live
    assert new.last is not None and new.last.evidence > engine.watchers[KEY].slots[ERRORS].last.evidence  # type: ignore[union-attr]


def test_what_is_half_learned_is_learned_on(make_engine: MakeEngine) -> None:
    """A version a few windows long: the next one learns on where it ended, so that the learning ends at all."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    for second in range(LEARN):
        run(engine, journal, second, called(second, str(second // 4), 0.04))
    newest = engine.watchers[KEY._replace(version=str((LEARN - 1) // 4))]
    assert newest.slots[ERRORS].detector is not None and newest.slots[LATENCY].detector is not None


def test_evidence_goes_on_and_an_alarm_stays_with_its_version(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    second = 0
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    while not engine.latched:
        second += 1
        run(engine, journal, second, called(second, "7", 0.3))
    engine.apply(journal.request(called(second + 1, "8", 0.04)))
    old, new = (engine.watchers[KEY._replace(version=v)].slots[ERRORS] for v in "78")
    assert old.latched and not new.latched and new.alarmed is None
    assert new.detector is not None and old.detector is not None
    assert new.detector._log_r.tobytes() == old.detector._log_r.tobytes()
    assert [alarm.model.version for alarm in engine.alarms] == ["7"]


def test_a_shadow_is_not_what_a_new_version_is_held_against(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    for second in range(LEARN + 5):
        shadow = replace(called(second, "shadow", 0.9), role="shadow")
        run(engine, journal, second, called(second, "7", 0.04), shadow)
    engine.apply(journal.request(called(LEARN + 5, "8", 0.04)))
    old, new = (engine.watchers[KEY._replace(version=v)].slots[ERRORS] for v in "78")
    assert new.live == old.live != b""


def test_a_replay_gives_the_same_bits(make_engine: MakeEngine) -> None:
    journal, engine, again = Journal(), make_engine(settings(), BASE), make_engine(settings(), BASE)
    for second in range(LEARN + 12):
        run(engine, journal, second, called(second, str(second // 9), 0.04))
    for record in journal.records:
        again.gather(record)
    again.settle()
    assert digest(again) == digest(engine)
