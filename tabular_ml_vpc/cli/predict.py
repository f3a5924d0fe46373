"""``python build.py predict``: predict a whole table with a trained model, without the endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from generator.errors import UsageError
from tabular_ml_vpc.cli import completers, run_view
from tabular_ml_vpc.cli.console import console, inert, print_json, say, show_next
from tabular_ml_vpc.cli.options import json_option, set_option, wait_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.local.inputs import data_files, key_of, parse_settings
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.runs.batch import SERVED, BatchPredictions, check_absent
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.runs.upload import DataBucket
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_S3: Final = "s3://"


@click.command(
    epilog="""\b
python build.py predict --input customers.csv --output predicted/
python build.py predict --input s3://BUCKET/raw/customers/ --model latest
python build.py predict --input customers.csv --output s3://OTHER-BUCKET/predicted/
"""
)
@click.option(
    "--input",
    "table",
    required=True,
    metavar="FILE.csv|FOLDER|s3://...",
    help="The table: a local one is uploaded to the data bucket, unless it is there.",
)
@click.option(
    "--output",
    metavar="FOLDER|s3://...",
    help="Where to copy the results; without it, they stay in the data bucket.",
)
@click.option(
    "--model",
    default=SERVED,
    show_default=True,
    metavar="endpoint|latest|N|s3://...",
    help="The model that serves, the newest approved one, a version, or an archive.",
)
@set_option("Set ProcessingInstanceType or ProcessingVolumeGB.", completers.pipeline_parameters)
@wait_option("Wait until the table is predicted")
@pipeline_option
@target_options
@json_option
def command(
    table: str,
    output: str | None,
    model: str,
    pairs: tuple[str, ...],
    wait: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> int:
    """Predict a table of any size: each row with its prediction, in files like those given.

    An isolated job in the VPC reads CSV or Parquet and gives the answers that the endpoint gives.
    The rows keep their order and all of their columns. It needs no endpoint.
    """
    if output is not None and not wait:
        raise click.UsageError("--output cannot be combined with --no-wait")
    _check_places(table, output)
    root = stacks.need(target)
    trained = Workload.of(target, root, pipeline)
    batch = BatchPredictions(target, trained, root.outputs["DataBucket"])
    deployed = batch.pipeline
    if table.startswith(_S3):
        batch.check_table(table)
    sizes = parse_settings(pairs, deployed.definition)
    archive = batch.model(model)
    arn = batch.start(_uploaded(batch, table, as_json), archive, sizes)
    if not wait:
        return _show_start(deployed, arn, as_json)
    return _follow(batch, arn, output, as_json)


def _check_places(table: str, output: str | None) -> None:
    """Refuse what is not there, and what would be written over, before anything starts."""
    if not table.startswith(_S3):
        files = data_files(Path(table), "--input")
        if output is not None and not output.startswith(_S3):
            check_absent([Path(output) / key_of(file, Path(table)) for file in files])
    if output == "" or (output or "").startswith(f"{_S3}/") or output == _S3:
        raise UsageError(f"--output: got {output!r}: must be a folder or an S3 URI with a bucket")


def _uploaded(batch: BatchPredictions, table: str, as_json: bool) -> str:
    """Return the table's S3 URI, having uploaded a local one."""
    if table.startswith(_S3):
        return table
    bucket = DataBucket(batch.target, batch.bucket, batch.trained.name)
    found = bucket.upload(Path(table))
    console(to_stderr=as_json).print(found.told(Path(table)), markup=False, soft_wrap=True)
    return found.uri


def _show_start(deployed: DeployedPipeline, arn: str, as_json: bool) -> int:
    identity = arn.rpartition("/")[2]
    if as_json:
        print_json({"id": identity, "arn": arn, "pipeline": deployed.name})
    else:
        print(f"started execution {identity} of {deployed.name}")
    return 0


def _follow(batch: BatchPredictions, arn: str, output: str | None, as_json: bool) -> int:
    out = console(to_stderr=as_json)
    deployed = batch.pipeline
    identity = arn.rpartition("/")[2]
    out.print(f"Execution {identity} of {deployed.name}", style="bold", markup=False)
    try:
        with run_view.following(out, deployed) as observe:
            done = deployed.follow(arn, observe)
    except KeyboardInterrupt:
        say(f"The execution continues. Its files will be in {_place(batch, identity)}.")
        raise
    failed = done.failed_step
    reason = (failed.reason if failed else "") or done.reason
    found = _found(batch, done, output) if done.status == "Succeeded" else {}
    if as_json:
        print_json({"id": identity, "status": done.status, "reason": reason or None} | found)
    elif found:
        _show(found)
    else:
        say(f"{done.status}: {inert(reason)}")
    return 0 if found else 1


def _place(batch: BatchPredictions, identity: str) -> str:
    return f"{_S3}{batch.bucket}/{batch.folder_of(identity)}"


def _found(batch: BatchPredictions, done: Execution, output: str | None) -> dict[str, Any]:
    """Copy the files to where they are wanted; return where all of them are."""
    files = batch.files(done)
    copies: list[str] = []
    if output is not None and output.startswith(_S3):
        copies = list(batch.copy(files, output))
    elif output is not None:
        copies = [str(path) for path in batch.download(files, Path(output))]
    places = copies or [f"{_S3}{batch.bucket}/{file.key}" for file in files]
    return {
        "files": [
            {"file": place, "bytes": file.bytes} for place, file in zip(places, files, strict=True)
        ],
        "drift": batch.drift(done),
    }


def _show(found: dict[str, Any]) -> None:
    _show_files(found)
    _show_drift(found["drift"])


_MEASURES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "psi": lambda one: f"{one['psi']:.2f}, more than {one['psi_limit']:.2f}",
    "missing": lambda one: (
        f"{one['missing']['now']:.1%}, in training {one['missing']['before']:.1%}"
    ),
    "odd": lambda one: _share_with_examples(one["odd"]),
    "unseen": lambda one: _share_with_examples(one["unseen"]),
    "outside": lambda one: f"{one['outside']['share']:.1%}",
}
_WORDS: Final = {
    "psi": "population stability index",
    "missing": "missing values",
    "odd": "cells that cannot be read",
    "unseen": "unseen categories",
    "outside": "values outside the training data's range",
}


def _share_with_examples(noted: dict[str, Any]) -> str:
    shown = ", ".join(inert(repr(name)) for name in noted["examples"])
    return f"{noted['share']:.1%}: {shown}"


def _show_drift(drift: dict[str, Any]) -> None:
    """Say which columns of the table are unlike the model's training data."""
    if drift["drifted"] is None:
        print(f"Drift is unknown: {drift['reason']}.")
        return
    columns = drift["columns"]
    if not drift["drifted"]:
        print(f"No column of {len(columns)} has drifted from the training data.")
        return
    print(
        f"{len(drift['drifted'])} of {counted(len(columns), 'column')} drifted from the training "
        "data; their predictions may be worse than the evaluation says:"
    )
    rows = [
        (inert(one["name"]), _WORDS[measure], _MEASURES[measure](one))
        for one in columns
        for measure in one["drifted"]
    ]
    show_table(console(), [Column("column"), Column("measure"), Column("value")], rows)


def _show_files(found: dict[str, Any]) -> None:
    files = found["files"]
    print(f"{counted(len(files), 'file')} with predictions:")
    columns = [Column("file"), Column("bytes", justify="right")]
    show_table(console(), columns, [(one["file"], f"{one['bytes']:,}") for one in files])
    first = files[0]["file"]
    if first.startswith(_S3):
        show_next(console(), (f"aws s3 cp {first} .", "copy a file to this folder"))
