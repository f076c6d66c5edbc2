"""Relations of two columns among the features that versions share, and of columns that never came."""

from __future__ import annotations

import numpy as np

from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.engine.panes.arrivals import Arrivals, stand_in
from calidris.engine.panes.panes import LiveOnly
from calidris.engine.panes.shared_features import SharedFeatures
from calidris.state import CountsState, Field, Kind, Pair, Role, Spec

EDGES = (0.0, 1.0, 2.0, 3.0, 4.0)
SPEC = Spec(
    fields=(
        *(Field(name, Role.FEATURE, Kind.NUMERIC, edges=EDGES) for name in ("age", "height", "income")),
        Field("ml.prediction.score", Role.SCORE, Kind.NUMERIC, edges=(0.0, 0.5, 1.0)),
    ),
    pairs=(Pair("age", "income", ((2.0,), (2.0,))), Pair("age", "height", ((2.0,), (2.0,)))),
)
STEP_NS = 60_000_000_000
PAIRS = [at for at, f in enumerate(SPEC.fields) if f.role is Role.PAIR]


def rows(n: int, *names: str) -> PredictionBatch:
    rng = np.random.default_rng(n)
    columns = {name: NumberColumn.of(rng.uniform(0.0, 4.0, n)) for name in names}
    score = NumberColumn.of(rng.random(n))
    return PredictionBatch(ModelKey("default", "m", "1"), np.full(n, STEP_NS), columns, score=score)


def test_relations_are_shared_as_features_are_and_outputs_are_not() -> None:
    shared = SharedFeatures(ModelKey("default", "", "-1"), SPEC, STEP_NS, STEP_NS, LiveOnly(None, ()))
    batch = rows(200, "age", "height", "income")
    own = CountsState(SPEC)
    own.update(SPEC.encode(batch))
    shared.count(shared.encode(batch, SPEC.encode(batch), SPEC, lambda _: batch))
    found = CountsState(SPEC, shared.counts_of(STEP_NS, STEP_NS))
    for at, f in enumerate(SPEC.fields):
        counted = f.role in (Role.FEATURE, Role.PAIR, Role.ERROR)
        assert found.field(at).tolist() == (own.field(at).tolist() if counted else [0] * f.width)


def test_relations_of_a_column_that_never_came_are_no_evidence() -> None:
    baseline = CountsState(SPEC)
    baseline.update(SPEC.encode(rows(1000, "age", "height", "income")))
    cells = SPEC.encode(rows(100, "age", "height"))
    arrivals = Arrivals()
    arrivals.note(SPEC, cells, np.full(100, STEP_NS))
    absent = arrivals.absent(SPEC, 5 * STEP_NS, STEP_NS)
    assert [SPEC.fields[at].name for at in absent] == ["income", "age × income"]
    live = CountsState(SPEC)
    live.update(cells)
    stood = CountsState(SPEC, stand_in(baseline, live.array, absent))
    share = baseline.field(PAIRS[0]) / 1000
    assert np.abs(stood.field(PAIRS[0]) - 100 * share).max() <= 1.0
    assert stood.field(PAIRS[1]).tolist() == live.field(PAIRS[1]).tolist()
