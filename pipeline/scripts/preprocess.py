"""Splits a table into training and test data, and describes it.

Reads every CSV file of the input folder (UTF-8; gzip or not; comma, semicolon, tab or bar; quoted
or not; columns in any order) as one table, and writes `train.csv`, `test.csv` and `profile.json`.

**The split** is decided by a hash of each row's content. Equal rows have equal hashes, so they
are never on both sides; and the same table gives the same split, whatever its order of rows or
its files. It is stratified: each class is cut at the hash below which lies the wanted share of its
rows, so that even a class of two rows is on both sides.

**Memory** does not grow with the rows. The table is read twice: once to describe it and to find
the cuts (`survey`), once to write it out (`split`). Eight bytes a row, the hashes, wait on disk.

Runs in the scikit-learn image, and needs the standard library only: `csv` is faster here than
`pandas`, which builds an object for each cell as well.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import math
import sys
import tempfile
import zlib
from array import array
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import compress, islice, pairwise
from operator import mul
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import jobs
from jobs import MISSING, JobError, listing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

Json = dict[str, Any]
Row = list[str]

CHUNK_CELLS: Final = 100_000
"""Cells that are in memory at a time: rows are many, or columns are."""

MOST_CLASSES: Final = 1_000
"""A label with more values than this is a quantity, not a class."""

MOST_VALUES: Final = 1_000
"""Distinct values that are counted for one column of the profile, and for all of them together
two hundred times as many."""

_TOP_VALUES: Final = 10
_EXACT_HASHES: Final = 1_024
_BIN_SHIFT: Final = 64 - 12  # 4096 bins: each holds one row or less when they are begun
_DELIMITERS: Final = (",", ";", "\t", "|")
_MAGIC: Final = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip archive or an Excel file"}
_GZIP: Final = b"\x1f\x8b"
_LARGEST_FIELD: Final = 1 << 24
_LARGEST_NUMBER: Final = 1e140  # the square of a larger one is not finite, times its rows


@dataclass(frozen=True)
class Settings:
    """What the job is asked to do; the folders of the results need not exist yet."""

    data: Path
    train: Path
    test: Path
    profile: Path
    label: str
    positive_class: str
    test_fraction: float
    seed: int


def settings(argv: Sequence[str]) -> Settings:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=processing / "input/data")
    parser.add_argument("--train", type=Path, default=processing / "output/train")
    parser.add_argument("--test", type=Path, default=processing / "output/test")
    parser.add_argument("--profile", type=Path, default=processing / "output/profile")
    parser.add_argument("--label", required=True)
    parser.add_argument("--positive-class", default=jobs.AUTO)
    parser.add_argument("--test-fraction", type=_fraction, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    return Settings(**vars(parser.parse_pairs(argv)))


def _fraction(text: str) -> float:
    value = jobs.number(text)
    if value is None or not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1, such as 0.2")
    return value


# --- Reading ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """The files of one table, within `folder`; `columns` in the order of the first one."""

    folder: Path
    files: tuple[Path, ...]
    columns: tuple[str, ...]

    @classmethod
    def find(cls, folder: Path) -> Table:
        """The table in `folder`, or in its folders. Hidden files and those with `_` are no data.

        Raises:
            JobError: there is none, or a file's header does not fit.
        """
        files = tuple(path for path in sorted(folder.rglob("*")) if _is_data(path, folder))
        if not files:
            raise JobError(f"there is no CSV file in {folder}: the job's input data is empty")
        columns = _header(files[0])
        for path in files[1:]:
            if sorted(_header(path)) != sorted(columns):
                raise JobError(
                    f"{path.name} has other columns than {files[0].name}: "
                    f"{listing(_header(path))} and not {listing(columns)}"
                )
        return cls(folder, files, tuple(columns))

    def name(self, path: Path) -> str:
        """The name of one of the files, as people know it."""
        return path.relative_to(self.folder).as_posix()

    def chunks(self) -> Iterator[tuple[Path, list[Row]]]:
        """The rows, some thousands at a time, each with the cells in the order of `columns`.

        Raises:
            JobError: a file cannot be read as the table that its header announces.
        """
        for path in self.files:
            with _opened(path) as reader:
                header = _names(next(reader))
                order = [header.index(name) for name in self.columns]
                in_order = order == list(range(len(order)))
                size = max(1, CHUNK_CELLS // len(order))
                while chunk := list(islice(reader, size)):
                    rows = _checked(path, chunk, len(header))
                    if rows:
                        yield path, rows if in_order else _ordered(rows, order)


def _ordered(rows: list[Row], order: Sequence[int]) -> list[Row]:
    return [[row[at] for at in order] for row in rows]


def _is_data(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith((".", "_")) for part in parts)


def _checked(path: Path, chunk: list[Row], width: int) -> list[Row]:
    """`chunk` without blank lines, if all other rows have `width` cells."""
    widths = set(map(len, chunk))
    if widths == {width}:
        return chunk
    if widths <= {width, 0}:
        return [row for row in chunk if row]
    raise _ragged(path, width)


def _ragged(path: Path, width: int) -> JobError:
    """The error that names the first row of another width; the file is read again to find it."""
    with _opened(path) as reader:
        for row in reader:
            if len(row) not in (width, 0):
                return JobError(
                    f"{path.name}, line {reader.line_num}: {len(row)} cells, where the header "
                    f"has {width} columns"
                )
    return JobError(f"{path.name} changed while it was read")


def _header(path: Path) -> list[str]:
    with _opened(path) as reader:
        names = _names(next(reader, []))
    if not names:
        raise JobError(f"{path.name} is empty: a header line with the columns' names is needed")
    blank = [str(at) for at, name in enumerate(names, start=1) if not name]
    if blank:
        raise JobError(f"{path.name}: the name of column {', '.join(blank)} is blank")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise JobError(f"{path.name}: more than one column is named {listing(twice)}")
    return names


def _names(row: Row) -> list[str]:
    return [name.strip() for name in row]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A `csv.reader` of the file; what goes wrong while it is read becomes a `JobError`."""
    reader = None
    try:
        with _text(path) as text:
            reader = csv.reader(text, delimiter=_delimiter(path), strict=True)
            yield reader
    except UnicodeDecodeError as error:
        found = error.object[error.start]
        near = f"after line {reader.line_num}" if reader else "in the header"
        raise JobError(f"{path.name} is not UTF-8: byte 0x{found:02x} {near}") from error
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise JobError(f"{path.name}, line {line}: {error}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise JobError(f"{path.name} is no complete gzip file: {error}") from error


def _text(path: Path) -> IO[str]:
    with path.open("rb") as file:
        start = file.read(4)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise JobError(f"{path.name} is {kind}; CSV, gzip or not, is what can be read")
    if start.startswith(_GZIP):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _delimiter(path: Path) -> str:
    """The delimiter that occurs most in the header, outside quotes; a comma if none does."""
    csv.field_size_limit(_LARGEST_FIELD)
    with _text(path) as text:
        header = text.readline(_LARGEST_FIELD)
    bare = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


# --- Describing ------------------------------------------------------------------------------


@dataclass
class Moments:
    """Count, mean, spread and range of numbers, of which `add` takes the next ones."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    integers: bool = True

    def add(self, values: Sequence[float], times: Sequence[int]) -> None:
        """Take finite values and how often each occurs (Chan, Golub and LeVeque, 1979)."""
        if not values:
            return
        count = sum(times)
        mean = math.fsum(map(mul, values, times)) / count
        shifts = [value - mean for value in values]
        shift, total = mean - self.mean, self.count + count
        self.squares += math.fsum(map(mul, map(mul, shifts, shifts), times))
        self.squares += shift**2 * self.count * count / total
        self.mean += shift * count / total
        self.count = total
        self.least = min(self.least, *values)
        self.most = max(self.most, *values)
        self.integers = self.integers and all(map(float.is_integer, values))

    def summary(self) -> Json:
        """Range, mean and (population) standard deviation."""
        deviation = math.sqrt(self.squares / self.count)
        return {"min": self.least, "max": self.most, "mean": self.mean, "std": deviation}


@dataclass
class Column:
    """What is known of one column; `counts` ends beyond `most_values` distinct values."""

    name: str
    most_values: int = MOST_VALUES
    rows: int = 0
    missing: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)
    moments: Moments | None = field(default_factory=Moments)

    def add(self, cells: Sequence[str]) -> None:
        """Take the next cells; each distinct value is looked at once."""
        counts = Counter(cells)
        self.rows += len(cells)
        self.missing += sum(counts.pop(text) for text in MISSING & counts.keys())
        if self.moments:
            self._add_numbers(counts)
        if self.counts is not None:
            self.counts.update(counts)
            if len(self.counts) > self.most_values:
                self.counts = None

    def _add_numbers(self, counts: Mapping[str, int]) -> None:
        """Add to the moments, or give them up: one value that is no number makes a text column."""
        values = _numbers(counts)
        if values is None or self.moments is None:
            self.moments = None
            return
        times = list(counts.values())
        kept = [abs(value) < _LARGEST_NUMBER for value in values]  # NaN is not
        if not all(kept):
            values, times = list(compress(values, kept)), list(compress(times, kept))
        self.moments.add(values, times)

    @property
    def constant(self) -> bool:
        """Whether all cells are alike; a missing value is unlike all others."""
        return self.counts is not None and len(self.counts) + (self.missing > 0) == 1

    @property
    def type(self) -> str:
        """`integer`, `number`, `text`, or `empty` if every value is missing."""
        if self.rows == self.missing:
            return "empty"
        if self.moments is None or not self.moments.count:
            return "text"
        return "integer" if self.moments.integers else "number"

    def summary(self) -> Json:
        """The column's part of the profile."""
        counts = self.counts
        found: Json = {
            "name": self.name,
            "type": self.type,
            "missing": self.missing,
            "missing_share": self.missing / self.rows,
            "distinct": None if counts is None else len(counts),
            "constant": self.constant,
        }
        if self.type in ("integer", "number") and self.moments:
            found |= self.moments.summary()
        if counts is not None:
            top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP_VALUES]
            found["top"] = [{"value": value, "rows": rows} for value, rows in top]
        return found


def _numbers(texts: Collection[str]) -> list[float] | None:
    """`jobs.number` of each of `texts`, or None if one is no number; quick, for whole columns."""
    if "_" in "".join(texts):
        return None
    try:
        return list(map(float, texts))
    except ValueError:
        return None


@dataclass
class Hashes:
    """The hashes of one class's rows: each of them while they are few, then how many a bin."""

    rows: int = 0
    exact: Counter[int] | None = field(default_factory=Counter)
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, hashes: Sequence[int]) -> None:
        """Take the next hashes, 64 bits each."""
        self.rows += len(hashes)
        if self.exact is not None:
            self.exact.update(hashes)
            if len(self.exact) > _EXACT_HASHES:
                for value, rows in self.exact.items():
                    self.bins[value >> _BIN_SHIFT] += rows
                self.exact = None
        else:
            self.bins.update([value >> _BIN_SHIFT for value in hashes])

    def cut(self, share: float) -> int | None:
        """The hash below which lies the part of the rows nearest to `share`.

        There are rows on both sides of it; None if that cannot be, all rows being equal.
        """
        shift = _BIN_SHIFT if self.exact is None else 0
        steps = sorted((self.bins if self.exact is None else self.exact).items())
        best, below = None, 0
        for (_, rows), (start, _) in pairwise(steps):
            below += rows
            distance = abs(below - share * self.rows)
            if best is None or distance < best[0]:
                best = distance, start << shift
        return best and best[1]


@dataclass
class Survey:
    """What the first reading finds: the columns, the classes' hashes, the files' rows."""

    columns: list[Column]
    classes: defaultdict[str, Hashes]
    files: Counter[str]
    unlabelled: Counter[str]

    @property
    def rows(self) -> int:
        """Rows of the whole table."""
        return self.files.total()


def survey(table: Table, label: str, seed: int, hashes: IO[bytes]) -> Survey:
    """Read `table` once; the hashes of its rows are written to `hashes`, in order.

    Raises:
        JobError: the label has too many values to be classes.
    """
    at = table.columns.index(label)
    most = min(MOST_VALUES, 200 * MOST_VALUES // len(table.columns))
    found = Survey(
        columns=[Column(name, most) for name in table.columns],
        classes=defaultdict(Hashes),
        files=Counter({table.name(path): 0 for path in table.files}),
        unlabelled=Counter(),
    )
    for path, rows in table.chunks():
        found.files[table.name(path)] += len(rows)
        cells = list(zip(*rows, strict=True))
        for column, part in zip(found.columns, cells, strict=True):
            column.add(part)
        found.unlabelled[table.name(path)] += sum(map(MISSING.__contains__, cells[at]))
        values = row_hashes(rows, seed)
        values.tofile(hashes)
        _add_by_class(found.classes, cells[at], values)
        if len(found.classes) > MOST_CLASSES:
            raise JobError(
                f"label column {label!r} has more than {MOST_CLASSES} different values: it is a "
                "quantity or an identifier, not a class to predict"
            )
    return found


def row_hashes(rows: Iterable[Row], seed: int) -> array[int]:
    """64 bits for each row that depend on all its cells and on `seed`, on nothing else."""
    salt = seed.to_bytes(blake2b.SALT_SIZE, "little", signed=True)
    digests = [
        blake2b("\x1f".join(row).encode(), digest_size=8, salt=salt).digest() for row in rows
    ]
    return array("Q", b"".join(digests))


def _add_by_class(
    classes: defaultdict[str, Hashes], labels: Sequence[str], hashes: Iterable[int]
) -> None:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for label, value in zip(labels, hashes, strict=True):
        groups[label].append(value)
    for label, values in groups.items():
        classes[label].add(values)


# --- Checking --------------------------------------------------------------------------------


def check(found: Survey, label: str) -> None:
    """Refuse a table from which no classifier can be trained and tested.

    Raises:
        JobError: it has no rows, or its label or its columns tell nothing.
    """
    if not found.rows:
        raise JobError(f"no rows below the header in {listing(list(found.files))}")
    if found.unlabelled.total():
        first = next(name for name, rows in found.unlabelled.items() if rows)
        raise JobError(
            f"label column {label!r} has no value in {found.unlabelled.total()} of {found.rows} "
            f"rows, the first of them in {first}: remove these rows, or fill them in"
        )
    _check_classes(found.classes, label)
    if all(column.constant for column in found.columns if column.name != label):
        raise JobError(f"no column but the label {label!r} varies: nothing to learn from")


def _check_classes(classes: Mapping[str, Hashes], label: str) -> None:
    names = jobs.in_order(classes)
    if len(names) == 1:
        raise JobError(f"label column {label!r} has the value {names[0]!r} in all rows")
    single = [name for name in names if classes[name].rows == 1]
    if single:
        raise JobError(
            f"label column {label!r}: two rows of each class are needed, one to train and one to "
            f"test with, and there is only one of {listing(single)}"
        )
    alike = [name for name in names if classes[name].cut(0.5) is None]
    if alike:
        raise JobError(
            f"label column {label!r}: all rows of {listing(alike)} are duplicates of one row, "
            "which cannot be in both training and test data"
        )


# --- Splitting -------------------------------------------------------------------------------


def split(
    table: Table, label: str, cuts: Mapping[str, int], hashes: IO[bytes], train: Path, test: Path
) -> Json:
    """Write each row to `test` if its hash is below its class's cut, to `train` otherwise.

    Gives, for each side, the rows of each class.
    """
    at = table.columns.index(label)
    counts: dict[str, Counter[str]] = {"train": Counter(), "test": Counter()}
    with _written(train) as to_train, _written(test) as to_test:
        to_train.writerow(table.columns)
        to_test.writerow(table.columns)
        for _, rows in table.chunks():
            values = array("Q")
            values.fromfile(hashes, len(rows))
            labels = [row[at] for row in rows]
            tested = [value < cuts[name] for value, name in zip(values, labels, strict=True)]
            trained = [not chosen for chosen in tested]
            to_test.writerows(compress(rows, tested))
            to_train.writerows(compress(rows, trained))
            counts["test"].update(compress(labels, tested))
            counts["train"].update(compress(labels, trained))
    return counts


@contextmanager
def _written(path: Path) -> Iterator[Any]:
    """A writer of CSV with lines that end in CRLF: with LF, it would not quote a cell with CR."""
    with path.open("w", encoding="utf-8", newline="") as text:
        yield csv.writer(text)


def profile(found: Survey, wanted: Settings, counts: Mapping[str, Counter[str]]) -> Json:
    """The description of the table and of its split, ready for `json.dump`."""
    classes = [
        {
            "value": name,
            "rows": found.classes[name].rows,
            "share": found.classes[name].rows / found.rows,
            "train": counts["train"][name],
            "test": counts["test"][name],
        }
        for name in jobs.in_order(found.classes)
    ]
    positive = jobs.positive_class(found.classes, wanted.positive_class)
    return {
        "files": [{"name": name, "rows": rows} for name, rows in found.files.items()],
        "rows": found.rows,
        "label": {"column": wanted.label, "positive_class": positive, "classes": classes},
        "columns": [column.summary() for column in found.columns if column.name != wanted.label],
        "split": {
            "train": counts["train"].total(),
            "test": counts["test"].total(),
            "test_fraction": wanted.test_fraction,
            "seed": wanted.seed,
        },
    }


def preprocess(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument or the table is not usable.
    """
    wanted = settings(argv)
    table = Table.find(wanted.data)
    if wanted.label not in table.columns:
        raise JobError(
            f"label column {wanted.label!r} is not in the table, whose columns are "
            f"{listing(table.columns)}"
        )
    if len(table.columns) == 1:
        raise JobError(f"the table has no column but the label {wanted.label!r}")
    results = (
        wanted.train / "train.csv",
        wanted.test / "test.csv",
        wanted.profile / "profile.json",
    )
    with tempfile.TemporaryFile() as hashes, jobs.whole(*results) as (train, test, described):
        found = survey(table, wanted.label, wanted.seed, hashes)
        check(found, wanted.label)
        jobs.positive_class(found.classes, wanted.positive_class)
        cuts = {name: group.cut(wanted.test_fraction) or 0 for name, group in found.classes.items()}
        hashes.seek(0)
        counts = split(table, wanted.label, cuts, hashes, train, test)
        jobs.check_training_rows(counts["train"].total())
        text = json.dumps(profile(found, wanted, counts), indent=1, allow_nan=False)
        described.write_text(text, encoding="utf-8")
    print(f"{counts['train'].total()} rows to train with, {counts['test'].total()} to test with")


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(preprocess, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
