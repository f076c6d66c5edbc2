"""Words and numbers as people read them. Whatever is not known says why; nothing is ever blank."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from calidris import semconv
from calidris.batch import DEFAULT_TENANT, ModelKey
from calidris.config.units import parse_duration_s
from calidris.engine.snapshot import Moved
from calidris.metrics import BASELINE_WINDOW, Reading, Status
from calidris.semconv import Metric

MEASURES = {
    "psi": "PSI",
    "psi_debiased": "PSI, noise removed",
    "kl": "KL divergence",
    "js": "Jensen–Shannon",
    "hellinger": "Hellinger",
    "total_variation": "Total variation",
    "chi2": "χ²",
    "g": "G, likelihood ratio",
    "ks": "KS",
    "wasserstein": "Wasserstein",
    "energy": "Energy distance",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "ECE",
    "ece_debiased": "ECE, noise removed",
    "ece_squared_debiased": "ECE of squares, noise removed",
    "ece_equal_mass": "ECE, groups of equal rows",
    "ece_sweep": "ECE, as many groups as rise",
    "smooth_ece": "Smooth ECE",
    "mce": "Largest gap of a tenth",
    "slope": "Calibration slope",
    "intercept": "Calibration intercept",
    "in_the_large": "Calibration in the large",
    "observed_to_expected": "Observed to expected",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "gini": "Gini",
    "ks_separation": "KS separation",
    "balanced_accuracy": "Balanced accuracy",
    "specificity": "Specificity",
    "mcc": "Matthews correlation",
    "prevalence": "Positive outcomes",
    "average_confidence": "Average confidence",
    "macro_f1": "F1, every class alike",
    "weighted_f1": "F1, classes by their rows",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "mape": "Mean absolute error, share of the truth",
    "bias": "Predictions too high by",
    "r_squared": "R²",
    "error_ratio": "Failed calls",
    "latency_p95": "Latency, 95 % of calls within (s)",
    "feature_drift": "Drift of features, their mean PSI, noise removed",
    "prediction_drift": "Drift of predictions, PSI, noise removed",
    "spiegelhalter_z": "Spiegelhalter",
    "hosmer_lemeshow": "Hosmer–Lemeshow",
    "cumulative_ks": "Cumulative, largest deviation",
    "cumulative_kuiper": "Cumulative, largest of any interval",
    "demographic_parity": "Decided positive",
    "demographic_parity_ratio": "Decided positive, smallest over largest",
    "equal_opportunity": "Positive outcomes found",
    "false_positive_rate": "Negative outcomes decided positive",
    "equalised_odds": "Found, and false alarms",
    "predictive_parity": "Positive decisions right",
    "calibration": "Outcome less score",
    "missing": "Missing",
    "rare": "Rare in the baseline",
    "unseen": "Not in the baseline",
    "other": "Beyond the baseline's commonest",
    "out_of_range": "Outside the baseline's range",
    "type_violation": "Wrong type",
}
"""The name on the wire to the one on the page."""


STATUS_MEANING = {
    Status.OK: "measured as shown",
    Status.PARTIAL: "the window is not full yet, or one row in twenty of it or more came late, after it was closed: the figure may still move",
    Status.TOO_FEW: "there are too few rows to say",
    Status.UNDEFINED: "the rows do not define it, for example because all labels are of one class",
    Status.NO_BASELINE: "there is no baseline to compare with",
    Status.LEARNING: "what is normal is still being learned from live traffic; nothing alarms before",
    Status.PROVISIONAL: "compared with a baseline that was learned from live traffic and confirmed by nobody",
    Status.MIXED_BASELINE: "the baseline changed inside the window: the figure is of the rows since then alone",
    Status.APPROXIMATE: "some rows lie so far out that they are counted as less: the true figure may be much larger",
    Status.SUPPRESSED: "withheld for privacy",
    Status.STALE: "no new rows have come since",
}
STATUS_TITLE = {
    Status.OK: "No change found",
    Status.PARTIAL: "Just started",
    Status.TOO_FEW: "Too little traffic to judge",
    Status.UNDEFINED: "Cannot be judged",
    Status.NO_BASELINE: "Watched without a baseline",
    Status.LEARNING: "Learning what is normal",
    Status.PROVISIONAL: "Watched against a provisional baseline",
    Status.MIXED_BASELINE: "The baseline has just changed",
    Status.APPROXIMATE: "Larger than can be told",
    Status.SUPPRESSED: "Withheld for privacy",
    Status.STALE: "No new traffic",
}
_FEW = {
    semconv.METRIC_ML_PERFORMANCE_SCORE: "only labelled ones count",
    semconv.METRIC_ML_CALIBRATION_SCORE: "only labelled ones count",
    semconv.METRIC_ML_FAIRNESS_RATE: "only labelled ones of this group count",
    semconv.METRIC_ML_FAIRNESS_GAP: "fewer than two groups have enough labelled ones",
    semconv.METRIC_ML_DETECTION_EVIDENCE: "no window has been scored yet",
    semconv.METRIC_ML_PERFORMANCE_TREND: "only days with enough of them count",
}
"""Which rows there are too few of, where it is not any."""

_FIELDS = {
    semconv.ML_PREDICTION_SCORE: "score",
    semconv.ML_PREDICTION_CLASS: "decision",
    semconv.ML_PREDICTION_VALUE: "predicted value",
}
_DIRECTIONS = {
    "mean up": "values went up",
    "mean down": "values went down",
    "spread wider": "values spread wider",
    "spread narrower": "values spread less",
    "missing more": "more values are missing",
    "missing less": "fewer values are missing",
    "unknown values more": "more values that are rare in the baseline or not in it",
    "below the range": "more values below the baseline's range",
    "above the range": "more values above the baseline's range",
    "shape": "the distribution has another shape",
    "relation changed": "what belonged together does so in another way",
    "relation changed (weaker)": "what belonged together does so less, or the other way round",
    "relation changed (stronger)": "what belonged together does so more",
}
_SHARES = frozenset(
    {
        semconv.METRIC_ML_DATA_QUALITY_RATIO,
        semconv.METRIC_ML_ERROR_RATIO,
        semconv.METRIC_ML_LABEL_COVERAGE,
        semconv.METRIC_ML_LABEL_DELAY,
        semconv.METRIC_ML_LABEL_SHARE,
    }
)


def number(value: float) -> str:
    """Three significant digits, thousands apart; what would read as 0 but is not says so.

    >>> [number(v) for v in (0, 1234567, 0.123456, 12.34, -0.0123, 0.00001, -0.00001)]
    ['0', '1,234,567', '0.123', '12.3', '−0.0123', '<0.0001', '>−0.0001']
    """
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return "<0.0001" if value > 0 else ">−0.0001"
    digits = max(0, min(4, 2 - math.floor(math.log10(abs(value)))))
    return f"{value:,.{digits}f}".replace("-", "−")


def evidence(value: float) -> str:
    """Evidence, where 1 is an alarm: two decimals say enough."""
    return f"{value:.2f}".replace("-", "−")


def share(value: float) -> str:
    """A share in per cent.

    >>> [share(v) for v in (0, 0.00001, 0.0123, 0.5, 1)]
    ['0 %', '<0.01 %', '1.23 %', '50 %', '100 %']
    """
    if 0 < value < 1e-4:
        return "<0.01 %"
    return f"{value * 100:.3g} %"


def seconds(value: float) -> str:
    """A duration.

    >>> seconds(0.0182), seconds(1.5), seconds(0.00035)
    ('18.2 ms', '1.5 s', '350 µs')
    """
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if value >= s), (1e-6, "µs"))
    return f"{value / scale:.3g} {unit}"


def figure(metric: Metric, value: float) -> str:
    """A value in the metric's own unit."""
    if metric is semconv.METRIC_ML_DETECTION_EVIDENCE:
        return evidence(value)
    if metric in _SHARES:
        return share(value)
    return seconds(value) if metric.unit == "s" else number(value)


def because(reading: Reading) -> str:
    """Why a figure is not known."""
    if reading.status is Status.UNDEFINED and reading.metric is semconv.METRIC_ML_DRIFT_SCORE:
        return "not known because this measure needs numbers"
    estimate = (semconv.ML_PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_ESTIMATE) in reading.attributes
    if reading.status is Status.UNDEFINED and estimate:
        return "not shown because its assumptions may not hold now"
    if reading.status is Status.TOO_FEW and reading.metric in _FEW:
        return f"not known because {STATUS_MEANING[reading.status]}: {_FEW[reading.metric]}"
    if reading.status is Status.NO_BASELINE and estimate:
        return "not known because there is no baseline with labels to learn from"
    if reading.status is Status.NO_BASELINE and reading.baseline is not None:
        return "not known because the baseline has no value of it"
    return f"not known because {STATUS_MEANING[reading.status]}"


_WAITS_FOR = {
    semconv.ML_DETECTION_WAITS_FOR_LABELS: "true outcomes at their age",
    semconv.ML_DETECTION_WAITS_FOR_LEARNING: "live windows that show the ordinary spread",
    semconv.ML_DETECTION_WAITS_FOR_LABELS_MOVED: "true outcomes that come as they did: it is on hold",
    semconv.ML_DETECTION_WAITS_FOR_ROWS: "a window with enough rows",
}


def waiting(reading: Reading) -> str:
    """What detectors of a kind wait for that have not scored a window yet, or are on hold."""
    about = dict(reading.attributes)
    reason = about[semconv.ML_DETECTION_WAITS_FOR]
    return f"{about[semconv.ML_DETECTION_KIND]} on {window(reading.window)}s waits for {_WAITS_FOR[reason]}"


def rows(n: int) -> str:
    """The rows behind a figure.

    >>> rows(5800)
    'n = 5,800'
    """
    return f"n = {n:,}"


def field(name: str) -> str:
    """A feature by its own name, the model's other columns by a plain word."""
    return _FIELDS.get(name, name)


def measure(name: str) -> str:
    """The field's name of a measure, its own where it is not known here."""
    return MEASURES.get(name, name)


def direction(name: str) -> str:
    """Which way a feature went.

    >>> direction("mean down"), direction("level NL less"), direction("sideways")
    ('values went down', 'less of “NL”', 'sideways')
    """
    level = re.fullmatch(r"level (.*) (more|less)", name, re.DOTALL)
    return f"{level[2]} of “{level[1]}”" if level else _DIRECTIONS.get(name, name)


def moved(one: Moved) -> str:
    """What moved between two versions, from what to what, with the rows behind either.

    >>> moved(Moved("calls that failed", "1", "8", "7", 0.012, 3000, 0.25, 2900))
    'calls that failed: 1.2 % of 3,000 in version 7, 25 % of 2,900 in version 8'
    """
    was = _side(one.before, one.unit, one.before_n, one.against)
    to = _side(one.after, one.unit, one.after_n, one.version)
    return f"{one.figure}: {was}, {to}"


def _side(value: float | None, unit: str, n: int, version: str) -> str:
    said = {"1": share, "s": seconds}.get(unit, number)
    told = "not known" if value is None else said(value)
    return f"{told} of {n:,} in version {version}"


def window(name: str) -> str:
    """A window's length as a column reads it."""
    return "Baseline" if name == BASELINE_WINDOW else f"{name} window"


def window_order(name: str) -> float:
    """Baseline first, then shortest first."""
    try:
        return -1.0 if name == BASELINE_WINDOW else parse_duration_s(name)
    except ValueError:
        return math.inf


def model(key: ModelKey) -> str:
    """A model's name, with the tenant in front unless it is the default one."""
    return key.name if key.tenant == DEFAULT_TENANT else f"{key.tenant}/{key.name}"


def moment(ns: int) -> str:
    """A point in time, UTC, to the minute.

    >>> moment(1_795_266_000_000_000_000), moment(0)
    ('2026-11-21 13:00 UTC', 'never')
    """
    if ns <= 0:
        return "never"
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "at an impossible time"


def how_long(ns: int) -> str:
    """A span of time in its largest unit.

    >>> how_long(90 * 60 * 10**9), how_long(30 * 10**9), how_long(4 * 3600 * 10**9)
    ('1.5 hours', '30 seconds', '4 hours')
    """
    value = ns / 1e9
    for length, unit in ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute")):
        if value >= length:
            return plural(value / length, unit)
    return plural(value, "second")


def plural(value: float, unit: str) -> str:
    """A count with its unit.

    >>> plural(1, "hour"), plural(2.5, "hour")
    ('1 hour', '2.5 hours')
    """
    text = f"{value:.3g}" if value < 100 else f"{value:,.0f}"
    return f"{text} {unit}{'' if text == '1' else 's'}"
