from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.vq import vq
from scipy.spatial.distance import cdist
from scipy.stats import chi2_contingency
from sklearn.cluster import KMeans

from calidris.batch import MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Codebook, CountsState, Role, Spec, fitting_rows, learn_codebook
from calidris.state.coding.centroids import fit
from calidris.state.coding.fields import HIGH, MISSING, OTHER


def book_of(points: np.ndarray, edges: tuple[float, ...] = (0.0, 1.0, 2.0)) -> Codebook:
    return Codebook("text", points.shape[1], points.astype("<f4").tobytes(), edges)


def test_nearest_centroids_are_those_of_scipy() -> None:
    g = np.random.default_rng(0)
    points, rows = g.normal(size=(20, 16)).astype(np.float32), g.normal(size=(20_000, 16)).astype(np.float32)
    code, distance = book_of(points).nearest(rows)
    want, far = vq(rows.astype(np.float64), points.astype(np.float64))
    assert (code == want).mean() > 0.9999  # but for ties within rounding
    assert distance == pytest.approx(far, rel=1e-6)


def test_an_embedding_is_counted_in_two_fields() -> None:
    points = np.array([[0.0, 0.0], [10.0, 0.0]])
    book = book_of(points)
    spec = Spec(codebooks=(book,))
    near, far = (spec.index(Role.FEATURE, f"text.{name}") for name in ("nearest", "distance"))
    rows = np.array([[0.0, 0.0], [9.5, 0.0], [0.0, 1.5], [0.0, 9.0], [np.nan, 0.0]])
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(5, np.int64), book.columns(rows))
    state = CountsState(spec)
    state.update(spec.encode(batch))
    assert near is not None
    assert far is not None
    assert state.field(near)[:3].tolist() == [3, 1, 1]  # the last one is missing
    assert state.field(far)[:2].tolist() == [2, 1]
    assert state.field(far)[2 + HIGH] == state.field(far)[2 + MISSING] == 1


def cells_of(spec: Spec, column: MatrixColumn) -> list[list[int]]:
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(len(column), np.int64), {}, embeddings={"text": column})
    return [(cells - spec.offsets[i]).tolist() for i, cells in enumerate(spec.encode(batch))][2:]


def test_a_spec_counts_the_embeddings_of_a_batch_by_itself() -> None:
    spec = Spec(codebooks=(book_of(np.array([[0.0, 0.0], [10.0, 0.0]])),))
    column = MatrixColumn.of([[0.0, 0.5], [9.0, 0.0], [np.nan, 0.0], [0.0, 9.0]])
    assert cells_of(spec, column) == [[0, 1, 2 + MISSING, 0], [0, 0, 2 + MISSING, 2 + HIGH]]
    assert cells_of(spec, MatrixColumn.of(np.full((1, 2), np.nan))) == [[2 + MISSING], [2 + MISSING]]


def test_vectors_of_another_dimension_are_a_fault_of_the_data_and_not_of_ours() -> None:
    spec = Spec(codebooks=(book_of(np.zeros((1, 2))),))
    column = MatrixColumn.of([[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    assert cells_of(spec, column) == [[1 + OTHER, 1 + MISSING], [2 + OTHER, 2 + MISSING]]


def test_a_batch_is_embedded_once_and_only_where_there_is_something_to_embed() -> None:
    spec = Spec(codebooks=(book_of(np.zeros((1, 2))),))
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(1, np.int64), {"age": NumberColumn.of([1.0])})
    assert spec.embedded(batch) is batch
    once = spec.embedded(replace(batch, embeddings={"text": MatrixColumn.of([[0.0, 1.0]])}))
    assert list(once.features) == ["age", "text.nearest", "text.distance"]
    assert spec.embedded(once) is once


@given(st.lists(st.sampled_from([0.0, 1.0, np.nan, np.inf]), max_size=20), st.data())
def test_a_matrix_column_keeps_whole_rows_in_order(values: list[float], data: st.DataObject) -> None:
    rows = np.array(values[: len(values) // 2 * 2], dtype=np.float32).reshape(-1, 2)
    column = MatrixColumn.of(rows)
    whole = np.isfinite(rows).all(axis=1)
    assert np.array_equal(column.dense()[whole], rows[whole])
    assert np.isnan(column.dense()[~whole]).all()
    assert column.non_finite == np.isinf(rows).any(axis=1).sum()
    picked = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=5) if len(rows) else st.just([])), int)
    assert np.array_equal(column.take(picked).dense(), column.dense()[picked], equal_nan=True)
    assert np.array_equal(column.take(whole).dense(), rows[whole])


@pytest.mark.parametrize("rows", [np.empty((0, 2)), np.full((3, 2), np.nan)])
def test_no_rows_and_all_missing(rows: np.ndarray) -> None:
    code, distance = book_of(np.zeros((1, 2))).nearest(rows)
    assert code.tolist() == [-1] * len(rows)
    assert len(distance) == len(rows)


def test_huge_numbers_are_far_and_no_warning() -> None:
    book = book_of(np.array([[0.0, 0.0], [1.0, 1.0]]))
    code, distance = book.nearest(np.array([[1e30, 1e30], [1e300, 0.0]]))
    assert code[1] == -1  # infinite in single precision
    assert distance[0] == pytest.approx(2**0.5 * 1e30)


def test_rows_of_another_dimension_are_refused() -> None:
    for rows in (np.zeros((3, 3)), np.zeros(2)):
        with pytest.raises(ValueError, match=r"wanted \(n, 2\)"):
            book_of(np.zeros((1, 2))).nearest(rows)


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": 0},
        {"dimension": 3},
        {"centroids": b""},
        {"centroids": np.full(2, np.nan, "<f4").tobytes()},
        {"centroids": bytes(8 * 257)},
    ],
)
def test_a_codebook_that_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="text"):
        replace(book_of(np.zeros((1, 2))), **changes)  # type: ignore[arg-type]


def test_json_round_trip() -> None:
    book = book_of(np.random.default_rng(0).normal(size=(7, 5)))
    assert Codebook.from_json(book.to_json()) == book


def test_centroids_are_as_good_as_those_of_scikit_learn() -> None:
    g = np.random.default_rng(0)
    rows = (g.normal(size=(10, 8)) * 6)[g.integers(0, 10, 3000)] + g.normal(size=(3000, 8))
    points, code = fit(rows, 10)
    ours = ((rows - points[code]) ** 2).sum()
    assert ours < 1.01 * KMeans(10, n_init=5, random_state=0).fit(rows).inertia_
    assert np.array_equal(code, cdist(rows, points).argmin(axis=1))
    assert np.array_equal(fit(rows, 10)[0], points)


def test_k_means_of_few_distinct_rows_and_of_none() -> None:
    points, code = fit(np.array([[1.0], [1.0], [2.0]]), 5)
    assert sorted(points.ravel().tolist()) == [1.0, 2.0]
    assert points[code].ravel().tolist() == [1.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="no rows"):
        fit(np.empty((0, 2)), 3)


@pytest.mark.parametrize("dimension", [8, 256])
def test_new_rows_look_like_those_that_a_baseline_counts(dimension: int) -> None:
    """Rows that placed the centroids lie nearer to them; a baseline that counted them would call quiet traffic a change."""
    g = np.random.default_rng(3)
    rows, new = g.normal(size=(6000, dimension)), g.normal(size=(6000, dimension))
    book = learn_codebook("text", rows)
    counted = rows[~fitting_rows(len(rows))]
    assert len(counted) == 4500
    for f in book.fields:
        cells = [
            np.bincount(f.encode(book.columns(part)[f.name], len(part)), minlength=f.width) for part in (counted, new)
        ]
        table = np.array(cells)[:, np.sum(cells, axis=0) > 0]
        assert chi2_contingency(table).pvalue > 0.001
    _, placed = book.nearest(rows[fitting_rows(len(rows))])
    _, free = book.nearest(new)
    assert placed.mean() < free.mean() - 3 * free.std() / 1500**0.5


def test_a_codebook_has_fifty_rows_a_centroid_and_its_baselines_tail() -> None:
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    rows[5] = np.nan
    book = learn_codebook("text", rows)
    assert book.k == 10
    _, distance = book.nearest(rows[~fitting_rows(2000)])
    assert book.edges[0] == 0.0
    assert book.edges[-1] == pytest.approx(np.nanquantile(distance, 0.999))
    assert len(book.edges) == 11


def test_a_constant_embedding_and_too_few_rows() -> None:
    book = learn_codebook("text", np.ones((400, 3)))
    assert (book.k, book.edges[-1]) == (1, 0.0)
    code, distance = book.nearest(np.ones((2, 3)))
    assert code.tolist() == distance.tolist() == [0, 0]
    for rows in (np.ones((100, 3)), np.full((1000, 3), np.nan)):
        with pytest.raises(ValueError, match="200 are needed"):
            learn_codebook("text", rows)
