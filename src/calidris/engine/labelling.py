"""Labels find their predictions, whichever came first: those that came early wait here. A newer label takes an older one's place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Ints, LabelBatch, ModelKey, NumberColumn
from calidris.config import LimitsConfig
from calidris.config.class_names import class_text
from calidris.engine.joining import as_numbers, outcome_column
from calidris.engine.model import WatchedModel
from calidris.engine.registry import Registry
from calidris.labels import NO_ID, REVISED, EarlyLabels, hash_ids, newest
from calidris.labels.early import EarlyLabel, even_level
from calidris.labels.id_hashes import Hashes
from calidris.state.coding.fields import as_classes, as_coded
from calidris.state.coding.stated_types import without_gaps

Owner = tuple[str, str]
"""Tenant and name of a model: a label names no version."""

Unmatched = Callable[[str, int], None]
"""Counts labels that were not joined, by reason."""

Revised = Callable[[int], None]
"""Counts labels that took the place of another."""


class Labelling:
    """Joins labels and predictions of all models; every label is counted once, as joined, as revised, as waiting or as unmatched.

    Attributes:
        early: labels that wait for their prediction, of each model that has some.

    Args:
        models: what is watched; owned by the engine.
        registry: its versions.
        limits: caps on what waits.
        unmatched: told of those that are not joined.
        revised: told of those that take another's place.
    """

    def __init__(
        self,
        models: Mapping[ModelKey, WatchedModel],
        registry: Registry,
        limits: LimitsConfig,
        unmatched: Unmatched,
        revised: Revised,
    ) -> None:
        self.early: dict[Owner, EarlyLabels] = {}
        self._models = models
        self._registry = registry
        self._limits = limits
        self._unmatched = unmatched
        self._revised = revised

    def add(self, batch: LabelBatch, arrival_ns: int) -> None:
        """Join labels with their predictions, each in place of an older one; the others wait for a prediction themselves."""
        owner = (batch.tenant, batch.model_name)
        # As in a file: who has no outcome yet often writes a text that says so.
        batch = replace(batch, label=without_gaps(batch.label))
        as_of, ids = _as_of(batch, arrival_ns), hash_ids(batch.ids)
        valid, named = batch.label.valid, ids != NO_ID
        self._unmatched("missing_label", int(np.count_nonzero(~valid)))
        self._unmatched("missing_id", int(np.count_nonzero(valid & ~named)))
        usable = np.flatnonzero(valid & named)
        last, first = newest(ids[usable], self._rank(owner, batch.label, as_of)[usable])
        left, began = usable[last], batch.label_time_ns[usable[first]]
        self._leave_out_older(batch.label, ids, usable, left)
        for key in self._registry.versions(owner)[::-1]:  # the newest version first
            match = self._models[key].pending.find(ids[left])
            hit = left[match.found]
            if len(hit):
                labels = batch.label.take(hit)
                self._tell(self._models[key].add_labels(match, labels, began[match.found], as_of[hit]))
            left, began = left[~match.found], began[~match.found]
        if len(left):
            labels = batch.label.take(left)
            self._keep(owner, ids[left], labels, zip(began.tolist(), as_of[left].tolist()), arrival_ns)

    def _rank(self, owner: Owner, label: Column, as_of_ns: Ints) -> Ints:
        """Which of two labels of a batch for one prediction counts: the newer one, but of a regression a number before a text."""
        versions = self._registry.versions(owner)
        if not versions or self._models[versions[-1]].config.task != semconv.ML_MODEL_TASK_REGRESSION:
            return as_of_ns
        return np.where(as_numbers(label).valid, as_of_ns, 0)

    def _leave_out_older(self, label: Column, ids: Hashes, rows: Ints, kept: Ints) -> None:
        """Count the labels of a batch that are not the newest of their id: those that say the same, and the others."""
        if len(rows) == len(kept):
            return
        order = np.argsort(ids[kept])
        mine = kept[order[np.searchsorted(ids[kept], ids[rows], sorter=order)]]
        cells = as_classes(as_coded(label) if isinstance(label, NumberColumn) else label).codes
        same = int(np.count_nonzero(cells[rows] == cells[mine])) - len(kept)
        self._unmatched("repeated", same)
        self._unmatched("superseded", len(rows) - len(kept) - same)

    def _tell(self, told: Mapping[str, int]) -> None:
        """Count what became of labels that are not the first of their row."""
        for reason, n in told.items():
            if reason == REVISED:
                self._revised(n)
            else:
                self._unmatched(reason, n)

    def join_early(self, model: WatchedModel, ids: Hashes) -> None:
        """Give predictions that were counted just now the labels that came before them."""
        early = self.early.get(model.key[:2])
        taken = early.take(ids) if early else []
        if not taken:
            return
        places, labels = zip(*taken)
        match = model.pending.find(ids[list(places)])
        here = [label for label, found in zip(labels, match.found.tolist()) if found]
        self._unmatched("no_prediction", len(labels) - len(here))  # a batch may be larger than what may wait
        times = np.array([[label.label_time_ns, label.as_of_ns] for label in here], dtype=np.int64).reshape(-1, 2)
        outcomes = outcome_column([label.outcome for label in here], model.config.task)
        self._tell(model.add_labels(match, outcomes, times[:, 0], times[:, 1]))

    def expire(self, until_ns: int) -> None:
        """Give up those that have waited too long."""
        for early in self.early.values():
            self._unmatched("no_prediction", early.expire(until_ns))
        for owner in [owner for owner, early in self.early.items() if not early]:
            del self.early[owner]

    def forget(self, owner: Owner) -> None:
        """Give up those that wait for a model which is forgotten."""
        early = self.early.pop(owner, None)
        if early is not None:
            self._unmatched("forgotten", len(early))

    def _keep(
        self, owner: Owner, ids: Hashes, label: Column, times: Iterable[tuple[int, int]], arrival_ns: int
    ) -> None:
        if owner not in self.early and not self._may_wait(owner):
            self._unmatched("too_many_models", len(ids))
            return
        labels = [EarlyLabel(text, began, arrival_ns, as_of) for text, (began, as_of) in zip(_texts(label), times)]
        early = self.early.setdefault(owner, EarlyLabels())
        self._tell(early.add(ids, labels))
        self._unmatched("too_many_early", early.shrink())
        self._share_capacity([e for (tenant, _), e in self.early.items() if tenant == owner[0]])

    def _share_capacity(self, mine: list[EarlyLabels]) -> None:
        """Keep a tenant's waiting labels under their cap. Who has most gives way: a flood for one model costs others nothing."""
        level = even_level(list(map(len, mine)), self._limits.early_labels)
        for early in mine:
            self._unmatched("too_many_early", early.shrink(len(early) - level))

    def _may_wait(self, owner: Owner) -> bool:
        """Whether labels of one more model may wait: those of a watched one always, of as many others as may be watched."""
        if not self._is_stranger(owner):
            return True
        strangers = sum(o[0] == owner[0] and self._is_stranger(o) for o in self.early)
        return strangers < self._limits.models

    def _is_stranger(self, owner: Owner) -> bool:
        return not self._registry.versions(owner) and owner not in self._registry.configured


def _texts(label: Column) -> list[str]:
    if isinstance(label, CodedColumn):
        return [label.levels[code] for code in label.codes.tolist()]
    return [class_text(value) for value in label.values.tolist()]


def _as_of(batch: LabelBatch, arrival_ns: int) -> Ints:
    """Which of two labels is newer: when each became known, or came, where it does not say, int64[n]."""
    if batch.untimed is None:
        return batch.label_time_ns
    return np.where(batch.untimed, arrival_ns, batch.label_time_ns)
