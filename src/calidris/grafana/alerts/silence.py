"""While no rows of a model come, its silence is told and nothing new: what is said of it would be about rows of long ago.

What stood before stays: an alert must not resolve because what it watches is gone.
"""

from __future__ import annotations

from calidris import semconv
from calidris.config.units import window_name
from calidris.grafana import promql
from calidris.grafana.alerts.alert import Recording

SILENCE = "30m"
"""Without rows for so long a model is silent; the engine has the same bound for alarms that it raises then."""

SILENT = "ml_model:silent:bool"
"""The recorded series; where Prometheus does not record it, nothing is held back."""

FIRING = promql.equals("alertstate", "firing")


def silence_recording() -> Recording:
    """1 for each model without rows, else 0. Recorded, as a dozen rules ask for it at each of their evaluations.

    A model whose rows come in jobs is silent between them: of such a one the receiver says in its status when some are missing.
    """
    rows = promql.increase(semconv.METRIC_ML_RECEIVED_ROWS, SILENCE)
    batch, missed = batch_models(()), missed_jobs(())
    live = f"({_by_name(rows)} == bool 0) unless on ({promql.NAME}) {batch}"
    return Recording(SILENT, f"{live}\nor ({missed} == bool {batch})\nor 0 * {batch}")


def batch_models(matchers: tuple[str, ...]) -> str:
    """How many versions of each model have rows that come in jobs."""
    return _by_name(_jobs(matchers))


def missed_jobs(matchers: tuple[str, ...]) -> str:
    """How many of those miss jobs, by their status."""
    stale = promql.equals(promql.STATE, "stale")
    state = promql.selector(semconv.METRIC_ML_MONITORING_STATUS, *matchers, stale)
    return _by_name(f"{state} * on ({promql.NAME}, {promql.VERSION}) {_jobs(matchers)}")


def nothing_new(
    expr: str,
    matchers: tuple[str, ...],
    firing: tuple[str, ...],
    span_s: float = 0.0,
) -> str:
    """An expression without what begins while a model is silent; what fires already goes on. Only Prometheus knows the latter.

    Args:
        expr: what is told while rows come.
        matchers: which models.
        firing: matchers of the alert itself, as Prometheus keeps it.
        span_s: the model must have been silent for so long.
    """
    silent = _silent_for(matchers, span_s)
    fires = promql.selector("ALERTS", *firing, FIRING)
    begins = f"({silent} == 1) unless on ({promql.NAME}) {fires}"
    return f"(\n{expr}\n)\nunless on ({promql.NAME}) ({begins})"


def not_raised_in_silence(
    latched: str,
    raised_silent: str,
    matchers: tuple[str, ...],
    same: tuple[str, ...],
) -> str:
    """Latched alarms but for those that were raised while a silent model was silent: those wait until its rows come again.

    Args:
        latched: 1 for each latched detector, 0 for the others.
        raised_silent: 1 where every latched alarm of it was raised without rows.
        matchers: which models.
        same: labels of both.
    """
    silent = _silent_for(matchers, 0.0)
    untold = f"({raised_silent} == 1) and on ({promql.NAME}) ({silent} == 1)"
    labels = ", ".join(same)
    return f"({latched}\nunless on ({labels}) ({untold}))\nor 0 * {latched}"


def _silent_for(matchers: tuple[str, ...], span_s: float) -> str:
    silent = promql.selector(SILENT, *matchers)
    return f"min_over_time({silent}[{window_name(span_s)}])" if span_s else silent


def _jobs(matchers: tuple[str, ...]) -> str:
    return promql.selector(semconv.METRIC_ML_MONITORING_BATCH, *matchers)


def _by_name(inner: str) -> str:
    names = (promql.NAME,)
    return promql.by("sum", names, inner)
