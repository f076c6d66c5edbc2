"""docs/operations.md against the code: every figure, alert, setting and promise that it names."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from running import rows, until
from served import FREE, configuration

from calidris import semconv
from calidris.app import Server
from calidris.app.logs import BURST
from calidris.config import CalidrisConfig
from calidris.grafana.render import alert_groups
from calidris.wire import encode_predictions

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FIGURES = PAGE.partition("## Every figure")[2].partition("## Alerts on the receiver")[0]
Make = Callable[..., Any]


def listed() -> dict[str, str]:
    """Metric to what its row says."""
    found = {}
    for line in FIGURES.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5:
            found |= dict.fromkeys(re.findall(r"`(calidris\.[a-z_.]+)`", cells[1]), cells[2])
    return found


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_figure_of_ours_is_on_the_page_and_no_other() -> None:
    ours = {m.name for m in semconv.METRICS if m.name.startswith("calidris.")}
    assert set(listed()) == ours, "a row in docs/operations.md for each: what it means, what to do when it rises"


def test_what_goes_on_across_restarts_is_marked(make: Make) -> None:
    """A counter that the process does not tell is the engine's, and in the checkpoint."""
    told = make().server.health()
    for name, meaning in listed().items():
        metric = next(m for m in semconv.METRICS if m.name == name)
        if metric.instrument == "counter" and name != "calidris.engine.failures":  # that one is of both
            assert ("**kept**" in meaning) == (name not in told), name


def test_every_metric_that_is_named_exists() -> None:
    attributes = {"calidris.reason", "calidris.state", "calidris.version", "calidris.yaml"}
    named = set(re.findall(r"`(calidris\.[a-z_]+(?:\.[a-z_]+)*)`", PAGE))
    assert named - attributes <= {m.name for m in semconv.METRICS}


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([\w./]*)(?:#([\w-]+))?\)", PAGE)
    assert links
    for path, anchor in links:
        target = ROOT / "docs" / path if path else ROOT / "docs" / "operations.md"
        assert target.exists() and (not anchor or anchor in anchors(target)), (path, anchor)


def test_every_alert_on_the_receiver_is_listed() -> None:
    (found,) = [alerts for group, alerts in alert_groups(CalidrisConfig()) if group == "calidris-receiver"]
    for alert in found:
        assert f"[`{alert.name}`](grafana.md#{alert.runbook})" in PAGE, alert.name


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:receiver|storage|export|limits|log|api)\.[a-z_.]+?)(?::[^`]*)?`", PAGE))
    assert len(named) > 8
    for path in named:
        model: Any = CalidrisConfig()
        for key in path.split("."):
            assert isinstance(model, BaseModel) and key in type(model).model_fields, path
            model = getattr(model, key)


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    config = CalidrisConfig()
    assert f"at most {BURST} lines a minute" in PAGE
    assert f"`receiver.drain` ({config.receiver.drain:.0f} s)" in PAGE
    assert config.receiver.dedup_horizon == 15 * 60 and "(15 minutes by default)" in PAGE
    assert config.storage.journal.max_bytes == 4 << 30 and "(`storage.journal.max_bytes`, 4 GiB)" in PAGE


def test_readme_leads_here() -> None:
    assert "docs/operations.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_files_are_for_their_owner_only(make: Make, tmp_path: Path) -> None:
    started = make(storage={"checkpoint_interval": "100ms"})
    started.export(encode_predictions(rows(20, seed=1), form="packed", one_span_per_row=False))
    until(lambda: started.server.loop.saving.count)
    for path in (tmp_path / "data").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("interval", ["50ms", "1h"])
def test_a_backup_of_a_running_receiver_has_all_that_came_before_it(make: Make, tmp_path: Path, interval: str) -> None:
    """The commands of the page: the journal first, then the state, while requests arrive and checkpoints truncate."""
    small = {"grpc": {"endpoint": FREE, "max_message_bytes": "100KiB"}, "http": None}
    storage = {"checkpoint_interval": interval, "journal": {"segment_bytes": "64KiB", "max_bytes": "100MiB"}}
    started = make(receiver=small, storage=storage)
    backup = tmp_path / "backup" / "data"
    backup.mkdir(parents=True)

    def send(seeds: range) -> None:
        for seed in seeds:
            started.export(encode_predictions(rows(100, seed=seed), form="packed", one_span_per_row=False))

    send(range(40))
    shutil.copytree(tmp_path / "data" / "journal", backup / "journal")
    send(range(40, 60))
    until(lambda: started.rows() == 6000)
    with sqlite3.connect(tmp_path / "data" / "state.sqlite") as db:
        db.execute(f"VACUUM INTO '{backup / 'state.sqlite'}'")
    db.close()
    send(range(60, 70))
    restored = Server(configuration(tmp_path / "backup"))
    restored.start()
    found = sum(model.rows for model in restored.snapshot().models)
    failures = restored.health()["calidris.journal.lost"]
    restored.stop()
    assert 4000 <= found <= 6000 and found % 100 == 0 and failures == 0
