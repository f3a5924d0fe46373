"""Whether the permissions boundary of the stack's roles exists, and allows what they need.

A boundary that is too tight lets a creation fail when the first function calls AWS, and its
rollback too, which needs the same functions. What the roles need is what their policies allow;
what the boundary allows is decided here, from its document. Conditions of an Allow count as met,
and a Deny with a condition does not count: what is reported is certainly not allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import alternatives
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.findings import (
    CheckContext,
    CheckFinding,
    Verdict,
    not_permitted,
)
from tabular_ml_vpc.operations.loosening.patterns import matches
from tabular_ml_vpc.operations.target import Target, code_of

NAME: Final = "permissions boundary"
_NAMED: Final = 6
_ROLE: Final = "AWS::IAM::Role"
_POLICIES: Final = ("AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy")
_REMEDY: Final = "python build.py --config FILE.toml  # set security.permissions_boundary"

Statement = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Need:
    """One action on one resource that a role's policy allows."""

    role: str
    action: str
    resource: str


_ATTACHING: Final = "roles that name the policy"
"""Whoever has a managed policy that names no role: roles of other stacks attach it."""


def boundary(context: CheckContext) -> Iterator[CheckFinding]:
    """Check each boundary of the roles that would be created; none is checked if there is none."""
    roles = context.properties(_ROLE)
    for arn in sorted({role.get("PermissionsBoundary", "") for role in roles} - {""}):
        try:
            yield _examined(context, arn)
        except ClientError as error:
            yield not_permitted(NAME, error, arn)


def _examined(context: CheckContext, arn: str) -> CheckFinding:
    statements = _document(context.target, arn)
    if statements is None:
        why = "the first role of the stack could not be created"
        return CheckFinding(NAME, Verdict.PROBLEM, f"{arn} does not exist", why, _REMEDY)
    lacking = sorted(need for need in needs(context) if not allows(statements, need))
    if not lacking:
        what = f"{arn} allows what the policies of the stack's roles allow"
        return CheckFinding(NAME, Verdict.OK, what)
    actions = list(dict.fromkeys(need.action for need in lacking))
    more = f" and {len(actions) - _NAMED} more" if len(actions) > _NAMED else ""
    roles = counted(len({need.role for need in lacking}), "role")
    return CheckFinding(
        NAME,
        Verdict.PROBLEM,
        f"{arn} does not allow {', '.join(actions[:_NAMED])}{more}, needed by {roles} of the stack",
        "a function would fail while the stack is created, and again when that is rolled back",
        f"aws iam create-policy-version --set-as-default --policy-arn {arn} "
        "--policy-document file://FILE.json",
    )


def _document(target: Target, arn: str) -> list[Statement] | None:
    """Return the statements of a managed policy; None if it does not exist."""
    iam = target.client("iam")
    try:
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
    except ClientError as error:
        if code_of(error) in {"NoSuchEntity", "NoSuchEntityException"}:
            return None
        raise
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    document: Mapping[str, Any] = version["PolicyVersion"]["Document"]
    return _listed(document["Statement"])


def needs(context: CheckContext) -> set[Need]:
    """Return what the policies of the roles that would be created allow."""
    found: set[Need] = set()
    place = context.target.location(context.target.stack)
    for kind in _POLICIES:
        for properties in context.properties(kind, place):
            attached = properties.get("Roles", [_ATTACHING])
            roles = _listed(properties.get("RoleName") or attached)
            found |= set(_allowed(roles, properties["PolicyDocument"]))
    for role in context.properties(_ROLE, place):
        for policy in role.get("Policies", []):
            found |= set(_allowed([role.get("RoleName", "a role")], policy["PolicyDocument"]))
    return found


def _allowed(roles: Sequence[str], document: Mapping[str, Any]) -> Iterator[Need]:
    for statement in _listed(document["Statement"]):
        if statement["Effect"] == "Allow" and "Action" in statement:
            for role in roles:
                for action in _listed(statement["Action"]):
                    for resource in _listed(statement.get("Resource", "*")):
                        yield Need(str(role), str(action), str(resource))


def allows(statements: Sequence[Statement], need: Need) -> bool:
    """Return whether a boundary with these statements may allow what a role needs."""
    applying = [one for one in statements if _covers(one, need)]
    denied = any(one["Effect"] == "Deny" and not one.get("Condition") for one in applying)
    return not denied and any(one["Effect"] == "Allow" for one in applying)


def _covers(statement: Statement, need: Need) -> bool:
    if "NotAction" in statement:
        acts = not _matches(need.action.lower(), statement["NotAction"], str.lower)
    else:
        acts = _matches(need.action.lower(), statement["Action"], str.lower)
    if "NotResource" in statement:
        return acts and not _matches(need.resource, statement["NotResource"])
    denies = statement["Effect"] == "Deny"
    return acts and _reaches(need.resource, statement.get("Resource", "*"), whole=denies)


def _reaches(resource: str, patterns: Any, whole: bool) -> bool:
    """Return whether patterns match a resource, or (not ``whole``) a part of its own pattern."""
    if _matches(resource, patterns):
        return True
    return not whole and any(matches(resource, str(one)) for one in _listed(patterns))


def _matches(value: str, patterns: Any, form: Any = str) -> bool:
    return any(matches(form(str(pattern)), value) for pattern in _listed(patterns))


def _listed(value: Any) -> list[Any]:
    return alternatives(value)
