"""What a column is taken for: each kind, both sides of each threshold, in any order of cells."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from columns import Column
from decide import NEARLY, Evidence, Wish, decide
from jobs import JobError

DRAW = random.Random(5)  # noqa: S311 - of a test


def number(least: int, most: int) -> int:
    return DRAW.randrange(least, most)


def evidence(cells: list[str | None], name: str = "x", parts: int = 1) -> Evidence:
    """What is known of cells that come in some parts."""
    size = -(-len(cells) // parts)
    whole = Evidence(name)
    for start in range(0, len(cells), size):
        part = Evidence(name)
        part.add(pa.array(cells[start : start + size], pa.string()))
        whole.merge(part)
    return whole


def decided(cells: list[str], name: str = "x", wish: Wish | None = None) -> Column:
    """The decision, which no order of cells and no number of parts changes."""
    wish = wish or Wish()
    found = decide(evidence([*cells], name), wish)
    shuffled: list[str | None] = [*DRAW.sample(cells, len(cells))]
    assert decide(evidence(shuffled, name, parts=3), wish) == found
    return found


def many(draw: object, rows: int = 120) -> list[str]:
    return [str(draw()) for _ in range(rows)]  # type: ignore[operator]


KINDS = {
    "integers": (lambda: DRAW.randrange(40), "integer", ""),
    "fractions": (lambda: f"{DRAW.random():.3f}", "number", ""),
    "scientific": (lambda: f"{DRAW.random():.3e}", "number", ""),
    "decimal comma": (lambda: f"{DRAW.random():.2f}".replace(".", ","), "number", "decimal comma"),
    "thousands": (lambda: f"{DRAW.uniform(1, 1e6):,.2f}", "number", "thousands ','"),
    "thousands with points": (
        lambda: f"{DRAW.uniform(1, 1e6):,.2f}".translate(str.maketrans(",.", ".,")),
        "number",
        "decimal comma, thousands '.'",
    ),
    "euros": (lambda: f"€ {DRAW.randrange(900)}.50", "number", "€"),
    "dollars": (lambda: f"${DRAW.randrange(9000):,}", "number", "thousands ',', $"),
    "currency code": (lambda: f"{DRAW.randrange(900)} EUR", "number", "EUR"),
    "percent": (lambda: f"{DRAW.randrange(900) / 10} %", "number", "%"),
    "negatives in brackets": (
        lambda: DRAW.choice(["({}.50)", "{}.50"]).format(DRAW.randrange(90)),
        "number",
        "",
    ),
    "booleans": (lambda: DRAW.choice(["Yes", "no"]), "boolean", ""),
    "zero and one": (lambda: DRAW.choice("01"), "integer", ""),
    "ISO dates": (lambda: f"2024-{DRAW.randrange(1, 13):02}-15", "date", "%Y-%m-%d"),
    "American dates": (lambda: f"{number(1, 13)}/{number(13, 28)}/2024", "date", "%m/%d/%Y"),
    "European dates": (lambda: f"{number(13, 28)}/{number(1, 13)}/2024", "date", "%d/%m/%Y"),
    "German dates": (lambda: f"{number(1, 28):02}.{number(1, 13):02}.24", "date", "%d.%m.%y"),
    "months by name": (lambda: f"{DRAW.randrange(1, 28)} Mar 2024", "date", "%d %b %Y"),
    "months in full": (lambda: f"March {DRAW.randrange(1, 28)}, 2024", "date", "%B %d, %Y"),
    "eight digits": (lambda: f"2024{number(1, 13):02}{number(1, 28):02}", "date", "%Y%m%d"),
    "moments": (
        lambda: f"2024-01-{DRAW.randrange(1, 28):02}T{DRAW.randrange(24):02}:10:11Z",
        "datetime",
        "%Y-%m-%dT%H:%M:%S.%f%z",
    ),
    "times": (lambda: f"{DRAW.randrange(24)}:{DRAW.randrange(60):02}", "time", "%H:%M"),
    "times of twelve hours": (lambda: f"{DRAW.randrange(1, 13)}:05 pm", "time", "%I:%M %p"),
    "long durations": (lambda: f"{number(0, 90)}:{number(0, 60):02}:00", "duration", "H:MM:SS"),
    "ISO durations": (lambda: f"PT{DRAW.randrange(90)}M", "duration", "PnDTnHnMnS"),
    "categories": (lambda: DRAW.choice(["red", "green"]), "category", ""),
    "versions": (lambda: f"{number(0, 5)}.{number(0, 3)}.{number(0, 3)}", "category", ""),
    "codes": (lambda: f"{DRAW.randrange(300):05}", "category", ""),
    "sentences": (lambda: " ".join(DRAW.choices("abcdefgh", k=6)), "text", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_column_is_what_its_cells_show(name: str) -> None:
    draw, kind, written = KINDS[name]
    found = decided(many(draw))
    assert (found.kind, found.written) == (kind, written)


@pytest.mark.parametrize(("odd", "kind"), [(10, "number"), (11, "category")])
def test_nine_tenths_make_the_kind(odd: int, kind: str) -> None:
    assert NEARLY == 0.9
    cells = [f"{at}.5" for at in range(100 - odd)] + [f"odd {at % 3}" for at in range(odd)]
    found = decided(cells)
    assert found.kind == kind
    assert bool(found.notes) == (kind == "category")  # it is told to be mixed


@pytest.mark.parametrize("mark", ["?", "-", "--", ".", "NA", "N/a", "none", "NULL", r"\N", "nan"])
def test_marks_mean_missing_among_numbers_and_are_values_among_texts(mark: str) -> None:
    numbers = decided([*map(str, range(10)), mark, "3"])
    assert (numbers.kind, numbers.candidates) == ("integer", {})
    texts = decided(["DE", "US", mark, "DE"])
    assert (texts.kind, texts.candidates) == ("category", {mark: 1})
    assert texts.categories is not None
    assert mark in texts.categories


def test_marks_of_the_user_mean_missing_everywhere() -> None:
    found = Evidence("x", ("na",))
    found.add(pa.array(["DE", "NA", "US"]))
    assert decide(found, Wish()).categories == ("DE", "US")


@pytest.mark.parametrize(("rows", "kind"), [(49, "integer"), (99, "integer"), (120, "identifier")])
def test_dense_numbers_identify_rows(rows: int, kind: str) -> None:
    expected = kind if rows < 50 else "identifier"
    assert decided([str(at + 7) for at in range(rows)]).kind == expected


def test_numbers_with_gaps_identify_rows_if_their_name_says_so() -> None:
    cells = [str(at * 7) for at in range(100)]
    assert decided(cells, "income").kind == "integer"
    assert decided(cells, "CustomerId").kind == "identifier"
    assert decided([*cells, cells[0]], "CustomerId").kind == "integer"


def test_what_never_varies_is_constant_or_empty() -> None:
    assert decided(["7"] * 9).kind == "constant"
    assert decided(["", "NA", " "]).kind == "empty"
    assert decided(["Y", "", "Y"]).kind == "boolean"  # a missing value is unlike all others


def test_the_user_decides_otherwise() -> None:
    cells = many(lambda: DRAW.randrange(5))
    assert decided(cells, wish=Wish({"x": "category"})).kind == "category"
    assert decided(cells, wish=Wish({"x": "number"})).kind == "number"
    with pytest.raises(JobError, match=r"column 'x' should be date, but only 0 of 120 cells"):
        decided(cells, wish=Wish({"x": "date"}))


def test_what_could_be_meant_otherwise_is_told() -> None:
    dates = decided(many(lambda: f"{DRAW.randrange(1, 12)}/{DRAW.randrange(1, 12)}/2024"))
    assert dates.format == "%m/%d/%Y"
    assert "day and month" in dates.notes[0]
    commas = many(lambda: f"{DRAW.randrange(1, 90)},{DRAW.randrange(100, 999)}")
    english, german = decided(commas), decided(commas, wish=Wish(semicolons=True))
    assert (english.thousands, german.decimal) == (",", ",")
    assert "can also be read with a decimal comma" in english.notes[0]
    assert "can also be read with a comma between thousands" in german.notes[0]


def test_types_of_parquet_are_taken_as_they_are() -> None:
    for values, kind in (
        (pa.array([1, 2, 3]), "integer"),
        (pa.array([1.5, None, 3]), "number"),
        (pa.array([True, False, None]), "boolean"),
        (pa.array([1, 2], pa.date32()), "date"),
        (pa.array([1, 2]).cast(pa.timestamp("us")), "datetime"),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "category"),
    ):
        found = Evidence("x")
        found.add(values)
        assert decide(found, Wish()).kind == kind
