"""Tokens and TLS from the command line: against a receiver that asks for both."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import rows, until
from served import Started, configuration
from shell import Done, run
from tests.access.authority import Authority
from tests.access.tokens import Tokens

from calidris.access import ALL, Access, hash_of, read_tokens
from calidris.wire import encode_predictions


def said(done: Done, code: int) -> str:
    """The one line of an error."""
    assert done.code == code, done
    (line,) = done.err.splitlines()
    return line.removeprefix("calidris: ")


class Guarded:
    """A receiver with TLS and tokens, and a configuration file that names it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        tls = self.authority.server()
        self.tokens = Tokens(folder / "tokens")
        self.wall = self.tokens.add("wall", "default", "read").split()[1]
        self.oncall = self.tokens.add("oncall", ALL, "read,decide").split()[1]
        self.sender = self.tokens.add("checkout", "default", "send").split()[1]
        self.tokens.write()
        settings = {"endpoint": "127.0.0.1:0", "tls": {"cert": tls.cert, "key": tls.key}}
        receiver = {"tokens": self.tokens.path, "grpc": {"endpoint": "127.0.0.1:0"}, "http": None}
        self.started = Started(configuration(folder, receiver=receiver, api=settings))
        (port,) = (line.rpartition(":")[2] for line in self.started.lines if line.startswith("api "))
        self.url = f"https://localhost:{port}"
        self.config = folder / "calidris.yaml"
        self.config.write_text(
            f'receiver: {{tokens: tokens}}\napi: {{endpoint: "localhost:{port}", tls: {{cert: server.pem, key: server.key}}}}\n'
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One for all tests: none of them changes anything."""
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    yield made
    made.started.server.stop()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "TOKEN_FILE", "ENDPOINT", "CERTIFICATE"):
        monkeypatch.delenv(f"CALIDRIS_{name}", raising=False)


def test_the_token_of_the_environment(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the receiver's own machine the configuration says it all but the token."""
    monkeypatch.setenv("CALIDRIS_TOKEN", guarded.wall)
    done = run("status", "-c", guarded.config)
    assert (done.code, done.err) == (0, "") and "model" in done.out


def test_the_token_of_a_file_and_an_authority_of_ones_own(guarded: Guarded, tmp_path: Path) -> None:
    """On another machine there is no configuration."""
    file = tmp_path / "token"
    file.write_text(f"{guarded.wall}\n")
    file.chmod(0o600)
    trusted = ("--certificate", guarded.authority.roots)
    assert run("status", "--endpoint", guarded.url, "--token-file", file, *trusted).code == 0
    assert run("alarms", "list", "--endpoint", guarded.url, "--token", file, *trusted).code == 0


def test_no_token_says_what_to_do(guarded: Guarded) -> None:
    for command in (["status"], ["alarms", "list"], ["report", "--model", "credit"], ["alarms", "ack", "1"]):
        told = said(run(*command, "-c", guarded.config), 1)
        assert "asks for a token: put it into CALIDRIS_TOKEN" in told and "calidris token" in told


def test_a_token_that_nobody_knows_is_not_shown(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIDRIS_TOKEN", "cal_secret-of-another-receiver")
    told = said(run("status", "-c", guarded.config), 1)
    assert "does not take the token" in told and "secret-of" not in told


def test_a_token_for_something_else(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIDRIS_TOKEN", guarded.sender)
    assert "'checkout' may not read" in said(run("status", "-c", guarded.config), 1)
    monkeypatch.setenv("CALIDRIS_TOKEN", guarded.wall)
    assert "'wall' may not decide" in said(run("alarms", "ack", "1", "-c", guarded.config), 1)
    monkeypatch.setenv("CALIDRIS_TOKEN", guarded.oncall)
    assert "there is no alarm 1" in said(run("alarms", "ack", "1", "-c", guarded.config), 1)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "tést", "bell\x07"])
def test_what_cannot_be_a_token_is_not_sent_and_not_shown(
    guarded: Guarded, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALIDRIS_TOKEN", token)
    assert (
        said(run("status", "-c", guarded.config), 2)
        == "CALIDRIS_TOKEN: a token is one word; `calidris token` makes one"
    )
    told = said(run("status", "-c", guarded.config, "--token", "cal_pasted-secret"), 2)
    assert told == "--token-file: there is no such file; it takes a path, CALIDRIS_TOKEN the token"


def test_a_token_file_that_others_may_read(guarded: Guarded, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "token"
    file.write_text(guarded.wall)
    file.chmod(0o644)
    assert run("status", "-c", guarded.config, "--token-file", file).code == 0
    assert caplog.messages == [f"--token-file: others than its owner may read {file} (mode 0644): chmod 600 {file}"]


def test_a_certificate_that_nobody_trusts(guarded: Guarded, tmp_path: Path) -> None:
    told = said(run("status", "--endpoint", guarded.url), 1)
    assert "cannot be trusted" in told and "--certificate" in told
    (tmp_path / "empty.pem").write_text("")
    told = said(run("status", "--endpoint", guarded.url, "--certificate", tmp_path / "empty.pem"), 2)
    assert told.startswith(f"--certificate: {tmp_path}/empty.pem holds no certificate in PEM")


def test_http_at_an_address_that_speaks_https(guarded: Guarded) -> None:
    told = said(run("status", "--endpoint", guarded.url.replace("https", "http")), 1)
    assert f"try --endpoint {guarded.url}" in told


def test_a_token_in_clear_is_told(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALIDRIS_TOKEN", guarded.wall)
    done = run("status", "--endpoint", "http://[::ffff:127.0.0.1]:1")
    assert "the token goes to http://[::ffff:127.0.0.1]:1 in clear" in done.err and guarded.wall not in done.err


def test_serve_refuses_an_open_address_with_file_line_and_cure(tmp_path: Path) -> None:
    config = tmp_path / "calidris.yaml"
    config.write_text('receiver:\n  grpc:\n    endpoint: "0.0.0.0:0"\n')
    for command in ("serve", "check"):
        told = said(run(command, "-c", config), 2)
        assert told.startswith(f"{config}:3: receiver.grpc.endpoint: other machines can reach 0.0.0.0:0")
        assert told.endswith('receiver.grpc.exposed: "no TLS, no login"')
    config.write_text('receiver:\n  grpc:\n    exposed: "no TLS, no login"\n    endpoint: "0.0.0.0:0"\n')
    assert run("check", "-c", config).code == 0


def test_serve_names_the_line_of_files_that_it_cannot_use(tmp_path: Path) -> None:
    config = tmp_path / "calidris.yaml"
    config.write_text("receiver:\n  tokens: absent\n")
    assert said(run("serve", "-c", config), 2).startswith(
        f"{config}:2: receiver.tokens: there is no file {tmp_path}/absent; `calidris token`"
    )
    config.write_text("receiver:\n  grpc:\n    tls:\n      cert: absent.pem\n      key: absent.key\n")
    told = said(run("serve", "-c", config), 2)
    assert told.startswith(f"{config}:4: receiver.grpc.tls.cert: {tmp_path}/absent.pem cannot be read")


def test_a_token_and_its_line(tmp_path: Path) -> None:
    done = run("token", "checkout", "--tenant", "acme", "--expires", "2027-01-01")
    assert done.code == 0
    token, line = re.findall(r"^(cal_\S+|name=.*)$", done.out, re.MULTILINE)
    (tmp_path / "tokens").write_text(line)
    (read,) = read_tokens(tmp_path / "tokens")
    assert (read.name, read.tenant, set(read.may), read.sha256) == ("checkout", "acme", {"send"}, hash_of(token))
    assert line.endswith("expires=2027-01-01T00:00:00Z") and token not in line


def test_a_token_whose_line_goes_into_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    first = run("token", "checkout", "--append", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text().rstrip())  # an editor that leaves the last line open
    second = run("token", "oncall", "--tenant", ALL, "--may", "read,decide", "--append", file)
    access = Access(file)
    assert access.tenant_of(f"Bearer {first.out.strip()}") == "default"
    assert access.authorize(f"Bearer {second.out.strip()}", "decide").tenant == ALL
    assert first.out.strip() not in file.read_text() + first.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a/b"], "name: is a word"),
        (["a", "--tenant", "b c"], "tenant: is a word"),
        (["a", "--may", "fly"], "may: knows send, read, decide"),
        (["a", "--tenant", "*"], "tenant=* cannot send"),
    ],
)
def test_a_token_that_cannot_be(arguments: list[str], told: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    assert said(run("token", *arguments, "--append", file), 2).startswith(told) and not file.exists()


def test_models_of_two_tenants_have_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path / "tokens")
    senders = [tokens.add(tenant, tenant, "send") for tenant in ("default", "acme")]
    monkeypatch.setenv("CALIDRIS_TOKEN", tokens.add("oncall", ALL, "read").split()[1])
    tokens.write()
    receiver = {"tokens": tokens.path, "grpc": {"endpoint": "127.0.0.1:0"}, "http": None, "lateness": "1s"}
    started = Started(configuration(tmp_path, receiver=receiver))
    try:
        for header in senders:
            started.export(encode_predictions(rows(9, seed=1), form="packed", one_span_per_row=False), header)
        until(lambda: started.rows() == 18)
        (port,) = (line.rpartition(":")[2] for line in started.lines if line.startswith("api "))
        where = ("--endpoint", f"http://127.0.0.1:{port}")
        assert re.findall(r"^\s*(\S*credit)\s", run("status", *where).out, re.MULTILINE) == ["acme/credit", "credit"]
        report = tmp_path / "report.html"
        told = said(run("report", "--model", "credit", "-o", report, *where), 1)
        assert told == "several tenants have a model 'credit'; say which: tenant/credit"
        assert run("report", "--model", "acme/credit", "-o", report, *where).code == 0
        assert "acme/credit" in report.read_text()
    finally:
        started.server.stop()
