"""Alerts on the receiver itself. Tickets all: nobody's model gets worse because the monitor is blind."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.alerts.alert import TICKET, Alert
from calidris.grafana.panel_ids import SCRAPE_JOB, Overview, panel_id


def receiver_alerts() -> tuple[Alert, ...]:
    """A receiver that does not answer, figures that nobody sends, records lost, figures left out."""
    return _down(), _absent(), _lost(), _dropped()


def _down() -> Alert:
    up = promql.by("max", ("instance",), promql.selector("up", promql.equals("job", SCRAPE_JOB)))
    return Alert(
        name="CalidrisReceiverDown",
        key="",
        title="Calidris receiver down",
        expr=f"1 - {up}",
        threshold=0,
        pending="5m",
        severity=TICKET,
        summary="Calidris receiver {{ $labels.instance }} does not answer",
        description=(
            "Prometheus has not been able to scrape the receiver at {{ $labels.instance }} for 5 minutes: its models "
            "are not watched, and their other alerts are silent whatever happens. What senders hold back is kept by "
            "the Collector's queue. See the last lines of its log, free disk space and memory, and start it again: it "
            "goes on from its journal and loses nothing that it has acknowledged."
        ),
        runbook="receiver-down",
        panel=panel_id(Overview.REQUESTS),
    )


def _absent() -> Alert:
    """Pushed figures have no ``up``: only their absence tells."""
    metric = promql.selector(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS)
    return Alert(
        name="CalidrisAbsent",
        key="",
        title="Calidris absent",
        expr=f"absent({metric}) or vector(0)",
        threshold=0,
        pending="10m",
        severity=TICKET,
        summary="Prometheus has no figures of any Calidris receiver",
        description=(
            "No receiver has delivered any figure of its own for 10 minutes, scraped or pushed: no model is watched, "
            "and no other alert of this group can fire. See whether a receiver runs at all, and whether its scrape "
            "job or its OTLP push (export.otlp) is still configured."
        ),
        runbook="receiver-down",
        panel=panel_id(Overview.REQUESTS),
    )


def _lost() -> Alert:
    """Records lost are known at the start, before the first scrape, so their counter is taken as it stands."""
    failures = promql.increase(semconv.METRIC_CALIDRIS_ENGINE_FAILURES, "1h")
    lost = promql.selector(semconv.METRIC_CALIDRIS_JOURNAL_LOST)
    return Alert(
        name="CalidrisRecordsLost",
        key="",
        title="Calidris records lost",
        expr=f"{promql.by('sum', (), failures)} + {promql.by('max', (), lost)}",
        threshold=0,
        pending="0s",
        severity=TICKET,
        summary="Calidris could not count requests that it had acknowledged",
        description=(
            "Records of the journal could not be read back after the last start of a receiver, or could not be applied "
            "in the last hour: figures of these minutes lack some rows. Its log names each record. A damaged disk "
            "loses records; a record that is read but not applied is a defect of ours: please report it with the log. "
            "The alert ends an hour after the last failure, or with the next clean start."
        ),
        runbook="records-lost",
        panel=panel_id(Overview.LOSSES),
    )


def _dropped() -> Alert:
    """Not a rate: the receiver counts what its newest export left out, a standing number and no flow."""
    dropped = promql.selector(semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED)
    return Alert(
        name="CalidrisSeriesDropped",
        key="",
        title="Calidris series left out",
        expr=promql.by("max", (), dropped),
        threshold=0,
        pending="15m",
        severity=TICKET,
        summary="{{ $value }} series are not exported: a model has more of them than the cap",
        description=(
            "A model has more series than export.max_series_per_model, for more than 15 minutes, and {{ $value }} of "
            "the least important ones (details, slices, single features) do not reach Prometheus. Alarms and headline "
            "figures always do. Choose a lower export.series, fewer slices, or a higher cap; `calidris check` prints "
            "the count of each model."
        ),
        runbook="series-dropped",
        panel=panel_id(Overview.SERIES),
    )
