"""What a configuration will cost, found by trying it in memory on rows like the baseline's."""

from __future__ import annotations

import math

import numpy as np

from calidris import semconv
from calidris.app.dry_rows import labels_of, rows_like
from calidris.baseline import Baseline
from calidris.baseline.learn import MAX_LEVELS
from calidris.batch import LabelBatch, ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.learning import MAX_BYTES
from calidris.engine.model import HOT_NS, KEPT_NS
from calidris.engine.panes.days import DAY_NS, DayPoint, Days
from calidris.engine.panes.pane import MOST_NAMES
from calidris.engine.readings.late_labels import YOUNGEST_S
from calidris.export import points
from calidris.labels import pending_dtype
from calidris.state import Field, Kind, Role, Spec, pane_bytes
from calidris.state.blocks.unseen_levels import NAME_BYTES, levels_bytes
from calidris.wire import Decoded

VERSION = "1"
_NOW_NS = 400 * DAY_NS
_EACH = 60
"""Rows of each slice: twice what a figure of labels needs."""
_MOST = 20_000


def count_series(config: CalidrisConfig, model: ModelConfig, baseline: Baseline) -> int:
    """Series that one version of a model exports once its windows are full, its labels have come and four weeks are over."""
    engine = Engine(config, lambda *_: (baseline, ""))
    key = ModelKey(model.tenant, model.name, VERSION)
    end = _NOW_NS // _longest_ns(model) * _longest_ns(model)
    for number, start_ns in enumerate(_starts(model, baseline, end)):
        batch = rows_like(baseline, key, start_ns, _rows_needed(baseline.spec), seed=number)
        items: tuple[object, ...] = (batch,)
        if baseline.labels.count:
            assert batch.ids is not None
            known = batch.event_time_ns + 1_000_000_000
            items = (
                batch,
                LabelBatch(model.tenant, model.name, batch.ids, labels_of(baseline, batch, number), known),
            )
        decoded = Decoded(items, len(items), 0, {}, "", 0, 0)  # type: ignore[arg-type]  # both are items
        digest = number.to_bytes(16, "big")
        engine.apply(Received(number + 1, start_ns, model.tenant, digest, 0, decoded, None, lambda: None))
    engine.seal(end)
    if baseline.labels.count:
        setattr(engine.models[key], "days", _four_weeks(baseline.spec, end))  # noqa: B010  # not every model has them yet
        engine.models[key].touch()
    found = points(snapshot(engine, end), config.export)
    return sum(semconv.ML_MODEL_NAME in p.attributes for p in found)


def memory(model: ModelConfig, baseline: Baseline, pending: int, waiting_bytes: int) -> dict[str, int]:
    """The most bytes that one version of a model takes in memory, by what takes them.

    Args:
        model: its settings.
        baseline: what its rows are counted by.
        pending: predictions that may wait for a label.
        waiting_bytes: what one of them takes.
    """
    each = pane_bytes(baseline.spec)
    tables = sum(each[name] for name in ("scores", "losses", "groups", "residuals"))
    fixed = each["counts"] + each["moments"]
    kept = math.ceil((_held_ns(model, baseline) + KEPT_NS) / model.step_ns)
    windows = len(model.all_windows_s)
    return {
        "panes": kept * fixed,
        # Two windows of each length: the one that is shown, and the one that is being made.
        "windows": 2 * windows * (fixed + tables),
        "baseline": baseline.windows.nbytes + fixed + tables,
        "labels": pending * waiting_bytes,
    }


def stranger_memory(config: CalidrisConfig) -> dict[str, int]:
    """The most bytes that one version of a model nobody configured takes in memory, by what takes them, whatever is sent."""
    model, levels = ModelConfig(name="any"), tuple(str(n) for n in range(MAX_LEVELS))
    fields = (
        Field(f"{n}", Role.FEATURE, Kind.CATEGORICAL, levels=levels) for n in range(max(config.limits.features, 1))
    )
    spec = Spec(fields=tuple(fields))
    # Steps of two hours and the hours of the longest window; what is older counts for limits.pane_bytes.
    kept = math.ceil(HOT_NS / model.step_ns) + 1 + math.ceil(max(model.all_windows_s) * 1e9 / KEPT_NS)
    each = pane_bytes(spec)
    fixed = each["counts"] + each["moments"]
    tables = sum(each[name] for name in ("scores", "losses", "groups", "residuals"))
    return {
        "panes": kept * fixed,
        "names": kept * (levels_bytes(spec) + MOST_NAMES * NAME_BYTES),
        "windows": 2 * len(model.all_windows_s) * (fixed + tables),
        "learning": 2 * MAX_BYTES,
        "labels": config.limits.pending_labels * pending_dtype(0).itemsize,
    }


def _held_ns(model: ModelConfig, baseline: Baseline) -> int:
    longest = max(model.all_windows_s)
    if baseline.labels.count:
        longest = max(longest, max(model.detect_windows_s) + model.detect.label_age)
    return round(longest * 1e9)


def _starts(model: ModelConfig, baseline: Baseline, end_ns: int) -> list[int]:
    """Begins of steps with rows: in the newest window, in the one whose labels are of age, and the oldest that memory holds."""
    ages = [_held_ns(model, baseline) + KEPT_NS - model.step_ns, 0]
    ages += [round(age_s * 1e9) for age_s in (model.detect.label_age, YOUNGEST_S)]
    step = model.step_ns
    return sorted({(end_ns - age) // step * step - step for age in ages})


def _longest_ns(model: ModelConfig) -> int:
    return round(max(model.all_windows_s) * 1e9)


def _rows_needed(spec: Spec) -> int:
    """So many that each slice, and each intersection, has enough of them."""
    sizes = [max(len(s.levels), 1) for s in spec.slices]
    cells = math.prod(sizes) if spec.intersections else max(sizes, default=1)
    return int(np.clip(_EACH * cells, 4 * _EACH, _MOST))


def _four_weeks(spec: Spec, end_ns: int) -> Days:
    """A month of headline figures."""
    measures = ("mae", "bias") if spec.task == semconv.ML_MODEL_TASK_REGRESSION else ("accuracy", "brier")
    days = [end_ns / 1e9 - age * DAY_NS / 1e9 for age in range(28, 0, -1)]
    return Days(points=[DayPoint(day, measure, 0.5, 0.1) for day in days for measure in measures])
