"""Which model versions are watched, and who makes room for a new one: the caps of ``limits`` on names.

::

    versions    of one model         full: its version that was silent longest makes room, if for silent_after
    models      of one tenant,       full: the model that was silent longest makes room, with all its versions
                nobody's configured
    watched     versions in all      full: the version that was silent longest makes room, if its model has others or
                                     nobody configured it

Nobody makes room while an alarm of it is latched. Where nobody can, the new version's rows are counted under the cap's name and
left out. A configured model always has room for its first version, so a flood of names costs it nothing. Silence is measured in
sealed time, which the journal holds, so a replay decides alike; between two seals, an answer of "no" is remembered, so that
a flood costs one look-up a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from calidris.batch import ModelKey
from calidris.config import LimitsConfig

Owner = tuple[str, str]
"""Tenant and name of a model."""

VERSIONS, MODELS, WATCHED = "versions", "models", "watched"
"""The caps, as overflow is counted by."""


class NoRoom(Exception):
    """A version cannot be watched; ``cap`` is the one in its way."""

    def __init__(self, cap: str) -> None:
        super().__init__(cap)
        self.cap = cap


class Roster:
    """The watched versions of each model, in the order in which they came, and how many there may be.

    Args:
        limits: the caps.
        configured: tenant and name of the models that have settings of their own.
    """

    def __init__(self, limits: LimitsConfig, configured: frozenset[Owner]) -> None:
        self.limits = limits
        self.configured = configured
        self._versions: dict[Owner, list[ModelKey]] = {}
        self._strangers: Counter[str] = Counter()  # models nobody configured, by tenant
        self._count = 0
        self._full: dict[tuple[str, ...], object] = {}  # cap and whose, to the moment at which nobody could make room

    def __len__(self) -> int:
        return self._count

    def versions(self, owner: Owner) -> Sequence[ModelKey]:
        """Watched versions of a model, the newest last; O(1)."""
        return self._versions.get(owner, ())

    def add(self, key: ModelKey) -> None:
        """Watch a version, whatever the caps say."""
        owner = key[:2]
        if owner not in self._versions:
            self._versions[owner] = []
            self._strangers[key.tenant] += owner not in self.configured
        self._versions[owner].append(key)
        self._count += 1

    def remove(self, key: ModelKey) -> None:
        """Watch a version no longer."""
        owner = key[:2]
        self._versions[owner].remove(key)
        self._count -= 1
        if not self._versions[owner]:
            del self._versions[owner]
            self._strangers[key.tenant] -= owner not in self.configured

    def make_room(self, key: ModelKey, moment: object, silence: Callable[[ModelKey], int | None]) -> list[ModelKey]:
        """Versions that must go before this new one is watched; mostly none.

        Args:
            key: the new version.
            moment: changes whenever ``silence`` may tell of somebody new.
            silence: how long a version has been silent; None where it cannot make room.

        Raises:
            NoRoom: none can go.
        """
        siblings, stranger = self.versions(key[:2]), key[:2] not in self.configured
        if len(siblings) >= self.limits.versions:
            return self._longest_silent((VERSIONS, *key[:2]), moment, silence, ([k] for k in siblings))
        if not siblings and stranger and self._strangers[key.tenant] >= self.limits.models:
            return self._longest_silent((MODELS, key.tenant), moment, silence, self._models_of(key.tenant))
        if self._count >= self.limits.watched and (siblings or stranger):
            return self._longest_silent((WATCHED,), moment, silence, self._spare())
        return []

    def _models_of(self, tenant: str) -> Iterable[list[ModelKey]]:
        return (keys for owner, keys in self._versions.items() if owner[0] == tenant and owner not in self.configured)

    def _spare(self) -> Iterable[list[ModelKey]]:
        return ([k] for ks in self._versions.values() for k in ks if len(ks) > 1 or k[:2] not in self.configured)

    def _longest_silent(
        self,
        cap: tuple[str, ...],
        moment: object,
        silence: Callable[[ModelKey], int | None],
        groups: Iterable[list[ModelKey]],
    ) -> list[ModelKey]:
        if self._full.get(cap) == moment:
            raise NoRoom(cap[0])
        best: tuple[int, list[ModelKey]] = (0, [])
        for keys in groups:
            found = [silence(key) for key in keys]
            if None not in found:
                shortest = min(n for n in found if n is not None)
                best = max(best, (shortest, list(keys)), key=lambda pair: pair[0])  # of equals, who came first
        if best[0] < round(self.limits.silent_after * 1e9) or not best[1]:
            self._full[cap] = moment
            raise NoRoom(cap[0])
        return best[1]
