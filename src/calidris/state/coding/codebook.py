"""Codebook: how an embedding becomes two fields that drift and detection know.

Centroids of the baseline cut the space into cells. A row is counted in the cell of its nearest centroid (a category) and by
its distance to it (a number, in the baseline's deciles, with everything beyond the baseline's 99.9 % as out of range). A
new topic shows in the first, something unlike anything seen before in the second.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, MatrixColumn, NumberColumn, PredictionBatch, Singles
from calidris.state.coding.fields import Field, Kind, Role

MAX_CENTROIDS, MAX_VALUES = 256, 1 << 20
BLOCK_ROWS = 8192
"""Rows handled at once: the product of rows and centroids stays at a few MiB."""


@dataclass(frozen=True)
class Codebook:
    """Centroids of one embedding.

    Attributes:
        name: the embedding's name; its fields are ``{name}.nearest`` and ``{name}.distance``.
        dimension: d, values of a row.
        centroids: K x d little-endian float32, row by row.
        edges: ascending edges of the distance, the last one the baseline's 99.9 %.

    Raises:
        ValueError: a shape that does not fit, or more than 256 centroids or a million values.
    """

    name: str
    dimension: int
    centroids: bytes
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(float(edge) for edge in self.edges))
        k, rest = divmod(len(self.centroids), 4 * max(self.dimension, 1))
        if rest or not 1 <= k <= MAX_CENTROIDS or k * self.dimension > MAX_VALUES or self.dimension < 1:
            raise ValueError(f"codebook {self.name!r}: {len(self.centroids)} bytes of {self.dimension} dimensions")
        if not np.isfinite(self._points).all():
            raise ValueError(f"codebook {self.name!r}: a centroid is not finite")

    @property
    def k(self) -> int:
        """Number of centroids."""
        return len(self.centroids) // (4 * self.dimension)

    @cached_property
    def _points(self) -> Singles:
        return np.frombuffer(self.centroids, dtype="<f4").astype(np.float32).reshape(-1, self.dimension)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Names of the centroids."""
        return tuple(f"c{i}" for i in range(self.k))

    @property
    def fields(self) -> tuple[Field, Field]:
        """The two fields that it is counted in."""
        return (
            Field(f"{self.name}.nearest", Role.FEATURE, Kind.CATEGORICAL, levels=self.levels),
            Field(f"{self.name}.distance", Role.FEATURE, Kind.NUMERIC, edges=self.edges),
        )

    def nearest(self, rows: npt.ArrayLike) -> tuple[Ints, Floats]:
        """Nearest centroid and distance to it, int64[n] and float64[n], of float[n, d]; -1 and NaN of a row with NaN in it.

        Cost: one matrix product, 2·n·d·K operations in single precision; the distance itself is then taken in double. Of
        two centroids that are equally near within rounding, either may be named.

        Raises:
            ValueError: rows of another dimension.
        """
        with np.errstate(over="ignore"):  # what single precision cannot hold is infinite, and so missing
            matrix = np.asarray(rows, dtype=np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != self.dimension:
            raise ValueError(f"codebook {self.name!r}: rows of shape {matrix.shape}, wanted (n, {self.dimension})")
        code, distance = np.full(len(matrix), -1, dtype=np.int64), np.full(len(matrix), np.nan)
        for start in range(0, len(matrix), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            code[block], distance[block] = self._nearest(matrix[block])
        return code, distance

    def _nearest(self, rows: Singles) -> tuple[Ints, Floats]:
        points = self._points
        valid: Mask = np.asarray(np.isfinite(rows).all(axis=1))
        rows = np.where(valid[:, None], rows, np.float32(0))
        with np.errstate(over="ignore", invalid="ignore"):  # a product out of range is a NaN, which argmin takes first
            near = np.argmin(np.einsum("kd,kd->k", points, points) - 2 * (rows @ points.T), axis=1)
        step = rows.astype(np.float64) - points[near]
        distance = np.sqrt(np.einsum("nd,nd->n", step, step))
        return np.where(valid, near, -1).astype(np.int64), np.where(valid, distance, np.nan)

    def columns(self, rows: npt.ArrayLike) -> Mapping[str, Column]:
        """The two columns of float[n, d] by their field's name: features like any other."""
        return self.columns_of(MatrixColumn.of(rows))

    def columns_of(self, column: MatrixColumn) -> Mapping[str, Column]:
        """The two columns of an embedding, by their field's name.

        Vectors of another dimension come from another encoder, and no distance to them means anything: both fields then get
        text, which they count as ``other``, a fault of the data.
        """
        if column.dimension != self.dimension:
            text = CodedColumn((f"{column.dimension} dimensions",), np.where(column.valid, 0, -1).astype(np.int32))
            return {f.name: text for f in self.fields}
        code, distance = np.full(len(column), -1, dtype=np.int32), np.full(len(column), np.nan)
        code[column.valid], distance[column.valid] = self.nearest(column.values)
        near, far = (f.name for f in self.fields)
        return {near: CodedColumn(self.levels, code), far: NumberColumn.of(distance)}

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``Codebook.from_json`` reads back exactly."""
        return {
            "name": self.name,
            "dimension": self.dimension,
            "centroids": base64.b64encode(self.centroids).decode("ascii"),
            "edges": list(self.edges),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Codebook:
        """The codebook that ``to_json`` described."""
        centroids = base64.b64decode(data["centroids"], validate=True)
        return cls(data["name"], data["dimension"], centroids, tuple(data["edges"]))


def embedded(batch: PredictionBatch, codebooks: Sequence[Codebook]) -> PredictionBatch:
    """The batch with the two columns of each codebook among its features; the very batch where there are none to add.

    ``Spec.encode`` does it by itself. Whoever updates other states with the same rows does it first, and it is paid once.
    """
    books = [b for b in codebooks if b.name in batch.embeddings and b.fields[0].name not in batch.features]
    if not books:
        return batch
    columns: dict[str, Column] = dict(batch.features)
    for book in books:
        columns.update(book.columns_of(batch.embeddings[book.name]))
    return replace(batch, features=columns)
