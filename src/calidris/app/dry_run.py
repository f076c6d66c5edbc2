"""What a configuration will cost, found by trying it in memory on rows like the baseline's."""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import DEFAULT_TENANT, CodedColumn, Column, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.readings import snapshot
from calidris.export import points
from calidris.state import Field, Kind, Role
from calidris.wire import Decoded


def count_series(config: CalidrisConfig, model: ModelConfig, baseline: Baseline) -> int:
    """Series that one version of a model exports once its windows are full and its labels have come."""
    engine = Engine(config, lambda *_: (baseline, ""))
    longest_ns = round(max(model.all_windows_s) * 1e9)
    batch = _rows(model.name, baseline, longest_ns, n=2 * model.detect.minimum_rows)
    assert batch.ids is not None
    label = CodedColumn.of([baseline.spec.positive] * len(batch))
    labels = LabelBatch(DEFAULT_TENANT, model.name, batch.ids, label, batch.event_time_ns)
    decoded = Decoded((batch, labels), 2, 0, {}, "", 0, 0)
    engine.apply(Received(1, longest_ns, DEFAULT_TENANT, b"", 0, decoded, None, lambda: None))
    engine.seal(2 * longest_ns)
    found = points(snapshot(engine, 2 * longest_ns), config.export)
    return sum(semconv.ML_MODEL_NAME in p.attributes for p in found)


def _rows(name: str, baseline: Baseline, time_ns: int, n: int) -> PredictionBatch:
    """Rows that go through every bin and level of the baseline in turn."""
    spec = baseline.spec
    by_role = {role: {f.name: _column(f, n) for f in spec.fields if f.role is role} for role in Role}
    scores = NumberColumn.of(np.linspace(0.0, 1.0, n))
    decisions = [*by_role[Role.DECISION].values(), None]
    slices = {s.name: CodedColumn(s.levels, np.arange(n, dtype=np.int32) % len(s.levels)) for s in spec.slices}
    return PredictionBatch(
        model=ModelKey(DEFAULT_TENANT, name, "1"),
        event_time_ns=np.full(n, time_ns),
        features=by_role[Role.FEATURE],
        ids=[str(i) for i in range(n)],
        score=scores,
        decision=decisions[0],
        duration_s=NumberColumn.of(np.full(n, 0.01)),
        slices=slices,
    )


def _column(f: Field, n: int) -> Column:
    if f.kind is Kind.CATEGORICAL:
        return CodedColumn(f.levels, np.arange(n, dtype=np.int32) % len(f.levels))
    edges = np.array(f.edges or (0.0, 1.0))
    return NumberColumn.of((edges[1:] + edges[:-1])[np.arange(n) % (len(edges) - 1)] / 2)
