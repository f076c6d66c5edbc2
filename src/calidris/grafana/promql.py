"""PromQL in pieces: every metric and label name comes from the convention, none is typed twice.

Every aggregation names the labels that it keeps. Labels that a scrape or a pipeline adds (job, instance,
``otel_scope_name``) are so dropped, and one figure stays one series however it travelled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from calidris import semconv
from calidris.semconv import Metric

NAME = semconv.prometheus_label(semconv.ML_MODEL_NAME)
VERSION = semconv.prometheus_label(semconv.ML_MODEL_VERSION)
WINDOW = semconv.prometheus_label(semconv.ML_WINDOW)
FEATURE = semconv.prometheus_label(semconv.ML_FEATURE_NAME)
DRIFT_MEASURE = semconv.prometheus_label(semconv.ML_DRIFT_MEASURE)
CALIBRATION_MEASURE = semconv.prometheus_label(semconv.ML_CALIBRATION_MEASURE)
PERFORMANCE_MEASURE = semconv.prometheus_label(semconv.ML_PERFORMANCE_MEASURE)
PERFORMANCE_SOURCE = semconv.prometheus_label(semconv.ML_PERFORMANCE_SOURCE)
MATURITY = semconv.prometheus_label(semconv.ML_LABEL_MATURITY)
CLASS = semconv.prometheus_label(semconv.ML_PREDICTION_CLASS)
FAIRNESS_ATTRIBUTE = semconv.prometheus_label(semconv.ML_FAIRNESS_ATTRIBUTE)
FAIRNESS_GROUP = semconv.prometheus_label(semconv.ML_FAIRNESS_GROUP)
FAIRNESS_MEASURE = semconv.prometheus_label(semconv.ML_FAIRNESS_MEASURE)
DELAY_WITHIN = semconv.prometheus_label(semconv.ML_LABEL_DELAY_WITHIN)
LABEL_CLASS = semconv.prometheus_label(semconv.ML_LABEL_CLASS)
TREND_MEASURE = semconv.prometheus_label(semconv.ML_TREND_MEASURE)
QUALITY_KIND = semconv.prometheus_label(semconv.ML_DATA_QUALITY_KIND)
QUANTILE = semconv.prometheus_label(semconv.ML_LATENCY_QUANTILE)
DETECTION_KIND = semconv.prometheus_label(semconv.ML_DETECTION_KIND)
SEVERITY = semconv.prometheus_label(semconv.ML_DETECTION_SEVERITY)
WAITS_FOR = semconv.prometheus_label(semconv.ML_DETECTION_WAITS_FOR)
SLO_NAME = semconv.prometheus_label(semconv.ML_SLO_NAME)
SLO_OUTCOME = semconv.prometheus_label(semconv.ML_SLO_OUTCOME)
STATE = semconv.prometheus_label(semconv.ML_MONITORING_STATE)
REASON = semconv.prometheus_label(semconv.CALIDRIS_REASON)

BASELINE = "baseline"
"""The ``ml.window`` of a figure of the baseline's own rows."""


def quoted(text: str) -> str:
    r"""A PromQL string.

    >>> print(quoted('a"b\\c'))
    "a\"b\\c"
    """
    return json.dumps(text, ensure_ascii=False)


def equals(label: str, value: str) -> str:
    """The matcher ``label="value"``; an empty value matches series without the label."""
    return f"{label}={quoted(value)}"


def differs(label: str, value: str) -> str:
    """The matcher ``label!="value"``; an empty value matches series that have the label."""
    return f"{label}!={quoted(value)}"


def among(label: str, values: Iterable[str]) -> str:
    r"""The matcher of a label that is one of some texts.

    >>> print(among("ml_model_name", ["credit", "a+b"]))
    ml_model_name=~"credit|a\\+b"
    """
    return f"{label}=~{_alternatives(values)}"


def outside(label: str, values: Iterable[str]) -> str:
    """The matcher of a label that is none of some texts."""
    return f"{label}!~{_alternatives(values)}"


def _alternatives(values: Iterable[str]) -> str:
    return quoted("|".join(re.escape(value) for value in values))


def selector(metric: Metric | str, *matchers: str) -> str:
    """Series of a metric; without matchers all of them.

    >>> selector("up", equals("job", "x")), selector("up")
    ('up{job="x"}', 'up')
    """
    name = metric if isinstance(metric, str) else metric.prometheus
    return f"{name}{{{','.join(matchers)}}}" if matchers else name


def by(operation: str, labels: Iterable[str], inner: str) -> str:
    """An aggregation that keeps some labels; without any, one series of everything.

    >>> by("max", ["a", "b"], "up"), by("sum", [], "up")
    ('max by (a, b) (up)', 'sum(up)')
    """
    kept = ", ".join(labels)
    return f"{operation} by ({kept}) ({inner})" if kept else f"{operation}({inner})"


def rate(metric: Metric, window: str, *matchers: str) -> str:
    """Increase a second of a counter, averaged over a window."""
    return f"rate({selector(metric, *matchers)}[{window}])"


def increase(metric: Metric, window: str, *matchers: str, offset: str = "") -> str:
    """Increase of a counter over a window that ended ``offset`` ago.

    >>> increase(semconv.METRIC_ML_RECEIVED_ROWS, "1h", offset="1d")
    'increase(ml_received_rows_total[1h] offset 1d)'
    """
    back = f" offset {offset}" if offset else ""
    return f"increase({selector(metric, *matchers)}[{window}]{back})"


def slice_label(name: str) -> str:
    """The Prometheus label of a slice, spelled as the exporters spell it.

    >>> slice_label("home country"), slice_label("7th")
    ('home_country', 'key_7th')
    """
    label = re.sub(r"[^a-zA-Z0-9_]", "_", semconv.prometheus_label(name))
    return f"key_{label}" if not label or label[0].isdigit() else label
