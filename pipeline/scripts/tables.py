"""Reads the user's table: files of CSV or of Parquet, as one table, some thousand rows at a time.

CSV can be gzipped, and its cells separated by commas, semicolons, tabs or bars; a first line
`sep=;` overrides the detection. The order of columns can differ between files. Arrow does the
reading; this module explains its errors to users (a row of another width, another encoding, a
truncated gzip file).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from jobs import JobError, listing
from pyarrow import csv as arrow_csv
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

BLOCK_BYTES: Final = 4 << 20
"""Bytes of CSV that are read at a time; wide tables get blocks of twice that."""

_BYTES_OF_A_THOUSAND_CELLS: Final = 5_000

_BATCH_CELLS: Final = 700_000
_DELIMITERS: Final = (",", ";", "\t", "|")
_SNIFFED: Final = 1 << 18
_LARGEST_HEADER: Final = 1 << 24
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_OTHER_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive or an Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\xff\xfe": "UTF-16 and not UTF-8: export it as UTF-8",
    b"\xfe\xff": "UTF-16 and not UTF-8: export it as UTF-8",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"(\xb5/\xfd": "a zstd file",
}
_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"


class NotNumbersError(Exception):
    """A column read as plain numbers has a cell that is not one; `column` is its name."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


@dataclass(frozen=True)
class File:
    """One file of the table; the header of CSV ends at byte `header_bytes` of the text."""

    path: Path
    name: str
    columns: tuple[str, ...]
    parquet: bool = False
    gzip: bool = False
    delimiter: str = ","
    header_bytes: int = 0
    quotes: bool = True


@dataclass(frozen=True)
class Table:
    """The files of one table; `columns` in the order of the first one."""

    files: tuple[File, ...]
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", self.files[0].columns)

    @property
    def semicolons(self) -> bool:
        """Whether semicolons part the cells, as where a comma is the decimal mark."""
        return any(file.delimiter == ";" for file in self.files)

    @property
    def typed(self) -> bool:
        """Whether the cells have types of their own: Parquet."""
        return self.files[0].parquet

    def first_rows(self) -> pa.RecordBatch | None:
        """Some rows of the first file of CSV, as texts; None where that is not easily told."""
        file = self.files[0]
        with _rows(file) as stream:
            block = stream.read(_SNIFFED)
        whole = block[: block.rfind(b"\n") + 1]
        try:
            types = dict.fromkeys(file.columns, pa.string())
            return next(iter(_reader(file, pa.BufferReader(whole), types, file.columns)), None)
        except pa.ArrowInvalid:
            return None

    def batches(
        self,
        wanted: Sequence[str],
        floats: frozenset[str] = frozenset(),
        varied: frozenset[str] = frozenset(),
    ) -> Iterator[tuple[File, pa.RecordBatch]]:
        """The rows with the columns `wanted`; of CSV, texts, and float64 for those in `floats`.

        Texts are dictionaries of each batch's values, but plain for those in `varied`.

        Raises:
            NotNumbersError: a column of `floats` has a cell that is not a plain number.
            JobError: a file cannot be read as the table that its header announces.
        """
        for file in self.files:
            if file.parquet:
                yield from _parquet_batches(file, wanted)
            else:
                yield from _csv_batches(file, wanted, self._types(floats, varied))

    def _types(self, floats: frozenset[str], varied: frozenset[str]) -> dict[str, pa.DataType]:
        types = dict.fromkeys(self.columns, _TEXT)
        return types | dict.fromkeys(varied, pa.string()) | dict.fromkeys(floats, pa.float64())


def find(folder: Path, uri: str = "") -> Table:
    """The table in `folder` that `uri` names.

    Raises:
        JobError: there is no such table, or a file's header does not fit the first one's.
    """
    return together(files_in(folder, uri))


def files_in(folder: Path, uri: str) -> list[File]:
    """The files in `folder` that `uri` names: one file, or a folder with all that is in it.

    SageMaker fetches every object whose key begins with the URI ("API_ProcessingS3Input"):
    `raw/data.csv` also fetches `raw/data.csv.bak`, which is ignored, as are hidden files and those
    that begin with `_`.

    Raises:
        JobError: there is no such file, or one is neither CSV nor Parquet.
    """
    paths = named(folder, uri)
    if not paths:
        raise JobError(f"there is no CSV or Parquet file in {uri or folder}: nothing to read")
    return [_examined(path, _name(path, folder)) for path in paths]


def together(files: Sequence[File]) -> Table:
    """The table of `files`.

    Raises:
        JobError: a file is not like the first one.
    """
    first = files[0]
    for file in files[1:]:
        if file.parquet != first.parquet:
            raise JobError(
                f"{first.name} and {file.name}: one is Parquet, the other CSV; use one format"
            )
        if sorted(file.columns) != sorted(first.columns):
            raise JobError(
                f"{file.name} has different columns from {first.name}: {listing(file.columns)} and "
                f"not {listing(first.columns)}"
            )
    return Table(tuple(files))


def named(folder: Path, uri: str) -> list[Path]:
    """The files in `folder` that `uri` names.

    Raises:
        JobError: it names nothing that is there.
    """
    last = uri.rsplit("/", 1)[-1]
    start = folder / last if last else folder
    if start.is_file():
        return [start]
    if not start.is_dir():
        found = listing(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ""
        raise JobError(
            f"InputData: there is no object or folder {uri}"
            + (f"; keys that begin with it: {found}" if found else "")
        )
    return [path for path in sorted(start.rglob("*")) if _is_data(path, start)]


def _is_data(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith((".", "_")) for part in parts)


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


# --- Headers ---------------------------------------------------------------------------------


def _examined(path: Path, name: str) -> File:
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_PARQUET):
        return File(path, name, _parquet_columns(path, name), parquet=True)
    for magic, kind in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise JobError(
                f"{name} is {kind}; supported are Parquet and CSV in UTF-8, which may be gzipped"
            )
    gzip = start.startswith(_GZIP)
    quotes = _check_bytes(path, name, gzip=gzip)
    with _bytes(path, gzip=gzip) as stream:
        text = stream.read(_SNIFFED).decode("utf-8", "ignore")
    columns, delimiter, size = _header(name, text)
    return File(path, name, columns, False, gzip, delimiter, size, quotes)


def _bytes(path: Path, *, gzip: bool) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if gzip else None)


def _check_bytes(path: Path, name: str, *, gzip: bool) -> bool:
    """Whether there is a quote in the file, which must be UTF-8 without NUL.

    Raises:
        JobError: it is not, or is not a complete gzip file.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes, lines = False, 1
    try:
        with _bytes(path, gzip=gzip) as stream:
            while block := stream.read(BLOCK_BYTES):
                quotes = quotes or b'"' in block
                if b"\0" in block:
                    line = lines + block[: block.index(b"\0")].count(b"\n")
                    raise JobError(
                        f"{name}, line {line}: contains a NUL character, so it is not text"
                    )
                try:
                    if not block.isascii() or decoder.getstate()[0]:
                        decoder.decode(block)
                except UnicodeDecodeError as error:
                    raise _not_utf8(name, lines, block, error) from error
                lines += block.count(b"\n")
    except (OSError, EOFError) as error:
        raise JobError(f"{name} is not a complete gzip file: {error}") from error
    return quotes


def _not_utf8(name: str, lines: int, block: bytes, error: UnicodeDecodeError) -> JobError:
    line = lines + block[: error.start].count(b"\n")
    return JobError(
        f"{name}, line {line}: byte 0x{error.object[error.start]:02x} is not UTF-8; the file is "
        "probably Latin-1 (Windows-1252): convert it, with `iconv -f WINDOWS-1252 -t UTF-8`"
    )


def _header(name: str, text: str) -> tuple[tuple[str, ...], str, int]:
    """The columns, the delimiter, and the bytes up to the first row."""
    skipped = len(text) - len(text.lstrip("\ufeff"))
    size = len(text[:skipped].encode())
    text = text[skipped:]
    said = re.match(r"sep=(.)\r?\n", text)
    if said:
        size += len(said[0].encode())
        text = text[len(said[0]) :]
    delimiter = said[1] if said else _delimiter(text)
    row, lines = _first_record(text, delimiter)
    columns = tuple(cell.strip() for cell in row)
    if len(columns) > 1 and not columns[0]:
        columns = ("Unnamed: 0", *columns[1:])  # pandas writes its index so, and calls it that
    _check_names(name, columns)
    return columns, delimiter, size + len(lines.encode())


def _first_record(text: str, delimiter: str) -> tuple[list[str], str]:
    """The first record that is not blank, and the text up to its end."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    csv.field_size_limit(_LARGEST_HEADER)
    row = next((row for row in csv.reader(lines(), delimiter=delimiter) if row), [])
    return row, "".join(taken)


def _delimiter(text: str) -> str:
    """The delimiter that gives the first rows the same number of cells, the most of them."""
    best, most = ",", (0, 0)
    for delimiter in _DELIMITERS:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            widths = [len(row) for row, _ in zip(rows, range(50), strict=False) if row]
        except csv.Error:
            continue
        complete = widths[:-1] if len(widths) > 2 else widths  # noqa: PLR2004 - the last may be cut
        width = widths[0] if widths else 0
        score = (int(width > 1 and set(complete) == {width}), width)
        if score > most:
            best, most = delimiter, score
    return best


def _check_names(name: str, columns: Sequence[str]) -> None:
    if not any(columns):
        raise JobError(f"{name} is empty: it must begin with a header line of column names")
    blank = [str(at) for at, column in enumerate(columns, start=1) if not column]
    if blank:
        raise JobError(f"{name}: the name of column {', '.join(blank)} is blank")
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise JobError(f"{name}: more than one column is named {listing(twice)}")


def _parquet_columns(path: Path, name: str) -> tuple[str, ...]:
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise JobError(f"{name} is not a readable Parquet file: {_one_line(error)}") from error
    nested = [item.name for item in schema if pa.types.is_nested(item.type)]
    if nested:
        raise JobError(
            f"{name}: the cells of {listing(nested)} are lists or structures, not values"
        )
    columns = tuple(column.strip() for column in schema.names)
    _check_names(name, columns)
    return columns


# --- Rows ------------------------------------------------------------------------------------


def _parquet_batches(file: File, wanted: Sequence[str]) -> Iterator[tuple[File, pa.RecordBatch]]:
    source = parquet.ParquetFile(file.path, memory_map=True)
    own = dict(zip(file.columns, source.schema_arrow.names, strict=True))
    rows = max(1, _BATCH_CELLS // len(own))
    try:
        for batch in source.iter_batches(rows, columns=[own[name] for name in wanted]):
            columns = [batch.column(own[name]) for name in wanted]
            yield file, pa.RecordBatch.from_arrays(columns, names=list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise JobError(f"{file.name} is not a readable Parquet file: {_one_line(error)}") from error


def _csv_batches(
    file: File, wanted: Sequence[str], types: dict[str, pa.DataType]
) -> Iterator[tuple[File, pa.RecordBatch]]:
    try:
        with _rows(file) as stream:
            for batch in _reader(file, stream, types, wanted):
                if batch.num_rows:
                    yield file, batch
    except pa.ArrowInvalid as error:
        raise _explained(file, error) from error
    except (OSError, EOFError) as error:
        raise JobError(f"{file.name} is not a complete gzip file: {_one_line(error)}") from error


def _rows(file: File) -> pa.NativeFile:
    stream = _bytes(file.path, gzip=file.gzip)
    stream.read(file.header_bytes)
    return stream


def _reader(
    file: File, stream: pa.NativeFile, types: dict[str, pa.DataType], wanted: Sequence[str]
) -> Iterable[pa.RecordBatch]:
    wide = min(2 * BLOCK_BYTES, len(file.columns) * _BYTES_OF_A_THOUSAND_CELLS)
    block = max(BLOCK_BYTES, 4 * file.header_bytes, wide)
    try:
        reader: Iterable[pa.RecordBatch] = arrow_csv.open_csv(
            stream,
            arrow_csv.ReadOptions(column_names=list(file.columns), block_size=block),
            arrow_csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=file.quotes),
            arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=list(wanted),
                null_values=[""],
                check_utf8=False,  # `_check_bytes` has
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return ()
        raise
    return reader


def _explained(file: File, error: pa.ArrowInvalid) -> Exception:
    """Arrow's error in words for users, or the column with a cell that is not a number."""
    text = str(error)
    number = re.search(r"In CSV column #(\d+):(?: Row #\d+:)? CSV conversion error to double", text)
    if number:
        return NotNumbersError(file.columns[int(number[1])])
    if "Expected" in text and "columns" in text:
        return _ragged(file)
    if "straddling object" in text or "too large" in text:
        return JobError(
            f"{file.name}: a row is longer than {BLOCK_BYTES >> 20} MB; is a quote unclosed?"
        )
    return JobError(f"{file.name} cannot be read as CSV: {_one_line(error)}")


def _ragged(file: File) -> JobError:
    """The error that names the first row of another width; the file is read again to find it."""
    width = len(file.columns)
    with _bytes(file.path, gzip=file.gzip) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=file.delimiter, strict=True)
        try:
            for row in reader:
                if len(row) not in (width, 0) and not row[0].startswith("sep="):
                    return JobError(
                        f"{file.name}, line {reader.line_num}: {len(row)} cells, but the header "
                        f"has {width} columns"
                    )
        except csv.Error as error:
            return JobError(f"{file.name}, line {reader.line_num}: {error}: is a quote unclosed?")
    return JobError(f"{file.name}: not every row has the header's {width} columns")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
