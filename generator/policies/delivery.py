"""Permissions of the two roles of continuous delivery, and who may assume them.

The plan role compares: it creates change sets, which it cannot execute, and adds their templates.
It can replace no object, and a deployment checks each object's content against its name
(``tabular_ml_vpc.operations.artifacts``), so that nothing that it adds is ever deployed. The deploy
role has the deployer's permissions.

A platform's token says for what it was made in its claim ``sub``: GitHub's docs, "OpenID Connect
reference"; GitLab's, "OpenID Connect (OIDC) Authentication Using ID Tokens".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from troposphere import Sub

from generator.policies import existing, existing_vpc
from generator.policies.deployer import ARTIFACT_BUCKETS
from generator.policies.documents import document, sagemaker, statement
from generator.settings import Settings
from generator.settings_packages import PackageSource
from generator.settings_people import SignIn
from pipeline.types import Json

AUDIENCE: Final = "sts.amazonaws.com"
"""For whom the jobs request their tokens."""


@dataclass(frozen=True)
class Issuer:
    """A platform that issues tokens; ``${...}`` in subjects are parameters of the template."""

    title: str
    host: str
    """The issuer's URL without ``https://``; the names of the condition keys begin with it."""
    plan_subject: str
    deploy_subject: str
    repository: str
    """A pattern of what ``${Repository}`` can be."""
    plan_claims: Mapping[str, str] = field(default_factory=dict)
    deploy_claims: Mapping[str, str] = field(default_factory=dict)
    """Other claims that AWS reads for this issuer ("Available keys for AWS OIDC federation")."""


def github() -> Issuer:
    """Return GitHub; a job with an environment has that in its subject, any other has its event."""
    return Issuer(
        "GitHub Actions",
        "token.actions.githubusercontent.com",
        "repo:${Repository}:pull_request",
        "repo:${Repository}:environment:${Environment}",
        # Repositories made or renamed since June 2026 have numbers: octocat@1/my-repo@2.
        r"[\w.-]+(@\d+)?/[\w.-]+(@\d+)?",
    )


def gitlab(host: str = "gitlab.com") -> Issuer:
    """Return GitLab; the subject of any job has its branch, and no environment.

    Of gitlab.com, AWS also reads what started the pipeline and whether the branch is protected.
    """
    known = host == "gitlab.com"
    return Issuer(
        "GitLab",
        host,
        "project_path:${Repository}:ref_type:branch:ref:*",
        "project_path:${Repository}:ref_type:branch:ref:${Branch}",
        r"[\w.-]+(/[\w.-]+)+",
        {"pipeline_source": "merge_request_event"} if known else {},
        {"ref_protected": "true"} if known else {},
    )


_LOOK: Final = (
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
)
_COMPARE: Final = ("cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet")
_DOCTOR: Final = (
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpointServices",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "sagemaker:ListDomains",
    "servicequotas:GetServiceQuota",
    "servicequotas:ListAWSDefaultServiceQuotas",
    "servicequotas:ListServiceQuotas",
)
"""Reads that support no resource, or none of ours."""


def plan(settings: Settings) -> Json:
    """Return what ``diff`` and ``doctor`` need, and nothing that changes a stack."""
    stacks = f"arn:*:cloudformation:*:*:stack/{settings.project}*/*"
    bucket = f"arn:*:s3:::{ARTIFACT_BUCKETS}"
    boundary = settings.security.permissions_boundary
    read_boundary = ("iam:GetPolicy", "iam:GetPolicyVersion")
    return document(
        [
            statement("LookAtStacks", _LOOK, [stacks]),
            statement("CompareStacks", _COMPARE, [stacks]),
            statement(
                "TagNestedChangeSets",
                ["cloudformation:TagResource"],
                [stacks],
                {"StringEquals": {"cloudformation:CreateAction": "CreateChangeSet"}},
            ),
            statement(
                "LookAtArtifacts", ["s3:GetObject", "s3:ListBucket"], [bucket, f"{bucket}/*"]
            ),
            statement(
                "AddArtifacts",
                ["s3:PutObject"],
                [f"{bucket}/*"],
                {"Null": {"s3:if-none-match": "false"}},
            ),
            statement("LookAtAccount", _DOCTOR, ["*"]),
            statement(
                "LookAtImages", ["ecr:BatchGetImage"], ["arn:*:ecr:*:*:repository/autogluon-*"]
            ),
            *([statement("ReadBoundary", read_boundary, [boundary])] if boundary else []),
            *existing_vpc.reading(settings.network),
            *existing.reading(settings),
            *_of_choices(settings),
        ]
    )


def _of_choices(settings: Settings) -> Iterator[Json]:
    """Yield what ``doctor`` reads besides, with settings that name what exists."""
    studio, packages = settings.studio, settings.packages
    if settings.network.is_existing:
        yield statement("ReadGroups", ["ec2:DescribeSecurityGroups"], ["*"])
    if studio.in_use and not studio.owns_domain:
        profiles = sagemaker(f"user-profile/{studio.domain}/*")
        yield statement("ReadProfiles", ["sagemaker:DescribeUserProfile"], profiles)
    if studio.sign_in is SignIn.IDENTITY_CENTER:
        users = ["arn:*:identitystore:::user/*", "arn:*:identitystore::*:identitystore/*"]
        yield statement("FindSignIn", ["sso:ListInstances"], ["*"])
        yield statement("FindUsers", ["identitystore:GetUserId"], users)
    if packages.source is PackageSource.EXISTING:
        name = f"{packages.domain}/{packages.repository}"
        repository = f"arn:*:codeartifact:*:{packages.owner or '*'}:repository/{name}"
        yield statement("ReadRepository", ["codeartifact:DescribeRepository"], [repository])


def trust(issuer: Issuer, provider: object, subject: str, claims: Mapping[str, str]) -> Json:
    """Return the trust of a role: tokens of the issuer, for us, with the subject and the claims.

    ``provider`` is its ARN, or an intrinsic function; ``*`` in the subject stands for anything.
    """
    equal: Json = {f"{issuer.host}:{name}": one for name, one in claims.items()}
    equal[f"{issuer.host}:aud"] = AUDIENCE
    claim = {f"{issuer.host}:sub": Sub(subject)}
    condition: Json = (
        {"StringEquals": equal, "StringLike": claim}
        if "*" in subject
        else {"StringEquals": {**equal, **claim}}
    )
    return document(
        [
            {
                "Sid": "Jobs",
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": condition,
            }
        ]
    )
