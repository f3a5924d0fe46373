"""The expression by which EventBridge starts runs, checked before AWS would reject it.

Source: EventBridge user guide, "Cron expressions reference" and "Rate expressions reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RULE: Final = (
    "must be empty, a rate such as rate(7 days), or six fields in UTC such as cron(0 6 ? * MON *)"
)
_UNITS: Final = ("minute", "hour", "day")
_LONGEST: Final = 256
"""Most characters of an expression (PutRule)."""
_MONTHS: Final = (
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
)
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class _Field:
    """One field of a cron expression: its range, its names, and what only this field allows."""

    name: str
    least: int
    most: int
    names: Mapping[str, int] = field(default_factory=dict)
    special: str = r"(?!)"
    """Pattern of forms besides values, ranges and steps; matches nothing by default."""

    def problem(self, text: str) -> str:
        """Say what is wrong with the field's text, or return an empty text."""
        if text == "?" or re.fullmatch(self.special, text):
            return ""
        for part in text.split(","):
            if not self._allows(part):
                return f"{self.name}: {part!r} is not allowed"
        return ""

    def _allows(self, part: str) -> bool:
        values, slash, step = part.partition("/")
        if slash and not (_is_number(step) and int(step) > 0):
            return False
        if values == "*":
            return True
        first, dash, last = values.partition("-")
        return self._is_value(first) and (not dash or self._is_value(last))

    def values(self, text: str) -> set[int]:
        """Return the values that a valid text without special forms stands for."""
        found = set[int]()
        for part in text.split(","):
            span, slash, step = part.partition("/")
            first, dash, last = span.partition("-")
            start = self.least if first in "*?" else self._value(first)
            end = self._value(last) if dash else start
            if not dash and (first in "*?" or slash):
                end = self.most
            length = self.most - self.least + 1
            steps = range(0, (end - start) % length + 1, int(step) if slash else 1)
            found |= {self.least + (start - self.least + one) % length for one in steps}
        return found

    def _value(self, text: str) -> int:
        return self.names[text] if text in self.names else int(text)

    def _is_value(self, text: str) -> bool:
        if text in self.names:
            return True
        return _is_number(text) and self.least <= int(text) <= self.most


_FIELDS: Final = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31, special=r"LW?|([1-9]|[12][0-9]|3[01])W"),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field(
        *("day of week", 1, 7),
        {name: number for number, name in enumerate(_DAYS, 1)},
        rf"([1-7]|{'|'.join(_DAYS)})?L|([1-7]|{'|'.join(_DAYS)})#[1-5]",
    ),
    _Field("year", 1970, 2199),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4
_DATES: Final = (_DAY_OF_MONTH, 3, 5)
"""The fields of a date: day of month, month, year."""
MINUTES_A_WEEK: Final = 7 * 24 * 60


def check(expression: str) -> str:
    """Return a schedule expression, or the empty text, which means no schedule.

    Raises:
        ValueError: says what is wrong and what is allowed.

    """
    if not expression:
        return expression
    found = re.fullmatch(r"(rate|cron)\(([ -~]*)\)", expression)
    if not found or len(expression) > _LONGEST:
        raise ValueError(RULE)
    kind, inside = found.groups()
    if problem := _rate_problem(inside) if kind == "rate" else _cron_problem(inside):
        raise ValueError(f"{RULE}; {problem}")
    return expression


def minutes_of_the_week(expression: str) -> set[int] | None:
    """Return at which minutes after Sunday 00:00 UTC a valid cron expression fires, every week.

    None if that is not the same every week: the expression names dates, or is a rate.
    """
    fields = expression.removeprefix("cron(").removesuffix(")").split()
    if len(fields) != len(_FIELDS) or any(fields[index] not in "*?" for index in _DATES):
        return None
    minutes, hours, days = ((_FIELDS[index], fields[index]) for index in (0, 1, _DAY_OF_WEEK))
    if re.fullmatch(days[0].special, days[1]):
        return None
    return {
        ((day - 1) * 24 + hour) * 60 + minute
        for day in days[0].values(days[1])
        for hour in hours[0].values(hours[1])
        for minute in minutes[0].values(minutes[1])
    }


def _rate_problem(inside: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,6}) ([a-z]+)", inside)
    if not found:
        return "a rate is a positive whole number, a space and a unit"
    value, unit = found.groups()
    allowed = [one if value == "1" else f"{one}s" for one in _UNITS]
    return "" if unit in allowed else f"the unit after {value} is one of {', '.join(allowed)}"


def _cron_problem(inside: str) -> str:
    fields = inside.split()
    if len(fields) != len(_FIELDS):
        return f"got {len(fields)} fields"
    for index, (known, text) in enumerate(zip(_FIELDS, fields, strict=True)):
        if text == "?" and index not in (_DAY_OF_MONTH, _DAY_OF_WEEK):
            return f"{known.name}: '?' is not allowed"
        if problem := known.problem(text):
            return problem
    if (fields[_DAY_OF_MONTH] == "?") is (fields[_DAY_OF_WEEK] == "?"):
        return "exactly one of day of month and day of week is ?"
    return ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,4}", text) is not None
