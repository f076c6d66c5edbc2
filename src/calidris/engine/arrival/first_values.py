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
class FirstValues:
    """First values of the features.

    Attributes:
        first_ns: event time of each feature's earliest value, by name; a feature that never came has none.
        untold: whether nobody noted them, as in checkpoints of earlier versions: then every feature counts as having come.
    """

    first_ns: dict[str, int] = field(default_factory=dict)
    untold: bool = False

    def note(self, spec: Spec, cells: Ints, times_ns: Ints) -> None:
        """Take down which features some rows have.

        Args:
            spec: how they are counted.
            cells: int64[fields, n] as the spec's ``encode`` gives them.
            times_ns: of the rows, int64[n].

        Cost: a look-up a feature, and one pass over the rows of a feature that is new, or of rows older than its first ones.
        """
        oldest = int(times_ns.min())
        for at, name in spec.sent_features:
            if self.first_ns.get(name, oldest + 1) <= oldest:
                continue
            there = cells[at] != spec.offsets[at] + spec.fields[at].ordered + MISSING
            if there.any():
                first = int(times_ns[there].min())
                self.first_ns[name] = min(self.first_ns.get(name, first), first)

    def absent(self, spec: Spec, start_ns: int, begun_ns: int) -> list[int]:
        """Places of the features that a window has no rows of, because their first value came later.

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
        return [at for at, name in spec.sent_features if self.first_ns.get(name, since + 1) > since]

    def take_over(self, other: Self) -> None:
        """Expect what another version of the model had: what its successor lacks has disappeared."""
        self.first_ns = dict.fromkeys(other.first_ns, 0)
        self.untold = other.untold

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {} if self.untold else {"arrived": dict(sorted(self.first_ns.items()))}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``to_json`` wrote, out of everything that a checkpoint says of a model."""
        found = data.get("arrived")
        return cls(untold=True) if found is None else cls(dict(found))


def stand_in(baseline: CountsState, counts: Ints, absent: list[int]) -> Ints:
    """A window's counts int64[cells], with the baseline's own shares in place of features that are absent.

    A bet on a field that lies exactly as the baseline does wins nothing, so this is no evidence, while the rows stay as many.
    """
    out = counts.copy()
    for at in absent:
        part = slice(int(baseline.spec.offsets[at]), int(baseline.spec.offsets[at + 1]))
        total = np.cumsum(baseline.field(at))
        rows = int(counts[part].sum())
        # Rounding the running total keeps the sum.
        upto = np.rint(total * (rows / max(int(total[-1]), 1))).astype(np.int64)
        out[part] = np.diff(upto, prepend=0)
    return out
