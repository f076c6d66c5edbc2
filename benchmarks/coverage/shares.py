"""Shares of rows: data quality, failed calls, label coverage, columns that came or went."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris import semconv
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics.base import Reading
from calidris.metrics.latency import error_reading
from calidris.metrics.performance.performance_measures import coverage_reading
from calidris.metrics.quality import quality_readings
from calidris.metrics.schema import constant_readings, schema_readings
from calidris.metrics.window_status import WindowContents
from calidris.state import CountsState, Field, Kind, Role, Spec
from calidris.state.coding.known_levels import KnownLevels

KEY = ModelKey("t", "m", "1")
AGE = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0, 90.0))
TEXT = Field("text", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0))
COLOUR = Field("colour", Role.FEATURE, Kind.CATEGORICAL, levels=("red", "green"), known=KnownLevels.of(["pink"]))
SHADE = Field("shade", Role.FEATURE, Kind.CATEGORICAL, levels=("red", "green"))  # as an earlier version kept it
SPEC = Spec(fields=(AGE, TEXT, COLOUR, SHADE))


def counted(n: int, features: dict[str, Column], error: CodedColumn | None = None) -> CountsState:
    state = CountsState(SPEC)
    state.update(SPEC.encode(PredictionBatch(KEY, np.zeros(n, np.int64), features, error=error)))
    return state


def coded(g: np.random.Generator, n: int, levels: tuple[str, ...], shares: list[float]) -> CodedColumn:
    """Levels of these shares; what is left to 1 is missing."""
    codes = np.searchsorted(np.cumsum(shares), g.random(n), side="right")
    return CodedColumn(levels, np.where(codes < len(levels), codes, -1).astype(np.int32))


def _numbers(g: np.random.Generator, n: int, share: float) -> NumberColumn:
    """Ages, of which so many are missing and as many out of range."""
    which, age = g.random(n), g.uniform(1, 89, n)
    return NumberColumn.of(np.where(which < share, math.nan, np.where(which < 2 * share, 200.0, age)))


BASELINE = counted(
    3000, {"age": _numbers(np.random.default_rng(1), 3000, 0.01), "text": NumberColumn.of(np.full(3000, 0.5))}
)


def of_shares(name: str, share: float) -> Case:
    """Each fault in such a share of rows."""

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        for reading, truth in _readings(g, n, share):
            yield Trial(figure_of(reading), reading, truth)

    return Case(name, read)


def _readings(g: np.random.Generator, n: int, share: float) -> Iterator[tuple[Reading, float]]:
    ages = _numbers(g, n, share)
    colours = coded(g, n, ("red", "green", "blue", "pink"), [0.5 - share, 0.5 - share, share, share])
    shades = coded(g, n, ("red", "green", "blue"), [0.5 - share, 0.5, share])
    # A column of texts: each of its values is a violation, what is missing is none.
    texts, errors = coded(g, n, ("x",), [share]), coded(g, n, ("timeout",), [share])
    state = counted(n, {"age": ages, "text": texts, "colour": colours, "shade": shades}, errors)
    yield error_reading(SPEC, state, "1h"), share
    wanted = {
        "age": ("missing", "out_of_range"),
        "colour": ("rare", "unseen"),
        "shade": ("other",),
        "text": ("type_violation",),
    }
    for reading in quality_readings(SPEC, state, "1h"):
        about = dict(reading.attributes)
        if about[semconv.ML_DATA_QUALITY_KIND] in wanted[about[semconv.ML_FEATURE_NAME]]:
            yield reading, share
    seen = {"age": n - int(g.binomial(n, share)), "text": n, "colour": n, "shade": n, "new": int(g.binomial(n, share))}
    yield from ((reading, share) for reading in schema_readings(SPEC, seen, n, "1h"))
    stuck = counted(n, {"age": NumberColumn.of(np.full(n, 45.0)), "text": texts, "colour": colours, "shade": shades})
    yield from ((reading, 1.0) for reading in constant_readings(SPEC, BASELINE, stuck, "1h"))
    yield coverage_reading(int(g.binomial(n, share)), n, "1h"), share
    _, late = WindowContents(rows=n, late=int(g.binomial(n, share))).readings("1h")
    yield late, share


def cases() -> Iterator[Case]:
    yield of_shares("half of rows", 0.4)
    yield of_shares("1 % of rows", 0.01)
    yield of_shares("5 % of rows", 0.05)
