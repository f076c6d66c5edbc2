"""Grouping what was buffered: rows, blocks and labels to chunks of one series and at most 512 rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from calidris.instrument.ids import prediction_ids, texts_of
from calidris.instrument.privacy import text_of
from calidris.instrument.rows.buffered_items import FLAT, Block, Item, Labels, Row, Series
from calidris.instrument.rows.input_table import Table
from calidris.instrument.rows.packed_columns import plain
from calidris.instrument.rows.vectors import Vectors, columns, most_rows, sizes_of

MAX_ROWS = 512
"""Rows of one span: decoding no longer gets faster beyond it."""

MAX_NAMES = 1_000
"""Names under which the rows of one span may be united: half of what the receiver takes."""

MAX_CELLS = 24 * 1024
"""Rows times names of one span, 192 KiB of numbers: a missing value takes as much room as one that is there."""


LONGEST_NS = 10**17
"""Three years: no call lasts longer, but one during which the application stopped its time, or let it go on."""


@dataclass(slots=True)
class Chunk:
    """At most `MAX_ROWS` predictions of one series, as columns, privacy not yet applied."""

    series: Series
    times_ns: list[int]
    durations_s: list[float | None]
    ids: list[str]
    trace_ids: list[int]
    span_ids: list[int]
    features: dict[str, Any] = field(default_factory=dict)
    slices: dict[str, Any] = field(default_factory=dict)
    scores: Any = None
    classes: Any = None
    values: Any = None
    errors: list[str | None] | None = None
    embeddings: dict[str, Vectors] = field(default_factory=dict)
    batch_id: str | None = None

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.series.name

    def halves(self) -> tuple[Chunk, Chunk]:
        """The same rows in two, for a span that came out too large."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))

    def part(self, a: int, b: int) -> Chunk:
        """Rows a to b."""
        scores = (
            {k: v[a:b] for k, v in self.scores.items()} if isinstance(self.scores, dict) else _cut(self.scores, a, b)
        )
        return Chunk(
            self.series, self.times_ns[a:b], self.durations_s[a:b], self.ids[a:b], self.trace_ids[a:b], self.span_ids[a:b],
            {k: v[a:b] for k, v in self.features.items()}, {k: v[a:b] for k, v in self.slices.items()},
            scores, _cut(self.classes, a, b), _cut(self.values, a, b), _cut(self.errors, a, b),
            {k: v.part(a, b) for k, v in self.embeddings.items()}, self.batch_id,
        )  # fmt: skip


@dataclass(slots=True)
class LabelChunk:
    """At most `MAX_ROWS` labels of one model."""

    model: str
    ids: list[str]
    labels: list[Any]
    times_ns: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    def halves(self) -> tuple[LabelChunk, LabelChunk]:
        """The same labels in two."""
        m = len(self) // 2
        return (
            LabelChunk(self.model, self.ids[:m], self.labels[:m], self.times_ns[:m]),
            LabelChunk(self.model, self.ids[m:], self.labels[m:], self.times_ns[m:]),
        )


@dataclass(slots=True)
class Group:
    """Everything buffered for one series and one job, or all labels of one model, of one kind."""

    model: str
    members: list[Any] = field(default_factory=list)

    def runs(self) -> Iterator[list[Any]]:
        """The members in order, as many at a time as make one span, or where one is larger, it alone."""
        first = self.members[0]
        if isinstance(first, Labels):
            yield from _label_runs(self.members)
        elif isinstance(first, Block):
            yield from _alike(self.members)
        else:
            yield from row_runs(self.members)


def chunks_of(run: list[Any]) -> Iterator[Chunk | LabelChunk]:
    """The rows of a run, at most `MAX_ROWS` at a time."""
    first = run[0]
    if isinstance(first, Labels):
        yield from _of_labels(first.model, run)
    elif isinstance(first, Block):
        yield from _of_blocks(run)
    else:
        yield _of_rows(first[0], run)


def halves_of(run: list[Any]) -> tuple[list[Any], list[Any]] | None:
    """A run in two, which may be two parts of its only member; None where it is a single row."""
    if len(run) > 1:
        middle = len(run) // 2
        return run[:middle], run[middle:]
    only = run[0]
    if isinstance(only, tuple) or only.rows < 2:
        return None
    middle = only.rows // 2
    return [only.part(0, middle)], [only.part(middle, only.rows)]


def groups_of(items: Iterable[Item]) -> list[Group]:
    """Group what was buffered: predictions first, so that no label overtakes the prediction it belongs to."""
    rows: dict[tuple[Series, tuple[int, ...] | None, bool], Group] = {}
    blocks: dict[tuple[Series, str | None], Group] = {}
    labels: dict[str, Group] = {}
    for item in items:
        if isinstance(item, tuple):
            # Vectors of one column have one dimension, and a span's scores one form; a row of another one goes into another span.
            alike = (item[0], sizes_of(item[-1]), type(item[7]) is dict)
            rows.setdefault(alike, Group(item[0].name)).members.append(item)
        elif isinstance(item, Block):
            # A span says once which job its rows are of.
            blocks.setdefault((item.series, item.batch_id), Group(item.series.name)).members.append(item)
        else:
            labels.setdefault(item.model, Group(item.model)).members.append(item)
    return [*rows.values(), *blocks.values(), *labels.values()]


def row_runs(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows in order, cut where a span would get too long, or too wide under the union of their names."""
    most = most_rows(sum(sizes_of(rows[0][-1]) or ()), MAX_ROWS)
    if any(dict in kinds for kinds in {(type(row[5]), type(row[6]), type(row[7])) for row in rows}):
        yield from _open_runs(rows, most)
        return
    width = max(len(row[5] or ()) for row in rows)
    most = min(most, max(1, MAX_CELLS // max(1, width)))
    for start in range(0, len(rows), most):
        yield rows[start : start + most]


def _open_runs(rows: list[Row], most: int) -> Iterator[list[Row]]:
    """Rows that bring names of their own."""
    run: list[Row] = []
    names: set[object] = set()
    for row in rows:
        union = _united(names, row)
        if run and (len(run) >= most or len(union) * (len(run) + 1) > MAX_CELLS or len(union) > MAX_NAMES):
            yield run
            run, union = [], _united(set(), row)
        run.append(row)
        names = union
    if run:
        yield run


def _united(names: set[object], row: Row) -> set[object]:
    """The names with those of one more row; the same object where it brings none."""
    for captured in row[5:8]:  # features, slices, scores
        if type(captured) is dict and not names.issuperset(captured):
            names = names.union(captured)
    return names


def _label_runs(batches: list[Labels]) -> Iterator[list[Labels]]:
    run: list[Labels] = []
    rows = 0
    for batch in batches:
        if run and rows + batch.rows > MAX_ROWS:
            yield run
            run, rows = [], 0
        run.append(batch)
        rows += batch.rows
    if run:
        yield run


def _of_rows(series: Series, rows: list[Row]) -> Chunk:
    _, times, durations, places, given, features, slices, scores, classes, values, errors, vectors = zip(*rows)
    named, cut = _captured(series, features, slices)
    return Chunk(
        series,
        list(times),
        [ns / 1e9 if 0 <= ns < LONGEST_NS else None for ns in durations],
        [prediction_ids(None if one is None else str(one), place, 1)[0] for one, place in zip(given, places)],
        [place[0] for place in places],
        [place[1] for place in places],
        named,
        cut,
        _row_scores(scores),
        list(classes) if any(c is not None for c in classes) else None,
        list(values) if any(v is not None for v in values) else None,
        list(errors),
        columns(series.embeddings, vectors),
    )


def _captured(series: Series, features: Sequence[Any], slices: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of features and of slices from captured rows."""
    declared = series.features or ()
    width = len(declared)
    if all(one is FLAT for one in slices):
        columns = list(zip(*features))
        return dict(zip(declared, columns)), dict(zip(series.slices, columns[width:]))
    flat = [one is FLAT for one in slices]
    cut = [row[width:] if is_flat else one for row, one, is_flat in zip(features, slices, flat)]
    own = [row[:width] if is_flat else row for row, is_flat in zip(features, flat)]
    return _named(own, declared), _named(cut, series.slices)


def _named(captured: Sequence[Any], declared: tuple[str, ...]) -> dict[str, Any]:
    """Columns from rows that are each a tuple in declared order, a dict, or None."""
    if declared and all(type(row) is tuple for row in captured):
        return dict(zip(declared, zip(*captured)))
    blank = (None,) * len(declared)
    dicts = [row if isinstance(row, dict) else dict(zip(declared, row or blank)) for row in captured]
    return {str(name): [row.get(name) for row in dicts] for name in dict.fromkeys(key for row in dicts for key in row)}


def _row_scores(scores: Sequence[Any]) -> Any:
    """One column, or one column a class where rows brought a mapping: all did or none, as ``groups_of`` sorts them."""
    if type(scores[0]) is not dict:
        return list(scores) if any(score is not None for score in scores) else None
    names = dict.fromkeys(name for score in scores for name in score)
    return {text_of(name): [score.get(name) for score in scores] for name in names}


def _alike(blocks: list[Block]) -> Iterator[list[Block]]:
    """Runs of small blocks that fit in one span together: same columns, same outputs."""
    run: list[Block] = []
    rows, shape = 0, None
    for block in blocks:
        this: Any = _shape(block)
        if run and (this != shape or rows + block.rows > most_rows(block.vector_bytes, MAX_ROWS)):
            yield run
            run, rows = [], 0
        run.append(block)
        rows, shape = rows + block.rows, this
    if run:
        yield run


def _shape(block: Block) -> tuple[Any, ...]:
    scores = tuple(block.scores) if isinstance(block.scores, dict) else block.scores is None
    tables = (table and (table.names, table.matrix is None) for table in (block.features, block.slices))
    dimensions = tuple((name, one.dimension) for name, one in block.embeddings.items())
    return (*tables, scores, block.classes is None, block.values is None, dimensions)


def _of_blocks(blocks: list[Block]) -> Iterator[Chunk]:
    first, rows = blocks[0], [block.rows for block in blocks]
    spread = [block for block, n in zip(blocks, rows) for _ in range(n)]
    ids = [one for b in blocks for one in prediction_ids(b.ids, b.place, b.rows)]
    whole = Chunk(
        first.series,
        [at for b in blocks for at in (b.times_ns if b.times_ns is not None else [b.begun_ns] * b.rows)],
        [block.duration_s for block in spread],
        ids,
        [block.place[0] for block in spread],
        [block.place[1] for block in spread],
        _table([block.features for block in blocks]),
        _table([block.slices for block in blocks]),
        _block_scores([block.scores for block in blocks]),
        _column([block.classes for block in blocks]),
        _column([block.values for block in blocks]),
        [block.error for block in spread],
        {name: Vectors.concat([block.embeddings[name] for block in blocks]) for name in first.embeddings},
        first.batch_id,
    )
    most = most_rows(first.vector_bytes, MAX_ROWS)
    for start in range(0, len(whole), most):
        yield whole.part(start, min(start + most, len(whole)))


def _table(tables: Sequence[Table | None]) -> dict[str, Any]:
    present = [table for table in tables if table is not None]
    return Table.concat(present).as_dict() if present else {}


def _block_scores(scores: list[Any]) -> Any:
    if isinstance(scores[0], dict):
        return {text_of(name): _column([one[name] for one in scores]) for name in scores[0]}
    return _column(scores)


def _column(parts: list[Any]) -> Any:
    """The parts of one column, joined; None where there is none."""
    if parts[0] is None or len(parts) == 1:
        return parts[0]
    return [value for part in parts for value in plain(part)]


def _of_labels(model: str, batches: list[Labels]) -> Iterator[LabelChunk]:
    ids: list[Any] = [one for batch in batches for one in texts_of(batch.ids)]
    labels = [one for batch in batches for one in batch.labels]
    times = [one for batch in batches for one in batch.times_ns]
    for start in range(0, len(ids), MAX_ROWS):
        stop = start + MAX_ROWS
        yield LabelChunk(model, ids[start:stop], labels[start:stop], times[start:stop])


def _cut(values: Any, start: int, stop: int) -> Any:
    return None if values is None else values[start:stop]
