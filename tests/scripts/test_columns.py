"""What the schema says of itself, and whether a request's first row is a header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from columns import Column, Schema, looks_like_header, match_names

LABEL = Column("label", "category", role="label", categories=("a", "b"))


def schema(*columns: Column) -> Schema:
    return Schema("label", "binary", ("a", "b"), "b", LABEL, columns, rows=9)


NUMBERS = schema(*(Column(name, "integer") for name in "012"))
TEXTS = schema(Column("title", "text"), Column("body", "text"))
MIXED = schema(
    Column("age", "number"),
    Column("plan", "category", categories=("age", "basic")),
    Column("id", "identifier"),
)


@pytest.mark.parametrize(
    ("known", "row", "header"),
    [
        (NUMBERS, "2,0,1", False),  # a row that can be data is data
        (TEXTS, "title,body", True),
        (TEXTS, " Title ,BODY", True),
        (TEXTS, "a title,a body", False),
        (MIXED, "age,plan,id", True),
        (MIXED, "plan,AGE", True),
        (MIXED, "12,age", False),
        (MIXED, "12,basic,age", False),
        (MIXED, "id,plan,age,more", True),
        (schema(Column("e", "number"), Column("E5", "number")), "e,E5", True),
    ],
)
def test_a_header_names_the_columns_and_cannot_be_data(
    known: Schema, row: str, header: bool
) -> None:
    assert looks_like_header(row.split(","), known) is header


def test_a_name_is_found_in_another_case_if_only_one_is_alike() -> None:
    assert match_names(["Member ", "x"], ["member"]) == {"member": 0}
    assert match_names(["MEMBER", "Member"], ["member"]) == {}
    assert match_names(["MEMBER", "member"], ["member"]) == {"member": 1}


def test_the_schema_is_read_as_it_was_written(tmp_path: Path) -> None:
    known = replace(MIXED, columns=(*MIXED.columns, Column("x", "number", odd={"x": 2})))
    known.save(tmp_path / "schema.json")
    assert Schema.load(tmp_path / "schema.json") == known


def test_a_schema_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="schema version 2: only 1 can be read"):
        Schema.from_json(MIXED.to_json() | {"version": 2})
