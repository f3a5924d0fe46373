"""What a table's columns were taken for, in words: on the terminal and for programs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.table_schema import TableView, chosen, counted
from tabular_ml_vpc.cli import local_table
from tabular_ml_vpc.figures import figure
from tests.local.test_report import NASTY, regression_reports, schema


def view() -> TableView:
    return TableView(schema("regression"), regression_reports()["profile/profile.json"])


def shown(table: TableView) -> str:
    text = io.StringIO()
    local_table.show(Console(file=text, width=200, highlight=False), table)
    return text.getvalue()


def line(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_terminal_shows_kind_writing_missing_and_odd_cells_of_each_column() -> None:
    odd = line(shown(view()), NASTY)
    assert all(part in odd for part in ("number", "decimal comma", "12 (12.0%)", "2 more", "'?'"))
    assert "%d.%m.%Y" in line(shown(view()), "day")


def test_the_terminal_names_what_is_not_trained_on_with_the_reason() -> None:
    assert "not used: its values identify rows" in line(shown(view()), "customer")
    assert "(GroupColumn)" in line(shown(view()), "shop")


def test_the_terminal_says_problem_split_and_warnings() -> None:
    text = shown(view())
    assert line(text, "Problem: ") == f"Problem: Regression: {NASTY} is a quantity"
    assert "the newest rows" in line(text, "Split: ")
    assert line(text, "warning: ") == f"warning: column {NASTY} has odd cells"


def test_a_run_without_a_schema_shows_nothing() -> None:
    assert shown(TableView({}, {})) == ""


def test_programs_get_schema_problem_split_warnings_and_leakage() -> None:
    told = view().as_json()
    assert told["problem"]["type"] == "regression"
    assert told["warnings"] == [f"column {NASTY} has odd cells"]
    assert told["leakage"] == [{"column": NASTY, "score": 0.9995}]
    assert told["schema"]["columns"][0]["odd_cells"] == 5
    assert told["split"]["way"] == "time"


@pytest.mark.parametrize(("most", "names"), [(1, ["target"]), (3, ["target", NASTY, "day"])])
def test_where_room_is_short_columns_with_something_to_say_come_first(
    most: int, names: list[str]
) -> None:
    assert [column.name for column in chosen(view().columns, most)] == names


def test_values_are_counted_from_the_most_frequent_down() -> None:
    times = "\N{MULTIPLICATION SIGN}"
    values = {"a": 1, "b": 3, "c": 2, "d": 1}
    assert counted(values, 9) == f"'b' 3{times}, 'c' 2{times}, 'a' 1{times}, 3 more"
    assert counted({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(3, "3"), (0.5, "0.5"), (0.0, "0"), (0.94754, "0.9475"), (-0.00002, "-2e-05")],
        *[(52_341.25, "52,341.2"), (-1234.5, "-1234.5")],
    ],
)
def test_a_figure_of_any_size_can_be_read(value: float, text: str) -> None:
    assert figure(value) == text
