"""What is checked in is what the code renders, byte for byte; nothing depends on the moment or the order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calidris.config import CalidrisConfig
from calidris.errors import ConfigError
from calidris.grafana import render, texts
from calidris.grafana.render import alert_groups

HERE = Path(__file__).resolve().parent
CHECKED_IN = HERE.parent.parent / "grafana"
GOLDEN = HERE / "testdata" / "golden"
CURE = "update with `CALIDRIS_UPDATE_RENDERED=1 pytest tests/grafana/test_rendered.py` and look at the difference"


def compare(config: CalidrisConfig, folder: Path, without: str = "nothing") -> None:
    wanted = {str(path): text for path, text in texts(config).items() if not str(path).startswith(without)}
    if os.environ.get("CALIDRIS_UPDATE_RENDERED"):
        for path, text in wanted.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8", newline="\n")
    found = {str(p.relative_to(folder)): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}
    assert found.keys() == wanted.keys(), CURE
    for path, text in wanted.items():
        assert found[path] == text, f"{folder / path} is stale: {CURE}"


def test_checked_in_files_are_fresh() -> None:
    compare(CalidrisConfig(), CHECKED_IN)


def test_golden_rules_of_a_rich_configuration(rich: CalidrisConfig) -> None:
    compare(rich, GOLDEN, without="dashboards/")


def test_two_renderings_are_equal(rich: CalidrisConfig) -> None:
    assert texts(rich) == texts(rich.model_copy(deep=True))


def test_uids_of_rules_do_not_depend_on_the_order_of_models(rich: CalidrisConfig) -> None:
    """A rule that changes its uid stays in Grafana under the old one, for ever."""
    turned = rich.model_copy(update={"models": rich.models[::-1]})
    assert _uids(rich) == _uids(turned)


def _uids(config: CalidrisConfig) -> set[str]:
    return {alert.uid for _, alerts in alert_groups(config) for alert in alerts}


def test_render_writes_every_text_and_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    written = render(CalidrisConfig(), tmp_path)
    assert {p.relative_to(tmp_path).as_posix() for p in written} == {str(p) for p in texts(CalidrisConfig())}
    assert all(p.read_bytes().endswith(b"\n") and b"\r" not in p.read_bytes() for p in written)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_data_source_of_the_users_own_reaches_every_rule(rich: CalidrisConfig) -> None:
    files = {str(p): t for p, t in texts(rich, datasource_uid="their-own").items()}
    assert "calidris-prometheus" not in "".join(files.values())
    assert 'uid: "their-own"' in files["provisioning/datasources/calidris.yaml"]


def test_an_objective_that_could_never_page_is_refused(tmp_path: Path, rich: CalidrisConfig) -> None:
    credit = rich.models[0]
    assert credit.slo.errors is not None
    lax = credit.slo.errors.model_copy(update={"objective": 0.8})
    slo = credit.slo.model_copy(update={"errors": lax})
    config = rich.model_copy(update={"models": (credit.model_copy(update={"slo": slo}),)})
    with pytest.raises(ConfigError, match=r"models\.credit\.slo\.errors: .* set an objective above 0\.833"):
        render(config, tmp_path)
    assert not list(tmp_path.iterdir()), "nothing is written by a rendering that fails"
