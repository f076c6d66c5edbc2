"""Other rules on the same streams: what people use today, with its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata

import numpy as np
from benchmarks.detection.streams import histograms
from scipy.stats import ks_2samp

from calidris.batch import Floats

Judge = Callable[[Floats], bool]  # takes one window of raw values, says whether it alarms


def river_version() -> str | None:
    """None where river is not installed: its rows are left out, and the page is not written."""
    try:
        return metadata.version("river")
    except metadata.PackageNotFoundError:
        return None


def psi(baseline: Floats) -> Judge:
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


def adwin(baseline: Floats) -> Judge:
    from river.drift import ADWIN

    return _each_row(ADWIN(), baseline)


def page_hinkley(baseline: Floats) -> Judge:
    from river.drift import PageHinkley

    return _each_row(PageHinkley(), baseline)


def _each_row(detector, baseline: Floats) -> Judge:
    """A detector that takes raw values one by one; the last rows of the baseline warm it up."""

    def judge(window: Floats) -> bool:
        fired = False
        for x in window[~np.isnan(window)].tolist():
            detector.update(x)
            fired = fired or detector.drift_detected
        return fired

    judge(baseline[-20:].ravel())
    return judge


def rivals() -> Iterator[tuple[str, Callable[[Floats], Judge]]]:
    """Name and maker of each rule."""
    yield "PSI > 0.2", psi
    yield "KS p < .05", ks
    yield "baseline mean ± 3 σ", three_sigma
    if river_version():
        yield "ADWIN (river)", adwin
        yield "Page-Hinkley (river)", page_hinkley
