"""The page for reviewers: its tables are those that figures, controls and exemptions give."""

from __future__ import annotations

import re

import pytest

from generator.files import REPOSITORY
from tabular_ml_vpc.reports.audit import page
from tabular_ml_vpc.reports.audit.exemptions import read

TEXT = page.PAGE.read_text(encoding="utf-8")


def test_the_committed_page_is_up_to_date() -> None:
    assert page.page(TEXT) == TEXT, "run `python build.py audit --page`"


def test_every_part_is_on_the_page_once() -> None:
    expected = ["figures", "controls", "assessments", "exemptions", "choices", "rights", "proof"]
    assert re.findall(r"<!-- begin (\w+) -->", TEXT) == expected


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(page.PageError, match="unknown part 'weather'"):
        page.page("<!-- begin weather -->\n<!-- end weather -->\n")


def test_every_exemption_is_on_the_page_with_reason_and_source() -> None:
    for exemption in read():
        for text in (exemption.title, exemption.reason, exemption.source):
            assert text in TEXT


def test_the_figures_say_that_nothing_is_open() -> None:
    checkers = page.load(page.FIGURES)["checkers"]
    assert {name: line["open"] for name, line in checkers.items() if line["open"]} == {}


@pytest.mark.parametrize("name", ["security.md", "threat-model.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    folders = r"tests|generator|templates|requirements|docs|\.github"
    named = re.findall(rf"`((?:{folders})/[^`*\s]*)`", text)
    linked = [f"docs/{path}" for path in re.findall(r"\]\(([\w.-]+\.md)\)", text)]
    assert [path for path in [*named, *linked] if not (REPOSITORY / path).exists()] == []
    assert len(named) > 5


def test_every_threat_names_the_test_that_shows_its_control() -> None:
    text = (REPOSITORY / "docs/threat-model.md").read_text(encoding="utf-8")
    table = text.partition("## Threats")[2].partition("## What is not")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row.rpartition(" | ")[2]] == []
