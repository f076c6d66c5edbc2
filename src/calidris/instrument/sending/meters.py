"""The OTel metrics of a service that predicts, through the application's own meter provider, off the caller's path.

`ml.inference.predictions`, `ml.inference.dropped` and `ml.inference.withheld` are exact. `ml.inference.duration` records at most 1000 calls a model
and flush, evenly spread: a record costs some 10 µs of the host's interpreter, which at 10 000 calls a second would be a tenth of a
core for a figure that 1000 a second give as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from opentelemetry import metrics
from opentelemetry.context import Context

from calidris import semconv
from calidris.instrument import SCOPE, VERSION
from calidris.instrument.rows.buffered_items import Item, Labels, Series
from calidris.instrument.sending.not_sent import NotSent, Totals

MAX_DURATIONS = 1000
BOUNDARIES_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_DURATION = semconv.METRIC_ML_INFERENCE_DURATION
_PREDICTIONS = semconv.METRIC_ML_INFERENCE_PREDICTIONS
_DROPPED = semconv.METRIC_ML_INFERENCE_DROPPED
_WITHHELD = semconv.METRIC_ML_INFERENCE_WITHHELD


class Meters:
    """Instruments of the global meter provider, made anew when the application sets another one. Used by one thread."""

    def __init__(self, recorded: Totals) -> None:
        self._provider: metrics.MeterProvider | None = None
        self._recorded = recorded

    def observe(self, items: Iterable[Item], not_sent: NotSent) -> None:
        """Record; costs nothing while the application has no meter provider."""
        provider = metrics.get_meter_provider()
        # The API's own providers (no-op, and the proxy that waits for a real one) throw away what they are given.
        if type(provider).__module__.startswith("opentelemetry.metrics."):
            return
        if provider is not self._provider:
            self._create(provider)
        self._count(items)
        self._count_not_sent(not_sent)

    def _create(self, provider: metrics.MeterProvider) -> None:
        self._provider = provider
        meter = provider.get_meter(SCOPE, VERSION, semconv.SCHEMA_URL)
        self._duration = meter.create_histogram(
            _DURATION.name, _DURATION.unit, _DURATION.description, explicit_bucket_boundaries_advisory=BOUNDARIES_S
        )
        self._predictions = meter.create_counter(_PREDICTIONS.name, _PREDICTIONS.unit, _PREDICTIONS.description)
        self._dropped = meter.create_counter(_DROPPED.name, _DROPPED.unit, _DROPPED.description)
        self._withheld = meter.create_counter(_WITHHELD.name, _WITHHELD.unit, _WITHHELD.description)

    def _count_not_sent(self, not_sent: NotSent) -> None:
        totals = not_sent.rows(), not_sent.values()
        for counter, total, recorded in zip((self._dropped, self._withheld), totals, self._recorded):
            for (model, reason), count in total.items():
                new = count - recorded.get((model, reason), 0)
                if new > 0:
                    attributes = {semconv.ML_MODEL_NAME: model} if model else {}
                    counter.add(new, {**attributes, semconv.CALIDRIS_REASON: reason}, Context())
        self._recorded = totals

    def _count(self, items: Iterable[Item]) -> None:
        rows: defaultdict[Series, int] = defaultdict(int)
        calls: defaultdict[tuple[Series, str | None], list[float]] = defaultdict(list)
        for item in items:
            if isinstance(item, tuple):
                rows[item[0]] += 1
                calls[item[0], item[10]].append(item[2] / 1e9)
            elif not isinstance(item, Labels):
                rows[item.series] += item.rows
                if item.duration_s is not None:
                    calls[item.series, item.error].append(item.duration_s)
        for series, count in rows.items():
            self._predictions.add(count, _attributes(series), Context())
        for (series, error), durations in calls.items():
            attributes = _attributes(series) | ({semconv.ERROR_TYPE: error} if error else {})
            for seconds in durations[:: -(-len(durations) // MAX_DURATIONS)]:
                self._duration.record(seconds, attributes, Context())


def _attributes(series: Series) -> dict[str, str]:
    return {semconv.ML_MODEL_NAME: series.name, semconv.ML_MODEL_VERSION: series.version}
