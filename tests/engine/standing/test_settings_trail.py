"""Which settings of a model hold since when: told once for each change, kept in the checkpoint, replayed bit by bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, rows

from calidris.config import CalidrisConfig
from calidris.engine.alarms.provenance import hash_settings
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.standing import settings_trail
from calidris.engine.standing.settings_trail import find_changes

BASE = baseline()


def changes(engine: Engine, config: CalidrisConfig | None = None) -> list[Command]:
    return find_changes(config or engine.config, engine.models, engine.configured, START)


def told(engine: Engine, journal: Journal, config: CalidrisConfig | None = None) -> list[str]:
    """What a start with these settings notes."""
    found = changes(engine, config)
    for command in found:
        engine.apply(journal.order(command))
    return [command.reason for command in found]


def test_each_change_is_told_once(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, journal, other = make_engine(configuration(), BASE), Journal(), configuration(threshold=0.4)
    ids = [hash_settings(config.models[0]) for config in (engine.config, other)]
    assert told(engine, journal) == [f"settings {ids[0]} from here on, program {settings_trail.__version__}"]
    engine.apply(journal.request(rows(1, 100)))
    assert told(engine, journal) == [], "that a version came is no change of settings"
    assert told(engine, journal, other) == [f"settings changed from {ids[0]} to {ids[1]}"]
    assert engine.configured[-1].effective is not None
    assert (engine.configured[-1].effective.before, dict(engine.configured[-1].effective.baselines)) == (
        ids[0],
        {"7": BASE.id},
    )
    assert told(engine, journal, other) == []
    monkeypatch.setattr(settings_trail, "__version__", "99")
    assert told(engine, journal, other) == [f"program changed from {_program(engine)} to 99"]
    assert told(engine, journal, other) == []


def _program(engine: Engine) -> str:
    effective = engine.configured[0].effective
    assert effective is not None
    return effective.program


def test_a_baseline_that_was_built_anew_is_told_whether_its_version_was_there_or_not(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine]
) -> None:
    """Of a version that came since the record the checkpoint knows what it was compared with."""
    given = {"7": BASE, "8": BASE}
    engine = Engine(configuration(), lambda key, _: (given[key.version], ""))
    journal = Journal()
    for version in "78":
        engine.apply(journal.request(rows(1, 100, key=KEY._replace(version=version))))
        told(engine, journal)
    given["8"] = baseline(windows=50)
    engine = restart(engine)
    assert told(engine, journal) == [f"baseline of version 8 changed from {BASE.id} to {given['8'].id}"]
    assert told(restart(engine), journal) == []


def test_a_replay_and_a_restart_have_the_same_trail(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine]
) -> None:
    engine, journal, again = make_engine(configuration(), BASE), Journal(), make_engine(configuration(), BASE)
    bare = digest(engine)
    told(engine, journal)
    assert digest(engine) != bare
    engine.apply(journal.request(rows(1, 100)))
    told(engine, journal, configuration(threshold=0.4))
    engine.apply(journal.seal(START + SECOND))
    for record in journal.records:
        again.apply(record)
    assert digest(again) == digest(engine) == digest(restart(engine))
    assert snapshot(engine, 0).configured == tuple(engine.configured) != () and not engine.commands


def test_a_command_of_before_has_none(make_engine: MakeEngine) -> None:
    command = Command(1, "clear", "ada", "over", 5)
    assert set(command.plain()) == {"alarm", "action", "by", "reason", "at_ns", "token"}
    (first,) = changes(make_engine(configuration(), BASE))
    assert Command.from_bytes(first.to_bytes()) == first


def test_many_differences_are_told_in_few_words(make_engine: MakeEngine) -> None:
    given = {str(v): BASE for v in range(9)}
    engine = Engine(configuration(), lambda key, _: (given[key.version], ""))
    journal = Journal()
    for version in given:
        engine.apply(journal.request(rows(1, 50, key=KEY._replace(version=version))))
    told(engine, journal)
    other = baseline(windows=50)
    for model in engine.models.values():
        model.baseline = other
    (said,) = told(engine, journal)
    assert said.count("baseline of version") == 3 and said.endswith("; and 6 more")
