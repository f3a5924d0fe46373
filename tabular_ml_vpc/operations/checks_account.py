"""Checks of the account: region, images, bucket, the stack itself, the deployer's rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.images import ACCOUNTS
from tabular_ml_vpc.operations import artifacts, deployment
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import code_of

_BATCH: Final = 100
"""Most actions that SimulatePrincipalPolicy takes at once, to be on the safe side."""
_NAMED: Final = 8
_FAMILIES: Final = {
    "autogluon-training": ("AutoGluon", "AutoGluonImageTag"),
    "autogluon-inference": ("AutoGluon", "AutoGluonImageTag"),
}
"""Each repository's account column in ``generator.images``, and the parameter with its tag."""


def region(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that the region has the images that the jobs run in."""
    name = patient.target.region
    if name in ACCOUNTS:
        yield CheckFinding("region", Verdict.OK, f"{name} has the image of AutoGluon")
        return
    yield CheckFinding(
        "region",
        Verdict.PROBLEM,
        f"{name} has no AWS image of AutoGluon, or no SageMaker domain",
        "the rule RegionHasImages of the root template refuses the deployment",
        f"python build.py deploy --region {next(iter(sorted(ACCOUNTS)))}  # or another of: "
        + ", ".join(sorted(ACCOUNTS)),
    )


def images(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that the images' tags exist in AWS's repositories."""
    accounts = ACCOUNTS.get(patient.target.region)
    if accounts is None:
        return
    for repository, (family, parameter) in _FAMILIES.items():
        tag = patient.values.get(parameter, "")
        yield _image(patient, repository, accounts[family], tag, parameter)


def _image(
    patient: CheckContext, repository: str, account: str, tag: str, parameter: str
) -> CheckFinding:
    name = f"{repository}:{tag}"
    try:
        answer = patient.target.client("ecr").batch_get_image(
            registryId=account, repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
    except ClientError as error:
        if code_of(error) == "RepositoryNotFoundException":
            what = f"{name}: account {account} shows no such repository"
            return CheckFinding("images", Verdict.UNKNOWN, what)
        raise
    if answer.get("images"):
        return CheckFinding("images", Verdict.OK, f"{name} is there")
    return CheckFinding(
        "images",
        Verdict.PROBLEM,
        f"{name} is not in account {account}",
        "the first run's jobs cannot pull it",
        f"python build.py deploy --set {parameter}=TAG",
    )


def bucket(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that the artifact bucket can be used, or made."""
    name = patient.bucket or artifacts.bucket_name(patient.target)
    problem = artifacts.bucket_problem(patient.target, name)
    if problem is None:
        yield CheckFinding("artifact bucket", Verdict.OK, f"{name} is reachable and in the region")
    elif artifacts.is_missing(problem) and patient.bucket is None:
        what = f"{name} does not exist; the first deployment makes it"
        yield CheckFinding("artifact bucket", Verdict.OK, what)
    else:
        yield CheckFinding(
            "artifact bucket",
            Verdict.PROBLEM,
            f"{name}: {problem}",
            "templates and zips cannot be uploaded",
            "python build.py deploy --bucket NAME  # a bucket of yours in the region",
        )


def stack(patient: CheckContext) -> Iterator[CheckFinding]:
    """Check that the stack takes a deployment."""
    target, found = patient.target, patient.stack
    if found is None:
        yield CheckFinding("stack", Verdict.OK, f"{target.stack} does not exist: it would be made")
        return
    problem = deployment.blocked(found)
    if problem is None:
        yield CheckFinding(
            "stack", Verdict.OK, f"{target.stack} is in {found.status}: it takes updates"
        )
        return
    yield CheckFinding(
        "stack",
        Verdict.PROBLEM,
        f"{target.stack} is in {problem.status}",
        problem.reason,
        f"python build.py {'deploy --mend' if problem.mend else 'status --watch'}"
        f"{target.options()}",
    )


def rights(patient: CheckContext) -> Iterator[CheckFinding]:
    """Simulate whether who deploys may do what the deployer's policies (docs/deployer.md) allow."""
    arn = patient.target.identity["Arn"]
    if arn.endswith(":root"):
        yield CheckFinding("rights", Verdict.OK, "the account's root user may do everything")
        return
    principal = _principal(patient, arn)
    decisions: dict[str, str] = {}
    for statement in patient.deployer_statements:
        decisions |= _simulate(patient, principal, statement)
    denied = sorted(action for action, found in decisions.items() if found == "explicitDeny")
    missing = sorted(action for action, found in decisions.items() if found == "implicitDeny")
    if denied:
        yield _lacking(principal, denied, "a policy denies them")
    if missing:
        yield _lacking(principal, missing, "no policy allows them on the stack's resources")
    if not denied and not missing:
        what = f"{principal} may do all {len(decisions)} actions that deploying takes"
        yield CheckFinding("rights", Verdict.OK, what)


def _lacking(principal: str, actions: list[str], why: str) -> CheckFinding:
    more = f" and {len(actions) - _NAMED} more" if len(actions) > _NAMED else ""
    kind, _, name = principal.rpartition(":")[2].partition("/")
    return CheckFinding(
        "rights",
        Verdict.PROBLEM,
        f"{principal} lacks {', '.join(actions[:_NAMED])}{more}",
        f"{why}; CloudFormation acts with the rights of who deploys",
        f"aws iam attach-{kind}-policy --{kind}-name {name.rpartition('/')[2]} --policy-arn ARN"
        "  # of the policies in docs/deployer.md",
    )


def _principal(patient: CheckContext, arn: str) -> str:
    """Return the ARN that a simulation takes: of the role, not of its session."""
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split("/")[1]
    role: dict[str, Any] = patient.target.client("iam").get_role(RoleName=name)["Role"]
    return str(role["Arn"])


def _simulate(
    patient: CheckContext, principal: str, statement: Mapping[str, Any]
) -> dict[str, str]:
    """Return the decision on each action of a statement: the best one on its resources."""
    actions, resources = _list(statement["Action"]), _list(statement["Resource"])
    found: dict[str, str] = {}
    for start in range(0, len(actions), _BATCH):
        pages = (
            patient.target.client("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(
                PolicySourceArn=principal,
                ActionNames=actions[start : start + _BATCH],
                ResourceArns=[_example(patient, one) for one in resources],
                ContextEntries=list(_context(statement.get("Condition", {}))),
            )
        )
        for page in pages:
            for one in page["EvaluationResults"]:
                if found.get(one["EvalActionName"]) != "allowed":
                    found[one["EvalActionName"]] = one["EvalDecision"]
    return found


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _example(patient: CheckContext, pattern: str) -> str:
    """Return a resource that a pattern of the policy is about."""
    if not pattern.startswith("arn:"):
        return pattern
    head, partition, service, region, account, resource = pattern.split(":", 5)
    target = patient.target
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
    """Yield what a request has when a statement's condition holds."""
    types = {"StringEquals": "string", "StringLike": "string", "Bool": "boolean"}
    for operator, keys in condition.items():
        for key, values in keys.items():
            yield {
                "ContextKeyName": key,
                "ContextKeyType": types[operator.removesuffix("IfExists")],
                "ContextKeyValues": [_list(values)[0].replace("*", "example")],
            }
