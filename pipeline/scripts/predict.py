"""Predicts a whole table with a trained model, and writes each row with its prediction.

The job unpacks the model archive and passes the table through the `transform_fn` that the endpoint
uses, some rows at a time, so that its answers are the endpoint's. Every file of the table becomes a
file of the same name and format: its rows in their order, all of their columns unchanged, followed
by `prediction` and, for classes, one column `probability_<class>` each.

It also writes how far the table is from the model's training data (`drift.json`), unless the table
has too few rows to tell, or the model is from before models knew that. Requests of SageMaker's data
capture were answered already: of them it writes only that or, with labels that came later, how good
the answers were (`quality.json`).

Not a Batch Transform job: that splits CSV by lines, which breaks headers and cells with line
breaks, and cannot split Parquet ("API_TransformInput", SplitType).

Runs as a processing job on the AutoGluon training image.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import captured
import drift
import jobs
import pyarrow as pa
import quality
import reference
import served
import tables
from columns import FILE, Json, Schema, match_names
from jobs import JobError, listing
from pyarrow import csv as arrow_csv
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from served import ServedModel

PREDICTION: Final = "prediction"
PROBABILITY: Final = "probability_"


@dataclass(frozen=True)
class PredictionOptions:
    """The job's settings; `input_uri` names the table in the folder `table`.

    `label_uri` names the labels in the folder `labels`, or a job script if there are none: a job
    fails if its input has no object. `metric` is the one for the quality gate.
    """

    model: Path
    table: Path
    labels: Path
    predictions: Path
    drift: Path
    quality: Path
    input_uri: str
    label_uri: str
    metric: str

    @property
    def has_labels(self) -> bool:
        """Whether answers are to be measured by labels."""
        return not self.label_uri.endswith(f"/{Path(__file__).name}") and bool(self.label_uri)


def settings(argv: Sequence[str]) -> PredictionOptions:
    """Read the command line.

    Raises:
        JobError: an argument is unknown.
    """
    processing = jobs.base_folder() / "processing"
    parser = jobs.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--model", type=Path, default=processing / "input/model")
    parser.add_argument("--table", type=Path, default=processing / "input/table")
    parser.add_argument("--labels", type=Path, default=processing / "input/labels")
    parser.add_argument("--predictions", type=Path, default=processing / "output/predictions")
    parser.add_argument("--drift", type=Path, default=processing / "output/drift")
    parser.add_argument("--quality", type=Path, default=processing / "output/quality")
    parser.add_argument("--input-uri", default="")
    parser.add_argument("--label-uri", default="")
    parser.add_argument("--metric", choices=jobs.METRICS, default=jobs.AUTO)
    return PredictionOptions(**vars(parser.parse_pairs(argv)))


class Writer(Protocol):
    """Writes the rows of one file."""

    def write(self, rows: pa.Table) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


class CsvWriter:
    """Writes CSV with the delimiter, and the compression, of the file that was read."""

    def __init__(self, path: Path, file: tables.File, names: Sequence[str]) -> None:
        self._delimiter = file.delimiter
        self._sink = pa.output_stream(str(path), compression="gzip" if file.gzip else None)
        self._sink.write(self._lines([names]))

    def write(self, rows: pa.Table) -> None:
        """Append rows; Arrow writes those that need no quotes, in a tenth of Python's time."""
        options = arrow_csv.WriteOptions(
            include_header=False, delimiter=self._delimiter, quoting_style="none"
        )
        block = io.BytesIO()
        try:
            arrow_csv.write_csv(rows, block, options)
        except pa.ArrowInvalid:
            cells = [column.to_pylist() for column in rows.columns]
            self._sink.write(self._lines(zip(*cells, strict=True)))
        else:
            self._sink.write(block.getvalue())

    def close(self) -> None:
        """Finish the file."""
        self._sink.close()

    def _lines(self, rows: Sequence[Sequence[str]] | zip[tuple[str, ...]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


class ParquetWriter:
    """Writes Parquet; the first rows determine the types."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: parquet.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Append rows."""
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, rows.schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def new_columns(classes: Sequence[str]) -> list[str]:
    """The names of the columns that predictions add."""
    return [PREDICTION, *(f"{PROBABILITY}{name}" for name in classes)]


def check_columns(table: tables.Table, added: Sequence[str]) -> None:
    """Refuse a table that has a column of the predictions.

    Raises:
        JobError: it has.
    """
    taken = [name for name in added if name in table.columns]
    if taken:
        raise JobError(f"the table already has {listing(taken)}: rename or drop it")


def predict_file(loaded: ServedModel, file: tables.File, path: Path) -> int:
    """Write one file's rows with their predictions; return how many there are.

    Raises:
        JobError: the file cannot be read, has no rows, or does not fit the model.
    """
    added = new_columns(loaded.model.schema.classes)
    names = [*file.columns, *added]
    writer: Writer = ParquetWriter(path) if file.parquet else CsvWriter(path, file, names)
    rows = 0
    try:
        for batch in _batches(file, loaded.request_rows):
            try:
                answers = _answers(loaded, batch, typed=file.parquet)
            except JobError as error:
                where = f"rows {rows + 1} to {rows + batch.num_rows}"
                raise JobError(f"{file.name}, {where}, counted from 1: {error}") from error
            for name, column in zip(added, answers.columns, strict=True):
                batch = batch.append_column(name, column)  # noqa: PLW2901 - the rows, made longer
            writer.write(batch)
            rows += batch.num_rows
    finally:
        writer.close()
    if not rows:
        raise JobError(f"{file.name} has no rows: nothing to predict")
    return rows


def _batches(file: tables.File, most: int) -> Iterator[pa.Table]:
    """The file's rows, at most so many at a time; the cells of CSV as they are written."""
    texts = frozenset(file.columns)
    for _, batch in tables.together([file]).batches(file.columns, varied=texts):
        whole = pa.Table.from_batches([batch])
        for start in range(0, whole.num_rows, most):
            yield whole.slice(start, most)


def _answers(loaded: ServedModel, rows: pa.Table, *, typed: bool) -> pa.Table:
    """The predictions: texts for classes, and numbers as texts for CSV."""
    wanted = match_names(rows.column_names, [item.name for item in loaded.model.schema.features])
    asked = rows.select(sorted(set(wanted.values()))) if wanted else rows
    parts = [_parsed(answer) for answer in loaded.answers(asked, "text/csv")]
    found = pa.concat_tables(parts)
    if found.num_rows != rows.num_rows:
        raise JobError(f"the model answered {found.num_rows} rows of {rows.num_rows}")
    if not typed:
        return found
    numbers = range(1 if loaded.model.schema.classes else 0, found.num_columns)
    for at in numbers:
        name = found.column_names[at]
        found = found.set_column(at, name, found.column(at).cast(pa.float64()))
    return found


def _parsed(answer: str) -> pa.Table:
    """An answer of `transform_fn` in CSV, as texts, without its header."""
    text = io.StringIO(answer, newline="")
    names = next(csv.reader(text))
    body = text.read().encode()
    places = list(map(str, range(len(names))))
    return arrow_csv.read_csv(
        pa.BufferReader(body),
        arrow_csv.ReadOptions(use_threads=False, column_names=places, block_size=len(body) + 1),
        arrow_csv.ParseOptions(newlines_in_values=True),
        arrow_csv.ConvertOptions(column_types=dict.fromkeys(places, pa.string())),
    )


def predict(argv: Sequence[str]) -> None:
    """Do the whole job.

    Raises:
        JobError: an argument, the model or the table is not usable.
    """
    wanted = settings(argv)
    files = captured.files_in(wanted.table)
    if wanted.has_labels:
        measure_answers(wanted, files)
        return
    if files:
        compare_requests(wanted, files)
        return
    table = tables.find(wanted.table, wanted.input_uri)
    with served.unpacked(wanted.model) as folder:
        loaded = served.load(folder)
        check_columns(table, new_columns(loaded.model.schema.classes))
        paths = [wanted.predictions / file.name for file in table.files]
        with jobs.whole(wanted.drift / "drift.json", *paths) as (report, *drafts):
            pairs = zip(table.files, drafts, strict=True)
            rows = sum(predict_file(loaded, file, draft) for file, draft in pairs)
            found = compared(folder, table, rows)
            report.write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps({"rows": rows, "files": len(table.files), "drifted": found["drifted"]}))


def compare_requests(wanted: PredictionOptions, files: Sequence[Path]) -> None:
    """Write how far captured requests are from the training data.

    Raises:
        JobError: the model or a file is broken.
    """
    try:
        code, schema, before = drift.read_model(wanted.model)
        received = captured.Captured(files, code, schema)
        seen = reference.observed(schema, before)
        found: Json = drift.compare(received.rows(), seen, reference.Limits())
        found |= {"requests": received.requests, "refused": received.refused}
    except drift.UnknownDriftError as unknown:
        found = {"drifted": None, "reason": str(unknown)}
    with jobs.whole(wanted.drift / "drift.json") as (report,):
        report.write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps({"files": len(files), "drifted": found["drifted"]}))


def measure_answers(wanted: PredictionOptions, files: Sequence[Path]) -> None:
    """Write how good captured answers were, by labels that came later.

    Raises:
        JobError: nothing was captured, or the model, the labels or a file is not usable.
    """
    if not files:
        raise JobError(f"LabelData: there are no captured requests in {wanted.input_uri}")
    labels = tables.files_in(wanted.labels, wanted.label_uri)
    found = quality.check(wanted.model, files, labels, wanted.metric)
    with jobs.whole(wanted.quality / "quality.json") as (report,):
        report.write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("metric", "value", "labeled", "rows")}))


def compared(model: Path, table: tables.Table, rows: int) -> Json:
    """How far the table is from the training data, or why that is unknown."""
    before = drift.read_reference(model)
    if before is None:
        return {"drifted": None, "reason": "the model was trained by a version without references"}
    if rows < drift.LEAST_ROWS:
        reason = f"fewer than {drift.LEAST_ROWS} rows are too few to compare"
        return {"drifted": None, "reason": reason}
    schema = Schema.load(model / FILE)
    seen = reference.observed(schema, before)
    return drift.compare(drift.of_table(table, schema), seen, reference.Limits())


def main(argv: Sequence[str]) -> int:
    """Run the job and give its exit code."""
    return jobs.run(predict, argv, jobs.base_folder() / "output/message")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
