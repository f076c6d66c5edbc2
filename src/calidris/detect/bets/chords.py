"""The bounded log-ratios of calibration bets in each score bin; ``calibration`` says what they are for and proves them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Mask
from calidris.detect.bets.linear import SCALE


class Chords(NamedTuple):
    """Affine functions of p in each bin, by their values at the bin's ends, less c: float64[bins] each."""

    one_low: Floats
    one_high: Floats
    zero_low: Floats
    zero_high: Floats
    active: Mask

    def mirrored(self) -> Chords:
        """The same of ``1 - p`` and ``1 - y``."""
        return Chords(self.zero_high, self.zero_low, self.one_high, self.one_low, self.active)


def table(low: Floats, high: Floats, shift: float, slope: float, tolerance: float) -> Floats:
    """Coefficients of "the truth is σ(shift + slope·logit p)" against every truth within the tolerance: [4·bins]."""
    up = _chords(low, high, shift, slope, tolerance)
    down = _chords(1.0 - high, 1.0 - low, -shift, slope, tolerance).mirrored()
    return _coefficients(low, high, up) + _coefficients(low, high, down)


def _chords(low: Floats, high: Floats, shift: float, slope: float, tolerance: float) -> Chords:
    """Chords of the bets above ``u = σ(logit p + ε)``."""
    inner = (low > 0.0) & (high < 1.0) & (high > low)
    a, b = np.where(inner, low, 0.25), np.where(inner, high, 0.75)
    q_a, q_b = (special.expit(shift + slope * special.logit(p)) for p in (a, b))
    u_a, u_b = (special.expit(special.logit(p) + tolerance) for p in (a, b))
    beyond = (q_a > u_a) & (q_b > u_b)
    one_a, one_b, zero_a, zero_b = q_a / u_a, q_b / u_b, (1 - q_a) / (1 - u_a), (1 - q_b) / (1 - u_b)
    gap = _gap(a, b, u_a, u_b, tolerance)
    d_a, d_b = one_a - zero_a, one_b - zero_b
    largest = _largest(
        zero_a + (u_a + gap) * d_a,
        zero_b - zero_a + (u_b - u_a) * d_a + (u_a + gap) * (d_b - d_a),
        (u_b - u_a) * (d_b - d_a),
    )
    c = np.log(np.maximum(largest, 1.0))
    one, zero = (np.log(one_a) - c, np.log(one_b) - c), (np.log(zero_a) - c, np.log(zero_b) - c)
    return Chords(*one, *zero, inner & beyond)


def _gap(a: Floats, b: Floats, u_a: Floats, u_b: Floats, tolerance: float) -> Floats:
    """How far u lies above its chord: where ``u' = t/(1 + (t-1)p)²``, t = exp(ε), is the chord's slope."""
    if tolerance == 0.0:
        return np.zeros_like(a)
    t, slope = np.exp(tolerance), (u_b - u_a) / (b - a)
    p = np.clip((np.sqrt(t / slope) - 1.0) / (t - 1.0), a, b)
    gap: Floats = np.maximum(t * p / (1.0 + (t - 1.0) * p) - u_a - slope * (p - a), 0.0)
    return gap


def _largest(constant: Floats, linear: Floats, square: Floats) -> Floats:
    """Largest value of ``constant + linear·w + square·w²`` on [0, 1]."""
    vertex = np.clip(np.divide(-linear, 2.0 * square, out=np.zeros_like(linear), where=square < 0.0), 0.0, 1.0)
    ends = np.maximum(constant, constant + linear + square)
    largest: Floats = np.maximum(ends, constant + linear * vertex + square * vertex**2)
    return largest


def _coefficients(low: Floats, high: Floats, chords: Chords) -> Floats:
    """``[n0 | n1 | Σp0 | Σp1]``: an affine function of p is a multiple of the rows and one of Σp."""
    width = np.where(chords.active, high - low, 1.0)
    slope_one, slope_zero = (chords.one_high - chords.one_low) / width, (chords.zero_high - chords.zero_low) / width
    parts = (
        chords.zero_low - slope_zero * low,
        chords.one_low - slope_one * low,
        slope_zero / SCALE,
        slope_one / SCALE,
    )
    return np.concatenate([np.where(chords.active, part, 0.0) for part in parts])
