"""Pair: how the relation of two numbers becomes one field, whose cell says which quarter of the one came with which of the other.

Both columns may keep their own histograms while what belonged together no longer does: a join that mixes rows up, a column of
another day. Nothing that looks at one column at a time can see that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from calidris.state.coding.fields import Field, Kind, Role

SIGN = " × "
MOST_GROUPS = 4


@dataclass(frozen=True)
class Pair:
    """Two numeric features whose relation is counted.

    A row in which either has no value is counted as missing: the columns' own fields say which.

    Attributes:
        one: name of the first feature.
        two: name of the second.
        cuts: edges of the bins of each that part its groups, one to three: about its quartiles.

    Raises:
        ValueError: another number of cuts.
    """

    one: str
    two: str
    cuts: tuple[tuple[float, ...], tuple[float, ...]]

    def __post_init__(self) -> None:
        for cuts in self.cuts:
            if not 0 < len(cuts) < MOST_GROUPS:
                raise ValueError(f"pair {self.name!r}: one to three cuts a column, got {cuts}")

    @property
    def name(self) -> str:
        """What an alarm calls it.

        >>> Pair("age", "income", ((30.0,), (900.0, 1500.0))).name
        'age × income'
        """
        return f"{self.one}{SIGN}{self.two}"

    @property
    def columns(self) -> tuple[str, str]:
        """Names of the two features."""
        return self.one, self.two

    @property
    def shape(self) -> tuple[int, int]:
        """Groups of the first and of the second column."""
        one, two = self.cuts
        return len(one) + 1, len(two) + 1

    @property
    def field(self) -> Field:
        """The field that it is counted in: groups of the first column, within each those of the second."""
        return Field(
            self.name,
            Role.PAIR,
            Kind.PAIR,
            levels=self._name_cells(),
        )

    def _name_cells(self) -> tuple[str, ...]:
        rows, columns = map(range, self.shape)
        names = [f"{i + 1},{j + 1}" for i in rows for j in columns]
        return tuple(names)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``Pair.from_json`` reads back exactly."""
        return {
            "columns": [self.one, self.two],
            "cuts": list(map(list, self.cuts)),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pair:
        """The pair that ``to_json`` described."""
        one, two = data["columns"]
        cuts_one, cuts_two = data["cuts"]
        return cls(one, two, (tuple(cuts_one), tuple(cuts_two)))
