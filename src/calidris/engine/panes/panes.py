"""All panes of a model: those that memory holds, those that were put away, and how steps become hours and days.

::

    steps  │··day··│··day··│·hour·│·hour·│·hour·│step│step│step│step│ open
                           ▲ marks.days_ns      ▲ marks.hours_ns    ▲ held_ns: memory has all from here on
    place(time) ── the one pane that covers it, so that a late row or label never makes a second one

What memory holds decides nothing: panes are read back when they are asked for. The marks do, and they move at seals alone.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Protocol

from calidris.batch import ModelKey, PredictionBatch
from calidris.engine.panes.pane import DAY_NS, HOUR_NS, Level, Pane, PaneKey
from calidris.engine.panes.rollup import Marks
from calidris.state import Spec
from calidris.state.blocks.labelled import LabelledRows

Found = list[tuple[PaneKey, Pane]]
_SUMMED_NS = 2 * HOUR_NS


class ClosedPanes(Protocol):
    """Where panes are put away: the checkpoint."""

    def load_pane(self, key: ModelKey, pane: PaneKey, spec: Spec) -> Pane | None:
        """A pane as it was saved last, or None where there is none."""
        ...

    def pane_keys(self, key: ModelKey, start_ns: int, end_ns: int) -> list[PaneKey]:
        """Keys of the saved panes that begin in ``[start_ns, end_ns)``."""
        ...


class LiveOnly:
    """What was put away of models that were not retired since, which the checkpoint may still have.

    Args:
        source: the checkpoint; None until there is one.
        retired: keys of retired models.
    """

    def __init__(self, source: ClosedPanes | None, retired: Container[ModelKey]) -> None:
        self.source = source
        self._retired = retired

    def load_pane(self, key: ModelKey, pane: PaneKey, spec: Spec) -> Pane | None:
        """A pane as it was saved last, or None where there is none."""
        return None if self.source is None or key in self._retired else self.source.load_pane(key, pane, spec)

    def pane_keys(self, key: ModelKey, start_ns: int, end_ns: int) -> list[PaneKey]:
        """Keys of the saved panes that begin in ``[start_ns, end_ns)``."""
        if self.source is None or key in self._retired:
            return []
        return self.source.pane_keys(key, start_ns, end_ns)


class Panes:
    """The panes of one model version.

    Attributes:
        memory: what is in memory, least lately used first.
        sums: hours whose steps were merged for a long window: kept, told of labels, and made anew after further rows.
        gone: what was rolled up or deleted since the last checkpoint, which may still have it.
        marks: what is rolled up.

    Args:
        model: whose they are.
        step_ns: length of a step.
        specs: the model's, by number; the list grows.
        closed: where panes are put away.
    """

    def __init__(self, model: ModelKey, step_ns: int, specs: list[Spec], closed: ClosedPanes) -> None:
        self.model = model
        self.step_ns = step_ns
        self.specs = specs
        self.closed = closed
        self.memory: dict[PaneKey, Pane] = {}
        self.gone: set[PaneKey] = set()
        self.marks = Marks()
        self.held_ns = 0
        self.loaded_bytes = 0  # since the last ``forget``
        self.sums: dict[PaneKey, Pane] = {}

    def place(self, start_ns: int, spec: int) -> PaneKey:
        """The one pane for rows of the step that begins at ``start_ns``."""
        if start_ns < self.marks.days_ns:
            return PaneKey(start_ns // DAY_NS * DAY_NS, spec, Level.DAY)
        if start_ns < self.marks.hours_ns:
            return PaneKey(start_ns // HOUR_NS * HOUR_NS, spec, Level.HOUR)
        return PaneKey(start_ns, spec)

    def get(self, key: PaneKey) -> Pane:
        """A pane: from memory, else from those put away, else a new one."""
        found = self.memory.pop(key, None) or self._load(key) or Pane.empty(self.specs[key.spec])
        self.memory[key] = found
        return found

    def _load(self, key: PaneKey) -> Pane | None:
        found = None if key in self.gone else self.closed.load_pane(self.model, key, self.specs[key.spec])
        self.loaded_bytes += found.nbytes if found else 0
        return found

    def for_rows(self, start_ns: int, spec: int) -> Pane:
        """The pane that rows of a step are to be counted in."""
        self.sums.pop(_hour(start_ns, spec), None)
        return self.get(self.place(start_ns, spec))

    def show(self, start_ns: int, spec: int, batch: PredictionBatch) -> None:
        """Count rows of a step in the display bins of its hour or day; of the step itself where that is longer than an hour."""
        key = self.place(start_ns, spec)
        short = key.level == Level.STEP and self.step_ns < HOUR_NS
        self.get(_hour(start_ns, spec) if short else key).show(batch)

    def add_labels(self, start_ns: int, spec: int, rows: LabelledRows, gone: LabelledRows | None = None) -> None:
        """Count labelled rows of a step, some of them in place of ``gone``: of what they were counted as before."""
        self.get(self.place(start_ns, spec)).add_labels(rows, gone)
        summed = self.sums.get(_hour(start_ns, spec))
        if summed is not None:
            summed.add_labels(rows, gone)

    def keys(self, start_ns: int, end_ns: int) -> list[PaneKey]:
        """Panes with rows that lie in ``[start_ns, end_ns)``, a step by its begin, oldest first."""
        found = (k for k in self._all_keys(start_ns, end_ns) if self._counts(k))
        return sorted(k for k in found if k.level == Level.STEP or k.start_ns + k.length_ns(self.step_ns) <= end_ns)

    def _counts(self, key: PaneKey) -> bool:
        """Whether it is where its rows are; an hour pane has only their display bins before it is rolled up."""
        return self.place(key.start_ns, key.spec).level == key.level

    def _all_keys(self, start_ns: int, end_ns: int) -> set[PaneKey]:
        found = {k for k in self.memory if start_ns <= k.start_ns < end_ns}
        if start_ns < self.held_ns:
            found.update(self.closed.pane_keys(self.model, start_ns, min(end_ns, self.held_ns)))
        return found - self.gone

    def within(self, start_ns: int, end_ns: int) -> Found:
        """The panes of ``keys``, with hours that are past as one pane each where the time is long."""
        keys = self.keys(start_ns, end_ns)
        if end_ns - start_ns <= _SUMMED_NS or self.step_ns >= HOUR_NS:
            return [(key, self.get(key)) for key in keys]
        hours: dict[PaneKey, list[PaneKey]] = {}
        for key in keys:
            begin = _hour(key.start_ns, key.spec)
            whole = start_ns <= begin.start_ns and begin.start_ns + HOUR_NS <= end_ns and key.level == Level.STEP
            hours.setdefault(begin if whole else key, []).append(key)
        return [(k, self._sum(k, parts) if parts != [k] else self.get(k)) for k, parts in sorted(hours.items())]

    def _sum(self, hour: PaneKey, steps: list[PaneKey]) -> Pane:
        """The steps of an hour together."""
        if hour not in self.sums:
            self.sums[hour] = self._merged(hour.spec, steps)
        return self.sums[hour]

    def _merged(self, spec: int, keys: list[PaneKey]) -> Pane:
        out = Pane.empty(self.specs[spec])
        for key in keys:
            out.merge(self.get(key))
        return out

    def every(self) -> Iterator[tuple[PaneKey, Pane]]:
        """All panes, oldest first, those put away read one at a time."""
        closed = set(self.closed.pane_keys(self.model, 0, 2**63 - 1)) - self.gone
        for key in sorted(closed | set(self.memory)):
            pane = self.memory.get(key) or self._load(key)
            assert pane is not None, "its key was there"
            yield key, pane

    def move(self, marks: Marks) -> int:
        """Roll up and delete what the marks say, which may be ahead of today's; how many panes were deleted."""
        before, deleted = self.marks, 0
        if marks.hours_ns > before.hours_ns:
            self._roll(before.hours_ns, marks.hours_ns, Level.HOUR)
        if marks.days_ns > before.days_ns:
            self._roll(before.days_ns, marks.days_ns, Level.DAY)
        self.marks = marks
        if marks.deleted_ns > before.deleted_ns:
            old = list(self._all_keys(0, marks.deleted_ns))
            self._drop(old)
            deleted = len(old)
        return deleted

    def _roll(self, after_ns: int, before_ns: int, level: Level) -> None:
        length, parts = (HOUR_NS, DAY_NS)[level - 1], dict[PaneKey, list[PaneKey]]()
        for key in sorted(k for k in self._all_keys(after_ns, before_ns) if k.level < level):
            parts.setdefault(PaneKey(key.start_ns // length * length, key.spec, level), []).append(key)
        for whole, keys in parts.items():
            merged = self._merged(whole.spec, keys)  # first: if one cannot be read, nothing is changed
            self.get(whole).merge(merged)
            self._drop(keys)

    def _drop(self, keys: list[PaneKey]) -> None:
        for key in keys:
            self.memory.pop(key, None)
            self.sums.pop(_hour(key.start_ns, key.spec), None)
        self.gone.update(keys)

    def saved(self) -> None:
        """Note that the checkpoint has all of it."""
        self.gone.clear()
        for pane in self.memory.values():
            pane.dirty = pane.relabelled = False

    def load(self, from_ns: int) -> None:
        """Take the panes that begin at ``from_ns`` or later into memory; after a restore."""
        self.held_ns = 2**63 - 1
        for key in sorted(self._all_keys(from_ns, self.held_ns)):
            self.get(key)
        self.held_ns = from_ns

    def forget(self, before_ns: int, most_bytes: int) -> None:
        """Drop saved panes that end before a time from memory, until those left take ``most_bytes``: the least lately used."""
        saved = [(k, p) for k, p in self.memory.items() if not (p.dirty or p.relabelled)]
        old = [(k, p) for k, p in saved if k.start_ns + k.length_ns(self.step_ns) <= before_ns]
        size = sum(pane.nbytes for _, pane in old)
        # Display bins whose hour is over are large and nobody asks for them before the roll-up: they go first.
        for key, pane in sorted(old, key=lambda found: self._counts(found[0])):
            if size <= most_bytes and self._counts(key):
                break
            del self.memory[key]
            size -= pane.nbytes
        self.held_ns, self.loaded_bytes = max(self.held_ns, before_ns), 0

    def forget_sums(self, before_ns: int) -> None:
        """Drop the sums of hours that begin before a time."""
        self.sums = {key: pane for key, pane in self.sums.items() if key.start_ns >= before_ns}


def _hour(start_ns: int, spec: int) -> PaneKey:
    return PaneKey(start_ns // HOUR_NS * HOUR_NS, spec, Level.HOUR)
