"""What a user got wrong: exit code 2 and one line that names file, line, key and cure. What failed: 1. Never a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from shell import Done, run

FREE = """receiver: {grpc: {endpoint: "127.0.0.1:0"}, http: null}
export: {prometheus: {endpoint: "127.0.0.1:0"}}
api: {endpoint: "127.0.0.1:0"}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "calidris.yaml"


def said(done: Done, code: int = 2) -> str:
    """The one line of an error."""
    assert done.code == code, done
    (line,) = done.err.splitlines()
    assert line.startswith("calidris: ")
    return line.removeprefix("calidris: ")


@pytest.mark.parametrize("command", ["serve", "check", "status", "render"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api: {}\nreciever: {}\n", "{path}:2: reciever: unknown key; did you mean `receiver`?"),
        ("api:\n  endpoint: 4329\n", "{path}:2: api.endpoint: 4329 is not an address; write host:port"),
        ("models: [\n", "{path}:2: not valid YAML"),
        (
            "storage: {journal: {max_bytes: 1MiB}}\n",
            "{path}:1: storage: storage.journal.max_bytes (1048576) is less than",
        ),
        ("models: [{name: a}, {name: a}]\n", "{path}:1: model 'a' is listed twice"),
    ],
)
def test_a_configuration_that_cannot_be_used(config: Path, command: str, text: str, expected: str) -> None:
    config.write_text(text)
    assert said(run(command, "-c", config)).startswith(expected.format(path=config))


@pytest.mark.parametrize("command", ["serve", "check", "status", "render"])
def test_a_missing_file(config: Path, command: str) -> None:
    told = said(run(command, "-c", config))
    assert told.startswith(
        f"{config}: there is no such file; name the configuration with -c (--config) or CALIDRIS_CONFIG"
    )
    assert "serve" not in told.removeprefix(str(config))


def test_the_default_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(run("check")).startswith("calidris.yaml: there is no such file")
    (tmp_path / "calidris.yaml").write_text("")
    assert run("check").code == 0


def test_the_file_of_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("")
    monkeypatch.setenv("CALIDRIS_CONFIG", str(config))
    assert str(config) in run("check").out


def test_check_says_what_listens(config: Path) -> None:
    config.write_text("")
    told = "receives OTLP/gRPC on 127.0.0.1:4327, up to 64.0 MiB; OTLP/HTTP on 127.0.0.1:4328, up to 64.0 MiB"
    assert told in run("check", "-c", config).out.replace("\n", " ")
    config.write_text("receiver: {http: null}")
    assert "HTTP" not in run("check", "-c", config).out


def test_check_says_which_models_are_batch_and_how_old_rows_may_be(config: Path) -> None:
    models = "models: [{name: nightly, arrival: batch, batch_idle: 5m}, {name: credit}]"
    config.write_text(f"receiver: {{max_age: 60d}}\n{models}")
    told = run("check", "-c", config).out.replace("\n", " ")
    assert "rows older than 60d are moved to that bound" in told
    assert "nightly: its rows come in jobs (`arrival: batch`)" in told and "come for 5m (`batch_idle`)" in told
    assert "credit: its rows come in jobs" not in told


def test_rows_may_not_be_older_than_days_are_kept(config: Path) -> None:
    config.write_text("receiver: {max_age: 60d}\nstorage: {retention: {days: 40d}}")
    done = run("check", "-c", config)
    assert done.code != 0 and "shorter than receiver.max_age" in done.err.replace("\n", " ")


def test_several_mistakes_are_several_lines(config: Path) -> None:
    config.write_text("a: 1\nb: 2\n")
    done = run("check", "-c", config)
    assert [line[: len(f"calidris: {config}:N")] for line in done.err.splitlines()] == [
        f"calidris: {config}:1",
        f"calidris: {config}:2",
    ]


@pytest.mark.parametrize(
    ("key", "line"), [("receiver.grpc.endpoint", 1), ("export.prometheus.endpoint", 2), ("api.endpoint", 3)]
)
def test_a_port_in_use(config: Path, key: str, line: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        lines = FREE.splitlines()
        lines[line - 1] = lines[line - 1].replace(":0", f":{port}")
        config.write_text("\n".join(lines))
        told = said(run("serve", "-c", config))
    assert told.startswith(f"{config}:{line}: {key}: ") and f"127.0.0.1:{port}" in told
    assert "in use" in told and "another" in told


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_missing_baseline(config: Path, command: str) -> None:
    config.write_text(FREE + "models:\n  - name: credit\n    baseline: b/credit-{version}.calidris\n")
    told = said(run(command, "-c", config))
    assert told.startswith(
        f"{config}:6: models.0.baseline: there is no file {config.parent}/b/credit-{{version}}.calidris"
    )
    assert "calidris baseline build" in told


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_broken_baseline(config: Path, command: str) -> None:
    config.write_text(FREE + "models:\n  - name: credit\n    baseline: credit.calidris\n")
    (config.parent / "credit.calidris").write_bytes(b"PK nothing")
    told = said(run(command, "-c", config))
    assert told.startswith(f"{config}:6: models.0.baseline: {config.parent}/credit.calidris: not a baseline file")
    assert told.endswith("build it again, or move the file away")


def test_a_foreign_checkpoint(config: Path) -> None:
    config.write_text(FREE + "storage:\n  path: data\n")
    (config.parent / "data").mkdir()
    (config.parent / "data" / "state.sqlite").write_text("something else" * 100)
    told = said(run("serve", "-c", config))
    assert told.startswith(f"{config}:5: storage.path: {config.parent}/data/state.sqlite is damaged")
    assert "state.sqlite* away and start again; the journal replays" in told


def test_nobody_answers(config: Path) -> None:
    config.write_text(FREE.replace('api: {endpoint: "127.0.0.1:0"}', 'api: {endpoint: "127.0.0.1:1"}'))
    for command in (["status"], ["report", "--model", "credit"]):
        told = said(run(*command, "-c", config), code=1)
        assert told.startswith("no receiver answers on 127.0.0.1:1 (api.endpoint): ")
        assert told.endswith("is `calidris serve` running?")


def test_a_place_that_cannot_be_written(config: Path) -> None:
    config.write_text("")
    (config.parent / "file").write_text("")
    told = said(run("render", "-c", config, "--out", config.parent / "file"), code=1)
    assert str(config.parent / "file") in told
