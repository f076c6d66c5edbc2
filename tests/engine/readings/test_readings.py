"""Every figure at the engine's door, against scikit-learn and numpy on the raw rows that went in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.engine.conftest import SECOND, START, Journal

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, Floats, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics.base import Reading, Status
from calidris.state import Spec

KEY = ModelKey("default", "m", "1")
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
BEGIN = START // HOUR * HOUR
CLASSES = ("cat", "dog", "owl")


@dataclass(frozen=True)
class Raw:
    """Rows with their outcomes, as they were drawn."""

    batch: PredictionBatch
    truth: np.ndarray
    predicted: np.ndarray
    score: Floats
    sex: np.ndarray
    country: np.ndarray

    def labels(self, delay_s: float | Floats = 5.0) -> LabelBatch:
        """All outcomes, some time after the predictions."""
        assert self.batch.ids is not None
        times = self.batch.event_time_ns + np.rint(np.broadcast_to(delay_s, len(self.truth)) * SECOND).astype(np.int64)
        return LabelBatch("default", "m", self.batch.ids, column(self.truth), times)


def column(values: np.ndarray) -> Column:
    return NumberColumn.of(values) if values.dtype.kind in "fib" else CodedColumn.of(values.tolist())


def draw(task: str, seed: int, n: int, start_ns: int = BEGIN, span_ns: int = MINUTE, shift: float = 0.0) -> Raw:
    """Rows of a task; a binary one decides against its own threshold now and then, so that decisions are explicit."""
    rng = np.random.default_rng(seed)
    sex, country = rng.choice(["f", "m"], n), rng.choice(["BE", "NL"], n)
    logit = rng.normal(shift, 1.5, n) + 0.5 * (sex == "m")
    score = 1 / (1 + np.exp(-logit))
    if task == "binary":
        truth = (rng.random(n) < score).astype(float)
        predicted = np.where(score >= 0.3, "1", "0")
    elif task == "multiclass":
        predicted = rng.choice(CLASSES, n)
        truth = np.where(rng.random(n) < score, predicted, rng.choice(CLASSES, n))
    else:
        predicted = rng.normal(50, 10, n)
        truth = predicted + rng.normal(2.0, 5.0, n)
    batch = PredictionBatch(
        model=KEY,
        event_time_ns=start_ns + np.sort(rng.integers(0, span_ns, n)),
        features={"x": NumberColumn.of(rng.normal(size=n)), "y": CodedColumn.of(rng.choice(["a", "b"], n).tolist())},
        ids=[f"{seed}-{i}" for i in range(n)],
        score=None if task == "regression" else NumberColumn.of(score),
        decision=None if task == "regression" else CodedColumn.of(predicted.tolist()),
        value=NumberColumn.of(predicted) if task == "regression" else None,
        slices={"sex": CodedColumn.of(sex.tolist()), "country": CodedColumn.of(country.tolist())},
    )
    return Raw(batch, truth, predicted, score, sex, country)


def base_of(task: str, threshold: float = 0.5) -> Baseline:
    raw = draw(task, 1, 8000, BEGIN - 100 * MINUTE, 100 * MINUTE)
    template = Spec(task=task, positive="1", threshold=threshold)
    delay = np.full(8000, 5.0)
    slices, pairs = ("sex", "country"), (("sex", "country"),)
    columns = BaselineColumns(raw.batch, column(raw.truth), delay_s=delay)
    return build(columns, template, window_s=60.0, slices=slices, intersections=pairs)


def engine_of(task: str, base: Baseline | None, **changes: object) -> Engine:
    model = {
        "name": "m", "task": task, "windows": ["1m", "1h"], "detect": {"windows": ["1m"], "label_age": "1h"},
        "slices": ["sex", "country"], "intersections": [["sex", "country"]], "fairness": {"attribute": "sex"},
    } | changes  # fmt: skip
    config = CalidrisConfig(models=(ModelConfig.model_validate(model),))
    return Engine(config, lambda *_: (base, ""))


def shown(engine: Engine) -> ModelSnapshot:
    return snapshot(engine, 0).models[0]


def figures(model: ModelSnapshot, metric: semconv.Metric, window: str = "1m", **about: str) -> list[Reading]:
    wanted = {getattr(semconv, name): value for name, value in about.items()}
    return [
        r for r in model.readings
        if r.metric is metric and r.window == window and wanted.items() <= dict(r.attributes).items()
    ]  # fmt: skip


def one(
    model: ModelSnapshot, measure: str, cut: dict[str, str] | None = None, window: str = "1m", **about: str
) -> Reading:
    """The figure of labelled rows of one measure and slice."""
    about = {"ML_PERFORMANCE_SOURCE": "labels", "ML_LABEL_MATURITY": "arrived"} | about
    found = figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, window, ML_PERFORMANCE_MEASURE=measure, **about)
    cut = cut or {}
    (reading,) = [r for r in found if {k: v for k, v in r.attributes if not k.startswith("ml.")} == cut
                  and (semconv.ML_PREDICTION_CLASS in dict(r.attributes)) == ("ML_PREDICTION_CLASS" in about)]  # fmt: skip
    return reading


def fed(task: str, base: Baseline | None, raw: Raw, **changes: object) -> ModelSnapshot:
    engine, journal = engine_of(task, base, **changes), Journal()
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    assert set(engine.counters) <= {"calidris.engine.rows", "calidris.engine.labels"}, "nothing was left out"
    return shown(engine)


def cuts_of(raw: Raw) -> list[tuple[dict[str, str], np.ndarray]]:
    """All rows, two slices, and an intersection, with the rows that are in each."""
    every = np.ones(len(raw.truth), bool)
    return [
        ({}, every), ({"sex": "f"}, raw.sex == "f"), ({"country": "NL"}, raw.country == "NL"),
        ({"sex": "m", "country": "BE"}, (raw.sex == "m") & (raw.country == "BE")),
    ]  # fmt: skip


def test_binary_speaks_of_the_decisions_that_were_sent() -> None:
    raw = draw("binary", 5, 2000)
    model = fed("binary", base_of("binary"), raw)
    for cut, rows in cuts_of(raw):
        truth, said, score = raw.truth[rows], (raw.predicted[rows] == "1").astype(float), raw.score[rows]
        expected = {
            "accuracy": sk.accuracy_score(truth, said), "precision": sk.precision_score(truth, said),
            "recall": sk.recall_score(truth, said), "f1": sk.f1_score(truth, said),
        }  # fmt: skip
        for measure, value in expected.items():
            reading = one(model, measure, cut)
            assert reading.value == pytest.approx(value, abs=1e-12)
            assert reading.lower < reading.value < reading.upper
        assert one(model, "accuracy", cut).n == len(truth)
        assert one(model, "roc_auc", cut).value == pytest.approx(sk.roc_auc_score(truth, score), abs=0.005)
        brier = figures(model, semconv.METRIC_ML_CALIBRATION_SCORE, ML_CALIBRATION_MEASURE="brier")
        (found,) = [r for r in brier if {k: v for k, v in r.attributes if not k.startswith("ml.")} == cut
                    and dict(r.attributes)[semconv.ML_LABEL_MATURITY] == "arrived"]  # fmt: skip
        assert found.value == pytest.approx(sk.brier_score_loss(truth, score), abs=1e-8)


def test_several_classes() -> None:
    raw = draw("multiclass", 6, 1500)
    model = fed("multiclass", base_of("multiclass"), raw)
    for cut, rows in cuts_of(raw):
        truth, said = raw.truth[rows], raw.predicted[rows]
        expected = {
            "accuracy": sk.accuracy_score(truth, said), "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "macro_f1": sk.f1_score(truth, said, average="macro"),
            "weighted_f1": sk.f1_score(truth, said, average="weighted"),
        }  # fmt: skip
        assert {m: one(model, m, cut).value for m in expected} == pytest.approx(expected)
    recall = dict(zip(CLASSES, sk.recall_score(raw.truth, raw.predicted, average=None, labels=list(CLASSES))))
    for name, value in recall.items():
        assert one(model, "recall", ML_PREDICTION_CLASS=name).value == pytest.approx(value)
    assert not figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PREDICTION_CLASS="other")
    (top,) = [r for r in figures(model, semconv.METRIC_ML_CALIBRATION_SCORE, ML_CALIBRATION_MEASURE="brier",
                                 ML_LABEL_MATURITY="arrived") if len(r.attributes) == 2]  # fmt: skip
    assert top.value == pytest.approx(np.mean((raw.score - (raw.truth == raw.predicted)) ** 2), abs=1e-8)


def test_regression() -> None:
    raw = draw("regression", 7, 1500)
    model = fed("regression", base_of("regression"), raw, fairness=None)
    for cut, rows in cuts_of(raw):
        truth, said = raw.truth[rows], raw.predicted[rows]
        expected = {
            "mae": sk.mean_absolute_error(truth, said), "rmse": sk.root_mean_squared_error(truth, said),
            "mape": sk.mean_absolute_percentage_error(truth, said), "bias": float(np.mean(said - truth)),
            "r_squared": sk.r2_score(truth, said),
        }  # fmt: skip
        assert {m: one(model, m, cut).value for m in expected} == pytest.approx(expected, rel=1e-3)
    assert not figures(model, semconv.METRIC_ML_CALIBRATION_SCORE)
    coverage = figures(model, semconv.METRIC_ML_LABEL_COVERAGE)[0]
    assert (coverage.value, coverage.n) == (1.0, 1500)


def test_outcomes_in_another_unit_have_the_figures_of_that_unit() -> None:
    """Truths in cents: R² read .954 and RMSE less than MAE once, because no row counted for more than the sums hold."""
    raw = draw("regression", 8, 1500)
    cents = replace(raw, truth=raw.truth * 100)
    model = fed("regression", base_of("regression"), cents, fairness=None)
    for cut, rows in cuts_of(cents):
        truth, said = cents.truth[rows], cents.predicted[rows]
        expected = {
            "mae": sk.mean_absolute_error(truth, said), "rmse": sk.root_mean_squared_error(truth, said),
            "bias": float(np.mean(said - truth)), "r_squared": sk.r2_score(truth, said),
        }  # fmt: skip
        assert expected["r_squared"] < 0
        found = {m: one(model, m, cut) for m in expected}
        assert {m: r.value for m, r in found.items()} == pytest.approx(expected, rel=1e-6)
        assert {r.status for r in found.values()} == {Status.OK}
        assert all(r.lower < r.value < r.upper for r in found.values())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_baselines_own_figures_are_those_of_its_rows(task: str) -> None:
    base = base_of(task)
    raw = draw(task, 1, 8000, BEGIN - 100 * MINUTE, 100 * MINUTE)
    model = fed(task, base, draw(task, 8, 100), fairness=None)
    measure, of = ("mae", sk.mean_absolute_error) if task == "regression" else ("accuracy", sk.accuracy_score)
    for cut, rows in cuts_of(raw):
        said = (raw.predicted[rows] == "1").astype(float) if task == "binary" else raw.predicted[rows]
        assert one(model, measure, cut, "baseline").value == pytest.approx(of(raw.truth[rows], said), rel=1e-3)


def test_a_slice_without_labels_says_so_and_a_model_without_a_baseline_has_no_slices() -> None:
    raw = draw("binary", 9, 200)
    only = np.flatnonzero(raw.sex == "f")
    labels = raw.labels()
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    part = LabelBatch(
        "default", "m", [labels.ids[i] for i in only], labels.label.take(only), labels.label_time_ns[only]
    )
    for item in (raw.batch, part):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    men = one(shown(engine), "accuracy", {"sex": "m"})
    assert (men.value, men.n, men.status) == (None, 0, Status.TOO_FEW)
    bare = fed("binary", None, raw)
    assert {k for r in bare.readings for k, _ in r.attributes if not k.startswith("ml.")} == set()
    assert one(bare, "accuracy").n == 200


def test_fairness_of_the_named_attribute() -> None:
    raw = draw("binary", 10, 4000)
    model = fed("binary", base_of("binary"), raw)
    said = raw.predicted == "1"
    gap = said[raw.sex == "m"].mean() - said[raw.sex == "f"].mean()
    about = {"ML_FAIRNESS_ATTRIBUTE": "sex", "ML_FAIRNESS_MEASURE": "demographic_parity"}
    (found,) = figures(model, semconv.METRIC_ML_FAIRNESS_GAP, **about)
    assert found.value == pytest.approx(gap) and found.lower < gap < found.upper and found.n == 4000
    (women,) = figures(model, semconv.METRIC_ML_FAIRNESS_RATE, ML_FAIRNESS_GROUP="f", **about)
    assert women.value == pytest.approx(said[raw.sex == "f"].mean())
    assert figures(model, semconv.METRIC_ML_FAIRNESS_GAP, ML_FAIRNESS_MEASURE="calibration")[0].value is not None


def test_small_groups_are_withheld() -> None:
    raw = draw("binary", 11, 40)
    sex = np.array(["f"] * 4 + ["m"] * 36)
    batch = raw.batch
    batch = PredictionBatch(**{f: getattr(batch, f) for f in ("model", "event_time_ns", "features", "ids", "score", "decision")},
                            slices={"sex": CodedColumn.of(sex.tolist())})  # fmt: skip
    model = fed("binary", base_of("binary"), Raw(batch, raw.truth, raw.predicted, raw.score, sex, raw.country))
    (women,) = figures(model, semconv.METRIC_ML_FAIRNESS_RATE, ML_FAIRNESS_GROUP="f", ML_FAIRNESS_MEASURE="accuracy")
    assert (women.value, women.n, women.status) == (None, 0, Status.SUPPRESSED)


def test_columns_that_come_and_go_and_levels_that_are_new_have_names() -> None:
    raw = draw("binary", 12, 300)
    features = {"z": NumberColumn.of(np.zeros(300)), "y": CodedColumn.of(["a"] * 280 + ["new"] * 20)}
    batch = PredictionBatch(KEY, raw.batch.event_time_ns, features, ids=raw.batch.ids, score=raw.batch.score)
    model = fed("binary", base_of("binary"), Raw(batch, raw.truth, raw.predicted, raw.score, raw.sex, raw.country))
    quality = {
        (dict(r.attributes)[semconv.ML_DATA_QUALITY_KIND], dict(r.attributes)[semconv.ML_FEATURE_NAME]): r.value
        for r in figures(model, semconv.METRIC_ML_DATA_QUALITY_RATIO)
    }
    assert quality["absent", "x"] == 1.0 and quality["unexpected", "z"] == 1.0 and ("absent", "y") not in quality
    window = model.windows[0]
    assert window.merged is not None
    field = [f.name for f in window.counts.spec.fields].index("y")
    assert [level.name for level in window.merged.levels.top(field)] == ["new"]


def test_figures_of_rows_are_the_same_whether_kept_or_counted_again() -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 13, 500)
    engine.apply(journal.request(raw.batch, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    before = snapshot(engine, 0)
    engine.apply(journal.request(raw.labels(), arrival_ns=BEGIN))
    kept = snapshot(engine, 0, before)
    engine.models[KEY].touch()
    assert set(kept.models[0].readings) == set(snapshot(engine, 0).models[0].readings)
    assert kept.models[0].readings != before.models[0].readings
