"""Every type of column that a file or a service can have: how its values are drawn, stored, given to the SDK, and changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

Values = list[Any]
Draw = Callable[[np.random.Generator, int], Values]


@dataclass(frozen=True)
class ColumnKind:
    """One type of column.

    Attributes:
        draw: n values as Python has them; None is missing.
        stored: type in Parquet.
        changed: what a fault makes of a value, which must be found.
        forms: how pandas, polars and numpy hold the values, by name.
        csv: cell of a value, where a CSV file can say it.
    """

    draw: Draw
    stored: pa.DataType
    changed: Callable[[Any], Any]
    forms: dict[str, Callable[[Values], Any]]
    csv: Callable[[Any], str] | None = str


def whole(rng: np.random.Generator, n: int) -> Values:
    return rng.poisson(4, n).tolist()


def tenths(rng: np.random.Generator, n: int) -> Values:
    """Rounded and cut off at a value that single precision rounds up: a tenth of all rows lie at the outermost edge."""
    return np.minimum(np.round(rng.normal(20, 8, n), 1), 30.1).tolist()


def often(values: Values, rng: np.random.Generator) -> Values:
    """The values, of which one in five is missing."""
    gone = rng.random(len(values)) < 0.2
    return [None if out else value for value, out in zip(values, gone)]


def choose(*levels: Any) -> Draw:
    def draw(rng: np.random.Generator, n: int) -> Values:
        weight = 1.0 / np.arange(2, 2 + len(levels))
        places = rng.choice(len(levels), n, p=weight / weight.sum())
        return [levels[at] for at in places]

    return draw


def holed(draw: Draw) -> Draw:
    return lambda rng, n: often(draw(rng, n), rng)


def array(kind: str) -> Callable[[Values], Any]:
    return lambda values: np.array(values, dtype=kind)


def series(kind: Any = None) -> Callable[[Values], Any]:
    return lambda values: pd.Series(values, dtype=kind)


def arrow(kind: pa.DataType) -> Callable[[Values], Any]:
    return lambda values: pd.Series(values, dtype=pd.ArrowDtype(kind))


def polars(kind: Any = None) -> Callable[[Values], Any]:
    return lambda values: pl.Series(values, dtype=kind, strict=False)


def objects(values: Values) -> Any:
    return pd.Series(values, dtype=object)


def times_ten(value: Any) -> Any:
    return None if value is None else value * 10


def negative(value: Any) -> Any:
    return None if value is None else -value


def renamed(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def opposite(value: Any) -> Any:
    return None if value is None else not value


NAN = float("nan")
COUNTRIES = ("nl", "de", "at", "fr", None, "")
CODES = ("00731", "01067", "10115", "80331")

KINDS: dict[str, ColumnKind] = {
    "float64": ColumnKind(
        holed(tenths),
        pa.float64(),
        times_ten,
        {
            "list": list,
            "pandas": series("float64"),
            "nullable": series("Float64"),
            "arrow": arrow(pa.float64()),
            "polars": polars(pl.Float64),
            "numpy": lambda values: np.array([NAN if v is None else v for v in values]),
            "single": lambda values: np.array([NAN if v is None else v for v in values], dtype=np.float32),
            "single polars": polars(pl.Float32),
            "single nullable": series("Float32"),
        },
    ),
    "float32": ColumnKind(
        lambda rng, n: rng.lognormal(3, 1, n).astype(np.float32).tolist(),
        pa.float32(),
        negative,
        {"numpy": array("float32"), "pandas": series("float32"), "double": array("float64")},
    ),
    "float16": ColumnKind(
        lambda rng, n: rng.normal(0.5, 0.1, n).astype(np.float16).tolist(),
        pa.float16(),
        times_ten,
        {"numpy": array("float16"), "list": list, "pandas": series("float32")},
    ),
    "int64": ColumnKind(
        holed(whole),
        pa.int64(),
        negative,
        {
            "list": list,
            "pandas": series(),
            "nullable": series("Int64"),
            "unsigned": series("UInt8"),
            "arrow": arrow(pa.int64()),
            "polars": polars(pl.Int32),
            "numbered levels": lambda values: pd.Series(values).astype("Int64").astype("category"),
        },
    ),
    "large int64": ColumnKind(
        lambda rng, n: (2**53 + rng.integers(0, 2**40, n) * 3 + 1).tolist(),
        pa.int64(),
        lambda value: value * 2,
        {"list": list, "numpy": array("int64"), "pandas": series("int64"), "arrow": arrow(pa.int64())},
    ),
    "bool": ColumnKind(
        choose(True, False),
        pa.bool_(),
        opposite,
        {"list": list, "numpy": array("bool"), "pandas": series("bool"), "polars": polars(pl.Boolean)},
    ),
    "bool with gaps": ColumnKind(
        holed(choose(True, False)),
        pa.bool_(),
        opposite,
        {"list": list, "objects": objects, "nullable": series("boolean"), "arrow": arrow(pa.bool_()), "polars": polars()},
    ),
    "text": ColumnKind(
        choose(*COUNTRIES),
        pa.string(),
        renamed,
        {
            "list": list,
            "pandas": series("str"),
            "objects": objects,
            "nullable": series("string"),
            "arrow": arrow(pa.string()),
            "levels": series("category"),
            "polars": polars(pl.String),
            "polars levels": polars(pl.Categorical),
            "numpy": array("object"),
        },
    ),
    "levels": ColumnKind(
        choose("small", "large", None),
        pa.dictionary(pa.int8(), pa.string()),
        renamed,
        {"pandas": series("category"), "list": list, "arrow": arrow(pa.dictionary(pa.int32(), pa.string()))},
    ),
    "codes": ColumnKind(
        choose(*CODES),
        pa.string(),
        lambda value: value.lstrip("0"),
        {"list": list, "pandas": series("str"), "polars": polars(pl.String)},
    ),
    "thousands": ColumnKind(
        choose("1,250", "980", "12,000"),
        pa.string(),
        lambda value: value.replace(",", ""),
        {"list": list, "pandas": series("str")},
        lambda value: f'"{value}"',
    ),
    "decimal": ColumnKind(
        holed(lambda rng, n: [Decimal(f"{v:.2f}") for v in rng.normal(20, 5, n)]),
        pa.decimal128(12, 2),
        times_ten,
        {
            "list": list,
            "objects": objects,
            "arrow": arrow(pa.decimal128(12, 2)),
            "polars": polars(pl.Decimal(12, 2)),
            "float": lambda values: [None if v is None else float(v) for v in values],
        },
    ),
    "timedelta": ColumnKind(
        holed(lambda rng, n: [timedelta(milliseconds=int(v)) for v in rng.exponential(90_000, n)]),
        pa.duration("us"),
        times_ten,
        {
            "list": list,
            "objects": objects,
            "pandas": series("timedelta64[ns]"),
            "seconds": series("timedelta64[ms]"),
            "arrow": arrow(pa.duration("ns")),
            "polars": polars(pl.Duration("us")),
            "numpy": lambda values: np.array(values, dtype="m8[us]"),
        },
        None,
    ),
}  # fmt: skip


def moments(rng: np.random.Generator, n: int) -> Values:
    begin = datetime.fromisoformat("2026-01-01T00:00:00")
    return [begin + timedelta(seconds=int(s)) for s in rng.integers(0, 10**7, n)]


WITHHELD: dict[str, ColumnKind] = {
    "datetime": ColumnKind(
        moments,
        pa.timestamp("us"),
        negative,
        {
            "list": list,
            "pandas": series("datetime64[ns]"),
            "coarse": series("datetime64[s]"),
            "arrow": arrow(pa.timestamp("ns")),
            "polars": polars(),
            "numpy": array("M8[ns]"),
        },
    ),
    "zoned": ColumnKind(
        lambda rng, n: [moment.replace(tzinfo=UTC) for moment in moments(rng, n)],
        pa.timestamp("us", "UTC"),
        negative,
        {"list": list, "pandas": series("datetime64[ns, UTC]")},
    ),
    "date": ColumnKind(
        lambda rng, n: [date(2026, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 300, n)],
        pa.date32(),
        negative,
        {"list": list, "arrow": arrow(pa.date32()), "polars": polars(pl.Date), "numpy": array("M8[D]")},
    ),
    "time": ColumnKind(
        lambda rng, n: [time(int(h), 30) for h in rng.integers(0, 24, n)],
        pa.time64("us"),
        negative,
        {"list": list, "arrow": arrow(pa.time64("us")), "polars": polars(pl.Time)},
        None,
    ),
}  # fmt: skip
"""Types that leave neither side."""
