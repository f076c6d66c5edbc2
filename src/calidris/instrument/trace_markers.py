"""The light span in the application's own trace: says that a model was asked here, and nothing of what it saw.

Only where the current span is recording: elsewhere a look at it is all that is paid.
"""

from __future__ import annotations

from contextvars import Token

from opentelemetry import context, trace
from opentelemetry.trace import Span, Status, StatusCode

from calidris import semconv
from calidris.instrument import SCOPE, VERSION
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.shield import shielded

Marker = tuple[Span, Token[context.Context]]


@shielded("light span")
def begin(series: Series) -> Marker | None:
    """Start ``predict {model}`` as the current span. It carries count 0, which the receiver ignores."""
    attributes: dict[str, str | int] = {
        semconv.ML_MODEL_NAME: series.name,
        semconv.ML_MODEL_VERSION: series.version,
        semconv.ML_PREDICTION_COUNT: 0,
    }
    if series.task:
        attributes[semconv.ML_MODEL_TASK] = series.task
    tracer = trace.get_tracer(SCOPE, VERSION, schema_url=semconv.SCHEMA_URL)
    span = tracer.start_span(f"predict {series.name}", attributes=attributes)
    if not span.is_recording():
        # Without a provider this is another object with the ids of the current span: rows within it would be numbered anew.
        return None
    return span, context.attach(trace.set_span_in_context(span))


def end(marker: Marker, error: str | None) -> None:
    """End it; a failed call makes it an error span. The exception's message is not copied: it may quote the input."""
    span, token = marker
    if error is not None:
        span.set_attribute(semconv.ERROR_TYPE, error)
        span.set_status(Status(StatusCode.ERROR))
    span.end()
    context.detach(token)
