"""What senders left out, as points: whose, why, and never beyond the caps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from snapshots import snapshot

from calidris import semconv
from calidris.config import ExportConfig
from calidris.engine.senders import LeftOut
from calidris.engine.snapshot import Snapshot
from calidris.export import Point, points

DROPPED, WITHHELD = semconv.METRIC_ML_INFERENCE_DROPPED, semconv.METRIC_ML_INFERENCE_WITHHELD
SENDERS = (
    LeftOut(("acme", "credit"), Counter(exit=2)),
    LeftOut(("default", ""), Counter(queue_full=5)),
    LeftOut(("default", "credit"), Counter(queue_full=3, exit=1), Counter(text=7)),
)


def told(shot: Snapshot, **config: int) -> list[Point]:
    return [p for p in points(shot, ExportConfig(**config)) if p.metric in (DROPPED, WITHHELD)]  # type: ignore[arg-type]


def test_whose_they_are() -> None:
    shot = replace(snapshot(), senders=SENDERS, began_ns=77)
    found = {(p.metric.name, tuple(sorted(p.attributes.items()))): p.value for p in told(shot)}
    name, reason, tenant = semconv.ML_MODEL_NAME, semconv.CALIDRIS_REASON, semconv.CALIDRIS_TENANT
    assert found == {
        (DROPPED.name, ((reason, "exit"), (tenant, "acme"), (name, "acme/credit"))): 2.0,
        (DROPPED.name, ((reason, "queue_full"),)): 5.0,
        (DROPPED.name, ((reason, "queue_full"), (name, "credit"))): 3.0,
        (DROPPED.name, ((reason, "exit"), (name, "credit"))): 1.0,
        (WITHHELD.name, ((reason, "text"), (name, "credit"))): 7.0,
    }
    assert {p.start_ns for p in told(shot)} == {77}  # they go on across restarts


def test_caps_hold_for_them_too() -> None:
    many = tuple(LeftOut(("default", f"m{n}"), Counter({f"r{k}": 1 for k in range(50)})) for n in range(50))
    empty = Snapshot(1, senders=many)
    assert len(told(empty, max_series_per_tenant=100)) == 100
    assert len(told(empty, max_series=70)) == 70
    dropped = {p.metric.name: p.value for p in points(empty, ExportConfig(max_series=70))}
    assert dropped["calidris.export.series.dropped"] == 2430
