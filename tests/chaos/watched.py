"""A watched model with a baseline, so that detectors have something to remember and to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from running import CONFIG, Running, labels, rows

from calidris.baseline import BaselineColumns, build, write
from calidris.state import Spec

WATCHED = CONFIG + (
    "models: [{name: credit, windows: [1s, 10s], baseline: credit.calidris, slices: [country],"
    " detect: {windows: [1s], false_alarms: 1 per day, minimum_rows: 20}}]\n"
)


def write_baseline(folder: Path, seed: int = 1) -> None:
    """``credit.calidris``, of rows as ``running.rows`` draws them."""
    drawn = rows(5000, seed=seed, time_ns=0)
    columns = BaselineColumns(drawn, labels(drawn).label)
    write(build(columns, Spec(positive="1"), window_s=1.0, slices=["country"]), folder / "credit.calidris")


def history(receiver: Running) -> list[dict[str, Any]]:
    """Windows that were closed, of all models."""
    return [window for model in receiver.status()["models"] for window in model.get("history", ())]
