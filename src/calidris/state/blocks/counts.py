"""M: how many rows fell in each cell of each field. Feeds drift, data quality, latency and error rate."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from calidris.batch import Ints
from calidris.state.base import ArrayState
from calidris.state.spec import Spec


class CountsState(ArrayState):
    """Multinomial counts of every field of a model, int64[cells].

    The layout is ragged: field i owns ``array[offsets[i]:offsets[i+1]]``, its ordered cells first and the four special
    ones last. Update is one flattened ``bincount`` for the whole model.

    >>> from calidris.state.coding.fields import Field, Kind, Role
    >>> spec = Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0)),))
    >>> CountsState(spec).count
    0
    """

    KIND: ClassVar[int] = 1
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """One cell after the other, all fields."""
        return (spec.cells,)

    @property
    def count(self) -> int:
        """Rows seen: every row is in exactly one cell of the first field."""
        # Not whole where these are rows by weight as so many as they are worth.
        rows: float = self.array[: self.spec.offsets[1]].sum().item()
        return round(rows)

    def update(self, cells: Ints) -> None:
        """Count encoded rows, int64[fields, n] as ``Spec.encode`` gives them."""
        self.array += np.bincount(cells.ravel(), minlength=self.spec.cells)

    def field(self, i: int) -> Ints:
        """Cells of field i, int64[width]: a view."""
        return self.array[self.spec.offsets[i] : self.spec.offsets[i + 1]]

    def padded(self) -> Ints:
        """A rectangular copy, int64[fields, K_max + 4]; see ``Spec.padded_index``."""
        return np.append(self.array, 0)[self.spec.padded_index]
