"""Options that describe the user's table; each one sets a parameter of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click

from generator.errors import UsageError
from generator.project import FILE
from pipeline.types import Json
from tabular_ml_vpc.local.inputs import check_threshold, parse_choices, parse_settings

TABLE_PARAMETERS: Final = {
    "--label": "LabelColumn",
    "--problem": "ProblemType",
    "--group-column": "GroupColumn",
    "--time-column": "TimeColumn",
    "--exclude-columns": "ExcludeColumns",
    "--missing-marks": "MissingMarks",
    "--column-kinds": "ColumnKinds",
}
"""The pipeline parameter that each option sets."""

_CHOSEN: Final = f"{__name__}.chosen"


def table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; they pass no argument: `table_choices` returns what was given."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def table_choices(context: click.Context) -> Mapping[str, str]:
    """The values that were given, by option."""
    found: dict[str, str] = context.meta.get(_CHOSEN, {})
    return found


def run_parameters(
    context: click.Context, pairs: Iterable[str], definition: Json, remembered: Mapping[str, str]
) -> dict[str, Any]:
    """The typed parameters that were given with ``--set`` and the table's options.

    Those of the project file, `remembered`, are added unless they were given.

    Raises:
        UsageError: one of them is unknown or not allowed, or two of them differ.

    """
    given = parse_settings(pairs, definition)
    choices = parse_choices(table_choices(context), TABLE_PARAMETERS, definition)
    for name, (option, value) in choices.items():
        if given.get(name, value) != value:
            raise UsageError(f"{option} and --set {name} differ: give only one of them")
        given[name] = value
    usual = [f"{name}={value}" for name, value in remembered.items() if name not in given]
    found = parse_settings(usual, definition, f"{FILE}: run.") | given
    check_threshold(found, definition)
    return found


def _note(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta.setdefault(_CHOSEN, {})[parameter.opts[0]] = value


def _option(name: str, metavar: str, text: str) -> Callable[..., Any]:
    return click.option(name, metavar=metavar, help=text, expose_value=False, callback=_note)


_OPTIONS: Final = (
    _option("--label", "COLUMN", "The column to predict."),
    _option("--problem", "auto|binary|multiclass|regression", "The type of problem."),
    _option("--group-column", "COLUMN", "Keep rows with the same value on one side of the split."),
    _option("--time-column", "COLUMN", "Test on the newest rows, by this column."),
    _option("--exclude-columns", "NAME,...", "Ignore these columns (or a JSON list)."),
    _option("--missing-marks", "MARK,...", "Read these values as missing (or a JSON list)."),
    _option("--column-kinds", "NAME=KIND,...", "Set the kinds of columns (or a JSON object)."),
)
