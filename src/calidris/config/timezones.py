"""Time zones as people write them: IANA names, such as ``Europe/Berlin``."""

from __future__ import annotations

import difflib
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator


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
