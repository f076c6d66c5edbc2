"""Start and stop: the order of the parts, and what is left when one of them cannot start."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from running import labels, rows, until
from served import FREE, configuration

from calidris.app import Server
from calidris.app.restore import Storage
from calidris.engine.readings import detail
from calidris.errors import ConfigError
from calidris.wire import encode_labels, encode_predictions

Make = Callable[..., Any]


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("key", "section"),
    [
        ("receiver.grpc.endpoint", lambda port: {"receiver": {"grpc": {"endpoint": port}, "http": None}}),
        ("receiver.http.endpoint", lambda port: {"receiver": {"grpc": {"endpoint": FREE}, "http": {"endpoint": port}}}),
        ("export.prometheus.endpoint", lambda port: {"export": {"prometheus": {"endpoint": port}}}),
        ("api.endpoint", lambda port: {"api": {"endpoint": port}}),
    ],
)
def test_a_port_in_use_leaves_nothing_running(
    tmp_path: Path, taken: str, key: str, section: Callable[[str], dict[str, Any]]
) -> None:
    before = set(threading.enumerate())
    server = Server(configuration(tmp_path, **section(taken)))
    with pytest.raises(ConfigError) as caught:
        server.start()
    assert str(caught.value).startswith(f"{key}: ") and taken in str(caught.value)
    until(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith("calidris")])
    free = Server(configuration(tmp_path))  # the storage and the other ports are free again
    free.start()
    free.stop()


def test_stop_may_be_called_again(make: Make) -> None:
    started = make()
    started.server.stop()
    started.server.stop()


@pytest.fixture
def during_replay(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something done at the moment of the replay."""
    replay = Storage.replay

    def patch(action: Callable[[], object]) -> None:
        def acting(storage: Storage, interrupted: Callable[[], bool]) -> int:
            action()
            return replay(storage, interrupted)

        monkeypatch.setattr(Storage, "replay", acting)

    return patch


def test_asked_to_stop_during_the_replay(make: Make, tmp_path: Path, during_replay: Any) -> None:
    started = make()
    started.server.loop.save = lambda: None
    started.export(encode_predictions(rows(20, seed=1), form="packed", one_span_per_row=False))
    started.server.stop()
    server = Server(configuration(tmp_path))
    during_replay(server.ask_to_stop)
    assert server.start() == []
    server.wait()
    server.stop()
    during_replay(lambda: None)
    again = make()
    assert again.server.replayed > 0
    until(lambda: again.rows() == 20)


def test_ready_only_while_telemetry_is_taken(tmp_path: Path, during_replay: Any) -> None:
    """A load balancer must not send to a receiver that still replays, and must see that it is alive."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    codes: list[list[int]] = []

    def look() -> None:
        paths = ("/healthz", "/readyz")
        codes.append([httpx.get(f"http://{address}{path}", trust_env=False).status_code for path in paths])

    server = Server(configuration(tmp_path, api={"endpoint": address}))
    during_replay(look)
    server.start()
    look()
    server.stop()
    assert codes == [[200, 503], [200, 200]]


def test_without_prometheus(make: Make) -> None:
    started = make(export={"prometheus": None})
    assert [line.partition(" ")[0] for line in started.lines] == ["otlp/grpc", "otlp/http", "api"]


def test_every_endpoint_is_told_with_its_port(make: Make) -> None:
    started = make(
        export={"prometheus": {"endpoint": FREE}, "otlp": {"endpoint": "http://127.0.0.1:1", "interval": "1h"}}
    )
    names = [
        "otlp/grpc listening on",
        "otlp/http listening on",
        "prometheus listening on",
        "metrics pushed to",
        "api listening on",
    ]
    assert [line.rpartition(" ")[0] for line in started.lines] == names
    assert not any(line.endswith(":0") for line in started.lines)
    begun = time.monotonic()
    started.server.stop()  # nobody takes the last push
    assert time.monotonic() - begun < 15


def test_rows_over_http_are_counted_once_and_replayed(make: Make) -> None:
    """In JSON, which the journal holds as protobuf."""
    started = make()
    started.server.loop.save = lambda: None
    (url,) = (line.rpartition(" ")[2] for line in started.lines if line.startswith("otlp/http"))
    attributes = [{"key": "ml.model.name", "value": {"stringValue": "credit"}},
                  {"key": "ml.prediction.score", "value": {"doubleValue": 0.5}}]  # fmt: skip
    span = {"name": "predict credit", "startTimeUnixNano": str(time.time_ns()), "attributes": attributes}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span, span | {"name": "predict again"}]}]}]}
    for _ in range(2):
        answer = httpx.post(f"{url}/v1/traces", json=body, trust_env=False)
        assert (answer.status_code, answer.json()) == (200, {})
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    until(lambda: started.rows() == 2)
    started.server.stop()
    again = make()
    assert again.server.replayed > 0
    until(lambda: again.rows() == 2)


def test_without_http(make: Make) -> None:
    started = make(receiver={"grpc": {"endpoint": FREE}, "http": None})
    assert not [line for line in started.lines if line.startswith("otlp/http")]


def test_figures_of_detail_are_made_once_for_all_who_ask(make: Make) -> None:
    started = make(export={"prometheus": {"endpoint": "127.0.0.1:0"}, "series": "full"})
    batch = rows(400, 5)
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    started.export(encode_labels(labels(batch)))
    server = started.server
    until(lambda: server.snapshot().models and server.snapshot().models[0].labels == 400)
    said = {line.split(" ", 1)[0]: line.rpartition(" ")[2] for line in started.lines}
    api = next(address for name, address in said.items() if name == "api")
    key = server.snapshot().models[0].key

    def ask() -> list[dict[str, Any]]:
        url = f"{api}/v1/models/{key.name}/{key.version}/readings"
        found: list[dict[str, Any]] = httpx.get(url, timeout=30).json()
        return [one for one in found if one["attributes"].get("ml.performance.measure") == "mcc"]

    first = ask()
    assert first and first[0]["n"] == 400
    with patch.object(detail, "_of_labels", side_effect=AssertionError("made again")):
        assert ask() == first
        scraped = httpx.get(said["prometheus"], timeout=30).text
    assert 'ml_performance_measure="mcc"' in scraped
