"""The runbook has an entry for every alert, and the page names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from calidris.cli.commands import app
from calidris.config import CalidrisConfig
from calidris.grafana import texts
from calidris.grafana.panel_ids import RUNBOOK
from calidris.grafana.render import alert_groups

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / RUNBOOK).read_text(encoding="utf-8")


def anchors() -> set[str]:
    """Anchors as every renderer of Markdown makes them."""
    return {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGE, re.M)
    }


def test_every_alert_has_a_runbook_and_is_listed_with_its_severities(rich: CalidrisConfig) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| [`")]
    for _, alerts in alert_groups(rich):
        for alert in alerts:
            assert alert.runbook in anchors(), alert.name
            assert alert.annotations["runbook_url"] == f"{RUNBOOK}#{alert.runbook}"
            (row,) = [line for line in rows if f"[`{alert.name}`](#{alert.runbook})" in line]
            assert alert.severity in row.split("|")[2], alert.name


def test_links_on_the_page_lead_somewhere() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors()


def test_every_file_and_variable_is_named(rich: CalidrisConfig) -> None:
    for path, text in texts(rich).items():
        assert path.name in PAGE, path
        for variable in re.findall(r'"name": "(\w+)"', text) if path.suffix == ".json" else ():
            assert f"`{variable}`" in PAGE, variable


def test_what_to_do_is_in_every_alert_itself(rich: CalidrisConfig) -> None:
    """A link may not open at three in the morning."""
    for _, alerts in alert_groups(rich):
        for alert in alerts:
            assert len(re.sub(r"{{.*?}}", "", alert.summary)) < 80 and alert.summary[-1] != ".", alert.name
            assert len(alert.description) > 200 and "  " not in alert.description, alert.name


def test_every_command_that_is_named_exists(rich: CalidrisConfig) -> None:
    commands = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    named = re.findall(r"`calidris (\w+)", "\n".join([PAGE, *texts(rich).values()]))
    assert named and set(named) <= commands
