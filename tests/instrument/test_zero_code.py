"""`opentelemetry-instrument python service.py`, as a user types it: no line of Calidris in the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from calidris import semconv

SERVICE = """
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.arange(20.0).reshape(10, 2)
model = LogisticRegression().fit(X, [0, 1] * 5)
print(model.predict_proba(X[:3]).shape)
"""


def instrumented(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    exporters = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    command = [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "-c", code]
    return subprocess.run(command, env=clean | exporters | env, capture_output=True, text=True, timeout=60)


def test_a_service_without_a_line_of_ours_is_monitored(receiver: Any) -> None:
    done = instrumented(
        SERVICE,
        OTEL_EXPORTER_CALIDRIS_ENDPOINT=receiver.endpoint,
        OTEL_SERVICE_NAME="shop",
        OTEL_CALIDRIS_MODEL_VERSION="4",
    )
    assert (done.returncode, done.stdout) == (0, "(3, 2)\n"), done.stderr
    span = receiver.only("predict shop-logisticregression")
    assert span[semconv.ML_MODEL_VERSION] == "4"
    assert span[semconv.ML_PREDICTION_COUNT] == 3
    assert span[semconv.ML_FEATURES]["x0"] == [0.0, 2.0, 4.0]
    assert span["resource"]["service.name"] == "shop"


def test_without_an_endpoint_the_service_runs_and_is_told() -> None:
    done = instrumented(SERVICE)
    assert (done.returncode, done.stdout) == (0, "(3, 2)\n"), done.stderr
    assert done.stderr.count("OTEL_EXPORTER_CALIDRIS_ENDPOINT") == 1


def test_a_service_without_scikit_learn_pays_for_nothing() -> None:
    done = instrumented(
        "import sys; print(sorted({'sklearn', 'numpy', 'calidris.instrument.sending.channel'} & set(sys.modules)))"
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
