"""The synthetic table is what its description says: the same everywhere, learnable, streamed."""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

import pytest

from functions.seed_data.table import BLOCK_ROWS, LABEL, VERSION, blocks, groups, header

Row = dict[str, str]

ROWS = 20_000
MIB = 1 << 20
GROUPS = [group.columns for group in groups()]


def table(rows: int, seed: int) -> list[Row]:
    text = b"".join(blocks(rows, seed)).decode()
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def sample() -> list[Row]:
    return table(ROWS, seed=1)


def test_the_file_has_a_header_and_the_rows_asked_for(sample: list[Row]) -> None:
    assert tuple(sample[0]) == header()
    assert header()[-1] == LABEL
    assert len(sample) == ROWS


def test_every_row_is_whole(sample: list[Row]) -> None:
    assert {len(row) for row in sample} == {len(header())}
    assert not any(None in row or None in row.values() for row in sample)


@pytest.mark.parametrize("rows", [100, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_the_number_of_rows_is_exact_around_a_block(rows: int) -> None:
    assert sum(piece.count(b"\n") for piece in blocks(rows, 1)) == rows + 1


# The same everywhere


def test_the_bytes_of_this_version_are_these() -> None:
    """Another digest is another table: raise `VERSION`, so that files are rewritten."""
    digest = hashlib.sha256(b"".join(blocks(1000, 1))).hexdigest()
    assert (VERSION, digest) == (
        1,
        "572db838855384b4a7205c82427f50f0798714944583e12171ae74b3c3c34929",
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert [*blocks(500, 3)] == [*blocks(500, 3)]


def test_another_seed_gives_another_table() -> None:
    tables = {b"".join(blocks(500, seed)) for seed in (0, 1, 2, -1, 10**30)}
    assert len(tables) == 5


def test_a_shorter_table_is_the_beginning_of_a_longer_one() -> None:
    assert b"".join(blocks(BLOCK_ROWS + 500, 1)).startswith(b"".join(blocks(700, 1)))


# Each row for itself


def test_no_block_repeats() -> None:
    pieces = [piece.partition(b"label\n")[2] or piece for piece in blocks(3 * BLOCK_ROWS, 1)]
    assert len(pieces) == 3
    lines = [piece.splitlines() for piece in pieces]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        equal = sum(a == b for a, b in zip(lines[one], lines[other], strict=True))
        assert equal < BLOCK_ROWS / 1000


def test_rows_hardly_repeat(sample: list[Row]) -> None:
    most_common = Counter(tuple(row.values()) for row in sample).most_common(1)[0][1]
    assert most_common <= 2


def test_columns_do_not_repeat_with_a_period(sample: list[Row]) -> None:
    incomes = [row["monthly_income"] for row in sample]
    for shift in (1, 2, 256, 1024, 4096, 8192):
        pairs = zip(incomes, islice(incomes, shift, None), strict=False)
        assert sum(a == b for a, b in pairs) / (ROWS - shift) < 0.02


# What is in it


def test_a_third_of_the_customers_leave(sample: list[Row]) -> None:
    assert {row[LABEL] for row in sample} == {"0", "1"}
    assert 0.28 < sum(row[LABEL] == "1" for row in sample) / ROWS < 0.32


@pytest.mark.parametrize(
    ("column", "least", "most"),
    [
        ("age", 18, 90),
        ("support_calls", 0, 7),
        ("monthly_income", 1200, 6900),
        ("monthly_spend", 9.0, 73.15),
        ("tenure_months", 0, 71),
        ("devices", 1, 5),
    ],
)
def test_numbers_are_in_their_range(
    sample: list[Row], column: str, least: float, most: float
) -> None:
    values = [float(row[column]) for row in sample if row[column]]
    assert least <= min(values) < max(values) <= most


@pytest.mark.parametrize(
    ("column", "classes"),
    [
        ("plan", {"basic", "standard", "premium"}),
        ("region", {"north", "south", "east", "west", "overseas"}),
        ("payment_method", {"card", "direct_debit", "bank_transfer"}),
        ("satisfaction", {"1", "2", "3", "4", "5", ""}),
    ],
)
def test_categories_are_those_described(sample: list[Row], column: str, classes: set[str]) -> None:
    assert {row[column] for row in sample} == classes


def test_income_is_missing_whoever_it_is(sample: list[Row]) -> None:
    for label in ("0", "1"):
        rows = [row for row in sample if row[LABEL] == label]
        missing = sum(not row["monthly_income"] for row in rows) / len(rows)
        assert 0.04 < missing < 0.06


def test_only_documented_columns_are_missing(sample: list[Row]) -> None:
    incomplete = {name for row in sample for name, value in row.items() if not value}
    assert incomplete == {"monthly_income", "satisfaction"}


# Learnable


def cells(row: Row) -> list[str]:
    """The row in groups, with numbers in a few bins."""
    values = {name: _binned(value) for name, value in row.items()}
    return ["/".join(values[column] for column in columns) for columns in GROUPS]


def _binned(value: str) -> str:
    return str(int(float(value) / 4)) if value.replace(".", "").isdigit() else value


def area_under_curve(scores: Sequence[float], labels: Sequence[str]) -> float:
    """ROC AUC by ranks."""
    ranked = sorted(zip(scores, labels, strict=True))
    ranks = [rank for rank, (_, label) in enumerate(ranked, start=1) if label == "1"]
    positive = len(ranks)
    negative = len(labels) - positive
    return (sum(ranks) - positive * (positive + 1) / 2) / (positive * negative)


def naive_bayes(rows: Iterable[Row]) -> dict[tuple[int, str], float]:
    """Log odds of each cell."""
    counts: dict[str, Counter[tuple[int, str]]] = {"0": Counter(), "1": Counter()}
    for row in rows:
        counts[row[LABEL]].update(enumerate(cells(row)))
    total = {label: max(sum(seen.values()), 1) for label, seen in counts.items()}
    seen = counts["0"] | counts["1"]
    return {
        cell: math.log((counts["1"][cell] + 1) / total["1"])
        - math.log((counts["0"][cell] + 1) / total["0"])
        for cell in seen
    }


def held_out_auc(rows: list[Row]) -> float:
    odds = naive_bayes(rows[: ROWS // 2])
    test = rows[ROWS // 2 :]
    scores = [sum(odds.get(cell, 0.0) for cell in enumerate(cells(row))) for row in test]
    return area_under_curve(scores, [row[LABEL] for row in test])


def test_a_simple_model_learns_it_and_not_all_of_it(sample: list[Row]) -> None:
    """`train` and gate have something to do: no column betrays the label."""
    assert 0.90 < held_out_auc(sample) < 0.97


def test_the_measure_of_learning_sees_noise_as_noise(sample: list[Row]) -> None:
    labels = [row[LABEL] for row in sample]
    noise = [row | {LABEL: label} for row, label in zip(sample, reversed(labels), strict=True)]
    assert 0.45 < held_out_auc(noise) < 0.55


@pytest.mark.parametrize("column", ["age", "devices", "region"])
def test_some_columns_say_nothing_alone(sample: list[Row], column: str) -> None:
    values = sorted({row[column] for row in sample})
    scores = [float(values.index(row[column])) for row in sample]
    ties_broken = [score + number / ROWS / 2 for number, score in enumerate(scores)]
    assert 0.45 < area_under_curve(ties_broken, [row[LABEL] for row in sample]) < 0.55


def test_a_piece_is_as_large_as_a_part_of_an_upload_has_to_be() -> None:
    first = next(blocks(2 * BLOCK_ROWS, 1))
    assert 5 * MIB < len(first) < 16 * MIB
