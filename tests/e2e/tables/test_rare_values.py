"""From a file to the read API and a scrape: rare values are not new ones, and windows say what is not ordinary about them."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import CALIDRIS, CONFIG, Running, environment, until

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e

SHOPS, BASELINE_ROWS, LIVE_ROWS, NEW = 400, 6000, 1000, 30
MODEL = {"name": "till", "windows": ["4s"], "detect": {"windows": ["4s"]}, "baseline": "till.calidris"}


def shops(seed: int, n: int) -> list[str]:
    rng = np.random.default_rng(seed)
    shares = 1 / (np.arange(SHOPS) + 5.0)
    return [f"shop {i}" for i in rng.choice(SHOPS, n, p=shares / shares.sum()).tolist()]


def built(folder: Path) -> list[str]:
    """A baseline of a CSV file, made by the command; the shops that are in the file."""
    met = shops(1, BASELINE_ROWS)
    score = np.random.default_rng(2).random(BASELINE_ROWS).round(6).tolist()
    lines = [f"{1_700_000_000 + i},{shop},{one}" for i, (shop, one) in enumerate(zip(met, score))]
    (folder / "train.csv").write_text("\n".join(["ts,shop,score", *lines]) + "\n")
    (folder / "build.yaml").write_text(CONFIG + f"models: {json.dumps([MODEL | {'baseline': None}])}\n")
    command = [
        *CALIDRIS, "baseline", "build", "-c", "build.yaml", "--model", "till", "--data", "train.csv", "--time", "ts", "-o", "till.calidris",
    ]  # fmt: skip
    made = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stdout + made.stderr
    return met


def sent(receiver: Running, values: list[str], time_ns: int) -> None:
    n = len(values)
    batch = PredictionBatch(
        ModelKey("default", "till", "1"),
        time_ns + np.arange(n, dtype=np.int64) * 1000,
        {"shop": CodedColumn.of(values)},
        task="binary",
        score=NumberColumn.of(np.random.default_rng(n).random(n)),
    )
    receiver.export(encode_predictions(batch, form="packed", one_span_per_row=False))


def window(receiver: Running) -> dict[str, Any]:
    found: list[dict[str, Any]] = receiver.model("till").get("windows", [])
    return found[0] if found else {}


def told_of(shown: dict[str, Any]) -> tuple[int, str]:
    return shown.get("rows", 0), shown.get("status", "")


def shares(receiver: Running) -> dict[str, tuple[float, str]]:
    """Value and status of each kind of fault of the shop."""
    every = receiver.get("/v1/models/till/1/readings")
    mine = [one for one in every if one["metric"] == "ml.data_quality.ratio" and one["window"] == "4s"]
    return {one["attributes"]["ml.data_quality.kind"]: (one["value"], one["status"]) for one in mine}


def test_a_file_of_rare_values_and_windows_that_grow_late_and_old(tmp_path: Path) -> None:
    met = set(built(tmp_path))
    receiver = Running(tmp_path, CONFIG + f"models: {json.dumps([MODEL])}\n").start()
    try:
        # A window without the share of new values, and then the one that is asked about.
        begin_ns = time.time_ns() // 4_000_000_000 * 4_000_000_000
        sent(receiver, shops(3, 200), begin_ns)
        time.sleep(max(0.0, (begin_ns + 4_100_000_000 - time.time_ns()) / 1e9))
        live = [*shops(4, LIVE_ROWS - NEW), *["Atlantis"] * NEW]
        sent(receiver, live, begin_ns + 4_000_000_000)
        # Rows and status of one answer: before the first window is closed, the newest one shows.
        until(lambda: told_of(window(receiver)) == (LIVE_ROWS, "ok"), 30)
        found = shares(receiver)
        unseen = sum(shop not in met for shop in live) / LIVE_ROWS
        assert found["unseen"] == (pytest.approx(unseen), "ok") and unseen < 0.05
        assert 0.2 < found["rare"][0] < 0.6 and "other" not in found
        names = {one["name"] for one in window(receiver)["unseen"]["shop"]}
        assert names == {shop for shop in live if shop not in met}

        sent(receiver, shops(5, LIVE_ROWS), begin_ns + 4_000_000_000)
        until(lambda: window(receiver)["rows"] == 2 * LIVE_ROWS)
        assert (window(receiver)["status"], window(receiver)["late"]) == ("partial", LIVE_ROWS)
        assert {status for _, status in shares(receiver).values()} == {"partial"}
        assert receiver.total("ml_window_late", ml_window="4s") == 0.5
        assert receiver.total("ml_window_status", ml_window="4s", ml_monitoring_state="partial") == 1.0

        until(lambda: window(receiver)["status"] == "stale", 30)
        assert {status for _, status in shares(receiver).values()} == {"stale"}
        assert receiver.total("ml_window_status", ml_window="4s", ml_monitoring_state="stale") == 1.0
        assert receiver.total("ml_window_status", ml_monitoring_state="partial") == 0.0
        told = receiver.total("ml_window_rows", ml_window="4s")
        assert told == 2 * LIVE_ROWS, "figures stay where they were"
    finally:
        receiver.kill()
