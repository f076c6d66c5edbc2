"""The one gate: is it ours? Asked of a whole request's bytes, of an attribute's name, and of a span.

Whatever is not ours is counted and goes no further.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from calidris import semconv

_OUR_BYTES: Final = re.compile(rb"ml\.(?:model\.|prediction\.|features|slices|label|report\.)")

MODEL_KEYS: Final = frozenset(
    {
        semconv.ML_MODEL_NAME,
        semconv.ML_MODEL_VERSION,
        semconv.ML_MODEL_TASK,
        semconv.ML_MODEL_ROLE,
        semconv.ML_PREDICTION_BATCH_ID,
    }
)
"""What a resource may say for all of its spans."""
KEYS: Final = frozenset(
    {
        *MODEL_KEYS,
        semconv.ML_PREDICTION_COUNT,
        semconv.ML_PREDICTION_ID,
        semconv.ML_FEATURES,
        semconv.ML_SLICES,
        semconv.ML_PREDICTION_SCORE,
        semconv.ML_PREDICTION_CLASS,
        semconv.ML_PREDICTION_VALUE,
        semconv.ML_PREDICTION_DURATION,
        semconv.ML_PREDICTION_ERROR,
        semconv.ML_PREDICTION_TIME_OFFSET,
        semconv.ML_PREDICTION_TRACE_ID,
        semconv.ML_PREDICTION_WEIGHT,
        semconv.ERROR_TYPE,
        semconv.ML_LABEL,
        semconv.ML_LABEL_TIME,
        semconv.ML_REPORT_ROWS_DROPPED,
        semconv.ML_REPORT_VALUES_WITHHELD,
    }
)
REPORT_KEYS: Final = (semconv.ML_REPORT_ROWS_DROPPED, semconv.ML_REPORT_VALUES_WITHHELD)
"""Either of them makes a span a report of its sender, which has no rows."""

_SILENT_KEYS: Final = MODEL_KEYS - {semconv.ML_MODEL_NAME} | {semconv.ERROR_TYPE}
"""Attributes that are read, but that spans of others may have too: alone they do not make a span ours."""

MAPS: Final = (semconv.ML_FEATURES, semconv.ML_SLICES, semconv.ML_PREDICTION_SCORE)
"""Attributes that hold a map; ``{attribute}.{name}`` is one entry of it as an attribute of its own."""

MAP_PREFIXES: Final = tuple(f"{key}." for key in MAPS)


def is_ours(key: str) -> bool:
    """Whether an attribute is part of the convention, as far as it is read here."""
    return key in KEYS or key.startswith(MAP_PREFIXES)


def is_ours_by_attributes(names: Collection[str]) -> bool:
    """Whether attributes of these names, all of them read here, make their span a model, feedback or report span."""
    return semconv.ML_MODEL_NAME in names or not _SILENT_KEYS.issuperset(names)


def is_ours_by_name(span_name: str, resource: Mapping[str, Any]) -> bool:
    """Whether a span without attributes of ours is a model or feedback span: named like one, under a resource with a model."""
    return semconv.ML_MODEL_NAME in resource and span_name.startswith(("predict ", "feedback "))


def holds_model_telemetry(raw: bytes) -> bool:
    """Whether a request may hold a model, feedback or report span; one scan at a GB/s or so, nothing is parsed.

    Never wrong about a no: protobuf keeps a key's bytes together. A yes may be wrong, where a value quotes such a key.

    >>> holds_model_telemetry(b"..ml.features.."), holds_model_telemetry(b"..index.html..")
    (True, False)
    """
    return _OUR_BYTES.search(raw) is not None
