"""A model whose rows come in jobs: its windows close at the end of a job alone, in whatever order its rows came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, labels, rows

from calidris.baseline import Baseline
from calidris.batch import CodedColumn, ModelKey, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.arrival import Jobs
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.columns import rows_of
from calidris.engine.core import Engine
from calidris.engine.inbox import Received

Restart = Callable[[Engine], Engine]
HOUR = 3600 * SECOND
DAY = 24 * HOUR
WEEK = 7 * DAY
LIVE = ModelKey("default", "live", "1")
JOB_S = 60


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


class JobJournal(Journal):
    """Seals of one model too."""

    def seal_job(self, until_ns: int, key: ModelKey = KEY) -> Received:
        seq = len(self.records) + 1
        return self._keep(Received(seq, until_ns, key.tenant, b"", 0, None, until_ns, lambda: None, seal_model=key))

    def job(self, batch: PredictionBatch, order: int, parts: int = 10) -> None:
        places = np.random.default_rng(order).permutation(len(batch)) if order else np.arange(len(batch))
        for part in np.array_split(places, parts):
            self.request(rows_of(batch, part))


def job(seed: int, start_ns: int = START) -> PredictionBatch:
    return rows(seed, 40 * JOB_S, start_ns, span_s=JOB_S)


def fed(engine: Engine, journal: Journal) -> Engine:
    for record in journal.records:
        engine.apply(record)
    return engine


def of_windows(engine: Engine) -> list[Any]:
    return list(engine.watchers[KEY].history)


@pytest.mark.parametrize("order", [1, 2])
def test_the_order_of_a_job_does_not_matter(make_engine: MakeEngine, base: Baseline, order: int) -> None:
    told = []
    for seed in (0, order):
        journal = JobJournal()
        journal.job(job(5), seed)
        journal.seal(START + DAY)  # the clock is far ahead, and closes nothing of it
        journal.seal_job(START + JOB_S * SECOND)
        engine = fed(make_engine(configuration(arrival="batch"), base), journal)
        assert engine.models[KEY].late == 0
        told.append((of_windows(engine), [a.raised_ns for a in engine.alarms]))
    assert told[0] == told[1]
    assert sum(point.rows for point in told[0][0] if point.window == "1s") == 40 * JOB_S


def test_requests_of_a_job_that_are_counted_together_leave_what_one_by_one_leaves(
    make_engine: MakeEngine, base: Baseline
) -> None:
    journal = JobJournal()
    for seed in range(30):
        batch = rows(seed, 9, START + seed % 3 * SECOND, span_s=4.5)
        names = CodedColumn.of([f"unseen {(seed * row) % 50}" for row in range(9)])
        traces = CodedColumn.of([f"{seed}-{row // 2}" for row in range(9)])
        journal.request(replace(batch, features={**batch.features, "country": names}, trace_ids=traces))
        if seed == 20:
            journal.seal_job(START + 2 * SECOND)
    plain, together = (make_engine(configuration(arrival="batch"), base) for _ in range(2))
    counted: list[int] = []
    add = together._add_predictions
    together._add_predictions = lambda batch, *rest: (counted.append(len(batch)), add(batch, *rest))[1]  # type: ignore[method-assign]
    for record in journal.records:
        plain.apply(record)
        together.gather(record)
    together.settle()
    assert counted == [9, 20 * 9, 9 * 9], "the first one is what the model becomes known by"
    assert digest(plain) == digest(together) and plain.models[KEY].late == together.models[KEY].late > 0


def test_rows_with_the_id_of_a_batch_need_no_setting(make_engine: MakeEngine, base: Baseline) -> None:
    journal = JobJournal()
    journal.seal(START + DAY)
    journal.job(replace(job(5), batch_id="monday"), 3)
    journal.seal(START + 2 * DAY)
    journal.seal_job(START + JOB_S * SECOND)
    engine = fed(make_engine(base=base), journal)
    assert (engine.models[KEY].late, engine.models[KEY].newest_sealed_ns) == (0, START + JOB_S * SECOND)
    assert not fed(make_engine(base=base), _without_ids(journal)).watchers[KEY].history


def test_one_stray_id_takes_no_live_version_from_the_clock(make_engine: MakeEngine, base: Baseline) -> None:
    """Else one span of whoever may send would stop the windows of a model, and nothing would be scored in time."""
    journal = Journal()
    for k in range(4):
        now_ns = START + DAY + k * SECOND
        live = rows(50 + k, 40, now_ns)
        journal.request(replace(live, batch_id="stray") if k == 1 else live, arrival_ns=now_ns)
        journal.seal(now_ns + SECOND)
    engine = fed(make_engine(base=base), journal)
    assert not engine.models[KEY].is_batch
    assert engine.models[KEY].newest_sealed_ns == START + DAY + 4 * SECOND


def test_a_model_that_is_said_to_be_live_is_so_whatever_its_first_rows_carry(
    make_engine: MakeEngine, base: Baseline
) -> None:
    journal = Journal()
    journal.request(replace(rows(50, 40, START + DAY), batch_id="stray"), arrival_ns=START + DAY)
    journal.seal(START + DAY + SECOND)
    engine = fed(make_engine(configuration(arrival="live"), base), journal)
    assert not engine.models[KEY].is_batch
    assert engine.models[KEY].newest_sealed_ns == START + DAY + SECOND


def _without_ids(journal: Journal) -> Journal:
    plain = [
        r
        if r.decoded is None
        else replace(r, decoded=replace(r.decoded, items=tuple(_plain(i) for i in r.decoded.items)))
        for r in journal.records
    ]
    return Journal(plain)


def _plain(item: Any) -> Any:
    return replace(item, batch_id=None)


def test_a_seal_of_one_model_leaves_the_others_alone(make_engine: MakeEngine, base: Baseline) -> None:
    live, beside = JobJournal(), JobJournal()
    for journal in (live, beside):
        if journal is beside:
            journal.job(job(5), 4)
        for k in range(20):
            journal.request(rows(50 + k, 40, START + DAY + k * SECOND, key=LIVE), arrival_ns=START + DAY)
            if journal is beside and k in (7, 9):
                journal.seal_job(START + (30 + 30 * (k > 7)) * SECOND)
            journal.seal(START + DAY + (k + 1) * SECOND)
        journal.seal_job(START + 99 * DAY, LIVE)  # one that is live by today's settings: nothing
    (batch,) = configuration(arrival="batch").models
    both = CalidrisConfig(models=(batch, batch.model_copy(update={"name": "live", "arrival": "live"})))
    engines = [fed(make_engine(both, base), journal) for journal in (live, beside)]
    first, second = ([p for p in e.watchers[LIVE].history] for e in engines)
    assert first == second and len(first) > 15
    assert engines[1].models[KEY].newest_sealed_ns == START + JOB_S * SECOND
    assert engines[1].models[LIVE].sealed_ns == engines[1].sealed_ns == START + DAY + 20 * SECOND


@pytest.mark.parametrize("cut", [1, 6, 11, 12, 13, 24])
def test_a_restart_anywhere_changes_nothing(
    make_engine: MakeEngine, base: Baseline, restart: Restart, cut: int
) -> None:
    journal = JobJournal()
    journal.job(job(5), 4)
    journal.seal(START + DAY)
    journal.seal_job(START + 30 * SECOND)
    journal.seal_job(START + JOB_S * SECOND)
    journal.job(job(6, START + DAY), 4)
    journal.request(rows(7, 20, START))  # late
    journal.seal_job(START + DAY + JOB_S * SECOND)
    made = make_engine(configuration(arrival="batch"), base)
    whole = fed(make_engine(configuration(arrival="batch"), base), journal)
    for record in journal.records[:cut]:
        made.apply(record)
    again = restart(made)
    for record in journal.records[cut:]:
        again.apply(record)
    assert digest(again) == digest(whole)
    model = again.models[KEY]
    assert (model.late, model.jobs.advances_ns, model.is_batch) == (20, whole.models[KEY].jobs.advances_ns, True)
    assert DAY - SECOND < model.jobs.cadence_ns < DAY + SECOND


def test_settings_may_change_either_way(make_engine: MakeEngine, base: Baseline, restart: Restart) -> None:
    journal = JobJournal()
    journal.job(job(5), 0)
    journal.seal(START + JOB_S * SECOND)
    live = fed(make_engine(base=base), journal)
    scored = len(of_windows(live))
    live.config = configuration(arrival="batch")
    batch = restart(live)
    assert batch.models[KEY].sealed_ns == START + JOB_S * SECOND, "what the clock closed stays closed"
    journal.job(job(6, START + DAY), 4)
    for record in journal.records[-10:]:
        batch.apply(record)
    batch.seal(START + 2 * DAY)
    assert len(of_windows(batch)) == scored
    batch.config = configuration()
    again = restart(batch)
    again.seal(START + 3 * DAY)
    assert len(of_windows(again)) > scored and again.models[KEY].late == 0


def test_a_batch_model_is_not_stale_between_its_nights_and_is_after_three(
    make_engine: MakeEngine, base: Baseline
) -> None:
    engine = make_engine(configuration(arrival="batch"), base)
    journal = JobJournal()

    def state() -> str:
        for record in journal.records[engine.sequence :]:
            engine.apply(record)
        (model,) = snapshot(engine, START).models
        return model.status.value

    journal.seal(START)
    journal.job(job(5), 4)
    assert state() == "partial"
    journal.seal(START + DAY)
    journal.seal_job(START + JOB_S * SECOND)
    assert state() == "ok"
    journal.seal(START + 2 * WEEK)
    assert state() == "ok", "nobody knows yet how often its jobs come"
    journal.job(job(6, START + DAY), 4)
    journal.seal_job(START + DAY + JOB_S * SECOND)
    journal.seal(START + 2 * WEEK + 2 * DAY)
    assert state() == "ok" and not list(engine.silent())
    journal.seal(START + 2 * WEEK + 3 * DAY + SECOND)
    assert state() == "stale" and list(engine.silent()) == [KEY]


def test_labels_that_come_with_a_job_are_scored_when_later_rows_are_as_much_newer(
    make_engine: MakeEngine, base: Baseline
) -> None:
    journal, config = JobJournal(), configuration(arrival="batch")
    for k in range(2):
        batch = job(5 + k, START + k * 2 * DAY)
        journal.job(batch, 4)
        journal.request(labels(batch, k))
        journal.seal(START + 9 * DAY)
        journal.seal_job(START + k * 2 * DAY + JOB_S * SECOND)
    engine = fed(make_engine(config, base), journal)
    fed_with_labels = [w for s, w in engine.watchers[KEY].slots.items() if w.recipe.age_s]
    assert fed_with_labels and engine.models[KEY].labels == 2 * 40 * JOB_S


@pytest.mark.parametrize(
    ("advances", "newest", "now", "until"),
    [
        ([], 6 * HOUR - 1, DAY - 1, 6 * HOUR),  # a night, before midnight: the day is not over
        ([], 6 * HOUR - 1, DAY + HOUR, DAY),
        ([], DAY - 1, DAY + HOUR, DAY),
        ([DAY], 6 * HOUR - 1, DAY + HOUR, DAY),
        ([HOUR], 6 * HOUR - 1, DAY + HOUR, 6 * HOUR),  # hourly jobs share the day
        ([HOUR // 12], 6 * HOUR - 1, DAY + HOUR, 5 * HOUR),  # and jobs of five minutes the hour
        ([1, DAY], 6 * HOUR - 1, DAY + HOUR, DAY),  # a few rows after a pause were a job too
        ([18 * HOUR], 6 * HOUR - 1, DAY + HOUR, DAY),
    ],
)
def test_what_the_end_of_a_job_closes(advances: list[int], newest: int, now: int, until: int) -> None:
    found = Jobs(advances_ns=advances).closes_ns(newest, HOUR, [HOUR, DAY], now)
    assert found == until


def test_how_often_jobs_come_is_learned_from_their_newest_rows() -> None:
    jobs = Jobs()
    for at in (DAY, DAY, DAY - HOUR, 2 * DAY, 2 * DAY + SECOND, 3 * DAY):
        jobs.end(at)
    assert jobs.advances_ns == [DAY, SECOND, DAY - SECOND] and jobs.cadence_ns == DAY
    for k in range(4):
        jobs.end(4 * DAY + k * HOUR)
    assert jobs.cadence_ns == DAY
    jobs.end(4 * DAY + 4 * HOUR)
    assert jobs.cadence_ns == HOUR and Jobs.from_json(jobs.to_json()) == jobs
