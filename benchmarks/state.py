"""Rows into every kind of state, and panes into windows: CPU time of one core, each beside a floor of the same run.

    python -m benchmarks.state

The standard row has 20 numeric and 5 categorical features; labelled rows are cut by three slices of five levels. Figures are
medians over repeats; the floor is what numpy alone takes to look at the same columns once: a sum, a weighted ``bincount`` a sum kept, a product.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.state import (
    CountsState,
    DisplayState,
    Field,
    GroupsState,
    Kind,
    LevelsState,
    Loss,
    LossesState,
    MomentsState,
    ResidualsState,
    Role,
    ScoresState,
    Slice,
    SparseTable,
    Spec,
    TableState,
    WideErrorsState,
    learn_codebook,
    pane_bytes,
    row_losses,
)

NUMERIC, CATEGORICAL = 20, 5
LEVELS = tuple(f"level{i}" for i in range(10))
SLICES = tuple(Slice(name, ("a", "b", "c", "d")) for name in ("one", "two", "three"))
Row = dict[str, Any]


def cpu_s(work: Callable[[], object], repeats: int = 40) -> float:
    """CPU seconds of one call: median over repeats, after a warm-up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def rate(what: str, rows: int, work: Callable[[], object], floor: Callable[[], object]) -> Row:
    taken, least = cpu_s(work), cpu_s(floor)
    return {"what": what, "value": rows / taken, "unit": "rows/s", "floor": rows / least, "ratio": taken / least}


def standard_spec(task: str = "binary") -> Spec:
    edges = tuple(np.linspace(-4.0, 4.0, 11).tolist())
    numeric = [Field(f"n{i}", Role.FEATURE, Kind.NUMERIC, edges=edges) for i in range(NUMERIC)]
    levels = [Field(f"c{i}", Role.FEATURE, Kind.CATEGORICAL, levels=LEVELS[:8]) for i in range(CATEGORICAL)]
    value = Field("value", Role.VALUE, Kind.NUMERIC, edges=edges)
    losses = {
        "binary": (Loss("error"), Loss("brier")),
        "regression": (Loss("absolute_error", 3.0), Loss("squared_error", 9.0)),
    }
    return Spec(task=task, fields=(*numeric, *levels, value), slices=SLICES, losses=losses[task])


def standard_batch(rng: np.random.Generator, rows: int) -> PredictionBatch:
    features: dict[str, Column] = {f"n{i}": NumberColumn.of(rng.normal(size=rows)) for i in range(NUMERIC)}
    codes = rng.integers(0, len(LEVELS), (CATEGORICAL, rows), dtype=np.int32)
    features |= {f"c{i}": CodedColumn(LEVELS, codes[i]) for i in range(CATEGORICAL)}
    return PredictionBatch(ModelKey("default", "bench", "1"), np.zeros(rows, np.int64), features)


def predictions(rng: np.random.Generator, rows: int) -> list[Row]:
    spec = standard_spec()
    # Different rows each time: the branches of a few hundred values would be learnt.
    batches = [standard_batch(rng, rows) for _ in range(max(2, 32_768 // rows))]
    cells = [spec.encode(batch) for batch in batches]
    counts, moments, levels, display = CountsState(spec), MomentsState(spec), LevelsState(spec), DisplayState(spec)

    def floor() -> None:
        for batch in batches:
            for column in batch.features.values():
                if isinstance(column, NumberColumn):
                    column.values.sum()
                else:
                    np.bincount(column.codes)

    work: dict[str, Callable[[], object]] = {
        "encode": lambda: [spec.encode(batch) for batch in batches],
        "counts of encoded rows": lambda: [counts.update(c) for c in cells],
        "moments": lambda: [moments.update(batch) for batch in batches],
        "moments and sums by cell": lambda: [moments.update(b, c) for b, c in zip(batches, cells)],
        "unseen levels, two of ten": lambda: [levels.update(b, c) for b, c in zip(batches, cells)],
        "display bins": lambda: [display.update(batch) for batch in batches],
    }
    total = rows * len(batches)
    return [rate(f"{what}, {rows} rows a batch", total, each, floor) for what, each in work.items()]


def labelled(rng: np.random.Generator, rows: int) -> list[Row]:
    binary, regression = standard_spec(), standard_spec("regression")
    score, delay = rng.random(rows), rng.exponential(1e5, rows)
    outcome, value = (rng.random(rows) < score).astype(np.int64), rng.normal(size=rows)
    slices = binary.slice_rows([CodedColumn(("a", "b", "c", "d"), rng.integers(0, 4, rows, np.int32)) for _ in SLICES])
    truth, decision = outcome.astype(float), (score >= 0.5).astype(np.int64)
    losses = row_losses(binary.losses, truth, decision.astype(float), score)
    columns: dict[type[TableState], tuple[Spec, tuple[Any, ...]]] = {
        ScoresState: (binary, (score, outcome, delay, slices)),
        LossesState: (binary, (losses, delay, slices)),
        GroupsState: (binary, (outcome, decision, delay, slices)),
        ResidualsState: (regression, (value, value + score, delay, slices)),
        WideErrorsState: (regression, (value, value + score, delay, slices)),
    }
    return [row for table, (spec, args) in columns.items() for row in one_table(table, spec, args, rows)]


def one_table(table: type[TableState], spec: Spec, args: tuple[Any, ...], rows: int) -> list[Row]:
    dense, pane = table(spec), SparseTable(table, spec)
    cell, weight = np.arange(rows) % 500, np.ones(rows)
    what = f"{table.__name__.removesuffix('State').lower()}, {rows} labels a batch, 3 slices"

    def floor() -> None:
        for _ in range((1 + len(SLICES)) * table.SUMS):
            np.bincount(cell, weights=weight)

    return [
        rate(what, rows, lambda: dense.add(table.place(spec, *args)), floor),
        rate(f"{what}, sparse", rows, lambda: pane.add(table.place(spec, *args)), floor),
    ]


def embedding(rng: np.random.Generator, rows: int, dimension: int) -> Row:
    matrix = rng.normal(size=(rows, dimension)).astype(np.float32)
    book = learn_codebook("text", rng.normal(size=(8000, dimension)))
    points = np.frombuffer(book.centroids, "<f4").reshape(-1, dimension)
    what = f"embedding of {dimension} to {book.k} centroids, {rows} rows a batch"
    return rate(what, rows, lambda: book.nearest(matrix), lambda: matrix @ points.T)


def windows(rng: np.random.Generator) -> Row:
    """A day of five-minute panes into one window, all states of labelled rows."""
    spec, window = standard_spec(), LossesState(standard_spec())
    panes = []
    for _ in range(288):
        pane = SparseTable(LossesState, spec)
        pane.add(
            LossesState.place(spec, rng.random((2, 100)), rng.exponential(1e5, 100), rng.integers(1, 16, (3, 100)))
        )
        panes.append(pane)
    zeros = [np.zeros_like(window.array) for _ in panes]
    taken, floor = cpu_s(lambda: [p.add_to(window) for p in panes]), cpu_s(lambda: [window.array + z for z in zeros])
    return {
        "what": "288 sparse panes of losses into one window", "value": taken * 1e3, "unit": "ms", "floor": floor * 1e3,
        "ratio": taken / floor,
    }  # fmt: skip


def memory() -> Row:
    """Memory of a pane's states at the most, against that of the counts alone."""
    size = pane_bytes(standard_spec())
    return {
        "what": "all states of one pane at the most", "value": sum(size.values()) / 1024, "unit": "KiB",
        "floor": size["counts"] / 1024, "ratio": sum(size.values()) / size["counts"],
    }  # fmt: skip


def run() -> list[Row]:
    rng = np.random.default_rng(0)
    return [
        *(row for rows in (512, 4096) for row in predictions(rng, rows)),
        *(row for rows in (512, 4096) for row in labelled(rng, rows)),
        *(embedding(rng, 4096, dimension) for dimension in (64, 768)),
        windows(rng),
        memory(),
    ]


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['what']:60} {row['value']:12,.4g} {row['unit']:7}"
            f" floor {row['floor']:12,.4g}, {row['ratio']:.2f} times the floor's time"
        )
