"""Nights of a job for the tests: drawn, written as a table to build a baseline from, and sent in any order."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from running import CALIDRIS, Running, environment

from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.engine.columns import rows_of
from calidris.wire import encode_predictions

DAY_NS = 86_400 * 10**9
HOUR_NS = DAY_NS // 24
ROWS = 6000
A_REQUEST = 500


def columns(n: int, seed: int, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Two features, the first one moved by so many standard deviations, and the score of a model that reads it."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n) + 10 * shift
    return {"age": age, "income": rng.lognormal(10, 1, n), "score": 1 / (1 + np.exp((40 - age) / 10))}


def times(n: int, seed: int, begin_ns: int, span_ns: int) -> np.ndarray:
    """Event times of a night, in the order of their rows."""
    drawn = np.random.default_rng([seed, 1]).integers(0, span_ns, n)
    return np.sort(begin_ns + drawn.astype(np.int64))


def night(
    begin_ns: int, seed: int, *, shift: float = 0.0, span_ns: int = DAY_NS, n: int = ROWS, name: str = "nightly",
    batch_id: str | None = None,
) -> PredictionBatch:  # fmt: skip
    """One night's rows in the order of their times."""
    found = columns(n, seed, shift)
    return PredictionBatch(
        model=ModelKey("default", name, "1"),
        event_time_ns=times(n, seed, begin_ns, span_ns),
        features={key: NumberColumn.of(found[key]) for key in ("age", "income")},
        task="binary",
        score=NumberColumn.of(found["score"]),
        batch_id=batch_id,
    )


def write_night(path: Path, begin_ns: int, seed: int, shift: float) -> None:
    """The same night as a table of a job: features, scores, whose they are and when, in no order."""
    at = pa.array(times(ROWS, seed, begin_ns, DAY_NS), pa.timestamp("ns"))
    who = [f"{seed}-{row}" for row in range(ROWS)]
    table = pa.table({**columns(ROWS, seed, shift), "at": at, "customer": who})
    pq.write_table(table.take(np.random.default_rng([seed, 2]).permutation(ROWS)), path)


def send(receiver: Running, batch: PredictionBatch, *, seed: int | None = 0) -> None:
    """Send a job at once, in requests; with a seed in shuffled order."""
    order = np.arange(len(batch)) if seed is None else np.random.default_rng([seed, 2]).permutation(len(batch))
    for begin in range(0, len(batch), A_REQUEST):
        part = rows_of(batch, order[begin : begin + A_REQUEST])
        receiver.export(encode_predictions(part, form="packed", one_span_per_row=False))


def end_of(receiver: Running, name: str = "nightly", window: str = "1h") -> int:
    """Until when windows of a length were scored, ns since the epoch; 0 before the first."""
    return max((p["end_ns"] for p in receiver.model(name).get("history", ()) if p["window"] == window), default=0)


def build_baseline(receiver: Running, name: str, begin_ns: int, nights: int, span_ns: int = DAY_NS) -> None:
    """What a user does: rows of past nights in a file, and the command line."""
    parts = [columns(ROWS // 10, 1000 + k) for k in range(nights)]
    at = [times(ROWS // 10, 1000 + k, begin_ns + k * DAY_NS, span_ns) for k in range(nights)]
    table = {key: np.concatenate([part[key] for part in parts]) for key in ("age", "income", "score")}
    path = receiver.folder / f"{name}.parquet"
    pq.write_table(pa.table(table | {"at": pa.array(np.concatenate(at), pa.timestamp("ns"))}), path)
    command = ["baseline", "build", "--model", name, "--data", str(path), "--time", "at"]
    output = ["-o", str(receiver.folder / f"{name}.calidris"), "-c", str(_without_baseline(receiver))]
    subprocess.run([*CALIDRIS, *command, *output], env=environment(), check=True, capture_output=True, timeout=120)


def _without_baseline(receiver: Running) -> Path:
    path = receiver.folder / "build.yaml"
    kept = [line for line in receiver.config.read_text().splitlines() if "baseline:" not in line]
    path.write_text("\n".join(kept))
    return path
