"""Labels find their predictions, whichever came first: those that came early wait here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from calidris.batch import CodedColumn, Ints, LabelBatch, ModelKey
from calidris.config import LimitsConfig
from calidris.config.class_names import class_text
from calidris.engine.joining import outcome_column
from calidris.engine.model import WatchedModel
from calidris.engine.registry import Registry
from calidris.labels import NO_ID, EarlyLabels, hash_ids
from calidris.labels.early import EarlyLabel, even_level
from calidris.labels.id_hashes import Hashes
from calidris.state.coding.stated_types import without_gaps

Owner = tuple[str, str]
"""Tenant and name of a model: a label names no version."""

Unmatched = Callable[[str, int], None]
"""Counts labels that found no prediction, by reason."""


class Labelling:
    """Joins labels and predictions of all models; every label is counted once, as joined, as waiting or as unmatched.

    Attributes:
        early: labels that wait for their prediction, of each model that has some.

    Args:
        models: what is watched; owned by the engine.
        registry: its versions.
        limits: caps on what waits.
        unmatched: told of the rest.
    """

    def __init__(
        self, models: Mapping[ModelKey, WatchedModel], registry: Registry, limits: LimitsConfig, unmatched: Unmatched
    ) -> None:
        self.early: dict[Owner, EarlyLabels] = {}
        self._models = models
        self._registry = registry
        self._limits = limits
        self._unmatched = unmatched

    def add(self, batch: LabelBatch, arrival_ns: int) -> None:
        """Join labels with the predictions that wait for them; the others wait themselves."""
        # As in a file: who has no outcome yet often writes a text that says so.
        batch = replace(batch, label=without_gaps(batch.label))
        owner = (batch.tenant, batch.model_name)
        ids = hash_ids(batch.ids)
        valid, named = batch.label.valid, ids != NO_ID
        self._unmatched("missing_label", int(np.count_nonzero(~valid)))
        self._unmatched("missing_id", int(np.count_nonzero(valid & ~named)))
        usable = np.flatnonzero(valid & named)
        left = usable[np.sort(np.unique(ids[usable], return_index=True)[1])]  # the first label of each id
        repeated = len(usable) - len(left)
        for key in self._registry.versions(owner)[::-1]:  # the newest version first
            match = self._models[key].pending.match(ids[left])
            hit = left[match.found]
            if len(hit):
                unusable = self._models[key].add_labels(match.rows, batch.label.take(hit), batch.label_time_ns[hit])
                self._unmatched("not_a_number", unusable)
            repeated += int(np.count_nonzero(match.repeated))
            left = left[~(match.found | match.repeated)]
        self._unmatched("repeated", repeated)
        if len(left):
            self._keep(owner, batch, ids[left], left.astype(np.int64), arrival_ns)

    def join_early(self, model: WatchedModel, ids: Hashes) -> None:
        """Give predictions that were counted just now the labels that came before them."""
        early = self.early.get(model.key[:2])
        taken = early.take(ids) if early else []
        if taken:
            places, labels = zip(*taken)
            match = model.pending.match(ids[list(places)])
            assert match.found.all(), "the rows were added just now"
            times = np.array([label.label_time_ns for label in labels], dtype=np.int64)
            outcomes = outcome_column([label.outcome for label in labels], model.config.task)
            self._unmatched("not_a_number", model.add_labels(match.rows, outcomes, times))

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

    def _keep(self, owner: Owner, batch: LabelBatch, ids: Hashes, rows: Ints, arrival_ns: int) -> None:
        if owner not in self.early and not self._may_wait(owner):
            self._unmatched("too_many_models", len(rows))
            return
        times = batch.label_time_ns[rows].tolist()
        labels = [EarlyLabel(text, time, arrival_ns) for text, time in zip(_texts(batch, rows.tolist()), times)]
        early = self.early.setdefault(owner, EarlyLabels())
        self._unmatched("repeated", early.add(ids, labels))
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


def _texts(batch: LabelBatch, rows: list[int]) -> list[str]:
    label = batch.label
    if isinstance(label, CodedColumn):
        return [label.levels[label.codes[row]] for row in rows]
    return [class_text(value) for value in label.values[rows].tolist()]
