"""Checks of the account: region, images, bucket, the stack itself, the deployer's rights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.images import ACCOUNTS
from generator.life import artifacts, deployment, forecast
from generator.life.findings import Finding, Patient, Verdict
from generator.life.target import code_of

_BATCH: Final = 100
"""Most actions that SimulatePrincipalPolicy takes at once, to be on the safe side."""
_NAMED: Final = 8
_ALWAYS: Final = (
    *("cloudformation:CreateStack", "cloudformation:CreateChangeSet"),
    *("cloudformation:ExecuteChangeSet", "cloudformation:DeleteStack"),
    *("cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"),
    *("s3:CreateBucket", "s3:GetObject", "s3:PutObject", "iam:PassRole"),
    *("lambda:InvokeFunction", "ec2:DescribeNetworkInterfaces"),
)
_FAMILIES: Final = {
    "autogluon-training": ("AutoGluon", "AutoGluonImageTag"),
    "autogluon-inference": ("AutoGluon", "AutoGluonImageTag"),
    "sagemaker-scikit-learn": ("Sklearn", "PreprocessImageTag"),
}
"""Each repository's account column in ``generator.images``, and the parameter with its tag."""


def region(patient: Patient) -> Iterator[Finding]:
    """Check that the region has the images that the jobs run in."""
    name = patient.target.region
    if name in ACCOUNTS:
        yield Finding("region", Verdict.OK, f"{name} has the images of AutoGluon and scikit-learn")
        return
    yield Finding(
        "region",
        Verdict.PROBLEM,
        f"{name} has no AWS image of AutoGluon and scikit-learn, or no SageMaker domain",
        "the rule RegionHasImages of the root template refuses the deployment",
        f"python build.py deploy --region {next(iter(sorted(ACCOUNTS)))}  # or another of: "
        + ", ".join(sorted(ACCOUNTS)),
    )


def images(patient: Patient) -> Iterator[Finding]:
    """Check that the images' tags exist in AWS's repositories."""
    accounts = ACCOUNTS.get(patient.target.region)
    if accounts is None:
        return
    for repository, (family, parameter) in _FAMILIES.items():
        tag = patient.values.get(parameter, "")
        yield _image(patient, repository, accounts[family], tag, parameter)


def _image(patient: Patient, repository: str, account: str, tag: str, parameter: str) -> Finding:
    name = f"{repository}:{tag}"
    try:
        answer = patient.target.client("ecr").batch_get_image(
            registryId=account, repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
    except ClientError as error:
        if code_of(error) == "RepositoryNotFoundException":
            what = f"{name}: account {account} shows no such repository"
            return Finding("images", Verdict.UNKNOWN, what)
        raise
    if answer.get("images"):
        return Finding("images", Verdict.OK, f"{name} is there")
    return Finding(
        "images",
        Verdict.PROBLEM,
        f"{name} is not in account {account}",
        "the first run's jobs cannot pull it",
        f"python build.py deploy --set {parameter}=TAG",
    )


def bucket(patient: Patient) -> Iterator[Finding]:
    """Check that the artifact bucket can be used, or made."""
    name = patient.bucket or artifacts.bucket_name(patient.target)
    problem = artifacts.bucket_problem(patient.target, name)
    if problem is None:
        yield Finding("artifact bucket", Verdict.OK, f"{name} is reachable and in the region")
    elif artifacts.is_missing(problem) and patient.bucket is None:
        what = f"{name} does not exist; the first deployment makes it"
        yield Finding("artifact bucket", Verdict.OK, what)
    else:
        yield Finding(
            "artifact bucket",
            Verdict.PROBLEM,
            f"{name}: {problem}",
            "templates and zips cannot be uploaded",
            "python build.py deploy --bucket NAME  # a bucket of yours in the region",
        )


def stack(patient: Patient) -> Iterator[Finding]:
    """Check that the stack takes a deployment."""
    target, found = patient.target, patient.stack
    if found is None:
        yield Finding("stack", Verdict.OK, f"{target.stack} does not exist: it would be made")
        return
    problem = deployment.blocked(found)
    if problem is None:
        yield Finding("stack", Verdict.OK, f"{target.stack} is in {found.status}: it takes updates")
        return
    yield Finding(
        "stack",
        Verdict.PROBLEM,
        f"{target.stack} is in {problem.status}",
        problem.reason,
        f"python build.py {'deploy --mend' if problem.mend else 'status --watch'}"
        f"{target.options()}",
    )


def rights(patient: Patient) -> Iterator[Finding]:
    """Simulate whether who deploys may do what CloudFormation will do in their name."""
    arn = patient.target.identity["Arn"]
    if arn.endswith(":root"):
        yield Finding("rights", Verdict.OK, "the account's root user may do everything")
        return
    principal = _principal(patient, arn)
    actions = sorted(needed_actions(patient))
    decisions = dict(_simulate(patient, principal, actions))
    denied = [action for action in actions if decisions.get(action) == "explicitDeny"]
    missing = [action for action in actions if decisions.get(action) == "implicitDeny"]
    if denied:
        yield _lacking(principal, denied, Verdict.PROBLEM, "a policy denies them")
    if missing:
        why = "no policy allows them on every resource; one that names resources may still do"
        yield _lacking(principal, missing, Verdict.WARNING, why)
    if not denied and not missing:
        what = f"{principal} may do all {len(actions)} actions that the templates need"
        yield Finding("rights", Verdict.OK, what)


def _lacking(principal: str, actions: list[str], verdict: Verdict, why: str) -> Finding:
    more = f" and {len(actions) - _NAMED} more" if len(actions) > _NAMED else ""
    return Finding(
        "rights",
        verdict,
        f"{principal} lacks {', '.join(actions[:_NAMED])}{more}",
        why,
        f"aws iam simulate-principal-policy --policy-source-arn {principal} "
        f"--action-names {actions[0]}",
    )


def needed_actions(patient: Patient) -> set[str]:
    """Return what creating and deleting the resources takes.

    Source: ``handlers`` of the resource types' schemas, as cfn-lint ships them.
    """
    found = set(_ALWAYS)
    for kind in patient.types():
        handlers = forecast.schema(kind).get("handlers", {})
        for handler in ("create", "delete"):
            found.update(handlers.get(handler, {}).get("permissions", []))
    return {action for action in found if "*" not in action}


def _principal(patient: Patient, arn: str) -> str:
    """Return the ARN that a simulation takes: of the role, not of its session."""
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split("/")[1]
    role: dict[str, Any] = patient.target.client("iam").get_role(RoleName=name)["Role"]
    return str(role["Arn"])


def _simulate(patient: Patient, principal: str, actions: list[str]) -> Iterator[tuple[str, str]]:
    client = patient.target.client("iam")
    for start in range(0, len(actions), _BATCH):
        pages = client.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=principal, ActionNames=actions[start : start + _BATCH]
        )
        for page in pages:
            for one in page["EvaluationResults"]:
                yield one["EvalActionName"], one["EvalDecision"]
