"""What a caller may see of a snapshot: its own tenant's models, alarms and decisions."""

from __future__ import annotations

from dataclasses import replace

from calidris.access import ALL, Caller
from calidris.engine.snapshot import Snapshot


def scoped(snapshot: Snapshot, caller: Caller) -> Snapshot:
    """The snapshot as if there were no other tenant; the engine's counters only where they are the caller's business.

    What is left out looks like what never was, so that nobody can tell from an answer whether another tenant has a model.
    """
    if caller.tenant != ALL:
        alarms = tuple(alarm for alarm in snapshot.alarms if caller.sees(alarm.model.tenant))
        mine = {alarm.id for alarm in alarms}
        snapshot = replace(
            snapshot,
            models=tuple(model for model in snapshot.models if caller.sees(model.key.tenant)),
            alarms=alarms,
            latched=snapshot.latched & mine,
            orders=tuple(order for order in snapshot.orders if order.alarm in mine),
        )
    return snapshot if caller.whole else replace(snapshot, counters={})
