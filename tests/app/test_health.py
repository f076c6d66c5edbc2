"""The receiver's own metrics: what comes in is what comes out, to the row, and a restart is no step back."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from running import labels, rows, until
from served import FREE

from calidris import semconv
from calidris.app import loop
from calidris.app.replay_progress import Progress
from calidris.app.restore import Storage
from calidris.batch import PredictionBatch
from calidris.wire import encode_labels, encode_predictions

Make = Callable[..., Any]
HOUR_NS = 3600 * 10**9
RECEIVER = {"grpc": {"endpoint": FREE}, "http": {"endpoint": FREE}, "lateness": "1s"}


@dataclass
class Scrape:
    """What Prometheus sees."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, started: Any) -> Scrape:
        (url,) = (line.rpartition(" ")[2] for line in started.lines if line.startswith("prometheus"))
        text = httpx.get(url, trust_env=False).raise_for_status().text
        families = text_string_to_metric_families(text)
        return cls({(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples})

    def __getitem__(self, name: str) -> float:
        """Sum over all series of a name; 0 without any."""
        return sum(value for (found, _), value in self.samples.items() if found == name)

    def by(self, name: str, label: str) -> dict[str, float]:
        return {dict(labels).get(label, ""): value for (found, labels), value in self.samples.items() if found == name}


def settled(started: Any) -> Scrape:
    """What is told once all that is durable was applied and shown."""
    server = started.server
    until(lambda: server.snapshot().sequence == server.journal.last_seq)
    return Scrape.of(started)


def packed(batch: PredictionBatch) -> bytes:
    return encode_predictions(batch, form="packed", one_span_per_row=False)


def spans(*attributes: dict[str, Any]) -> bytes:
    """One span for each dictionary of attributes."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for each in attributes:
        span = scope.spans.add(name="x", start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns())
        for key, value in each.items():
            kind = {"int_value": value} if isinstance(value, int) else {"string_value": value}
            span.attributes.add(key=key).value.MergeFrom(type(span.attributes[0].value)(**kind))
    return request.SerializeToString()


class Sender:
    """Sends, and keeps count of what it was told."""

    def __init__(self, started: Any) -> None:
        self._export, self.refused = started.export, 0

    def __call__(self, raw: bytes) -> None:
        try:
            self._export(raw)
        except grpc.RpcError:
            self.refused += 1


def mixed_traffic(send: Sender) -> None:
    """Some of everything that can happen to a row, a label, a span and a request."""
    batch = rows(100, seed=1)
    send(packed(batch))
    send(packed(batch))  # the same request again
    send(encode_predictions(rows(40, seed=2), form="json", one_span_per_row=True))
    known = encode_labels(labels(batch))
    send(known)
    send(known)
    send(encode_labels(labels(rows(30, seed=77))))  # nobody predicted these yet
    send(encode_labels(labels(rows(20, seed=2))))  # half of the predictions of above
    send(packed(rows(25, seed=4, version="8")))
    send(packed(rows(15, seed=5, version="9")))  # beyond the cap on versions
    send(packed(rows(10, seed=6, name="poison")))  # beyond the cap on models
    send(spans({"ml.model.name": "credit", "ml.prediction.score": "7.5"}, {"http.method": "GET"}, {"db.system": "x"}))
    send(spans({"http.method": "GET"}))
    send(spans({"ml.model.name": "credit", "ml.prediction.count": 0}))
    send(spans({"ml.prediction.score": "0.5"}))
    send(b"\xff\xff not otlp, but it says ml.model.name")
    late = rows(12, seed=7, time_ns=time.time_ns() - 2 * HOUR_NS)
    send(packed(late))


def conserved(told: Scrape, replayed: bool = False) -> None:
    """The laws of docs/operations.md."""
    name = "calidris_receiver_spans_{}_total".format
    assert told[name("received")] == told[name("accepted")] + told[name("rejected")] + told[name("ignored")]
    outcomes = ("calidris_receiver_rows_duplicate", "calidris_models_overflow", "calidris_engine_rows_failed")
    retired = told["calidris_rows_retired_total"], told["calidris_labels_retired_total"]
    counted = told["ml_received_rows_total"] + retired[0]
    assert told["calidris_engine_rows_total"] == counted + sum(told[f"{outcome}_total"] for outcome in outcomes)
    joined = told["ml_received_labels_total"] + retired[1]
    elsewhere = told["calidris_labels_unmatched_total"] + told["calidris_labels_duplicate_total"]
    waiting, revised = told["calidris_labels_early"], told["calidris_labels_revised_total"]
    assert told["calidris_engine_labels_total"] == joined + elsewhere + waiting + revised
    if not replayed:
        read = told["calidris_engine_rows_total"] + told["calidris_engine_labels_total"]
        assert told["calidris_receiver_rows_accepted_total"] == read
    begun = told.by("calidris_receiver_requests_begun_total", "calidris_reason")
    assert sum(begun.values()) == told["calidris_receiver_requests_total"]


def test_what_comes_in_is_what_comes_out(make: Make) -> None:
    started = make(limits={"models": 1, "versions": 2})
    send = Sender(started)
    mixed_traffic(send)
    started.server.intake.seal(time.time_ns() - 10**9)
    send(packed(rows(8, seed=8, time_ns=time.time_ns() - HOUR_NS)))
    told = settled(started)
    conserved(told)
    assert told["calidris_engine_rows_total"] == 100 + 100 + 40 + 25 + 15 + 10 + 12 + 8
    assert told["ml_received_rows_total"] == 100 + 40 + 25 + 12 + 8
    assert told["calidris_receiver_rows_duplicate_total"] == 100
    assert told["calidris_models_overflow_total"] == 15 + 10
    assert told["calidris_receiver_rows_late_total"] >= 8
    assert told["calidris_engine_labels_total"] == 100 + 100 + 30 + 20
    assert told["ml_received_labels_total"] == 120 and told["calidris_labels_early"] == 30
    assert told["calidris_receiver_spans_rejected_total"] == 2 and told["calidris_receiver_spans_ignored_total"] == 4
    assert told["calidris_receiver_requests_total"] == 17 and send.refused == 1
    assert told.by("calidris_receiver_requests_total", "calidris_reason")["malformed"] == 1


def test_a_defect_of_ours_keeps_the_law(make: Make) -> None:
    """Half-way through a batch: what was counted is counted, the rest has failed."""
    started = make()
    send = Sender(started)
    send(packed(rows(50, seed=1)))
    settled(started)
    (model,) = started.server.loop.engine.models.values()
    usual = model._wait_for_labels
    model._wait_for_labels = lambda batch: 1 // 0  # after the rows were counted
    send(packed(rows(30, seed=2)))
    settled(started)
    model._count_objectives = lambda batch: 1 // 0  # before the total was
    send(packed(rows(20, seed=3)))
    settled(started)
    model._wait_for_labels = usual
    model.add_labels = lambda *_: 1 // 0
    send(encode_labels(labels(rows(50, seed=1))))
    told = settled(started)
    conserved(told)
    assert told["ml_received_rows_total"] == 80 and told["calidris_engine_rows_failed_total"] == 20
    assert told.by("calidris_labels_unmatched_total", "calidris_reason") == {"failed": 50}
    assert told["calidris_engine_failures_total"] == 3


def test_counters_of_the_engine_go_on_and_those_of_the_process_begin_anew(make: Make) -> None:
    started = make()
    mixed_traffic(Sender(started))
    before = settled(started)
    started.server.stop()
    again = make()
    after = settled(again)
    conserved(after, replayed=True)
    kept = ("ml_received_rows", "calidris_engine_rows", "calidris_receiver_rows_duplicate", "calidris_engine_labels")
    for name in kept:
        assert after[f"{name}_total"] == before[f"{name}_total"] > 0, name
    for name in ("calidris_receiver_requests", "calidris_receiver_spans_received", "calidris_journal_records"):
        assert before[f"{name}_total"] > 0 and after[f"{name}_total"] == 0, name
    starts = {p.metric.name: p.start_ns for p in again.server.points()}
    assert starts["calidris.engine.rows"] == starts["ml.received.rows"] == again.server.snapshot().began_ns
    assert starts["calidris.receiver.spans.received"] == again.server.started_ns > started.server.started_ns


def test_a_state_from_before_the_laws_keeps_them(make: Make, tmp_path: Path) -> None:
    """An upgrade must not leave the sums apart for ever."""
    started = make()
    mixed_traffic(Sender(started))
    settled(started)
    started.server.stop()
    with sqlite3.connect(tmp_path / "data" / "state.sqlite") as db:
        (saved,) = db.execute("SELECT value FROM meta WHERE key = 'counters'").fetchone()
        old = json.loads(saved)
        for name in ("engine.rows", "engine.labels", "receiver.rows.duplicate", "labels.duplicate"):
            del old[f"calidris.{name}"]
        db.execute("UPDATE meta SET value = ? WHERE key = 'counters'", (json.dumps(old).encode(),))
    db.close()
    again = make()
    again.export(packed(rows(9, seed=91)))
    conserved(settled(again), replayed=True)


def test_while_the_journal_is_read_back_no_counter_steps_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint is older than what was told; ``rate()`` would take the difference for a reset and count all again."""
    started = make()
    monkeypatch.setattr(started.server.loop, "save", lambda: None)
    for seed in range(5):
        started.export(packed(rows(20, seed=seed)))
    before = settled(started)
    started.server.stop()
    monkeypatch.undo()
    told: list[Any] = []
    usual = loop.apply
    from calidris.app import restore

    def watched(*of: Any, **how: Any) -> None:
        told.append(server[0].points())
        told.append(server[0].about())
        usual(*of, **how)

    server: list[Any] = []
    build = type(started.server)._build
    monkeypatch.setattr(type(started.server), "_build", lambda self, found: (server.append(self), build(self, found)))
    monkeypatch.setattr(restore, "apply", watched)
    again = make()
    assert again.server.replayed >= 5
    after = Scrape.of(again)  # the first one that anybody can see once it is ready
    for name in ("ml_received_rows_total", "calidris_engine_rows_total"):
        assert after[name] == before[name] == 100
    for during in told[::2]:
        counters = {p.metric.name: p.value for p in during if p.metric.instrument == "counter"}
        assert "calidris.engine.rows" not in counters and "ml.received.rows" not in counters
        assert counters["calidris.journal.records"] == 0 and counters["calidris.replay.records"] < again.server.replayed
    about = told[-1]
    assert about["state"] == "starting" and about["why"].startswith("reading the journal back: ")
    assert about["replay"]["records"] == again.server.replayed > about["replay"]["done"] > 0
    assert after["calidris_replay_records_total"] == again.server.replayed


def test_lag_and_queue_rise_while_the_engine_is_held_and_fall_after(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = make(receiver=RECEIVER | {"queue_bytes": "1MiB"})
    gate, usual = threading.Event(), loop.apply
    monkeypatch.setattr(loop, "apply", lambda *of, **how: (gate.wait(), usual(*of, **how)))
    for seed in range(6):
        started.export(packed(rows(100, seed=seed)))
    until(lambda: Scrape.of(started)["calidris_lag_time_seconds"] > 0.1)
    held = Scrape.of(started)
    assert held["calidris_lag_records"] >= 6 and held["calidris_queue_size_bytes"] > 6 * 1000
    assert held["calidris_queue_limit_bytes"] == 1 << 20 and held["calidris_queue_items"] >= 6
    gate.set()
    free = settled(started)
    until(lambda: Scrape.of(started)["calidris_lag_records"] == 0)
    assert free["calidris_queue_size_bytes"] == 0 and free["calidris_queue_items"] == 0


def test_disk_process_and_build_have_figures(make: Make) -> None:
    started = make(storage={"checkpoint_interval": "100ms"})
    started.export(packed(rows(500, seed=1)))
    settled(started)
    until(lambda: Scrape.of(started)["calidris_checkpoint_saves_total"] > 0)
    told = Scrape.of(started)
    assert told["calidris_journal_syncs_total"] >= 1 <= told["calidris_journal_records_total"]
    assert 0 < told["calidris_journal_sync_time_seconds_total"] < 60
    assert 0 < told["calidris_journal_sync_max_seconds"] <= told["calidris_journal_sync_time_seconds_total"]
    assert 0 < told["calidris_journal_live_bytes"] <= told["calidris_journal_size_bytes"] < 10**6
    assert told["calidris_journal_limit_bytes"] == 4 << 30
    assert told["calidris_checkpoint_size_bytes"] > 10_000 and told["calidris_checkpoint_duration_seconds"] > 0
    assert told["calidris_checkpoint_time_seconds_total"] >= told["calidris_checkpoint_duration_seconds"]
    assert told["calidris_snapshot_duration_seconds"] > 0 and told["calidris_snapshot_age_seconds"] < 60
    assert 20e6 < told["calidris_process_memory_bytes"] < 4e9 and told["calidris_process_uptime_seconds"] > 0
    assert 5 < told["calidris_process_descriptors"] < told["calidris_process_descriptors_limit"]
    assert told["calidris_process_threads"] > 3 and told["calidris_process_cpu_time_seconds_total"] > 0
    assert told.by("calidris_receiver_state", "calidris_state") == {"ready": 1.0}
    assert list(told.by("calidris_build_info", "calidris_version").values()) == [1.0]


def test_every_counter_of_ours_is_there_from_the_first_scrape(make: Make) -> None:
    """``increase()`` sees the first event only where 0 was scraped before it."""
    told = {name for name, _ in Scrape.of(make()).samples}
    ours = {m.prometheus for m in semconv.METRICS if m.name.startswith("calidris.")}
    assert {name for name in ours if name.endswith("_total")} <= told


def test_readyz_says_why_not(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    started = make()
    (url,) = (line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))

    def asked() -> tuple[int, dict[str, Any]]:
        answer = httpx.get(f"{url}/readyz", trust_env=False)
        return answer.status_code, answer.json()

    assert asked()[0] == 200 and asked()[1]["state"] == "ready"
    monkeypatch.setattr(loop, "snapshot", lambda *_: 1 // 0)
    until(lambda: asked()[0] == 503)
    assert asked()[1]["state"] == "stale" and "figures cannot be renewed" in asked()[1]["why"]


def test_progress_is_honest_about_what_it_does_not_know() -> None:
    now = [0.0]
    progress = Progress(10, lambda: now[0])
    assert progress.left_s is None and str(progress) == "0 of 10 records, 0.0 MB"
    now[0] = 4.0
    for _ in range(4):
        progress.add(10**6)
    assert str(progress) == "4 of 10 records, 4.0 MB, about 6 s left"
    progress.end()
    now[0] = 400.0
    assert progress.spent_s == 4.0


def test_a_long_replay_reports_in_the_log(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from calidris.app import replay_progress as progress
    from calidris.app import server

    seen, usual = threading.Event(), Storage.replay

    def slow(storage: Storage, interrupted: Callable[[], bool]) -> int:
        assert seen.wait(20)
        return usual(storage, interrupted)

    class Seen(Progress):
        def __str__(self) -> str:
            seen.set()
            return super().__str__()

    monkeypatch.setattr("calidris.app.restore.Progress", Seen)
    monkeypatch.setattr(Storage, "replay", slow)
    monkeypatch.setattr(server, "reported", lambda found: progress.reported(found, 0.01))
    caplog.set_level("INFO")
    make()
    assert "reading the journal back: 0 of 0 records" in caplog.text
