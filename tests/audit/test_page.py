"""The page for reviewers: its tables are those that figures, controls and exemptions give."""

from __future__ import annotations

import pytest

from generator.audit import page
from generator.audit.exemptions import read

TEXT = page.PAGE.read_text(encoding="utf-8")


def test_the_committed_page_is_up_to_date() -> None:
    assert page.page(TEXT) == TEXT, "run `python build.py audit --write`"


def test_every_part_is_on_the_page_once() -> None:
    expected = ["figures", "controls", "exemptions", "choices", "rights", "proof"]
    assert page.parts_of(TEXT) == expected


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(page.PageError, match="weather is no part"):
        page.page("<!-- begin weather -->\n<!-- end weather -->\n")


def test_every_exemption_is_on_the_page_with_reason_and_source() -> None:
    for exemption in read():
        for text in (exemption.title, exemption.reason, exemption.source):
            assert text in TEXT


def test_the_figures_say_that_nothing_is_open() -> None:
    checkers = page.load(page.FIGURES)["checkers"]
    assert {name: line["open"] for name, line in checkers.items() if line["open"]} == {}
