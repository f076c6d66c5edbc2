"""calidris.yaml: defaults that work, and errors that name file, line, key and cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from calidris.config import (
    ApiConfig,
    CalidrisConfig,
    DetectConfig,
    ExportConfig,
    FairnessConfig,
    GrpcConfig,
    HttpConfig,
    JournalConfig,
    LimitsConfig,
    LogConfig,
    ReceiverConfig,
    RetentionConfig,
    SharesConfig,
    StorageConfig,
    load,
)
from calidris.config.detection import CanaryConfig, SharedBudgetsConfig
from calidris.config.input_schema import FeatureSchema, InputSchema
from calidris.config.models import ModelConfig
from calidris.errors import ConfigError

GOOD = """
receiver:
  grpc: {endpoint: "127.0.0.1:0"}
storage: {path: ./data, journal: {keep: true}}
export: {prometheus: {endpoint: "127.0.0.1:9464"}, series: full}
models:
  - name: credit
    positive: 1
    baseline: baselines/credit-{version}.calidris
    windows: [5m, 1h, 1d]
    detect: {windows: [5m, 1h], false_alarms: 1 per year}
    slo: {latency: {objective: 0.99, under: 200ms}, errors: {objective: 0.999}}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "calidris.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_good_file_is_read_with_units_and_paths_made_absolute(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    credit = config.model("credit")
    assert config.storage.path == tmp_path / "data"
    assert credit.baseline == str(tmp_path / "baselines/credit-{version}.calidris")
    assert credit.windows == (300.0, 3600.0, 86400.0)
    assert credit.budget_s == 365 * 86400
    assert credit.slo.latency is not None and credit.slo.latency.under == 0.2
    assert credit.step_ns == 300 * 10**9


def test_empty_file_is_a_working_configuration(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""))
    assert config.receiver.grpc.endpoint == "127.0.0.1:4327"
    assert config.receiver.http is not None and config.receiver.http.endpoint == "127.0.0.1:4328"
    assert config.model("anything") == ModelConfig(name="anything")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("reciever: {}\n", 1, "did you mean `receiver`"),
        ("models:\n  - name: a\n    treshold: 0.5\n", 3, "did you mean `threshold`"),
        ("export:\n  prometheus:\n    endpoint: nowhere\n", 3, "write host:port"),
        ("models:\n  - name: a\n    windows: [5m, 7m]\n", 2, "whole number of the shortest window"),
        ("models:\n  - name: a\n    windows: [five]\n", 3, "such as 5m or 1h"),
        ("models:\n  - name: a\n    detect: {false_alarms: seldom}\n", 3, 'write it like "1 per year"'),
        ("models:\n  - name: a\n  - name: a\n", 1, "listed twice"),
        ("models:\n  - name: a\n    missing: {age: []}\n", 3, "[-999] for one"),
        ("models:\n  - name: a\n    missing: {age: [.nan]}\n", 3, "missing anyway"),
        ("models:\n  - {}\n", 2, "Field required"),
        ("a: [\n", 2, "not valid YAML"),
        ("- a\n", 1, "expected keys"),
        ("receiver: {queue_bytes: 0}\n", 1, "such as 64MiB"),
        ("api: {}\nstorage: {journal: {max_bytes: 511MiB}}\n", 2, "set it to 536870912 or more"),
        ("receiver: {grpc: {max_message_bytes: 1GiB}}\n", 1, "or receiver.grpc.max_message_bytes lower"),
        ("receiver: {http: {max_message_bytes: 1GiB}}\n", 1, "or receiver.http.max_message_bytes lower"),
    ],
)
def test_errors_name_file_line_key_and_cure(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}:")
    assert said in str(caught.value)


def test_a_small_journal_goes_with_small_messages(tmp_path: Path) -> None:
    text = "receiver: {grpc: {max_message_bytes: 1MiB}, http: {max_message_bytes: 1MiB}}\nstorage: {journal: {max_bytes: 8MiB}}\n"
    assert load(write(tmp_path, text)).storage.journal.max_bytes == 8 << 20
    assert load(write(tmp_path, text.replace("http: {max_message_bytes: 1MiB}", "http: null"))).receiver.http is None


@pytest.mark.parametrize(
    "headers", ['{Authorization: "Bearer s3cret"}', '{authorization: "Bearer s3cret\\n"}', "s3cret"]
)
def test_headers_that_cannot_be_sent_are_refused_and_not_shown(tmp_path: Path, headers: str) -> None:
    text = f"export: {{otlp: {{endpoint: x, headers: {headers}}}}}"
    with pytest.raises(ConfigError, match=r"export\.otlp\.headers") as caught:
        load(write(tmp_path, text))
    assert "s3cret" not in str(caught.value)


def test_settings_are_one_tenants(tmp_path: Path) -> None:
    text = "models: [{name: credit, positive: bad}, {name: credit, tenant: acme, positive: fraud}]"
    config = load(write(tmp_path, text))
    found = [config.model("credit", tenant).positive for tenant in ("default", "acme", "globex")]
    assert found == ["bad", "fraud", 1]
    with pytest.raises(ConfigError, match="model 'acme/credit' is listed twice"):
        load(write(tmp_path, "models: [{name: credit, tenant: acme}, {name: acme/credit}]"))


def test_missing_file_says_where_the_path_goes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; name the configuration with -c"):
        load(tmp_path / "absent.yaml")


def test_the_example_lists_every_setting_with_its_default() -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "calidris.yaml"
    config = load(path)
    default = CalidrisConfig()
    assert config.model_copy(update={"storage": default.storage}) == default
    text = path.read_text(encoding="utf-8")
    for model in (
        CalidrisConfig,
        GrpcConfig,
        HttpConfig,
        ReceiverConfig,
        StorageConfig,
        JournalConfig,
        RetentionConfig,
        ExportConfig,
        ApiConfig,
    ):
        for key in (
            *model.model_fields,
            *LimitsConfig.model_fields,
            *LogConfig.model_fields,
            *(field.alias or name for name, field in ModelConfig.model_fields.items()),
            *InputSchema.model_fields,
            *FeatureSchema.model_fields,
            *DetectConfig.model_fields,
            *SharesConfig.model_fields,
            *FairnessConfig.model_fields,
            *CanaryConfig.model_fields,
            *SharedBudgetsConfig.model_fields,
        ):
            assert f"{key}:" in text, key


def test_the_commented_model_of_the_example_can_be_used(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "calidris.yaml"
    head, _, model = path.read_text(encoding="utf-8").partition("models: []")
    lines = [line.removeprefix("#") for line in model.splitlines()]
    config = load(write(tmp_path, head + "models:\n" + "\n".join(lines)))
    assert config.model("credit").slo.latency is not None


def budgets(shared: str, *models: str) -> list[str]:
    listed = "\n".join(f"  - {{{model}}}" for model in models)
    config = CalidrisConfig.model_validate(YAML(typ="safe").load(f"false_alarms: {shared}\nmodels:\n{listed}"))
    return [config.model(m.name).detect.budget for m in config.models]


def test_a_fleet_shares_one_budget_and_a_team_has_its_own() -> None:
    assert budgets("{fleet: 1 per week}", "name: a", "name: b", "name: c") == ["1 per 3 weeks"] * 3
    own = "name: own, detect: {false_alarms: 1 per day}"
    assert budgets("{fleet: 1 per week}", "name: a", own) == ["1 per week", "1 per day"]
    team = ("name: a, owner: risk", "name: b, owner: risk", "name: c")
    assert budgets("{fleet: 1 per year, teams: {risk: 2 per month}}", *team) == ["2 per 2 months"] * 2 + ["1 per year"]
    assert budgets("{}", "name: a") == ["1 per year"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("detect: {label_age: 2d}", "labels are scored at an age of 1h, 6h, 1d, 3d, 7d, 30d"),
        ("detect: {references: [decayed]}", "the frozen baseline must be among them, or hour_of_week in its place"),
        ("detect: {references: [frozen, frozen]}", "each of them at most once"),
        ("detect: {thresholds: [{figure: ml.drift.score}]}", "give either `above` or `below`"),
        ("detect: {thresholds: [{figure: ml.drift.scores, above: 1}]}", "there is no figure 'ml.drift.scores'"),
        ("detect: {thresholds: [{figure: ml.drift.score, above: 1, window: 2h}]}", "a threshold on windows of 2h"),
        ("bins: {age: [3, 2]}", "each above the one before it"),
        ("intersections: [[sex, age]], slices: [sex]", "intersections of age, which `slices` does not list"),
        ("fairness: {attribute: sex, measures: [gini]}", "demographic_parity"),
    ],
)
def test_what_detection_cannot_do_is_refused(tmp_path: Path, model: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"calidris\.yaml:\d+: models\.0") as error:
        load(write(tmp_path, f"models:\n  - {{name: credit, {model}}}\n"))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("Europe", "write an IANA name such as Europe/Berlin"),
        ("../../etc/passwd", "is no time zone"),
        ("+02:00", "is no time zone"),
        ('""', "is no time zone"),
    ],
)
def test_a_zone_that_there_is_not_is_refused_with_the_one_that_is_meant(tmp_path: Path, zone: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"calidris\.yaml:2: models\.0\.timezone: ") as error:
        load(write(tmp_path, f"models:\n  - {{name: credit, timezone: {zone}}}\n"))
    assert said in str(error.value)


def test_the_hour_of_the_week_may_stand_in_place_of_the_baseline(tmp_path: Path) -> None:
    for listed, replaced, moving in (
        ("[frozen]", False, ()),
        ("[hour_of_week, frozen]", False, ("hour_of_week",)),
        ("[hour_of_week, decayed]", True, ("hour_of_week", "decayed")),
    ):
        (model,) = load(write(tmp_path, f"models:\n  - {{name: credit, detect: {{references: {listed}}}}}\n")).models
        assert (model.detect.replaced, model.detect.moving) == (replaced, moving)


def test_a_machine_without_zones_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calidris.config.units.available_timezones", set)
    with pytest.raises(ConfigError, match="pip install tzdata"):
        load(write(tmp_path, "models:\n  - {name: credit, timezone: Europe/Berlin}\n"))
    utc = load(write(tmp_path, "models:\n  - {name: credit, timezone: UTC}\n"))
    assert utc.models[0].timezone == "UTC"


def test_a_model_lives_by_the_clock_of_its_users(tmp_path: Path) -> None:
    config = load(write(tmp_path, "models:\n  - {name: credit, timezone: Asia/Kolkata}\n  - {name: other}\n"))
    assert [m.timezone for m in config.models] == ["Asia/Kolkata", "UTC"]


def test_a_team_without_models_is_a_slip(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model has the owner 'risk'"):
        load(write(tmp_path, "false_alarms: {teams: {risk: 1 per year}}\n"))
