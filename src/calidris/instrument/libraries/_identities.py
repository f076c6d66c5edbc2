"""Which model a fitted estimator is, and what it is called, where nobody named it.

Estimators of one class, with the same features and the same classes, are one model, however often it is fitted or loaded again.

Name: that of the very shape of estimator in the mapping file, else ``OTEL_CALIDRIS_MODEL_NAME``, else the mapping file's for its
class, else ``service.name`` and the estimator's class. Version: ``OTEL_CALIDRIS_MODEL_VERSION``, else the mapping file, else
``service.version``, else ``unknown``.

The first shape of a process has that name. One of another shape gets it with eight digits that stand for the shape, the same in
every process; a line in the log says so, and how to name both. In a service of several processes the first need not be the same
in all of them: name them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from opentelemetry import trace

from calidris.instrument import announcement
from calidris.instrument.environment import OTEL_CALIDRIS_MODEL_NAME, OTEL_CALIDRIS_MODELS
from calidris.instrument.guarded_log import log
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import runtime

MAX_SHAPES: Final = 50
"""Shapes that have a name of their own: further ones share one, for a program that fits new features all the time."""

_NAMED: Final = 3
"""Features, or entries, that a line of the log names; how many more features there are is a number."""

_KEYS: Final = ("name", "version")
"""What an entry of the mapping file says."""


class Shape(NamedTuple):
    """What estimators have in common that are one model.

    Attributes:
        kind: class of the estimator that answers.
        task: of the model.
        features: their names, or how many there are, or None where it does not say.
        classes: as text.
    """

    kind: type
    task: str
    features: tuple[str, ...] | int | None
    classes: tuple[str, ...]

    def mark(self) -> str:
        """The class and eight digits for the rest: as what the mapping file may name it."""
        return f"{self.kind.__name__}-{self.digits()}"

    def digits(self) -> str:
        """Eight digits for features and classes, the same in every process."""
        content = json.dumps([self.features, self.classes])
        digest = hashlib.blake2b(content.encode(), digest_size=4)
        return digest.hexdigest()

    def describe(self) -> str:
        """The shape in a few words."""
        if not isinstance(self.features, tuple):
            return f"{self.features or 'unknown'} features"
        named = ", ".join(self.features[:_NAMED])
        others = len(self.features) - _NAMED
        if others <= 0:
            return f"features {named}"
        return f"features {named} and {others} more"


class Identity(NamedTuple):
    """What a model is called.

    Attributes:
        name: of the model.
        version: of the model.
        is_own: whether its very shape was named, so that no other model has the name by accident.
    """

    name: str
    version: str
    is_own: bool


# By shape, or name, and by configuration: what another one resolved is stale.
_series: dict[tuple[Shape, int], Series] = {}
_firsts: dict[tuple[str, int], Shape] = {}


def series_of(shape: Shape) -> Series:
    """The model that a shape stands for: resolved once a configuration, then a look into a dictionary."""
    key = shape, runtime.generation
    series = _series.get(key)
    if series is None:
        series = _series[key] = _resolve(shape)
        runtime.seen(series)
        announcement.announce_model(series)
    return series


def _resolve(shape: Shape) -> Series:
    generation = runtime.generation
    _forget_all_but(generation)
    identity = identify(shape)
    name = identity.name
    first = _firsts.setdefault((name, generation), shape)
    if first != shape and not identity.is_own:
        name = _tell_apart(name, shape)
        _warn_of_two(shape, first, identity.name, name)
    return Series(
        name,
        identity.version,
        shape.task,
        slices=runtime.settings.slices,
    )


def _forget_all_but(generation: int) -> None:
    """Forget what other configurations resolved."""
    for shape in [key for key in _series if key[1] != generation]:
        del _series[shape]
    for name in [key for key in _firsts if key[1] != generation]:
        del _firsts[name]


def _tell_apart(name: str, shape: Shape) -> str:
    """The name of a shape where another one has the plain name."""
    if len(_series) < MAX_SHAPES:
        return f"{name}-{shape.digits()}"
    return f"{name}-others"


def _warn_of_two(shape: Shape, first: Shape, plain: str, name: str) -> None:
    log.warning(
        "calidris: a %s of %s is another model than the %s of %s that is called %r here: it is called %r. Name them in the file of "
        '%s, {"%s": {"name": ...}, "%s": {"name": ...}}, or run each in a process of its own with %s.',
        shape.kind.__name__,
        shape.describe(),
        first.kind.__name__,
        first.describe(),
        plain,
        name,
        OTEL_CALIDRIS_MODELS,
        shape.mark(),
        first.mark(),
        OTEL_CALIDRIS_MODEL_NAME,
    )


def identify(shape: Shape) -> Identity:
    """Name and version of the model that a shape stands for, before shapes are told apart. Reads the mapping file."""
    settings = runtime.settings
    entry, is_own = _read_entry(shape)
    given = _text_in(entry, "name")
    own = given if is_own else ""
    usual = default_name(shape.kind.__name__.lower())
    service_version = service_attributes().get("service.version")
    return Identity(
        name=own or settings.model_name or given or usual,
        version=settings.model_version or _text_in(entry, "version") or service_version or "unknown",
        is_own=bool(own),
    )


def _text_in(entry: Mapping[str, Any], key: str) -> str:
    return str(entry.get(key) or "")


def default_name(kind: str) -> str:
    """The name of a model whose class is all that is known: behind that of its service, where it has one."""
    service = service_attributes().get("service.name", "")
    is_named = service and not service.startswith("unknown_service")
    return f"{service}-{kind}" if is_named else kind


def service_attributes() -> Mapping[str, str]:
    """Resource attributes of the service: its own tracer provider's, else those of the OTel environment."""
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    if resource is not None:
        return {key: str(value) for key, value in resource.attributes.items()}
    attributes = _read_resource_attributes(os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    name = os.environ.get("OTEL_SERVICE_NAME", "").strip()
    if name:
        attributes["service.name"] = name
    return attributes


def _read_resource_attributes(text: str) -> dict[str, str]:
    """Pairs as the OTel environment writes them: ``key=value`` with commas between, values quoted as in addresses."""
    attributes = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key.strip():
            attributes[key.strip()] = unquote(value.strip())
    return attributes


def _read_entry(shape: Shape) -> tuple[Mapping[str, Any], bool]:
    """The mapping file's entry for an estimator, and whether it is that of its shape; by full name before by class."""
    path = runtime.settings.models_path
    models = _read_models(path) if path else {}
    kind = shape.kind
    for mark in (shape.mark(), f"{kind.__module__}.{kind.__qualname__}", kind.__name__):
        entry = models.get(mark)
        if entry:
            break
    else:
        _warn_of_none(path, models, shape)
        return {}, False
    if not isinstance(entry, dict):
        entry = {"name": str(entry)}
    _warn_of_unknown(path, mark, entry)
    return entry, mark == shape.mark()


def _read_models(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        models = json.loads(text)
        if not isinstance(models, dict):
            raise ValueError("it is no object of entries")
    except (OSError, ValueError) as error:
        log.error("calidris: %s: the file %s cannot be used and names nothing: %s", OTEL_CALIDRIS_MODELS, path, error)
        return {}
    return models


def _warn_of_none(path: str, models: Mapping[str, Any], shape: Shape) -> None:
    """An entry that is not found is mostly one that was written otherwise: a pipeline, say, is called by its last step."""
    if models:
        log.warning(
            "calidris: %s: the file %s has no entry %r, which is what this model is called by; its entries are %s.",
            OTEL_CALIDRIS_MODELS,
            path,
            shape.kind.__name__,
            ", ".join(map(repr, islice(models, _NAMED))),
        )


def _warn_of_unknown(path: str, mark: str, entry: Mapping[str, Any]) -> None:
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        log.warning(
            "calidris: %s: the file %s, entry %r: there is no %s; an entry has %s.",
            OTEL_CALIDRIS_MODELS,
            path,
            mark,
            " and no ".join(map(repr, unknown[:_NAMED])),
            " and ".join(map(repr, _KEYS)),
        )
