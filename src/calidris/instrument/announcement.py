"""The one line at the start: what is watched, under which names, where it goes, what leaves the process and what stays.

It is an INFO of the logger ``calidris``. Where a library is watched without a line of code and nobody set up logging it is a
WARNING, which Python shows then: whoever wrote no line has nowhere else to look.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from calidris.instrument.environment import OTEL_CALIDRIS_ALLOW, OTEL_CALIDRIS_MODEL_NAME, OTEL_CALIDRIS_MODELS
from calidris.instrument.guarded_log import log
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import runtime

_said: set[int] = set()


def announce_model(series: Series) -> None:
    """Say so of the first model of a process, at most once a configuration."""
    features = "its features"
    if series.features is not None:
        features = ", ".join(series.features) or "no feature"
    policy = runtime.settings.policy.with_(series.policy)
    _say(
        logging.INFO,
        f"model {series.name!r}, version {series.version}",
        features,
        policy,
    )


def announce_library(library: str, pattern: str) -> None:
    """Say so of a library whose models are watched without a line of code; their names are known when they predict."""
    settings = runtime.settings
    named = f"each is called {pattern!r}"
    if settings.model_name:
        named = f"all are called {settings.model_name!r}"
    if settings.models_path:
        named += f", but as {settings.models_path} says where it names them"
    cure = f"{OTEL_CALIDRIS_MODELS} or {OTEL_CALIDRIS_MODEL_NAME} name them"
    _say(
        logging.INFO if log.has_handlers() else logging.WARNING,
        f"every {library} model ({named}; {cure})",
        "their features",
        settings.policy,
    )


def _say(level: int, what: str, features: str, policy: Policy) -> None:
    if not runtime.on or runtime.generation in _said:
        return
    _said.add(runtime.generation)
    # Without the user and the password that some write into an address.
    address = re.sub(r"//[^/@]*@", "//", runtime.settings.endpoint)
    log.write(
        level,
        "calidris: watching %s; to %s. Of %s %s",
        what,
        address,
        features,
        leaving(policy),
    )


def leaving(policy: Policy) -> str:
    """What leaves under a policy and what stays, in words.

    >>> leaving(Policy.of(allow=["country"], drop=["ssn"]))
    'numbers and booleans leave, as do strings of country; ssn never leaves; other strings stay (OTEL_CALIDRIS_ALLOW lists those that may leave).'
    """
    text = "numbers and booleans leave"
    if policy.allow:
        text += f", as do strings of {_enumerate(policy.allow)}"
    if policy.hash:
        text += f", {_enumerate(policy.hash)} only as a keyed hash"
    if policy.bucket:
        text += f", {_enumerate(policy.bucket)} only as ranges"
    if policy.drop:
        text += f"; {_enumerate(policy.drop)} never leaves"
    return f"{text}; other strings stay ({OTEL_CALIDRIS_ALLOW} lists those that may leave)."


def _enumerate(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
