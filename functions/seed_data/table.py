"""A synthetic table of customers, some of whom leave: learnable, reproducible, fast to write.

**Content.** One row per customer; ``label`` is 1 for the 30 % who leave. Ten features:

=================  ==========================================================================
age                18 to 90; not predictive on its own
support_calls      0 to 7; young leavers call often, old leavers hardly ever
monthly_income     1200 to 6900; leavers earn a little less; 5 % missing at random
monthly_spend      9.00 to 73.15; leavers spend more
tenure_months      0 to 71; leavers are mostly new
devices            1 to 5; not predictive
plan               basic, standard, premium; leavers more often basic
region             five regions; not predictive
payment_method     card, direct_debit or bank_transfer; leavers more often bank_transfer
satisfaction       1 to 5; low for leavers, who also leave it empty twice as often
=================  ==========================================================================

The classes overlap: the best possible model reaches a ROC AUC of about 0.95. A model that is linear
in the features reaches less, because ``age`` and ``support_calls`` interact.

**Speed.** Columns that belong together form a *group* with few possible texts. For each label, a
group has a list of 2^15 texts, in which the frequency of each text is its probability
(``_lookup``). A row draws its label and then, for each group, 15 random bits that select a text: a
row is five table look-ups, and rows are independent.

**Reproducibility.** The random bits are SHAKE-128 (FIPS 202) of the seed and the block, and all
weights are integers: the result depends neither on Python's generator nor on a machine's floating
point. The first n rows of a longer table with the same seed are the table of n rows.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import Final, NamedTuple

VERSION: Final = 1
"""Version of the table's content: increase it whenever the same seed gives different bytes."""

LABEL: Final = "label"

BLOCK_ROWS: Final = 1 << 17
"""Rows in one block of bytes, which is also one part of an upload (at least 5 MiB)."""

_POSITIVE_OF_256: Final = 77
_DRAWS: Final = 1 << 15
_INDEX_BYTES: Final = 2
_MIDDLE_AGE: Final = 52


class Cell(NamedTuple):
    """One possible text of a group, with its relative weight for each label."""

    text: str
    stays: int
    leaves: int


class Group(NamedTuple):
    """Columns that are drawn together."""

    columns: tuple[str, ...]
    cells: tuple[Cell, ...]


def groups() -> tuple[Group, ...]:
    """Return the table's design; the groups are independent of each other, given the label."""
    return (_age_and_calls(), _income(), _spend(), _tenure(), _contract())


def header() -> tuple[str, ...]:
    """Return the names of all columns, the label last."""
    return (*chain.from_iterable(group.columns for group in groups()), LABEL)


def blocks(rows: int, seed: int) -> Iterator[bytes]:
    """Yield a CSV file of ``rows`` rows in pieces; the first piece begins with the header.

    Every piece except the last holds ``BLOCK_ROWS`` rows. Memory does not grow with ``rows``.
    """
    lookups = [_lookup(group) for group in groups()]
    lookups[-1] = _with_label(lookups[-1])
    title = ",".join(header()) + "\n"
    for number, first in enumerate(range(0, rows, BLOCK_ROWS)):
        indices = _draw(seed, number, len(lookups), min(BLOCK_ROWS, rows - first))
        yield (title + _write(lookups, indices)).encode("ascii")
        title = ""


def _write(lookups: Sequence[Sequence[str]], indices: Sequence[array[int]]) -> str:
    """Join the selected texts, row by row. Joining bytes instead takes 50 MB (measured)."""
    picks = [map(texts.__getitem__, index) for texts, index in zip(lookups, indices, strict=True)]
    return "".join(chain.from_iterable(zip(*picks, strict=True)))


def _draw(seed: int, block: int, group_count: int, rows: int) -> list[array[int]]:
    """Draw one index per row for each group: the row's label in the top bit, then 15 random bits.

    The labels of all rows are set at once, as bits of one very long integer.
    """
    size = _INDEX_BYTES * BLOCK_ROWS
    stream = hashlib.shake_128(f"{seed}/{block}".encode()).digest(BLOCK_ROWS + group_count * size)
    top = bytearray(size)
    top[1::_INDEX_BYTES] = stream[:BLOCK_ROWS].translate(_LABEL_BIT)
    labels = int.from_bytes(top, "little")
    mask = int.from_bytes(b"\xff\x7f" * BLOCK_ROWS, "little")
    indices = []
    for start in range(BLOCK_ROWS, len(stream), size):
        bits = int.from_bytes(stream[start : start + size], "little") & mask | labels
        indices.append(_as_indices(bits.to_bytes(size, "little")[: _INDEX_BYTES * rows]))
    return indices


_LABEL_BIT: Final = bytes(0x80 if draw < _POSITIVE_OF_256 else 0 for draw in range(256))


def _as_indices(little_endian: bytes) -> array[int]:
    indices = array("H", little_endian)
    if sys.byteorder == "big":
        indices.byteswap()
    return indices


def _lookup(group: Group) -> list[str]:
    """Return 2^16 texts: those for customers who stay, then those for customers who leave.

    Equal texts are one object: a table that fits in the CPU's cache is twice as fast.
    """
    texts = [cell.text + "," for cell in group.cells]
    stays = _spread([cell.stays for cell in group.cells])
    leaves = _spread([cell.leaves for cell in group.cells])
    return [texts[cell] for cell in chain(stays, leaves)]


def _with_label(texts: Sequence[str]) -> list[str]:
    stays = {text: text + "0\n" for text in texts}
    leaves = {text: text + "1\n" for text in texts}
    return [*map(stays.__getitem__, texts[:_DRAWS]), *map(leaves.__getitem__, texts[_DRAWS:])]


def _spread(weights: Sequence[int]) -> list[int]:
    """Assign each of the 2^15 draws to a cell, in exact proportion to the cells' weights."""
    total = sum(weights)
    owners: list[int] = []
    reached = 0
    for cell, weight in enumerate(weights):
        reached += weight
        owners.extend([cell] * (reached * _DRAWS // total - len(owners)))
    return owners


def _bell(faces: int) -> list[int]:
    """Return the frequency of each sum of three dice with ``faces`` faces: a bell of integers."""
    weights = [1]
    for _ in range(3):
        longer = [0] * (len(weights) + faces - 1)
        for at, weight in enumerate(weights):
            for face in range(faces):
                longer[at + face] += weight
        weights = longer
    return weights


def _shifted(weights: Sequence[int], before: int, after: int) -> list[int]:
    """Shift a distribution; every value remains possible, so that none reveals the label."""
    floor = max(sum(weights) // (100 * len(weights)), 1)
    return [weight + floor for weight in (*[0] * before, *weights, *[0] * after)]


def _age_and_calls() -> Group:
    calls_if_stays = {True: (30, 26, 18, 12, 7, 4, 2, 1), False: (3, 6, 12, 18, 22, 18, 12, 9)}
    calls_if_leaves = {True: (3, 5, 9, 14, 18, 21, 17, 13), False: (28, 25, 18, 12, 8, 5, 3, 1)}
    cells = []
    for age, weight in enumerate(_bell(25), start=18):
        young = age < _MIDDLE_AGE
        pairs = zip(calls_if_stays[young], calls_if_leaves[young], strict=True)
        for calls, (stays, leaves) in enumerate(pairs):
            cells.append(Cell(f"{age},{calls}", weight * stays, weight * leaves))
    return Group(("age", "support_calls"), tuple(cells))


def _income() -> Group:
    bell, shift = _bell(341), 120
    pairs = list(zip(_shifted(bell, shift, 0), _shifted(bell, 0, shift), strict=True))
    cells = [Cell(str(1200 + 5 * step), *pair) for step, pair in enumerate(pairs)]
    missing = Cell("", *(sum(side) // 19 for side in zip(*pairs, strict=True)))
    return Group(("monthly_income",), (*cells, missing))


def _spend() -> Group:
    bell, shift = _bell(341), 150
    pairs = zip(_shifted(bell, 0, shift), _shifted(bell, shift, 0), strict=True)
    cells = []
    for step, (stays, leaves) in enumerate(pairs):
        cents = 900 + 5 * step
        cells.append(Cell(f"{cents // 100}.{cents % 100:02d}", stays, leaves))
    return Group(("monthly_spend",), tuple(cells))


def _tenure() -> Group:
    months = 72
    cells = [
        Cell(f"{month},{devices}", (month + 9) * common, (months - month) * common)
        for month, (devices, common) in product(range(months), enumerate((4, 6, 5, 3, 2), start=1))
    ]
    return Group(("tenure_months", "devices"), tuple(cells))


def _contract() -> Group:
    plans = (("basic", 3, 5), ("standard", 5, 4), ("premium", 4, 2))
    regions = (("north", 5), ("south", 4), ("east", 3), ("west", 3), ("overseas", 1))
    payments = (("card", 5, 4), ("direct_debit", 5, 3), ("bank_transfer", 2, 4))
    answers = (("1", 4, 20), ("2", 8, 24), ("3", 20, 24), ("4", 34, 14), ("5", 28, 6), ("", 6, 12))
    cells = [
        Cell(f"{plan},{region},{payment},{answer}", a * common * c * e, b * common * d * f)
        for (plan, a, b), (region, common), (payment, c, d), (answer, e, f) in product(
            plans, regions, payments, answers
        )
    ]
    return Group(("plan", "region", "payment_method", "satisfaction"), tuple(cells))
