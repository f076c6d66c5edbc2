"""Rows that came after their window was closed: they are shown and never scored, so nobody watches what they say."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.alerts.alert import TICKET, Alert
from calidris.grafana.alerts.audience import Audience
from calidris.grafana.alerts.performance_alerts import MODEL, WHO
from calidris.grafana.panel_ids import Overview, panel_id

SPAN = "1h"
SHARE = 0.05
"""Of the rows of that time. A sender that tries again after an outage brings a few late rows, and they cost no alarm."""
FEWEST = 30
"""Fewer late rows say nothing: a window with fewer rows is not scored by itself either."""


def late_rows(audience: Audience) -> Alert:
    """A model of which many rows are not scored."""
    return Alert(
        name="ModelRowsLate",
        key=audience.key,
        title=f"Model rows late{audience.suffix}",
        expr=_share(audience),
        threshold=SHARE,
        pending="5m",
        severity=TICKET,
        summary=f"{MODEL}: rows come after their windows are closed and are not scored",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the rows of {MODEL} in the last hour came after their window was closed: "
            "they are counted and shown, and no detector has seen them. A job that brings many hours at once needs "
            "`arrival: batch` in the model's settings, or rows that carry ml.prediction.batch_id; a job that pauses, a longer "
            "`batch_idle`. Else see the sender's clock and backlog, or raise `receiver.lateness`."
        ),
        runbook="late-rows",
        panel=panel_id(Overview.ROWS),
        labels=audience.labels,
    )


def _share(audience: Audience) -> str:
    """Late rows as a part of all rows; 0 where none came, or too few were late."""
    late, rows = (
        promql.by("sum", WHO, promql.increase(metric, SPAN, *audience.matchers))
        for metric in (semconv.METRIC_ML_RECEIVED_LATE, semconv.METRIC_ML_RECEIVED_ROWS)
    )
    return f"({late} / ({rows} > 0))\n* ({late} > bool {FEWEST})\nor 0 * {rows}"
