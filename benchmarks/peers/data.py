"""The tables that all tools get: 20 numbers and 5 strings, a baseline of 50 k rows and a current table of 100 k."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

BASELINE_ROWS, ROWS, NUMERIC, CATEGORICAL, LEVELS = 50_000, 100_000, 20, 5, 12
SHAPES = 4


def table(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pa.Table:
    """Normal, skewed, heavy-tailed and rounded numbers, 1 % missing; strings by Zipf's law. ``shift`` moves every fifth."""
    columns: dict[str, pa.Array] = {}
    for i in range(NUMERIC):
        x = rng.normal(shift if i % 5 == 0 else 0.0, 1.0, rows)
        x = (x, np.exp(x), x * np.abs(x), np.round(10 * x))[i % SHAPES]
        columns[f"n{i}"] = pa.array(x, mask=rng.random(rows) < 0.01)
    share = 1.0 / np.arange(1, LEVELS + 1)
    names = np.array([f"level {k}" for k in range(LEVELS)])
    for i in range(CATEGORICAL):
        weight = share ** (1.0 + (shift if i == 0 else 0.0))
        columns[f"c{i}"] = pa.array(rng.choice(names, rows, p=weight / weight.sum()))
    return pa.table(columns)


def write(folder: Path) -> tuple[Path, Path]:
    """Both tables as Parquet files; the same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "baseline.parquet", folder / "current.parquet"
    for path, seed, rows, shift in zip(paths, (1, 2), (BASELINE_ROWS, ROWS), (0.0, 0.15), strict=True):
        pyarrow.parquet.write_table(table(np.random.default_rng(seed), rows, shift), path)
    return paths
