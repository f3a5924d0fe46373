"""Whether an existing Studio domain fits: its apps stay in a VPC, and it can take profiles.

A domain with internet access is a problem, because people would take the data to it. One without a
customer managed key is a warning: a domain's key cannot be changed, and its disks are encrypted
with a key of AWS's (SageMaker developer guide, "Protect Data at Rest Using Encryption").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator import people_outputs
from generator.record import recorded
from generator.settings_people import SignIn
from generator.stacks.studio import AUTH_MODES
from pipeline.types import JsonView
from tabular_ml_vpc.operations.findings import (
    CheckContext,
    CheckFinding,
    Verdict,
    not_permitted,
)
from tabular_ml_vpc.operations.sagemaker import ABSENT
from tabular_ml_vpc.operations.spaces import ROLE_OUTPUT
from tabular_ml_vpc.operations.target import code_of

NAME: Final = "existing domain"
_PROFILE: Final = "AWS::SageMaker::UserProfile"
_REMEDY: Final = "python build.py --config FILE.toml  # "


@dataclass(frozen=True)
class _Chosen:
    """What the settings say about Studio."""

    domain: str
    s3_endpoint: str
    vpc: str
    """The VPC of the deployment, if it exists already."""
    profiles: frozenset[str]
    sign_in: SignIn

    @classmethod
    def of(cls, context: CheckContext) -> _Chosen:
        """Return what the templates to deploy record."""
        settings = recorded(context.templates["root"])
        profiles = context.properties(_PROFILE)
        return cls(
            settings.get("studio.domain", ""),
            settings.get("studio.s3_endpoint", ""),
            settings.get("network.vpc", ""),
            frozenset(profile["UserProfileName"] for profile in profiles),
            SignIn(settings.get("studio.sign_in", SignIn.IAM)),
        )


def domain(context: CheckContext) -> Iterator[CheckFinding]:
    """Check the domain in the settings; nothing if the stack creates one, or there is none."""
    chosen = _Chosen.of(context)
    if not chosen.domain.startswith("d-"):
        return
    try:
        yield from _examined(context, chosen)
    except ClientError as error:
        yield not_permitted(NAME, error)


def _examined(context: CheckContext, chosen: _Chosen) -> Iterator[CheckFinding]:
    found = _described(context, "describe_domain", DomainId=chosen.domain)
    if found is None:
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"{chosen.domain} does not exist in {context.target.region}",
            "its profiles cannot be created",
            f"aws sagemaker list-domains --region {context.target.region}",
        )
        return
    findings = [
        *_access(found, chosen),
        *_network(context, found, chosen),
        *_sign_in(found, chosen),
        *_taken(context, chosen),
        *_below_our_bar(found),
    ]
    if not findings:
        what = (
            f"{chosen.domain} is VpcOnly in {found['VpcId']}, encrypted with a key of the account"
        )
        findings = [CheckFinding(NAME, Verdict.OK, what)]
    yield from findings


def _described(context: CheckContext, operation: str, **names: str) -> JsonView | None:
    try:
        found: JsonView = getattr(context.target.client("sagemaker"), operation)(**names)
    except ClientError as error:
        if code_of(error) in ABSENT:
            return None
        raise
    return found


def _access(found: JsonView, chosen: _Chosen) -> Iterator[CheckFinding]:
    """Check that the domain can be used, and that its apps have no internet."""
    if found["Status"] != "InService":
        what = f"{chosen.domain} is in {found['Status']}"
        command = f"aws sagemaker describe-domain --domain-id {chosen.domain}"
        yield CheckFinding(NAME, Verdict.PROBLEM, what, "its profiles cannot be created", command)
    if found.get("AppNetworkAccessType") != "VpcOnly":
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"{chosen.domain} is {found.get('AppNetworkAccessType')}, not VpcOnly",
            "its notebooks reach the internet, and the data bucket refuses them",
            f"aws sagemaker update-domain --domain-id {chosen.domain} "
            "--app-network-access-type VpcOnly  # ask its owner; affects everybody in it",
        )


def _network(context: CheckContext, found: JsonView, chosen: _Chosen) -> Iterator[CheckFinding]:
    """Check that people's requests come through the endpoint that the data bucket expects."""
    vpc = found.get("VpcId", "")
    if chosen.s3_endpoint:
        where = _vpc_of(context, chosen.s3_endpoint)
        if where != vpc:
            yield CheckFinding(
                NAME,
                Verdict.PROBLEM,
                f"studio.s3_endpoint {chosen.s3_endpoint} is {f'in {where}' if where else 'absent'}"
                f", the domain in {vpc}",
                "the data bucket refuses what people read in Studio",
                f"aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values={vpc}",
            )
    elif vpc != chosen.vpc:
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"the domain is in {vpc}, not in the VPC of the deployment",
            "the data bucket refuses what people read in Studio",
            f"{_REMEDY}set studio.s3_endpoint to the id of the S3 gateway endpoint of {vpc}",
        )


def _vpc_of(context: CheckContext, endpoint: str) -> str:
    """Return the VPC of a gateway endpoint to S3; empty if there is no such endpoint."""
    filters = [{"Name": "vpc-endpoint-id", "Values": [endpoint]}]
    pages = context.target.client("ec2").get_paginator("describe_vpc_endpoints")
    for page in pages.paginate(Filters=filters):
        for one in page["VpcEndpoints"]:
            is_gateway = one.get("VpcEndpointType") == "Gateway"
            if one["VpcEndpointId"] == endpoint and is_gateway:
                return str(one["VpcId"])
    return ""


def _sign_in(found: JsonView, chosen: _Chosen) -> Iterator[CheckFinding]:
    """Check that people sign in as the settings say, if there are profiles to create."""
    if chosen.profiles and found.get("AuthMode") != AUTH_MODES[chosen.sign_in]:
        yield CheckFinding(
            NAME,
            Verdict.PROBLEM,
            f"{chosen.domain} has AuthMode {found.get('AuthMode')}, but studio.sign_in is "
            f"{chosen.sign_in}",
            "CreateUserProfile refuses the profiles",
            f"{_REMEDY}set studio.sign_in, or name no profiles: the domain's owner sets StudioRole",
        )


def _taken(context: CheckContext, chosen: _Chosen) -> Iterator[CheckFinding]:
    """Check that no profile exists already, except those of this stack."""
    outputs = context.stack.outputs if context.stack else {}
    own = people_outputs.profiles_of(outputs) if ROLE_OUTPUT in outputs else []
    for name in sorted(chosen.profiles.difference(own)):
        if _described(
            context, "describe_user_profile", DomainId=chosen.domain, UserProfileName=name
        ):
            yield CheckFinding(
                NAME,
                Verdict.PROBLEM,
                f"{chosen.domain} already has a user profile {name}",
                "the stack cannot create it, and does not adopt what is not its own",
                f"{_REMEDY}choose another name in studio.user_profiles",
            )


def _below_our_bar(found: JsonView) -> Iterator[CheckFinding]:
    """Say in what the domain differs from one that the stack would create."""
    users: Any = found.get("DefaultUserSettings", {})
    jupyter: Any = users.get("JupyterLabAppSettings", {})
    idle = jupyter.get("AppLifecycleManagement", {}).get("IdleSettings", {})
    identity = found.get("DomainSettings", {}).get("ExecutionRoleIdentityConfig")
    for met, what, why in (
        (
            found.get("KmsKeyId"),
            "no customer managed key",
            "spaces' disks are encrypted with a key of AWS's; a domain's key cannot be changed",
        ),
        (
            identity == "USER_PROFILE_NAME",
            "calls do not carry the name of the user profile",
            "CloudTrail shows who called only as StudioRole",
        ),
        (
            idle.get("LifecycleManagement") == "ENABLED",
            "JupyterLab is not shut down when idle",
            "forgotten apps are billed",
        ),
    ):
        if not met:
            yield CheckFinding(NAME, Verdict.WARNING, f"{found['DomainId']}: {what}", why)
