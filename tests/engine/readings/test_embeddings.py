"""An embedding from the wire to the alarm: its cloud stays and nothing is said; it moves and its codebook says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import SECOND, START, Journal, MakeEngine, rows

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import MatrixColumn, PredictionBatch
from calidris.detect import freeze
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.metrics import drift_table
from calidris.state import CountsState, Role, Spec, fitting_rows
from calidris.wire import Form, decode, encode_predictions

DIMENSION, TOPICS, PER_WINDOW = 64, 6, 100
QUIET = np.full(TOPICS, 1 / TOPICS)
ONE_TOPIC_GROWS = np.array([0.5, *[0.1] * 5])


def cloud(seed: int, n: int, topics: np.ndarray = QUIET, moved: float = 0.0) -> MatrixColumn:
    """Vectors of unit variance around a few topics; ``moved`` shifts all of them along one direction."""
    places = np.random.default_rng(0).normal(size=(TOPICS, DIMENSION)) * 2
    g = np.random.default_rng(seed)
    vectors = places[g.choice(TOPICS, n, p=topics)] + g.normal(size=(n, DIMENSION)) + moved
    vectors[g.random(n) < 0.02] = np.nan
    return MatrixColumn.of(vectors)


def embedded(seed: int, n: int, start_ns: int = START, span_s: float = 1.0, **change: object) -> PredictionBatch:
    vectors = cloud(seed, n, **change)  # type: ignore[arg-type]
    return replace(rows(seed, n, start_ns, span_s), embeddings={"text": vectors})


@pytest.fixture(scope="module")
def base() -> Baseline:
    batch = embedded(1, 60 * PER_WINDOW, span_s=60)
    return build(BaselineColumns(batch), Spec(task="binary"), window_s=1.0)


def fed(engine: Engine, windows: int, change_at: int, form: Form = "packed", **change: object) -> Engine:
    """Windows of one second over the wire; the change begins at one of them."""
    journal = Journal()
    for w in range(windows):
        batch = embedded(100 + w, PER_WINDOW, START + w * SECOND, **(change if w >= change_at else {}))
        raw = encode_predictions(batch, form=form, one_span_per_row=form == "json")
        items = decode(raw, tenant="default", arrival_ns=START + (w + 1) * SECOND).items
        engine.apply(journal.request(*items))
        engine.apply(journal.seal(START + (w + 1) * SECOND))
    return engine


def drift(engine: Engine, base: Baseline, window: str = "10s") -> Mapping[str, float]:
    """Drift of the features of the newest sealed window, by ``js``."""
    (model,) = snapshot(engine, START).models
    (found,) = (w for w in model.windows if w.window == window)
    table = drift_table(base.spec, base.counts, found.counts, ["js"])
    return dict(zip(table.names, table.values["js"].tolist()))


def test_a_baseline_counts_the_rows_that_placed_no_centroid(base: Baseline) -> None:
    (book,) = base.spec.codebooks
    kept = ~fitting_rows(60 * PER_WINDOW)
    assert base.rows == kept.sum()
    want = CountsState(base.spec)
    batch = embedded(1, 60 * PER_WINDOW, span_s=60)
    plain = replace(
        batch, embeddings={"text": batch.embeddings["text"].take(kept)}, event_time_ns=batch.event_time_ns[kept]
    )
    want.update(base.spec.encode(replace(plain, features={}, score=None, duration_s=None)))
    for f in book.fields:
        at = base.spec.index(Role.FEATURE, f.name)
        assert at is not None
        assert base.counts.field(at).tolist() == want.field(at).tolist()
    assert base.windows.sum(axis=0).tolist() == base.counts.array.tolist()


@pytest.mark.parametrize("form", ["packed", "json"])
def test_a_cloud_that_stays_raises_nothing(make_engine: MakeEngine, base: Baseline, form: Form) -> None:
    engine = fed(make_engine(base=base), 40, change_at=99, form=form)
    assert engine.alarms == []
    scores = drift(engine, base)
    assert max(scores["text.nearest"], scores["text.distance"]) < 0.05


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"moved": 0.5}, {"text.distance", "text.nearest"}),
        ({"topics": ONE_TOPIC_GROWS}, {"text.nearest", "text.distance"}),
    ],
    ids=["something never seen", "a topic grows"],
)
def test_a_cloud_that_moves_is_an_alarm_that_names_it(
    make_engine: MakeEngine, base: Baseline, change: Mapping[str, object], names: set[str]
) -> None:
    each = [drift(fed(make_engine(base=base), windows, change_at=99), base) for windows in (20, 30, 40)]
    quiet = {name: float(np.mean([one[name] for one in each])) for name in names}
    engine = fed(make_engine(base=base), 40, change_at=30, **change)
    (alarm,) = engine.alarms
    assert alarm.features[0].name in names
    assert START + 30 * SECOND <= alarm.since_ns <= START + 33 * SECOND
    scores = drift(engine, base)
    assert max(scores[name] / max(quiet[name], 1e-3) for name in names) > 10
    assert scores["income"] < 0.1


def test_bets_of_a_baseline_watch_the_fields_of_its_codebook(base: Baseline) -> None:
    bets = freeze(base.spec, base.counts, base.windows)
    assert {"text.nearest", "text.distance"} <= {f.name for f in bets.watch.fields}


def test_vectors_of_another_encoder_are_named_as_a_fault(make_engine: MakeEngine, base: Baseline) -> None:
    engine, journal = make_engine(base=base), Journal()
    for w in range(12):
        batch = rows(100 + w, PER_WINDOW, START + w * SECOND)
        if w >= 6:
            batch = replace(batch, embeddings={"text": MatrixColumn.of(np.ones((PER_WINDOW, 3)))})
        else:
            batch = replace(batch, embeddings={"text": cloud(100 + w, PER_WINDOW)})
        engine.apply(journal.request(batch))
        engine.apply(journal.seal(START + (w + 1) * SECOND))
    (alarm,) = engine.alarms
    assert alarm.features[0].name.startswith("text.")


def test_a_restart_changes_nothing(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine], base: Baseline
) -> None:
    journal = Journal()
    for w in range(20):
        moved = 0.5 if w >= 15 else 0.0
        journal.request(embedded(100 + w, PER_WINDOW, START + w * SECOND, moved=moved))
        journal.seal(START + (w + 1) * SECOND)
    straight, first = make_engine(base=base), make_engine(base=base)
    for record in journal.records:
        straight.apply(record)
    for record in journal.records[:21]:
        first.apply(record)
    second = restart(first)
    for record in journal.records[21:]:
        second.apply(record)
    assert digest(second) == digest(straight)
    assert len(second.alarms) == 1
