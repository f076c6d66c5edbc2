"""What `calidris check` promises is what a scrape shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import KEY, MINUTE, base_of, draw

from calidris.app.dry_run import count_series, memory
from calidris.batch import NumberColumn
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.panes.days import DayPoint, Days
from calidris.export import PrometheusExporter, points
from calidris.metrics.day_figures import OF_ROWS
from calidris.state import pane_bytes

STEP = 5 * MINUTE
BEGIN = 1_800_003_600_000_000_000 // (12 * STEP) * 12 * STEP


def config_of(task: str, series: str) -> CalidrisConfig:
    model = {
        "name": "m", "task": task, "windows": ["5m", "1h"], "detect": {"windows": ["5m", "1h"], "label_age": "1h"},
        "slices": ["sex", "country"], "fairness": None if task == "regression" else {"attribute": "sex"},
        "slo": {"errors": {"objective": 0.999}},
    }  # fmt: skip
    return CalidrisConfig.model_validate(
        {"export": {"series": series, "max_series_per_model": 9000}, "models": [model]}
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_series_are_those_of_a_scrape_after_hours_of_traffic(task: str) -> None:
    base = base_of(task)
    for level in ("minimal", "standard", "full"):
        config = config_of(task, level)
        engine, journal = Engine(config, lambda *_: (base, "")), Journal()
        for step in range(40):
            raw = draw(task, 500 + step, 400, BEGIN + step * STEP, STEP)
            timed = replace(raw.batch, duration_s=NumberColumn.of(np.full(400, 0.02)))
            for item in (timed, raw.labels()):
                engine.apply(journal.request(item, arrival_ns=BEGIN))
            engine.apply(journal.seal(BEGIN + (step + 1) * STEP))
        engine.models[KEY].days = weeks(task, BEGIN + 40 * STEP)
        engine.models[KEY].touch()
        found = points(snapshot(engine, 0), config.export)
        scrape = PrometheusExporter("127.0.0.1:0", lambda found=found: found).exposition().decode()
        of_alarms = ("ml_detection_onset", "ml_detection_alarm_renewed")
        told = [line for line in scrape.splitlines() if not line.startswith(of_alarms)]
        shown = sum('ml_model_name="m"' in line for line in told)
        assert count_series(config, config.model("m"), base) == shown, (task, level)


def weeks(task: str, end_ns: int) -> Days:
    labelled = ("mae", "bias") if task == "regression" else ("accuracy", "brier")
    measures = (*labelled, *OF_ROWS)
    return Days(
        points=[DayPoint(end_ns / 1e9 - d * 86_400, m, 0.5 + d / 100, 0.1) for d in range(28, 0, -1) for m in measures]
    )


def test_memory_is_the_sum_of_its_parts() -> None:
    base = base_of("binary")
    model = ModelConfig.model_validate({"name": "m", "windows": ["5m", "1h", "1d"]})
    found = memory(model, base, 1000, 32)
    each = pane_bytes(base.spec)
    assert found["labels"] == 32_000
    assert found["panes"] == (25 + 1) * 12 * (
        each["counts"] + each["moments"] + each["cell_sums"]
    )  # 25 h of labelled windows, and an hour
    assert found["baseline"] >= base.windows.nbytes and found["windows"] > 0
    assert np.sum(list(found.values())) < 50 * 2**20
