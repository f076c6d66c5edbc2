"""Models whose alerts carry the same labels, so that routing can follow owner and tier.

One set of rules a group and not one a model: a hundred models of two teams need two sets.
"""

from __future__ import annotations

from dataclasses import dataclass

from calidris.config import CalidrisConfig, ModelConfig
from calidris.grafana import promql


@dataclass(frozen=True, slots=True)
class Audience:
    """Models of one owner and tier.

    Attributes:
        labels: ``owner`` and ``tier``, where they are known.
        matchers: which models; nothing for all.
        windows_s: lengths of all their windows, shortest first.
        pages: kinds of alarms that wake somebody beside losses on true outcomes, where a model of them says so.
    """

    labels: dict[str, str]
    matchers: tuple[str, ...]
    windows_s: tuple[float, ...]
    pages: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Stable while models come and go."""
        return " ".join(f"{name}={value}" for name, value in self.labels.items())

    @property
    def suffix(self) -> str:
        """What makes titles of this audience unique."""
        return f" ({', '.join(self.labels.values())})" if self.labels else ""


def audiences(config: CalidrisConfig) -> tuple[Audience, ...]:
    """Everybody's models first (those without owner and tier, and those that nobody configured), then each group.

    >>> [a.matchers for a in audiences(CalidrisConfig())]
    [()]
    """
    groups: dict[tuple[tuple[str, str], ...], list[ModelConfig]] = {}
    for model in config.models:
        groups.setdefault(tuple(model_labels(model).items()), []).append(model)
    rest = groups.pop((), [])
    named = tuple(model.series_name for models in groups.values() for model in models)
    excluded = (promql.outside(promql.NAME, sorted(named)),) if named else ()
    return (
        Audience({}, excluded, _windows([*rest, ModelConfig(name="any")]), _pages(rest)),
        *(_group(dict(labels), models) for labels, models in sorted(groups.items())),
    )


def model_labels(model: ModelConfig) -> dict[str, str]:
    """Labels that every alert of a model carries."""
    pairs = {"owner": model.owner, "tier": model.tier}
    return {name: value for name, value in pairs.items() if value}


def _group(labels: dict[str, str], models: list[ModelConfig]) -> Audience:
    names = sorted(model.series_name for model in models)
    mine = promql.among(promql.NAME, names)
    windows = _windows(models)
    pages = _pages(models)
    return Audience(labels, (mine,), windows, pages)


def _pages(models: list[ModelConfig]) -> frozenset[str]:
    kinds: set[str] = set()
    for model in models:
        kinds.update(model.detect.page)
    return frozenset(kinds)


def _windows(models: list[ModelConfig]) -> tuple[float, ...]:
    return tuple(sorted({window for model in models for window in model.all_windows_s}))
