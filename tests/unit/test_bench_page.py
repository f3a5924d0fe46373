"""The page with the figures keeps the sections of other programs."""

from __future__ import annotations

from pathlib import Path

from tests.bench.page import replace_section, table


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "docs/benchmarks.md"
    replace_section("one", "first", page)
    replace_section("two", r"with \1 and $", page)
    replace_section("one", "second", page)

    text = page.read_text()

    assert text.startswith("# Benchmarks\n")
    assert "first" not in text
    assert text.index("<!-- begin one -->\nsecond\n<!-- end one -->") < text.index("<!-- begin two")
    assert r"with \1 and $" in text


def test_a_table_has_a_rule_of_its_width() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"
