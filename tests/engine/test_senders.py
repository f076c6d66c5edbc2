"""What senders say that they left out: counted once, whatever comes again, and never a model of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.engine.conftest import START, MakeEngine, rows

from calidris.config import CalidrisConfig, LimitsConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.senders import SenderReports
from calidris.wire import Decoded, Report
from calidris.wire.columns.reports import MAX_REASONS


def said(number: int, *reports: Report, spans: Any = None, digest: str = "") -> Received:
    hashes = np.arange(1, len(reports) + 1, dtype=np.uint64) if spans is None else np.array(spans, dtype=np.uint64)
    decoded = Decoded((), len(reports), 0, {}, "", 0, 0, hashes, reports)
    key = (digest or str(number)).encode().ljust(16)
    return Received(number, START, "default", key, 0, decoded, None, lambda: None)


def queue_full(count: int, model: str = "credit", span: int = 0) -> Report:
    return Report(model, {"queue_full": count}, {"text": 1}, span)


def dropped(engine: Engine) -> dict[str, Counter[str]]:
    return {sums.owner[1]: sums.dropped for sums in engine.senders.taken()}


def test_reports_add_up_and_make_no_model(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(said(1, queue_full(5), queue_full(2, "stranger", 1), queue_full(1, "", 2), spans=[1, 2, 3]))
    engine.apply(said(2, queue_full(7), spans=[9]))
    assert dropped(engine) == {"": {"queue_full": 1}, "credit": {"queue_full": 12}, "stranger": {"queue_full": 2}}
    assert not engine.models and not len(engine.registry)


def test_a_repeated_request_or_span_counts_once(make_engine: MakeEngine) -> None:
    engine = make_engine()
    engine.apply(said(1, queue_full(5), spans=[4], digest="same"))
    engine.apply(said(2, queue_full(5), spans=[4], digest="same"))  # the request again
    engine.apply(said(3, queue_full(5), queue_full(3, span=1), spans=[4, 5]))  # the span in another one
    engine.apply(said(4, queue_full(3), queue_full(3, span=1), spans=[5, 5]))
    engine.apply(said(5, queue_full(100), spans=[0]))  # without ids, what is in another request always counts
    assert dropped(engine)["credit"] == {"queue_full": 108}
    assert engine.counters["calidris.receiver.spans.duplicate"][""] == 4


def test_a_repeat_after_a_restart_counts_once(make_engine: MakeEngine, restart: Callable[[Engine], Engine]) -> None:
    engine = make_engine()
    engine.apply(said(1, queue_full(5), spans=[4]))
    back = restart(engine)
    assert dropped(back) == dropped(engine)
    back.apply(said(1, queue_full(5), spans=[4]))  # the journal's record, read back
    back.apply(said(2, queue_full(5), spans=[4]))  # a retry
    back.apply(said(3, queue_full(6), spans=[8]))
    assert dropped(back)["credit"] == {"queue_full": 11}


def test_reports_between_predictions_change_none(make_engine: MakeEngine) -> None:
    engine = make_engine()
    batch = rows(3, 50)
    report = Report("credit", {"exit": 2}, {}, 0)
    hashes = np.array([7], dtype=np.uint64)
    engine.apply(Received(1, START, "default", b"x" * 16, 0, Decoded((batch,), 2, 0, {}, "", 0, 0, hashes, (report,)), None, lambda: None))  # fmt: skip
    assert engine.models[batch.model].rows == 50 and dropped(engine)["credit"] == {"exit": 2}


def test_names_and_reasons_are_bounded_and_nothing_is_lost(make_engine: MakeEngine) -> None:
    engine = make_engine(CalidrisConfig(limits=LimitsConfig(models=3)))
    for n in range(1, 21):
        engine.apply(said(n, Report(f"m{n}", {f"r{n}": 10}, {}, 0), spans=[n]))
    assert set(dropped(engine)) == {"", "m1", "m2", "m3"}
    assert sum(sum(counts.values()) for counts in dropped(engine).values()) == 200
    assert engine.counters["calidris.limits.overflow"]["reports"] == 170

    sums = SenderReports(frozenset(), 1)
    for n in range(500):
        sums.add("default", Report("m", {f"r{n}": 1}, {}, 0))
    (found,) = sums.taken()
    assert len(found.dropped) == MAX_REASONS + 1 and found.dropped.total() == 500


def test_a_flood_of_names_leaves_room_for_configured_models_and_for_other_tenants() -> None:
    sums = SenderReports(frozenset({("default", "credit")}), 2)
    for n in range(10):
        sums.add("default", queue_full(1, f"m{n}"))
    assert sums.add("default", queue_full(1, "credit")) == 0
    assert sums.add("acme", queue_full(1, "m9")) == 0
