"""What a user should know of a model version whatever its status is: a baseline that is another one's, slices that never came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from calidris.baseline import Baseline
from calidris.batch import UNKNOWN_VERSION
from calidris.engine.model import WatchedModel

SHOWN_NAMES = 8
FAIRNESS = "fairness.attribute"
SLICES = "slices"


def notes(model: WatchedModel) -> Iterator[str]:
    """Sentences for people, each with its cure; none where all is as the settings say."""
    borrowed = _borrowed(model)
    if borrowed:
        yield borrowed
    if model.baseline is not None and not model.baseline.provisional:
        yield from uncut(model.baseline, model.config.cuts)
        yield from _untold_rare(model.baseline)
    yield from _unknown_inputs(model)
    for name, rows in model.sent_slices.never_sent(model.config.cuts):
        yield never_sent(_key_of(model, name), name, rows, as_feature=name in model.sent_slices.features)


def _borrowed(model: WatchedModel) -> str:
    """Whose baseline it is, where it has none of its own. What was learned from its own traffic is its own."""
    if model.baseline is None or model.baseline.provisional or not model.baseline_note:
        return ""
    if model.key.version == UNKNOWN_VERSION:
        cure = "say which version it is: `version=` of Model, or OTEL_CALIDRIS_MODEL_VERSION"
    else:
        cure = "build one of its own with `calidris baseline build`"
    return f"{model.baseline_note}; {cure}"


def uncut(baseline: Baseline, names: Iterable[str]) -> Iterator[str]:
    """A sentence for each slice of the settings that a baseline was built without: rows are counted as it says, and cut by nothing else."""
    # Live rows are counted under the baseline's spec: what it was not built with has no place there, whatever is sent.
    known = {one.name for one in baseline.spec.slices}
    for name in names:
        if name not in known:
            yield (
                f"the baseline was built without the slice {name!r}, so there are no figures by it: build it again with these settings, "
                "from rows that have it"
            )


def _untold_rare(baseline: Baseline) -> Iterator[str]:
    """A sentence where new values cannot be told from rare ones."""
    names = sorted(baseline.untold_rare)
    if names:
        listed = ", ".join(map(repr, names[:SHOWN_NAMES]))
        yield (
            f"the baseline's file is of an earlier version, which kept the commonest values only: of {listed} nobody can tell rare values from "
            "new ones, and they are shown together (`other`); build it again with `calidris baseline build`"
        )


def _unknown_inputs(model: WatchedModel) -> Iterator[str]:
    """A sentence for each feature of the schema that never came: mostly its name is written wrongly."""
    sent = sorted(model.arrivals.first_ns)
    for name in model.inputs.never_came():
        close = get_close_matches(name, sent, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"what comes: {', '.join(sent[:SHOWN_NAMES])}"
        yield f"`schema` states {name!r}, which no row has had; {cure}"


def _key_of(model: WatchedModel, name: str) -> str:
    """The setting that names a slice."""
    return SLICES if name in model.config.slices else FAIRNESS


def never_sent(key: str, name: str, rows: int, *, as_feature: bool) -> str:
    """The sentence for a slice without a value, and how to send it."""
    seen = f"{rows:,} rows came without a value of {name!r} (`{key}`)"
    if as_feature:
        seen = f"{seen}: it comes as a feature, and figures by it need it as a slice too"
    return f"{seen}. {how_to_send([name])}"


def how_to_send(names: Sequence[str]) -> str:
    """How a service sends slices: by hand, without a line of code, and on the wire.

    >>> how_to_send(["sex"])
    "Send it as a slice: slices=['sex'] of Model, OTEL_CALIDRIS_SLICES=sex, or `ml.slices` on the wire"
    """
    what = "it as a slice" if len(names) == 1 else "them as slices"
    listed = ",".join(names)
    return f"Send {what}: slices={list(names)!r} of Model, OTEL_CALIDRIS_SLICES={listed}, or `ml.slices` on the wire"
