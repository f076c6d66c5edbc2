"""Which attributes of a span are read."""

from __future__ import annotations

from typing import Final

from calidris import semconv

MODEL_KEYS: Final = frozenset({semconv.ML_MODEL_NAME, semconv.ML_MODEL_VERSION, semconv.ML_MODEL_TASK})
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
    }
)
MAPS: Final = (semconv.ML_FEATURES, semconv.ML_SLICES, semconv.ML_PREDICTION_SCORE)
"""Attributes that hold a map; ``{attribute}.{name}`` is one entry of it as an attribute of its own."""

MAP_PREFIXES: Final = tuple(f"{key}." for key in MAPS)


def is_ours(key: str) -> bool:
    """Whether an attribute is part of the convention, as far as it is read here."""
    return key in KEYS or key.startswith(MAP_PREFIXES)
