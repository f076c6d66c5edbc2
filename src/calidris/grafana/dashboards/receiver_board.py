"""The dashboard of the receivers themselves: what came in and what became of it, what waits, what the disk and the process do."""

from __future__ import annotations

from collections.abc import Sequence

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Receiver
from calidris.grafana.panels import About, Panel, Query, graph, listing
from calidris.grafana.variables import RATE_INTERVAL
from calidris.semconv import Metric

INSTANCE = "instance"
"""One line a receiver: each has a queue, a journal and a checkpoint of its own."""

_CHOSEN = f'{INSTANCE}=~"$instance"'
_STATE = semconv.prometheus_label(semconv.CALIDRIS_STATE)
_VERSION = semconv.prometheus_label(semconv.CALIDRIS_VERSION)


def status() -> list[Panel]:
    """What the receivers are, and whether they keep up."""
    states = promql.by("max", (INSTANCE, _STATE), promql.selector(semconv.METRIC_CALIDRIS_RECEIVER_STATE, _CHOSEN))
    builds = promql.by("max", (INSTANCE, _VERSION), promql.selector(semconv.METRIC_CALIDRIS_BUILD_INFO, _CHOSEN))
    about_state = _about(Receiver.STATE, "State", "What each receiver does now: ready is what it should be.", "none", 6)
    about_build = _about(Receiver.BUILD, "Version", "Which version runs where.", "none", 6)
    return [
        listing(about_state, Query(states, ""), {INSTANCE: "Receiver", _STATE: "State"}),
        listing(about_build, Query(builds, ""), {INSTANCE: "Receiver", _VERSION: "Version"}),
        _values(
            _about(Receiver.LAG, "Lag", "Age of the oldest record that is durable and not yet applied.", "s", 6),
            (semconv.METRIC_CALIDRIS_LAG_TIME, "lag"),
        ),
        _values(
            _about(
                Receiver.AGES,
                "Age of figures and checkpoint",
                "Rising without end means that they fail; and the clock against the time that windows close by.",
                "s",
                6,
            ),
            (semconv.METRIC_CALIDRIS_SNAPSHOT_AGE, "figures"),
            (semconv.METRIC_CALIDRIS_CHECKPOINT_AGE, "checkpoint"),
            (semconv.METRIC_CALIDRIS_CLOCK_OFFSET, "clock ahead"),
        ),
    ]


def balance() -> list[Panel]:
    """Received = accepted + rejected + ignored, and read = counted + set aside: docs/operations.md has the laws."""
    return [
        _rates(
            _about(
                Receiver.REQUESTS, "Requests", "Calls begun, by signal, and answers, by kind, a second.", "reqps", 8
            ),
            (semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_BEGUN, "begun"),
            (semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS, "answered"),
            (semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE, "repeated"),
            (semconv.METRIC_CALIDRIS_ACCESS_REFUSED, "refused access"),
            (semconv.METRIC_CALIDRIS_ACCESS_FAILURES, "unusable tokens or certificates"),
        ),
        _rates(
            _about(Receiver.SPANS, "Spans", "Received is accepted, rejected and ignored together.", "cps", 8),
            (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_RECEIVED, "received"),
            (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_ACCEPTED, "accepted"),
            (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED, "rejected"),
            (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_IGNORED, "ignored"),
            (semconv.METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE, "repeated"),
        ),
        _rates(
            _about(Receiver.BYTES, "Bytes received", "Bytes of requests a second, uncompressed.", "Bps", 8),
            (semconv.METRIC_CALIDRIS_RECEIVER_RECEIVED, "received"),
        ),
        _rates(
            _about(Receiver.ROWS, "Rows", "What became of the predictions that the journal holds, a second.", "cps", 8),
            (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_ACCEPTED, "accepted, with labels"),
            (semconv.METRIC_CALIDRIS_ENGINE_ROWS, "read"),
            (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, "late"),
            (semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE, "repeated"),
            (semconv.METRIC_CALIDRIS_RECEIVER_TIMES_CLAMPED, "time moved"),
            (semconv.METRIC_CALIDRIS_RECEIVER_SCORES_CLIPPED, "score cut off"),
            (semconv.METRIC_CALIDRIS_MODELS_OVERFLOW, "beyond a cap"),
            (semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED, "failed"),
        ),
        _rates(
            _about(Receiver.LABELS, "Labels", "What became of the labels that the journal holds, a second.", "cps", 8),
            (semconv.METRIC_CALIDRIS_ENGINE_LABELS, "read"),
            (semconv.METRIC_CALIDRIS_LABELS_REVISED, "in place of another"),
            (semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, "unmatched"),
            (semconv.METRIC_CALIDRIS_LABELS_DUPLICATE, "repeated"),
        ),
        _rates(
            _about(
                Receiver.CAPS, "Caps", "Values that a cap left without a name; versions and days forgotten.", "cps", 8
            ),
            (semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW, "values"),
            (semconv.METRIC_CALIDRIS_MODELS_RETIRED, "versions forgotten"),
            (semconv.METRIC_CALIDRIS_ROWS_RETIRED, "their rows"),
            (semconv.METRIC_CALIDRIS_LABELS_RETIRED, "their labels"),
            (semconv.METRIC_CALIDRIS_PANES_DELETED, "old days deleted"),
        ),
    ]


def waiting() -> list[Panel]:
    """What waits in memory."""
    return [
        _values(
            _about(
                Receiver.QUEUE, "Queue", "Bytes admitted and not yet applied; at the limit senders wait.", "bytes", 6
            ),
            (semconv.METRIC_CALIDRIS_QUEUE_SIZE, "queue"),
            (semconv.METRIC_CALIDRIS_QUEUE_LIMIT, "limit"),
        ),
        _values(
            _about(
                Receiver.ITEMS, "Records that wait", "Durable and not yet applied; decoded ones among them.", "short", 6
            ),
            (semconv.METRIC_CALIDRIS_LAG_RECORDS, "durable"),
            (semconv.METRIC_CALIDRIS_QUEUE_ITEMS, "decoded"),
        ),
        _values(
            _about(Receiver.EARLY, "Early labels", "Labels that came before their prediction.", "short", 6),
            (semconv.METRIC_CALIDRIS_LABELS_EARLY, "early"),
        ),
        _values(
            _about(Receiver.HORIZON, "Memory of repeats", "How far back spans that come again are known.", "s", 6),
            (semconv.METRIC_CALIDRIS_DEDUP_HORIZON, "horizon"),
        ),
    ]


def disk() -> list[Panel]:
    """Journal and checkpoint."""
    sync, syncs = semconv.METRIC_CALIDRIS_JOURNAL_SYNC_TIME, semconv.METRIC_CALIDRIS_JOURNAL_SYNCS
    save, saves = semconv.METRIC_CALIDRIS_CHECKPOINT_TIME, semconv.METRIC_CALIDRIS_CHECKPOINT_SAVES
    slow = _about(Receiver.SYNC, "Time of a sync", "Mean and longest time to make a group of records durable.", "s", 8)
    saving = _about(Receiver.SAVING, "Time of a checkpoint", "Mean and newest time to save the state.", "s", 8)
    return [
        _values(
            _about(Receiver.JOURNAL, "Journal", "Bytes that no checkpoint covers, cap, and all on disk.", "bytes", 8),
            (semconv.METRIC_CALIDRIS_JOURNAL_LIVE, "live"),
            (semconv.METRIC_CALIDRIS_JOURNAL_LIMIT, "limit"),
            (semconv.METRIC_CALIDRIS_JOURNAL_SIZE, "on disk"),
        ),
        graph(
            slow,
            [Query(_mean(sync, syncs), _named("mean")), _value(semconv.METRIC_CALIDRIS_JOURNAL_SYNC_MAX, "longest")],
        ),
        _rates(
            _about(
                Receiver.WRITES, "Writes", "Records made durable and groups they were written in, a second.", "cps", 8
            ),
            (semconv.METRIC_CALIDRIS_JOURNAL_RECORDS, "records"),
            (syncs, "groups"),
        ),
        graph(
            saving,
            [Query(_mean(save, saves), _named("mean")), _value(semconv.METRIC_CALIDRIS_CHECKPOINT_DURATION, "newest")],
        ),
        _values(
            _about(Receiver.CHECKPOINT, "Checkpoint", "Bytes of the saved state.", "bytes", 8),
            (semconv.METRIC_CALIDRIS_CHECKPOINT_SIZE, "checkpoint"),
        ),
        _rates(
            _about(
                Receiver.LOST,
                "Faults of the disk and ours",
                "Flat zero is healthy; anything else needs a look.",
                "cps",
                8,
            ),
            (semconv.METRIC_CALIDRIS_JOURNAL_LOST, "records lost"),
            (semconv.METRIC_CALIDRIS_JOURNAL_TORN, "bytes torn"),
            (semconv.METRIC_CALIDRIS_ENGINE_FAILURES, "failures"),
        ),
    ]


def process() -> list[Panel]:
    """The process, its start, and what leaves it."""
    return [
        _values(
            _about(Receiver.MEMORY, "Memory", "Resident bytes; flat over hours is healthy.", "bytes", 6),
            (semconv.METRIC_CALIDRIS_PROCESS_MEMORY, "resident"),
        ),
        _rates(
            _about(
                Receiver.PROCESSOR,
                "Processor",
                "Share of one core; the engine cannot use more than one.",
                "percentunit",
                6,
            ),
            (semconv.METRIC_CALIDRIS_PROCESS_CPU_TIME, "used"),
        ),
        _values(
            _about(
                Receiver.DESCRIPTORS,
                "Descriptors and threads",
                "Open files and sockets, their limit, threads.",
                "short",
                6,
            ),
            (semconv.METRIC_CALIDRIS_PROCESS_DESCRIPTORS, "open"),
            (semconv.METRIC_CALIDRIS_PROCESS_DESCRIPTORS_LIMIT, "limit"),
            (semconv.METRIC_CALIDRIS_PROCESS_THREADS, "threads"),
        ),
        _values(
            _about(
                Receiver.DURATIONS,
                "Uptime, replay, figures",
                "Age of the process, its replay, renewal of figures.",
                "s",
                6,
            ),
            (semconv.METRIC_CALIDRIS_PROCESS_UPTIME, "up"),
            (semconv.METRIC_CALIDRIS_REPLAY_DURATION, "replay"),
            (semconv.METRIC_CALIDRIS_SNAPSHOT_DURATION, "figures"),
        ),
        _rates(
            _about(
                Receiver.LEAVING,
                "Pushes, replayed records, log",
                "What leaves, and log lines left out, a second.",
                "cps",
                12,
            ),
            (semconv.METRIC_CALIDRIS_EXPORT_PUSHES, "pushes"),
            (semconv.METRIC_CALIDRIS_EXPORT_PUSHES_FAILED, "failed pushes"),
            (semconv.METRIC_CALIDRIS_REPLAY_RECORDS, "replayed records"),
            (semconv.METRIC_CALIDRIS_LOG_SUPPRESSED, "log lines left out"),
        ),
    ]


def _about(panel: Receiver, title: str, description: str, unit: str, width: int) -> About:
    return About(panel, title, description, unit, width)


def _values(about: About, *shown: tuple[Metric, str]) -> Panel:
    return graph(about, [_value(metric, name) for metric, name in shown])


def _value(metric: Metric, name: str) -> Query:
    return Query(promql.by("max", (INSTANCE,), promql.selector(metric, _CHOSEN)), _named(name))


def _rates(about: About, *shown: tuple[Metric, str]) -> Panel:
    return graph(about, [Query(_rate(metric), f"{_named(name)} {{{{{promql.REASON}}}}}") for metric, name in shown])


def _rate(metric: Metric, labels: Sequence[str] = (INSTANCE, promql.REASON)) -> str:
    return promql.by("sum", labels, promql.rate(metric, RATE_INTERVAL, _CHOSEN))


def _mean(seconds: Metric, times: Metric) -> str:
    return f"{_rate(seconds, (INSTANCE,))} / {_rate(times, (INSTANCE,))}"


def _named(name: str) -> str:
    return f"{name} {{{{{INSTANCE}}}}}"
