"""Conditions of policies: whether one is at least as strict as another.

Source: "IAM JSON policy elements: Condition operators", IAM User Guide. Within a condition all
tests must hold; of a test's values one must match or, for an operator with ``Not``, none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from generator.cfn.expressions import alternatives
from tabular_ml_vpc.operations.loosening.patterns import arn_matches, is_plain, matches

_OPERATOR: Final = re.compile(r"(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?")
_STRING: Final = {"StringEquals": False, "StringLike": True}
_ARN: Final = {"ArnEquals": True, "ArnLike": True}
"""Operators by the names without ``Not``, and whether their values can have wildcards."""
_SETS: Final = frozenset(
    {"Bool", "Null", "IpAddress", "NumericEquals", "DateEquals", "StringEqualsIgnoreCase"}
)
"""Other operators of which one value must match (or none, with ``Not``)."""
_AT_MOST: Final = frozenset({"NumericLessThan", "NumericLessThanEquals"})
_AT_LEAST: Final = frozenset({"NumericGreaterThan", "NumericGreaterThanEquals"})


class Test(NamedTuple):
    """One test of a condition: an operator, a key and the values."""

    operator: str
    key: str
    values: tuple[str, ...]


def canonical(condition: Any) -> str:
    """Return a condition as JSON that does not depend on order or form; empty if there is none."""
    tests = {
        str(operator): {str(key): _values(values) for key, values in keys.items()}
        for operator, keys in condition.items()
    }
    return json.dumps(tests, sort_keys=True) if tests else ""


def _values(values: Any) -> str | list[str]:
    found = sorted({_text(value) for value in alternatives(values)})
    return found[0] if len(found) == 1 else found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def tests(condition: str) -> Iterator[Test]:
    """Yield the tests of a canonical condition."""
    for operator, keys in (json.loads(condition) if condition else {}).items():
        for key, values in keys.items():
            yield Test(operator, key.lower(), tuple(alternatives(values)))


def implies(strict: str, loose: str) -> bool:
    """Return whether ``loose`` provably holds whenever ``strict`` does; both are canonical."""
    given = list(tests(strict))
    return all(any(_implies(one, test) for one in given) for test in tests(loose))


def _implies(strict: Test, loose: Test) -> bool:
    if strict.key != loose.key:
        return False
    if (strict.operator, set(strict.values)) == (loose.operator, set(loose.values)):
        return True
    left, right = _OPERATOR.fullmatch(strict.operator), _OPERATOR.fullmatch(loose.operator)
    if left is None or right is None or left[1] != right[1] or (left[3] and not right[3]):
        return False
    return _values_imply((left[2], strict.values), (right[2], loose.values))


def _values_imply(strict: tuple[str, tuple[str, ...]], loose: tuple[str, tuple[str, ...]]) -> bool:
    (left, given), (right, needed) = strict, loose
    bases = left.replace("Not", "", 1), right.replace("Not", "", 1)
    if ("Not" in left) is not ("Not" in right):
        return False
    if "Not" in left:
        return all(any(_covers(bases[::-1], one, value) for one in given) for value in needed)
    if left == right and left in _AT_MOST | _AT_LEAST:
        return _is_beyond(left, given, needed)
    return all(any(_covers(bases, value, one) for value in needed) for one in given)


def _covers(bases: tuple[str, str], wide: str, narrow: str) -> bool:
    """Return whether ``wide`` matches all that ``narrow`` does; ``bases``: narrow's and wide's."""
    inner, outer = bases
    for family, match in ((_STRING, matches), (_ARN, arn_matches)):
        if inner in family and outer in family:
            plain = is_plain(narrow) or not family[inner]
            return match(wide, narrow) if family[outer] else plain and wide == narrow
    return inner == outer and inner in _SETS and wide == narrow


def _is_beyond(operator: str, given: tuple[str, ...], needed: tuple[str, ...]) -> bool:
    """Compare limits, of which the loosest counts."""
    try:
        left, right = ([float(value) for value in values] for values in (given, needed))
    except ValueError:
        return False
    if operator in _AT_MOST:
        return max(left) <= max(right)
    return min(left) >= min(right)
