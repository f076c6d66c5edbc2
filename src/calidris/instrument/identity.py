"""Zero-code identity: what a model is called when nobody named it.

Name: ``OTEL_CALIDRIS_MODEL_NAME``, else the mapping file, else ``service.name`` and the estimator's class. Version:
``OTEL_CALIDRIS_MODEL_VERSION``, else the mapping file, else ``service.version``, else ``unknown``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from opentelemetry import trace

from calidris.instrument.settings import SdkSettings

_log = logging.getLogger("calidris")


def identity_of(kind: type, settings: SdkSettings) -> tuple[str, str]:
    """Name and version of the model that a class of estimator stands for. Reads the mapping file: cache the answer."""
    entry = _entry(kind, settings.models_path)
    service = service_attributes()
    stem = service.get("service.name", "")
    default = kind.__name__.lower()
    if stem and not stem.startswith("unknown_service"):
        default = f"{stem}-{default}"
    name = settings.model_name or str(entry.get("name") or default)
    version = settings.model_version or str(entry.get("version") or service.get("service.version") or "unknown")
    return name, version


def service_attributes() -> Mapping[str, str]:
    """Resource attributes of the service: its own tracer provider's, else those of the OTel environment."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    if resource is not None:
        return {key: str(value) for key, value in resource.attributes.items()}
    pairs = (part.partition("=") for part in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    attributes = {key.strip(): unquote(value.strip()) for key, _, value in pairs if key.strip()}
    if name := os.environ.get("OTEL_SERVICE_NAME", "").strip():
        attributes["service.name"] = name
    return attributes


def _entry(kind: type, path: str) -> Mapping[str, Any]:
    """The mapping file's entry for a class, by full name first."""
    if not path:
        return {}
    try:
        models = json.loads(Path(path).read_text(encoding="utf-8"))
        entry = models.get(f"{kind.__module__}.{kind.__qualname__}") or models.get(kind.__name__) or {}
        return entry if isinstance(entry, dict) else {"name": str(entry)}
    except (OSError, ValueError, AttributeError) as error:
        _log.error("calidris: cannot use the mapping file %s: %s", path, error)
        return {}
