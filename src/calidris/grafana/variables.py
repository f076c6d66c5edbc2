"""What the variables of a dashboard select, as PromQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calidris.config import CalidrisConfig
from calidris.grafana import promql
from calidris.semconv import Metric

RATE_INTERVAL = "$__rate_interval"
"""Grafana's own: never shorter than four scrapes, so that ``rate`` always has two samples."""

MODEL = f'{promql.NAME}=~"$model"'
VERSION = f'{promql.VERSION}=~"$version"'
WINDOW = f'{promql.WINDOW}=~"$window"'
IDENTITY = (promql.NAME, promql.VERSION)
IDENTITY_LEGEND = f"{{{{{promql.NAME}}}}} {{{{{promql.VERSION}}}}}"


def legend(*labels: str) -> str:
    """A legend of model, version and further labels.

    >>> legend("ml_feature_name")
    '{{ml_model_name}} {{ml_model_version}} {{ml_feature_name}}'
    """
    return " ".join([IDENTITY_LEGEND, *(f"{{{{{label}}}}}" for label in labels)])


@dataclass(frozen=True, slots=True)
class View:
    """The chosen models and window, with slices left out.

    Attributes:
        slices: labels that a slice of a model adds to its figures; a figure of the whole model has none of them.
    """

    slices: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: CalidrisConfig) -> View:
        """The view for a configuration: it alone knows which labels are slices."""
        return cls(slice_labels(config))

    @property
    def whole(self) -> tuple[str, ...]:
        """Matchers of figures that are of no slice and no class."""
        return whole(self.slices)

    def reading(self, metric: Metric, kept: Iterable[str] = (), *matchers: str) -> str:
        """A gauge of the chosen models and window, one series each model version and each of the ``kept`` labels."""
        inner = promql.selector(metric, MODEL, VERSION, WINDOW, *matchers, *self.whole)
        return promql.by("max", (*IDENTITY, *kept), inner)

    def baseline(self, metric: Metric, kept: Iterable[str] = (), *matchers: str) -> str:
        """The same figure of the baseline's own rows."""
        window = promql.equals(promql.WINDOW, promql.BASELINE)
        inner = promql.selector(metric, MODEL, VERSION, window, *matchers, *self.whole)
        return promql.by("max", (*IDENTITY, *kept), inner)

    def state(self, metric: Metric, kept: Iterable[str] = (), *matchers: str) -> str:
        """A gauge of the chosen models, of every window."""
        return promql.by("max", (*IDENTITY, *kept), promql.selector(metric, MODEL, VERSION, *matchers))

    def rate(self, metric: Metric, kept: Iterable[str] = ()) -> str:
        """Increase a second of a counter of the chosen models."""
        return promql.by("sum", (*IDENTITY, *kept), promql.rate(metric, RATE_INTERVAL, MODEL, VERSION))


def slice_labels(config: CalidrisConfig) -> tuple[str, ...]:
    """The label of every slice of every model, sorted."""
    return tuple(sorted({promql.slice_label(name) for model in config.models for name in model.cuts}))


def whole(slices: Iterable[str]) -> tuple[str, ...]:
    """Matchers of figures that are of none of these slices, and of no class.

    >>> whole(["country"])
    ('country=""', 'ml_prediction_class=""')
    """
    return tuple(promql.equals(label, "") for label in (*slices, promql.CLASS))
