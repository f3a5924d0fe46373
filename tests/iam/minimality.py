"""Whether every part of every policy is needed.

An allowance is needed if, without it, a required call is refused; a condition or a Deny, if without
it an attack succeeds. Parts are removed one at a time and the calls asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from tests.iam.account import Account, Document, Request
from tests.iam.required import Required
from tests.iam.simulator import simulate

ACTION: Final = "action"
RESOURCE: Final = "resource"
VALUE: Final = "value"
CONDITION: Final = "condition"
DENY: Final = "deny"


@dataclass(frozen=True)
class Part:
    """One part of one statement: an action, a resource, a condition key, or a whole Deny."""

    document: str
    statement: int
    sid: str
    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.document}/{self.sid}: {self.kind} {self.value}"


def allowances(account: Account) -> list[Part]:
    """Return every action, resource and value of a condition's list that a policy allows.

    `*` in a key's policy is that key.
    """
    return [
        Part(name, number, statement.get("Sid", ""), kind, value)
        for name, number, statement in _statements(account, "Allow")
        for kind, values in (
            (ACTION, statement["Action"]),
            (RESOURCE, _resources(statement)),
            (VALUE, _values(statement)),
        )
        for value in _listed(values)
    ]


def limits(account: Account) -> list[Part]:
    """Return every condition key of an allowance, and every Deny."""
    conditions = [
        Part(name, number, statement.get("Sid", ""), CONDITION, f"{operator} {key}")
        for name, number, statement in _statements(account, "Allow")
        for operator, keys in statement.get("Condition", {}).items()
        for key in keys
    ]
    denies = [
        Part(name, number, statement["Sid"], DENY, "all of it")
        for name, number, statement in _statements(account, "Deny")
    ]
    return conditions + denies


def _statements(account: Account, effect: str) -> Iterator[tuple[str, int, Any]]:
    for name, document in account.documents.items():
        for number, statement in enumerate(document.policy["Statement"]):
            if statement["Effect"] == effect:
                yield name, number, statement


def _listed(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)


def _resources(statement: Any) -> list[str]:
    """Return the resources, if there is more than one: the only one goes with its actions."""
    values = _listed(statement.get("Resource", []))
    return values if len(values) > 1 else []


def _values(statement: Any) -> list[str]:
    """Return the values of conditions that list several: operator, key and value."""
    return [
        f"{operator} {key} {value}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
        if isinstance(values, list) and len(values) > 1
        for value in values
    ]


def without(account: Account, part: Part) -> Account:
    """Return the account with one part removed."""
    statement = account.documents[part.document].policy["Statement"][part.statement]
    match part.kind:
        case "action":
            left = [one for one in _listed(statement["Action"]) if one != part.value]
            return account.without(part.document, part.statement, Action=left)
        case "resource":
            left = [one for one in _listed(statement["Resource"]) if one != part.value]
            return account.without(part.document, part.statement, Resource=left)
        case "value":
            operator, key, value = part.value.split(" ", 2)
            values = [one for one in statement["Condition"][operator][key] if one != value]
            condition = {
                **statement["Condition"],
                operator: {**statement["Condition"][operator], key: values},
            }
            return account.without(part.document, part.statement, Condition=condition)
        case "condition":
            operator, _, key = part.value.partition(" ")
            conditions = {
                name: {k: v for k, v in keys.items() if (name, k) != (operator, key)}
                for name, keys in statement["Condition"].items()
            }
            kept = {name: keys for name, keys in conditions.items() if keys}
            return account.without(part.document, part.statement, Condition=kept or None)
        case _:
            return account.without(part.document, part.statement, Action=[])


def needed_by(
    account: Account, parts: Sequence[Part], calls: Sequence[Required]
) -> dict[Part, list[Required]]:
    """Return, for each allowance, the required calls that are refused without it."""
    asked = [
        (part, call) for part in parts for call in calls if _concerns(account, part, call.request)
    ]
    verdicts = _ask_changed(account, ((part, call.request) for part, call in asked))
    found: dict[Part, list[Required]] = {part: [] for part in parts}
    for (part, call), allowed in zip(asked, verdicts, strict=True):
        if not allowed:
            found[part].append(call)
    return found


def let_through(
    account: Account, parts: Sequence[Part], attacks: Sequence[Request]
) -> dict[Part, list[Request]]:
    """Return, for each limit, the attacks that succeed without it."""
    asked = [
        (part, attack) for part in parts for attack in attacks if _concerns(account, part, attack)
    ]
    found: dict[Part, list[Request]] = {part: [] for part in parts}
    for (part, attack), allowed in zip(asked, _ask_changed(account, asked), strict=True):
        if allowed:
            found[part].append(attack)
    return found


def layers(parts: Sequence[Part]) -> dict[Part, list[Part]]:
    """Return, for each limit that has others behind it, those others.

    A grant of the key to a person is refused three times: by the caller's own policy, by the key
    policy's allowance and by its Deny. One of them can go and nothing happens; that is the point.
    """
    grants = [part for part in parts if _is_about_grants(part)]
    key = [part for part in grants if part.document.startswith("key/")]
    own = [part for part in grants if part not in key]
    behind_key = {part: [other for other in [*key, own[0]] if other != part] for part in key}
    return dict.fromkeys(own, key) | behind_key


def _is_about_grants(part: Part) -> bool:
    return part.sid == "DenyGrantsToOthers" or part.value == "Bool kms:GrantIsForAWSResource"


def last_layer(
    account: Account, part: Part, others: Iterable[Part], attacks: Sequence[Request]
) -> list[Request]:
    """Return the attacks that succeed when `part` goes, `others` being gone already."""
    attacks = [attack for attack in attacks if _concerns(account, part, attack)]
    for other in sorted(others, key=lambda one: (one.document, -one.statement)):
        account = without(account, other)
    before, after = account.ask(attacks), without(account, part).ask(attacks)
    return [
        attack
        for attack, first, second in zip(attacks, before, after, strict=True)
        if second.allowed and not first.allowed
    ]


def _ask_changed(account: Account, asked: Iterable[tuple[Part, Request]]) -> list[bool]:
    changed: dict[Part, Account] = {}
    simulations = []
    for part, request in asked:
        if part not in changed:
            changed[part] = without(account, part)
        simulations.append(changed[part].simulation(request))
    return [verdict.allowed for verdict in simulate(simulations)]


def _concerns(account: Account, part: Part, request: Request) -> bool:
    """Tell whether a statement has a say in a request, as far as that is cheap to see."""
    document = account.documents[part.document]
    statement = document.policy["Statement"][part.statement]
    actions = [part.value] if part.kind == ACTION else _listed(statement["Action"])
    acts = any(fnmatchcase(request.action.lower(), one.lower()) for one in actions)
    return acts and _decides(account, document, request)


def _decides(account: Account, document: Document, request: Request) -> bool:
    match document.kind:
        case "identity":
            return request.who in document.roles
        case "endpoint":
            return request.via == document.owner
        case _:
            return account.guard(request) is document.policy
