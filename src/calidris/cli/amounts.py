"""Amounts as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes.

    >>> size(0), size(1536), size(45 * 2**20), size(4 * 2**30)
    ('0 B', '1.5 KiB', '45 MiB', '4 GiB')
    """
    unit = "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            break
        count /= 1024
    shown = f"{count:.0f}" if count >= 10 or count == round(count) else f"{count:.1f}"
    return f"{shown} {unit}"


def duration(seconds: float) -> str:
    """A time span, in two units at most.

    >>> duration(0.0012), duration(8.4), duration(130), duration(7400), duration(200000)
    ('1.2 ms', '8.4 s', '2 m 10 s', '2 h 3 m', '2 d 7 h')
    """
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours == 0:
        return f"{minutes} m {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} m" if days == 0 else f"{days} d {hours % 24} h"


def rate(per_second: float | None) -> str:
    """How many a second; a dash where nobody knows yet.

    >>> rate(None), rate(0.0), rate(0.25), rate(12345.6)
    ('–', '0/s', '0.2/s', '12,346/s')
    """
    if per_second is None:
        return "–"
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"
