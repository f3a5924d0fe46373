"""SageMaker Studio in a domain that exists, which the stack does not change.

The stack creates only the profiles that the settings name, or none; it gives people's role its
permissions in any case, for the profiles that others create.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from troposphere import Equals, Template, sagemaker

from generator.policies.statements import role_arn
from generator.settings import Mode, Settings
from generator.settings_people import Persona
from generator.stacks import personas
from generator.stacks.packages import PackageAccess
from generator.stacks.studio import (
    SPACES_MAY_GO,
    Inputs,
    add_clearing,
    not_needed,
    profiles_of,
    role_policies,
    settings_of,
)
from generator.wiring import (
    BucketName,
    DomainId,
    KeyArn,
    RoleName,
    StackTemplate,
    UniqueName,
    add_all,
    declare,
)


@dataclass(frozen=True)
class RoleInputs:
    """The inputs from the root if the stack only gives people's role its permissions."""

    unique_name: UniqueName
    key_arn: KeyArn
    data_bucket: BucketName
    studio_role: RoleName
    notebook_jobs_role: RoleName


@dataclass(frozen=True)
class NoOutputs:
    """In an existing domain there is nothing that the root does not know."""


def build_profiles(settings: Settings, mode: Mode) -> StackTemplate[Inputs, NoOutputs]:
    """Return the stack with profiles in an existing domain."""
    template = Template(Description=f"{settings.project}: profiles in an existing domain")
    of_domain = ["home_file_system", "vpc_id", "studio_security_group_id"]
    inputs = declare(Inputs, template, [*not_needed(settings), *of_domain])
    template.add_condition(SPACES_MAY_GO, Equals(inputs.delete_spaces, "yes"))
    domain_id, everyone = DomainId(settings.studio.domain), settings.studio.everyone
    roles = personas.roles(settings, inputs.persona_roles)
    policies = role_policies(inputs, domain_id, roles, PackageAccess(), settings, inputs.root_stack)
    add_all(template, policies)
    profiles = profiles_of(domain_id, settings.studio, roles)
    for person, profile in zip(everyone, profiles, strict=True):
        profile.UserSettings = _settings_in_their_domain(person.persona, roles, inputs.studio_role)
        profile.DependsOn = [policy.title for policy in policies]
    add_clearing(template, add_all(template, profiles), domain_id, inputs, settings, mode)
    return StackTemplate("studio", template, Inputs, NoOutputs)


def build_role(settings: Settings) -> StackTemplate[RoleInputs, NoOutputs]:
    """Return the stack that only gives people's role its permissions in an existing domain."""
    template = Template(Description=f"{settings.project}: people's role in an existing domain")
    inputs = declare(RoleInputs, template)
    domain_id = DomainId(settings.studio.domain)
    add_all(template, role_policies(inputs, domain_id, {}, PackageAccess(), settings))
    return StackTemplate("studio", template, RoleInputs, NoOutputs)


def for_role(inputs: Inputs) -> RoleInputs:
    """Return those of the inputs that a stack without profiles needs."""
    return RoleInputs(**{field.name: getattr(inputs, field.name) for field in fields(RoleInputs)})


def _settings_in_their_domain(
    persona: Persona, roles: Mapping[Persona, RoleName], data_scientists: RoleName
) -> sagemaker.UserSettings:
    """Return what a profile in an existing domain sets itself.

    It inherits the domain's network, home file system and idle shutdown; CloudFormation does not
    support the last one for a profile ("AWS::SageMaker::UserProfile JupyterLabAppSettings").
    """
    usual = sagemaker.UserSettings(ExecutionRole=role_arn(data_scientists))
    own: sagemaker.UserSettings = settings_of(persona, roles).get("UserSettings", usual)
    own.DefaultLandingUri = "studio::"
    own.SharingSettings = sagemaker.SharingSettings(NotebookOutputOption="Disabled")
    own.StudioWebPortal = "ENABLED"
    return own
