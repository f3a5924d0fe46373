"""Determines the kind of each column of a table from all of its cells.

`Evidence` is what is known about one column; chunks of cells are added to it, and evidence from
other machines is merged into it, in any order with the same result. `decide` turns it into a
`Column`.

The rules are in `docs/data.md`. In short: if nine tenths of a column's cells can be read in one way
(as numbers in one notation, as dates in one format, as booleans), the column has that kind, and the
odd cells count as missing and are reported; any other column is a category or text, unchanged.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import cells
import hashing
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import BOOLEANS, MARKS, Column
from jobs import JobError, listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NEARLY: Final = 0.9
"""The share of a column's cells that must be readable as one kind for the column to have it."""

MIXED: Final = 0.5
"""From this share up to `NEARLY`, the column is reported as mixed."""

MOST_VALUES: Final = 1_000
"""Distinct values that are counted for one column."""

LEAST_IDENTIFIERS: Final = 50
"""Rows below which no column is treated as an identifier."""

TEXT_WORDS: Final = 3.0
"""Words a cell, on average, from which on texts that hardly repeat are text and no category."""

_SKETCH: Final = 1_024
_EXACT_INTEGER: Final = 2.0**53

CURRENCIES: Final = (
    *("$", "€", "£", "¥", "₹", "₩", "₽", "₺", "₪", "฿", "R$", "zł", "Kč", "kr", "Fr.", "Rs"),
    *("USD", "EUR", "GBP", "JPY", "CNY", "CHF", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK"),
    *("PLN", "CZK", "HUF", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "TRY", "US$"),
)
_CURRENCY: Final = (
    "(?:" + "|".join(re.escape(name) for name in sorted(CURRENCIES, key=len, reverse=True)) + ")"
)
_NUMBER_FORMS: Final = (
    *((".", ""), (".", ","), (",", ""), (",", "."), (",", " "), (".", " "), (".", "'")),
    (",", "'"),
)
"""Decimal and thousands marks that numbers are written with, the most likely first."""


# --- Evidence --------------------------------------------------------------------------------


@dataclass
class Sketch:
    """The smallest hashes among distinct values, and how often each occurs.

    It tells whether values repeat, and how many there are (Bar-Yossef and others, 2002, "Counting
    distinct elements in a data stream"), with an error of about 3 %.
    """

    counts: dict[int, int] = field(default_factory=dict)
    full: bool = False

    def add(self, hashes: np.ndarray) -> None:
        """Take the hashes of the next values."""
        if self.full:
            hashes = hashes[hashes <= np.uint64(max(self.counts))]
        found, times = np.unique(hashes, return_counts=True)
        self._take(zip(found[: _SKETCH * 2].tolist(), times.tolist(), strict=False))

    def merge(self, other: Sketch) -> None:
        """Take what another sketch has seen."""
        self._take(other.counts.items())
        self.full = self.full or other.full
        self._cut()

    def _take(self, items: Iterable[tuple[int, int]]) -> None:
        for value, times in items:
            self.counts[value] = self.counts.get(value, 0) + times
        self._cut()

    def _cut(self) -> None:
        if len(self.counts) > _SKETCH:
            kept = sorted(self.counts)[:_SKETCH]
            self.counts = {value: self.counts[value] for value in kept}
            self.full = True

    @property
    def repeats(self) -> bool:
        """Whether any value was seen twice."""
        return any(times > 1 for times in self.counts.values())

    @property
    def distinct(self) -> float:
        """About how many distinct values there are; exact while they are few."""
        if not self.full:
            return float(len(self.counts))
        return (len(self.counts) - 1) / (max(self.counts) / 2.0**64)


@dataclass
class Evidence:
    """What is known of one column's cells.

    Attributes:
        name: of the column.
        own_marks: texts, in lower case, that the user says mean missing.
        most_values: distinct values up to which `values` counts them.
        rows, blank: all cells, and those with nothing in them or with one of `own_marks`.
        marks: cells whose text may mean missing (`columns.MARKS`), as written.
        values: how often each text occurs; None once there are too many.
        plain: cells that are plain numbers, and whether all are integers; among them those with a
            point (or an exponent), with a point before just three digits, with leading zeros (of
            three digits or more), and that are dates as eight digits.
        others: cells that are neither blank, nor marks, nor plain numbers.
        fits: how many of `others` can be read in each of the ways that any of them suggests.
        tokens: currencies and percent signs among `others`.
        words: words of `others` in all.
        native: kinds that typed cells (of Parquet) had, instead of texts.
    """

    name: str
    own_marks: tuple[str, ...] = ()
    most_values: int = MOST_VALUES
    rows: int = 0
    blank: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    values: Counter[str] | None = field(default_factory=Counter)
    plain: int = 0
    integers: bool = True
    points: int = 0
    threes: int = 0
    zeros: int = 0
    eights: int = 0
    least: float = math.inf
    most: float = -math.inf
    others: int = 0
    fits: Counter[Column] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    words: int = 0
    native: Counter[str] = field(default_factory=Counter)
    sketch: Sketch = field(default_factory=Sketch)

    @property
    def present(self) -> int:
        """Cells that say something, marks included."""
        return self.rows - self.blank

    @property
    def told(self) -> int:
        """Cells that have a value and are not marks."""
        return self.present - self.marks.total()

    def merge(self, other: Evidence) -> None:
        """Take what is known of the same column elsewhere."""
        for name in ("rows", "blank", "plain", "points", "threes", "zeros", "eights", "others"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.words += other.words
        self.integers = self.integers and other.integers
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        for name in ("marks", "fits", "tokens", "native"):
            getattr(self, name).update(getattr(other, name))
        self.sketch.merge(other.sketch)
        self._count(other.values)

    def _count(self, values: Counter[str] | None) -> None:
        if values is None or self.values is None:
            self.values = None
            return
        self.values.update(values)
        if len(self.values) > self.most_values:
            self.values = None

    def add(self, column: pa.Array) -> None:
        """Take the next cells, of any Arrow type.

        Raises:
            JobError: cells are lists or objects.
        """
        self.rows += len(column)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            self._add_floats(column)
        elif (kind := _native_kind(column.type)) is not None:
            self._add_native(column, kind)
        else:
            self._add_texts(column)

    def _add_texts(self, column: pa.Array) -> None:
        """Each distinct text is looked at once, where texts repeat."""
        try:
            texts, times = _distinct(Column(self.name, "text"), column)
        except cells.CellError as error:
            raise JobError(f"{error}: cells must be single values") from error
        kept = cells.without_marks(texts, self.own_marks)
        present = kept.is_valid()
        self.blank += len(column) - _total(times, present)
        texts, times = _chosen(texts, times, present)
        self._count_texts(texts, times)
        values = cells._plain_at_once(texts)
        if values is not None:
            self._add_plain(texts, values.to_numpy(zero_copy_only=False), times)
            return
        marked = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(sorted(MARKS)))
        if pc.any(marked).as_py():
            found, counts = _chosen(texts, times, marked)
            self.marks.update(_counter(found, counts))
            texts, times = _chosen(texts, times, pc.invert(marked))
        values = cells.numbers(texts, ".", "", (), percent=False)
        plain = values.is_valid()
        self._add_plain(
            texts.filter(plain), values.drop_null().to_numpy(), times[plain.to_numpy(False)]
        )
        self._add_others(*_chosen(texts, times, pc.invert(plain)))

    def _count_texts(self, texts: pa.Array, times: np.ndarray) -> None:
        if self.values is not None:
            if len(texts) > 4 * self.most_values:
                distinct = texts.unique()
                if len(distinct) > self.most_values:
                    self.values = None
                    return
                at = pc.index_in(texts, value_set=distinct).to_numpy()
                texts, times = distinct, np.bincount(at, times).astype("int64")
            self._count(_counter(texts, times))

    def _add_plain(self, texts: pa.Array, values: np.ndarray, times: np.ndarray) -> None:
        if not len(values):
            return
        self.plain += int(times.sum())
        whole = np.floor(values) == values
        self.integers = self.integers and bool(whole.all())
        self.least = min(self.least, float(values.min()))
        self.most = max(self.most, float(values.max()))
        point = pc.find_substring(texts, ".").to_numpy(zero_copy_only=False)
        length = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
        pointed = (point >= 0) | ~whole
        self.points += int(times[pointed].sum())
        self.threes += int(times[(point >= 1) & (length - point == 4)].sum())  # noqa: PLR2004
        zero = pc.starts_with(texts, "0").to_numpy(zero_copy_only=False) & (length > 2) & ~pointed  # noqa: PLR2004
        self.zeros += int(times[zero].sum())
        self._add_eights(values, length == 8, times)  # noqa: PLR2004
        if self.integers:
            self.sketch.add(np.repeat(hashing.of_numbers(values + 0.0), np.minimum(times, 2)))

    def _add_eights(self, values: np.ndarray, eight: np.ndarray, times: np.ndarray) -> None:
        """Count the integers that are days from 1900 to 2100, such as 20240131."""
        fine = eight & (values >= 19_000_101) & (values <= 21_001_231)  # noqa: PLR2004
        if fine.any():
            texts = pa.array(values[fine].astype("int64")).cast(pa.string())
            days = cells.timestamps(texts, "%Y%m%d").is_valid().to_numpy(zero_copy_only=False)
            self.eights += int(times[fine][days].sum())

    def _add_others(self, texts: pa.Array, times: np.ndarray) -> None:
        if not len(texts):
            return
        self.others += int(times.sum())
        spaces = pc.count_substring(texts, " ").to_numpy(zero_copy_only=False)
        self.words += int(((spaces + 1) * times).sum())
        self.sketch.add(np.repeat(hashing.of_texts(texts), np.minimum(times, 2)))
        shapes = _shapes(texts).dictionary_encode()
        codes = shapes.indices.to_numpy()
        for code, shape in enumerate(shapes.dictionary.to_pylist()):
            ways = _ways(shape)
            if ways:
                chosen = codes == code
                self._try(ways, shape, texts.filter(pa.array(chosen)), times[chosen])

    def _try(self, ways: Sequence[Column], shape: str, texts: pa.Array, times: np.ndarray) -> None:
        for way in ways:
            fits = cells.parse(way, texts).is_valid().to_numpy(zero_copy_only=False)
            if fits.any():
                self.fits[way] += int(times[fits].sum())
        if "¤" in shape:
            found = pc.extract_regex(texts, f"(?P<c>{_CURRENCY})").field(0)
            self.tokens.update(_counter(found, times))
        if "%" in shape:
            self.tokens["%"] += int(times.sum())

    def _add_floats(self, column: pa.Array) -> None:
        """Cells that were read as numbers: from Parquet, or by Arrow's CSV reader."""
        values = cells._finite(pc.cast(column, pa.float64(), safe=False))
        self.blank += values.null_count
        found = values.drop_null().to_numpy()
        self.native["number"] += len(found)
        if not len(found):
            return
        self.plain += len(found)
        self.integers = self.integers and bool((np.floor(found) == found).all())
        self.least = min(self.least, float(found.min()))
        self.most = max(self.most, float(found.max()))
        if self.values is not None:
            counted = Counter(found[: 4 * self.most_values].tolist())
            if len(counted) <= self.most_values:
                counted = Counter(found.tolist())
            self._count(Counter({_written(value): times for value, times in counted.items()}))
        if self.integers:
            self.sketch.add(hashing.of_numbers(found + 0.0))
        else:
            self.points += len(found)

    def _add_native(self, column: pa.Array, kind: str) -> None:
        self.blank += column.null_count
        self.native[kind] += len(column) - column.null_count
        texts = cells.as_text(Column(self.name, kind), column).drop_null()
        self._count_texts(texts, np.ones(len(texts), "int64"))


def _written(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT_INTEGER else repr(value)


def _distinct(column: Column, values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Trimmed texts and how often each occurs: once each where they hardly repeat."""
    if not pa.types.is_dictionary(values.type):
        texts = cells.as_text(column, values)
        if 2 * len(texts[:_SKETCH].unique()) > len(texts[:_SKETCH]):
            return cells.trimmed(texts), np.ones(len(texts), "int64")
        values = texts.dictionary_encode()
    codes = values.indices.drop_null().to_numpy()
    times = np.bincount(codes, minlength=len(values.dictionary)).astype("int64")
    return cells.trimmed(cells.as_text(column, values.dictionary)), times


def _total(times: np.ndarray, chosen: pa.Array) -> int:
    return int(times[chosen.to_numpy(zero_copy_only=False)].sum())


def _chosen(texts: pa.Array, times: np.ndarray, chosen: pa.Array) -> tuple[pa.Array, np.ndarray]:
    return texts.filter(chosen), times[chosen.to_numpy(zero_copy_only=False)]


def _counter(texts: pa.Array, times: np.ndarray) -> Counter[str]:
    found: Counter[str] = Counter()
    for text, count in zip(texts.to_pylist(), times.tolist(), strict=True):
        if text is not None and count:
            found[text] += count
    return found


def _native_kind(kind: pa.DataType) -> str | None:
    if pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_date32(kind):
        return "date"
    if pa.types.is_timestamp(kind) or pa.types.is_date64(kind):
        return "datetime"
    if pa.types.is_time(kind):
        return "time"
    return "duration" if pa.types.is_duration(kind) else None


# --- What a cell's shape suggests ----------------------------------------------------------------


def _shapes(texts: pa.Array) -> pa.Array:
    """Texts with 9 for each run of digits, a for letters, ¤ for a currency beside digits."""
    money = pc.replace_substring_regex(texts, rf"^([(+-]*)\s*{_CURRENCY}\s*([+-]?[0-9])", r"\1¤\2")
    money = pc.replace_substring_regex(money, rf"([0-9])\s*{_CURRENCY}(\)?)$", r"\1¤\2")
    digits = pc.replace_substring_regex(money, "[0-9]+", "9")
    return pc.utf8_slice_codeunits(pc.replace_substring_regex(digits, "[A-Za-z]+", "a"), 0, 60)


_NUMBER_SHAPE: Final = re.compile(
    r"\(?[+\-\u2212]?¤?[+\-\u2212]?\s*[.,]?9(?:[.,' \u00a0\u202f]9)*[.,]?(?:a[+\-]?9)?¤?\s*%?\)?"
)
_TIME: Final = r"9:9(?::9(?:\.9)?)?"
_MOMENT_SHAPE: Final = re.compile(
    rf"(?P<date>9[-/.]9[-/.]9|9[- .]{{1,2}}a[-. ,]{{1,2}}9|a\.? 9,? 9)?"
    rf"(?P<gap>,? |a)?(?P<time>{_TIME})?(?P<half> ?a(?:\.a\.)?)?(?P<zone> ?a| ?[+-]9(?::9)?)?"
)
_NUMERIC_DATES: Final = ("%Y{0}%m{0}%d", "%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%m{0}%d{0}%y")
_NAMED_MONTHS: Final = ("%b", "%B")


@lru_cache(maxsize=4096)
def _ways(shape: str) -> tuple[Column, ...]:
    """The ways to read a cell of this shape, but as text."""
    numbers = []
    if _NUMBER_SHAPE.fullmatch(shape):
        numbers = [_number_way(decimal, thousands) for decimal, thousands in _NUMBER_FORMS]
    return (*numbers, *_moments(shape), *_durations(shape))


def _number_way(decimal: str, thousands: str) -> Column:
    """A way to write numbers, with any currency and percent signs or none."""
    return Column(
        "", "number", decimal=decimal, thousands=thousands, currency=CURRENCIES, percent=True
    )


def _moments(shape: str) -> list[Column]:
    found = _MOMENT_SHAPE.fullmatch(shape)
    if not found or not (found["date"] or found["time"]):
        return []
    times = _time_forms(found)
    if not found["date"]:
        return [Column("", "time", format=form) for form in times if "%z" not in form]
    dates = _date_forms(found["date"])
    if not found["time"]:
        return (
            []
            if found["half"] or found["zone"]
            else [Column("", "date", format=form) for form in dates]
        )
    gap = "T" if found["gap"] == "a" else found["gap"] or ""
    return [Column("", "datetime", format=f"{date}{gap}{time}") for date in dates for time in times]


def _date_forms(shape: str) -> list[str]:
    if "a" not in shape:
        mark = shape[1]
        forms = [form.format(mark) for form in _NUMERIC_DATES]
        return [*forms, f"%d{mark}%m{mark}%y"] if shape[3] == mark else []
    forms = []
    for month in _NAMED_MONTHS:
        named = shape.replace("a", month)
        day, year = named.find("9"), named.rfind("9")
        for century in ("%Y", "%y"):
            forms.append(named[:day] + "%d" + named[day + 1 : year] + century + named[year + 1 :])
    return forms


def _time_forms(found: re.Match[str]) -> list[str]:
    if not found["time"]:
        return [""]
    colons = found["time"].count(":")
    tail = "" if colons == 1 else ":%S.%f"
    half, zone = found["half"] or "", found["zone"] or ""
    forms = []
    if half:
        gap = " " if half.startswith(" ") else ""
        forms.append(f"%I:%M{tail}{gap}%p" + (" %z" if zone.startswith(" ") else ""))
        if not zone:  # a letter behind the time may be Z
            forms.append(f"%H:%M{tail}{gap}%z")
    else:
        forms.append(
            f"%H:%M{tail}" + ((" " if zone.startswith(" ") else "") + "%z" if zone else "")
        )
    return forms


def _durations(shape: str) -> list[Column]:
    forms = []
    bare = shape.lstrip("+-")
    if bare == "9:9":
        forms = ["H:MM"]
    elif re.fullmatch(r"9:9:9(\.9)?", bare):
        forms = ["H:MM:SS"]
    elif re.fullmatch(r"9 a,? 9:9:9(\.9)?", bare):
        forms = ["D days HH:MM:SS"]
    elif re.fullmatch(r"(9(\.9)? ?a ?)+", bare):
        forms = ["1d 2h 3min 4s"]
    elif re.fullmatch(r"a(9(\.9)?a)+", bare):
        forms = ["PnDTnHnMnS"]
    return [Column("", "duration", format=form) for form in forms]


# --- Deciding --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What the user says of the table: kinds of columns, and whether `;` parted the cells."""

    kinds: dict[str, str] = field(default_factory=dict)
    semicolons: bool = False


def decide(found: Evidence, wish: Wish) -> Column:
    """What the column is; `missing` and `odd` are counted later, when its cells are read.

    Raises:
        JobError: the user says a kind that most of the cells are not of.
    """
    wanted = wish.kinds.get(found.name)
    if not found.told and wanted is None:
        notes = (f"nothing but {listing([*ranked(found.marks)], most=3)}",) if found.marks else ()
        return Column(found.name, "empty", marks=_marks(found), notes=notes)
    if wanted is not None:
        return _as_wanted(found, wanted, wish)
    best, share = _best(found, wish)
    if best is not None and share >= NEARLY:
        return _finished(found, _special(found, best))
    column = _finished(found, _text_or_category(found))
    if best is not None and share >= MIXED:
        note = (
            f"{share:.0%} of its cells can be read as {best.kind}, the others cannot: it is "
            f"treated as {column.kind}; set ColumnKinds to change that"
        )
        column = replace(column, notes=(*column.notes, note))
    return column


def _as_wanted(found: Evidence, wanted: str, wish: Wish) -> Column:
    if wanted in {"category", "text", "identifier"}:
        return _marked(found, Column(found.name, wanted), texts=wanted != "identifier")
    ways = [(way, fits) for way, fits in _readings(found, wish) if _is(way.kind, wanted)]
    best, fits = max(ways, key=lambda item: item[1], default=(None, 0))
    if best is None or fits < MIXED * found.told:
        example = next(iter(found.values or {}), "")
        raise JobError(
            f"column kinds: column {found.name!r} should be {wanted}, but only {fits} of "
            f"{found.told} cells can be read that way; the cells include {example!r}"
        )
    return _marked(found, replace(best, kind=wanted), texts=False)


def best_numbers(found: Evidence, wish: Wish) -> Column | None:
    """How the cells are written if all but marks are numbers, whatever they mean; for labels."""
    if not found.told:
        return None
    ways = [item for item in _readings(found, wish) if _is(item[0].kind, "number")]
    best, fits = max(ways, key=lambda item: item[1], default=(None, 0))
    if best is None or fits < found.told:
        return None
    return replace(best, marks=_marks(found))


def _is(kind: str, wanted: str) -> bool:
    return kind == wanted or {kind, wanted} <= {"number", "integer"}


def _best(found: Evidence, wish: Wish) -> tuple[Column | None, float]:
    """The way to read most cells, the first one of equals, and their share."""
    best, most = None, 0
    for way, fits in _readings(found, wish):
        if fits > most:
            best, most = way, fits
    return best, most / found.told


def _readings(found: Evidence, wish: Wish) -> list[tuple[Column, int]]:
    """All ways that any cell suggests and how many cells fit each; the likelier ones first."""
    if found.native and not found.others and found.native.total() == found.told:
        kind = found.native.most_common(1)[0][0]
        return [(replace(Column(found.name, kind), kind=_integer(found, kind)), found.told)]
    booleans = _truths(found)
    ways = [(Column(found.name, "boolean"), booleans)] if booleans else []
    ways += _dates(found)
    ways += _numbers(found, wish)
    order = {"time": 1, "duration": 2}
    rest = [
        (replace(way, name=found.name), fits)
        for way, fits in found.fits.items()
        if way.kind in {"time", "duration"}
    ]
    return ways + sorted(rest, key=lambda item: (order[item[0].kind], item[0].format or ""))


def _integer(found: Evidence, kind: str) -> str:
    return "integer" if kind == "number" and found.integers else kind


def _truths(found: Evidence) -> int:
    """Cells that are words for true and false, if both or one of them and no other number occur."""
    if found.values is None or not found.others:
        return 0
    words = Counter[str]()
    for text, times in found.values.items():
        if text.lower() in BOOLEANS:
            words[text.lower()] += times
    letters = [word for word in words if word.isalpha()]
    return words.total() if letters else 0


def _dates(found: Evidence) -> list[tuple[Column, int]]:
    ways = [
        (replace(way, name=found.name), fits)
        for way, fits in found.fits.items()
        if way.kind in {"date", "datetime"}
    ]
    order = ("%Y", "%m/", "%d")  # 3/4/2024 is the 4th of March, 3.4.2024 the 3rd of April
    ways.sort(key=lambda item: _date_order(item[0].format or "", order))
    if found.eights == found.plain and not found.others and found.eights:
        ways.append((Column(found.name, "date", format="%Y%m%d"), found.eights))
    return ways


def _date_order(form: str, order: Sequence[str]) -> tuple[int, str]:
    places = [at for at, start in enumerate(order) if form.startswith(start)]
    return (places[0] if places else len(order), form)


def _numbers(found: Evidence, wish: Wish) -> list[tuple[Column, int]]:
    """The ways to write numbers, and how many cells, plain ones included, each of them fits."""
    currency = tuple(sorted(set(found.tokens) - {"%"}))
    percent = "%" in found.tokens
    forms: tuple[tuple[str, str], ...] = _NUMBER_FORMS
    if wish.semicolons:  # files with semicolons come from where a comma is the decimal mark
        forms = ((".", ""), (",", ""), (",", "."), *forms)
    ways = []
    for decimal, thousands in dict.fromkeys(forms):
        way = Column(
            found.name,
            _integer(found, "number") if not found.others else "number",
            decimal=decimal,
            thousands=thousands,
            currency=currency,
            percent=percent,
        )
        ways.append((way, _number_fits(found, decimal, thousands)))
    return ways


def _number_fits(found: Evidence, decimal: str, thousands: str) -> int:
    """Cells, plain ones included, that are numbers if written with these marks."""
    others = found.fits[_number_way(decimal, thousands)]
    return others + _plain_fits(found, decimal, thousands)


def _plain_fits(found: Evidence, decimal: str, thousands: str) -> int:
    if decimal == ".":
        return found.plain
    return found.plain - found.points + (found.threes if thousands == "." else 0)


def _special(found: Evidence, best: Column) -> Column:
    """Codes and identifiers that look like numbers, as text, category or identifier."""
    if best.kind not in {"number", "integer"} or best.written:
        return best
    if found.zeros:
        return _text_or_category(found, "its numbers have leading zeros: they are codes")
    if found.integers and max(abs(found.least), abs(found.most)) > _EXACT_INTEGER:
        return _text_or_category(found, "its numbers have more than 15 digits: they are codes")
    if found.integers and _is_identifier(found):
        return Column(
            found.name,
            "identifier",
            notes=("every row has a different number: it identifies rows",),
        )
    return best


_ID_NAME: Final = re.compile(
    r"(?:.*[_\s.\-])?(?:ids?|uuid|guid|key|nr|no|num|number|index|row|rowid|rownum)"
    r"|unnamed: ?\d+",
    re.IGNORECASE,
)


def _is_identifier(found: Evidence) -> bool:
    """Whether integers number the rows: all different, and dense or called so."""
    if found.told < LEAST_IDENTIFIERS or found.told != found.rows or found.sketch.repeats:
        return False
    dense = found.most - found.least + 1 == found.rows
    return (
        dense
        or bool(_ID_NAME.fullmatch(found.name))
        or bool(re.search(r"[a-z](?:Id|ID)$", found.name))
    )


def _text_or_category(found: Evidence, note: str = "") -> Column:
    notes = (note,) if note else ()
    words = found.words / found.others if found.others else 1.0
    distinct = len(found.values) if found.values is not None else found.sketch.distinct
    if words >= TEXT_WORDS and distinct > max(20, 0.1 * found.present):
        return Column(found.name, "text", notes=notes)
    unique = found.present >= LEAST_IDENTIFIERS and distinct > 0.98 * found.present
    if unique and not found.sketch.repeats and not found.plain:
        return Column(
            found.name,
            "identifier",
            notes=("every row has a different value: it identifies rows",),
        )
    return Column(found.name, "category", notes=notes)


def _finished(found: Evidence, column: Column) -> Column:
    return _marked(found, column, texts=column.kind in {"category", "text", "identifier"})


def _marked(found: Evidence, column: Column, *, texts: bool) -> Column:
    """The column with its missing marks or candidates, its values, and whether it varies at all."""
    if texts:
        column = replace(column, marks=found.own_marks, candidates=ranked(found.marks, 5))
    else:
        column = replace(column, marks=_marks(found), marked=ranked(found.marks, 5))
    if _constant(found, column):
        return replace(column, kind="constant")
    if column.kind == "category" and found.values is not None:
        column = replace(column, categories=tuple(sorted(found.values)))
    notes = _ambiguous(found, column)
    return replace(column, notes=(*column.notes, *notes))


def _marks(found: Evidence) -> tuple[str, ...]:
    return tuple(sorted(MARKS | set(found.own_marks)))


def _constant(found: Evidence, column: Column) -> bool:
    """Whether all rows are alike; a missing value is unlike all others."""
    if found.values is None or column.kind == "identifier":
        return False
    missing = found.blank > 0 or (found.marks.total() > 0 and not column.candidates)
    values = [text for text in found.values if column.candidates or text not in found.marks]
    return len(values) + missing == 1


def _ambiguous(found: Evidence, column: Column) -> tuple[str, ...]:
    """Notes about ambiguous values."""
    if column.kind in {"number", "integer"} and found.others and (rival := _rivals(found, column)):
        return (
            f"its numbers can also be read with {rival}: they are read with {column.written}; "
            "write them without either if that is wrong",
        )
    if column.kind in {"date", "datetime"} and _days_and_months_swap(found, column):
        return (f"day and month are ambiguous: its dates are read as {column.format}",)
    return ()


def _days_and_months_swap(found: Evidence, column: Column) -> bool:
    form = column.format or ""
    if form[:2] not in {"%m", "%d"} or "%b" in form.lower():
        return False
    swapped = form.translate(str.maketrans("md", "dm"))
    own, other = (found.fits[Column("", column.kind, format=each)] for each in (form, swapped))
    return own == other


def _rivals(found: Evidence, column: Column) -> str:
    if (column.decimal, column.thousands) == (".", ","):
        return "a decimal comma" if _number_fits(found, ",", "") == found.told else ""
    if (column.decimal, column.thousands) == (",", ""):
        return "a comma between thousands" if _number_fits(found, ".", ",") == found.told else ""
    return ""


def ranked(counts: Mapping[str, int], most: int | None = None) -> dict[str, int]:
    """The most frequent first, equally frequent ones by text: no matter which was read first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
