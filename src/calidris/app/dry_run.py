"""What a configuration will cost, found by trying it in memory on rows like the baseline's."""

from __future__ import annotations

import math

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.baseline.learn import MAX_LEVELS
from calidris.batch import CodedColumn, Column, Floats, LabelBatch, ModelKey, NumberColumn, PredictionBatch
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
from calidris.labels import row_bytes
from calidris.metrics.day_figures import OF_ROWS
from calidris.metrics.estimate.isotonic import calibration_map
from calidris.metrics.performance.decisions import threshold_decides
from calidris.state import Field, Kind, Role, Spec, pane_bytes
from calidris.state.blocks.scores import N
from calidris.state.blocks.unseen_levels import NAME_BYTES, levels_bytes
from calidris.wire import Decoded

ROW_STATES = ("counts", "moments", "cell_sums")
"""What each pane has of all rows, by its name in ``pane_bytes``."""

LABEL_TABLES = ("scores", "losses", "groups", "residuals", "wide_errors")
"""Tables of labelled rows, by their names in ``pane_bytes``."""


def rows_like(baseline: Baseline, key: ModelKey, time_ns: int, n: int, seed: int) -> PredictionBatch:
    """Rows that go through every bin, level and slice of the baseline in turn; scores are drawn as its labelled ones lie."""
    spec, rng = baseline.spec, np.random.default_rng(seed)
    made = {f.name for book in spec.codebooks for f in book.fields}
    features = {f.name: _column(f, n) for f in spec.fields if f.role is Role.FEATURE and f.name not in made}
    values = [_column(f, n) for f in spec.fields if f.role is Role.VALUE]
    scored = spec.task != semconv.ML_MODEL_TASK_REGRESSION
    score = _scores(baseline, n, rng) if scored else None
    return PredictionBatch(
        model=key,
        event_time_ns=np.full(n, time_ns),
        features=features,
        ids=[f"{seed}-{i}" for i in range(n)],
        score=None if score is None else NumberColumn.of(score),
        decision=_decisions(baseline, score, n),
        value=next((v for v in values if isinstance(v, NumberColumn)), None),
        duration_s=NumberColumn.of(np.full(n, 0.01)),
        slices=_slices(spec, n),
    )


def labels_of(baseline: Baseline, batch: PredictionBatch, seed: int) -> Column:
    """Outcomes that the scores or decisions would be right about as often as the baseline's were."""
    spec, n, rng = baseline.spec, len(batch), np.random.default_rng([seed, 1])
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        assert batch.value is not None
        spread = max((loss.cap for loss in spec.losses if loss.name == "absolute_error"), default=1.0)
        return NumberColumn.of(batch.value.values + rng.normal(0.0, spread / 3, n))
    assert batch.score is not None
    right = rng.random(n) < _chances(baseline, batch.score.values)
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        return CodedColumn((f"not {spec.positive}", spec.positive), right.astype(np.int32))
    assert isinstance(batch.decision, CodedColumn)
    wrong = (batch.decision.codes + 1) % max(len(batch.decision.levels), 1)
    return CodedColumn(batch.decision.levels, np.where(right, batch.decision.codes, wrong).astype(np.int32))


def _chances(baseline: Baseline, score: Floats) -> Floats:
    """How often the baseline's scores of the same size were right: others would refute the estimate without labels."""
    found = calibration_map(baseline.scores.bins())
    if found is None:
        return score
    chances: Floats = found.chance[np.searchsorted(baseline.spec.score_edges, score, side="right")]
    return chances


def _scores(baseline: Baseline, n: int, rng: np.random.Generator) -> Floats:
    """Scores in the bins in which the baseline's labelled rows lie; even ones where it has none."""
    held = baseline.scores.bins()[..., N].sum(axis=0)
    if not held.sum():
        return np.linspace(0.0, 1.0, n)
    ends = np.concatenate([[0.0], baseline.spec.score_edges, [1.0]])
    at = rng.choice(len(held), n, p=held / held.sum())
    drawn: Floats = ends[at] + (ends[at + 1] - ends[at]) * rng.random(n)
    return drawn


def _decisions(baseline: Baseline, score: Floats | None, n: int) -> Column | None:
    """The threshold's, unless the baseline's are others: then those of another one. Of several classes each in turn."""
    spec, labels = baseline.spec, baseline.labels
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        classes = spec.classes or ("a", "b")
        return CodedColumn(classes, np.arange(n, dtype=np.int32) % len(classes))
    if score is None or spec.index(Role.DECISION) is None:
        return None
    usual = threshold_decides(labels.groups.confusion(), labels.scores.bins(), spec)
    threshold = spec.threshold if usual else float(np.median(score)) / 2
    return CodedColumn((f"not {spec.positive}", spec.positive), (score >= threshold).astype(np.int32))


def _slices(spec: Spec, n: int) -> dict[str, CodedColumn]:
    """Every level with every level of the other slices."""
    out, every = {}, np.arange(n)
    for s in spec.slices:
        if s.levels:
            out[s.name] = CodedColumn(s.levels, (every % len(s.levels)).astype(np.int32))
            every = every // len(s.levels) if spec.intersections else every
    return out


def _column(f: Field, n: int) -> Column:
    if f.kind is Kind.CATEGORICAL:
        return CodedColumn(f.levels, np.arange(n, dtype=np.int32) % len(f.levels))
    edges = np.array(f.edges or (0.0, 1.0))
    return NumberColumn.of((edges[1:] + edges[:-1])[np.arange(n) % (len(edges) - 1)] / 2)


VERSION = "1"
_NOW_NS = 400 * DAY_NS
_EACH = 60
"""Rows of each slice: twice what a figure of labels needs."""
_MOST = 20_000


def count_series(config: CalidrisConfig, model: ModelConfig, baseline: Baseline) -> int:
    """Series that one version of a model exports once its windows are full, its labels have come and four weeks are over.

    An alarm adds its onset for as long as it stands: whether there will be one nobody knows.
    """
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
    engine.seal(end, key)  # where its rows come in jobs, the clock closes nothing
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
    tables = sum(each[name] for name in LABEL_TABLES)
    fixed = sum(each[name] for name in ROW_STATES)
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
    fixed = sum(each[name] for name in ROW_STATES)
    tables = sum(each[name] for name in LABEL_TABLES)
    return {
        "panes": kept * fixed,
        "names": kept * (levels_bytes(spec) + MOST_NAMES * NAME_BYTES),
        "windows": 2 * len(model.all_windows_s) * (fixed + tables),
        "learning": 2 * MAX_BYTES,
        "labels": config.limits.pending_labels * row_bytes(0, semconv.ML_MODEL_TASK_REGRESSION),
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
    """So many that each slice, and each intersection, has enough of them, and some tenth of the scores too."""
    sizes = [max(len(s.levels), 1) for s in spec.slices]
    cells = math.prod(sizes) if spec.intersections else max(sizes, default=1)
    return int(np.clip(_EACH * cells, 10 * _EACH, _MOST))


def _four_weeks(spec: Spec, end_ns: int) -> Days:
    """A month of headline figures."""
    labelled = ("mae", "bias") if spec.task == semconv.ML_MODEL_TASK_REGRESSION else ("accuracy", "brier")
    measures = (*labelled, *OF_ROWS)
    days = [end_ns / 1e9 - age * DAY_NS / 1e9 for age in range(28, 0, -1)]
    return Days(points=[DayPoint(day, measure, 0.5, 0.1) for day in days for measure in measures])
