"""Zero-code identity: what a model is called when nobody named it.

Name: that of the very shape of estimator in the mapping file, else ``OTEL_CALIDRIS_MODEL_NAME``, else the mapping file's for its
class, else ``service.name`` and the estimator's class. Version: ``OTEL_CALIDRIS_MODEL_VERSION``, else the mapping file, else
``service.version``, else ``unknown``.
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


def identity_of(kind: type, settings: SdkSettings, mark: str) -> tuple[str, str, bool]:
    """Name and version of the model that a class of estimator stands for, and whether its own shape was named.

    Reads the mapping file: cache the answer. ``mark`` is the key of the shape there, a class and eight digits.
    """
    entry, is_own = _entry(kind, settings.models_path, mark)
    service = service_attributes()
    given = str(entry.get("name") or "")
    name = (given if is_own else "") or settings.model_name or given or default_name(kind.__name__.lower())
    version = settings.model_version or str(entry.get("version") or service.get("service.version") or "unknown")
    return name, version, is_own and bool(given)


def default_name(kind: str) -> str:
    """The name of a model whose class is all that is known: behind that of its service, where it has one."""
    service = service_attributes().get("service.name", "")
    return f"{service}-{kind}" if service and not service.startswith("unknown_service") else kind


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


def _entry(kind: type, path: str, mark: str) -> tuple[Mapping[str, Any], bool]:
    """The mapping file's entry for an estimator, and whether it is that of its shape; by full name before by class."""
    if not path:
        return {}, False
    try:
        models = json.loads(Path(path).read_text(encoding="utf-8"))
        own = models.get(mark)
        entry = own or models.get(f"{kind.__module__}.{kind.__qualname__}") or models.get(kind.__name__) or {}
        return (entry if isinstance(entry, dict) else {"name": str(entry)}), bool(own)
    except (OSError, ValueError, AttributeError) as error:
        _log.error("calidris: cannot use the mapping file %s: %s", path, error)
        return {}, False
