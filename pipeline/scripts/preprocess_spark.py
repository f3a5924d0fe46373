"""Does what `preprocess.py` does on a cluster, with the same schema, profile and split.

A part of the table is one of its files: one task reads it, with the same code as on one machine,
and the parts' results are merged. A table of many files is therefore distributed over the cluster,
but a single file is not. The rows' keys (a hash and a label each) are shuffled by hash, so that
equal rows meet; the driver sees only histograms.

Each task writes its rows to a file of its own below `/opt/ml/processing/output`, on the instance
where it runs, and SageMaker uploads what it finds there on every instance
("API_ProcessingS3Output"). A task that is run again writes the same rows under the same name, whole
or not at all, so that nothing has to be committed, renamed or deleted in S3.

Runs in the Spark image (Spark 3.5, Python 3.12), started by `start_spark.py`.
"""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import describe
import jobs
import leakage
import numpy as np
import preprocess
import pyarrow as pa
import split
import tables
from jobs import JobError, listing
from pyarrow import parquet
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from columns import Schema
    from describe import Statistics, Survey
    from labels import Label
    from preprocess import Keys, PreprocessingOptions
    from pyspark.sql import DataFrame

    OnParts = Callable[[Iterable["TablePart"]], Iterator[pa.RecordBatch]]

_S3: Final = "s3://"
_ROWS_OF_A_TASK: Final = 4_000_000
"""Rows whose hashes one task sorts."""

_ROWS_OF_A_BATCH: Final = 500_000
_RESULT: Final = "part int, result binary"
_KEYS: Final = "part int, hash long, label int, time double, found binary"


@dataclass(frozen=True)
class TablePart:
    """One file of the table; `source` is its path or its S3 URI."""

    number: int
    name: str
    source: str


@dataclass(frozen=True)
class Seen:
    """What the first reading of a part finds: the file, and its rows or why they are unreadable."""

    file: tables.File
    survey: Survey | JobError


@dataclass(frozen=True)
class Decided:
    """All that tasks need to know once it is decided what the table means.

    `rows` are those of each part, by its number.
    """

    wanted: PreprocessingOptions
    scratch: Path
    schema: Schema
    label: Label
    rows: Mapping[int, int]


# --- Parts -------------------------------------------------------------------------------------


def find_parts(wanted: PreprocessingOptions) -> list[TablePart]:
    """The files of the table: of a local folder, if it is there, or as the URI names them in S3.

    Raises:
        JobError: there is none.
    """
    if wanted.data.is_dir():
        paths = tables.named(wanted.data, wanted.input_uri)
        found = [(path.relative_to(wanted.data).as_posix(), str(path)) for path in paths]
    else:
        found = _in_s3(wanted.input_uri)
    if not found:
        raise JobError(f"there is no CSV or Parquet file in {wanted.input_uri}: nothing to read")
    return [TablePart(number, name, source) for number, (name, source) in enumerate(found)]


def _in_s3(uri: str) -> list[tuple[str, str]]:
    """Names and URIs of the object that `uri` names, or of those in the folder that it names."""
    bucket, _, key = uri.removeprefix(_S3).partition("/")
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    chosen = chosen_keys(keys, key)
    if not chosen:
        begins = f"; keys that begin with it: {listing(keys)}" if keys else ""
        raise JobError(f"InputData: there is no object or folder {uri}{begins}")
    above = len(key) - len(key.rpartition("/")[2])
    return [(found[above:], f"{_S3}{bucket}/{found}") for found in chosen]


def chosen_keys(keys: Sequence[str], wanted: str) -> list[str]:
    """Of `keys`, the one `wanted`, or those in the folder `wanted` that are not hidden files."""
    if wanted in keys and not wanted.endswith("/"):
        return [wanted]
    folder = f"{wanted.rstrip('/')}/" if wanted else ""
    inside = [key for key in keys if key.startswith(folder) and not key.endswith("/")]
    data = [
        key
        for key in inside
        if not any(part.startswith((".", "_")) for part in key[len(folder) :].split("/"))
    ]
    return sorted(data, key=PurePosixPath)


def _s3() -> Any:
    """A client of S3 in the job's region, which the image names as boto3 does not read it."""
    import boto3  # noqa: PLC0415 - of the Spark image; a local folder needs none

    return boto3.client("s3", region_name=os.environ.get("AWS_REGION"))


def _table(part: TablePart, folder: Path) -> tables.Table:
    """The table of one part, which is brought into `folder`."""
    path = folder / part.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if part.source.startswith(_S3):
        bucket, _, key = part.source.removeprefix(_S3).partition("/")
        _s3().download_file(bucket, key, str(path))
    else:
        path.symlink_to(Path(part.source).resolve())
    return tables.find(folder)


# --- Tasks -------------------------------------------------------------------------------------


def see(wanted: PreprocessingOptions, scratch: Path, part: TablePart) -> Seen:
    """Read a part for the first time, and keep it on this instance as `preprocess.survey` does.

    Raises:
        JobError: it is not a file that can be read.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    kept = _kept(scratch, part)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, jobs.whole(kept) as (draft,):
        table = _table(part, Path(folder))
        try:
            return Seen(table.files[0], preprocess.survey(table, wanted, draft))
        except JobError as error:
            draft.touch()
            return Seen(table.files[0], error)


def _kept(scratch: Path, part: TablePart) -> Path:
    return scratch / f"{part.number}.arrows"


def _read_again(decided: Decided, part: TablePart) -> Path:
    """The part as Arrow: it is on this instance, unless another one read it first."""
    kept = _kept(decided.scratch, part)
    if not kept.is_file():
        see(decided.wanted, decided.scratch, part)
    return kept


def measure(decided: Decided, part: TablePart) -> tuple[Keys, dict[str, Statistics]]:
    """The keys of a part's rows, and what its cells say."""
    kept = _read_again(decided, part)
    own = replace(decided.schema, rows=decided.rows[part.number])
    keys, statistics = preprocess.measure(own, decided.label, kept, decided.wanted.seed)
    with jobs.whole(kept.with_suffix(".keys")) as (draft,):
        draft.write_bytes(pickle.dumps(keys, pickle.HIGHEST_PROTOCOL))
    return keys, statistics


def _keys_again(decided: Decided, part: TablePart) -> Keys:
    path = _kept(decided.scratch, part).with_suffix(".keys")
    if not path.is_file():
        return measure(decided, part)[0]
    keys: Keys = pickle.loads(path.read_bytes())  # noqa: S301 - `measure` wrote it
    return keys


def write(
    decided: Decided, plans: Mapping[int, split.Plan], part: TablePart
) -> dict[int, np.ndarray]:
    """Write a part's rows to both sides; gives the rows of each class by side."""
    name = f"part-{part.number:05}.parquet"
    results = decided.wanted.train / name, decided.wanted.test / name
    with jobs.whole(*results) as drafts:
        return _write(decided, plans, part, (drafts[0], drafts[1]))


def _write(
    decided: Decided, plans: Mapping[int, split.Plan], part: TablePart, paths: tuple[Path, Path]
) -> dict[int, np.ndarray]:
    kept, keys = _read_again(decided, part), _keys_again(decided, part)
    sides = split.Sides(plans.get(part.number, plans[-1]))
    return preprocess.write(decided.schema, decided.label, keys, sides, kept, paths)


def sample(decided: Decided, plans: Mapping[int, split.Plan], rows: int, part: TablePart) -> bytes:
    """The first rows that a part trains with, as an Arrow stream."""
    with tempfile.TemporaryDirectory(dir=decided.scratch) as folder:
        own = decided.wanted.train / f"part-{part.number:05}.parquet"
        if not own.is_file():  # another instance wrote it
            own = Path(folder) / "train"
            _write(decided, plans, part, (own, Path(folder) / "test"))
        types = preprocess.written_types(decided.schema)
        batches = parquet.ParquetFile(own).iter_batches(rows)
        first = pa.Table.from_batches(list(islice(batches, 1)), types)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, types) as writer:
        writer.write_table(first.slice(0, rows))
    return bytes(stream.getvalue())


# --- Through Spark -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SparkCluster:
    """Runs tasks on the parts, each of which is one partition."""

    spark: SparkSession

    def on_each(self, parts: Sequence[TablePart], task: Callable[[TablePart], Any]) -> list[Any]:
        """What `task` gives for each part, in order; a task in `mapInArrow`.

        Raises:
            JobError: of the first part that raised it.
        """
        rows = self.through(parts, partial(_results, task), _RESULT).collect()
        found = [pickle.loads(row.result) for row in sorted(rows)]  # noqa: S301 - `_results` wrote it
        return _unless_failed(found)

    def through(self, parts: Sequence[TablePart], task: OnParts, columns: str) -> DataFrame:
        """What `task` yields for the parts, each of which is one partition.

        The parts travel with the task: Spark would start Python twice for rows made in Python.
        """
        places = self.spark.range(0, len(parts), 1, len(parts))
        return places.mapInArrow(partial(_on_parts, tuple(parts), task), columns)


def _on_parts(
    parts: Sequence[TablePart], task: OnParts, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    return task(parts[at] for batch in batches for at in batch.column("id").to_pylist())


def _unless_failed(found: list[Any]) -> list[Any]:
    for one in found:
        if isinstance(one, JobError):
            raise one
    return found


def _results(
    task: Callable[[TablePart], Any], parts: Iterable[TablePart]
) -> Iterator[pa.RecordBatch]:
    """What the task gives, or the `JobError` that it raises: Spark would try again in vain."""
    for part in parts:
        try:
            result = task(part)
        except JobError as error:
            result = error
        yield pa.RecordBatch.from_pydict(
            {"part": pa.array([part.number], pa.int32()), "result": [_pickled(result)]}
        )


def _pickled(result: object) -> bytes:
    return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


def _keys(decided: Decided, parts: Iterable[TablePart]) -> Iterator[pa.RecordBatch]:
    """The keys of each row; and once a part, in `found`, what its cells say or why it fails."""
    for part in parts:
        try:
            keys, found = measure(decided, part)
        except JobError as error:
            yield _key_batch(part, _NO_KEYS, error)
            continue
        yield _key_batch(part, _NO_KEYS, found)
        for start in range(0, len(keys.hashes), _ROWS_OF_A_BATCH):
            rows = slice(start, start + _ROWS_OF_A_BATCH)
            times = None if keys.times is None else keys.times[rows]
            yield _key_batch(part, preprocess.Keys(keys.hashes[rows], keys.labels[rows], times))


_NO_KEYS: Final = preprocess.Keys(np.zeros(1, "uint64"), np.zeros(1, "uint16"))


def _key_batch(part: TablePart, keys: Keys, found: object = None) -> pa.RecordBatch:
    rows = len(keys.hashes)
    pickled = None if found is None else _pickled(found)
    times = pa.nulls(rows, pa.float64()) if keys.times is None else pa.array(keys.times)
    columns = [
        pa.array(np.full(rows, part.number, "int32")),
        pa.array(keys.hashes.view("int64")),
        pa.array(keys.labels.astype("int32")),
        times,
        pa.array([pickled] * rows, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["part", "hash", "label", "time", "found"])


# --- The split -----------------------------------------------------------------------------------


@dataclass
class Counted:
    """What is known of the rows of one range of hashes, or of several of them.

    Attributes:
        rows: of each class.
        distinct: distinct rows.
        shared: as in `split.Plan`.
        steps: rows by hash of each stratum, if they are few.
        bins: rows by ranges of hashes of each stratum.
    """

    rows: np.ndarray
    distinct: int
    shared: split.Shared
    steps: dict[int, dict[int, int] | None]
    bins: dict[int, Counter[int]]

    def merge(self, other: Counted) -> None:
        """Take what is known of other hashes."""
        self.rows = self.rows + other.rows
        self.distinct += other.distinct
        both = [np.concatenate(pair) for pair in zip(self.shared, other.shared, strict=True)]
        self.shared = (both[0], both[1])
        for stratum, bins in other.bins.items():
            self.bins.setdefault(stratum, Counter()).update(bins)
            self.steps[stratum] = _together(self.steps.get(stratum, {}), other.steps[stratum])

    def finished(self) -> Counted:
        """The same with the shared hashes in order."""
        order = np.argsort(self.shared[0])
        return replace(self, shared=(self.shared[0][order], self.shared[1][order]))

    def histograms(self) -> dict[int, list[tuple[int, int]]]:
        """What `split.histogram` would give for each stratum."""
        return {
            stratum: sorted((bins if steps is None else steps).items())
            for stratum, bins in sorted(self.bins.items())
            for steps in [self.steps[stratum]]
        }


def _together(one: dict[int, int] | None, other: dict[int, int] | None) -> dict[int, int] | None:
    if one is None or other is None or len(one) + len(other) > split.EXACT:
        return None
    return one | other


def count(keys: DataFrame, rows: int, classes: int, *, grouped: bool) -> Counted:
    """Count rows by hash: tasks take ranges of hashes, so that equal rows meet in one."""
    tasks = max(1, -(-rows // _ROWS_OF_A_TASK))
    ranges = keys.select("hash", "label").repartition(tasks, sql.shiftright("hash", 52))
    task = partial(_counts, classes, grouped)
    found = [
        pickle.loads(row.result)  # noqa: S301 - `_counts` wrote it
        for row in ranges.mapInArrow(task, "result binary").collect()
    ]
    for other in found[1:]:
        found[0].merge(other)
    counted: Counted = found[0].finished()
    return counted


def _counts(
    classes: int, grouped: bool, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    table = pa.Table.from_batches(list(batches), pa.schema({"hash": "int64", "label": "int32"}))
    if table.num_rows:
        hashes = table.column("hash").to_numpy().view("uint64")
        labels = table.column("label").to_numpy().astype("uint16")
        counted = _count(hashes, labels, classes, grouped=grouped)
        yield pa.RecordBatch.from_pydict({"result": [_pickled(counted)]})


def _count(hashes: np.ndarray, labels: np.ndarray, classes: int, *, grouped: bool) -> Counted:
    distinct, shared = split.strata_of(hashes, labels)
    strata = np.zeros_like(labels) if grouped else split.strata(hashes, labels, shared)
    counted = Counted(np.bincount(labels, minlength=classes), distinct, shared, {}, {})
    for stratum in np.unique(strata).tolist():
        own, times = np.unique(hashes[strata == stratum], return_counts=True)
        few = len(own) <= split.EXACT
        counted.steps[stratum] = (
            dict(zip(own.tolist(), times.tolist(), strict=True)) if few else None
        )
        bins = (own >> split.SHIFT) << split.SHIFT
        starts = np.flatnonzero(np.r_[True, bins[1:] != bins[:-1]])
        sums = np.add.reduceat(times, starts)
        counted.bins[stratum] = Counter(
            dict(zip(bins[starts].tolist(), sums.tolist(), strict=True))
        )
    return counted


def plan(keys: DataFrame, decided: Decided) -> dict[int, split.Plan]:
    """How the rows are split, as `preprocess.plan` decides; -1 holds for parts without a plan.

    Raises:
        JobError: a class cannot be on both sides.
    """
    schema, wanted = decided.schema, decided.wanted
    if wanted.time_column:
        return {-1: _by_time(keys, wanted)}
    grouped = bool(wanted.group_column)
    counted = count(keys, schema.rows, len(schema.classes) or 1, grouped=grouped)
    if not grouped:
        preprocess.check_single_rows(schema, counted.rows.tolist())
        if counted.distinct <= split.FEW_DISTINCT * schema.rows:
            return _in_proportion(keys, wanted)
    made, alike = split.from_histograms(
        counted.histograms(),
        wanted.test_fraction,
        wanted.training_rows,
        way="group" if grouped else "features",
        shared=None if grouped else counted.shared,
    )
    if grouped and alike:
        raise JobError(f"group column {wanted.group_column!r}: all rows belong to one group")
    preprocess.refuse_alike(schema, alike)
    return {-1: made}


def _by_time(keys: DataFrame, wanted: PreprocessingOptions) -> split.Plan:
    """The driver sees each moment, and how many rows it has: eight bytes a row at most."""
    moments = keys.groupBy("time").count().collect()
    values = np.array([row["time"] for row in moments], "float64")
    times = np.repeat(values, [row["count"] for row in moments])
    made = split.by_time(times, wanted.test_fraction)
    if made is None:
        raise JobError(f"time column {wanted.time_column!r}: all rows have the same value")
    return made


def _in_proportion(keys: DataFrame, wanted: PreprocessingOptions) -> dict[int, split.Plan]:
    """A plan for each part: the first rows of a kind are to test with, in the order of the parts.

    Such tables have few kinds of rows, so the driver can know how many of each are in each part.
    """
    by_part: dict[int, Counter[tuple[int, int]]] = defaultdict(Counter)
    for row in keys.groupBy("part", "hash", "label").count().collect():
        by_part[row["part"]][row["hash"] % 2**64, row["label"]] = row["count"]
    pairs = sum(by_part.values(), Counter())
    made = split.in_proportion(pairs, wanted.test_fraction, wanted.training_rows)
    left = {kind: list(sides) for kind, sides in made.counts.items()}
    plans = {-1: made}
    for part in sorted(by_part):
        own = {kind: _taken(left[kind], rows) for kind, rows in by_part[part].items()}
        plans[part] = replace(made, counts=own)
    return plans


def _taken(left: list[int], rows: int) -> list[int]:
    """Of `rows` rows, how many take each of the places that are `left`, which become fewer."""
    taken = []
    for side, places in enumerate(left):
        taken.append(min(places, rows))
        left[side] -= taken[-1]
        rows -= taken[-1]
    return taken


# --- The job -------------------------------------------------------------------------------------


def preprocess_spark(argv: Sequence[str], spark: SparkSession) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument or the table is not usable.
    """
    wanted = preprocess.settings(argv)
    parts = find_parts(wanted)
    cluster = SparkCluster(spark)
    with tempfile.TemporaryDirectory(prefix="preprocess-") as folder:
        scratch = Path(folder)
        seen = cluster.on_each(parts, partial(see, wanted, scratch))
        surveyed, table = together(seen, wanted)
        schema, label = preprocess.decide_schema(surveyed, table, wanted)
        preprocess.check_time_column(schema)
        rows = {part.number: one.survey.rows for part, one in zip(parts, seen, strict=True)}
        filled = [part for part in parts if rows[part.number]]
        _split(cluster, filled, surveyed, Decided(wanted, scratch, schema, label, rows))


def together(seen: Sequence[Seen], wanted: PreprocessingOptions) -> tuple[Survey, tables.Table]:
    """What all parts say together.

    Raises:
        JobError: they are not of one table, or one of them cannot be read.
    """
    table = tables.together([one.file for one in seen])
    preprocess.check_columns(table.columns, wanted)
    surveyed = preprocess.new_survey(table.columns, wanted)
    for survey in _unless_failed([one.survey for one in seen]):
        surveyed.merge(survey)
    return surveyed, table


def _split(
    cluster: SparkCluster, parts: Sequence[TablePart], surveyed: Survey, decided: Decided
) -> None:
    keys = cluster.through(parts, partial(_keys, decided), _KEYS).persist()
    statistics = _statistics(keys)
    counted = describe.counted(decided.schema, statistics, surveyed.evidence)
    decided = replace(decided, schema=counted)
    plans = plan(keys.where("found is null"), decided)
    keys.unpersist()
    written = cluster.on_each(parts, partial(write, decided, plans))
    counts = {side: sum(one[side] for one in written) for side in (0, 1, 2)}
    preprocess.check_sides(decided.schema, counts)
    _describe(
        describe.Findings(
            decided.schema,
            decided.label,
            surveyed,
            statistics,
            counts,
            {
                "way": plans[-1].way,
                "test_fraction": decided.wanted.test_fraction,
                "seed": decided.wanted.seed,
            },
            _suspects(cluster, parts, written, decided, plans),
        ),
        decided.wanted,
    )


def _statistics(keys: DataFrame) -> dict[str, Statistics]:
    rows = keys.where("found is not null").select("part", "found").collect()
    found = [pickle.loads(row.found) for row in sorted(rows)]  # noqa: S301 - `_keys` wrote it
    first, *others = _unless_failed(found)
    for other in others:
        for name, statistics in first.items():
            statistics.merge(other[name])
    return first  # type: ignore[no-any-return]


def _suspects(
    cluster: SparkCluster,
    parts: Sequence[TablePart],
    counts: Sequence[Mapping[int, np.ndarray]],
    decided: Decided,
    plans: Mapping[int, split.Plan],
) -> list[dict[str, Any]]:
    """Columns that tell the label, among the first rows to train with."""
    first, rows = [], 0
    for part, own in zip(parts, counts, strict=True):
        if rows < preprocess.LEAKAGE_ROWS:
            first.append(part)
            rows += int(own[split.TRAIN].sum())
    found = cluster.on_each(first, partial(sample, decided, plans, preprocess.LEAKAGE_ROWS))
    table = pa.concat_tables([pa.ipc.open_stream(one).read_all() for one in found])
    return leakage.suspects(
        decided.schema, table.slice(0, preprocess.LEAKAGE_ROWS).combine_chunks()
    )


def _describe(found: describe.Findings, wanted: PreprocessingOptions) -> None:
    about = describe.profile(found)
    results = wanted.schema / "schema.json", wanted.profile / "profile.json"
    with jobs.whole(*results) as (written, described):
        found.schema.save(written)
        described.write_text(json.dumps(about, indent=1, allow_nan=False), encoding="utf-8")
    preprocess.tell(about)


def main(argv: Sequence[str]) -> int:
    """Run the job on the cluster that started it, and give its exit code."""
    spark = SparkSession.builder.appName("preprocess").getOrCreate()
    try:
        job = partial(preprocess_spark, spark=spark)
        return jobs.run(job, argv, jobs.base_folder() / "output/reason")
    finally:
        spark.stop()
