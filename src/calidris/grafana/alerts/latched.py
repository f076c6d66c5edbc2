"""Alarms that detectors have latched, as alerts read them."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.alerts.audience import Audience
from calidris.grafana.alerts.silence import not_raised_in_silence

KEEP = "10m"
"""An alert on a state outlives a restart of the receiver."""

WHO = (promql.NAME, promql.VERSION)
MODEL = "{{ $labels.ml_model_name }} {{ $labels.ml_model_version }}"


def latched(
    audience: Audience,
    kept: tuple[str, ...],
    kinds: str,
    severities: tuple[str, ...] = (),
) -> str:
    """1 for each latched detector of some kinds, 0 for the others, and for what was raised while its model was silent."""
    alarm = semconv.METRIC_ML_DETECTION_ALARM
    silent = semconv.METRIC_ML_DETECTION_ALARM_SILENT
    return not_raised_in_silence(
        _largest(alarm, audience, kept, (kinds, *severities)),
        _largest(silent, audience, kept, (kinds,)),
        audience.matchers,
        kept,
    )


def _largest(
    metric: semconv.Metric,
    audience: Audience,
    kept: tuple[str, ...],
    matchers: tuple[str, ...],
) -> str:
    series = promql.selector(metric, *audience.matchers, *matchers)
    return promql.by("max", kept, series)
