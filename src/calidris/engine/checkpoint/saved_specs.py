"""How rows of a version are counted, in the checkpoint: each spec is written once, because what it knows by hash may be megabytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from calidris.engine.checkpoint.store import Store
from calidris.state import Spec

_KIND: Final = "spec"


def save_specs(
    store: Store,
    number: int,
    specs: Iterable[Spec],
) -> None:
    """Write those that are new, inside the caller's transaction.

    Args:
        store: where to.
        number: of the model in the store.
        specs: all of its own.
    """
    written = store.blob_names(number, _KIND)
    for spec in specs:
        if spec.hash in written:
            continue
        raw = json.dumps(spec.to_json()).encode()
        store.put_blob(
            number,
            _KIND,
            spec.hash,
            raw,
        )


def load_specs(
    store: Store,
    number: int,
    told: Sequence[str | dict[str, Any]],
    shared: Spec | None,
) -> list[Spec]:
    """The specs of a version, in their order.

    Args:
        store: the checkpoint.
        number: of the model in it.
        told: hash of each; of checkpoints before November 2026 the spec itself.
        shared: of the baseline that all versions have, which is held once however many they are.

    Raises:
        LookupError: a spec that is not in the store.
    """
    found = []
    for one in told:
        if shared is not None and one == shared.hash:
            found.append(shared)
            continue
        plain = _read(store, number, one) if isinstance(one, str) else one
        found.append(Spec.from_json(plain))
    return found


def _read(
    store: Store,
    number: int,
    name: str,
) -> dict[str, Any]:
    raw = store.blob(number, _KIND, name)
    if raw is None:
        raise LookupError(f"no spec {name[:8]}, which rows of a model are counted by")
    plain: dict[str, Any] = json.loads(raw)
    return plain
