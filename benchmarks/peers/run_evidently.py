"""Evidently's own data drift preset with its defaults; runs in its environment: BASELINE CURRENT REPEATS."""

from __future__ import annotations

# ruff: noqa: E402 - how long the imports take is measured
import sys
import time
import warnings
from typing import Any

from timed import best, tell  # type: ignore[import-not-found]  # run as a script

warnings.simplefilter("ignore")
started = time.perf_counter()
import pandas as pd
from evidently import Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

imported = time.perf_counter() - started
baseline, current = (pd.read_parquet(path) for path in sys.argv[1:3])


def drift() -> Any:
    return Report([DataDriftPreset()], include_tests=True).run(current, baseline)


found = best(drift, int(sys.argv[3]))
said = found.pop("result").dict()
failed = {t["metric_config"]["metric_id"]: t["status"] == "FAIL" for t in said["tests"]}
scores = {m["metric_name"]: [m["value"], failed[m["id"]]] for m in said["metrics"] if "ValueDrift" in m["metric_name"]}
tell(import_s=imported, scores=scores, **found)
