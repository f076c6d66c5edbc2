"""Exact moments of what a regression got wrong, per slice and delay. Feeds MAE, RMSE, bias, R², MAPE and their intervals.

The covariance of truth and prediction needs no sum of its own: the error is their difference, so that
``2 cov(y, ŷ) = var y + var ŷ - var(ŷ - y)``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state import fixed
from calidris.state.blocks.table_state import DELAYS, Entries, TableState, delay_buckets, over_slices
from calidris.state.coding.fields import Kind, Role
from calidris.state.fixed import Moments, Scale
from calidris.state.spec import Spec

VARIABLES = ("error", "absolute", "squared", "truth", "prediction", "relative")
"""Prediction minus truth, its size and its square, both numbers, and the size of the error as a share of the truth's."""

ERROR, ABSOLUTE, SQUARED, TRUTH, PREDICTION, RELATIVE = range(6)


class ResidualsState(TableState):
    """Sums over labelled rows of a regression, int64[slice, delay, variable, 6]; empty without a field of its output.

    Scales follow from the spec: truth and prediction have the one of the field of the regression output, errors the cap of
    the loss ``absolute_error`` (else the output's spread). A row whose truth is 0 has no relative error; one without a
    prediction has a truth only.
    """

    KIND: ClassVar[int] = 6
    SUMS: ClassVar[int] = fixed.SUMS
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(slices, delay buckets, variables, sums)."""
        return (spec.slice_count, DELAYS, len(residual_scales(spec)), fixed.SUMS)

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """The truth's cell of each delay in row 0 of the slice axis."""
        k = len(residual_scales(spec))
        return np.arange(DELAYS if k else 0) * k + TRUTH

    @classmethod
    def place(
        cls,
        spec: Spec,
        truth: Floats,
        prediction: Floats,
        delay_s: Floats,
        slice_rows: Ints | None = None,
        units: Ints | None = None,
    ) -> Entries:
        """Where n labelled rows go; see ``update``. With weights (``units_of``), what they add by those."""
        scales = residual_scales(spec)
        require_outcomes(spec, truth)
        rows = _variables(truth, prediction)
        # An error may be infinite where both numbers are finite: it counts, at the end of what sums hold.
        valid = np.isfinite(rows) | (np.isinf(rows) & np.isfinite(prediction))
        k, n = len(VARIABLES), len(truth)
        sums = np.stack([fixed.row_sums(*row) for row in zip(rows, valid, scales)], axis=1)
        cells = delay_buckets(delay_s) * k + np.arange(k)[:, None]
        slices = None if slice_rows is None else np.tile(slice_rows, k)
        flat = sums.reshape(fixed.SUMS, k * n)
        if units is not None:
            flat = fixed.weigh_rows(flat, np.tile(units, k))
        return over_slices(Entries(cells.ravel(), flat), slices, DELAYS * k)

    def update(self, truth: Floats, prediction: Floats, delay_s: Floats, slice_rows: Ints | None = None) -> None:
        """Add n labelled rows.

        Args:
            truth: finite numbers, float64[n].
            prediction: float64[n]; NaN is missing.
            delay_s: seconds from prediction to label, float64[n].
            slice_rows: int64[any, n] as ``Spec.slice_rows`` or ``Spec.cross`` give them; -1 is a missing value.

        Raises:
            ValueError: a truth that is not finite, or a spec without a regression output; nothing is added then.
        """
        self.add(self.place(self.spec, truth, prediction, delay_s, slice_rows))

    def variable(self, which: int, slice_row: int = 0, delay: int | None = None) -> Moments:
        """Moments of one of ``VARIABLES`` in one slice; all delays, or up to bucket ``delay``."""
        part = self.array[slice_row] if delay is None else self.array[slice_row, : delay + 1]
        return fixed.moments(part[:, which].sum(axis=0), residual_scales(self.spec)[which])


@lru_cache(maxsize=64)
def residual_scales(spec: Spec) -> tuple[Scale, ...]:
    """Scale of each variable; none where the spec has no numeric regression output. Remembered for the last 64 specs."""
    at = spec.index(Role.VALUE)
    if at is None or spec.fields[at].kind is not Kind.NUMERIC:
        return ()
    output = Scale.of_field(spec.fields[at])
    spread = output.unit / fixed.RESOLUTION
    size = next((loss.cap for loss in spec.losses if loss.name == "absolute_error"), spread)
    error = Scale.of(0.0, size)
    return (error, error, Scale.of(0.0, size * size), output, output, Scale.of(0.0, 1.0))


def require_outcomes(spec: Spec, truth: Floats) -> None:
    """Refuse what no error can be had of.

    Raises:
        ValueError: a truth that is not finite, or a spec without a regression output.
    """
    if not residual_scales(spec):
        raise ValueError("errors need a field of the regression output with edges")
    if not np.isfinite(truth).all():
        raise ValueError("a labelled row has a finite truth")


def _variables(truth: Floats, prediction: Floats) -> Floats:
    """float64[variables, n]; NaN where there is none."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        error = prediction - truth
        size = np.abs(error)
        relative = np.where(truth == 0.0, np.nan, size / np.abs(truth))
        return np.stack([error, size, size * size, truth, prediction, relative])
