"""Configured models that never came, and what came in their place: "did you mean".

A model that arrives under another name than the configured one is watched with the defaults, against no baseline, while its
settings wait for ever. Nobody sees that unless the two stand side by side.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from calidris.batch import UNKNOWN_VERSION, ModelKey

CLOSE: Final = 0.6
"""Names that have as much in common are worth a question (``difflib``'s own default)."""

SHORTEST: Final = 3
"""Shorter names are part of too many others."""

_NAME = "OTEL_CALIDRIS_MODEL_NAME"
_NAMES = "OTEL_CALIDRIS_MODELS"
_VERSION = "OTEL_CALIDRIS_MODEL_VERSION"


@dataclass(frozen=True, slots=True)
class Expected:
    """A configured model.

    Attributes:
        tenant: whose it is.
        name: its name.
        versions: those that its settings or the files of its baselines name, the newest last; none where any will do.
    """

    tenant: str
    name: str
    versions: tuple[str, ...] = ()

    @property
    def owner(self) -> tuple[str, str]:
        """Tenant and name."""
        return self.tenant, self.name


@dataclass(frozen=True, slots=True)
class Absent:
    """A configured model, or version of one, that never came.

    Attributes:
        tenant: whose it is.
        name: its name.
        version: the version that never came; empty where no version of the model did.
        meant: what came and may be it; None where nothing resembles it.
        cure: what makes it come under its name, for people.
    """

    tenant: str
    name: str
    version: str
    meant: ModelKey | None
    cure: str


def find_unconfigured(expected: Iterable[Expected], came: Iterable[ModelKey]) -> list[ModelKey]:
    """What came of models that have no settings of their own."""
    owners = {model.owner for model in expected}
    return [key for key in came if key[:2] not in owners]


def find_absent(expected: Sequence[Expected], came: Sequence[ModelKey], live: Sequence[ModelKey]) -> list[Absent]:
    """Configured models that never came, each with the most similar one that sends.

    Args:
        expected: the configured models.
        came: every version that is remembered.
        live: those of them that still send.

    >>> came = [ModelKey("default", "svc-Credit", "1")]
    >>> found = find_absent([Expected("default", "credit")], came, came)
    >>> found[0].meant.name, "OTEL_CALIDRIS_MODEL_NAME=credit" in found[0].cure
    ('svc-Credit', True)
    """
    owners = {key[:2] for key in came}
    missing = [model for model in expected if model.owner not in owners]
    # What still sends is the likelier answer; what once did is better than none.
    strangers = find_unconfigured(expected, live) or find_unconfigured(expected, came)
    found = []
    # Each tenant by itself: what another one sends is no answer, and nobody else's business.
    tenants = sorted({model.tenant for model in missing})
    for tenant in tenants:
        waiting = [model for model in missing if model.tenant == tenant]
        theirs = [key for key in strangers if key.tenant == tenant]
        found += _match_names(waiting, theirs)
    for model in expected:
        found += _match_versions(model, live)
    return found


def _match_names(waiting: Sequence[Expected], strangers: list[ModelKey]) -> list[Absent]:
    """Models of one tenant, and what came of others; each of those is taken for one model at most."""
    # Where one waits and one came there is little doubt, whatever their names have in common.
    alone = len(waiting) == 1 and len({key.name for key in strangers}) == 1
    found = []
    for model in waiting:
        meant = strangers[-1] if alone else _most_similar(model.name, strangers)
        if meant is not None:
            strangers = [key for key in strangers if key.name != meant.name]
        absent = Absent(
            tenant=model.tenant,
            name=model.name,
            version="",
            meant=meant,
            cure=_name_cure(model, meant),
        )
        found.append(absent)
    return found


def _most_similar(name: str, keys: Sequence[ModelKey]) -> ModelKey | None:
    """Alike but for case and punctuation, else one that holds the other (a service's name before an estimator's), else close."""
    wanted = _bare(name)
    for key in keys:
        if _bare(key.name) == wanted:
            return key
    for key in keys:
        if _is_part(wanted, _bare(key.name)):
            return key
    by_name = {key.name.casefold(): key for key in keys}
    close = difflib.get_close_matches(
        name.casefold(),
        list(by_name),
        n=1,
        cutoff=CLOSE,
    )
    return by_name[close[0]] if close else None


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _is_part(wanted: str, found: str) -> bool:
    short, long = sorted((wanted, found), key=len)
    return len(short) >= SHORTEST and short in long


def _name_cure(model: Expected, meant: ModelKey | None) -> str:
    if meant is None:
        return f"Nothing that came resembles it; see that its service runs and names it {model.name!r} ({_NAME})"
    return (
        f"Set {_NAME}={model.name} in its service ({_NAMES} where the service has several models), or call it "
        f"{meant.name!r} in the configuration"
    )


def _match_versions(model: Expected, live: Iterable[ModelKey]) -> list[Absent]:
    """Versions that send and have no settings of their own, where one that does has the same name but for its spelling."""
    sending = [key for key in live if key[:2] == model.owner]
    came = {key.version for key in sending}
    waiting = [version for version in model.versions if version not in came]
    found = []
    for key in sending:
        if key.version in model.versions:
            continue
        version = _version_meant(key.version, waiting)
        if not version:
            continue
        absent = Absent(
            tenant=model.tenant,
            name=model.name,
            version=version,
            meant=key,
            cure=f"Set {_VERSION}={version} in its service",
        )
        found.append(absent)
    return found


def _version_meant(sent: str, waiting: Sequence[str]) -> str:
    """The version that another spelling of it stands for; of an unknown one the newest. A new version is not a misspelt old one."""
    if sent == UNKNOWN_VERSION:
        return waiting[-1] if waiting else ""
    wanted = _plain_version(sent)
    for version in waiting:
        if _plain_version(version) == wanted:
            return version
    return ""


def _plain_version(version: str) -> str:
    """As people write one version: v7, 7, 7.0 and V07.

    >>> [_plain_version(v) for v in ("v7", "7", "7.0", "V07", "2026-11-20-a")]
    ['7', '7', '7', '7', '20261120a']
    """
    # A date keeps its dots and letters: only what looks like v7.0 loses something.
    bare = re.sub(r"^v(?=\d)", "", version.casefold())
    bare = re.sub(r"(\.0+)+$", "", bare)
    return _bare(bare).lstrip("0")
