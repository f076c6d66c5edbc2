"""What moved between two versions, from what to what, since an alarm's change began: figures of their rows side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from calidris import semconv
from calidris.config import ModelConfig
from calidris.detect.bets.losses import loss_counts, watched_losses
from calidris.engine.detectors.label_recipes import age_bucket
from calidris.engine.model import WatchedModel
from calidris.engine.panes.pane import Window, merge_panes
from calidris.engine.snapshot import Moved
from calidris.metrics.latency import error_reading, latency_readings
from calidris.state import Role
from calidris.state.coding.fields import MISSING

MOST_WINDOWS = 100
"""Of a change that began earlier only the newest are read: an old one's rows lie on the disk, day by day."""

_QUANTILES = {"0.5": "median of durations", "0.95": "duration that 95 % of calls do not exceed"}
_UNIT = 1 << 30


class _Figure(NamedTuple):
    """One figure of one side; no value where none of its rows defines it."""

    words: str
    unit: str
    value: float | None
    n: int


_Read = Callable[[Window, ModelConfig], list[_Figure]]


def find_moved(
    what: str,
    mine: WatchedModel,
    other: WatchedModel,
    start_ns: int,
    end_ns: int,
) -> tuple[Moved, ...]:
    """The figures of what two versions are compared by, in rows of a time; of decisions the one that differs most.

    Args:
        what: one of ``canary.on``.
        mine: the version that an alarm names.
        other: the one that it is compared with.
        start_ns: when the change began, since the epoch.
        end_ns: end of the window that raised the alarm.

    The figures describe; they have no interval, as the time was chosen for the change that it shows.
    """
    read = _READ[what]
    sides = []
    for model in (mine, other):
        panes = [pane for _, pane in model.panes_in(start_ns, end_ns)]
        # Rows of an earlier baseline are left out.
        window = merge_panes(model.spec, panes)
        figures = read(window.evidence, mine.config)
        sides.append(figures)
    found = []
    for to, was in zip(*sides, strict=True):
        moved = _pair(to, was, mine, other)
        found.append(moved)
    if what == "decision":
        return _most_different(found, mine)
    return tuple(found)


def _pair(
    to: _Figure,
    was: _Figure,
    mine: WatchedModel,
    other: WatchedModel,
) -> Moved:
    return Moved(
        figure=to.words,
        unit=to.unit,
        version=mine.key.version,
        against=other.key.version,
        before=was.value,
        before_n=was.n,
        after=to.value,
        after_n=to.n,
    )


def _most_different(found: list[Moved], mine: WatchedModel) -> tuple[Moved, ...]:
    """Of two classes the positive one: the other is what is left."""
    positive = f"decision {mine.config.positive_text}"
    told = [moved for moved in found if moved.figure == positive]
    binary = mine.config.task == semconv.ML_MODEL_TASK_BINARY
    if binary and told:
        return tuple(told)
    found.sort(key=_distance, reverse=True)
    return tuple(found[:1])


def _distance(moved: Moved) -> float:
    if moved.before is None or moved.after is None:
        return 0.0
    return abs(moved.after - moved.before)


def _share(words: str, hits: int, n: int) -> _Figure:
    value = hits / n if n else None
    return _Figure(words, "1", value, n)


def _errors(window: Window, _config: ModelConfig) -> list[_Figure]:
    told = error_reading(
        window.counts.spec,
        window.counts,
        "",
    )
    figure = _Figure("calls that failed", "1", told.value, told.n)
    return [figure]


def _accuracy(window: Window, config: ModelConfig) -> list[_Figure]:
    losses = window.labels.losses
    first = watched_losses(losses.spec)[0]
    assert first.name == "accuracy", "the first loss of every task with classes"
    delay = age_bucket(config)
    rows, wrong = loss_counts(losses, delay)[:2].tolist()
    right = rows - wrong // _UNIT
    figure = _share("right decisions", right, rows)
    return [figure]


def _decisions(window: Window, _config: ModelConfig) -> list[_Figure]:
    spec = window.counts.spec
    at = spec.index(Role.DECISION)
    assert at is not None, "its slot is made from it"
    field = spec.fields[at]
    cells = window.counts.field(at).tolist()
    known = sum(cells) - cells[field.ordered + MISSING]
    found = []
    for level, hits in zip(field.levels, cells, strict=False):
        figure = _share(f"decision {level}", hits, known)
        found.append(figure)
    return found


def _mean_of(role: Role) -> _Read:
    def read(window: Window, _config: ModelConfig) -> list[_Figure]:
        spec = window.counts.spec
        at = spec.index(role)
        assert at is not None, "its slot is made from it"
        told = window.moments.field(at)
        # A mean of nothing is NaN there.
        value = told.mean if told.n else None
        figure = _Figure(f"mean of {role.value}", "", value, told.n)
        return [figure]

    return read


def _durations(window: Window, _config: ModelConfig) -> list[_Figure]:
    counts = window.counts
    told = latency_readings(
        counts.spec,
        counts,
        "",
        quantiles=tuple(_QUANTILES),
    )
    found = []
    for words, one in zip(_QUANTILES.values(), told, strict=True):
        figure = _Figure(words, "s", one.value, one.n)
        found.append(figure)
    return found


_READ: dict[str, _Read] = {
    "errors": _errors,
    "accuracy": _accuracy,
    "decision": _decisions,
    "score": _mean_of(Role.SCORE),
    "value": _mean_of(Role.VALUE),
    "duration": _durations,
}
