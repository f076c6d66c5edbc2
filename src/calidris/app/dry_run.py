"""What a configuration will cost, found by trying it in memory on the baseline's own rows."""

from __future__ import annotations

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import DEFAULT_TENANT, ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.pane import Pane, PaneKey
from calidris.engine.readings import snapshot
from calidris.export import points


def count_series(config: CalidrisConfig, model: ModelConfig, baseline: Baseline) -> int:
    """Series that one version of a model exports once its windows are full and its labels have come."""
    engine = Engine(config, lambda *_: (baseline, ""))
    watched = engine.watch(ModelKey(DEFAULT_TENANT, model.name, "1"))
    longest_ns = round(max(model.all_windows_s) * 1e9)
    watched.panes[PaneKey(longest_ns, 0)] = Pane(baseline.counts.copy(), baseline.scores.copy())
    watched.first_event_ns = watched.last_event_ns = longest_ns
    watched.rows, watched.labels = baseline.rows, baseline.scores.count
    engine.seal(2 * longest_ns)
    found = points(snapshot(engine, 2 * longest_ns), config.export)
    return sum(semconv.ML_MODEL_NAME in p.attributes for p in found)
