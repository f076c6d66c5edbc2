"""Calidris: model performance monitoring that lives inside OpenTelemetry, Prometheus and Grafana.

In a service::

    from calidris import Model
    credit = Model("credit", version="7", task="binary", features=["income", "age"], slices=["country"])
    with credit.predict(features=row, id=request_id) as p:
        p.score = clf.predict_proba([row])[0, 1]
    credit.record_label(request_id, 1)

Importing `calidris` imports nothing heavy: the names below are loaded at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calidris.instrument.api import (
        Model,
        configure,
        flush,
        last_prediction_ids,
        record_label,
        record_labels,
        shutdown,
    )

__version__ = "0.1.0"

__all__ = [
    "Model",
    "__version__",
    "configure",
    "flush",
    "last_prediction_ids",
    "record_label",
    "record_labels",
    "shutdown",
]


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'calidris' has no attribute {name!r}")
    from calidris.instrument import api

    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
