"""Realistic snapshots from real states, with fixed seeds: input for the tests of whoever reads a snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Floats, Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.engine.snapshot import Alarm, ModelSnapshot, NamedFeature, Snapshot, WindowPoint, WindowState
from calidris.metrics import (
    BASELINE_WINDOW,
    Reading,
    Status,
    calibration_readings,
    coverage_reading,
    drift_readings,
    error_reading,
    latency_readings,
    performance_readings,
    quality_readings,
    reading,
    rows_reading,
)
from calidris.metrics.drift.drift_measures import MEASURES
from calidris.state import CountsState, Field, Kind, Role, ScoresState, Spec

HOUR_NS = 3_600_000_000_000
NOW_NS = 1_795_266_000_000_000_000  # 2026-11-21 13:00 UTC
CREDIT = ModelKey("default", "credit", "7")
BASELINE_ID = "credit-7@2026-10"
NUMERIC = ("income", "age", "debt_ratio", "loan_amount", "tenure_months", "late_payments", "utilisation")
COUNTRIES = ("NL", "BE", "DE", "FR")
SCORE = semconv.ML_PREDICTION_SCORE


@dataclass(frozen=True)
class Rows:
    """Raw rows, their labels (-1 is not known yet) and what is remembered of them."""

    batch: PredictionBatch
    score: Floats
    label: Ints
    counts: CountsState
    scores: ScoresState


def spec() -> Spec:
    """Deciles of the baseline for numbers, four countries, tenths of the score."""
    rng = np.random.default_rng(1)
    fields = [
        Field(name, Role.FEATURE, Kind.NUMERIC, edges=_deciles(_numbers(rng, 20_000, 0.0)[name])) for name in NUMERIC
    ]
    country = Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=COUNTRIES)
    score = Field(SCORE, Role.SCORE, Kind.NUMERIC, edges=tuple(i / 10 for i in range(11)))
    error = Field(semconv.ML_PREDICTION_ERROR, Role.ERROR, Kind.CATEGORICAL, levels=("none", "TimeoutError"))
    return Spec(fields=(error, *fields, country, score))


def rows(spec: Spec, n: int, seed: int, drift: float = 0.0, labelled: float = 1.0) -> Rows:
    """N rows; ``drift`` is how many standard deviations of income are lost, and what goes with that."""
    rng = np.random.default_rng(seed)
    numbers = _numbers(rng, n, drift)
    numbers["utilisation"][rng.random(n) < 0.01 + 0.08 * drift] = np.nan
    risk = -1.2 - 0.9 * _standard(numbers["income"], 2600, 0.4) + 0.5 * numbers["late_payments"]
    score = _sigmoid(risk)
    truth = (rng.random(n) < _sigmoid(risk - 0.8 * drift)).astype(np.int64)
    label = np.where(rng.random(n) < labelled, truth, -1)
    batch = PredictionBatch(
        model=CREDIT,
        event_time_ns=np.full(n, NOW_NS, dtype=np.int64),
        features={**{k: NumberColumn.of(v) for k, v in numbers.items()}, "country": _countries(rng, n, drift)},
        score=NumberColumn.of(score),
        duration_s=NumberColumn.of(rng.lognormal(math.log(0.018), 0.5, n)),
        error=CodedColumn(("TimeoutError",), np.where(rng.random(n) < 0.002, 0, -1).astype(np.int32)),
    )
    counts, scores = CountsState(spec), ScoresState(spec)
    counts.update(spec.encode(batch))
    known = label >= 0
    scores.update(score[known], label[known], rng.exponential(40_000, int(known.sum())))
    return Rows(batch, score, label, counts, scores)


def credit_model(*, alarmed: bool = True) -> ModelSnapshot:
    """A credit model with a baseline, whose income feature loses ground during the last windows."""
    s = spec()
    baseline = rows(s, 20_000, 2)
    drift = 0.35 if alarmed else 0.0
    windows = {
        "5m": rows(s, 480, 3, drift, 0.05),
        "1h": rows(s, 5800, 4, drift, 0.22),
        "1d": rows(s, 60_000, 5, drift / 4, 0.6),
    }
    readings = [*_readings(s, baseline, None, BASELINE_WINDOW)]
    for window, found in windows.items():
        readings += _readings(s, found, baseline, window)
    readings += _evidence(alarmed)
    lengths = {"5m": HOUR_NS // 12, "1h": HOUR_NS, "1d": 24 * HOUR_NS}
    return ModelSnapshot(
        key=CREDIT,
        task="binary",
        status=Status.OK,
        status_detail="Compared with the baseline credit-7@2026-10.",
        baseline=BASELINE_ID,
        baseline_counts=baseline.counts,
        baseline_scores=baseline.scores,
        rows=1_284_332,
        labels=771_204,
        last_event_ns=NOW_NS - 2_000_000_000,
        readings=tuple(readings),
        windows=tuple(
            WindowState(w, NOW_NS - lengths[w], NOW_NS, found.counts, found.scores) for w, found in windows.items()
        ),
        history=tuple(_history(alarmed)),
        slo_events={("latency", "good"): 1_280_000, ("latency", "bad"): 4_332, ("errors", "good"): 1_284_000},
        owner="risk-ml",
        tier="high",
    )


def new_model(key: ModelKey, status: Status = Status.LEARNING, rows: int = 31) -> ModelSnapshot:
    """A model that nobody configured and that has only just begun."""
    s = Spec()
    counts, few = CountsState(s), {"window": "5m", "status": Status.TOO_FEW}
    counts.array[0] = counts.array[s.offsets[1] + 60] = rows
    return ModelSnapshot(
        key=key,
        task="binary",
        status=status,
        status_detail="No baseline was given; learning what is normal from live traffic.",
        baseline=None,
        baseline_counts=None,
        baseline_scores=None,
        rows=rows,
        labels=0,
        last_event_ns=NOW_NS,
        readings=(
            reading(semconv.METRIC_ML_WINDOW_ROWS, rows, rows, window="5m"),
            reading(semconv.METRIC_ML_ERROR_RATIO, math.nan, rows, **few),
            reading(
                semconv.METRIC_ML_DRIFT_SCORE,
                math.nan,
                rows,
                window="5m",
                status=Status.NO_BASELINE,
                attributes={semconv.ML_FEATURE_NAME: "x", semconv.ML_DRIFT_MEASURE: "psi_debiased"},
            ),
        ),
        windows=(WindowState("5m", NOW_NS - HOUR_NS // 12, NOW_NS, counts, ScoresState(s)),),
        history=(WindowPoint("5m", NOW_NS, rows, None, None, False),),
        slo_events={},
    )


def alarm(key: ModelKey = CREDIT, number: int = 2) -> Alarm:
    """The alarm of the drifting credit model."""
    return Alarm(
        id=number,
        model=key,
        kind="drift",
        window="1h",
        raised_ns=NOW_NS - 2 * HOUR_NS,
        since_ns=NOW_NS - 6 * HOUR_NS,
        windows=4,
        n=23_310,
        evidence=1.21,
        features=(NamedFeature("income", "mean down", 1.18), NamedFeature("utilisation", "missing more", 0.47)),
        baseline=BASELINE_ID,
        budget="1 per year",
        trace_ids=("4bf92f3577b34da6a3ce929d0e0e4736", "8a3c60f7d188f8fa79d48a391a778fa6"),
        level="early",
    )


def snapshot(*, alarmed: bool = True) -> Snapshot:
    """The credit model, one that is new, an old cleared alarm and (where asked for) a latched one."""
    old = Alarm(
        1,
        CREDIT,
        "drift",
        "1h",
        NOW_NS - 400 * HOUR_NS,
        NOW_NS - 403 * HOUR_NS,
        3,
        17_000,
        1.02,
        (),
        BASELINE_ID,
        "1 per year",
        level="strong",
    )
    return Snapshot(
        taken_ns=NOW_NS,
        models=(credit_model(alarmed=alarmed), new_model(ModelKey("default", "churn", "unknown"))),
        alarms=(old, alarm()) if alarmed else (old,),
        latched=frozenset({2}) if alarmed else frozenset(),
        counters={
            semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE.name: {"": 17},
            semconv.METRIC_CALIDRIS_LABELS_UNMATCHED.name: {"unknown_id": 41, "expired": 3},
        },
        sequence=90_211,
    )


def _numbers(rng: np.random.Generator, n: int, drift: float) -> dict[str, Floats]:
    return {
        "income": rng.lognormal(math.log(2600) - 0.4 * drift, 0.4, n),
        "age": np.round(rng.gamma(9.0, 4.6, n) + 18),
        "debt_ratio": rng.beta(2.0, 5.0, n),
        "loan_amount": rng.lognormal(math.log(9000), 0.7, n),
        "tenure_months": rng.exponential(40.0, n),
        "late_payments": rng.poisson(0.6, n).astype(float),
        "utilisation": rng.beta(2.0, 3.0, n),
    }


def _countries(rng: np.random.Generator, n: int, drift: float) -> Column:
    share = np.array([0.55, 0.2, 0.15, 0.1, 0.0]) + drift * np.array([-0.04, 0.0, 0.0, 0.0, 0.04])
    return CodedColumn((*COUNTRIES, "PL"), rng.choice(5, n, p=share).astype(np.int32))


def _deciles(values: Floats) -> tuple[float, ...]:
    # .6g, as a person would write edges; the ends are wide enough for nearly all of the baseline's rows.
    return tuple(sorted({float(f"{q:.6g}") for q in np.quantile(values, np.linspace(0, 1, 11))}))


def _standard(values: Floats, median: float, sigma: float) -> Floats:
    return np.asarray(np.log(values / median) / sigma)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _readings(s: Spec, found: Rows, baseline: Rows | None, window: str) -> Iterator[Reading]:
    yield rows_reading(found.counts, window)
    if baseline is not None:
        measures = tuple(MEASURES)  # as the engine does for windows that are scored
        yield from drift_readings(
            s, baseline.counts, found.counts, window=window, baseline_id=BASELINE_ID, measures=measures
        )
    yield from quality_readings(s, found.counts, window)
    yield from calibration_readings(s, found.scores, window, semconv.ML_LABEL_MATURITY_ARRIVED)
    yield from performance_readings(s, found.scores, window, semconv.ML_LABEL_MATURITY_ARRIVED)
    yield coverage_reading(found.scores.count, found.counts.count, window)
    yield from latency_readings(s, found.counts, window)
    yield error_reading(s, found.counts, window)


def _evidence(alarmed: bool) -> Iterator[Reading]:
    kind = {semconv.ML_DETECTION_KIND: "drift"}
    shares = {"income": 1.18, "utilisation": 0.47, "country": 0.31, SCORE: 0.44} if alarmed else {"age": 0.12}
    for window, whole in (("5m", 0.52), ("1h", 1.21)):
        whole = whole if alarmed else 0.1
        yield reading(semconv.METRIC_ML_DETECTION_EVIDENCE, whole, 23_310, window=window, attributes=kind)
        latched = float(alarmed and window == "1h")
        for level, stands in (("early", latched), ("strong", 0.0)):
            of_level = {semconv.ML_DETECTION_LEVEL: level, semconv.ML_DETECTION_SEVERITY: "ticket"}
            about = kind | of_level
            yield reading(semconv.METRIC_ML_DETECTION_ALARM, stands, 23_310, window=window, attributes=about)
        for name in (*NUMERIC, "country", SCORE):
            pairs = {semconv.ML_FEATURE_NAME: name, **kind}
            share = shares.get(name, 0.02) * (1.0 if window == "1h" else 0.4)
            yield reading(semconv.METRIC_ML_DETECTION_EVIDENCE, share, 23_310, window=window, attributes=pairs)


def _history(alarmed: bool) -> Iterator[WindowPoint]:
    rng = np.random.default_rng(9)
    for window, step, count in (("1h", HOUR_NS, 72), ("5m", HOUR_NS // 12, 150)):
        drifted = 6 if window == "1h" else 40
        evidence = 0.08
        for i in range(count):
            ago = count - 1 - i
            growth = (0.28 if window == "1h" else 0.012) if alarmed and ago < drifted else -0.03
            evidence = float(np.clip(evidence + growth + rng.normal(0, 0.025), 0.02, 1.4))
            scored = not (window == "1h" and 40 <= ago <= 43)
            raised = alarmed and window == "1h" and ago == 2
            yield WindowPoint(
                window,
                NOW_NS - ago * step,
                int(rng.poisson(5800 if window == "1h" else 480)) if scored else 12,
                evidence if scored else None,
                "income" if evidence > 0.3 else "age",
                raised,
            )
