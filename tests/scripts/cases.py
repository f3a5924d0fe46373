"""Tables that people really have, made up and small: each one example of a kind of fault.

Every case is a function without arguments; the same table comes out each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.scripts.tables import csv_text


@dataclass(frozen=True)
class Case:
    """Files by name, the label's column, and what else preprocessing is told."""

    files: Mapping[str, str | bytes]
    label: str = "label"
    arguments: tuple[str, ...] = ()


def _random(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - of a test


def _one(header: Sequence[str], rows: Sequence[Sequence[object]], separator: str = ",") -> Case:
    """A case of one file whose last column is the label."""
    return Case({"data.csv": csv_text(header, rows, separator)}, header[-1])


def times() -> Case:
    """Bare times of day decide: calls from noon on are late."""
    draw = _random("times")
    minutes = [draw.randrange(24 * 60) for _ in range(400)]
    rows = [
        [f"{at // 60:02}:{at % 60:02}", draw.randrange(9), "late" if at >= 720 else "early"]
        for at in minutes
    ]
    return _one(["call_time", "n", "label"], rows)


TITANIC: Final = {  # class, sex and age: how many died, how many survived; as R ships it
    ("1st", "M", "child"): (0, 5),
    ("2nd", "M", "child"): (0, 11),
    ("3rd", "M", "child"): (35, 13),
    ("1st", "F", "child"): (0, 1),
    ("2nd", "F", "child"): (0, 13),
    ("3rd", "F", "child"): (17, 14),
    ("1st", "M", "adult"): (118, 57),
    ("2nd", "M", "adult"): (154, 14),
    ("3rd", "M", "adult"): (387, 75),
    ("crew", "M", "adult"): (670, 192),
    ("1st", "F", "adult"): (4, 140),
    ("2nd", "F", "adult"): (13, 80),
    ("3rd", "F", "adult"): (89, 76),
    ("crew", "F", "adult"): (3, 20),
}


def titanic() -> Case:
    """2,201 rows of which 24 are distinct."""
    rows = [
        [*person, fate]
        for person, counts in TITANIC.items()
        for fate, count in zip(("No", "Yes"), counts, strict=True)
        for _ in range(count)
    ]
    _random("titanic").shuffle(rows)
    return _one(["Class", "Sex", "Age", "Survived"], rows)


def charges(
    mark: str, written: Callable[[float], str] = "{:.2f}".format, separator: str = ","
) -> Case:
    """One cell in a hundred of the column that decides is `mark`; its numbers are `written` so."""
    draw = _random("charges")
    rows = []
    for at in range(600):
        months = draw.randrange(1, 72)
        total = months * draw.uniform(20, 110)
        cell = mark if at % 100 == 17 else written(total)
        rows.append([cell, months % 7, draw.choice("ab"), "yes" if total < 1500 else "no"])
    return _one(["TotalCharges", "tenure", "contract", "Churn"], rows, separator)


def odd_cell(at: int) -> Case:
    """One `?` among numbers, in row `at`: that row is for training or for testing."""
    draw = _random("odd cell")
    rows: list[list[object]] = [
        [at % 40, draw.random(), "a" if at % 40 > 19 else "b"] for at in range(200)
    ]
    rows[at][0] = "?"
    return _one(["x", "n", "label"], rows)


def numeric_names() -> Case:
    """Columns are named 0, 1 and 2, and hold such numbers."""
    draw = _random("numeric names")
    rows = []
    for _ in range(400):
        heat = draw.randrange(9)
        rows.append([heat, draw.randrange(9), draw.randrange(9), "hot" if heat > 4 else "cold"])
    return _one(["0", "1", "2", "label"], rows)


def flags() -> Case:
    """A column of true, false and unknown."""
    draw = _random("flags")
    drawn = [draw.choice(["true", "false", "unknown"]) for _ in range(400)]
    rows = [[flag, draw.random(), "buys" if flag == "true" else "leaves"] for flag in drawn]
    return _one(["member", "x", "label"], rows)


def booleans() -> Case:
    """A column of true and false, and some empty cells."""
    draw = _random("booleans")
    drawn = [draw.choice(["true", "true", "false", "false", ""]) for _ in range(400)]
    rows = [[flag, draw.random(), "buys" if flag == "true" else "leaves"] for flag in drawn]
    return _one(["member", "x", "label"], rows)


def twins() -> Case:
    """January writes its labels 0 and 1, February 0.0 and 1.0."""
    draw = _random("twins")
    months: dict[str, type[int] | type[float]] = {"jan.csv": int, "feb.csv": float}
    drawn = {name: [draw.random() for _ in range(200)] for name in months}
    return Case(
        {
            name: csv_text(["x", "y"], [[x, kind(x > 0.5)] for x in drawn[name]])
            for name, kind in months.items()
        },
        "y",
    )


def prefix() -> Case:
    """A table, and a backup of another one whose key begins with the table's."""
    draw = _random("prefix")
    rows = [[x, "a" if x > 0.5 else "b"] for x in (draw.random() for _ in range(300))]
    backup = [[x, "c"] for x, _ in rows[:100]]
    header = ["x", "label"]
    return Case(
        {"data.csv": csv_text(header, rows), "data.csv.bak": csv_text(header, backup)},
        arguments=("--input-uri=s3://bucket/raw/data.csv",),
    )


def classes(count: int = 250, each: int = 12) -> Case:
    """Many classes that one number tells apart."""
    draw = _random("classes")
    rows = [
        [name + draw.random() * 0.4, draw.random(), f"class {name}"]
        for _ in range(each)
        for name in range(count)
    ]
    return _one(["x", "n", "label"], rows)


def backslash() -> Case:
    """Label and class have backslashes, and other characters that JSON escapes."""
    draw = _random("backslash")
    values = [draw.random() for _ in range(300)]
    rows = [[x, "yes\\no" if x > 0.5 else 'may"be'] for x in values]
    case = _one(["x", "pass\\fail"], rows)
    return Case(case.files, case.label, ("--positive-class=yes\\no",))


def none_class() -> Case:
    """A class is called None, which means missing elsewhere."""
    draw = _random("none class")
    values = [draw.uniform(18, 35) for _ in range(300)]
    rows = [[x, "None" if x < 25 else draw.choice(["Insomnia", "Apnea"])] for x in values]
    return _one(["bmi", "sleep_disorder"], rows)


def header_newline() -> Case:
    """A header cell of two lines, as spreadsheets export it."""
    draw = _random("header newline")
    ages = [draw.randrange(180, 800) / 10 for _ in range(300)]
    return _one(["Age\n(years)", "label"], [[age, "a" if age > 40 else "b"] for age in ages])


def quoted_commas() -> Case:
    """Fields are separated by semicolons, and the quoted header is full of commas."""
    draw = _random("quoted commas")
    ages = [draw.randrange(180, 800) / 10 for _ in range(300)]
    rows = [[age, age * 2, at % 7, "a" if age > 40 else "b"] for at, age in enumerate(ages)]
    return _one(["age", "x, in km, west", "c, d", "label"], rows, ";")


def firmware() -> Case:
    """Versions such as 1.2.3, which a parser of dates takes for dates."""
    draw = _random("firmware")
    versions = [f"{a}.{b}.{c}" for a in range(1, 6) for b in range(1, 4) for c in range(1, 3)]
    drawn = [draw.choice(versions) for _ in range(1200)]  # LightGBM passes over rare categories
    states = ["open", "patched"]
    rows = [  # one in forty is wrong, or training has no end
        [version, draw.random(), states[(version[0] in "45") != (at % 40 == 0)]]
        for at, version in enumerate(drawn)
    ]
    return _one(["version", "n", "label"], rows)


def abalone_like() -> Case:
    """A label of whole numbers that is a quantity."""
    draw = _random("abalone")
    rows = []
    for _ in range(900):
        length = draw.uniform(0.1, 0.8)
        rings = min(max(round(3 + 20 * length + draw.gauss(0, 1)), 5), 19)  # no class is rare
        rows.append([length, length * draw.uniform(0.7, 0.9), draw.choice("MFI"), rings])
    return _one(["length", "diameter", "sex", "rings"], rows)


def codes() -> Case:
    """Whole numbers that are names of groups: the user says so."""
    draw = _random("codes")
    drawn = [draw.randrange(1, 9) for _ in range(400)]
    rows = [[code, draw.random(), "odd" if code % 2 else "even"] for code in drawn]
    case = _one(["code", "x", "label"], rows)
    return Case(case.files, case.label, ('--column-kinds={"code": "category"}',))


def instances() -> Case:
    """A feature has the name of the envelope that requests may come in."""
    draw = _random("instances")
    rows = [[x, "many" if x > 50 else "few"] for x in (draw.uniform(0, 100) for _ in range(300))]
    return _one(["instances", "label"], rows)


def only_texts() -> Case:
    """No column has numbers, so that a header looks like any row."""
    draw = _random("only texts")
    drawn = [
        (draw.choice(["red", "green", "blue", "gray"]), draw.choice(["oak", "pine", "elm"]))
        for _ in range(400)
    ]
    shades = ["bright", "dark"]
    rows = []
    for at, (color, wood) in enumerate(drawn):  # one in twenty is wrong, or training has no end
        rows.append([color, wood, shades[(color in {"blue", "gray"}) != (at % 20 == 0)]])
    return _one(["color", "wood", "label"], rows)


CASES: Final[dict[str, Callable[[], Case]]] = {
    "times": times,
    "titanic": titanic,
    "missing-blank": lambda: charges(" "),
    "missing-question": lambda: charges("?"),
    "decimal-comma": lambda: charges(
        "", lambda value: f"{value:.2f}".replace(".", ","), separator=";"
    ),
    "thousands": lambda: charges("", "{:,.2f}".format),
    "odd-cell": lambda: odd_cell(17),
    "odd-cell-elsewhere": lambda: odd_cell(3),
    "numeric-names": numeric_names,
    "flags": flags,
    "booleans": booleans,
    "twins": twins,
    "prefix": prefix,
    "classes-250": classes,
    "classes-1000": lambda: classes(1000, 4),
    "backslash": backslash,
    "none-class": none_class,
    "header-newline": header_newline,
    "quoted-commas": quoted_commas,
    "firmware": firmware,
    "abalone-like": abalone_like,
    "codes": codes,
    "instances": instances,
    "only-texts": only_texts,
}
