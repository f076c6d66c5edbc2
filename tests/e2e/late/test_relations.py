"""Two columns that stop belonging together, from a file of rows to the list of alarms: the guest, real gRPC, a real receiver."""

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
from calidris.batch import Floats
from calidris.instrument.runtime import runtime

pytestmark = pytest.mark.e2e

PER_SECOND = 200
MODELS = (
    'models: [{name: credit, baseline: "credit.calidris", windows: [1s, 10s],'
    " detect: {windows: [1s], false_alarms: 1 per day, minimum_rows: 20}}]\n"
)


def rows(n: int, seed: int, rho: float = 0.7) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    age, height, rest = rng.normal(size=(3, n))
    return {"age": age, "height": height, "income": rho * age + np.sqrt(1.0 - rho**2) * rest}


@pytest.fixture
def guest() -> Iterator[None]:
    yield
    runtime.shutdown(1.0)


def built(folder: Path) -> Path:
    """A baseline of sixty windows."""
    n = 60 * PER_SECOND
    columns = {"ts": 1_767_225_600 + np.arange(n) / PER_SECOND, **rows(n, 1)}
    pyarrow.parquet.write_table(pa.table(columns), folder / "rows.parquet")
    (folder / "build.yaml").write_text(MODELS.replace('baseline: "credit.calidris", ', ""))
    path = folder / "credit.calidris"
    data = ["--data", folder / "rows.parquet", "--time", "ts", "-c", folder / "build.yaml", "-o", path]
    done = run("baseline", "build", "--model", "credit", *data)
    assert done.code == 0, done.err
    assert "age × income" in done.out
    return path


def serve(model: Model, seconds: int, seed: int, rho: float) -> None:
    for second in range(seconds):
        model.record_batch(rows(PER_SECOND, seed + second, rho), values=np.zeros(PER_SECOND))
        time.sleep(0.9)
    assert calidris.flush(10)


def test_a_relation_that_is_lost_is_on_the_list_by_its_name(
    make_receiver: Callable[..., Running], tmp_path: Path, guest: None
) -> None:
    path = built(tmp_path)
    receiver = make_receiver(CONFIG + MODELS.replace("credit.calidris", str(path))).start()
    calidris.configure(endpoint=receiver.grpc, delay_s=0.2)
    model = Model("credit", version="3", task="regression", features=["age", "height", "income"])
    serve(model, 4, seed=10, rho=0.7)
    until(lambda: receiver.model("credit")["rows"] == 4 * PER_SECOND)
    assert receiver.get("/v1/alarms") == []
    serve(model, 6, seed=50, rho=0.0)
    (alarm,) = until(lambda: receiver.get("/v1/alarms"))
    assert alarm["kind"] == "drift"
    assert [(f["name"], f["direction"]) for f in alarm["features"]] == [("age × income", "relation changed (weaker)")]
    listed = run("alarms", "list", "--endpoint", receiver.api)
    assert listed.code == 0, listed.err
    assert "age × income" in listed.out
    evidence = {
        dict(labels).get("ml_feature_name") for name, labels in receiver.metrics() if name == "ml_detection_evidence"
    }
    assert evidence >= {"age", "height", "income", "age × income"}
