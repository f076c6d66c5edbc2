"""``calidris models list | forget`` against a running receiver, and "did you mean" in ``calidris status``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import rows, until
from served import Started, configuration
from shell import Done, run
from tests.engine.conftest import KEY, SECOND, baseline
from tests.engine.conftest import rows as drawn

from calidris.baseline import write
from calidris.wire import encode_predictions

DETECT = {"windows": ["1s"], "false_alarms": "1 per day"}
Make = Callable[..., Started]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Starts receivers of this configuration, one after the other, and stops them."""
    made: list[Started] = []

    def start(**changes: Any) -> Started:
        made.append(Started(configuration(tmp_path, **changes)))
        return made[-1]

    yield start
    for started in made:
        started.server.stop()


def send(started: Started, name: str = "credit", version: str = "7", n: int = 20) -> None:
    batch = rows(n, seed=time.time_ns() % 2**31, name=name, version=version)
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))


def asked(started: Started, *command: str) -> Done:
    endpoint = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    return run(*command, "--endpoint", endpoint)


def scraped(started: Started) -> str:
    url = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("prometheus"))
    return httpx.get(url, trust_env=False).text


def watched(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "credit.calidris"
    write(baseline(), file)
    return {"name": "credit", "baseline": str(file), "windows": ["1s"], "detect": DETECT}


def alarm(started: Started) -> None:
    now = time.time_ns() // SECOND * SECOND
    batch = drawn(3, 200, start_ns=now - SECOND, shift=15.0)
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    until(lambda: started.server.snapshot().latched, 30)


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))


def test_list_tells_what_there_is(make: Make, tmp_path: Path) -> None:
    started = make(models=[watched(tmp_path)], limits={"silent_after": "2s"})
    assert "no model has been seen yet" not in asked(started, "models", "list").out  # one is configured
    alarm(started)
    send(started, "stranger", "1")
    until(lambda: "silent" in asked(started, "models", "list").out)
    send(started, "stranger", "1")
    until(lambda: "live" in line_of(asked(started, "models", "list").out, "stranger"))
    line = line_of(asked(started, "models", "list").out, "credit")
    assert re.search(r"credit +7 +silent +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC +200 +[0-9a-f]{12} +1 ", line), line


def test_forget_ends_alarms_and_series_and_lasts(make: Make, tmp_path: Path) -> None:
    settings = {"models": [watched(tmp_path)]}
    started = make(**settings)
    alarm(started)
    assert 'ml_detection_alarm{ml_detection_kind="drift"' in scraped(started)
    refused = asked(started, "models", "forget", "credit", "--by", "ada")
    assert refused.code == 1 and "alarm 1 stands and ends with the model: say why (--reason, " in refused.err
    done = asked(started, "models", "forget", "credit", "--by", "ada", "--reason", "replaced by credit-2")
    assert done.code == 0 and "forgotten: credit:7" in done.out and "alarm 1 ended with it" in done.out
    until(lambda: not started.server.snapshot().models)
    assert 'ml_model_name="credit"' not in scraped(started)
    assert "calidris_rows_retired_total 200.0" in scraped(started)
    assert (
        "ended with its model, which ada forgot: replaced by credit-2" in asked(started, "alarms", "list", "--all").out
    )
    listed = asked(started, "models", "list", "--all").out
    assert "credit is configured and never came" in listed
    assert re.search(r"forgotten 20.*: credit, every version, by ada: replaced by credit-2", listed)
    assert re.search(
        r"settings 20.*: credit, every version, by calidris serve: settings [0-9a-f]{12} from here on, program ", listed
    )
    started.server.loop.save = lambda: None  # type: ignore[method-assign]  # as after kill -9: the journal has to tell
    started.server.stop()
    again = make(**settings)
    assert not again.server.snapshot().models and not again.server.snapshot().latched
    send(again)
    until(lambda: again.rows() == 20)


def test_labels_are_learned_anew_by_an_order_that_lasts(make: Make, tmp_path: Path) -> None:
    """Of a receiver that is killed afterwards, too: the order is in the journal, and kept where auditors look."""
    settings = {"models": [watched(tmp_path)]}
    started = make(**settings)
    send(started)
    until(lambda: started.rows() == 20)
    assert asked(started, "models", "relabel", "credit", "--by", "ada", "--reason", " ").code == 1
    unknown = asked(started, "models", "relabel", "churn", "--by", "ada", "--reason", "a new vendor")
    assert unknown.code == 1 and "no model 'churn'" in unknown.err
    done = asked(started, "models", "relabel", "credit", "--version", "7", "--by", "ada", "--reason", "a new vendor")
    assert done.code == 0 and "learned anew" in done.out
    until(lambda: started.server.snapshot().commands)
    started.server.loop.save = lambda: None  # type: ignore[method-assign]  # as after kill -9: the journal has to tell
    started.server.stop()
    again = make(**settings)
    assert re.search(r"labels anew 20.*: credit:7, by ada: a new vendor", asked(again, "models", "list", "--all").out)
    (watcher,) = again.server.loop.engine.watchers.values()
    assert watcher.relabelled


def test_forget_one_version(make: Make) -> None:
    started = make()
    for version in ("7", "8"):
        send(started, version=version)
    until(lambda: started.rows() == 40)
    assert asked(started, "models", "forget", "credit", "--version", "7", "--by", "ada").code == 0
    until(lambda: [m.key.version for m in started.server.snapshot().models] == ["8"])


def test_what_versions_share_alarms_through_every_door_and_ends_with_the_last_of_them(
    make: Make, tmp_path: Path
) -> None:
    """A new version is asked about older people: the alarm is the model's, told of the version that leads, and outlives it."""
    settings = {"models": [watched(tmp_path)]}
    started = make(**settings)

    def ask(version: str, shift: float) -> None:
        now = time.time_ns() // SECOND * SECOND
        batch = drawn(now // SECOND % 2**31, 200, now, shift=shift, key=KEY._replace(version=version))
        started.export(encode_predictions(batch, form="packed", one_span_per_row=False))

    ask("7", 0.0)
    until(lambda: started.rows() == 200)
    for _ in range(30):
        ask("8", 15.0)
        time.sleep(1.0)
        # Its scores have alarms of its own, which may be the first to come.
        if any(alarm.shared for alarm in started.server.snapshot().alarms):
            break
    (alarm,) = [alarm for alarm in started.server.snapshot().alarms if alarm.shared]
    assert "age" in {feature.name for feature in alarm.features} and alarm.model.version == "8"
    api = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    told = {one["id"]: one for one in httpx.get(f"{api}/v1/alarms", trust_env=False).json()}
    assert told[alarm.id]["shared"] and told[alarm.id]["latched"] and told[alarm.id]["version"] == "8"
    assert re.search(r'ml_detection_alarm\{ml_detection_kind="drift".*ml_model_version="8".*\} 1.0', scraped(started))
    reason = ("--by", "ada", "--reason", "older people are asked about from now on")
    assert asked(started, "models", "rebase", "credit", "--version", "8", *reason).code == 0
    refused = asked(started, "models", "rebase", "credit", "--version", "9", *reason)
    assert refused.code == 1 and "no model 'credit' of version '9' has been seen" in refused.err
    until(lambda: [c.action for c in started.server.snapshot().commands] == ["rebase"])
    # One baseline file for all versions: what it says of features is what a new file changes, and so they stand.
    assert alarm.id in started.server.snapshot().latched
    # Its own alarms, of its scores, end with it; the one about features is the other version's from then on.
    assert asked(started, "models", "forget", "credit", "--version", "8", *reason).code == 0
    until(lambda: [m.key.version for m in started.server.snapshot().models] == ["7"])
    until(
        lambda: re.search(
            r'ml_detection_alarm\{ml_detection_kind="drift".*ml_model_version="7".*\} 1.0', scraped(started)
        )
    )
    started.server.loop.save = lambda: None  # type: ignore[method-assign]  # as after kill -9: the journal has to tell
    started.server.stop()
    again = make(**settings)
    assert alarm.id in again.server.snapshot().latched
    decided = [(c.action, c.alarm) for c in again.server.snapshot().commands]
    assert decided[:2] == [("rebase", 0), ("forget", 0)] and ("forget", alarm.id) not in decided


def test_names_with_slashes_and_unknown_ones(make: Make) -> None:
    started = make()
    send(started, "a/b c%2F", "1/x")
    until(lambda: started.rows() == 20)
    unknown = asked(started, "models", "forget", "a", "--by", "ada")
    assert (
        unknown.code == 1 and "no model 'a' has been seen; `calidris models list` shows those that were" in unknown.err
    )
    assert asked(started, "models", "forget", "a/b c%2F", "--version", "1/x", "--by", "ada").code == 0
    until(lambda: not started.server.snapshot().models)


def test_status_shows_the_configured_one_beside_what_came_in_its_place(make: Make, tmp_path: Path) -> None:
    """Zero-code without a name: before, `status` showed a stranger, and nothing of the model that waits."""
    started = make(models=[{"name": "credit"}, {"name": "fraud"}])
    send(started, "svc-logisticregression", "unknown")
    send(started, "Fraud", "1")
    until(lambda: started.rows() == 40)
    out = asked(started, "status", "--once").out
    lines = out.splitlines()
    fraud = next(n for n, line in enumerate(lines) if re.match(r"fraud +– +never came", line))
    assert re.match(r"Fraud +1 ", lines[fraud + 1])
    assert (
        "fraud is configured and never came; did you mean Fraud:1, which did? Set OTEL_CALIDRIS_MODEL_NAME=fraud" in out
    )
    assert re.search(r"^credit +– +never came", out, re.MULTILINE)
    endpoint = next(line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    told = httpx.get(f"{endpoint}/v1/status", trust_env=False).json()
    assert {one["name"]: one["did_you_mean"] and one["did_you_mean"]["name"] for one in told["absent"]} == {
        "credit": None,
        "fraud": "Fraud",
    }
    assert [one["name"] for one in told["unconfigured"]] == ["Fraud", "svc-logisticregression"]
    send(started, "fraud", "1")
    until(lambda: "fraud is configured and never came" not in asked(started, "status", "--once").out)


def test_a_version_that_nobody_set_is_told(make: Make, tmp_path: Path) -> None:
    write(baseline(), tmp_path / "credit-6.calidris")
    write(baseline(), tmp_path / "credit-7.calidris")
    started = make(models=[watched(tmp_path) | {"baseline": str(tmp_path / "credit-{version}.calidris")}])
    send(started, version="unknown")
    until(lambda: started.rows() == 20)
    out = asked(started, "status", "--once").out
    assert "version 7 of credit is configured and never came; did you mean credit:unknown, which did?" in out
    assert "OTEL_CALIDRIS_MODEL_VERSION=7" in out


def test_all_as_configured_says_nothing(make: Make) -> None:
    started = make(models=[{"name": "credit"}])
    send(started)
    until(lambda: started.rows() == 20)
    assert "never came" not in asked(started, "status", "--once").out
