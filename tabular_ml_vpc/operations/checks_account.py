"""Checks of the account: region, images, bucket, stack, and the deployer's permissions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.images import ACCOUNTS
from tabular_ml_vpc.operations.artifacts import MISSING, ArtifactBucket
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.stack_requests import blocked
from tabular_ml_vpc.operations.target import code_of

_BATCH: Final = 100
"""A number of actions that SimulatePrincipalPolicy is sure to accept at once."""
_NAMED: Final = 8
_FAMILIES: Final = {
    "autogluon-training": ("AutoGluon", "AutoGluonImageTag"),
    "autogluon-inference": ("AutoGluon", "AutoGluonImageTag"),
}
"""Each repository's account column in ``generator.images``, and the parameter with its tag."""


def region(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that the region has the jobs' images."""
    name = context.target.region
    if name in ACCOUNTS:
        yield CheckFinding("region", Verdict.OK, f"{name} has the AutoGluon images")
        return
    yield CheckFinding(
        "region",
        Verdict.PROBLEM,
        f"{name} has no AutoGluon images from AWS, or no SageMaker domains",
        "the root template's rule RegionHasImages rejects the deployment",
        f"python build.py deploy --region {next(iter(sorted(ACCOUNTS)))}  # or one of: "
        + ", ".join(sorted(ACCOUNTS)),
    )


def images(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that the images' tags exist in AWS's repositories."""
    accounts = ACCOUNTS.get(context.target.region)
    if accounts is None:
        return
    for repository, (family, parameter) in _FAMILIES.items():
        tag = context.values.get(parameter, "")
        yield _image(context, repository, accounts[family], tag, parameter)


def _image(
    context: CheckContext, repository: str, account: str, tag: str, parameter: str
) -> CheckFinding:
    name = f"{repository}:{tag}"
    try:
        answer = context.target.client("ecr").batch_get_image(
            registryId=account, repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
    except ClientError as error:
        if code_of(error) == "RepositoryNotFoundException":
            what = f"{name}: account {account} has no visible repository of this name"
            return CheckFinding("images", Verdict.UNKNOWN, what)
        raise
    if answer.get("images"):
        return CheckFinding("images", Verdict.OK, f"{name} exists")
    return CheckFinding(
        "images",
        Verdict.PROBLEM,
        f"{name} does not exist in account {account}",
        "the jobs of the first run cannot pull it",
        f"python build.py deploy --set {parameter}=TAG",
    )


def bucket(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that the artifact bucket can be used or created."""
    artifacts = ArtifactBucket(context.target, context.bucket)
    name, problem = artifacts.name, artifacts.problem()
    if problem is None:
        yield CheckFinding("artifact bucket", Verdict.OK, f"{name} is accessible and in the region")
    elif problem == MISSING and context.bucket is None:
        what = f"{name} does not exist yet; the first deployment creates it"
        yield CheckFinding("artifact bucket", Verdict.OK, what)
    else:
        yield CheckFinding(
            "artifact bucket",
            Verdict.PROBLEM,
            f"{name}: {problem}",
            "templates and zips cannot be uploaded",
            "python build.py deploy --bucket NAME  # your own bucket in the region",
        )


def stack(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that the stack can be deployed."""
    target, found = context.target, context.stack
    if found is None:
        what = f"{target.stack} does not exist yet; a deployment creates it"
        yield CheckFinding("stack", Verdict.OK, what)
        return
    problem = blocked(found)
    if problem is None:
        yield CheckFinding(
            "stack", Verdict.OK, f"{target.stack} is in {found.status} and can be updated"
        )
        return
    yield CheckFinding(
        "stack",
        Verdict.PROBLEM,
        f"{target.stack} is in {problem.status}",
        problem.reason,
        f"python build.py {'deploy --repair' if problem.repair else 'status --watch'}"
        f"{target.options()}",
    )


def rights(context: CheckContext) -> Iterator[CheckFinding]:
    """Simulate whether the caller has the permissions of the deployer's policies.

    The policies are in docs/deployer.md.
    """
    arn = context.target.identity["Arn"]
    if arn.endswith(":root"):
        yield CheckFinding("rights", Verdict.OK, "the account's root user has all permissions")
        return
    principal = _principal(context, arn)
    decisions: dict[str, str] = {}
    for statement in context.deployer_statements:
        decisions |= _simulate(context, principal, statement)
    denied = sorted(action for action, found in decisions.items() if found == "explicitDeny")
    missing = sorted(action for action, found in decisions.items() if found == "implicitDeny")
    if denied:
        yield _lacking(principal, denied, "a policy denies them")
    if missing:
        yield _lacking(principal, missing, "no policy allows them on the stack's resources")
    if not denied and not missing:
        what = f"{principal} has all {len(decisions)} permissions that a deployment needs"
        yield CheckFinding("rights", Verdict.OK, what)


def _lacking(principal: str, actions: list[str], why: str) -> CheckFinding:
    more = f" and {len(actions) - _NAMED} more" if len(actions) > _NAMED else ""
    kind, _, name = principal.rpartition(":")[2].partition("/")
    return CheckFinding(
        "rights",
        Verdict.PROBLEM,
        f"{principal} lacks {', '.join(actions[:_NAMED])}{more}",
        f"{why}; CloudFormation uses the deployer's permissions",
        f"aws iam attach-{kind}-policy --{kind}-name {name.rpartition('/')[2]} --policy-arn ARN"
        "  # for each policy in docs/deployer.md",
    )


def _principal(context: CheckContext, arn: str) -> str:
    """Return the ARN for the simulation: that of the role, not of its session."""
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split("/")[1]
    role: dict[str, Any] = context.target.client("iam").get_role(RoleName=name)["Role"]
    return str(role["Arn"])


def _simulate(
    context: CheckContext, principal: str, statement: Mapping[str, Any]
) -> dict[str, str]:
    """Return the decision on each action of a statement: the best one on its resources."""
    actions, resources = _list(statement["Action"]), _list(statement["Resource"])
    found: dict[str, str] = {}
    for start in range(0, len(actions), _BATCH):
        pages = (
            context.target.client("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(
                PolicySourceArn=principal,
                ActionNames=actions[start : start + _BATCH],
                ResourceArns=[_example(context, pattern) for pattern in resources],
                ContextEntries=list(_context(statement.get("Condition", {}))),
            )
        )
        for page in pages:
            for result in page["EvaluationResults"]:
                if found.get(result["EvalActionName"]) != "allowed":
                    found[result["EvalActionName"]] = result["EvalDecision"]
    return found


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _example(context: CheckContext, pattern: str) -> str:
    """Return a resource that matches a pattern in the policy."""
    if not pattern.startswith("arn:"):
        return pattern
    head, partition, service, region, account, resource = pattern.split(":", 5)
    target = context.target
    return ":".join(
        (
            head,
            target.partition if partition in {"aws", "*"} else partition,
            service,
            target.region if region == "*" else region,
            target.account if account == "*" else account,
            resource.replace("*", "example"),
        )
    )


def _context(condition: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the context of a request that meets a statement's condition."""
    types = {"StringEquals": "string", "StringLike": "string", "Bool": "boolean"}
    for operator, keys in condition.items():
        for key, values in keys.items():
            yield {
                "ContextKeyName": key,
                "ContextKeyType": types[operator.removesuffix("IfExists")],
                "ContextKeyValues": [_list(values)[0].replace("*", "example")],
            }
