"""NannyML's univariate drift with its defaults; runs in its environment: BASELINE CURRENT REPEATS."""

from __future__ import annotations

# ruff: noqa: E402 - how long the imports take is measured
import sys
import time
import warnings
from typing import Any

from timed import best, tell  # type: ignore[import-not-found]  # run as a script

warnings.simplefilter("ignore")
started = time.perf_counter()
import nannyml  # type: ignore[import-not-found]
import pandas as pd

imported = time.perf_counter() - started
baseline, current = (pd.read_parquet(path) for path in sys.argv[1:3])


def drift() -> Any:
    calculator = nannyml.UnivariateDriftCalculator(column_names=list(baseline.columns))
    return calculator.fit(baseline).calculate(current)


found = best(drift, int(sys.argv[3]))
frame = found.pop("result").filter(period="analysis").to_df()
scores = {
    name: [frame[name]["jensen_shannon"]["value"].tolist(), float(frame[name]["jensen_shannon"]["upper_threshold"].iloc[0])]
    for name in baseline.columns
}  # fmt: skip
tell(import_s=imported, scores=scores, **found)
