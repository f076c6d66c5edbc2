"""Durations, sizes, addresses and time zones as people write them: ``5m``, ``10GiB``, ``127.0.0.1:4327``, Europe/Berlin."""

from __future__ import annotations

import difflib
import re
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_duration_s(text: object) -> float:
    """Seconds of a duration.

    >>> parse_duration_s("5m"), parse_duration_s("200ms"), parse_duration_s("1.5h")
    (300.0, 0.2, 5400.0)

    Raises:
        ValueError: not a positive number with a unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", str(text).strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit (ms, s, m, h, d, w), such as 5m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def parse_bytes(text: object) -> int:
    """Bytes of a size.

    >>> parse_bytes("64MiB"), parse_bytes(1024)
    (67108864, 1024)

    Raises:
        ValueError: not a positive number with an optional unit.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|[KMG]i?B)?", str(text).strip())
    if not found or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is not a size; write a number and a unit, such as 64MiB or 10GiB")
    return int(float(found[1]) * _BYTES[found[2] or "B"])


def window_name(seconds: float) -> str:
    """The shortest exact spelling of a window's length; it is the value of ``ml.window`` on every series.

    >>> window_name(3600.0), window_name(300.0), window_name(90.0), window_name(0.5)
    ('1h', '5m', '90s', '500ms')
    """
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{round(seconds * 1000)}ms"


def _address(text: object) -> str:
    host, colon, port = str(text).rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(
            f"{text!r} is not an address; write host:port, such as 127.0.0.1:4327 (port 0 takes a free one)"
        )
    return str(text)


Seconds = Annotated[float, BeforeValidator(parse_duration_s)]
"""A duration in seconds, written with a unit."""

Bytes = Annotated[int, BeforeValidator(parse_bytes)]
"""A size in bytes, written with or without a unit."""

Address = Annotated[str, BeforeValidator(_address)]
"""``host:port``."""


def check_timezone(name: str) -> str:
    """The name of a zone that this machine knows.

    >>> check_timezone("Europe/Berlin")
    'Europe/Berlin'

    Raises:
        ValueError: there is no such zone here; the message says what may be meant, or what to install.
    """
    known = available_timezones() | {"UTC"}
    # "Europe" is a folder of zones and "../x" a path: only whole names count.
    if name not in known:
        raise ValueError(_say_what_is_meant(name, known))
    if name != "UTC":
        ZoneInfo(name)
    return name


def _say_what_is_meant(name: str, known: set[str]) -> str:
    said = f"{name!r} is no time zone; write an IANA name such as Europe/Berlin"
    if len(known) == 1:
        return f"{said}. This machine has no list of time zones: pip install tzdata"
    by_end = [zone for zone in sorted(known) if zone.endswith(f"/{name}")]
    near = difflib.get_close_matches(name, known, n=1)
    meant = by_end or near
    return f"{said}; did you mean {meant[0]}?" if meant else said


Timezone = Annotated[str, AfterValidator(check_timezone)]
