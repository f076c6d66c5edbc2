"""Labels that take the place of others: whatever comes in whatever order, what is counted is what the last word on each row says."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.conftest import KEY, SECOND, START, Journal

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, LabelBatch, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.model import WatchedModel
from calidris.labels.early import EarlyLabels
from calidris.state import Spec, class_names
from calidris.state.blocks.labelled import LabelStates

HOUR = 3600 * SECOND
STEP = 900 * SECOND
ROWS = 6
"""Of a batch of predictions: batch k is of the k-th quarter of an hour."""
BATCHES = 6
CLASSES = [f"class {i}" for i in range(3)]
RARE = ["rare", "unheard of"]
"""No baseline knew these classes: they are not kept apart."""
TASKS = ["binary", "multiclass", "regression"]
REVISED = semconv.METRIC_CALIDRIS_LABELS_REVISED.name
UNMATCHED = semconv.METRIC_CALIDRIS_LABELS_UNMATCHED.name
Said = tuple[str, str, int | None]
"""A label: whose, what, and when it became known."""


def predictions(task: str, seed: int, n: int = ROWS, start_ns: int = START) -> PredictionBatch:
    rng = np.random.default_rng(seed)
    rows = PredictionBatch(
        model=KEY,
        event_time_ns=start_ns + np.sort(rng.integers(0, STEP, n)),
        features={"x": NumberColumn.of(rng.normal(size=n))},
        ids=[f"{seed}/{i}" for i in range(n)],
        slices={"region": CodedColumn.of(rng.choice(["north", "south", None], n).tolist())},
        weight=NumberColumn.of(rng.choice([1.0, 0.5, 7.25], n)) if n == ROWS and seed > 2 else None,
    )
    if task == "regression":
        return replace(rows, value=NumberColumn.of(rng.normal(100, 20, n)))
    if task == "multiclass":
        names = CLASSES if n > 100 else [*CLASSES, *RARE]
        return replace(rows, decision=CodedColumn.of(rng.choice(names, n).tolist()))
    return replace(rows, score=NumberColumn.of(rng.random(n)))


def outcomes(task: str) -> list[str]:
    """What labels may say; of a regression also what is far beyond all that the baseline knew, and is clipped."""
    if task == "regression":
        return ["80.0", "101.5", "1e9"]
    return [*CLASSES[:2], *RARE] if task == "multiclass" else ["0", "1"]


def column(task: str, said: list[str]) -> Column:
    return NumberColumn.of([float(text) for text in said]) if task == "regression" else CodedColumn.of(said)


def request(task: str, said: list[Said]) -> LabelBatch:
    times = [START + 4 * HOUR if time is None else START + time * HOUR for _, _, time in said]
    untimed = np.array([time is None for _, _, time in said])
    ids, texts = [name for name, _, _ in said], [text for _, text, _ in said]
    return LabelBatch(
        "default", "credit", ids, column(task, texts), np.array(times), untimed=untimed if untimed.any() else None
    )


@cache
def base(task: str, seed: int = 1) -> Baseline:
    rows = predictions(task, 1000 + seed, 500)
    rng = np.random.default_rng(seed)
    label = column(task, rng.choice(outcomes(task)[:2], 500).tolist())
    return build(BaselineColumns(rows, label), Spec(task=task, positive="1"), window_s=900.0, slices=["region"])


def configured(task: str) -> CalidrisConfig:
    model = {
        "name": "credit",
        "task": task,
        "windows": ["15m", "1h"],
        "slices": ["region"],
        "detect": {"windows": ["15m"], "label_age": "1h"},
    }
    retention = {"steps": "1h", "hours": "4h", "days": "30d"}
    return CalidrisConfig.model_validate({"models": [model], "storage": {"retention": retention}})


def engine_of(task: str, base_of: Baseline | None = None) -> Engine:
    given = base_of or base(task)
    return Engine(configured(task), lambda *_: (given, ""))


@dataclass
class Truth:
    """What holds of each row in the end, by the rule alone: a dictionary, and one label after the other."""

    held: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # outcome, as of, time of the first
    waiting: dict[str, int] = field(default_factory=dict)  # arrival
    predicted: set[str] = field(default_factory=set)

    def predict(self, batch: PredictionBatch) -> None:
        self.predicted |= set(batch.ids or ())
        for name in batch.ids or ():
            self.waiting.pop(name, None)

    def label(self, said: list[Said], arrival_ns: int) -> None:
        first: dict[str, int] = {}
        for name, text, time in said:
            known = START + (4 if time is None else time) * HOUR
            as_of = arrival_ns if time is None else known
            began = first.setdefault(name, known)
            before = self.held.get(name)
            if before is None or as_of >= before[1]:
                self.held[name] = (text, as_of, began if before is None else before[2])
                if name not in self.predicted and (before is None or before[0] != text):
                    self.waiting[name] = arrival_ns

    def seal(self, until_ns: int) -> None:
        for name in [name for name, arrival in self.waiting.items() if arrival < until_ns - EarlyLabels().horizon_ns]:
            del self.waiting[name], self.held[name]

    def labels(self, task: str) -> LabelBatch:
        """One request with the last word on each row, as if it had been the first."""
        names = [name for name in self.held if name in self.predicted]
        times = np.array([self.held[name][2] for name in names], dtype=np.int64)
        return LabelBatch("default", "credit", names, column(task, [self.held[name][0] for name in names]), times)


def label_bytes(engine: Engine) -> dict[tuple[int, ...], bytes]:
    """The tables of labelled rows of each pane that has some."""
    (model,) = engine.models.values()
    return {tuple(key): pane.labels.to_bytes() for key, pane in model.panes.every() if pane.labels.count}


def total_of(engine: Engine) -> int:
    """Labels that have an outcome."""
    counted = sum(sum(engine.counters[name].values()) for name in (REVISED, UNMATCHED))
    return counted + sum(m.labels for m in engine.models.values()) + sum(map(len, engine.early.values()))


def smallest(engine: Engine) -> int:
    """The least of all sums that count rows."""
    (model,) = engine.models.values()
    tables = (table for _, pane in model.panes.every() for table in pane.labels.tables)
    return min((int(table.sums[:, 0].min(initial=0)) for table in tables), default=0)


names = st.builds("{}/{}".format, st.integers(0, BATCHES - 1), st.integers(0, ROWS - 1))
moments = st.none() | st.integers(1, 3)


def requests(task: str) -> st.SearchStrategy[list[Said]]:
    return st.lists(st.tuples(names, st.sampled_from(outcomes(task)), moments), min_size=1, max_size=12)


@contextmanager
def kept() -> Iterator[Callable[[Engine], Engine]]:
    """A directory to which an engine is saved, and from which it is brought back, again and again."""
    with tempfile.TemporaryDirectory() as path:
        store = Store(Path(path))

        def restart(engine: Engine) -> Engine:
            source = engine.fleet.closed.source
            (source if isinstance(source, Checkpoint) else Checkpoint(store)).save(engine)
            checkpoint = Checkpoint(store)
            back = Engine(engine.config, engine.fleet.find_baseline, checkpoint)
            checkpoint.restore(back)
            return back

        yield restart
        store.close()


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_order_of_anything_ends_at_the_last_word_on_each_row(task: str, data: st.DataObject) -> None:
    """Predictions, labels, revisions, repeats, labels that come first, roll-ups, restarts; against one label a row."""
    with kept() as restart:
        check_story(task, data, restart)


def check_story(task: str, data: st.DataObject, restart: Callable[[Engine], Engine]) -> None:
    batches = [predictions(task, k, start_ns=START + k * STEP) for k in range(BATCHES)]
    said = data.draw(st.lists(requests(task), max_size=12))
    acts: list[object] = [*batches, *said, *(("seal", hours) for hours in (1, 3, 6, 9, 30)), "restart", "restart"]
    order = data.draw(st.permutations(acts))
    journal, plain, truth, now = Journal(), Journal(), Truth(), START + 4 * HOUR
    engine, once, twin = engine_of(task), engine_of(task), engine_of(task)
    for act in order:
        if isinstance(act, PredictionBatch):
            truth.predict(act)
            engine.apply(journal.request(act, arrival_ns=now))
            once.apply(plain.request(act, arrival_ns=now))
        elif isinstance(act, list):
            truth.label(act, now)
            engine.apply(journal.request(request(task, act), arrival_ns=now))
        elif isinstance(act, tuple):
            now = max(now, START + act[1] * HOUR)
            truth.seal(now)
            engine.apply(journal.seal(now))
            once.apply(plain.seal(now))
        else:
            engine = restart(engine)
    once.apply(plain.request(truth.labels(task)))
    for record in journal.records:
        twin.apply(record)
    assert digest(twin) == digest(engine), "a replay is equal to the bit"
    assert label_bytes(engine) == label_bytes(once) and smallest(engine) >= 0
    assert engine.models[KEY].labels == once.models[KEY].labels
    assert engine.models[KEY].outcomes.positives == once.models[KEY].outcomes.positives
    assert total_of(engine) == sum(map(len, said))
    assert not engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name]


def states(model: WatchedModel) -> LabelStates:
    out = LabelStates.empty(model.specs[0])
    for _, pane in model.panes.every():
        if pane.labels.spec.hash == model.specs[0].hash:
            out.add(pane.labels)
    return out


def fed(engine: Engine, journal: Journal, *items: PredictionBatch | LabelBatch) -> None:
    for item in items:
        engine.apply(journal.request(item))


def told(engine: Engine) -> dict[str, int]:
    return {"revised": engine.counters[REVISED][""], **engine.counters[UNMATCHED]}


def test_confusion_by_hand() -> None:
    """Rows of a binary model against numpy: each row's last label, and nothing of the others."""
    engine, journal, rng = engine_of("binary"), Journal(), np.random.default_rng(5)
    rows = predictions("binary", 7, 400)
    first, last = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    assert rows.ids is not None and rows.score is not None
    for hour, outcome in enumerate((first, last), 1):
        ids = list(rows.ids)
        times = np.full(400, START + hour * HOUR)
        fed(engine, journal, rows) if hour == 1 else None
        fed(engine, journal, LabelBatch("default", "credit", ids, NumberColumn.of(outcome), times))
    decided = rows.score.values >= 0.5
    wanted = [[int(((last == t) & (decided == d)).sum()) for d in (0, 1)] for t in (0, 1)]
    found = states(engine.models[KEY])
    assert found.groups.confusion().tolist() == wanted and found.count == 400
    assert told(engine) == {"revised": int((first != last).sum()), "repeated": int((first == last).sum())}
    brier = found.scores.bins().sum(axis=1)
    error = np.where(last == 1, (1 - rows.score.values) ** 2, rows.score.values**2).sum()
    n, score, square = brier[:, 0], brier[:, 1], brier[:, 2]
    assert square[0] + n[1] - 2 * score[1] + square[1] == pytest.approx(error, abs=1e-5)


def test_an_older_label_is_superseded_and_an_equal_one_a_repeat() -> None:
    engine, journal = engine_of("binary"), Journal()
    fed(engine, journal, predictions("binary", 0))
    for text, hour in (("0", 2), ("1", 1), ("1", 3), ("0", 2), ("1", 5), ("0", 4)):
        fed(engine, journal, request("binary", [("0/0", text, hour)]))
    # "1" of hour 5 says the same as the one of hour 3: what is of hour 4 is older than that.
    assert told(engine) == {"revised": 1, "superseded": 3, "repeated": 1}
    assert states(engine.models[KEY]).groups.confusion().sum(axis=1).tolist() == [0, 1]


def test_without_a_time_a_label_counts_as_of_its_arrival() -> None:
    engine, journal = engine_of("binary"), Journal()
    fed(engine, journal, predictions("binary", 0))
    engine.apply(journal.request(request("binary", [("0/0", "0", 2)]), arrival_ns=START + 3 * HOUR))
    engine.apply(journal.request(request("binary", [("0/0", "1", None)]), arrival_ns=START + 6 * HOUR))
    engine.apply(journal.request(request("binary", [("0/0", "0", 5)]), arrival_ns=START + 7 * HOUR))
    assert told(engine) == {"revised": 1, "superseded": 1}


def test_of_several_in_one_request_the_newest_counts_and_of_equal_times_the_last() -> None:
    engine, journal = engine_of("binary"), Journal()
    fed(engine, journal, predictions("binary", 0))
    fed(engine, journal, request("binary", [("0/0", "0", 2), ("0/0", "1", 3), ("0/0", "0", 1)]))
    fed(engine, journal, request("binary", [("0/1", "0", None), ("0/1", "0", None), ("0/1", "1", None)]))
    assert states(engine.models[KEY]).groups.confusion().sum(axis=1).tolist() == [0, 2]
    assert told(engine) == {"revised": 0, "superseded": 4} and engine.models[KEY].labels == 2


def test_a_text_takes_no_number_s_place() -> None:
    engine, journal = engine_of("regression"), Journal()
    fed(engine, journal, predictions("regression", 0), request("regression", [("0/0", "80.0", 1)]))
    texts = CodedColumn.of(["high", "90.0", "n/k"])
    fed(engine, journal, LabelBatch("default", "credit", ["0/0", "0/1", "0/1"], texts, np.full(3, START + HOUR)))
    assert engine.models[KEY].labels == 2 and engine.counters[UNMATCHED]["not_a_number"] == 1
    found = states(engine.models[KEY]).residuals.variable(3)
    assert (found.n, found.mean) == (2, pytest.approx(85.0, abs=0.01))


def test_the_first_label_says_how_long_labels_take() -> None:
    engine, journal = engine_of("binary"), Journal()
    fed(engine, journal, predictions("binary", 0))
    fed(engine, journal, request("binary", [("0/0", "0", 1)]), request("binary", [("0/0", "1", 20)]))
    by_delay = states(engine.models[KEY]).groups.array[0].sum(axis=(1, 2))
    assert by_delay.tolist() == [1, 0, 0, 0, 0, 0, 0]


def test_a_label_that_came_first_is_revised_while_it_waits() -> None:
    engine, journal = engine_of("binary"), Journal()
    for text, hour in (("0", 2), ("1", 3), ("0", 1), ("1", 1)):
        fed(engine, journal, request("binary", [("0/0", text, hour)]))
    assert told(engine) == {"revised": 1, "superseded": 1, "repeated": 1}
    fed(engine, journal, predictions("binary", 0), request("binary", [("0/0", "0", 2)]))
    assert told(engine) == {"revised": 1, "superseded": 2, "repeated": 1}
    assert states(engine.models[KEY]).groups.confusion().sum(axis=1).tolist() == [0, 1]


def test_after_a_promotion_the_old_spec_s_rows_are_revised(tmp_path: Path) -> None:
    """Another baseline since: rows counted under the former spec keep it, and so do their labels."""
    engine, journal, store = engine_of("binary"), Journal(), Store(tmp_path)
    fed(engine, journal, predictions("binary", 0), request("binary", [("0/0", "0", 1), ("0/1", "1", 1)]))
    checkpoint = Checkpoint(store)
    checkpoint.save(engine)
    promoted = base("binary", seed=2)
    later = Engine(engine.config, lambda *_: (promoted, ""), checkpoint)
    checkpoint.restore(later)
    model = later.models[KEY]
    assert len(model.specs) == 2 and model.spec == promoted.spec
    fed(later, Journal(journal.records), request("binary", [("0/0", "1", 2)]))
    assert states(model).groups.confusion().sum(axis=1).tolist() == [0, 2] and told(later)["revised"] == 1
    store.close()


def test_a_label_of_a_deleted_day_is_left_alone() -> None:
    """Retention may end a little before a block of waiting rows does: nothing is taken off what is not there."""
    engine, journal = engine_of("binary"), Journal()
    fed(engine, journal, predictions("binary", 0), request("binary", [("0/0", "0", 1)]))
    model = engine.models[KEY]
    model.panes.move(model.panes.marks._replace(deleted_ns=START + 24 * HOUR))
    fed(engine, journal, request("binary", [("0/0", "1", 2)]), request("binary", [("0/1", "1", 2)]))
    assert told(engine) == {"revised": 0, "not_kept": 1} and smallest(engine) == 0
    assert not engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name]


def test_detectors_that_have_scored_a_window_stay_as_they_were() -> None:
    from calidris.engine.detectors.slot import slot_bytes

    engine, journal = engine_of("binary"), Journal()
    for k in range(BATCHES):
        rows = predictions("binary", k, 60, START + k * STEP)
        assert rows.ids is not None
        fed(engine, journal, rows)
        outcome = NumberColumn.of(np.ones(60))
        fed(engine, journal, LabelBatch("default", "credit", rows.ids, outcome, rows.event_time_ns + SECOND))
        engine.apply(journal.seal(START + (k + 1) * STEP))
    engine.apply(journal.seal(START + 4 * HOUR))
    (watcher,) = engine.watchers.values()
    before = [slot_bytes(watch) for watch in watcher.slots.values()]
    fed(engine, journal, request("binary", [(f"{k}/{i}", "0", 3) for k, i in itertools.product(range(6), range(60))]))
    assert told(engine)["revised"] == 360
    assert [slot_bytes(watch) for watch in watcher.slots.values()] == before
    assert states(engine.models[KEY]).groups.confusion().sum(axis=1).tolist() == [360, 0]


def test_classes_that_are_not_kept_apart_are_one_value_and_right_is_right() -> None:
    """Whether the decision was right changes with the label all the same."""
    engine, journal = engine_of("multiclass"), Journal()
    rows = replace(predictions("multiclass", 0, 1), decision=CodedColumn.of([RARE[0]]))
    fed(engine, journal, rows, request("multiclass", [("0/0", RARE[1], 1)]))
    assert not set(RARE) & set(class_names(engine.models[KEY].spec))
    before = states(engine.models[KEY]).decisions()
    fed(engine, journal, request("multiclass", [("0/0", RARE[0], 2)]))
    after = states(engine.models[KEY]).decisions()
    assert before is not None and (before.rows, before.right) == (1, 0)
    assert after is not None and (after.rows, after.right) == (1, 1)


def test_days_of_the_trend_are_taken_anew() -> None:
    """A past day, and the one that is coming of age: the trend is that of the last word, also over a restart in between."""
    day, engines = 24 * HOUR, [engine_of("binary"), engine_of("binary")]
    first_day = START // day * day + day
    begins = [first_day + quarter * 4 * STEP for quarter in range(40)]
    batches = [predictions("binary", 10 + k, 40, begin) for k, begin in enumerate(begins)]
    journals = [Journal(), Journal()]
    rng = np.random.default_rng(3)
    first, last = rng.integers(0, 2, (2, len(batches), 40)).astype(float)
    for engine, journal, told_first in zip(engines, journals, (first, last)):
        for batch, outcome in zip(batches, told_first):
            assert batch.ids is not None
            labels = LabelBatch("default", "credit", batch.ids, NumberColumn.of(outcome), batch.event_time_ns + SECOND)
            fed(engine, journal, batch, labels)
            engine.apply(journal.seal(int(batch.event_time_ns[0]) // STEP * STEP + STEP))
    revised, plain = (engine.models[KEY] for engine in engines)
    assert [p.value for p in revised.days.points] != [p.value for p in plain.days.points]
    for batch, outcome in zip(batches, last):
        assert batch.ids is not None
        again = LabelBatch("default", "credit", batch.ids, NumberColumn.of(outcome), batch.event_time_ns + HOUR)
        fed(engines[0], journals[0], again)
    with kept() as restart:
        engines[0] = restart(engines[0])
        assert engines[0].models[KEY].days.revised
        for _ in range(3):
            for engine, journal in zip(engines, journals):
                engine.apply(journal.seal(engine.sealed_ns + STEP))
        revised, plain = (engine.models[KEY] for engine in engines)
        labelled = {"accuracy", "brier"}
        assert {p.measure for p in plain.days.points} >= labelled
        assert revised.days.to_json() == plain.days.to_json()
