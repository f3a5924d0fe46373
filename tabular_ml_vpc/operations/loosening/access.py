"""Who may do what: the policies of a deployment, by what they apply to, and how they compare.

Effective rights only grow if some policy allows more or denies less: those of a principal, what
bounds them, those of a resource, and those of the VPC endpoint on the way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from generator.cfn.evaluator import ResolvedDeployment, ResolvedResource
from generator.cfn.expressions import alternatives
from pipeline.types import Json, JsonView
from tabular_ml_vpc.operations.loosening import rights
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening
from tabular_ml_vpc.operations.loosening.rights import Right, Rights, Scope

Holder = tuple[Kind, str]
"""The kind of a policy, and what it applies to: a principal, or a resource."""

_PRINCIPALS: Final = frozenset({"AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"})
_POLICIES: Final = frozenset(
    f"AWS::IAM::{kind}Policy" for kind in ("", "Role", "User", "Group", "Managed")
)
_HOLDERS: Final = ("RoleName", "Roles", "UserName", "Users", "GroupName", "Groups")
_GUARDED: Final = ("Bucket", "Queues", "Topics")
_KEY: Final = "AWS::KMS::Key"
_PERMISSION_KEYS: Final = {
    "SourceArn": ("ArnLike", "aws:SourceArn"),
    "SourceAccount": ("StringEquals", "aws:SourceAccount"),
    "PrincipalOrgID": ("StringEquals", "aws:PrincipalOrgID"),
    "FunctionUrlAuthType": ("StringEquals", "lambda:FunctionUrlAuthType"),
    "EventSourceToken": ("StringEquals", "lambda:EventSourceToken"),
}
_WHY: Final = {
    Kind.RIGHTS: "the principal can do more than before",
    Kind.BOUNDARY: "the boundary of the principal allows more than before",
    Kind.TRUST: "more principals can act with the role",
    Kind.RESOURCE_POLICY: "more principals can use the resource, or in more ways",
    Kind.ENDPOINT_POLICY: "more requests can leave the VPC through the endpoint",
}
_UNKNOWN: Final = Scope(("everything that the managed policy says",))


def everything(principal: str) -> Json:
    """Return the policy that allows a principal everything."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}
    return {"Statement": [statement]}


def loosenings(old: ResolvedDeployment | None, new: ResolvedDeployment) -> Iterator[Loosening]:
    """Yield what policies and permissions boundaries allow and did not before."""
    before = _holdings(old) if old else {}
    after = _holdings(new)
    gone = {one.reference for one in old or ()} - {one.reference for one in new}
    for holder in {**after, **before}:
        if holder[1] not in gone:
            kind = holder[0]
            yield from rights.loosenings(
                kind, before.get(holder, {}), after.get(holder, {}), _WHY[kind]
            )
    if old:
        yield from _unbounded(_boundaries(old), new)


def _unbounded(before: Mapping[str, str], new: ResolvedDeployment) -> Iterator[Loosening]:
    for principal in _principals(new):
        boundary = principal.properties.get("PermissionsBoundary")
        known = before.get(principal.reference)
        if known and known != boundary:
            yield Loosening(
                Kind.BOUNDARY,
                str(principal),
                "PermissionsBoundary",
                known,
                boundary,
                "policies of the role are limited no longer, or by an unknown policy",
            )


def _boundaries(deployment: ResolvedDeployment) -> dict[str, str]:
    return {
        one.reference: str(one.properties["PermissionsBoundary"])
        for one in _principals(deployment)
        if "PermissionsBoundary" in one.properties
    }


def _principals(deployment: ResolvedDeployment) -> list[ResolvedResource]:
    return [one for one in deployment if one.type in _PRINCIPALS]


def _holdings(deployment: ResolvedDeployment) -> dict[Holder, Rights]:
    """Return all rights by what the policies apply to."""
    managed = {one.reference: one for one in deployment.of_type("AWS::IAM::ManagedPolicy")}
    found: dict[Holder, dict[Right, str]] = defaultdict(dict)
    for resource in deployment:
        for kind, holder, document in _documents(resource, managed):
            for right in rights.of_document(document, holder, holder):
                found[kind, holder].setdefault(right, str(resource))
        for right in _unknown_policies(resource, managed):
            found[Kind.RIGHTS, resource.reference].setdefault(right, str(resource))
    return dict(found)


def _documents(
    resource: ResolvedResource, managed: Mapping[str, ResolvedResource]
) -> Iterator[tuple[Kind, str, Any]]:
    """Yield each policy in a resource, and what it applies to."""
    properties, itself = resource.properties, resource.reference
    match resource.type:
        case kind if kind in _PRINCIPALS:
            yield from _of_principal(resource, managed)
        case kind if kind in _POLICIES:
            for holder in _named(properties, _HOLDERS) or [itself]:
                yield Kind.RIGHTS, holder, properties["PolicyDocument"]
        case "AWS::EC2::VPCEndpoint":
            document = properties.get("PolicyDocument", everything("*"))
            yield Kind.ENDPOINT_POLICY, itself, document
        case "AWS::Lambda::Permission":
            document = _of_permission(properties)
            yield Kind.RESOURCE_POLICY, str(properties["FunctionName"]), document
        case _:
            yield from _of_resource(resource)


def _of_principal(
    principal: ResolvedResource, managed: Mapping[str, ResolvedResource]
) -> Iterator[tuple[Kind, str, Any]]:
    properties, itself = principal.properties, principal.reference
    if "AssumeRolePolicyDocument" in properties:
        yield Kind.TRUST, itself, properties["AssumeRolePolicyDocument"]
    for policy in properties.get("Policies", []):
        yield Kind.RIGHTS, itself, policy["PolicyDocument"]
    for arn in properties.get("ManagedPolicyArns", []):
        if arn in managed:
            yield Kind.RIGHTS, itself, managed[arn].properties["PolicyDocument"]
    boundary = str(properties.get("PermissionsBoundary", ""))
    if boundary in managed:
        yield Kind.BOUNDARY, itself, managed[boundary].properties["PolicyDocument"]


def _of_resource(resource: ResolvedResource) -> Iterator[tuple[Kind, str, Any]]:
    """Yield the policies of a resource; a key without one trusts its account's policies."""
    properties = resource.properties
    guarded = _named(properties, _GUARDED) or [resource.reference]
    documents = [one for one in properties.values() if is_policy(one)]
    if resource.type == _KEY and not documents:
        documents = [everything("the account's policies")]
    for document in documents:
        for holder in guarded:
            yield Kind.RESOURCE_POLICY, holder, document


def is_policy(value: Any) -> bool:
    """Return whether a property's value is a policy."""
    return isinstance(value, Mapping) and "Statement" in value


def _named(properties: JsonView, names: tuple[str, ...]) -> list[str]:
    return [str(one) for name in names for one in alternatives(properties.get(name, []))]


def _of_permission(properties: JsonView) -> Json:
    """Return what a permission adds to the policy of a function."""
    condition: dict[str, Json] = defaultdict(dict)
    for name, (operator, key) in _PERMISSION_KEYS.items():
        if name in properties:
            condition[operator][key] = properties[name]
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": properties["Principal"]},
        "Action": properties["Action"],
        "Condition": condition,
    }
    return {"Statement": [statement]}


def _unknown_policies(
    resource: ResolvedResource, managed: Mapping[str, ResolvedResource]
) -> Iterator[Right]:
    """Yield an Allow and a Deny for each policy whose content is not in the templates."""
    if resource.type in _PRINCIPALS:
        for arn in resource.properties.get("ManagedPolicyArns", []):
            for effect in ("Allow", "Deny") if arn not in managed else ():
                yield Right(effect, Scope((resource.reference,)), _UNKNOWN, Scope((arn,)), "")
