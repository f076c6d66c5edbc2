"""The bytes of a detector at work, and back: it goes on bit by bit as it would have."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, astuple
from itertools import pairwise
from typing import Any

import numpy as np

from calidris.detect import Change, DesignLearner, Detector, Recovery, References, Verdict
from calidris.engine.detectors.slot import Run, SlotWatch
from calidris.errors import CorruptState

_SIZES = struct.Struct("<6I")
"""Bytes of the head, of what was learned live, of the worker, of the references, of the window that fired, of the recovery."""


def slot_bytes(watch: SlotWatch) -> bytes:
    """The run and the verdicts as JSON, then the states behind them."""
    worker = watch.detector or watch.learner
    assert worker is not None, "either learns or scores"
    references, recovery, fired = watch.recipe.references, watch.recovery, watch.fired
    head = {
        "scores": watch.detector is not None,
        "run": astuple(watch.run),
        "last": _plain(watch.last),
        "alarmed": _plain(watch.alarmed),
    }
    parts = (
        json.dumps(head).encode(),
        watch.live,
        worker.to_bytes(),
        references.to_bytes() if references is not None else b"",
        fired.astype("<i8").tobytes() if fired is not None else b"",
        recovery.to_bytes() if recovery is not None else b"",
    )
    return _SIZES.pack(*map(len, parts)) + b"".join(parts)


def restore_slot(watch: SlotWatch, data: bytes) -> None:
    """Take over what ``slot_bytes`` wrote against the same baseline. The threshold is that of today's settings.

    Raises:
        IncompatibleState: other settings or other rules made it; only what was learned live is taken over.
        CorruptState: not such bytes.
    """
    head, live, worker, references, fired, recovery = _parts(data)
    if references and watch.recipe.references is not None:
        restored = References.from_bytes(watch.recipe.references.spec, references)
        watch.recipe.references.take_over(restored)
    if head["scores"]:
        _restore_detector(watch, live, worker)
    else:
        watch.learner, watch.detector = DesignLearner.from_bytes(watch.recipe.layout, worker), None
    watch.run = Run(*head["run"])
    watch.last, watch.alarmed = _verdict(head["last"]), _verdict(head["alarmed"])
    if watch.alarmed is not None:
        watch.fired = np.frombuffer(fired, dtype="<i8").astype(np.int64)
        _restore_recovery(watch, watch.alarmed, recovery)
    watch.unsaved = False


def _parts(data: bytes) -> tuple[dict[str, Any], bytes, bytes, bytes, bytes, bytes]:
    try:
        ends = np.cumsum([_SIZES.size, *_SIZES.unpack_from(data)]).tolist()
        head, live, worker, references, fired, recovery = (data[a:b] for a, b in pairwise(ends))
        return json.loads(head), live, worker, references, fired, recovery
    except (struct.error, ValueError) as error:
        raise CorruptState(f"not the watch of a window: {error}") from error


def _restore_detector(watch: SlotWatch, live: bytes, worker: bytes) -> None:
    if live:
        spread = DesignLearner.from_bytes(watch.recipe.layout, live).windows
        watch.live, watch.learner = live, None
        watch.detector = watch.detector_of(watch.recipe.game(spread))
    if watch.detector is None:
        raise CorruptState("a detector without the windows that its bets were made from")
    watch.detector = Detector.from_bytes(watch.detector.bets, worker)
    watch.detector.threshold = watch.threshold


def _restore_recovery(watch: SlotWatch, alarmed: Verdict, recovery: bytes) -> None:
    assert watch.fired is not None, "it is kept with the alarm"
    fresh = watch.recovery_of(alarmed, watch.fired)
    watch.recovery = fresh if fresh is None or not recovery else Recovery.from_bytes(fresh.game, recovery)


def _plain(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else asdict(verdict)


def _verdict(data: dict[str, Any] | None) -> Verdict | None:
    if data is None:
        return None
    return Verdict(**(data | {"changes": tuple(Change(**change) for change in data["changes"])}))
