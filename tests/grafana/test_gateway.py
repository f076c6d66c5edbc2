"""The Collector's configuration: everything that is used is defined, every name is a current one, no feature gets past."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.instrument import SCOPE

ROOT = Path(__file__).resolve().parent.parent.parent
KNOWN: dict[str, set[str]] = {
    "receivers": {"otlp"},
    "processors": {"memory_limiter", "filter", "transform", "probabilistic_sampler"},
    "exporters": {"otlp_grpc", "otlp_http"},
    "extensions": {"health_check", "file_storage"},
}
"""Component types by their names since 0.144; `otlp` and `otlphttp` are deprecated names of the exporters."""

KEYS: dict[str, set[str]] = {
    "otlp": {"protocols"},
    "memory_limiter": {"check_interval", "limit_mib", "spike_limit_mib"},
    "filter": {"error_mode", "trace_conditions"},
    "transform": {"error_mode", "trace_statements"},
    "probabilistic_sampler": {"mode", "sampling_percentage"},
    "otlp_grpc": {"endpoint", "tls", "compression", "retry_on_failure", "sending_queue"},
    "otlp_http": {"endpoint", "tls"},
    "health_check": {"endpoint"},
    "file_storage": {"directory", "create_directory", "compaction"},
}
QUEUE = {"enabled", "storage", "sizer", "queue_size", "block_on_overflow", "batch"}
BATCH = {"flush_timeout", "sizer", "min_size", "max_size"}


@pytest.fixture(scope="module")
def gateway() -> dict[str, Any]:
    tree: dict[str, Any] = YAML(typ="safe").load((ROOT / "collector_config" / "gateway.yaml").read_text())
    return tree


def component(name: str) -> str:
    return name.partition("/")[0]


def test_only_known_sections_components_and_keys(gateway: dict[str, Any]) -> None:
    assert gateway.keys() == {*KNOWN, "service"}
    for section, types in KNOWN.items():
        for name, settings in gateway[section].items():
            assert component(name) in types, name
            assert settings.keys() <= KEYS[component(name)], name


def test_what_is_used_is_defined_and_what_is_defined_is_used(gateway: dict[str, Any]) -> None:
    service = gateway["service"]
    assert service.keys() == {"extensions", "pipelines"}
    used: dict[str, set[str]] = {section: set() for section in KNOWN} | {"extensions": set(service["extensions"])}
    for name, pipeline in service["pipelines"].items():
        assert component(name) in {"traces", "metrics", "logs"} and pipeline.keys() == set(KNOWN) - {"extensions"}
        assert pipeline["processors"][0] == "memory_limiter", "memory is limited before anything is done"
        for section, names in pipeline.items():
            used[section] |= set(names)
    assert used == {section: set(gateway[section]) for section in KNOWN}


def test_predictions_wait_on_disk_and_are_never_given_up(gateway: dict[str, Any]) -> None:
    exporter = gateway["exporters"]["otlp_grpc/calidris"]
    queue = exporter["sending_queue"]
    assert queue.keys() == QUEUE and queue["batch"].keys() == BATCH
    assert queue["storage"] in gateway["extensions"] and queue["enabled"] is True
    assert queue["batch"]["min_size"] <= queue["batch"]["max_size"] <= queue["queue_size"]
    assert exporter["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}
    pipeline = gateway["service"]["pipelines"]["traces/calidris"]
    assert not {component(p) for p in pipeline["processors"]} & {"probabilistic_sampler", "batch", "transform"}


def test_it_sends_where_calidris_listens_and_what_calidris_takes(gateway: dict[str, Any]) -> None:
    ours = CalidrisConfig().receiver.grpc
    exporter = gateway["exporters"]["otlp_grpc/calidris"]
    assert exporter["endpoint"] == ours.endpoint
    assert exporter["sending_queue"]["batch"]["max_size"] < ours.max_message_bytes
    listening = gateway["receivers"]["otlp"]["protocols"]
    assert listening["grpc"]["max_recv_msg_size_mib"] * 2**20 == ours.max_message_bytes
    assert ours.endpoint not in {listening["grpc"]["endpoint"], listening["http"]["endpoint"]}


def test_no_column_of_a_prediction_reaches_the_trace_backend(gateway: dict[str, Any]) -> None:
    statements = gateway["processors"]["transform/no_features"]["trace_statements"]
    patterns = [re.fullmatch(r'delete_matching_keys\(span\.attributes, "(.+)"\)', s) for s in statements]
    deleted = [found[1].replace("\\\\", "\\") for found in patterns if found]
    assert len(deleted) == len(statements)
    registry = YAML(typ="safe").load((ROOT / "semconv" / "ml.yaml").read_text())
    groups = {g["id"]: g["attributes"] for g in registry["groups"] if "attributes" in g}
    payload = {a["id"] for g in ("registry.ml.prediction", "registry.ml.feedback") for a in groups[g]}
    kept = {semconv.ML_PREDICTION_COUNT, semconv.ERROR_TYPE}
    for name in payload | {"ml.features.age", "ml.slices.country"}:
        assert any(re.search(p, name) for p in deleted) == (name not in kept), name
    for name in (semconv.ML_MODEL_NAME, semconv.ML_MODEL_VERSION, semconv.ML_MODEL_TASK, "http.route"):
        assert not any(re.search(p, name) for p in deleted), name
    assert gateway["processors"]["transform/no_features"]["error_mode"] == "propagate", "an error must not let it pass"


def test_every_backend_but_calidris_is_behind_the_removal(gateway: dict[str, Any]) -> None:
    for name, pipeline in gateway["service"]["pipelines"].items():
        if component(name) == "traces" and pipeline["exporters"] != ["otlp_grpc/calidris"]:
            assert "transform/no_features" in pipeline["processors"], name


def test_filters_know_the_names_of_the_convention(gateway: dict[str, Any]) -> None:
    (keep,) = gateway["processors"]["filter/model_spans_only"]["trace_conditions"]
    assert keep.count(f'attributes["{semconv.ML_MODEL_NAME}"] == nil') == 2
    (packed,) = gateway["processors"]["filter/no_packed_spans"]["trace_conditions"]
    assert f'scope.name == "{SCOPE}"' in packed and semconv.ML_PREDICTION_COUNT in packed


def test_reports_of_what_was_dropped_reach_calidris_alone(gateway: dict[str, Any]) -> None:
    """They may name no model, and they have no rows, which else marks a span of the application's own trace."""
    (keep,) = gateway["processors"]["filter/model_spans_only"]["trace_conditions"]
    (packed,) = gateway["processors"]["filter/no_packed_spans"]["trace_conditions"]
    for name in (semconv.ML_REPORT_ROWS_DROPPED, semconv.ML_REPORT_VALUES_WITHHELD):
        assert f'span.attributes["{name}"] == nil' in keep and f'span.attributes["{name}"] != nil' in packed
