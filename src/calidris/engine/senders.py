"""What senders say that they left out, added up by model and reason: rows and labels that never came, values that came as missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from calidris.wire import Report
from calidris.wire.columns.reports import MAX_REASONS, OTHER

Owner = tuple[str, str]
"""Tenant and name of a model."""

NO_MODEL: Final = ""
"""Name under which is counted what no model was named for, or one more than there is room for."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the senders of one model left out since the state began.

    Attributes:
        owner: tenant and name; the name is empty for what belongs to no model.
        dropped: reason to rows and labels.
        withheld: reason to values.
    """

    owner: Owner
    dropped: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count one report; reasons beyond ``MAX_REASONS`` are counted as other."""
        _add(self.dropped, report.dropped)
        _add(self.withheld, report.withheld)

    def copied(self) -> LeftOut:
        """The same counts, which nobody changes any more."""
        dropped = self.dropped.copy()
        withheld = self.withheld.copy()
        return LeftOut(
            owner=self.owner,
            dropped=dropped,
            withheld=withheld,
        )


def _add(sums: Counter[str], told: Mapping[str, int]) -> None:
    for reason, count in told.items():
        known = reason in sums
        has_room = len(sums) < MAX_REASONS
        if not known and not has_room:
            reason = OTHER
        sums[reason] += count


class SenderReports:
    """The sums of all reports: a function of the journal's records, whatever else the engine watches.

    A report makes no model watched. Names that nobody configured are at most ``most_names`` of a tenant: what is beyond is
    counted under no model, never lost.

    Args:
        configured: tenant and name of the models that have settings of their own: they always have room.
        most_names: other names of one tenant.
    """

    def __init__(self, configured: Set[Owner], most_names: int) -> None:
        self._configured = configured
        self._most_names = most_names
        # Counted as they come: to look through all names at each report would cost more than the report.
        self._strangers: Counter[str] = Counter()
        self._found: dict[Owner, LeftOut] = {}

    def add(self, tenant: str, report: Report) -> int:
        """Count one report.

        Returns:
            How many of its rows and values are counted under no model for want of room.
        """
        asked = (tenant, report.model)
        fits = self._has_room(asked)
        owner = asked if fits else (tenant, NO_MODEL)
        sums = self._of(owner)
        sums.add(report)
        return 0 if fits else report.total

    def _has_room(self, owner: Owner) -> bool:
        if owner in self._found:
            return True
        if not self._is_stranger(owner):
            return True
        tenant, _ = owner
        return self._strangers[tenant] < self._most_names

    def _is_stranger(self, owner: Owner) -> bool:
        _, name = owner
        if name == NO_MODEL:
            return False
        return owner not in self._configured

    def _of(self, owner: Owner) -> LeftOut:
        found = self._found.get(owner)
        if found is not None:
            return found
        if self._is_stranger(owner):
            tenant, _ = owner
            self._strangers[tenant] += 1
        made = LeftOut(owner)
        self._found[owner] = made
        return made

    def taken(self) -> tuple[LeftOut, ...]:
        """A copy of the sums, for readers."""
        taken = []
        for owner in sorted(self._found):
            sums = self._found[owner]
            taken.append(sums.copied())
        return tuple(taken)

    def to_json(self) -> str:
        """The sums, for the checkpoint."""
        kept = []
        for owner, sums in self._found.items():
            row = [*owner, sums.dropped, sums.withheld]
            kept.append(row)
        return json.dumps(kept)

    def restore(self, kept: Iterable[Any]) -> None:
        """Take over what ``to_json`` told."""
        for tenant, name, dropped, withheld in kept:
            owner = (tenant, name)
            sums = self._of(owner)
            sums.dropped.update(dropped)
            sums.withheld.update(withheld)
