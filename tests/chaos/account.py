"""The conservation law: whatever was sent is counted, recognised as a repeat, refused, ignored or beyond a cap.

Late rows are among the counted ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import le
from typing import Any

from running import Running, until
from senders import Request

from calidris import semconv
from calidris.app.restore import Storage
from calidris.config import load
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind
from calidris.receive.intake import received_again
from calidris.wire import decode

DUPLICATE = "calidris.receiver.requests.duplicate"
UNMATCHED = "calidris.labels.unmatched"
REVISED = "calidris.labels.revised"
OVERFLOW = "calidris.models.overflow"
FAILURES = "calidris.engine.failures"
LOST = "calidris.journal.lost"
LAW = {
    semconv.METRIC_CALIDRIS_ENGINE_ROWS: (
        semconv.METRIC_ML_RECEIVED_ROWS,
        semconv.METRIC_CALIDRIS_ROWS_RETIRED,
        semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE,
        semconv.METRIC_CALIDRIS_MODELS_OVERFLOW,
        semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED,
    ),
    semconv.METRIC_CALIDRIS_ENGINE_LABELS: (
        semconv.METRIC_ML_RECEIVED_LABELS,
        semconv.METRIC_CALIDRIS_LABELS_RETIRED,
        semconv.METRIC_CALIDRIS_LABELS_DUPLICATE,
        semconv.METRIC_CALIDRIS_LABELS_UNMATCHED,
        semconv.METRIC_CALIDRIS_LABELS_EARLY,
        semconv.METRIC_CALIDRIS_LABELS_REVISED,
    ),
}


def total(told: dict[str, Any], name: str) -> int:
    """A counter of the engine or of the program in a status, over all reasons."""
    found = told["counters"].get(name, told["health"].get(name, 0))
    return int(sum(found.values()) if isinstance(found, dict) else found)


def accounted(told: dict[str, Any]) -> tuple[int, int]:
    """Rows and labels that a status accounts for; late rows are among those of their model."""
    rows = sum(m["rows"] for m in told["models"]) + total(told, OVERFLOW)
    return rows, sum(m["labels"] for m in told["models"]) + total(told, UNMATCHED) + total(told, REVISED)


def settled(receiver: Running) -> None:
    """Fail unless every row and label that was read from the journal has exactly one outcome in the exported counters."""
    told: Counter[str] = Counter()
    for (name, _), value in receiver.metrics().items():
        told[name] += round(value)
    for read, outcomes in LAW.items():
        assert told[read.prometheus] == sum(told[metric.prometheus] for metric in outcomes) > 0, (read.name, told)


def conserved(receiver: Running, requests: Sequence[Request]) -> dict[str, Any]:
    """Wait until each of these requests is counted, then fail unless each was counted once and every repeat known as one.

    Args:
        receiver: a running one.
        requests: all that were ever sent and may be in its state, with how often they were sent and acknowledged.

    Returns:
        The status.
    """
    wanted = sum(r.rows for r in requests), sum(r.labels for r in requests)
    fewest = sum(r.acknowledged for r in requests) - len(requests)

    def arrived() -> bool:
        now = receiver.status()
        assert all(map(le, accounted(now), wanted)), "something counted twice"
        return accounted(now) == wanted and total(now, DUPLICATE) >= fewest and not now["health"]["calidris.queue.size"]

    until(arrived, 60)
    told = receiver.status()
    assert fewest <= total(told, DUPLICATE) <= sum(r.sent for r in requests) - len(requests)
    settled(receiver)
    assert not told["counters"].get(FAILURES) and not total(told, LOST)
    return told


def journalled(receiver: Running) -> Counter[bytes]:
    """Every request that the journal of a stopped receiver holds, with how often; it must have kept all segments."""
    journal = Journal(load(receiver.config).storage.path / "journal", keep_truncated=True)
    try:
        found = Counter(record.payload for record in journal.replay(0) if record.kind == Kind.REQUEST)
        assert journal.lost_records == 0
        return found
    finally:
        journal.close()


def restored(receiver: Running) -> tuple[str, Engine]:
    """What a stopped receiver's checkpoint holds, as a digest and as an engine; nothing is left to replay."""
    storage = Storage(load(receiver.config), on_failure=lambda error: None)
    try:
        assert storage.replay(lambda: False) == 0, "the last checkpoint holds everything"
        return digest(storage.engine), storage.engine
    finally:
        storage.close()


def replayed(receiver: Running) -> tuple[str, Engine]:
    """What one pass over a stopped receiver's whole journal makes of an empty engine."""
    config = load(receiver.config)
    engine = Engine(config, restored(receiver)[1].fleet.find_baseline)
    journal = Journal(config.storage.path / "journal", keep_truncated=True)
    try:
        for record in journal.replay(0):
            engine.apply(received_again(record, decode))
    finally:
        journal.close()
    return digest(engine), engine
