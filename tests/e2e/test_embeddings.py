"""Vectors from a service's code to an alarm: the guest, real gRPC, a real receiver, a baseline built from Parquet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.cli.shell import run
from tests.e2e.running import CONFIG, Running, until

import calidris
from calidris import Model
from calidris.instrument.runtime import runtime

pytestmark = pytest.mark.e2e

DIMENSION, PER_SECOND = 256, 100
MODELS = (
    'models: [{name: tickets, baseline: "tickets.calidris", embeddings: [text], windows: [1s, 10s],'
    " detect: {windows: [1s], false_alarms: 1 per day, minimum_rows: 20}}]\n"
)


def vectors(n: int, seed: int, moved: float = 0.0) -> np.ndarray:
    """A cloud around five topics."""
    topics = np.random.default_rng(0).normal(size=(5, DIMENSION))
    g = np.random.default_rng(seed)
    return (topics[g.integers(0, 5, n)] + g.normal(size=(n, DIMENSION)) + moved).astype(np.float32)


@pytest.fixture
def guest() -> Iterator[None]:
    yield
    runtime.shutdown(1.0)


def built(folder: Path) -> Path:
    """A baseline of sixty windows, from a file as people have them; its path in the configuration is relative."""
    rows = 60 * PER_SECOND
    values = pa.array(vectors(rows, seed=1).ravel())
    columns = {
        "ts": 1_767_225_600 + np.arange(rows) / PER_SECOND,
        "text": pa.FixedSizeListArray.from_arrays(values, DIMENSION),
    }
    pyarrow.parquet.write_table(pa.table(columns), folder / "rows.parquet")
    (folder / "build.yaml").write_text(MODELS.replace('baseline: "tickets.calidris", ', ""))
    path = folder / "tickets.calidris"
    data = ["--data", folder / "rows.parquet", "--time", "ts", "-c", folder / "build.yaml", "-o", path]
    done = run("baseline", "build", "--model", "tickets", *data)
    assert done.code == 0, done.err
    return path


def serve(model: Model, seconds: int, seed: int, moved: float = 0.0) -> None:
    """Predictions one by one and as a batch, spread over some seconds."""
    for second in range(seconds):
        half = PER_SECOND // 2
        cloud = vectors(PER_SECOND, seed + second, moved)
        for row in cloud[:half]:
            with model.predict(embeddings={"text": row}) as prediction:
                prediction.cls = "billing"
            time.sleep(0.9 / half)
        model.record_batch(None, classes=["billing"] * half, embeddings={"text": cloud[half:]})
    assert calidris.flush(10)


def test_a_cloud_that_moves_is_heard_of(make_receiver: Callable[..., Running], tmp_path: Path, guest: None) -> None:
    path = built(tmp_path)
    receiver = make_receiver(CONFIG + MODELS.replace("tickets.calidris", str(path))).start()
    calidris.configure(endpoint=receiver.grpc, delay_s=0.2)
    model = Model("tickets", version="3", task="multiclass", embeddings=["text"])
    serve(model, 5, seed=10)
    until(lambda: receiver.model("tickets")["rows"] == 5 * PER_SECOND)
    assert receiver.get("/v1/alarms") == []
    serve(model, 6, seed=50, moved=0.4)
    (alarm,) = until(lambda: receiver.get("/v1/alarms"))
    assert alarm["features"][0]["name"].startswith("text.")
    assert runtime.drops() == {}
    scores = {dict(labels)["ml_feature_name"] for name, labels in receiver.metrics() if name == "ml_drift_score"}
    assert {"text.nearest", "text.distance"} <= scores
