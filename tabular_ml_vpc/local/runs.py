"""A complete local run: its folder, the table, the pipeline and the endpoint."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from functions.seed_data import table
from generator.files import SOURCES
from pipeline import example, requests
from pipeline.definition import DATA_PROFILE, EVALUATION, SCRIPTS, TABLE_SCHEMA, Output
from pipeline.run_parameters import NO_COLUMN
from pipeline.table_schema import TableView
from pipeline.types import Json
from pipeline.validate import validate
from tabular_ml_vpc.local import execution, smoke
from tabular_ml_vpc.local.inputs import (
    InputError,
    check_column,
    check_label,
    data_files,
    header,
    is_parquet,
    key_of,
    sample,
    with_defaults,
)
from tabular_ml_vpc.local.jobs import JobHost, LocalJobError
from tabular_ml_vpc.local.record import ExecutionRecord, Status, StepRecord, now
from tabular_ml_vpc.local.sandbox import PARQUET_ROWS, Runtime
from tabular_ml_vpc.local.service import LocalService
from tabular_ml_vpc.local.serving import Endpoint
from tabular_ml_vpc.local.store import FolderStore, StoreError

SCRIPTS_FOLDER: Final = SOURCES / "pipeline" / "scripts"
SYNTHETIC_ROWS: Final = 4_000
SYNTHETIC_SEED: Final = 1
INVOKE: Final = "Invoke"
"""The name of the step after the pipeline: requests for predictions over HTTP."""

_SYNTHETIC: Final = "data.csv"
_REASON_CHARACTERS: Final = 300
_SIZES: Final = ((1, 60), (100, 10))


@dataclass(frozen=True)
class RunRequest:
    """What to run: a table (None for the synthetic one), parameters, and the work folder."""

    data: Path | None
    parameters: Mapping[str, Any]
    work: Path
    keep: bool = False
    scripts: Path = SCRIPTS_FOLDER


@dataclass
class Run:
    """A run and all its data; `folder` contains its files."""

    request: RunRequest
    definition: Json
    execution: ExecutionRecord
    folder: Path
    store: FolderStore
    service: LocalService
    smoke: smoke.Smoke | None = None
    invocation: StepRecord | None = None
    data_name: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the pipeline succeeded and its endpoint, if it has one, answered."""
        invoked = self.invocation is None or self.invocation.status is Status.SUCCEEDED
        return self.execution.status is Status.SUCCEEDED and invoked

    @property
    def deployed(self) -> bool:
        """Whether the model was deployed; it is not if the run did not approve it."""
        return self.succeeded and self.invocation is not None

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint, while it runs."""
        return next(iter(self.service.endpoints.values()), None)

    def output(self, output: Output, name: str) -> Path | None:
        """The file `name` of a processing step's output, if it was stored."""
        record = self.execution.step(output.step)
        if record is None or not record.description:
            return None
        outputs = record.description["ProcessingOutputConfig"]["Outputs"]
        uris = [item["S3Output"]["S3Uri"] for item in outputs if item["OutputName"] == output.name]
        path = self.store.path(f"{uris[0]}/{name}") if uris else None
        return path if path and path.is_file() else None

    def json_output(self, output: Output, name: str) -> Json:
        """The content of a JSON file in an output; empty if there is none."""
        path = self.output(output, name)
        content: Json = json.loads(path.read_text(encoding="utf-8")) if path else {}
        return content

    @property
    def evaluation(self) -> Json:
        """The results of `evaluate.py`; empty if there are none."""
        return self.json_output(EVALUATION, "evaluation.json")

    @property
    def profile(self) -> Json:
        """The profile of the table from `preprocess.py`; empty if there is none."""
        return self.json_output(DATA_PROFILE, "profile.json")

    @property
    def table(self) -> TableView:
        """The table as `preprocess.py` read it."""
        return TableView(self.json_output(TABLE_SCHEMA, "schema.json"), self.profile)


def check(request: RunRequest) -> Json:
    """Return the definition to run; raises `InputError` if a parameter is not valid."""
    definition = with_defaults(example.definition(request.parameters), request.parameters)
    faults = validate(definition)
    if faults:
        raise InputError(f"--set: the pipeline cannot run with these parameters: {faults[0]}")
    values = {item["Name"]: item["DefaultValue"] for item in definition["Parameters"]}
    check_columns(request.data, values, "LabelColumn" in request.parameters)
    return definition


def check_columns(data: Path | None, values: Mapping[str, Any], label_given: bool) -> None:
    """Check that the table has the columns, unless only the jobs can read it (Parquet).

    Raises:
        InputError: it has not, or there is no such table.

    """
    name, columns = _columns(data)
    if columns is None:
        return
    check_label(name, columns, values["LabelColumn"], label_given)
    for option, parameter in (("--group-column", "GroupColumn"), ("--time-column", "TimeColumn")):
        if values[parameter] != NO_COLUMN:
            check_column(option, name, columns, values[parameter])


def _columns(data: Path | None) -> tuple[str, Sequence[str] | None]:
    """The table's name and its columns, or None if they cannot be read here."""
    if data is None:
        return "the synthetic table", table.header()
    first = data_files(data)[0]
    return first.name, None if is_parquet(first) else header(first)


def prepare(request: RunRequest, runtime: Runtime) -> Run:
    """Check the request, create the run's folder, and store the table and the scripts.

    Raises:
        InputError: the table or a parameter is not valid.

    """
    definition = check(request)
    new = execution.new_execution(definition, {}, example.PIPELINE)
    folder = (request.work / new.id).resolve()
    store = FolderStore(folder / "s3")
    for name in SCRIPTS:
        prefix = example.environment().code_prefix
        store.put_file(request.scripts / name, f"s3://{example.BUCKET}/{prefix}/{name}")
    new.parameters["InputData"] = _put_data(request.data, store, folder)
    service = LocalService(JobHost(runtime, store, folder / "jobs"), attached=not request.keep)
    name = request.data.name if request.data else f"synthetic, {SYNTHETIC_ROWS:,} rows"
    _write(folder / "definition.json", definition)
    return Run(request, definition, new, folder, store, service, data_name=name)


def run(prepared: Run, observe: execution.StepObserver) -> None:
    """Run the pipeline, then get predictions from its endpoint; `prepared` records both."""
    service = prepared.service
    host = execution.Host(service.runners(), prepared.store.read, requests.checker(), observe)
    try:
        execution.run(prepared.definition, prepared.execution, host)
        if prepared.endpoint is not None:
            _invoke(prepared, prepared.endpoint, observe)
    except BaseException:
        service.stop()
        raise
    finally:
        _write(prepared.folder / "execution.json", as_json(prepared))


def as_json(done: Run) -> Json:
    """All data about a run, for programs."""
    return done.execution.as_json() | {
        "folder": str(done.folder),
        "table": done.table.as_json() if done.profile else None,
        "metrics": done.evaluation.get("metrics", {}),
        "baseline": done.evaluation.get("baseline", {}),
        "invocation": done.smoke.as_json() if done.smoke else None,
        "invocation_failure": done.invocation.failure_reason or None if done.invocation else None,
    }


def _put_data(data: Path | None, store: FolderStore, folder: Path) -> str:
    """Store the table under `raw/`, as the deployment does; returns the value of `InputData`."""
    base = f"s3://{example.BUCKET}/raw/"
    if data is None:
        file = folder / _SYNTHETIC
        file.write_bytes(b"".join(table.blocks(SYNTHETIC_ROWS, SYNTHETIC_SEED)))
        store.link(file, base + file.name)
        return base + file.name
    for file in data_files(data):
        store.link(file, base + key_of(file, data))
    return base + key_of(data, data) if data.is_file() else base


def _invoke(done: Run, endpoint: Endpoint, observe: execution.StepObserver) -> None:
    """Send rows of the user's table in their original form."""
    record = StepRecord(INVOKE, "InvokeEndpoint", now(), log=endpoint.process.log)
    done.invocation = record
    observe(done.execution, record)
    label = done.execution.parameters["LabelColumn"]
    try:
        rows = _rows(done, smoke.rows_needed(_SIZES))
        done.smoke = smoke.probe(endpoint, rows, label, _SIZES)
        record.status = Status.SUCCEEDED
    except (LocalJobError, StoreError, InputError) as error:
        record.status, record.failure_reason = Status.FAILED, str(error)
    finally:
        record.ended = now()
        observe(done.execution, record)


def _rows(done: Run, most: int) -> list[list[str]]:
    """The header and the first rows of the table's first file."""
    data = done.request.data
    file = data_files(data)[0] if data else done.folder / _SYNTHETIC
    if not is_parquet(file):
        return sample(file, most)
    command = [str(done.service.place.runtime.python), str(PARQUET_ROWS), str(file), str(most)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if found.returncode:
        raise LocalJobError(
            f"cannot read {file.name}: {found.stderr.strip()[-_REASON_CHARACTERS:]}"
        )
    return list(csv.reader(found.stdout.splitlines(keepends=True)))


def _write(file: Path, content: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")
