"""Which model a fitted estimator is, where nobody named it.

Estimators of one class, with the same features and the same classes, are one model, however often it is fitted or loaded again.
The first of a process has the plain name of `identity_of`. One of another shape gets that name with eight digits that stand for
its shape, the same in every process; a line in the log says so, and how to name both. In a service of several processes the
first need not be the same in all of them: name them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Final, NamedTuple

from calidris.instrument import announcement
from calidris.instrument.environment import OTEL_CALIDRIS_MODEL_NAME, OTEL_CALIDRIS_MODELS
from calidris.instrument.identity import identity_of
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import runtime

_log = logging.getLogger("calidris")

MAX_SHAPES: Final = 50
"""Shapes that have a name of their own: further ones share one, for a program that fits new features all the time."""


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
        content = json.dumps([self.features, self.classes])
        return f"{self.kind.__name__}-{hashlib.blake2b(content.encode(), digest_size=4).hexdigest()}"

    def describe(self) -> str:
        """The shape in a few words."""
        if not isinstance(self.features, tuple):
            return f"{self.features or 'unknown'} features"
        more = f" and {len(self.features) - 3} more" if len(self.features) > 3 else ""
        return f"features {', '.join(self.features[:3])}{more}"


_series: dict[tuple[Shape, int], Series] = {}
_shapes: dict[tuple[str, int], Shape] = {}


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
    settings, generation = runtime.settings, runtime.generation
    for old in [key for key in _series if key[1] != generation]:
        del _series[old]
    for stale in [key for key in _shapes if key[1] != generation]:
        del _shapes[stale]
    name, version, is_own = identity_of(shape.kind, settings, shape.mark())
    first = _shapes.setdefault((name, generation), shape)
    if first != shape and not is_own:
        plain = name
        name = f"{plain}-{shape.mark().rpartition('-')[2]}" if len(_series) < MAX_SHAPES else f"{plain}-others"
        _tell(shape, first, plain, name)
    return Series(name, version, shape.task, slices=settings.slices)


def _tell(shape: Shape, first: Shape, plain: str, name: str) -> None:
    _log.warning(
        "calidris: a %s of %s is another model than the %s of %s that is called %r here: it is called %r. Name them in the file of "
        '%s, {"%s": {"name": ...}, "%s": {"name": ...}}, or run each in a process of its own with %s.',
        shape.kind.__name__, shape.describe(), first.kind.__name__, first.describe(), plain, name,
        OTEL_CALIDRIS_MODELS, shape.mark(), first.mark(), OTEL_CALIDRIS_MODEL_NAME,
    )  # fmt: skip
