"""What our comparison of policies holds for provably narrower, the simulator never finds wider.

Of each part of a statement there are many variants. The simulator says once for each variant which
requests it allows; then each pair of variants is compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from pipeline.types import Json
from tabular_ml_vpc.operations.loosening import rights
from tabular_ml_vpc.operations.loosening.kinds import Kind
from tests.iam.simulator import simulate

ROLE: Final = "arn:aws:iam::123456789012:role/"
REQUEST: Final[Json] = {
    "principal": "arn:aws:iam::123456789012:user/me",
    "action": "s3:GetObject",
    "resource": {"resource": "arn:aws:s3:::b/raw/x", "accountId": "123456789012"},
    "contextVariables": {},
}
EVERYTHING: Final[Json] = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True)
class Family:
    """Variants of one part of a statement, and requests between which they differ."""

    name: str
    variants: Sequence[Json]
    requests: Sequence[Json]


def chosen(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield every one and every two of the values."""
    known = list(values)
    for number in (1, 2):
        yield from map(list, itertools.combinations(known, number))


def named(part: str, *values: str) -> list[Json]:
    """Return variants of `Action` or `Resource`, and of all but some."""
    return [{f"{inverse}{part}": one} for inverse in ("", "Not") for one in chosen(values)]


def conditions_on(key: str, operators: Iterable[str], *values: str) -> list[Json]:
    """Return variants of a condition on one key."""
    return [
        {"Condition": {f"{operator}{ending}": {key: one}}}
        for operator in operators
        for ending in ("", "IfExists")
        for one in chosen(values)
    ]


def contexts(key: str, *values: str | list[str]) -> list[Json]:
    """Return requests without a key, and with each value."""
    return [REQUEST, *({**REQUEST, "contextVariables": {key: one}} for one in values)]


STRINGS: Final = ("StringEquals", "StringLike", "StringNotEquals", "StringNotLike")
SOME: Final = ("ForAnyValue", "ForAllValues")
FAMILIES: Final = (
    Family(
        "actions",
        named("Action", "s3:*", "s3:Get*", "s3:?etObject", "S3:getobject", "s3:PutObject"),
        [{**REQUEST, "action": f"s3:{one}Object"} for one in ("Get", "Put", "Delete")],
    ),
    Family(
        "resources",
        named(
            "Resource",
            *("arn:aws:s3:::b*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/r?w/x"),
            *("arn:aws:s3:::*/x", "arn:aws:s3:::b/?"),
        ),
        [
            {
                **REQUEST,
                "resource": {"resource": f"arn:aws:s3:::{one}", "accountId": "123456789012"},
            }
            for one in ("b/raw/x", "b/x", "bb/x", "c/raw/x", "c/y", "b/y")
        ],
    ),
    Family(
        "texts",
        conditions_on("aws:SourceVpc", STRINGS, "vpc-1", "vpc-22", "vpc-?", "vpc-*"),
        contexts("aws:SourceVpc", "vpc-1", "vpc-22", "vpc-3", "other"),
    ),
    Family(
        "lists",
        conditions_on(
            "aws:CalledVia",
            [f"{some}:{one}" for some in SOME for one in STRINGS],
            *("athena.amazonaws.com", "glue.amazonaws.com", "*.amazonaws.com"),
        ),
        contexts(
            "aws:CalledVia",
            *(["athena.amazonaws.com"], ["glue.amazonaws.com"], ["x"]),
            *(["athena.amazonaws.com", "x"], ["athena.amazonaws.com", "glue.amazonaws.com"]),
        ),
    ),
    Family(
        "ARNs",
        conditions_on(
            "aws:PrincipalArn",
            ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
            *(f"{ROLE}a", f"{ROLE}*", "arn:aws:iam::*:role/a", "arn:aws:iam::*"),
        ),
        contexts("aws:PrincipalArn", f"{ROLE}a", f"{ROLE}b", f"{ROLE}a".replace("1234", "4321")),
    ),
    Family(
        "numbers",
        conditions_on(
            "s3:TlsVersion",
            (
                *("NumericEquals", "NumericNotEquals", "NumericLessThan"),
                *("NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"),
            ),
            *("1.1", "1.2", "1.3"),
        ),
        contexts("s3:TlsVersion", "1.0", "1.1", "1.2", "1.3", "1.4"),
    ),
    Family(
        "absence",
        [
            {"Condition": {operator: {"aws:SecureTransport": value}}}
            for operator in ("Bool", "BoolIfExists", "Null")
            for value in ("true", "false")
        ],
        contexts("aws:SecureTransport", "true", "false"),
    ),
)


def policy(effect: str, variant: Json) -> Json:
    """Return a policy with a statement that has the variant of one part."""
    parts = {
        part: "*" for part in ("Action", "Resource") if not {part, f"Not{part}"} & variant.keys()
    }
    varied = {"Effect": effect, **parts, **variant}
    return {"Version": "2012-10-17", "Statement": [varied, *_besides(effect)]}


def _besides(effect: str) -> list[Json]:
    return [EVERYTHING] if effect == "Deny" else []


def allowed(policies: Sequence[Json], requests: Sequence[Json]) -> list[set[int]]:
    """Return for each policy the numbers of the requests that it allows."""
    verdicts = simulate(
        [
            {
                "request": request,
                "identityPolicies": [{"name": "policy", "policy": one}],
                "serviceControlPolicies": [],
                "resourceControlPolicies": [],
            }
            for one in policies
            for request in requests
        ]
    )
    assert not [one for one in verdicts if one.error or one.ignored]
    answers = iter(verdicts)
    return [{n for n in range(len(requests)) if next(answers).allowed} for _ in policies]


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_held_for_narrower_allows_nothing_more(family: Family, effect: str) -> None:
    policies = [policy(effect, variant) for variant in family.variants]
    answers = allowed(policies, family.requests)
    sides = [dict.fromkeys(rights.of_document(one, "me", "me"), "") for one in policies]
    narrower = [
        (old, new)
        for old, new in itertools.permutations(range(len(policies)), 2)
        if not any(rights.loosenings(Kind.RIGHTS, sides[old], sides[new], ""))
    ]
    wider = [
        (family.variants[old], family.variants[new])
        for old, new in narrower
        if not answers[new] <= answers[old]
    ]
    assert wider == []
    assert narrower
