"""Which features of a model version have ever come with a value, and since when.

A column of the baseline that no live row ever had (a date, text that may not leave, a column of the file that the service never had)
is no change of the model's inputs. It is reported as absent, and detectors are fed as if it lay as in the baseline until its first value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from calidris.batch import Ints
from calidris.state import CountsState, Spec
from calidris.state.coding.fields import MISSING


@dataclass
class Arrivals:
    """First values of the features.

    Attributes:
        first_ns: event time of each feature's earliest value, by name; a feature that never came has none.
        untold: whether nobody noted them, as in checkpoints of earlier versions: then every feature counts as having come.
    """

    first_ns: dict[str, int] = field(default_factory=dict)
    untold: bool = False

    def note(
        self,
        spec: Spec,
        cells: Ints,
        times_ns: Ints,
    ) -> None:
        """Take down which features some rows have.

        The order of rows does not matter: of a feature's values the earliest counts.

        Args:
            spec: how they are counted.
            cells: int64[fields, n] as the spec's ``encode`` gives them.
            times_ns: of the rows, int64[n].

        Cost: a look-up a feature, and one pass over the rows of a feature that is new, or of rows older than its first ones.
        """
        oldest = int(times_ns.min())
        for at, name in spec.sent_features:
            if self._is_known(name, oldest):
                continue
            missing = _find_missing(spec, at)
            is_there = cells[at] != missing
            times = times_ns[is_there]
            if len(times):
                first = int(times.min())
                self._take(name, first)

    def _is_known(self, name: str, at_ns: int) -> bool:
        known = self.first_ns.get(name)
        if known is None:
            return False
        return known <= at_ns

    def _take(self, name: str, at_ns: int) -> None:
        known = self.first_ns.get(name, at_ns)
        self.first_ns[name] = min(known, at_ns)

    def absent(
        self,
        spec: Spec,
        start_ns: int,
        begun_ns: int,
    ) -> list[int]:
        """Places of the features that a window has no rows of, because their first value came later, and of their relations.

        A window that a first value came in the middle of has only a part of them, which would look like a change. Those that came in
        the model's own first step are there from its beginning.

        Args:
            spec: of the model.
            start_ns: begin of the window.
            begun_ns: end of the model's first step.
        """
        if self.untold:
            return []
        since = max(start_ns, begun_ns - 1)
        absent = []
        for at, name in spec.sent_features:
            if not self._is_known(name, since):
                absent.append(at)
        for at, names in spec.paired_features:
            if not all(self._is_known(name, since) for name in names):
                absent.append(at)
        return absent

    def take_over(self, other: Self) -> None:
        """Expect what another version of the model had: what its successor lacks has disappeared."""
        self.first_ns = dict.fromkeys(other.first_ns, 0)
        self.untold = other.untold

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        if self.untold:
            return {}
        by_name = sorted(self.first_ns.items())
        return {"arrived": dict(by_name)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``to_json`` wrote, out of everything that a checkpoint says of a model."""
        found = data.get("arrived")
        if found is None:
            return cls(untold=True)
        return cls(dict(found))


def _find_missing(spec: Spec, at: int) -> int:
    """The cell of a field's missing values."""
    field = spec.fields[at]
    begin = int(spec.offsets[at])
    return begin + field.ordered + MISSING


def stand_in(baseline: CountsState, counts: Ints, absent: list[int]) -> Ints:
    """A window's counts int64[cells], with the baseline's own shares in place of features that are absent.

    A bet on a field that lies exactly as the baseline does wins nothing, so this is no evidence, while the rows stay as many.
    """
    out = counts.copy()
    offsets = baseline.spec.offsets.tolist()
    for at in absent:
        begin, end = offsets[at : at + 2]
        rows = int(counts[begin:end].sum())
        shares = baseline.field(at)
        out[begin:end] = _split(rows, shares)
    return out


def _split(rows: int, shares: Ints) -> Ints:
    """So many rows, split as these are."""
    total = np.cumsum(shares)
    most = max(int(total[-1]), 1)
    # Rounding the running total keeps the sum.
    share = rows / most
    upto = np.rint(total * share)
    parts: Ints = np.diff(upto, prepend=0.0).astype(np.int64)
    return parts
