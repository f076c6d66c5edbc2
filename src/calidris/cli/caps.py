"""Caps in words: what they are and permit, for ``calidris check``; what they left out, for ``calidris status``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.config.units import window_name
from calidris.engine.dedup.memory import SPAN_BYTES
from calidris.labels.early import LABEL_BYTES

_ROWS = "{n:,} rows of model versions beyond %s were not counted"
_MODELS, _LIMITS = semconv.METRIC_CALIDRIS_MODELS_OVERFLOW.name, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW.name
_UNMATCHED, _RETIRED = semconv.METRIC_CALIDRIS_LABELS_UNMATCHED.name, semconv.METRIC_CALIDRIS_MODELS_RETIRED.name
_MET = {
    (_MODELS, "models"): _ROWS % "limits.models",
    (_MODELS, "versions"): _ROWS % "limits.versions",
    (_MODELS, "watched"): _ROWS % "limits.watched",
    (_RETIRED, ""): "{n:,} silent model versions made room for new ones",
    (_LIMITS, "features"): "{n:,} values of features that nobody watches were left out",
    (_LIMITS, "levels"): "{n:,} values are counted as other levels, without a name",
    (_LIMITS, "slices"): "{n:,} values are counted with the other levels of their slice",
    (_LIMITS, "classes"): "{n:,} labels are counted with the other classes",
    (_LIMITS, "weights"): "{n:,} weights beyond 2^-10 or 2^16 count as these",
    (_LIMITS, "pending_labels"): "{n:,} predictions beyond limits.pending_labels wait for a label no longer",
    (_LIMITS, "pending_retired"): "{n:,} predictions of retired versions wait for a label no longer",
    (
        _LIMITS,
        "reports",
    ): "{n:,} rows, labels and values that senders left out of models beyond limits.models have no model's name",
    (_UNMATCHED, "too_many_early"): "{n:,} labels beyond limits.early_labels did not wait for their prediction",
    (
        _UNMATCHED,
        "too_many_models",
    ): "{n:,} labels of unknown models beyond limits.models did not wait for their prediction",
}
"""Counter and reason to what happened."""


def left_out(counters: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """One line for each cap that was met since the state began; ``counters`` are those of ``/v1/status``."""
    for (metric, reason), said in _MET.items():
        n = counters.get(metric, {}).get(reason, 0)
        if n:
            yield said.format(n=n)


def caps(config: CalidrisConfig, stranger: Mapping[str, int]) -> Iterator[str]:
    """The caps and the memory they permit.

    Args:
        config: the user's settings.
        stranger: the most bytes that one version of a model nobody configured takes, by what takes them.
    """
    limits, export, version = config.limits, config.export, sum(stranger.values())
    yield (
        f"limits: {limits.models:,} models of a tenant beside those that are listed, {limits.versions:,} versions of a model, "
        f"{limits.watched:,} versions in all; what is silent for {window_name(limits.silent_after)} makes room; rows beyond are "
        "counted and left out"
    )
    parts = ", ".join(f"{name} {mebibytes(size)}" for name, size in stranger.items())
    yield (
        f"limits: a version of a model that is not listed takes at most {mebibytes(version)} of memory, whatever arrives "
        f"({parts}), all {limits.watched:,} at most {mebibytes(limits.watched * version)}, and {mebibytes(limits.pane_bytes)} for "
        "what is older"
    )
    waiting = limits.early_labels * LABEL_BYTES
    yield (
        f"limits: {limits.early_labels:,} labels of a tenant wait for their prediction (at most {mebibytes(waiting)}); "
        f"requests that wait take at most {mebibytes(config.receiver.queue_bytes)}"
    )
    spans = config.receiver.dedup_spans
    yield (
        f"limits: what is sent again is known for {window_name(config.receiver.dedup_horizon)}, of the newest {spans:,} spans "
        f"(at most {mebibytes(spans * SPAN_BYTES)})"
    )
    yield (
        f"limits: {export.max_series_per_model:,} series of a model version, {export.max_series_per_tenant:,} of a tenant, "
        f"{export.max_series:,} in all"
    )


def mebibytes(size: int) -> str:
    """A size for people."""
    return f"{size / 2**20:.1f} MiB" if size < 100 * 2**20 else f"{size / 2**20:,.0f} MiB"
