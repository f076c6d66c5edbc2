"""No address stands open by accident; and a whole receiver behind tokens and TLS."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from running import EXPORT, labels, rows, until
from served import configuration
from tests.access.authority import Authority
from tests.access.tokens import Tokens

from calidris import semconv
from calidris.access import ALL
from calidris.app import Server
from calidris.app.listeners import check_exposure, is_loopback
from calidris.config import ApiConfig, CalidrisConfig, GrpcConfig, HttpConfig, PrometheusConfig, load
from calidris.errors import ConfigError
from calidris.instrument import environment
from calidris.semconv import prometheus_label
from calidris.wire import encode_labels, encode_predictions

TLS = {"cert": "c", "key": "k"}
OPEN = "0.0.0.0:0"


PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_pages_settings_can_be_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "calidris.yaml"
    path.write_text(text)
    config = load(path)
    check_exposure(config)
    assert config != CalidrisConfig()


def test_the_page_names_what_is_there() -> None:
    exported = {metric.prometheus for metric in semconv.METRICS}
    assert set(re.findall(r"calidris_access_\w+", PAGE)) <= exported
    assert set(re.findall(r"OTEL_\w+[A-Z]", PAGE)) <= set(vars(environment))
    assert prometheus_label(semconv.CALIDRIS_TENANT) in PAGE
    for endpoint in (GrpcConfig().endpoint, HttpConfig().endpoint, ApiConfig().endpoint, PrometheusConfig().endpoint):
        assert endpoint in PAGE


@pytest.mark.parametrize(
    ("host", "resolved", "private"),
    [
        ("127.0.0.1", None, True),
        ("127.255.0.9", None, True),
        ("::1", None, True),
        ("[::1]", None, True),
        ("[::ffff:127.0.0.1]", None, True),
        ("0.0.0.0", None, False),
        ("::", None, False),
        ("[::]", None, False),
        ("[::ffff:0.0.0.0]", None, False),
        ("10.0.0.1", None, False),
        ("169.254.1.1", None, False),
        ("[fe80::1]", None, False),
        ("localhost", ["127.0.0.1", "::1"], True),
        ("localhost", ["10.1.2.3"], False),
        ("receiver", ["127.0.0.1", "10.1.2.3"], False),
        ("localhost.example.com", ["192.0.2.1"], False),
        ("127.1", ["127.0.0.1"], True),
        ("0", ["0.0.0.0"], False),
        ("no.such.name", [], False),
        ("*", [], False),
        ("unix", [], False),
        ("dns:///127.0.0.1", [], False),
        ("a" * 300, [], False),
    ],
)
def test_what_other_machines_can_reach(
    host: str, resolved: list[str] | None, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(name: str, *_: Any, **__: Any) -> list[Any]:
        assert resolved is not None, "addresses are not looked up"
        if not resolved:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in resolved]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert is_loopback(f"{host}:4327") is private


def test_names_that_cannot_be_written_are_open() -> None:
    assert is_loopback("localhost:1") and not is_loopback(f"{'a' * 70}.example:1")


GRPC, HTTP = "receiver.grpc", "receiver.http"
GUARDED = [
    (GRPC, {"receiver": {"grpc": {"endpoint": OPEN}}}, "no TLS, no login"),
    (GRPC, {"receiver": {"grpc": {"endpoint": OPEN, "tls": TLS}}}, "no login"),
    (GRPC, {"receiver": {"grpc": {"endpoint": OPEN}, "tokens": "t"}}, "no TLS"),
    (GRPC, {"receiver": {"grpc": {"endpoint": OPEN, "tls": TLS | {"client_ca": "a"}}}}, ""),
    (GRPC, {"receiver": {"grpc": {"endpoint": OPEN, "tls": TLS}, "tokens": "t"}}, ""),
    (HTTP, {"receiver": {"http": {"endpoint": "[::]:0"}}}, "no TLS, no login"),
    (HTTP, {"receiver": {"http": {"endpoint": "[::]:0", "tls": TLS}, "tokens": "t"}}, ""),
    (HTTP, {"receiver": {"http": None}}, ""),
    ("api", {"api": {"endpoint": OPEN}}, "no TLS, no login"),
    ("api", {"api": {"endpoint": OPEN, "tls": TLS}, "receiver": {"tokens": "t"}}, ""),
    ("export.prometheus", {"export": {"prometheus": {"endpoint": OPEN}}}, "no TLS, no login"),
    ("export.prometheus", {"export": {"prometheus": None}}, ""),
]


@pytest.mark.parametrize(("key", "settings", "lacks"), GUARDED)
def test_an_open_address_is_refused_unless_the_settings_say_so(key: str, settings: dict[str, Any], lacks: str) -> None:
    if not lacks:
        check_exposure(CalidrisConfig.model_validate(settings))
        return
    with pytest.raises(ConfigError) as caught:
        check_exposure(CalidrisConfig.model_validate(settings))
    told = str(caught.value)
    assert told.startswith(f"{key}.endpoint: other machines can reach ")
    assert told.endswith(f'{key}.exposed: "{lacks}"') and "127.0.0.1" in told
    assert ("receiver.tokens" in told) is (key != "export.prometheus")
    section: Any = settings
    for part in key.split("."):
        section = section[part]
    for words in ("no TLS", "no login", "no TLS, no login"):
        section["exposed"] = words
        if set(lacks.split(", ")) <= set(words.split(", ")):
            check_exposure(CalidrisConfig.model_validate(settings))
        else:
            with pytest.raises(ConfigError):
                check_exposure(CalidrisConfig.model_validate(settings))


def test_the_risk_is_taken_in_these_words_only() -> None:
    with pytest.raises(ValueError, match="no TLS, no login"):
        CalidrisConfig.model_validate({"api": {"exposed": "yes"}})


def test_a_start_that_is_refused_touches_nothing(tmp_path: Path) -> None:
    config = configuration(tmp_path, api={"endpoint": OPEN})
    with pytest.raises(ConfigError, match=r"^api\.endpoint: other machines"):
        Server(config).start()
    assert not (tmp_path / "data").exists()


class Guarded:
    """A receiver with TLS and tokens everywhere, and those who know them."""

    def __init__(self, folder: Path, make: Callable[..., Any]) -> None:
        self.authority = Authority(folder)
        tls = self.authority.server()
        self.tokens = Tokens(folder / "tokens")
        names = {"ours": ("default", "send"), "theirs": ("acme", "send")}
        self.send = {name: self.tokens.add(name, tenant, may) for name, (tenant, may) in names.items()}
        self.read = {
            name: self.tokens.add(f"{name}-wall", tenant, "read,decide")
            for name, tenant in {"ours": "default", "theirs": "acme", "all": ALL}.items()
        }
        self.tokens.write()
        receiver = {
            "tokens": self.tokens.path,
            "lateness": "1s",
            "grpc": {"endpoint": OPEN, "tls": {"cert": tls.cert, "key": tls.key}},
            "http": {"endpoint": OPEN, "tls": {"cert": tls.cert, "key": tls.key}},
        }
        models = [{"name": "credit", "owner": "risk"}]
        self.started = make(
            receiver=receiver, models=models, api={"endpoint": OPEN, "tls": {"cert": tls.cert, "key": tls.key}}
        )
        self.ports = {line.partition(" ")[0]: line.rpartition(":")[2] for line in self.started.lines}

    def export(self, who: str, raw: bytes) -> None:
        credentials = grpc.ssl_channel_credentials(self.authority.roots.read_bytes())
        with grpc.secure_channel(f"localhost:{self.ports['otlp/grpc']}", credentials) as channel:
            channel.unary_unary(EXPORT)(raw, timeout=10, metadata=[("authorization", self.send[who])])

    def get(self, who: str, path: str) -> httpx.Response:
        context = ssl.create_default_context(cafile=str(self.authority.roots))
        url = f"https://localhost:{self.ports['api']}{path}"
        return httpx.get(url, headers={"Authorization": self.read[who]}, verify=context, trust_env=False)


def test_two_tenants_with_the_same_model_do_not_mix(tmp_path: Path, make: Callable[..., Any]) -> None:
    """The same bytes from both, and labels from one: rows, labels, readings, series and reports stay apart."""
    guarded = Guarded(tmp_path, make)
    batch = rows(40, seed=1)
    raw = encode_predictions(batch, form="packed", one_span_per_row=False)
    guarded.export("ours", raw)
    guarded.export("theirs", raw)
    guarded.export("theirs", encode_predictions(rows(9, seed=2), form="packed", one_span_per_row=False))
    guarded.export("ours", encode_labels(labels(batch)))

    def told(who: str) -> dict[tuple[str, str], tuple[int, int]]:
        models = guarded.get(who, "/v1/status").json()["models"]
        return {(m["tenant"], m["name"]): (m["rows"], m["labels"]) for m in models}

    until(lambda: sum(n for n, _ in told("all").values()) == 89 and (40, 40) in told("all").values())
    assert told("ours") == {("default", "credit"): (40, 40)}
    assert told("theirs") == {("acme", "credit"): (49, 0)}
    owners = {m["tenant"]: m["owner"] for m in guarded.get("all", "/v1/status").json()["models"]}
    assert owners == {"default": "risk", "acme": None}, "settings, and so the baseline, are the default tenant's"
    assert guarded.get("theirs", "/v1/report/credit/7").text.count("acme") > 0
    assert guarded.get("theirs", "/v1/models/credit/7/readings?tenant=default").status_code == 404
    assert guarded.get("theirs", "/v1/status").json()["health"] == {}
    series = [(p.metric.name, tuple(sorted(p.attributes.items()))) for p in guarded.started.server.points()]
    assert len(set(series)) == len(series)
    named = {dict(pairs)["ml.model.name"] for _, pairs in series if "ml.model.name" in dict(pairs)}
    assert named == {"credit", "acme/credit"}


def test_files_are_replaced_under_a_running_receiver(tmp_path: Path, make: Callable[..., Any]) -> None:
    guarded = Guarded(tmp_path, make)
    raw = encode_predictions(rows(4, seed=1), form="packed", one_span_per_row=False)
    guarded.export("ours", raw)
    old = guarded.send["ours"]
    guarded.tokens.lines = [line for line in guarded.tokens.lines if "name=ours " not in line]
    guarded.send["ours"] = guarded.tokens.add("ours", "default", "send")
    guarded.tokens.write()
    before = guarded.authority.server().cert.read_bytes()

    def taken(header: str) -> bool:
        guarded.send["anybody"] = header
        try:
            guarded.export("anybody", raw)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            return False
        return True

    until(lambda: taken(guarded.send["ours"]))
    assert not taken(old)
    until(lambda: ssl.get_server_certificate(("127.0.0.1", int(guarded.ports["api"]))).encode() in before)


def test_everything_on_the_disk_is_the_owners_alone(tmp_path: Path, make: Callable[..., Any]) -> None:
    guarded = Guarded(tmp_path, make)
    guarded.export("ours", encode_predictions(rows(40, seed=1), form="packed", one_span_per_row=False))
    guarded.started.server.stop()
    data = tmp_path / "data"
    modes = {path.relative_to(data): path.stat().st_mode & 0o077 for path in (data, *data.rglob("*"))}
    assert len(modes) > 3 and not any(modes.values()), modes


def test_no_token_stands_in_anything_that_is_kept_or_told(
    tmp_path: Path, make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    guarded = Guarded(tmp_path, make)
    guarded.export("ours", encode_predictions(rows(5, seed=1), form="packed", one_span_per_row=False))
    wrong = "Bearer cal_wrong-but-close-to-a-secret"
    with pytest.raises(grpc.RpcError):
        guarded.send["mallory"] = wrong
        guarded.export("mallory", b"")
    until(lambda: guarded.get("all", "/v1/status").json()["models"])
    told = guarded.get("all", "/v1/status").text + str(guarded.started.server.points()) + caplog.text
    assert guarded.started.server.health()["calidris.access.refused"] == {"send_unauthenticated": 1.0}
    guarded.started.server.stop()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    for header in (*guarded.send.values(), *guarded.read.values()):
        secret = header.split()[1]
        assert secret not in told and secret.encode() not in kept
