"""Our side, from the same pandas tables: BASELINE CURRENT REPEATS, and ``verdicts`` for the profile instead of the report."""

from __future__ import annotations

# ruff: noqa: E402 - how long the imports take is measured
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.peers.timed import best, tell

started = time.perf_counter()
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from calidris.baseline import BaselineColumns, build
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.compat import kind_of, verdicts
from calidris.metrics import drift_p_values, drift_readings, quality_readings
from calidris.metrics.drift.drift_measures import MEASURES
from calidris.state import CountsState, MomentsState, Spec

imported = time.perf_counter() - started
KEY = ModelKey("default", "bench", "1")


def columns(table: pa.Table) -> Mapping[str, Column]:
    """Arrow columns as ours."""
    out: dict[str, Column] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_floating(column.type):
            out[name] = NumberColumn.of(pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False))
        else:
            coded = column.dictionary_encode()
            codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
            out[name] = CodedColumn(tuple(coded.dictionary.to_pylist()), codes)
    return out


def batch(frame: pd.DataFrame) -> PredictionBatch:
    features = columns(pa.Table.from_pandas(frame, preserve_index=False))
    return PredictionBatch(KEY, np.zeros(len(frame), dtype=np.int64), features)


def report(baseline: pd.DataFrame, current: pd.DataFrame) -> int:
    """Baseline, window, every drift measure with its interval, data quality, and a p-value a column; number of figures."""
    made = build(BaselineColumns(batch(baseline), timed=False), Spec(), window_s=3600.0)
    rows, counts, moments = batch(current), CountsState(made.spec), MomentsState(made.spec)
    counts.update(made.spec.encode(rows))
    moments.update(rows)
    readings = drift_readings(made.spec, made.counts, counts, window="table", measures=tuple(MEASURES))
    quality = quality_readings(made.spec, counts, window="table")
    p = drift_p_values(made.spec, made.counts, counts)["psi"]
    return len(readings) + len(quality) + len(p)


def profile(baseline: pd.DataFrame, current: pd.DataFrame) -> dict[str, Any]:
    """The verdicts of the profile ``evidently``: rule, score and verdict of each column."""
    table = pa.Table.from_pandas(current, preserve_index=False)
    now = columns(table)
    kinds = {name: kind_of(table.schema.field(name).type, column) for name, column in now.items()}
    found = verdicts(columns(pa.Table.from_pandas(baseline, preserve_index=False)), now, kinds)
    return {c.column: [c.rule and c.rule.name, c.score, c.drifted] for c in found.columns}


def main() -> None:
    baseline, current = (pd.read_parquet(path) for path in sys.argv[1:3])
    work = profile if sys.argv[4:] == ["verdicts"] else report
    found = best(lambda: work(baseline, current), int(sys.argv[3]))
    tell(import_s=imported, scores=found.pop("result"), **found)


if __name__ == "__main__":
    main()
