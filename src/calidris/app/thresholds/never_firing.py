"""Refuse thresholds that would never fire: the place in the file, the key or value at fault, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calidris.app.baselines import versions
from calidris.app.thresholds.possible_figures import ANY, Attributes, Figures, find_figures, learn_any
from calidris.baseline import Baseline, read
from calidris.config import CalidrisConfig, ModelConfig, ThresholdConfig
from calidris.config.load import locate
from calidris.config.units import window_name
from calidris.errors import ConfigError

_NEVER: Final = "so it would never fire"
_NAMED: Final = 8
"""How many possible values a message names where none is close."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is wrong with a threshold.

    Attributes:
        keys: where in the threshold.
        message: what is wrong, and what comes near.
    """

    keys: tuple[str, ...]
    message: str


def check_thresholds(config: CalidrisConfig, file: Path) -> None:
    """Refuse thresholds that match no figure which the engine gives of their model and window.

    Raises:
        ConfigError: names the file, the line, the key, the value and what comes near it.
    """
    for number, model in enumerate(config.models):
        found = _first_mismatch(model)
        if found is not None:
            raise _refusal(file, number, *found)


def _refusal(
    file: Path,
    model: int,
    threshold: int,
    mismatch: Mismatch,
) -> ConfigError:
    limit: tuple[int | str, ...] = ("models", model, "detect", "thresholds", threshold)
    loc = (*limit, *mismatch.keys)
    where = ".".join(map(str, loc))
    # Errors that are found while the file is read begin alike.
    return ConfigError(f"{file}:{locate(file, loc)}: {where}: {mismatch.message}")


def _first_mismatch(model: ModelConfig) -> tuple[int, Mismatch] | None:
    """Which threshold of a model matches nothing, and why; None where all match something."""
    if not model.detect.thresholds:
        return None
    baselines = _read_baselines(model)
    shortest_s = min(model.all_windows_s)
    for place, limit in enumerate(model.detect.thresholds):
        window_s = limit.window or shortest_s
        name = window_name(window_s)
        figures = find_figures(model, baselines, window_s)
        mismatch = find_mismatch(limit, figures, name)
        if mismatch is not None:
            return place, mismatch
    return None


def _read_baselines(model: ModelConfig) -> list[Baseline]:
    """Those of all versions, as a threshold may be about any; what live rows teach where none is configured."""
    if model.baseline is None:
        return [learn_any(model)]
    # Reading them all costs little beside a start, and a feature that only an older version has is no mistake.
    return [read(path) for path in versions(model.baseline)]


def find_mismatch(
    limit: ThresholdConfig,
    figures: Figures,
    window: str,
) -> Mismatch | None:
    """Why no figure of a window can be beyond a limit; None where one can.

    Args:
        limit: as written.
        figures: those that a window can have.
        window: its length, for people.
    """
    kinds = figures.get(limit.figure, [])
    matching = (_matches(limit.attributes, kind) for kind in kinds)
    if any(matching):
        return None
    if not kinds:
        return Mismatch(("figure",), _describe_figure(limit.figure, figures, window))
    # One key at a time: a sentence about the first that is wrong helps more than one about all of them.
    for key in limit.attributes:
        message = _describe_attribute(limit, key, kinds, window)
        if message:
            return Mismatch(("attributes", key), message)
    return Mismatch(("attributes",), _describe_together(limit, window))


def _describe_figure(figure: str, figures: Figures, window: str) -> str:
    near = _describe_near(figure, figures)
    return f"a closed {window} window of this model has no {figure}, {_NEVER}{near}"


def _describe_together(limit: ThresholdConfig, window: str) -> str:
    """Each of the attributes is there, but not with the others."""
    pairs = []
    for key, value in limit.attributes.items():
        pairs.append(f"{key}: {value}")
    together = ", ".join(pairs)
    return f"no {limit.figure} of {window} windows has {together} together, {_NEVER}"


def _matches(wanted: Attributes, carried: Attributes) -> bool:
    return all(_fits(value, carried.get(key)) for key, value in wanted.items())


def _fits(wanted: str, carried: str | None) -> bool:
    return carried == wanted or carried in ANY


def _describe_attribute(
    limit: ThresholdConfig,
    key: str,
    kinds: Sequence[Attributes],
    window: str,
) -> str:
    """What is wrong with one attribute by itself; empty where nothing is."""
    carried = {kind[key] for kind in kinds if key in kind}
    if not carried:
        known = {name for kind in kinds for name in kind}
        said = f"{limit.figure} of {window} windows has no attribute {key!r}"
        return said + _describe_near(key, known)
    value = limit.attributes[key]
    if any(_fits(value, one) for one in carried):
        return ""
    near = _describe_near(value, carried)
    return f"no {limit.figure} of {window} windows has {key}: {value}, {_NEVER}{near}"


def _describe_near(word: str, known: Iterable[str]) -> str:
    """What may have been meant, else what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; there is {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    named = ", ".join(names[:_NAMED])
    more = len(names) - _NAMED
    if more <= 0:
        return named
    return f"{named} and {more} more"
