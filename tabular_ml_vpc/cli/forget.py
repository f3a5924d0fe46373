"""``python build.py forget``: find what holds the rows of one person, and how to be rid of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from generator.errors import UsageError
from generator.files import REPOSITORY
from pipeline import layout
from tabular_ml_vpc.cli.console import console, inert, print_json, say
from tabular_ml_vpc.cli.options import json_option, yes_option
from tabular_ml_vpc.cli.questions import confirm, require_terminal
from tabular_ml_vpc.cli.stack_options import pipeline_option, target_options
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.forget.finder import Observer
from tabular_ml_vpc.operations.forget.findings import ENDPOINT, PACKAGE, Finding, Results
from tabular_ml_vpc.operations.forget.search import Deletion, StackSearch
from tabular_ml_vpc.operations.forget.sought import Sought
from tabular_ml_vpc.operations.forget.versions import Version
from tabular_ml_vpc.operations.target import Target

ENVIRONMENT: Final = REPOSITORY / ".venv-local"
MOST_VALUES: Final = 100_000
_SHOWN: Final = 5
_TITLES: Final = {
    layout.RAW: "Your tables",
    layout.PROCESSED: "Prepared data",
    layout.PREDICTIONS: "Predictions",
    layout.CAPTURED: "Captured requests",
    layout.ASYNCHRONOUS: "Requests to the asynchronous endpoint",
    layout.MODELS: "Models",
    PACKAGE: "Versions in the registry",
    ENDPOINT: "The endpoint",
}


@click.command(
    epilog="""\b
python build.py forget --column customer_id --value C-1017
python build.py forget --column email --values requests.txt --json
python build.py forget --column customer_id --value C-1017 --delete
"""
)
@click.option("--column", required=True, metavar="NAME", help="The column that names people.")
@click.option(
    "--value", "texts", multiple=True, metavar="TEXT", help="A value; can be given several times."
)
@click.option(
    "--values",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with one value a line.",
)
@click.option(
    "--delete",
    is_flag=True,
    help="Delete what was derived: prepared data, predictions, captured requests.",
)
@yes_option
@pipeline_option
@target_options
@json_option
def command(
    column: str,
    texts: tuple[str, ...],
    file: Path | None,
    delete: bool,
    yes: bool,
    pipeline: str | None,
    target: Target,
    as_json: bool,
) -> int:
    """Find everything that holds the rows in which a column has a value, and say what to do.

    Searches all versions of all objects in the data bucket, and says which models were trained on
    the rows. It changes nothing without --delete, and never deletes tables of yours or models.

    Exits with status 1 if something was found, or if something could not be read.
    """
    sought = Sought(column.strip(), _values(texts, file))
    if delete and not yes:
        require_terminal("--delete needs --yes, since there is no terminal to ask on")
    search = StackSearch.open(target, pipeline)
    versions = search.versions()
    where = f"s3://{search.bucket}{f', of the pipeline {pipeline} only' if pipeline else ''}"
    with _progress(console(to_stderr=True), where, versions) as observe:
        results = search.find(sought, versions, ENVIRONMENT, observe)
    if not as_json:
        _show(results, target)
    done = _delete(search, results, yes) if delete else None
    if as_json:
        print_json(_json(results, done, target))
    elif done is not None:
        _show_deletion(done)
    gone = len(done.deleted) if done else 0
    return 0 if results.clear or _all_gone(results, gone) else 1


def _all_gone(results: Results, gone: int) -> bool:
    return gone == len(results.findings) and not results.unread and not results.unknown


def _values(texts: Sequence[str], file: Path | None) -> tuple[str, ...]:
    """Return the values, without blanks around them, each once.

    Raises:
        UsageError: there are none, or the file cannot be read.

    """
    found = [*texts, *(_lines(file) if file else ())]
    values = tuple(dict.fromkeys(filter(None, (text.strip() for text in found))))
    if not values:
        raise UsageError("--value: give at least one value, or a file of them with --values FILE")
    if len(values) > MOST_VALUES:
        raise UsageError(f"--values: {len(values):,} values are too many: at most {MOST_VALUES:,}")
    if any(not _is_text(text) for text in values):
        raise UsageError("--value: must be UTF-8 text")
    return values


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"--values: cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--values: {str(file)!r} is not UTF-8 text") from error


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _progress(out: Console, where: str, versions: Sequence[Version]) -> Iterator[Observer]:
    """Show a bar on a terminal; elsewhere, say once what is searched."""
    sizes = (one.bytes for one in versions if one.place.kind != layout.MODELS)  # hardly read
    total = sum(sizes)
    what = counted(len(versions), "version")
    out.print(f"Searching {what} of objects ({total:,} bytes) in {where}", soft_wrap=True)
    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=total)
        before = 0

        def observe(version: Version) -> None:
            nonlocal before
            bar.update(task, advance=before, description=inert(version.key)[-60:])
            before = version.bytes

        yield observe


# --- What was found --------------------------------------------------------------------------


def _show(results: Results, target: Target) -> None:
    out = console()
    if results.findings:
        _show_table(out, results)
        _show_advice(out, results, target)
    else:
        print(f"Nothing was found in {counted(results.versions, 'version')} of objects.")
    _show_unknown(results)


def _show_table(out: Console, results: Results) -> None:
    columns = (
        Column("where", wraps=True),
        Column("version", importance=1),
        Column("found", wraps=True),
        Column("gone by itself", importance=2),
    )
    show_table(out, columns, [_cells(results, one) for one in results.findings])


def _cells(results: Results, finding: Finding) -> tuple[str, ...]:
    version = finding.version
    state = "" if version is None else "current" if version.current else "old"
    gone = "" if version is None else f"{finding.gone:%Y-%m-%d}" if finding.gone else "never"
    values = {results.sought.values[at] for at, _ in finding.found}
    several = len(results.sought.values) > 1
    whose = (
        f": {_listed([inert(repr(one)) for one in sorted(values)])}" if several and values else ""
    )
    return inert(finding.name), state, f"{finding.what}{whose}", gone


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _show_advice(out: Console, results: Results, target: Target) -> None:
    """Say what to do about each kind of finding, with the command for one of them."""
    first: dict[str, Finding] = {}
    for finding in results.findings:
        first.setdefault(finding.kind, finding)
    count = Counter(finding.kind for finding in results.findings)
    out.print()
    for kind, finding in first.items():
        title = _TITLES.get(kind, f"Other files in {kind}/")
        advice = inert(finding.advice(results.bucket, target.place_options()))
        out.print(f"{title} ({count[kind]}): {advice}", soft_wrap=True)
    if len(results.findings) > len(first):
        out.print("--json has the advice for each finding.", style="dim")


def _show_unknown(results: Results) -> None:
    """Say what could not be searched, each reason once."""
    unread: dict[str, list[str]] = {}
    for version, reason in results.unread:
        unread.setdefault(reason, []).append(version.key)
    for reason, keys in unread.items():
        say(f"Not read: {inert(_listed(sorted(set(keys))))}: {inert(reason)}")
    unknown: dict[str, list[str]] = {}
    for run, reason in results.unknown:
        unknown.setdefault(reason, []).append(run)
    for reason, runs in unknown.items():
        say(f"Not known what these runs read: {_listed(sorted(set(runs)))}: {inert(reason)}")
    for kind, objects in sorted(results.skipped.items()):
        where = f"{inert(kind)}/" if kind else "the top folder"
        say(f"Not searched: {counted(objects, 'version')} of other files in {where}")
    if results.without_column and results.with_column:
        tables = results.with_column + results.without_column
        say(f"{results.without_column} of {counted(tables, 'table')} lack the column.")


def _json(results: Results, done: Deletion | None, target: Target) -> dict[str, Any]:
    place = target.place_options()
    return {
        "column": results.sought.column,
        "bucket": results.bucket,
        "searched": {
            "versions": results.versions,
            "bytes": results.bytes,
            "rows": results.rows,
            "tables_with_column": results.with_column,
            "tables_without_column": results.without_column,
        },
        "findings": [
            one.as_json(results.sought, one.advice(results.bucket, place))
            for one in results.findings
        ],
        "unread": [
            {"key": version.key, "version_id": version.id, "reason": reason}
            for version, reason in results.unread
        ],
        "unknown_runs": [{"run": run, "reason": reason} for run, reason in results.unknown],
        "not_searched": [
            {"prefix": kind, "versions": count} for kind, count in sorted(results.skipped.items())
        ],
        "deleted": None if done is None else [_named(one) for one in done.deleted],
        "not_deleted": None
        if done is None
        else [{**_named(one), "reason": reason} for one, reason in done.kept],
    }


def _named(finding: Finding) -> dict[str, Any]:
    version = finding.version
    return {"key": finding.name, "version_id": version.id if version else None}


# --- Deleting --------------------------------------------------------------------------------


def _delete(search: StackSearch, results: Results, yes: bool) -> Deletion:
    findings = [one for one in results.findings if one.deletable]
    if not findings:
        return Deletion((), ())
    search.check_idle()
    what = counted(len(findings), "version")
    confirm(f"Delete {what} of objects from s3://{search.bucket} for good?", yes)
    return search.delete(findings)


def _show_deletion(done: Deletion) -> None:
    print(f"Deleted {counted(len(done.deleted), 'version')} of objects.")
    for finding, reason in done.kept:
        say(f"Not deleted: {inert(finding.name)}: {inert(reason)}")
