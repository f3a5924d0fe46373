"""``python build.py invoke``: predictions from the deployed endpoint, and its latency."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from generator.errors import UsageError
from tabular_ml_vpc.cli.console import console, inert, print_json
from tabular_ml_vpc.cli.options import WholeNumber, json_option
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.runs import endpoint
from tabular_ml_vpc.operations.runs.endpoint import Latency, Prediction
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload

_STDIN: Final = "-"
_MOST: Final = 10_000
_HEADERS: Final = {"auto": None, "present": True, "absent": False}


@click.command(
    epilog="""\b
python build.py invoke 41,2,3100.5,88.2,18,2,basic,north,card,4
python build.py invoke --file rows.csv
tail -n 5 rows.csv | python build.py invoke
python build.py invoke --file rows.csv --bench 100
"""
)
@click.argument("rows", nargs=-1, metavar="[ROW]...")
@click.option(
    "--file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE.csv",
    help="File with the rows; - reads standard input.",
)
@click.option(
    "--header",
    type=click.Choice(tuple(_HEADERS)),
    default="auto",
    show_default=True,
    help="Whether the first row is a header; auto lets the endpoint decide.",
)
@click.option(
    "--bench",
    type=WholeNumber(1, _MOST),
    metavar="N",
    help="Send the rows N times, one request at a time, and measure the latency.",
)
@pipeline_option
@target_options
@json_option
def command(
    rows: tuple[str, ...],
    file: Path | None,
    header: str,
    bench: int | None,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> None:
    """Get predictions from the endpoint for CSV rows, with or without a header.

    Give ROWs, a file or standard input. Without a header, a row has the training columns in their
    order, without the label; with a header, columns may be in any order, and extra columns are
    ignored. Input that is too large for one request is split. An asynchronous endpoint is asked
    through S3, and waited for.
    """
    table = _table(rows, file)
    workload = Workload.of(target, stacks.need(target), pipeline)
    deployed = endpoint.find(target, workload, _say_where)
    if bench is not None:
        latency = deployed.measure(table, bench, _HEADERS[header])
        _show_latency(deployed.name, latency, as_json)
    else:
        _show_predictions(deployed.name, deployed.predict(table, _HEADERS[header]), as_json)


def _say_where(answer: str) -> None:
    """Say where an asynchronous endpoint puts its answer: the wait for it may be interrupted."""
    print(f"Waiting for {answer}; the first instance takes some minutes.", file=sys.stderr)


def _table(rows: tuple[str, ...], file: Path | None) -> str:
    """The rows to send, as CSV text."""
    if rows and file:
        raise click.UsageError("give ROWs or --file, not both")
    if rows:
        text = "\n".join(rows)
    elif file is not None and str(file) != _STDIN:
        text = _read(file)
    elif file is None and sys.stdin.isatty():
        raise click.UsageError("give a ROW, --file FILE.csv, or rows on standard input")
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise UsageError(f"{_name(rows, file)} is empty: give at least one CSV row")
    return text


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--file: {str(file)!r} is not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"--file: cannot read {str(file)!r}: {error.strerror}") from error


def _name(rows: tuple[str, ...], file: Path | None) -> str:
    if rows:
        return "ROW"
    return "--file" if file is not None and str(file) != _STDIN else "standard input"


def _show_predictions(name: str, predictions: list[Prediction], as_json: bool) -> None:
    if as_json:
        rows = [prediction.as_json() for prediction in predictions]
        print_json({"endpoint": name, "predictions": rows})
        return

    columns = [Column("row", justify="right", style="dim")]
    if predictions[0].value is not None:
        columns.append(Column("prediction", justify="right"))
    else:
        columns.append(Column("label"))
        for name_of_class in predictions[0].probabilities:
            columns.append(Column(f"p({inert(name_of_class)})", importance=1, justify="right"))
    table = [(n, *_cells(prediction)) for n, prediction in enumerate(predictions, start=1)]
    show_table(console(), columns, table)


def _cells(prediction: Prediction) -> list[str]:
    if prediction.value is not None:
        return [f"{prediction.value:.6g}"]
    return [
        inert(prediction.label),
        *(f"{value:.4f}" for value in prediction.probabilities.values()),
    ]


def _show_latency(name: str, latency: Latency, as_json: bool) -> None:
    if as_json:
        print_json({"endpoint": name, **latency.as_json()})
        return
    requests, rows = counted(latency.requests, "request"), counted(latency.rows, "row")
    print(f"{requests} of {rows} to {name}, one at a time:")
    print(
        f"p50 {latency.p50_ms:.1f} ms, p95 {latency.p95_ms:.1f} ms, p99 {latency.p99_ms:.1f} ms, "
        f"slowest {latency.slowest_ms:.1f} ms; {latency.requests_a_second:.0f} requests/s"
    )
