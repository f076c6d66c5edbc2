"""Vectors in the columns of a Parquet file: read, counted apart from what places their centroids, refused with a cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.cli.shell import run

from calidris.baseline import read
from calidris.baseline.row_files import TableColumns, read_rows
from calidris.batch import MatrixColumn, ModelKey
from calidris.errors import ConfigError

KEY = ModelKey("default", "tickets", "3")
LISTS = [[1.0, 2.5], None, [3.0, None], [float("nan"), 1.0], [5.0, 6.0]]
WANT = [[1.0, 2.5], None, None, None, [5.0, 6.0]]


def found(path: Path, column: pa.Array | pa.ChunkedArray, **names: Any) -> MatrixColumn:
    pyarrow.parquet.write_table(pa.table({"text": column, "age": pa.array(range(len(column)))}), path)
    batch = read_rows(
        path, TableColumns(**({"embeddings": ("text",)} | names)), KEY, ("score", "label", "decision")
    ).batch
    assert list(batch.features) == ["age"]
    return batch.embeddings["text"]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)],
    ids=str,
)
@pytest.mark.parametrize("chunks", [1, 2])
def test_lists_of_numbers(tmp_path: Path, kind: pa.DataType, chunks: int) -> None:
    column = pa.chunked_array([pa.array(LISTS, type=kind)] * chunks)
    vectors = found(tmp_path / "rows.parquet", column)
    dense = [row if valid else None for row, valid in zip(vectors.dense().tolist(), vectors.valid.tolist())]
    assert dense == WANT * chunks


@pytest.mark.parametrize(
    ("column", "names", "message"),
    [
        (pa.array([[1.0], [1.0, 2.0]]), {}, "vectors of one length, the rows have 1, 2"),
        (pa.array([None, None], type=pa.list_(pa.float32())), {}, "none at all"),
        (pa.array([[], []], type=pa.list_(pa.float32())), {}, "the rows have 0"),
        (pa.array(["a", "b"]), {}, "'text' is string; an embedding is a list of numbers"),
        (pa.array([["a"], ["b"]]), {}, "an embedding is a list of numbers"),
        (pa.array([[1.0], [2.0]]), {"embeddings": ("text", "image")}, "no embedding 'image'"),
        (pa.array([[1.0], [2.0]]), {"embeddings": ()}, "add --embedding text, or leave it out of --features"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, column: pa.Array, names: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        found(tmp_path / "rows.parquet", column, **names)


def table(n: int) -> pa.Table:
    g = np.random.default_rng(0)
    vectors = pa.FixedSizeListArray.from_arrays(g.normal(size=n * 8).astype(np.float32), 8)
    return pa.table(
        {"age": g.normal(40, 10, n), "ts": 1_767_225_600 + np.arange(n) / 100, "score": g.random(n), "text": vectors}
    )


@pytest.mark.parametrize("where", ["flag", "configuration"])
def test_from_the_command_line(tmp_path: Path, where: str) -> None:
    config, data, output = tmp_path / "calidris.yaml", tmp_path / "rows.parquet", tmp_path / "made.calidris"
    listed, flags = ("", ["--embedding", "text"]) if where == "flag" else (", embeddings: [text]", [])
    config.write_text(f"models: [{{name: tickets, windows: [1s]{listed}}}]\n")
    pyarrow.parquet.write_table(table(4000), data)
    arguments = ["--model", "tickets", "--data", data, "-o", output, "-c", config, "--time", "ts", *flags]
    done = run("baseline", "build", *arguments)
    assert (done.code, done.err) == (0, "")
    made = read(output)
    assert made.rows == 3000
    (book,) = made.spec.codebooks
    assert (book.name, book.dimension) == ("text", 8)
    assert [f.name for f in made.spec.fields[-2:]] == ["text.nearest", "text.distance"]


def test_too_few_vectors_are_told(tmp_path: Path) -> None:
    config, data = tmp_path / "calidris.yaml", tmp_path / "rows.parquet"
    config.write_text("models: [{name: tickets}]\n")
    pyarrow.parquet.write_table(table(100), data)
    done = run(
        "baseline",
        "build",
        "--model",
        "tickets",
        "--data",
        data,
        "-o",
        tmp_path / "x",
        "-c",
        config,
        "--embedding",
        "text",
    )
    assert done.code == 2
    assert "embedding 'text': 100 whole rows are too few for a codebook, 200 are needed" in done.err.replace("\n", " ")
