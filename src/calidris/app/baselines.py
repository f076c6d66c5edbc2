"""Which baseline belongs to a model version: its own, else the newest one of another version, else none."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from calidris.baseline import Baseline, read
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.config.load import locate
from calidris.engine.standing.absent import Expected
from calidris.engine.standing.seasons import seasons_of
from calidris.errors import ConfigError, CorruptState

_VERSION = "{version}"
_logger = logging.getLogger(__name__)


def find_baseline(key: ModelKey, config: ModelConfig) -> tuple[Baseline | None, str]:
    """The baseline of a model version and a sentence about it.

    A file that went missing or broke after the start is no reason to stop watching: the sentence says what happened.
    """
    if config.baseline is None:
        return None, ""
    try:
        return _find(key, config.baseline)
    except (CorruptState, OSError) as error:
        _logger.error("model %s: the baseline cannot be used: %s", key, error)
        return None, f"the baseline cannot be used: {error}"


def _find(key: ModelKey, pattern: str) -> tuple[Baseline | None, str]:
    found = versions(pattern)
    if not found:
        return None, f"there is no baseline file {pattern}"
    # The version comes from the wire: it only ever chooses among the files that are there.
    own = Path(pattern.replace(_VERSION, key.version))
    if own in found:
        return read(own), ""
    note = f"no baseline for version {key.version}: compared with {found[-1].name}"
    _logger.warning("model %s: %s", key, note)
    return read(found[-1]), note


def versions(pattern: str) -> list[Path]:
    """Files that fit a pattern with ``{version}``, oldest first."""
    found = [Path(p) for p in glob.glob(glob.escape(pattern).replace(glob.escape(_VERSION), "*"))]
    return sorted((p for p in found if p.is_file()), key=lambda p: (p.stat().st_mtime_ns, p.name))


def list_expected(config: CalidrisConfig) -> tuple[Expected, ...]:
    """The configured models, with the versions that their settings or baseline files name. Looks at the disk."""
    return tuple(_read_expected(model) for model in config.models)


def _read_expected(model: ModelConfig) -> Expected:
    found = list(_list_versions(model.baseline)) if model.baseline else []
    if model.canary is not None:
        found += [model.canary.against, model.canary.version]
    return Expected(model.tenant, model.name, tuple(dict.fromkeys(found)))


def _list_versions(pattern: str) -> Iterator[str]:
    """What stands for the version in the names of the files that fit, oldest first; none where one file is for all."""
    if _VERSION not in pattern:
        return
    named = re.compile(
        re.escape(str(Path(pattern))).replace(re.escape(_VERSION), "(.+)", 1).replace(re.escape(_VERSION), ".+")
    )
    for path in versions(pattern):
        hit = named.fullmatch(str(path))
        if hit:
            yield hit[1]


def check_baselines(config: CalidrisConfig, file: Path) -> None:
    """Refuse to start when a configured baseline is missing or broken.

    Raises:
        ConfigError: names the file, the line, the key and the command that makes the baseline.
    """
    for i, model in enumerate(config.models):
        if model.baseline is None:
            continue
        where = f"{file}:{locate(file, ('models', i, 'baseline'))}: models.{i}.baseline"
        found = versions(model.baseline)
        if not found:
            # A shell would write a file that is called so.
            output = model.baseline.replace("{version}", "VERSION")
            raise ConfigError(
                f"{where}: there is no file {model.baseline}; make one with `calidris baseline build -c {file} "
                f"--model {model.series_name} --data train.parquet --time ts -o {output}`, or take the key out to learn "
                "a provisional one from traffic"
            )
        for path in found:
            try:
                made = read(path)
            except (CorruptState, OSError) as error:
                raise ConfigError(f"{where}: {error}; build it again, or move the file away") from error
            _refuse_sleepers(model, made, f"{where}: {path.name}")


def _refuse_sleepers(model: ModelConfig, made: Baseline, where: str) -> None:
    """Refuse a baseline whose windows cannot stand in place of the baseline itself: nothing would watch drift."""
    if not model.detect.replaced:
        return
    for standing in seasons_of(model, made):
        if standing.lacks:
            raise ConfigError(
                f"{where}: {standing.reference} stands in place of the frozen baseline (`detect.references`), and {standing.lacks}; "
                "or list frozen beside it"
            )
