"""The panels of the receiver's own health: a monitor that is blind must say so."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Overview
from calidris.grafana.panels import About, Panel, Query, graph, number
from calidris.grafana.variables import RATE_INTERVAL
from calidris.semconv import Metric

_INSTANCE = "instance"
"""One line a receiver: each has a queue, a journal and a checkpoint of its own."""

_LOSSES: tuple[tuple[Metric, str], ...] = (
    (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED, "rejected spans"),
    (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, "late rows"),
    (semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE, "repeated requests"),
    (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE, "repeated spans"),
    (semconv.METRIC_CALIDRIS_RECEIVER_VALUES_NON_FINITE, "infinite values"),
    (semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, "unmatched labels"),
    (semconv.METRIC_CALIDRIS_MODELS_OVERFLOW, "rows of too many models"),
    (semconv.METRIC_CALIDRIS_ENGINE_FAILURES, "records not applied"),
    (semconv.METRIC_CALIDRIS_JOURNAL_LOST, "records lost"),
)


def health() -> list[Panel]:
    """What the receiver answers, refuses, queues and leaves out."""
    return [_requests(), _losses(), _bytes(), _checkpoint(), _series()]


def _requests() -> Panel:
    about = About(Overview.REQUESTS, "Requests answered", "OTLP requests a second, by answer.", "reqps", 8)
    return graph(about, [Query(_rate(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS), f"{{{{{promql.REASON}}}}}")])


def _losses() -> Panel:
    about = About(
        Overview.LOSSES,
        "Refused or set aside",
        "Everything that arrived and was not counted as it was sent, a second, by reason. Flat zero is healthy.",
        "cps",
        8,
    )
    return graph(about, [Query(_rate(metric), f"{what} {{{{{promql.REASON}}}}}") for metric, what in _LOSSES])


def _bytes() -> Panel:
    about = About(
        Overview.BYTES,
        "Queue and journal",
        "Bytes admitted and not yet applied, and bytes of journal on disk. At receiver.queue_bytes or "
        "storage.journal.max_bytes senders are asked to wait.",
        "bytes",
        8,
    )
    sizes = ((semconv.METRIC_CALIDRIS_QUEUE_SIZE, "queue"), (semconv.METRIC_CALIDRIS_JOURNAL_SIZE, "journal"))
    return graph(about, [Query(_own(metric), f"{what} {{{{{_INSTANCE}}}}}") for metric, what in sizes])


def _checkpoint() -> Panel:
    about = About(
        Overview.CHECKPOINT,
        "Age of the checkpoint",
        "Time since the state was last saved. Rising without end means the disk takes no more.",
        "s",
        12,
    )
    return graph(about, [Query(_own(semconv.METRIC_CALIDRIS_CHECKPOINT_AGE), f"{{{{{_INSTANCE}}}}}")])


def _series() -> Panel:
    about = About(
        Overview.SERIES,
        "Series left out",
        "Series that are not exported because a model reached export.max_series_per_model.",
        "none",
        12,
    )
    # Not a rate: the receiver counts what its newest export left out, a standing number and no flow.
    inner = promql.selector(semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED)
    return number(about, Query(promql.by("max", (), inner), "left out"))


def _rate(metric: Metric) -> str:
    return promql.by("sum", (promql.REASON,), promql.rate(metric, RATE_INTERVAL))


def _own(metric: Metric) -> str:
    return promql.by("max", (_INSTANCE,), promql.selector(metric))
