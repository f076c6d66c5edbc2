"""Labels that come at other times than they did: a ticket of their own, in place of alerts on what they would say of the model."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.alerts.alert import TICKET, Alert
from calidris.grafana.alerts.audience import Audience
from calidris.grafana.alerts.latched import KEEP, MODEL, WHO, latched
from calidris.grafana.alerts.silence import FIRING
from calidris.grafana.panel_ids import Overview, panel_id

LABELS = "labels"
"""The kind of the detectors that watch them."""


def labels_moved(audience: Audience) -> Alert:
    """Performance, calibration and fairness are not judged while it stands."""
    kept = (*WHO, promql.WINDOW, promql.DETECTION_KIND)
    return Alert(
        name="ModelLabelsMoved",
        key=audience.key,
        title=f"Model labels moved{audience.suffix}",
        expr=latched(audience, kept, promql.equals(promql.DETECTION_KIND, LABELS)),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=TICKET,
        summary=f"{MODEL}: labels moved, performance not judged",
        description=(
            f"True outcomes of {MODEL} come at other times than they did: those of one class later or sooner, or fewer rows have one "
            "at their age. What labels of one age say of the model would be about other rows than before, so performance, calibration "
            "and fairness are on hold and raise nothing. /v1/alarms of the read API says what moved and since when. Mend what brings "
            "the labels: once they come as they did this alarm ends by itself and those go on. Where they will stay as they are now, build a "
            "baseline of rows with such labels (--label-time)."
        ),
        runbook="labels-moved",
        panel=panel_id(Overview.COVERAGE),
        labels=audience.labels,
    )


def unless_moved(
    worse: str,
    audience: Audience,
    firing: tuple[str, ...],
) -> str:
    """How much worse a figure of labels is, without what begins while labels have moved; what fires already goes on.

    Args:
        worse: the figure.
        audience: whose models.
        firing: matchers of the alert itself, as Prometheus keeps it.
    """
    moved = promql.equals(promql.WAITS_FOR, semconv.ML_DETECTION_WAITS_FOR_LABELS_MOVED)
    held = promql.selector(semconv.METRIC_ML_DETECTION_WAITING, *audience.matchers, moved)
    fires = promql.selector("ALERTS", *firing, FIRING)
    on = ", ".join(WHO)
    begins = f"({held} > 0) unless on ({on}) {fires}"
    return f"(\n{worse}\n)\nunless on ({on}) ({begins})"
