"""Options that say what the user's table means, each the name of one of the run's parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

TABLE_PARAMETERS: Final = {
    "--label": "LabelColumn",
    "--problem": "ProblemType",
    "--group-column": "GroupColumn",
    "--time-column": "TimeColumn",
    "--exclude-columns": "ExcludeColumns",
    "--missing-marks": "MissingMarks",
    "--column-kinds": "ColumnKinds",
}
"""The pipeline's parameter that each option sets."""

_CHOSEN: Final = f"{__name__}.chosen"


def table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; they give no argument, `table_choices` has what was given."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def table_choices(context: click.Context) -> Mapping[str, str]:
    """What was given, by option."""
    found: dict[str, str] = context.meta.get(_CHOSEN, {})
    return found


def _note(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta.setdefault(_CHOSEN, {})[parameter.opts[0]] = value


def _option(name: str, metavar: str, text: str) -> Callable[..., Any]:
    return click.option(name, metavar=metavar, help=text, expose_value=False, callback=_note)


_OPTIONS: Final = (
    _option("--label", "COLUMN", "The column to predict."),
    _option("--problem", "auto|binary|multiclass|regression", "What to predict."),
    _option("--group-column", "COLUMN", "Keep the rows of one value on one side of the split."),
    _option("--time-column", "COLUMN", "Test on the newest rows, by this column."),
    _option("--exclude-columns", "NAME,...", "Leave these columns out (or a JSON list)."),
    _option("--missing-marks", "MARK,...", "Read these cells as missing (or a JSON list)."),
    _option("--column-kinds", "NAME=KIND,...", "Say what columns are (or a JSON object)."),
)
