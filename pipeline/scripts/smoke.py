"""A sample request for the endpoint, with the answer that the model gives to it.

Before a model serves, one request shows that its endpoint answers as the evaluation's model did
(`smoke.json`). The request is in JSON, in which everything can be checked by eye, and has a few
rows of the test data: of different predicted classes, and some with missing values.

Every cell is written so that `inference.py` reads what it reads from the test data's Parquet: JSON
numbers and booleans as they are, texts as texts, and dates, times and durations as the table
writes them (`Column.format`), which is the only form that requests may have. A cell for which
there is no such text, such as a date of the year 12000 that came from Parquet, is null.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import cells
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from columns import Json
from jobs import JobError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from columns import Column
    from served import ServedModel

CONTENT_TYPE: Final = "application/json"
MOST_ROWS: Final = 20
MOST_BYTES: Final = 64 * 1024
"""Bytes of the request's body, unless its only row has more."""

_WITH_GAPS: Final = 5
"""Rows with a missing value among them, if there are any."""
_LOOKED_AT: Final = 1_000
"""Rows from which those of a regression are chosen."""

_MOMENTS: Final = {
    "date": "%Y-%m-%d",
    "time": "%H:%M:%S.%f",
    "datetime": "%Y-%m-%d %H:%M:%S.%f",
    "duration": "H:MM:SS",
}
"""Kinds that JSON has only as texts, and how they are written where the table has them typed."""


def request(loaded: ServedModel, rows: pa.Table) -> Json:
    """The contents of `smoke.json`: the request that asks for `rows`, and the model's answer.

    Rows that would make the body larger than `MOST_BYTES` are left out, but for one; that one has
    no values if they are more than a request can have.

    Raises:
        JobError: the model rejects its own test data in JSON.
    """
    body = _body(loaded, rows)
    try:
        answer, _ = loaded.code.transform_fn(loaded.model, body, CONTENT_TYPE, CONTENT_TYPE)
    except loaded.code.BaseInferenceToolkitError as error:
        raise JobError(f"the model rejects the test data as JSON: {error.message}") from error
    return {
        "content_type": CONTENT_TYPE,
        "body": body,
        "accept": CONTENT_TYPE,
        "answer": json.loads(answer),
    }


# --- Which rows ----------------------------------------------------------------------------------


def places(predicted: np.ndarray, classes: Sequence[str]) -> list[int]:
    """Where the rows to ask for are in the test data, the most telling ones first.

    Of classes, the first row that was predicted to be each of them, then the second one of each,
    and so on; of a regression, the rows from the least to the greatest prediction in even steps.
    """
    if not classes:
        order = np.argsort(predicted[:_LOOKED_AT], kind="stable")
        steps = np.linspace(0, len(order) - 1, min(MOST_ROWS, len(order)))
        return [int(at) for at in order[steps.round().astype(int)]]
    found = [np.flatnonzero(predicted == place)[:MOST_ROWS] for place in range(len(classes))]
    ranked = sorted((rank, int(at)) for rows in found for rank, at in enumerate(rows))
    return [at for _, at in ranked[:MOST_ROWS]]


def chosen(batches: Iterable[pa.Table], wanted: Sequence[int]) -> pa.Table:
    """The rows at the places `wanted`, the last of them replaced by rows with missing values.

    `batches` are the rows in the order in which they were predicted; those after the last one that
    is wanted are not read.
    """
    found: dict[int, pa.Table] = {}
    gaps: list[int] = []
    start = 0
    for batch in batches:
        here = [at - start for at in wanted if start <= at < start + batch.num_rows]
        more = _with_gaps(batch)[: _WITH_GAPS - len(gaps)]
        gaps += [start + at for at in more]
        found |= {start + at: batch.slice(at, 1) for at in (*here, *more)}
        start += batch.num_rows
        if start > max(wanted):
            break
    whole = [at for at in wanted if at not in gaps][: MOST_ROWS - len(gaps)]
    pairs = zip_longest(whole, gaps)
    return pa.concat_tables([found[at] for pair in pairs for at in pair if at is not None])


def _with_gaps(rows: pa.Table) -> list[int]:
    missing = np.zeros(rows.num_rows, bool)
    for column in rows.columns:
        if column.null_count:
            missing |= column.is_null().to_numpy()
    return [int(at) for at in np.flatnonzero(missing)]


def _body(loaded: ServedModel, rows: pa.Table) -> str:
    """As many of the rows as fit."""
    features = loaded.model.schema.features
    written = {item.name: in_json(item, rows.column(item.name)) for item in features}
    texts = [
        json.dumps(dict(zip(written, row, strict=True)), ensure_ascii=False, allow_nan=False)
        for row in zip(*written.values(), strict=True)
    ]
    room = MOST_BYTES
    kept: list[str] = []
    for text in texts[: loaded.request_rows]:
        size = len(text.encode()) + len(",\n")
        if size <= room:
            room -= size
            kept.append(text)
    if not kept:
        shortest = min(texts, key=len)
        fits = len(shortest.encode()) < loaded.code.LARGEST_BODY - len("[]")
        kept = [shortest if fits else json.dumps(dict.fromkeys(written), ensure_ascii=False)]
    return "[" + ",\n".join(kept) + "]"


# --- Cells ---------------------------------------------------------------------------------------


def in_json(column: Column, values: pa.ChunkedArray) -> list[Any]:
    """A column's cells, of any type, as a request in JSON has them."""
    typed = cells.read(column, values, odd="missing")
    if column.kind not in _MOMENTS:
        return list(typed.to_pylist())
    texts = [
        None if value is None else _text(column, value)
        for value in cells.as_integers(typed).to_pylist()
    ]
    back = cells.read(column, pa.array(texts, pa.string()), odd="missing")
    same = pc.fill_null(pc.equal(back, typed), fill_value=False).to_pylist()
    return [text if fine else None for text, fine in zip(texts, same, strict=True)]


def _text(column: Column, value: int) -> str | None:
    """Days of a date, or microseconds, as the column writes them; None if it cannot."""
    if column.kind == "duration":
        return _duration(column.format or _MOMENTS[column.kind], value)
    moment = _moment(column.kind, value)
    if moment is None:
        return None
    form = column.format or _MOMENTS[column.kind]
    year = f"{moment.year:04}"  # strftime does not pad it everywhere
    return moment.strftime(form.replace("%Y", year))


def _moment(kind: str, value: int) -> datetime | None:
    """The moment in UTC; a time of day is one of 1970-01-01."""
    micros = value * 86_400_000_000 if kind == "date" else value
    seconds, rest = divmod(micros, 1_000_000)
    days, second = divmod(seconds, 86_400)
    try:
        day = date.fromordinal(date(1970, 1, 1).toordinal() + days)
    except (ValueError, OverflowError):
        return None
    clock = time(second // 3600, second // 60 % 60, second % 60, rest, tzinfo=UTC)
    return datetime.combine(day, clock)


def _duration(form: str, micros: int) -> str:
    sign = "-" if micros < 0 else ""
    seconds, rest = divmod(abs(micros), 1_000_000)
    fraction = f".{rest:06}".rstrip("0").rstrip(".")
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return {
        "H:MM:SS": f"{sign}{hours}:{minute:02}:{second:02}{fraction}",
        "H:MM": f"{sign}{hours}:{minute:02}",
        "D days HH:MM:SS": f"{sign}{days} days {hour:02}:{minute:02}:{second:02}{fraction}",
        "PnDTnHnMnS": f"{sign}P{days}DT{hour}H{minute}M{second}{fraction}S",
        "1d 2h 3min 4s": f"{sign}{days}d {hour}h {minute}min {second}{fraction}s",
    }[form]
