"""The template of the roles of continuous delivery: one stack for each stage, in its account.

Its names do not begin with the project's name: the deploy role can change all roles and policies
that do (docs/deployer.md), and must not be able to change its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from troposphere import (
    Condition,
    Equals,
    GetAtt,
    If,
    Not,
    Output,
    Parameter,
    Ref,
    Sub,
    Tags,
    Template,
    iam,
)

from generator.cfn.yaml_text import to_yaml
from generator.emit import as_dict
from generator.errors import UsageError
from generator.policies import delivery, deployer
from generator.policies.delivery import Issuer
from generator.settings import PROJECT_TAG, Settings
from generator.stacks.root import build as build_stacks
from pipeline.types import Json

_PREFIX: Final = "ci-"
_ROLE_NAME: Final = 64
"""Longest name of a role ("IAM and AWS STS quotas")."""
_HAS_PROVIDER: Final = "HasProvider"
_NO_PROVIDER: Final = "CreateProvider"
_HEAD: Final = "Written by `python build.py ci`; docs/delivery.md says how to deploy it"


def render(settings: Settings, issuer: Issuer, environment: str, branch: str) -> str:
    """Return the template's text for an environment; tokens of that branch or it may deploy.

    Raises:
        UsageError: the project's name would let the deploy role change itself, or makes the name of
            a role too long.

    """
    return to_yaml(as_dict(build(settings, issuer, environment, branch)), _HEAD)


def build(settings: Settings, issuer: Issuer, environment: str, branch: str) -> Template:
    """Return the template; see ``render``."""
    if _PREFIX.startswith(settings.project) or settings.project.startswith(_PREFIX):
        raise UsageError(
            f"project: got {settings.project!r}: the roles of `ci` have names that begin with "
            f"{_PREFIX!r}, and the deploy role could change them; choose another name"
        )
    longest = f"{_PREFIX}{settings.project}-{environment}-deploy"
    if len(longest) > _ROLE_NAME:
        raise UsageError(
            f"--stage: got {environment!r}: the name of its role, {longest}, would have "
            f"{len(longest)} characters, and IAM allows {_ROLE_NAME}"
        )
    template = Template(
        Description=f"{settings.project}: roles of continuous delivery from {issuer.title}"
    )
    _add_parameters(template, issuer, environment, branch)
    provider = _add_provider(template, issuer)
    jobs_that_plan = delivery.trust(issuer, provider, issuer.plan_subject, issuer.plan_claims)
    jobs_that_deploy = delivery.trust(issuer, provider, issuer.deploy_subject, issuer.deploy_claims)
    plan = _role("Plan", jobs_that_plan, settings)
    deploy = _role("Deploy", jobs_that_deploy, settings)
    for role in (plan, deploy):
        template.add_resource(role)
        name = role.title
        template.add_output(Output(f"{name}Arn", Value=GetAtt(role, "Arn")))
    for policy in _policies(settings, plan, deploy):
        template.add_resource(policy)
    return template


def _add_parameters(template: Template, issuer: Issuer, environment: str, branch: str) -> None:
    example = "ORGANIZATION/REPOSITORY" if "github" in issuer.host else "GROUP/PROJECT"
    template.add_parameter(
        Parameter(
            "Repository",
            Type="String",
            Description=f"{example}, as the claim sub of its tokens has it",
            AllowedPattern=f"^{issuer.repository}$",
            ConstraintDescription=f"It has the form {example}.",
        )
    )
    template.add_parameter(
        Parameter(
            "Environment",
            Type="String",
            Description="Environment whose jobs may deploy; part of the names of the roles",
            Default=environment,
            AllowedPattern=r"^[A-Za-z][A-Za-z0-9_-]{0,21}$",
        )
    )
    if "${Branch}" in issuer.deploy_subject:
        template.add_parameter(
            Parameter(
                "Branch",
                Type="String",
                Description="Branch whose jobs may deploy",
                Default=branch,
                AllowedPattern=r"^[A-Za-z0-9][\w./-]*$",
            )
        )
    template.add_parameter(
        Parameter(
            "ProviderArn",
            Type="String",
            Description="The account's OpenID Connect provider for this issuer, if it has one; "
            "an account can have one only",
            Default="",
            AllowedPattern=r"^(arn:aws[a-z-]*:iam::\d{12}:oidc-provider/\S+)?$",
        )
    )


def _add_provider(template: Template, issuer: Issuer) -> If:
    """Add the provider unless one is given; return its ARN, which is what a reference gives."""
    template.add_condition(_HAS_PROVIDER, Not(Equals(Ref("ProviderArn"), "")))
    template.add_condition(_NO_PROVIDER, Not(Condition(_HAS_PROVIDER)))
    provider = template.add_resource(
        iam.OIDCProvider(
            "Provider",
            Condition=_NO_PROVIDER,
            Url=f"https://{issuer.host}",
            ClientIdList=[delivery.AUDIENCE],
        )
    )
    return If(_HAS_PROVIDER, Ref("ProviderArn"), Ref(provider))


def _role(purpose: str, trust: Json, settings: Settings) -> iam.Role:
    return iam.Role(
        f"{purpose}Role",
        RoleName=_name(settings, purpose.lower()),
        Description=f"Continuous delivery: {purpose.lower()}",
        AssumeRolePolicyDocument=trust,
        Tags=Tags({PROJECT_TAG: settings.project} | settings.tags),
    )


def _policies(settings: Settings, plan: iam.Role, deploy: iam.Role) -> Iterator[iam.ManagedPolicy]:
    yield _policy("PlanPolicy", "plan", delivery.plan(settings), plan, settings)
    for number, policy in enumerate(deploying(settings), 1):
        yield _policy(f"DeployPolicy{number}", f"deploy-{number}", policy, deploy, settings)


def _policy(
    title: str, name: str, policy: Json, role: iam.Role, settings: Settings
) -> iam.ManagedPolicy:
    return iam.ManagedPolicy(
        title,
        ManagedPolicyName=_name(settings, name),
        PolicyDocument=policy,
        Roles=[Ref(role)],
    )


def _name(settings: Settings, purpose: str) -> Sub:
    return Sub(f"{_PREFIX}{settings.project}-${{Environment}}-{purpose}")


def deploying(settings: Settings) -> list[Json]:
    """Return the managed policies of the deploy role: the deployer's (docs/deployer.md)."""
    templates: list[dict[str, Any]] = [
        as_dict(stack) for mode in settings.modes for stack in build_stacks(settings, mode).values()
    ]
    texts = deployer.policies(settings, templates)
    return [json.loads(text) for path, text in texts.items() if f"/{deployer.NAME}" in path]
