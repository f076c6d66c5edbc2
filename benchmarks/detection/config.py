"""The one configuration of every row of every table, and where the tables go."""

from __future__ import annotations

import json

CONFIG: dict[str, float | int] = {
    "threshold": 1000,  # A; 8760 in the row that says so
    "delta": 0.05,
    "tolerance_sd": 0.05,  # features, and errors of calls
    "tolerance_loss": 0.005,  # losses of predictions
    "tolerance_logit": 0.1,  # calibration
    "tolerance_gap": 0.05,  # groups
    "minimum_rows": 30,
    "baseline_windows": 168,  # 672 where a week is in the stream
    "streams": 30,
    "null_windows": 2500,
    "delay_streams": 100,
    "horizon": 200,
}
"""Goes into the page's marker: a page written with another configuration fails a test."""

BEGIN, END = "<!-- figures: begin", "<!-- figures: end -->"


def marker() -> str:
    """The line that begins the figures."""
    return f"{BEGIN} {json.dumps(CONFIG, sort_keys=True)} -->"


def placed(page: str, tables: str) -> str:
    """The page with the tables between its markers.

    Raises:
        ValueError: the page has not exactly one of each marker.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("the page needs one begin and one end marker for the figures")
    head, rest = page.split(BEGIN)
    return f"{head}{marker()}\n\n{tables.strip()}\n\n{END}{rest.split(END)[1]}"
