"""Determines the schema of the user's table, writes it, and splits the rows.

Reads the CSV or Parquet that `InputData` names and writes `schema.json` (the kind and format of
each column, which every later step reads instead of guessing), `train.parquet` and `test.parquet`
(typed by the schema), and `profile.json` (a description of the table and its split for people).

The table is read once in chunks and kept on disk as Arrow, then hashed, then written: memory does
not grow with the number of rows, except for eighteen bytes each while
they are split.

Runs in the AutoGluon training image. `preprocess_spark.py` does the same on many machines with the
same parts: `decide.py`, `cells.py`, `split.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cells
import describe
import hashing
import jobs
import leakage
import numpy as np
import pyarrow as pa
import split
import tables
from columns import KINDS, PROBLEMS, Column, Json, Schema
from decide import Evidence, Wish, decide
from describe import Statistics, Survey
from jobs import JobError, listing
from labels import Label
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
_NO_COLUMN: Final = "none"
_VALUES_OF_ALL: Final = 200_000
LEAKAGE_ROWS: Final = 100_000
_ROW_GROUP: Final = 250_000


@dataclass(frozen=True)
class PreprocessingOptions:
    """The job's settings; the output folders need not exist yet."""

    data: Path
    input_uri: str
    train: Path
    test: Path
    schema: Path
    profile: Path
    label: str
    positive_class: str
    problem: str
    metric: str
    test_fraction: float
    seed: int
    group_column: str
    time_column: str
    exclude_columns: tuple[str, ...]
    missing_marks: tuple[str, ...]
    column_kinds: dict[str, str]
    training_rows: int


def settings(argv: Sequence[str]) -> PreprocessingOptions:
    """Read the command line.

    Raises:
        JobError: an argument is missing, unknown or out of range.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=processing / "input/data")
    parser.add_argument("--input-uri", default="")
    for name in ("train", "test", "schema", "profile"):
        parser.add_argument(f"--{name}", type=Path, default=processing / "output" / name)
    parser.add_argument("--label", type=str.strip, required=True)
    parser.add_argument("--positive-class", default=jobs.AUTO)
    parser.add_argument("--problem", choices=(jobs.AUTO, *PROBLEMS), default=jobs.AUTO)
    parser.add_argument("--metric", choices=jobs.METRICS, default=jobs.AUTO)
    parser.add_argument("--test-fraction", type=_fraction, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--group-column", type=_one_name, default="")
    parser.add_argument("--time-column", type=_one_name, default="")
    parser.add_argument("--exclude-columns", type=_names, default=())
    parser.add_argument("--missing-marks", type=_names, default=())
    parser.add_argument("--column-kinds", type=_kinds, default={})
    parser.add_argument("--training-rows", type=_rows, default=1_000_000)
    return PreprocessingOptions(**vars(parser.parse_pairs(argv)))


def _fraction(text: str) -> float:
    value = jobs.number(text)
    if value is None or not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1, such as 0.2")
    return value


def _rows(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < jobs.LEAST_ROWS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of rows, {jobs.LEAST_ROWS} or more, such as 1000000"
        )
    return int(text)


def _one_name(text: str) -> str:
    """A column, or nothing for `none`; a column of that very name is written `["none"]`.

    The service takes no empty value for a run's parameter, so a word has to say that there is none.
    """
    if text.strip() == _NO_COLUMN:
        return ""
    if not text.lstrip().startswith("["):
        return text.strip()
    names = _names(text)
    if len(names) > 1:
        raise argparse.ArgumentTypeError(f"{text!r} names {len(names)} columns: give one of them")
    return "".join(names)


def _names(text: str) -> tuple[str, ...]:
    """Names with commas between, or as a JSON list."""
    if text.lstrip().startswith("["):
        with suppress(ValueError):
            found = json.loads(text)
            if isinstance(found, list) and all(isinstance(name, str) for name in found):
                return tuple(name.strip() for name in found)
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a JSON list of texts, such as ["a", "b"]'
        )
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _kinds(text: str) -> dict[str, str]:
    """Kinds of columns: `name=kind` with commas between, or as a JSON object."""
    try:
        if text.lstrip().startswith("{"):
            pairs = list(json.loads(text).items())
        else:
            pairs = [part.rpartition("=")[::2] for part in text.split(",") if part.strip()]
    except (ValueError, AttributeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object of texts") from None
    allowed = [kind for kind in KINDS if kind not in {"constant", "empty"}]
    for name, kind in pairs:
        if not name or kind not in allowed:
            raise argparse.ArgumentTypeError(
                f"{text!r}: {kind!r} is not one of {', '.join(allowed)}; use name=kind, separated "
                "by commas"
            )
    return {name.strip(): kind for name, kind in pairs}


# --- What the columns are ----------------------------------------------------------------------


def new_survey(columns: Sequence[str], wanted: PreprocessingOptions) -> Survey:
    """A survey that has seen nothing yet."""
    marks = tuple(mark.lower() for mark in wanted.missing_marks)
    most = max(50, min(1_000, _VALUES_OF_ALL // len(columns)))
    return Survey(
        {name: Evidence(name, marks, 1_000 if name == wanted.label else most) for name in columns}
    )


def check_columns(columns: Sequence[str], wanted: PreprocessingOptions) -> None:
    """Refuse settings that name columns that are not there, or the same one twice.

    Raises:
        JobError: for the first of them.
    """
    named = {
        "label column": [wanted.label],
        "group column": [wanted.group_column] if wanted.group_column else [],
        "time column": [wanted.time_column] if wanted.time_column else [],
        "excluded columns": wanted.exclude_columns,
        "column kinds": list(wanted.column_kinds),
    }
    for setting, names in named.items():
        absent = [name for name in names if name not in columns]
        if absent:
            raise JobError(
                f"{setting}: {listing(absent)} is not in the table, whose columns are "
                f"{listing(columns)}"
            )
    _check_parts(columns, wanted)


def _check_parts(columns: Sequence[str], wanted: PreprocessingOptions) -> None:
    if wanted.group_column and wanted.time_column:
        raise JobError(
            "group column and time column: set only one of them; each determines the split"
        )
    taken = [wanted.label, wanted.group_column, wanted.time_column, *wanted.exclude_columns]
    twice = [name for name, count in Counter(filter(None, taken)).items() if count > 1]
    if twice:
        raise JobError(
            f"column {twice[0]!r}: it can be only one of label, group, time and excluded"
        )
    if len(columns) == 1:
        raise JobError(f"the table has no column except the label {wanted.label!r}")


def decide_schema(
    found: Survey, table: tables.Table, wanted: PreprocessingOptions
) -> tuple[Schema, Label]:
    """What the table means; cells that are missing or odd are counted later.

    Raises:
        JobError: no model can be trained on it.
    """
    if not found.rows:
        raise JobError(f"no rows below the header in {listing(list(found.files))}")
    wish = Wish(wanted.column_kinds, table.semicolons)
    label = Label.decide(found.evidence[wanted.label], wish, wanted.problem, wanted.positive_class)
    jobs.metric(label.problem, wanted.metric)
    columns = tuple(
        _with_role(decide(found.evidence[name], wish), wanted)
        for name in table.columns
        if name != wanted.label
    )
    if not any(column.trained for column in columns):
        kinds = ", ".join(
            f"{column.name!r} is {describe.why_not(column)}" for column in columns[:5]
        )
        raise JobError(
            f"no column except the label {wanted.label!r} can be used for training: {kinds}"
        )
    schema = Schema(
        wanted.label,
        label.problem,
        label.classes,
        label.positive_class,
        label.column,
        columns,
        found.rows,
    )
    return schema, label


def _with_role(column: Column, wanted: PreprocessingOptions) -> Column:
    """The column with its part; numbers that identify rows in time are an order, too."""
    roles = {wanted.group_column: "group", wanted.time_column: "time"}
    role = (
        "excluded" if column.name in wanted.exclude_columns else roles.get(column.name, "feature")
    )
    if role == "time" and column.kind == "identifier":
        column = replace(column, kind="integer", notes=())
    return replace(column, role=role)


def survey(table: tables.Table, wanted: PreprocessingOptions, kept: Path) -> Survey:
    """Read the table once; it is kept at `kept` as an Arrow stream for the next readings.

    Columns that begin with decimal fractions are read as numbers at once, which is several times
    quicker; where that fails, the table is read again with that column (and at the second failure
    all columns) as text.
    """
    floats, varied = _quick_types(table, wanted)
    for attempt in range(3):
        try:
            return _survey(table, wanted, kept, floats, varied)
        except tables.NotNumbersError as error:
            floats = frozenset() if attempt else floats - {error.column}
    raise AssertionError("a table without columns of numbers cannot fail to be read as numbers")


def _quick_types(
    table: tables.Table, wanted: PreprocessingOptions
) -> tuple[frozenset[str], frozenset[str]]:
    """Columns to read as numbers at once, and those whose texts hardly repeat.

    Both are guesses from some rows, that make reading quicker and change nothing else. Integers are
    no candidates: as numbers, they would lose the leading zeros that make them codes.
    """
    first = None if table.typed else table.first_rows()
    if first is None:
        return frozenset(), frozenset()
    found = new_survey(table.columns, wanted).evidence
    for name, column in zip(table.columns, first.columns, strict=True):
        found[name].add(column)
    own = {wanted.label, wanted.group_column, *wanted.column_kinds}
    floats = frozenset(
        name
        for name, column in found.items()
        if name not in own
        and column.points
        and column.plain == column.present
        and not column.own_marks
    )
    varied = frozenset(
        name
        for name, column in zip(table.columns, first.columns, strict=True)
        if 2 * len(column.unique()) > first.num_rows
    )
    return floats, varied - floats


def _survey(
    table: tables.Table,
    wanted: PreprocessingOptions,
    kept: Path,
    floats: frozenset[str],
    varied: frozenset[str],
) -> Survey:
    found = new_survey(table.columns, wanted)
    found.files.update({file.name: 0 for file in table.files})
    with _kept(kept) as write:
        for file, batch in table.batches(table.columns, floats, varied):
            found.files[file.name] += batch.num_rows
            for name, column in zip(table.columns, batch.columns, strict=True):
                found.evidence[name].add(column)
            write(batch)
    return found


@contextmanager
def _kept(path: Path) -> Iterator[Any]:
    """A function that appends batches to an Arrow stream; the first one gives the types."""
    writers: list[pa.RecordBatchStreamWriter] = []
    with pa.OSFile(str(path), "wb") as file:

        def write(batch: pa.RecordBatch) -> None:
            if not writers:
                writers.append(pa.ipc.new_stream(file, batch.schema))
            writers[0].write_batch(batch)

        try:
            yield write
        finally:
            for writer in writers:
                writer.close()


def kept_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches that `survey` kept."""
    if path.stat().st_size:
        with pa.OSFile(str(path)) as file:  # mapped, the whole file would count as memory in use
            yield from pa.ipc.open_stream(file)


# --- What the rows say -------------------------------------------------------------------------


@dataclass
class Keys:
    """What decides each row's side: the hash, the label's code, and the moment if one is asked."""

    hashes: np.ndarray
    labels: np.ndarray
    times: np.ndarray | None = None

    def put(self, rows: slice, part: Keys) -> None:
        """Take the keys of some rows."""
        self.hashes[rows], self.labels[rows] = part.hashes, part.labels
        if self.times is not None:
            self.times[rows] = part.times


def typed(schema: Schema, label: Label, batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """The trained columns and the label of one batch, as they are written."""
    found = {
        column.name: cells.read_counting(column, batch.column(column.name))[0]
        for column in schema.features
    }
    return found | {schema.label: label.values(batch.column(schema.label))}


def keys(
    schema: Schema, label: Label, batch: pa.RecordBatch, seed: int, own: Mapping[str, pa.Array]
) -> Keys:
    """The keys of one batch, whose typed columns are `own`."""
    names = [column.name for column in schema.features]
    hashes = hashing.of_rows({name: own[name] for name in names}, seed)
    times = None
    for column in schema.columns:
        cell = batch.column(column.name)
        if column.role == "group":
            text = cells.trimmed(cells.as_text(column, _plain(cell)))
            grouped = hashing.of_rows({column.name: text}, seed)
            missing = text.is_null().to_numpy(zero_copy_only=False)
            hashes = np.where(missing, hashes, grouped)
        elif column.role == "time":
            times = _moments(column, cell)
    return Keys(hashes, label.codes(own[schema.label]), times)


def _plain(cell: pa.Array) -> pa.Array:
    return cell.dictionary_decode() if pa.types.is_dictionary(cell.type) else cell


def _moments(column: Column, cell: pa.Array) -> np.ndarray:
    values = cells.read(column, cell, odd="missing")
    if values.null_count:
        raise JobError(
            f"time column {column.name!r}: some rows have no readable value; every row needs one"
        )
    whole = values if pa.types.is_floating(values.type) else cells.as_integers(values)
    return whole.to_numpy(zero_copy_only=False).astype("float64")


def check_time_column(schema: Schema) -> None:
    """Reject a time column that cannot order rows.

    Raises:
        JobError: its kind has no order in time.
    """
    for column in schema.columns:
        allowed = {"date", "datetime", "number", "integer"}
        if column.role == "time" and column.kind not in allowed:
            raise JobError(
                f"time column {column.name!r} is a {column.kind}: it must be a date, a datetime "
                "or a number"
            )


def measure(
    schema: Schema, label: Label, kept: Path, seed: int
) -> tuple[Keys, dict[str, Statistics]]:
    """The keys of all rows, and what each trained column's cells say."""
    found = {column.name: Statistics(column) for column in schema.features}
    rows = schema.rows
    timed = any(column.role == "time" for column in schema.columns)
    together = Keys(
        np.empty(rows, np.uint64), np.empty(rows, "uint16"), np.empty(rows) if timed else None
    )
    start = 0
    for batch in kept_batches(kept):
        own = {}
        for column in schema.features:
            values, odd = cells.read_counting(column, batch.column(column.name))
            found[column.name].add(values, odd)
            own[column.name] = values
        own[schema.label] = label.values(batch.column(schema.label))
        together.put(
            slice(start, start := start + batch.num_rows), keys(schema, label, batch, seed, own)
        )
    return together, found


# --- The split -----------------------------------------------------------------------------------


def plan(schema: Schema, found: Keys, wanted: PreprocessingOptions) -> split.Plan:
    """How the rows are split.

    Raises:
        JobError: a class cannot be on both sides.
    """
    if found.times is not None:
        made = split.by_time(found.times, wanted.test_fraction)
        if made is None:
            raise JobError(f"time column {wanted.time_column!r}: all rows have the same value")
        return made
    if wanted.group_column:
        made, alike = split.by_hash(
            found.hashes,
            np.zeros_like(found.labels),
            wanted.test_fraction,
            wanted.training_rows,
            way="group",
        )
        if alike:
            raise JobError(f"group column {wanted.group_column!r}: all rows belong to one group")
        return made
    check_single_rows(schema, np.bincount(found.labels, minlength=len(schema.classes) or 1))
    distinct, shared = split.strata_of(found.hashes, found.labels)
    if distinct <= split.FEW_DISTINCT * len(found.hashes):
        pairs = Counter(zip(found.hashes.tolist(), found.labels.tolist(), strict=True))
        return split.in_proportion(pairs, wanted.test_fraction, wanted.training_rows)
    made, alike = split.by_hash(
        found.hashes, found.labels, wanted.test_fraction, wanted.training_rows, shared=shared
    )
    refuse_alike(schema, alike)
    return made


def check_single_rows(schema: Schema, counts: Sequence[int]) -> None:
    """Refuse classes of one row.

    Raises:
        JobError: there is one.
    """
    single = [name for name, rows in zip(schema.classes, counts, strict=False) if rows == 1]
    if single:
        raise JobError(
            f"label column {schema.label!r}: each class needs two rows, one for training and "
            f"one for testing, but there is only one of {listing(single)}"
        )


def refuse_alike(schema: Schema, alike: Sequence[int]) -> None:
    """Refuse classes whose rows cannot be parted.

    Raises:
        JobError: there is one.
    """
    if alike and schema.problem != "regression":
        raise JobError(
            f"label column {schema.label!r}: all rows of "
            f"{listing([schema.classes[at] for at in alike])} have the same features, which cannot "
            "be in both training and test data"
        )


def check_sides(schema: Schema, counts: Mapping[int, np.ndarray]) -> None:
    """Refuse a split that leaves nothing to learn or to test.

    Raises:
        JobError: a side is empty, or training lacks a class.
    """
    jobs.check_training_rows(int(counts[split.TRAIN].sum()))
    if not counts[split.TEST].sum():
        raise JobError("there are too few rows: none is left for testing")
    absent = [
        name for name, rows in zip(schema.classes, counts[split.TRAIN], strict=False) if not rows
    ]
    if absent:
        raise JobError(
            f"label column {schema.label!r}: the training data has no row of {listing(absent)}; "
            "that happens if a class occurs only in one group or only in the newest rows"
        )


# --- Writing -------------------------------------------------------------------------------------


def written_types(schema: Schema) -> pa.Schema:
    """The types of `train.parquet` and `test.parquet`."""
    label = pa.float64() if schema.problem == "regression" else pa.string()
    return pa.schema(
        [
            *(pa.field(column.name, cells.storage(column)) for column in schema.features),
            pa.field(schema.label, label),
        ]
    )


def write(
    schema: Schema,
    label: Label,
    found: Keys,
    sides: split.Sides,
    kept: Path,
    paths: tuple[Path, Path],
) -> dict[int, np.ndarray]:
    """Write each row to its side, `paths` for train and test; gives rows of each class by side."""
    types = written_types(schema)
    classes = len(schema.classes) or 1
    counts = {side: np.zeros(classes, "int64") for side in (0, 1, 2)}
    start = 0
    with _writer(paths[0], types) as to_train, _writer(paths[1], types) as to_test:
        for batch in kept_batches(kept):
            rows = slice(start, start := start + batch.num_rows)
            labels = found.labels[rows]
            times = None if found.times is None else found.times[rows]
            chosen = sides.of(found.hashes[rows], labels, times)
            for side in counts:
                counts[side] += np.bincount(labels[chosen == side], minlength=classes)
            for side, writer in ((split.TRAIN, to_train), (split.TEST, to_test)):
                part = batch.filter(pa.array(chosen == side))
                writer.add(pa.table(typed(schema, label, part), schema=types))
    return counts


def first_rows(path: Path, most: int) -> pa.Table:
    """At most `most` rows of the first row group of a Parquet file, which must have one."""
    batches = parquet.ParquetFile(path).iter_batches(most, row_groups=[0])
    return pa.Table.from_batches([next(batches)])


@contextmanager
def _writer(path: Path, types: pa.Schema) -> Iterator[_Grouped]:
    texts = [item.name for item in types if pa.types.is_string(item.type)]
    with parquet.ParquetWriter(
        path,
        types,
        use_dictionary=texts or False,
        write_statistics=False,  # nobody filters by them, and they take a fifth of the time
    ) as writer:
        grouped = _Grouped(writer)
        yield grouped
        grouped.flush()


class _Grouped:
    """Gathers small tables into row groups of a size that reads well."""

    def __init__(self, writer: parquet.ParquetWriter) -> None:
        self._writer = writer
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._rows += table.num_rows
        if self._rows * table.num_columns >= 8 * _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._tables))
        self._tables, self._rows = [], 0


# --- The job ------------------------------------------------------------------------------------


def preprocess(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument or the table is not usable.
    """
    wanted = settings(argv)
    table = tables.find(wanted.data, wanted.input_uri)
    check_columns(table.columns, wanted)
    results = (
        wanted.train / "train.parquet",
        wanted.test / "test.parquet",
        wanted.schema / "schema.json",
        wanted.profile / "profile.json",
    )
    with tempfile.TemporaryDirectory() as scratch, jobs.whole(*results) as drafts:
        _preprocess(table, wanted, Path(scratch) / "table.arrows", drafts)


def _preprocess(
    table: tables.Table, wanted: PreprocessingOptions, kept: Path, drafts: Sequence[Path]
) -> None:
    train, test, written, described = drafts
    surveyed = survey(table, wanted, kept)
    schema, label = decide_schema(surveyed, table, wanted)
    check_time_column(schema)
    found, statistics = measure(schema, label, kept, wanted.seed)
    schema = describe.counted(schema, statistics, surveyed.evidence)
    made = plan(schema, found, wanted)
    counts = write(schema, label, found, split.Sides(made), kept, (train, test))
    check_sides(schema, counts)
    sample = first_rows(train, LEAKAGE_ROWS)
    about = describe.profile(
        describe.Findings(
            schema,
            label,
            surveyed,
            statistics,
            counts,
            {"way": made.way, "test_fraction": wanted.test_fraction, "seed": wanted.seed},
            leakage.suspects(schema, sample),
        )
    )
    schema.save(written)
    described.write_text(json.dumps(about, indent=1, allow_nan=False), encoding="utf-8")
    tell(about)


def tell(about: Json) -> None:
    """Print what was decided, for the job's log."""
    print(f"problem: {about['problem']['type']}: {about['problem']['reason']}")
    for sentence in about["warnings"]:
        print(f"warning: {sentence}")
    parts = about["split"]
    print(f"{parts['train']} rows for training, {parts['test']} for testing ({parts['way']})")


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(preprocess, argv, jobs.base_folder() / "output/message")


class _WithoutPandas:
    """Refuses to import pandas, which Arrow does for its first array and can do without.

    It takes 0.25 s and 30 MB; the image has it for training.
    """

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Leave any other module to the other finders.

        Raises:
            ModuleNotFoundError: it is pandas.
        """
        if name == "pandas":
            raise ModuleNotFoundError(name)


if __name__ == "__main__":
    sys.meta_path.insert(0, _WithoutPandas)
    sys.exit(main(sys.argv[1:]))
