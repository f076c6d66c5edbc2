"""Every query of dashboards and rules selects series that have the promised names and labels, in the real Prometheus.

The series are made from semconv/ml.yaml, so this holds whatever the receiver's code does; test_live.py asks the receiver.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from calidris import semconv
from calidris.config import CalidrisConfig

ROOT = Path(__file__).resolve().parent.parent.parent
MINUTES, STEP_S = 20, 15
PIPELINE = [
    {"job": "calidris", "instance": "a:9464"},
    {"job": "calidris", "instance": "b:9464", "otel_scope_name": "calidris", "otel_scope_version": "1"},
]
"""The same figure as two paths deliver it: the queries must see one."""

ALLOWED = {"instance", "ml_slo_window"}
"""Labels of results beside those of the convention."""

VALUES: dict[str, list[str]] = {
    "ml.model.name": ["credit", "fraud (eu+uk)", "churn", "nobody configured me"],
    "ml.model.version": ["7"],
    "ml.window": ["5m", "10m", "1h", "1d", "baseline"],
    "ml.feature.name": ["age", "income"],
    "ml.drift.measure": ["psi_debiased", "js"],
    "ml.calibration.measure": ["brier", "ece"],
    "ml.performance.measure": ["accuracy", "recall"],
    "ml.performance.source": ["labels", "estimate"],
    "ml.label.maturity": ["arrived", "fixed_age"],
    "ml.label.class": ["1"],
    "ml.label.delay.within": ["1h", "1d"],
    "ml.fairness.attribute": ["sex"],
    "ml.fairness.group": ["f", "m"],
    "ml.fairness.measure": ["demographic_parity", "equal_opportunity"],
    "ml.trend.measure": ["accuracy", "error_ratio", "latency_p95", "feature_drift", "prediction_drift"],
    "ml.prediction.class": ["", "cat"],
    "ml.data_quality.kind": ["missing", "unseen"],
    "ml.latency.quantile": ["0.5", "0.99"],
    "ml.detection.kind": ["drift", "performance", "fairness", "labels"],
    "ml.detection.level": ["strong", "early"],
    "ml.detection.severity": ["page", "ticket"],
    "ml.detection.waits_for": ["labels", "labels_moved", "rows"],
    "ml.slo.name": ["latency", "errors"],
    "ml.slo.outcome": ["good", "bad"],
    "ml.monitoring.state": ["ok"],
    "calidris.state": ["ready"],
    "calidris.version": ["0.1.0"],
    "calidris.reason": ["ok"],
    "error.type": ["ValueError"],
}


def registry() -> dict[str, list[str]]:
    """Metric to its attributes, from the registry."""
    tree = YAML(typ="safe").load((ROOT / "semconv" / "ml.yaml").read_text(encoding="utf-8"))
    metrics = (group for group in tree["groups"] if group["type"] == "metric")
    return {g["metric_name"]: [a["ref"] for a in g.get("attributes", [])] for g in metrics}


def series_of(metric: semconv.Metric, attributes: list[str]) -> Iterator[dict[str, str]]:
    choices = [[(semconv.prometheus_label(a), value) for value in VALUES[a]] for a in attributes]
    if metric is semconv.METRIC_ML_DETECTION_EVIDENCE:
        choices[attributes.index("ml.feature.name")].append(("ml_feature_name", ""))
    if metric is semconv.METRIC_ML_PERFORMANCE_SCORE:
        choices.append([("country", ""), ("country", "NL")])
    if metric.name.startswith("ml.performance.trend"):
        choices[attributes.index("ml.window")] = [("ml_window", "28d")]
    for pairs in itertools.product(*choices):
        yield {label: value for label, value in pairs if value}


def exposition(now: float) -> Iterator[str]:
    """Twenty minutes of every metric, in the OpenMetrics text format."""
    times = [now - s for s in range(MINUTES * 60, 0, -STEP_S)]
    attributes = registry()
    families = [("up", "gauge", [{}])]
    for metric in (m for m in semconv.METRICS if m.instrument in ("gauge", "counter")):
        families.append((metric.prometheus, metric.instrument, [*series_of(metric, attributes[metric.name])]))
    for name, kind, found in families:
        yield f"# TYPE {name.removesuffix('_total')} {kind}"
        for labels, path in itertools.product(found, PIPELINE):
            text = ",".join(f'{k}="{v}"' for k, v in {**labels, **path}.items())
            for i, at in enumerate(times):
                yield f"{name}{{{text}}} {10 * i if kind == 'counter' else 1} {at:.3f}"
    yield "# EOF"


@pytest.fixture(scope="module")
def asked(ask: Any, rich: CalidrisConfig) -> Any:
    return ask.questions(rich, "5m")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, promtool: Any, start_prometheus: Any, asked: Any) -> Any:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "series.om").write_text("\n".join(exposition(time.time())) + "\n", encoding="utf-8")
    made = promtool("tsdb", "create-blocks-from", "openmetrics", folder / "series.om", folder / "data")
    assert made.returncode == 0, made.stderr
    for path, text in asked.rule_files:
        (folder / Path(path).name).write_text(text, encoding="utf-8")
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(folder / "*.rules.yml")]}
    running = start_prometheus(folder, config)
    running.until('count(ml_model_slo:burn_rate:ratio{ml_slo_window="3d"}) == 3')
    return running


def test_every_panel_has_series(prometheus: Any, ask: Any, asked: Any) -> None:
    assert len(asked.panels) >= 40
    assert not ask.unanswered(prometheus, asked.panels)


def test_every_alert_gives_a_value_although_nothing_is_wrong(prometheus: Any, ask: Any, asked: Any) -> None:
    """So "no data" of an alert always means that nobody watches, and a misspelt name cannot hide as silence."""
    assert len(asked.alerts) >= 30
    assert not ask.unanswered(prometheus, asked.alerts)


def test_every_recording_is_there(prometheus: Any, rich: CalidrisConfig) -> None:
    (count,) = prometheus.values("count(ml_model_slo:burn_rate:ratio)")
    assert count == 3 * 7


def test_every_variable_offers_values(prometheus: Any, ask: Any, asked: Any) -> None:
    offered = {where.rpartition("$")[2]: ask.variable_values(prometheus, query) for where, query in asked.variables}
    assert offered["model"] == sorted(VALUES["ml.model.name"])
    assert offered["version"] == ["7"] and offered["feature"] == ["age", "income"]
    assert set(offered["window"]) == set(VALUES["ml.window"]) and offered["measure"] == ["js", "psi_debiased"]


def test_labels_of_the_path_split_no_figure(prometheus: Any, asked: Any) -> None:
    known = {semconv.prometheus_label(a) for a in VALUES} | ALLOWED | {"country"}
    for where, expr in (*asked.panels, *asked.alerts):
        found = prometheus.query(expr)
        assert all(labels.keys() <= known for labels in found), f"{where}: {found[0]}"
        assert len({tuple(sorted(labels.items())) for labels in found}) == len(found), where


def test_whole_model_evidence_is_not_that_of_a_feature(prometheus: Any, asked: Any) -> None:
    (model,) = {a for a in asked.panels if a.where == "Drift/Evidence of the model/A"}
    (feature,) = {a for a in asked.panels if a.where == "Drift/Evidence by feature/A"}
    assert all("ml_feature_name" not in labels for labels in prometheus.query(model.expr))
    assert all("ml_feature_name" in labels for labels in prometheus.query(feature.expr))


def test_a_query_with_a_wrong_label_is_noticed(prometheus: Any, ask: Any, asked: Any) -> None:
    """The checks above can fail."""
    broken = tuple(a._replace(expr=re.sub("ml_model_name=~", "model=~", a.expr)) for a in asked.panels)
    assert len(ask.unanswered(prometheus, broken)) > 20
