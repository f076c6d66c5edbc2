"""Since when which settings hold: what a receiver goes by for each model as it starts, where that is not what it was.

Alarms carry the id of the settings that raised them; the trail says from when on a model had those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from calidris import __version__
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.alarms.provenance import hash_settings
from calidris.engine.commands import CONFIGURE, EVERY_VERSION, NO_ALARM, START, Command, Effective
from calidris.engine.model import WatchedModel

_SHOWN = 3
_LONGEST = 1000


def find_changes(
    config: CalidrisConfig,
    models: Mapping[ModelKey, WatchedModel],
    trail: Sequence[Command],
    at_ns: int,
) -> list[Command]:
    """A command for each configured model whose settings, program or baselines are not those of its newest record.

    A version that came since that record is no change: its baseline is told with the next one. Models that nobody configured have
    the settings of nobody, and no alarm that could name them.

    Args:
        config: today's settings.
        models: what is watched, restored and replayed.
        trail: the records so far, oldest first.
        at_ns: now, since the epoch.
    """
    found = []
    for stated in config.models:
        key = ModelKey(stated.tenant, stated.name, EVERY_VERSION)
        versions = _versions_of(key, models)
        before = _newest(trail, key)
        model = config.model(stated.name, stated.tenant)
        now = _effective(model, versions)
        said = list(_differences(before, now, versions))
        if said:
            note = _note(key, before, now, said, at_ns)
            found.append(note)
    return found


def _versions_of(key: ModelKey, models: Mapping[ModelKey, WatchedModel]) -> dict[str, WatchedModel]:
    found = {}
    for one, model in models.items():
        if one[:2] == key[:2]:
            found[one.version] = model
    return found


def _newest(trail: Sequence[Command], key: ModelKey) -> Effective | None:
    mine = (one.effective for one in reversed(trail) if one.model == key and one.effective is not None)
    return next(mine, None)


def _effective(config: ModelConfig, versions: Mapping[str, WatchedModel]) -> Effective:
    baselines = {}
    for version, model in sorted(versions.items()):
        if model.baseline is not None:
            baselines[version] = model.baseline.id
    return Effective(
        settings=hash_settings(config),
        program=__version__,
        baselines=baselines,
    )


def _differences(
    before: Effective | None,
    now: Effective,
    versions: Mapping[str, WatchedModel],
) -> Iterator[str]:
    """What is not as it was, each in words; nothing where all is."""
    if before is None:
        yield f"settings {now.settings} from here on, program {now.program}"
    elif now.settings != before.settings:
        yield f"settings changed from {before.settings} to {now.settings}"
    if before is not None and now.program != before.program:
        yield f"program changed from {before.program} to {now.program}"
    known = {} if before is None else before.baselines
    for version, given in now.baselines.items():
        # Learned live, or of a version that came since: the checkpoint knows what it was.
        was = known.get(version, versions[version].restored_baseline)
        if was is not None and was != given:
            yield f"baseline of version {version} changed from {was} to {given}"


def _note(
    key: ModelKey,
    before: Effective | None,
    now: Effective,
    said: Sequence[str],
    at_ns: int,
) -> Command:
    if before is not None:
        now = replace(now, before=before.settings)
    return Command(
        alarm=NO_ALARM,
        action=CONFIGURE,
        by=START,
        reason=_words(said),
        at_ns=at_ns,
        model=key,
        effective=now,
    )


def _words(said: Sequence[str]) -> str:
    """All of it is in the record; what people read is short."""
    shown = "; ".join(said[:_SHOWN])
    more = len(said) - _SHOWN
    text = shown if more <= 0 else f"{shown}; and {more} more"
    return text[:_LONGEST]
