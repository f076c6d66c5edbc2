"""The sentence beside a status says the true cause, and a cure only where it is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, rows

from calidris.batch import ModelKey, PredictionBatch
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.standing.reasons import missing_spread
from calidris.metrics.base import Status


def told(engine: Engine) -> tuple[Status, str]:
    (model,) = snapshot(engine, START).models
    return model.status, model.status_detail


def fed(engine: Engine, *batches: PredictionBatch, seals: int = 1) -> Engine:
    """Each batch, then a seal a second later."""
    journal = Journal()
    for n, batch in enumerate(batches, 1):
        engine.apply(journal.request(batch))
        if seals:
            engine.apply(journal.seal(START + n * SECOND))
    return engine


def test_few_windows_are_not_called_a_lack_of_time_order(make_engine: MakeEngine) -> None:
    state, said = told(fed(make_engine(base=baseline(windows=12)), rows(3, 50)))
    assert state is Status.LEARNING
    assert (
        "the baseline has 12 windows of 1s, 30 are needed" in said and "time order" not in said and "--time" not in said
    )
    assert "1 of " in said


def test_no_times_are_called_so_with_their_cure(make_engine: MakeEngine) -> None:
    _, said = told(fed(make_engine(base=baseline(timed=False)), rows(3, 50)))
    assert "no time order" in said and "`calidris baseline build --time COLUMN` makes this unnecessary" in said


def test_longer_windows_may_lack_what_shorter_ones_have(make_engine: MakeEngine) -> None:
    config = configuration(detect={"windows": ["1s", "10s"], "false_alarms": "1 per day"})
    state, said = told(fed(make_engine(config, baseline(windows=60)), rows(3, 50)))
    assert state is Status.LEARNING
    assert "the baseline has 6 windows of 10s, 30 are needed" in said or "7 windows of 10s" in said
    assert "live 10s windows" in said and "(1s windows alarm already)" in said


def test_a_baseline_of_other_windows() -> None:
    cause, cure = missing_spread(baseline(windows=60), 1.5)
    assert cause == "the baseline was built for windows of 1s, which make none of 1500ms" and "again" not in cause
    assert "these settings" in cure


def test_what_kinds_still_learn_is_told_while_drift_is_ready(make_engine: MakeEngine) -> None:
    """The rows of this baseline have durations; those of most training tables have none."""
    made = baseline()
    state, said = told(fed(make_engine(base=made), rows(3, 50)))
    assert (state, said) == (Status.OK, "compared with its baseline")
    untimed = replace(made, window_labels=())
    state, said = told(fed(make_engine(base=untimed), rows(3, 50)))
    assert state is Status.OK and "not yet alarming" in said and "performance on 1s" in said


def test_rows_that_stopped_and_rows_of_old_times(make_engine: MakeEngine) -> None:
    engine = fed(make_engine(base=baseline()), rows(3, 50))
    later = START + 3600 * SECOND
    journal = Journal(engine_records(engine))
    engine.apply(journal.seal(later))
    state, said = told(engine)
    assert state is Status.STALE
    assert "no predictions for 3 windows of 1s: the newest is of 2027-01-15 08:00:0" in said and "still sends" in said
    engine.apply(journal.request(rows(4, 50), arrival_ns=later))
    engine.apply(journal.seal(later + SECOND))
    state, said = told(engine)
    assert state is Status.STALE and "predictions arrive" in said and "clock" in said and "no predictions" not in said


def engine_records(engine: Engine) -> list:  # type: ignore[type-arg]
    """As many records as the engine has applied, so that numbers go on."""
    return [None] * engine.sequence


def test_rows_that_only_ever_came_late(make_engine: MakeEngine) -> None:
    other = ModelKey("default", "stranger", "1")
    engine, journal = make_engine(base=baseline()), Journal()
    engine.apply(journal.request(rows(1, 5, key=other)))
    engine.apply(journal.seal(START + 2 * SECOND))
    engine.apply(journal.request(rows(3, 50)))
    mine = next(m for m in snapshot(engine, START).models if m.key == KEY)
    assert mine.status is Status.PARTIAL and "after their 1s windows were closed" in mine.status_detail
    assert "receiver.lateness" in mine.status_detail


def test_before_the_first_window_closes(make_engine: MakeEngine) -> None:
    state, said = told(fed(make_engine(base=baseline()), rows(3, 50), seals=0))
    assert (state, said) == (Status.PARTIAL, "the first window of 1s is not full yet")


def without(note: str) -> Engine:
    return Engine(configuration(), lambda key, config: (None, note))


def test_why_there_is_no_baseline_is_never_lost() -> None:
    note = "the baseline cannot be used: not a baseline file"
    engine = fed(without(note), rows(3, 50), seals=0)
    assert told(engine) == (Status.NO_BASELINE, f"{note}; no baseline; 50 of 500 rows towards a provisional one")
    engine.apply(Journal(engine_records(engine)).request(rows(4, 600)))
    assert told(engine)[1] == f"{note}; no baseline; a provisional one is learned when the next window closes"
    engine.apply(Journal(engine_records(engine)).seal(START + 5 * SECOND))
    state, said = told(engine)
    assert state is Status.PROVISIONAL and said.startswith(f"{note}; provisional baseline learned from the first")


def test_the_seal_of_somebody_elses_window_begins_no_baseline() -> None:
    """Else a burst would be divided: the first seal of all comes with the first rows, and closes no window of theirs."""
    engine, journal = without(""), Journal()
    engine.apply(journal.request(rows(3, 600)))
    engine.apply(journal.seal(START))  # what ended before the rows began
    engine.apply(journal.request(rows(4, 600)))
    waits = "no baseline; a provisional one is learned when the next window closes"
    assert told(engine) == (Status.NO_BASELINE, waits)
    engine.apply(journal.seal(START + SECOND))
    assert "provisional baseline learned from the first 1200 rows" in told(engine)[1]


def test_rows_with_nothing_to_learn_from() -> None:
    bare = PredictionBatch(KEY, START + np.arange(700, dtype=np.int64), {}, ids=[str(n) for n in range(700)])
    _, said = told(fed(without(""), bare, seals=0))
    assert said == (
        "no baseline; none of its 700 rows has a feature, score, class or value to learn a provisional one from"
    )


def test_a_sentence_that_changes_is_told_though_the_model_did_not(make_engine: MakeEngine) -> None:
    engine: Engine = fed(make_engine(base=baseline()), rows(3, 50), seals=0)
    before = snapshot(engine, START)
    engine.sealed_ns = START + 2 * SECOND
    (after,) = snapshot(engine, START, before).models
    assert after.status is before.models[0].status and after.status_detail != before.models[0].status_detail
