"""Alerts on a receiver that does not keep up. Tickets all: senders hold back what it does not take, for as long as they can."""

from __future__ import annotations

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.grafana import promql
from calidris.grafana.alerts.alert import TICKET, Alert
from calidris.grafana.panel_ids import Receiver, panel_id
from calidris.semconv import Metric

NEARLY_FULL = 0.8
LAG_S = 60
OLD_READINGS_S = 300
CHECKPOINT_S = 600
"""Beside three intervals of the configuration."""

WAIT = ("rate_requests", "rate_rows", "throttled", "throttled_tenant")
"""The reasons of answers that ask a sender to try again; a test holds them to the receiver's own table."""

_WHERE = "{{ $labels.instance }}"
_PERCENT = "{{ $value | humanizePercentage }}"
_DURATION = "{{ $value | humanizeDuration }}"


def backpressure_alerts(config: CalidrisConfig) -> tuple[Alert, ...]:
    """Queue, journal, refusals, lag, figures and checkpoint."""
    return _queue(), _journal(), _refusing(), _lagging(), _late_readings(), _checkpoint(config)


def _queue() -> Alert:
    return Alert(
        name="CalidrisQueueFull",
        key="",
        title="Calidris queue nearly full",
        expr=_share(semconv.METRIC_CALIDRIS_QUEUE_SIZE, semconv.METRIC_CALIDRIS_QUEUE_LIMIT),
        threshold=NEARLY_FULL,
        pending="5m",
        severity=TICKET,
        summary=f"The queue of Calidris receiver {_WHERE} is nearly full",
        description=(
            f"{_PERCENT} of receiver.queue_bytes have been waiting for the engine for 5 minutes; when it is full, senders are "
            "asked to try again. More arrives than one core can apply: see rows a second and the processor on the Receiver "
            "dashboard. Send packed spans instead of one row a span, take a receiver for half of the models, or find the "
            "sender that floods it and give it a rate (receiver.rates)."
        ),
        runbook="queue-full",
        panel=panel_id(Receiver.QUEUE),
    )


def _journal() -> Alert:
    return Alert(
        name="CalidrisJournalFull",
        key="",
        title="Calidris journal nearly full",
        expr=_share(semconv.METRIC_CALIDRIS_JOURNAL_LIVE, semconv.METRIC_CALIDRIS_JOURNAL_LIMIT),
        threshold=NEARLY_FULL,
        pending="5m",
        severity=TICKET,
        summary=f"The journal of Calidris receiver {_WHERE} is nearly full",
        description=(
            f"{_PERCENT} of storage.journal.max_bytes have been in use for 5 minutes; when it is full, senders are asked to "
            "try again. A checkpoint frees the journal and is due at half of the cap, so checkpoints fail or are too slow: "
            "see their age and time on the Receiver dashboard and the log. Free space on the disk of storage.path, or "
            "raise the cap where the disk has room."
        ),
        runbook="journal-full",
        panel=panel_id(Receiver.JOURNAL),
    )


def _refusing() -> Alert:
    throttled = promql.among(promql.REASON, WAIT)
    refused = promql.increase(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS, "5m", throttled)
    # 0 where it never refused: a series of its own begins with the first refusal.
    answered = promql.increase(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS, "5m")
    every = promql.by("sum", ("instance",), answered)
    return Alert(
        name="CalidrisRefusing",
        key="",
        title="Calidris refuses requests",
        expr=f"{promql.by('sum', ('instance',), refused)} or 0 * {every}",
        threshold=0,
        pending="15m",
        severity=TICKET,
        summary=f"Calidris receiver {_WHERE} keeps asking senders to wait",
        description=(
            "The receiver has asked senders to try again for 15 minutes without a break. A Collector with a queue on disk "
            "holds back what it sends for hours; a service that sends by itself drops it after some seconds. Its queue or "
            "its journal is full, its disk fails, or receiver.rates is set too low: the message of the refusal, the log "
            "and the Receiver dashboard say which."
        ),
        runbook="refusing",
        panel=panel_id(Receiver.REQUESTS),
    )


def _lagging() -> Alert:
    return Alert(
        name="CalidrisLagging",
        key="",
        title="Calidris lags behind",
        expr=_own(semconv.METRIC_CALIDRIS_LAG_TIME),
        threshold=LAG_S,
        pending="5m",
        severity=TICKET,
        summary=f"Calidris receiver {_WHERE} applies records {_DURATION} late",
        description=(
            f"The oldest record that is acknowledged and not yet applied has waited for {_DURATION}, and longer than a minute for "
            "5 minutes: figures are as old, and windows close without rows that were sent in time. Nothing is lost. The "
            "processor is busy (more rows than one core applies), or the disk stalls (time of a checkpoint): the Receiver "
            "dashboard tells which of the two."
        ),
        runbook="lagging",
        panel=panel_id(Receiver.LAG),
    )


def _late_readings() -> Alert:
    return Alert(
        name="CalidrisFiguresOld",
        key="",
        title="Calidris figures are old",
        expr=_own(semconv.METRIC_CALIDRIS_SNAPSHOT_AGE),
        threshold=OLD_READINGS_S,
        pending="5m",
        severity=TICKET,
        summary=f"Figures of Calidris receiver {_WHERE} are {_DURATION} old",
        description=(
            f"The receiver answers, but it has not renewed its figures for {_DURATION}: dashboards show the past, and alerts on "
            "models look at it. Telemetry is taken and kept all the same. Its log says which figure fails; that is a defect "
            "of ours: please report it with the log. Until then, starting it again may help, and loses nothing."
        ),
        runbook="figures-old",
        panel=panel_id(Receiver.AGES),
    )


def _checkpoint(config: CalidrisConfig) -> Alert:
    return Alert(
        name="CalidrisCheckpointOld",
        key="",
        title="Calidris checkpoint is old",
        expr=_own(semconv.METRIC_CALIDRIS_CHECKPOINT_AGE),
        threshold=CHECKPOINT_S + 3 * round(config.storage.checkpoint_interval),
        pending="5m",
        severity=TICKET,
        summary=f"Calidris receiver {_WHERE} has not saved its state for {_DURATION}",
        description=(
            f"The newest checkpoint is {_DURATION} old. Nothing is lost: the journal has everything since. But it grows until it "
            "is full and senders are refused, and the next start reads all of it back. The disk of storage.path is full, "
            "read-only or too slow: see the log and the time of a checkpoint on the Receiver dashboard."
        ),
        runbook="checkpoint-old",
        panel=panel_id(Receiver.AGES),
    )


def _share(used: Metric, limit: Metric) -> str:
    return f"{_own(used)} / {_own(limit)}"


def _own(metric: Metric) -> str:
    return promql.by("max", ("instance",), promql.selector(metric))
