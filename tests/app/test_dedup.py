"""Every span ten times, never twice in the same request, in any order, over restarts: each counts once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from running import labels, rows, until

from calidris import semconv
from calidris.wire import encode_labels, encode_predictions

COPIES, REQUESTS = 10, 120
Make = Callable[..., Any]


def sent(random_: random.Random) -> tuple[list[Span], int, int]:
    """Spans of predictions, packed and one a row, and of their labels, with ids; how many rows and labels they hold."""
    batches = [rows(40 if n % 3 else 6, seed=n) for n in range(30)]
    raws = [encode_labels(labels(batch)) for batch in batches]
    for n, batch in enumerate(batches):
        raws.append(encode_predictions(batch, form="packed" if n % 3 else "json", one_span_per_row=not n % 3))
    spans = [
        span
        for raw in raws
        for span in ExportTraceServiceRequest.FromString(raw).resource_spans[0].scope_spans[0].spans
    ]
    for span in spans:
        span.trace_id, span.span_id = random_.randbytes(16), random_.randbytes(8)
    count = sum(map(len, batches))
    return spans, count, count


def batched(spans: list[Span], random_: random.Random) -> list[bytes]:
    """Ten copies of every span in random batches, no two requests alike."""
    copies = spans * COPIES
    random_.shuffle(copies)
    cuts = sorted(random_.sample(range(1, len(copies)), REQUESTS - 1))
    requests = []
    for start, stop in zip([0, *cuts], [*cuts, len(copies)]):
        message = ExportTraceServiceRequest()
        message.resource_spans.add().scope_spans.add().spans.extend(copies[start:stop])
        requests.append(message.SerializeToString())
    assert len(set(requests)) == REQUESTS
    return requests


def test_ten_copies_in_other_batches_over_restarts_count_once(make: Make) -> None:
    random_ = random.Random(5)
    spans, predictions, outcomes = sent(random_)
    requests = batched(spans, random_)
    started = make()
    for number, raw in enumerate(requests):
        if number in (40, 80):  # once the journal must tell what was seen, once the checkpoint
            if number == 40:
                started.server.loop.save = lambda: None
            started.server.stop()
            started = make()
        started.export(raw)

    def told(metric: semconv.Metric) -> int:
        return sum(started.server.snapshot().counters.get(metric.name, {}).values())

    extra = COPIES - 1
    until(lambda: told(semconv.METRIC_CALIDRIS_ENGINE_ROWS) == COPIES * predictions)
    until(lambda: told(semconv.METRIC_CALIDRIS_ENGINE_LABELS) == COPIES * outcomes)
    (model,) = started.server.snapshot().models
    assert (model.rows, model.labels) == (predictions, outcomes)
    assert told(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE) == 0
    assert told(semconv.METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE) == extra * len(spans)
    assert told(semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE) == extra * predictions
    assert told(semconv.METRIC_CALIDRIS_LABELS_DUPLICATE) == extra * outcomes
    assert told(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED) == 0
    assert started.server.snapshot().dedup_horizon_s == {"requests": 900, "spans": 900}
