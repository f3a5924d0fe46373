"""Converts a column of cells to typed values, and is the only code that does.

Preprocessing, on one machine or on many, and the endpoint call `read` with the column's entry in
the schema, so the same cell means the same everywhere, whether it comes as CSV, JSON or Parquet.
Whole columns are converted at a time, with Arrow: nothing here loops over rows, except for rare
exceptions.

This file is part of the model archive, next to `inference.py`: it imports only `columns`.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import BOOLEANS, TEXTS, Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

_SHOWN: Final = 40

_STORAGE: Final = {
    **dict.fromkeys(("number", "integer"), pa.float64()),
    "boolean": pa.bool_(),
    **dict.fromkeys(("category", "text"), pa.string()),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "time": pa.time64("us"),
    "duration": pa.duration("us"),
    **dict.fromkeys(("identifier", "constant", "empty"), pa.null()),
}

LARGEST_NUMBER: Final = 1e140
"""Larger magnitudes are not measurements, and their squares are not finite: they count as odd."""


_LAST_DAY: Final = 106_751_991
"""Days from 1970-01-01 that 64 bits of microseconds can count."""


class CellError(ValueError):
    """A cell that does not fit its column's kind; the message names column, row and value."""

    def __init__(self, column: Column, row: int, value: object) -> None:
        self.column, self.row, self.value = column, row, value
        written = f" ({column.written})" if column.written else ""
        article = "an" if column.kind[0] in "aeiou" else "a"
        super().__init__(
            f"column {column.name!r}, row {row + 1}: {str(value)[:_SHOWN]!r} is not {article} "
            f"{column.kind}{written}"
        )


class Literal(str):
    """A number of a JSON document, as it is written there."""

    __slots__ = ()


def storage(column: Column) -> pa.DataType:
    """The type of the column's values between the steps; integers are stored as float64 too."""
    return _STORAGE[column.kind]


def read(column: Column, cells: pa.Array | pa.ChunkedArray, *, odd: str = "refuse") -> pa.Array:
    """The values of `cells`, of any type, as `storage(column)`; missing ones are null.

    Cells that are not of the column's kind are missing too if they are in `column.odd` or if
    `odd` is `missing`.

    Raises:
        CellError: otherwise, for the first of them.
    """
    values, strange = _read(column, cells)
    if odd == "refuse" and strange is not None:
        at, text = strange
        for row, value in zip(at, text.to_pylist(), strict=True):
            if value not in column.odd:
                raise CellError(column, int(row), value)
    return values


def read_counting(
    column: Column, cells: pa.Array | pa.ChunkedArray
) -> tuple[pa.Array, Counter[str]]:
    """The values, with odd cells as missing, and how often each odd cell occurs."""
    values, strange = _read(column, cells)
    return values, Counter() if strange is None else Counter(strange[1].to_pylist())


def from_json(column: Column, values: Sequence[Any]) -> pa.Array:
    """The values of a JSON document's cells: texts, `Literal` numbers, booleans and nulls.

    A JSON number is a number as it stands, also where the table writes a decimal comma.

    Raises:
        CellError: a cell is not of the column's kind, or is a list or an object.
    """
    for row, value in enumerate(values):
        if isinstance(value, list | dict):
            raise CellError(column, row, value)
    if column.kind not in {"number", "integer"}:
        return read(column, pa.array([_json_text(value) for value in values], pa.string()))
    for row, value in enumerate(values):
        if isinstance(value, bool):
            raise CellError(column, row, value)
    plain = [value if isinstance(value, Literal) else None for value in values]
    if None not in plain:
        return read(Column(column.name, column.kind), pa.array(plain, pa.string()))
    texts = [None if isinstance(value, Literal) else value for value in values]
    numbers = read(Column(column.name, column.kind), pa.array(plain, pa.string()))
    return pc.coalesce(numbers, read(column, pa.array(texts, pa.string())))


def _json_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


# --- From any type to text or straight to values ----------------------------------------------


def _read(
    column: Column, cells: pa.Array | pa.ChunkedArray
) -> tuple[pa.Array, tuple[np.ndarray, pa.Array] | None]:
    """The values, and where there are odd cells: their rows and their texts."""
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if pa.types.is_null(storage(column)):
        return pa.nulls(len(cells)), None
    if pa.types.is_dictionary(cells.type):
        return _read_dictionary(column, cells)
    ready = _native(column, cells)
    if ready is not None:
        return ready, None
    text = trimmed(as_text(column, cells))
    return _parsed(column, text)


def _read_dictionary(
    column: Column, cells: pa.DictionaryArray
) -> tuple[pa.Array, tuple[np.ndarray, pa.Array] | None]:
    """Convert each distinct cell once."""
    values, strange = _read(column, cells.dictionary)
    taken = values.take(cells.indices)
    if strange is None:
        return taken, None
    indices = cells.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(np.isin(indices, strange[0]))
    if not len(rows):
        return taken, None
    return taken, (rows, trimmed(as_text(column, cells.dictionary)).take(pa.array(indices[rows])))


def _family(kind: pa.DataType) -> str:
    """What values of this type can be taken for without being read as text."""
    types = pa.types
    families = {
        "number": (types.is_integer, types.is_floating, types.is_decimal),
        "boolean": (types.is_boolean,),
        "moment": (types.is_timestamp, types.is_date),
        "time": (types.is_time,),
        "duration": (types.is_duration,),
    }
    found = (name for name, tests in families.items() if any(test(kind) for test in tests))
    return next(found, "")


def _native(column: Column, cells: pa.Array) -> pa.Array | None:
    """The values of cells that are typed as the column is, or None."""
    target = storage(column)
    if pa.types.is_null(cells.type):
        return pa.nulls(len(cells), target)
    family = _family(cells.type)
    if not family or family != _family(target):
        return None
    if pa.types.is_timestamp(cells.type):  # in UTC, where it has a zone
        cells = pc.cast(cells, pa.timestamp("us", cells.type.tz), safe=False)
    try:
        values = pc.cast(cells, target, safe=False)
    except pa.ArrowInvalid:  # a time zone that nobody knows
        raise CellError(column, 0, cells.type) from None
    if pa.types.is_date(target):
        return _on_the_calendar(values)
    return _finite(values) if family == "number" else values


def _finite(values: pa.Array) -> pa.Array:
    """`values` with null for NaN and what is too large to be a measurement."""
    fine = pc.less(pc.abs(values), LARGEST_NUMBER)
    return values if pc.all(fine).as_py() is not False else pc.if_else(fine, values, None)


def _on_the_calendar(values: pa.Array) -> pa.Array:
    """`values` with null for dates some 290,000 years away, which no moment can express."""
    days = pc.cast(values, pa.int32())
    fine = pc.and_(pc.less(days, _LAST_DAY), pc.greater(days, -_LAST_DAY))
    return values if pc.all(fine).as_py() is not False else pc.if_else(fine, values, None)


def as_text(column: Column, cells: pa.Array) -> pa.Array:
    """Cells of any simple type as the text that a CSV file would have for them.

    Raises:
        CellError: a cell is a list or an object, or is not UTF-8.
    """
    kind = cells.type
    if pa.types.is_string(kind):
        return cells
    if pa.types.is_boolean(kind):
        return pc.if_else(cells, "true", "false")
    if pa.types.is_float16(kind):  # Arrow has few functions for them
        cells = pc.cast(cells, pa.float32())
    if pa.types.is_floating(kind):
        cells = pc.if_else(pc.is_nan(cells), None, cells)
    if pa.types.is_decimal(kind):
        cells = pc.cast(cells, pa.float64())
    try:
        text = pc.cast(cells, pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        row = int(pc.index(pc.is_valid(cells), pa.scalar(True)).as_py())
        shown = kind if pa.types.is_temporal(kind) else cells[row].as_py()
        raise CellError(column, row, shown) from None
    if pa.types.is_temporal(kind):
        text = pc.replace_substring_regex(text, r"\.0+Z?$", "")
    return text


def trimmed(text: pa.Array) -> pa.Array:
    """Texts without the blanks around them; nothing but blanks is null."""
    stripped = pc.utf8_trim_whitespace(text)
    blank = pc.equal(stripped, "")
    return pc.if_else(blank, None, stripped) if pc.any(blank).as_py() else stripped


# --- From text to values -----------------------------------------------------------------------


def _parsed(column: Column, text: pa.Array) -> tuple[pa.Array, tuple[np.ndarray, pa.Array] | None]:
    if column.kind in {"number", "integer"} and not column.written:
        quick = _plain_at_once(text)
        if quick is not None:
            return quick, None
    wanted = without_marks(text, column.marks)
    values = parse(column, wanted)
    strange = pc.and_(pc.is_null(values), pc.is_valid(wanted))
    if not pc.any(strange).as_py():
        return values, None
    rows = np.flatnonzero(strange.to_numpy(zero_copy_only=False))
    return values, (rows, wanted.take(pa.array(rows)))


def without_marks(text: pa.Array, marks: Sequence[str]) -> pa.Array:
    """`text` with null for the cells that are one of `marks`, whatever their case."""
    if not marks:
        return text
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(marks, pa.string()))
    return pc.if_else(missing, None, text) if pc.any(missing).as_py() else text


def _plain_at_once(text: pa.Array) -> pa.Array | None:
    """The numbers, if every cell is a plain and finite one."""
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    fine = pc.all(pc.less(pc.abs(values), LARGEST_NUMBER)).as_py()
    return None if fine is False else values


def parse(column: Column, text: pa.Array) -> pa.Array:
    """The values of trimmed texts; null where a text is not of the column's kind."""
    if column.kind in {"number", "integer"}:
        return numbers(text, column.decimal, column.thousands, column.currency, column.percent)
    if column.kind == "boolean":
        return booleans(text)
    if column.kind in TEXTS:
        return _known(column, text)
    forms = (column.format,) if column.format else _usual_forms(column.kind)
    if column.kind == "duration":
        found = pc.coalesce(*(durations(text, form) for form in forms))
        return pc.cast(found, pa.duration("us"))
    moments = pc.coalesce(*(timestamps(text, form) for form in forms))
    if column.kind == "time":
        return pc.cast(pc.cast(moments, pa.int64()), pa.time64("us"))
    return pc.cast(moments, storage(column))


def _usual_forms(kind: str) -> tuple[str, ...]:
    """How values of a column are written that Parquet brought, whose cells have no format."""
    seconds = "%H:%M:%S.%f"
    if kind == "duration":
        return tuple(DURATIONS)
    if kind == "time":
        return (seconds, "%H:%M")
    moments = [f"%Y-%m-%d{gap}{seconds}{zone}" for gap in " T" for zone in ("", "%z")]
    return ("%Y-%m-%d", *moments)


PLAIN: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def number_pattern(decimal: str, thousands: str) -> str:
    """The regular expression of a written number, without sign, currency and percent."""
    point = re.escape(decimal)
    if not thousands:
        whole = "[0-9]+"
    else:
        group = "[ \u00a0\u202f]" if thousands == " " else re.escape(thousands)
        whole = f"([0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]+)"
    return rf"^({whole}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?$"


def numbers(
    text: pa.Array, decimal: str, thousands: str, currency: Sequence[str], percent: bool
) -> pa.Array:
    """Written numbers as float64; null where a text is none."""
    if decimal == "." and not thousands and not currency and not percent:
        bare, negative = text, None
        fits = pc.match_substring_regex(bare, PLAIN)
    else:
        bare, negative = _bare(text, currency, percent=percent)
        fits = pc.match_substring_regex(bare, number_pattern(decimal, thousands))
        bare = _pointed(bare, decimal, thousands)
    values = pc.cast(pc.if_else(fits, bare, None), pa.float64())
    if negative is not None:
        values = pc.if_else(negative, pc.negate(values), values)
    return pc.if_else(pc.less(pc.abs(values), LARGEST_NUMBER), values, None)


def _bare(text: pa.Array, currency: Sequence[str], *, percent: bool) -> tuple[pa.Array, pa.Array]:
    """Texts without sign, brackets, currency and percent sign, and which of them are negative."""
    bracketed = pc.match_substring_regex(text, r"^\(.*\)$")
    bare = pc.replace_substring_regex(text, r"^\((.*)\)$", r"\1")
    if percent:
        bare = pc.replace_substring_regex(bare, r"\s*%$", "")
    if currency:
        names = "|".join(re.escape(name) for name in currency)
        bare = pc.replace_substring_regex(bare, rf"^([+-]?)\s*(?:{names})\s*", r"\1")
        bare = pc.replace_substring_regex(bare, rf"\s*(?:{names})$", "")
    minus = pc.match_substring_regex(bare, r"^[-\x{2212}]")
    bare = pc.replace_substring_regex(bare, r"^[-+\x{2212}]\s*", "")
    return bare, pc.xor(minus, bracketed)


def _pointed(bare: pa.Array, decimal: str, thousands: str) -> pa.Array:
    if thousands:
        group = "[ \u00a0\u202f]" if thousands == " " else re.escape(thousands)
        bare = pc.replace_substring_regex(bare, group, "")
    return pc.replace_substring(bare, decimal, ".") if decimal != "." else bare


def booleans(text: pa.Array) -> pa.Array:
    """What `BOOLEANS` says of each text, or null."""
    words = list(BOOLEANS)
    at = pc.index_in(pc.utf8_lower(text), value_set=pa.array(words))
    return pa.array(list(BOOLEANS.values())).take(at)


def _known(column: Column, text: pa.Array) -> pa.Array:
    """Texts as training saw them: `5.0` is `5`, and `true` is `True`, if only that one occurred."""
    if not column.categories:
        return text
    known = _category_set(column.categories)
    new = pc.invert(pc.is_in(text, value_set=known))
    new = pc.and_(new, pc.is_valid(text))
    if not pc.any(new).as_py():
        return text
    twins = _twins(column.categories)
    found = {value: _twin(value, twins) for value in pc.unique(text.filter(new)).to_pylist()}
    found = {value: twin for value, twin in found.items() if twin is not None}
    if not found:
        return text
    at = pc.index_in(text, value_set=pa.array(list(found)))
    return pc.coalesce(pa.array(list(found.values())).take(at), text)


@lru_cache(maxsize=4096)
def _category_set(categories: tuple[str, ...]) -> pa.Array:
    return pa.array(categories, pa.string())


@lru_cache(maxsize=4096)
def _twins(categories: tuple[str, ...]) -> Mapping[object, str | None]:
    """Categories by number or truth value; None where several have the same."""
    twins: dict[object, str | None] = {}
    for text in categories:
        key = _twin_key(text)
        if key is not None:
            twins[key] = None if key in twins else text
    return twins


def _twin(text: str, twins: Mapping[object, str | None]) -> str | None:
    key = _twin_key(text)
    return None if key is None else twins.get(key)


def _twin_key(text: str) -> object | None:
    if text.lower() in {"true", "false"}:
        return text.lower()
    # 007 is a code and not the number 7.
    if re.fullmatch(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?", text):
        return float(text)
    return None


# --- Dates, times, durations -------------------------------------------------------------------

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
_FULL_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_DIRECTIVES: Final = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>[0-9]{1,2})",
    "d": "(?P<d>[0-9]{1,2})",
    "b": "(?P<b>[A-Za-z]{3})",
    "B": "(?P<B>[A-Za-z]{3,9})",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "M": "(?P<M>[0-9]{2})",
    "S": "(?P<S>[0-9]{2})",
    "f": "(?P<f>[0-9]{1,9})",
    "p": "(?P<p>[AaPp])\\.?[Mm]\\.?",
    "z": "(?P<z>[Zz]|[+-][0-9]{2}:?(?:[0-9]{2})?)",
}


@lru_cache(maxsize=1024)
def date_pattern(form: str) -> str:
    """The regular expression, with a group for each directive, of a `strptime` format.

    Directives: %Y %y %m %d %b %B %H %I %M %S %f %p %z; %Y%m%d takes eight digits.
    """
    parts = re.split(r"(%.)", form)
    pattern = "".join(
        _DIRECTIVES[part[1]] if len(part) == 2 and part[0] == "%" else re.escape(part)  # noqa: PLR2004
        for part in parts
    )
    if form == "%Y%m%d":
        pattern = "(?P<Y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})"
    elif "%y" in form and "." in form:  # 1.2.13 is a version; 01.02.13 is a day
        pattern = pattern.replace("[0-9]{1,2}", "[0-9]{2}")
    # A fraction of a second is written where there is one.
    pattern = pattern.replace(r"\.(?P<f>[0-9]{1,9})", r"(?:\.(?P<f>[0-9]{1,9}))?")
    return f"^{pattern}$"


def timestamps(text: pa.Array, form: str) -> pa.Array:
    """Moments as timestamp[us]; null where a text is not of that form or there is no such day.

    A form without a date gives times of 1970-01-01. With an offset (%z) the moment is in UTC.
    """
    found = pc.extract_regex(text, date_pattern(form))
    got = {found.type.field(at).name: column for at, column in enumerate(found.flatten())}
    valid = found.is_valid().to_numpy(zero_copy_only=False).copy()
    days, fine = _days(got, len(text))
    micros, also = _micros(got, len(text))
    valid &= fine & also
    return pa.array(days * 86_400_000_000 + micros, mask=~valid).cast(pa.timestamp("us"))


def _integers(got: Mapping[str, pa.Array], name: str, rows: int, default: int = 0) -> np.ndarray:
    if name not in got:
        return np.full(rows, default, "int64")
    values = pc.if_else(pc.equal(got[name], ""), None, got[name])
    return pc.fill_null(pc.cast(values, pa.int64()), default).to_numpy(zero_copy_only=False)


def _days(got: Mapping[str, pa.Array], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970-01-01, and whether there is such a day."""
    year = _integers(got, "Y", rows, 1970)
    if "y" in got:  # POSIX: 69 to 99 are of the 20th century
        short = _integers(got, "y", rows)
        year = np.where(short < 69, 2000, 1900) + short  # noqa: PLR2004
    month, day = _month(got, rows), _integers(got, "d", rows, 1)
    fine = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (year >= 1)  # noqa: PLR2004
    start = (np.where(fine, year - 1970, 0)).astype("M8[Y]").astype("M8[M]") + np.where(
        fine, month - 1, 0
    )
    days = start.astype("M8[D]") + np.where(fine, day - 1, 0)
    fine &= days.astype("M8[M]") == start
    return days.astype("int64"), fine


def _month(got: Mapping[str, pa.Array], rows: int) -> np.ndarray:
    for name, names in (("b", _MONTHS), ("B", _FULL_MONTHS)):
        if name in got:
            at = pc.index_in(pc.utf8_lower(got[name]), value_set=pa.array(names))
            return pc.fill_null(at, -1).to_numpy(zero_copy_only=False).astype("int64") + 1
    return _integers(got, "m", rows, 1)


def _micros(got: Mapping[str, pa.Array], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since midnight, in UTC if there is an offset, and whether they are valid."""
    hour = _integers(got, "H", rows)
    fine = hour < 24  # noqa: PLR2004
    if "I" in got:
        half = _integers(got, "I", rows, 12)
        fine = (half >= 1) & (half <= 12)  # noqa: PLR2004
        late = pc.fill_null(pc.equal(pc.utf8_lower(got["p"]), "p"), fill_value=False)
        hour = half % 12 + 12 * late.to_numpy(zero_copy_only=False)
    minute, second = _integers(got, "M", rows), _integers(got, "S", rows)
    fine = fine & (minute < 60) & (second < 60)  # noqa: PLR2004
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000
    if "f" in got:
        padded = pc.utf8_slice_codeunits(pc.utf8_rpad(got["f"], 6, "0"), 0, 6)
        micros = micros + _integers({"f": padded}, "f", rows)
    if "z" in got:
        micros = micros - _offset(got["z"]) * 60_000_000
    return micros, fine


def _offset(text: pa.Array) -> np.ndarray:
    """Minutes east of UTC."""
    found = pc.extract_regex(text, r"^(?P<s>[+-])(?P<h>[0-9]{2}):?(?P<m>[0-9]{0,2})$")
    sign, hours, minutes = found.flatten()
    total = _integers({"h": hours}, "h", len(text)) * 60
    total = total + _integers({"m": minutes}, "m", len(text))
    minus = pc.fill_null(pc.equal(sign, "-"), fill_value=False).to_numpy(zero_copy_only=False)
    return np.where(minus, -total, total)


DURATIONS: Final = {
    "H:MM:SS": r"^(?P<sign>[+-]?)(?P<h>[0-9]+):(?P<m>[0-5]?[0-9]):(?P<s>[0-5]?[0-9](?:\.[0-9]+)?)$",
    "H:MM": r"^(?P<sign>[+-]?)(?P<h>[0-9]+):(?P<m>[0-5][0-9])$",
    "D days HH:MM:SS": (
        r"^(?P<sign>[+-]?)(?P<d>[0-9]+) days?,? (?P<h>[0-9]{1,2}):(?P<m>[0-5][0-9])"
        r":(?P<s>[0-5][0-9](?:\.[0-9]+)?)$"
    ),
    "PnDTnHnMnS": (
        r"^(?P<sign>[+-]?)P(?:(?P<w>[0-9]+)W)?(?:(?P<d>[0-9]+)D)?(?:T(?:(?P<h>[0-9]+)H)?"
        r"(?:(?P<m>[0-9]+)M)?(?:(?P<s>[0-9]+(?:\.[0-9]+)?)S)?)?$"
    ),
    "1d 2h 3min 4s": (
        r"^(?P<sign>[+-]?)(?:(?P<d>[0-9]+(?:\.[0-9]+)?) ?(?:d|days?))? ?"
        r"(?:(?P<h>[0-9]+(?:\.[0-9]+)?) ?(?:h|hrs?|hours?))? ?"
        r"(?:(?P<m>[0-9]+(?:\.[0-9]+)?) ?(?:min|mins|minutes?))? ?"
        r"(?:(?P<s>[0-9]+(?:\.[0-9]+)?) ?(?:s|secs?|seconds?))?$"
    ),
}
"""How durations are written, by the name that `Column.format` has."""

_SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def durations(text: pa.Array, form: str) -> pa.Array:
    """Microseconds as int64; null where a text is not of that form."""
    found = pc.extract_regex(text, DURATIONS[form])
    total = np.zeros(len(text))
    minus = np.zeros(len(text), bool)
    for at, part in enumerate(found.flatten()):
        name = found.type.field(at).name
        if name == "sign":
            sign = pc.fill_null(pc.equal(part, "-"), fill_value=False)
            minus = sign.to_numpy(zero_copy_only=False)
            continue
        filled = pc.if_else(pc.equal(part, ""), None, part)
        values = pc.fill_null(pc.cast(filled, pa.float64()), 0.0)
        total = total + values.to_numpy(zero_copy_only=False) * _SECONDS[name]
    valid = found.is_valid().to_numpy(zero_copy_only=False) & (total < 1e12)  # noqa: PLR2004
    micros = np.where(valid, np.where(minus, -total, total) * 1e6, 0).round().astype("int64")
    return pa.array(micros, mask=~valid)


# --- The table that AutoGluon gets ---------------------------------------------------------------

_DATE_PARTS: Final = ("year", "month", "day", "weekday")


def sources(features: Sequence[Column]) -> dict[str, list[str]]:
    """The columns of `frame` that come from each feature."""
    return {
        column.name: [
            column.name,
            *(_derived(column, part) for part in _parts(column)),
        ]
        for column in features
    }


def _derived(column: Column, part: str) -> str:
    """A name that no column of a table can have: NUL is refused in tables."""
    return f"{column.name}\0{part}"


def _parts(column: Column) -> tuple[str, ...]:
    extra = {"date": _DATE_PARTS, "datetime": (*_DATE_PARTS, "hour")}
    return extra.get(column.kind, ())


def frame_kinds(features: Sequence[Column]) -> dict[str, str]:
    """What each column of `frame` is for AutoGluon: `float`, `category` or `text`."""
    kinds: dict[str, str] = {}
    for column in features:
        kind = column.kind if column.kind in TEXTS else "float"
        kinds |= dict.fromkeys(sources([column])[column.name], kind)
    return kinds


def frame(features: Sequence[Column], arrays: Mapping[str, pa.Array]) -> pd.DataFrame:
    """The table that AutoGluon trains on and predicts from, by the features' names.

    Numbers and truth values are floats, NaN where missing; times of day and durations are seconds;
    dates are days since 1970-01-01 with their year, month, day, weekday (Monday is 0) and hour;
    categories are pandas categories and texts are objects, missing ones None.
    """
    import pandas as pd  # noqa: PLC0415 - preprocessing has no use for it and starts sooner

    found: dict[str, Any] = {}
    for column in features:
        found |= _framed(column, arrays[column.name])
    return pd.DataFrame(found, copy=False)


def _framed(column: Column, values: pa.Array | pa.ChunkedArray) -> dict[str, Any]:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if column.kind == "category":
        return {column.name: _categorical(column, values)}
    if column.kind == "text":
        return {column.name: values.to_numpy(zero_copy_only=False)}
    if column.kind in {"date", "datetime"}:
        return _calendar(column, values)
    if column.kind in {"time", "duration"}:
        return {column.name: _floats(as_integers(values)) / 1e6}
    return {column.name: _floats(values)}


def as_integers(values: pa.Array) -> pa.Array:
    """Days of dates; microseconds of moments, times and durations."""
    if pa.types.is_date32(values.type):
        values = pc.cast(values, pa.int32())
    return pc.cast(values, pa.int64())


def _floats(values: pa.Array) -> np.ndarray:
    if not pa.types.is_floating(values.type):
        values = pc.cast(values, pa.float64(), safe=False)
    if values.null_count:
        values = pc.fill_null(values, float("nan"))
    return values.to_numpy(zero_copy_only=False)


def _categorical(column: Column, values: pa.Array) -> pd.Categorical:
    import pandas as pd  # noqa: PLC0415 - as above

    if column.categories is None:
        coded = values.dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return pd.Categorical.from_codes(codes, coded.dictionary.to_pandas())
    at = pc.index_in(values, value_set=_category_set(column.categories))
    codes = pc.fill_null(at, -1).to_numpy(zero_copy_only=False)
    return pd.Categorical.from_codes(codes, dtype=_category_type(column.categories))


@lru_cache(maxsize=4096)
def _category_type(categories: tuple[str, ...]) -> pd.CategoricalDtype:
    import pandas as pd  # noqa: PLC0415 - as above

    return pd.CategoricalDtype(pd.Index(categories, dtype="object"))


def _calendar(column: Column, values: pa.Array) -> dict[str, np.ndarray]:
    moments = pc.cast(values, pa.timestamp("us"))
    micros = pc.cast(moments, pa.int64())
    parts = {
        "year": pc.year(moments),
        "month": pc.month(moments),
        "day": pc.day(moments),
        "weekday": pc.day_of_week(moments),
        "hour": pc.hour(moments),
    }
    wanted = _parts(column)
    return {column.name: _floats(micros) / 86_400e6} | {
        _derived(column, part): _floats(parts[part]) for part in wanted
    }
