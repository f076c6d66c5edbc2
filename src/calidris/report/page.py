"""The page: self-contained, readable without JavaScript, and deaf to whatever a model's name tries to be."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from calidris.batch import ModelKey
from calidris.engine.snapshot import Snapshot
from calidris.report import wording
from calidris.report.page_model import model_view

_HERE = Path(__file__).parent
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Controls of terminals and of the direction of writing: the page has none of its own, so they come from names."""


def render(snapshot: Snapshot, model: ModelKey | None, *, title: str, generated_ns: int) -> str:
    """One HTML page about one model version, or about all of them.

    The page loads nothing from anywhere and forbids itself to (Content-Security-Policy); every string of the snapshot is
    escaped. The same arguments give the same bytes.

    Args:
        snapshot: what to tell.
        model: which model version; None is all.
        title: heading of the page.
        generated_ns: when the page was made, ns since the epoch.

    Raises:
        KeyError: the snapshot does not have the model; the message names those it has.
    """
    chosen = [m for m in snapshot.models if model is None or m.key == model]
    if model is not None and not chosen:
        raise KeyError(f"no model {model}; there are: {', '.join(str(m.key) for m in snapshot.models) or 'none'}")
    views = [model_view(snapshot, m, f"model-{i}") for i, m in enumerate(chosen)]
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    page = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            generated=wording.moment(generated_ns),
            taken=wording.moment(snapshot.taken_ns),
            models=views,
            meanings=[(wording.STATUS_TITLE[s], s.value, wording.STATUS_MEANING[s]) for s in wording.STATUS_MEANING],
            style=Markup(style),  # our own file
            style_hash=_csp_hash(style),
        )
    )
    # A lone surrogate in a name could not be written to any file.
    return _UNSEEN.sub(_written_out, page.encode("utf-8", "replace").decode("utf-8"))


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _csp_hash(style: str) -> str:
    """The one style sheet that the page's own policy lets in."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
