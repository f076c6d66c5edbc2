"""Other rules on the same streams: what people use today, with its defaults."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import numpy as np
from scipy.stats import ks_2samp

from calidris.batch import Floats, Ints

Judge = Callable[[Floats], bool]
"""Takes one window of raw values float64[n], says whether it alarms."""
Maker = Callable[[Floats], Judge]
"""Makes one from the baseline's windows float64[W, n]."""
Histograms = Callable[[Floats], Ints]


def river_version() -> str | None:
    """None where river is not installed: its rows are left out, and the page is not written."""
    try:
        return metadata.version("river")
    except metadata.PackageNotFoundError:
        return None


def psi(baseline: Floats, histograms: Histograms) -> Judge:
    base = histograms(baseline).sum(0)

    def judge(window: Floats) -> bool:
        q, p = (x / x.sum() for x in (histograms(window[None])[0] + 0.5, base + 0.5))
        return float(((q - p) * np.log(q / p)).sum()) > 0.2

    return judge


def ks(baseline: Floats) -> Judge:
    known = baseline[~np.isnan(baseline)]
    sample = known[:: max(len(known) // 5000, 1)]
    return lambda window: bool(ks_2samp(window[~np.isnan(window)], sample, method="asymp").pvalue < 0.05)


def three_sigma(baseline: Floats) -> Judge:
    means = np.nanmean(baseline, axis=1)
    centre, limit = means.mean(), 3.0 * means.std(ddof=1)
    return lambda window: bool(abs(np.nanmean(window) - centre) > limit)


def of_river(name: str, *, warm: int = 20) -> Maker:
    """A detector of river that takes raw values one by one; the last windows of the baseline warm it up."""

    def make(baseline: Floats) -> Judge:
        from river import drift

        detector = getattr(drift, name)()

        def judge(window: Floats) -> bool:
            fired = False
            for x in window[~np.isnan(window)].tolist():
                detector.update(x)
                fired = fired or detector.drift_detected
            return fired

        judge(baseline[-warm:].ravel())
        return judge

    return make


def river_rules(of: str = "") -> dict[str, Maker]:
    """ADWIN and Page-Hinkley, where river is installed."""
    if river_version() is None:
        return {}
    return {f"ADWIN{of}": of_river("ADWIN"), f"Page-Hinkley{of}": of_river("PageHinkley")}


def feature_rules(histograms: Histograms) -> dict[str, Maker]:
    """Name and maker of each rule on one feature's raw values."""
    return {
        "PSI > 0.2": lambda base: psi(base, histograms),
        "KS p < .05": ks,
        "mean ± 3 σ": three_sigma,
        **river_rules(),
    }


def quantile_histograms(baseline: Floats) -> Histograms:
    """Histograms int64[T, ≤ 10] over the deciles of the baseline's values."""
    edges = np.unique(np.quantile(baseline, np.arange(1, 10) / 10))

    def histograms(raw: Floats) -> Ints:
        cell = np.searchsorted(edges, raw, side="right")
        return np.array([np.bincount(row, minlength=len(edges) + 1) for row in cell])

    return histograms
