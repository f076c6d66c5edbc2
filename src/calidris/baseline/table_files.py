"""Tables in files, a block of rows at a time: memory does not grow with the file.

A Parquet file says its rows and types. A CSV file is read once for them: a column has the first type in Arrow's order that fits
every row of the file, as if it had been read in one piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from calidris.baseline.refusals import reading
from calidris.errors import ConfigError, printable

BLOCK_ROWS = 65_536
"""Rows of a Parquet file that are read at once: 13 MB of 25 columns of numbers."""

BLOCK_BYTES = 4 << 20
"""Of a CSV file that are read at once."""

BUFFER_BYTES = 256 << 10
"""Of each column of a Parquet file that are read at once."""

PARQUET, CSV = "Parquet", "CSV"
_MAGIC = b"PAR1"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Tell = Callable[[str, int], None]
"""Is told what is being done, and how many rows of it are done."""


class TableFile(Protocol):
    """A file with columns of equal length.

    Attributes:
        path: where it is.
        schema: names and types of its columns; no name is there twice.
        rows: how many it has.
    """

    path: Path
    schema: pa.Schema
    rows: int

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Its rows in their order, some thousand at a time, with these columns.

        Raises:
            ConfigError: a part of it cannot be read.
        """
        ...


def tell_nobody(_what: str, _rows: int) -> None:
    """For who shows nobody how far the work is."""


def open_table(path: Path, tell: Tell = tell_nobody, stated: Collection[str] = ()) -> TableFile:
    """A Parquet file by its first bytes, or a CSV file by its name.

    Cost: of CSV one pass over the file, and another one where columns hold whole numbers.

    Args:
        path: where it is.
        tell: is told how far the work is.
        stated: columns whose type somebody states: of CSV they are read as the texts that stand there.

    Raises:
        ConfigError: it is not there, is neither of both, cannot be read, has two columns of one name, or lacks a stated one.
    """
    table = _open(path, tell, stated)
    for name in stated:
        if name not in table.schema.names:
            raise ConfigError(f"{path}: there is no column {name!r}, of which `types` states one; mend `types`")
    return table


def _open(path: Path, tell: Tell, stated: Collection[str]) -> TableFile:
    with reading(path, _kind_by_name(path)):
        if path.is_dir():
            raise ConfigError(f"{path}: is a directory; pass one .parquet or .csv file")
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    named_csv = path.suffix.lower() == ".csv"
    if named_csv and start != _MAGIC:
        return CsvTable(path, start, tell, stated)
    if start != _MAGIC and path.suffix.lower() != ".parquet":
        raise ConfigError(
            f"{path}: does not begin as Parquet does and is not called .csv; pass a .parquet or .csv file"
        )
    return ParquetTable(path)


def _kind_by_name(path: Path) -> str:
    return CSV if path.suffix.lower() == ".csv" else PARQUET


class ParquetTable:
    """A Parquet file; see ``TableFile``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path, PARQUET):
            # Otherwise Arrow reads row groups whole, and holds each of them until the file is closed.
            self._file = pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
            self.schema = self._file.schema_arrow
            self.rows = int(self._file.metadata.num_rows)
        _refuse_same_names(path, self.schema.names)

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """See ``TableFile``."""
        with reading(self.path, PARQUET):
            for batch in self._file.iter_batches(BLOCK_ROWS, columns=list(columns)):
                yield pa.Table.from_batches([batch])


_FAULT = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to [^:]+: (.*)", re.DOTALL)
_INVALID = re.compile(r"invalid value '(.*)'|expected (?:a|no) zone offset in '([^']*)'", re.DOTALL)
_PARSING = pyarrow.csv.ParseOptions(newlines_in_values=True)
_OTHER_SEPARATORS = re.compile(r"[;\t|]")
_RAGGED = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")

_CODE = r"^\s*[+-]?0[\dxX]"
"""A whole number with a zero in front, which nobody writes of a number, and one in hexadecimals, which Arrow alone takes for a number."""

_TRUE = [
    "True",
    "TRUE",
    "true",
]
_FALSE = [
    "False",
    "FALSE",
    "false",
]
"""Of truth values: those that `pandas.read_csv` takes for such. Arrow would take "1" and "0" among them too."""

_NULLS = [
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
]
"""Cells that are missing, of numbers and of texts: those that `pandas.read_csv` reads so, because live rows come from there too."""

_LADDER: tuple[pa.DataType, ...] = (
    pa.null(),
    pa.int64(),
    pa.bool_(),
    pa.date32(),
    pa.time32("s"),
    pa.timestamp("s"),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("ns", "UTC"),
    pa.float64(),
    pa.string(),
)
"""Types in the order in which Arrow tries them: a column has the first one that fits all of its cells."""


class CsvTable:
    """A CSV file; see ``TableFile``."""

    def __init__(
        self,
        path: Path,
        start: bytes,
        tell: Tell,
        stated: Collection[str] = (),
    ) -> None:
        self.path = path
        if start.startswith(_UTF_16):
            raise ConfigError(f"{path}: is UTF-16; save it as UTF-8")
        self._types: dict[str, pa.DataType] = {}
        self.schema = self._read_header()
        _refuse_same_names(path, self.schema.names)
        self._types = _first_types(self.schema, stated)
        self.rows = self._settle_types(tell)
        self._types |= dict.fromkeys(self._find_codes(), pa.string())
        self.schema = pa.schema(self._types)

    def blocks(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """See ``TableFile``."""
        with reading(self.path, CSV), self._open(list(columns)) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def _read_header(self) -> pa.Schema:
        """Names and types as the first rows have them."""
        try:
            with reading(self.path, CSV, passed=pa.ArrowInvalid), self._open(None) as reader:
                schema = reader.schema
            names = schema.names
        except UnicodeDecodeError:
            raise ConfigError(f"{self.path}: its header is no UTF-8; save the file as UTF-8") from None
        except pa.ArrowInvalid as error:
            raise self._broken(str(error)) from error
        if len(names) == 1 and _OTHER_SEPARATORS.search(names[0]):
            raise ConfigError(f"{self.path}: its columns ({names[0]}) are not separated by commas; save it with commas")
        return schema

    def _find_codes(self) -> set[str]:
        """Columns of whole numbers some of which begin with a zero: codes, of which the zero is a part."""
        types = self._types
        whole = [name for name in types if types[name] == pa.int64()]
        found: set[str] = set()
        if not whole:
            return found
        texts = dict.fromkeys(whole, pa.string())
        with reading(self.path, CSV), self._open(whole, types | texts) as reader:
            for batch in reader:
                codes = (name for name in whole if _holds_codes(batch[name]))
                found.update(codes)
        return found

    def _open(
        self,
        columns: list[str] | None,
        types: Mapping[str, pa.DataType] | None = None,
    ) -> pyarrow.csv.CSVStreamingReader:
        # Without threads errors name their row; streams are read by one anyway.
        reading_options = pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=BLOCK_BYTES,
        )
        converting = pyarrow.csv.ConvertOptions(
            column_types=self._types if types is None else types,
            include_columns=columns,
            strings_can_be_null=True,
            null_values=_NULLS,
            true_values=_TRUE,
            false_values=_FALSE,
        )
        return pyarrow.csv.open_csv(
            self.path,
            read_options=reading_options,
            parse_options=_PARSING,
            convert_options=converting,
        )

    def _settle_types(self, tell: Tell) -> int:
        """Give each column the first type that fits all of its rows, and count them."""
        while True:
            try:
                return self._count_rows(tell)
            except pa.ArrowInvalid as error:
                self._loosen(str(error))

    def _count_rows(self, tell: Tell) -> int:
        rows = 0
        with self._open(None) as reader:
            for batch in reader:
                rows += batch.num_rows
                tell("looking through", rows)
        return rows

    def _loosen(self, said: str) -> None:
        """Let one column have a wider type, for the cell that did not fit.

        Raises:
            ConfigError: no type would mend it.
        """
        fault = _FAULT.match(said)
        if fault is None:
            raise self._broken(said)
        name = self.schema.names[int(fault[1])]
        kind = self._types[name]
        if kind == pa.string():
            row = f", row {int(fault[2]) - 1}" if fault[2] else ""
            raise ConfigError(f"{self.path}: column {name!r}{row}: its bytes are no UTF-8; save the file as UTF-8")
        invalid = _INVALID.match(fault[3])
        # What is not told is tried with the next type, and fails there if it does not fit.
        cell = None if invalid is None else invalid[1] or invalid[2]
        self._types[name] = _next_type(kind, cell)

    def _broken(self, said: str) -> ConfigError:
        ragged = _RAGGED.match(said)
        if ragged is None:
            plain = printable(" ".join(said.split()), 300)
            return ConfigError(f"{self.path}: cannot be read as CSV: {plain}; pass a .parquet or .csv file")
        # The header is row 1 there.
        row = int(ragged[1]) - 1
        wanted = ragged[2]
        found = ragged[3]
        cure = "put quotation marks around a value with a comma in it"
        if wanted == "1":
            cure = "save the file with commas between its columns"
        return ConfigError(f"{self.path}: row {row} has {found} cells and the header {wanted}: mend the row, or {cure}")


def _first_types(
    schema: pa.Schema,
    stated: Collection[str],
) -> dict[str, pa.DataType]:
    """Types as the first rows have them, and text where somebody states what it is."""
    types = {}
    for column in schema:
        kind = column.type
        # Bytes that are no UTF-8 make Arrow take a column for bytes.
        if column.name in stated or pa.types.is_binary(kind):
            kind = pa.string()
        types[column.name] = kind
    return types


def _next_type(kind: pa.DataType, text: str | None) -> pa.DataType:
    """The first type after one that takes a text too."""
    later = _LADDER[_LADDER.index(kind) + 1 :]
    for wider in later:
        if text is None or _fits(text, wider):
            return wider
    return pa.string()


def _fits(text: str, kind: pa.DataType) -> bool:
    quoted = text.replace('"', '""')
    row = f'"{quoted}"\n'
    naming = pyarrow.csv.ReadOptions(column_names=["cell"])
    converting = pyarrow.csv.ConvertOptions(
        column_types={"cell": kind},
        true_values=_TRUE,
        false_values=_FALSE,
    )
    try:
        pyarrow.csv.read_csv(
            pa.py_buffer(row.encode()),
            read_options=naming,
            parse_options=_PARSING,
            convert_options=converting,
        )
    except pa.ArrowInvalid:
        return False
    return True


def _refuse_same_names(path: Path, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            numbered = enumerate(names, start=1)
            places = [str(at) for at, other in numbered if other == name]
            listed = " and ".join(places)
            raise ConfigError(
                f"{path}: column {name!r} is there more than once, as columns {listed}: rename one of them"
            )


def _holds_codes(cells: pa.Array) -> bool:
    found = pc.match_substring_regex(cells, _CODE)
    return bool(pc.any(found).as_py())
