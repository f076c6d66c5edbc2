"""A batch job as a user writes it: ``python send_table.py job.json`` reads tables, records predictions, then their outcomes.

Prints how many of each it gave, and whether all of them were acknowledged.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import calidris

ROWS_A_CALL = 1000


def read(path: str) -> pd.DataFrame:
    return pd.read_parquet(path) if path.endswith(".pq") else pd.read_csv(path)


def scores_of(table: pd.DataFrame, columns: Any) -> Any:
    """One column of probabilities, or a mapping from class to one."""
    if columns is None:
        return None
    if isinstance(columns, str):
        return table[columns]
    return {name: table[column] for name, column in columns.items()}


def record(job: dict[str, Any]) -> dict[str, Any]:
    model = calidris.Model(
        job["model"],
        version="1",
        task=job["task"],
        features=job["features"],
        allow=job["allow"],
        classes=job.get("classes"),
    )
    table = read(job["rows"]).head(job["most"])
    outcomes = read(job["outcomes"]).set_index(job["id"])[job["label"]]
    for start in range(0, len(table), ROWS_A_CALL):
        part = table.iloc[start : start + ROWS_A_CALL]
        decided = {"values": part[job["value"]]} if job.get("value") else {"classes": part[job["decision"]]}
        model.record_batch(
            part[job["features"]], scores=scores_of(part, job.get("score")), ids=part[job["id"]], **decided
        )
    known = outcomes.loc[table[job["id"]]]
    model.record_labels(known.index, known)
    return {"rows": len(table), "labels": len(known), "acknowledged": calidris.flush(60)}


if __name__ == "__main__":
    print(json.dumps(record(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
