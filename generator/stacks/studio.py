"""SageMaker Studio: a domain in the VPC, and a user profile for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from awacs.aws import Statement
from troposphere import AWSObject, Equals, GetAtt, If, Template, awslambda, ec2, sagemaker, sso

from functions.clear_studio.properties import ClearStudioProperties
from generator.custom_resources import (
    FunctionInputs,
    FunctionSpec,
    add_function,
    custom_resource,
    function_context,
)
from generator.package import deployed
from generator.policies import functions as permissions
from generator.policies import people
from generator.policies.jobs import own_files
from generator.policies.personas import operate, reviewer
from generator.policies.statements import managed_policy, role_arn, role_policy
from generator.settings import Mode, Settings, any_asynchronous, shares_pipelines
from generator.settings_people import Person, Persona, SignIn
from generator.settings_pipelines import in_letters
from generator.settings_studio import Studio
from generator.stacks import personas
from generator.stacks.packages import PackageAccess, add_packages
from generator.wiring import (
    BucketName,
    DomainId,
    Expression,
    KeyArn,
    RoleList,
    RoleName,
    RootStackName,
    SecurityGroupId,
    StackTemplate,
    Text,
    UniqueName,
    VpcId,
    YesNo,
    add,
    add_all,
    declare,
    present,
    publish,
)

AUTH_MODES = {SignIn.IAM: "IAM", SignIn.IDENTITY_CENTER: "SSO"}
HOME_FILE_SYSTEM = "HomeFileSystemIsWanted"
SPACES_MAY_GO = "SpacesMayGo"
APP_PORTS = (8192, 65535)
"""Between Studio's apps ("Connect Studio in a VPC to external resources")."""
NFS = 2049
SHORTEST_IDLE_MINUTES = 60
"""The shortest time that SageMaker accepts."""
CLEARING_SECONDS = 900
"""Lambda's longest timeout. Deleting an app can take longer; then delete the stack again."""


@dataclass(frozen=True, kw_only=True)
class Inputs(FunctionInputs):
    """The inputs from the root; some are given only if the stack creates the domain."""

    unique_name: UniqueName
    home_file_system: YesNo | None = None
    delete_spaces: YesNo
    vpc_id: VpcId | None = None
    studio_security_group_id: SecurityGroupId | None = None
    data_bucket: BucketName
    studio_role: RoleName
    notebook_jobs_role: RoleName
    clear_studio_role: RoleName | None = None
    persona_roles: RoleList | None = None
    root_stack: RootStackName | None = None
    """Exists if there are ML engineers."""


class PeopleInputs(Protocol):
    """What the permissions of people need of a stack's inputs."""

    @property
    def unique_name(self) -> UniqueName:
        """Return the deployment's name."""

    @property
    def key_arn(self) -> KeyArn:
        """Return the key."""

    @property
    def data_bucket(self) -> BucketName:
        """Return the bucket."""

    @property
    def studio_role(self) -> RoleName:
        """Return data scientists' role."""

    @property
    def notebook_jobs_role(self) -> RoleName:
        """Return the role of their jobs."""


@dataclass(frozen=True)
class Outputs:
    """The domain and its web address."""

    domain_id: DomainId
    domain_url: Text


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack with a domain and profiles."""
    template = Template(Description=f"{settings.project}: SageMaker Studio in the VPC")
    inputs = declare(Inputs, template, not_needed(settings))
    template.add_condition(HOME_FILE_SYSTEM, Equals(inputs.home_file_system, "yes"))
    template.add_condition(SPACES_MAY_GO, Equals(inputs.delete_spaces, "yes"))
    add_all(template, _between_apps(present(inputs.studio_security_group_id)))
    packages = add_packages(template, settings, inputs.unique_name, inputs.key_arn)
    domain = add(template, _domain(inputs, settings.studio, packages))
    domain_id = DomainId(domain.ref())
    roles = personas.roles(settings, inputs.persona_roles)
    rights = role_policies(inputs, domain_id, roles, packages, settings, inputs.root_stack)
    add_all(template, rights)
    groups = add_all(template, _groups(domain, settings.studio.identity_center_groups))
    profiles = add_all(template, profiles_of(domain_id, settings.studio, roles, groups))
    add_clearing(template, profiles, domain_id, inputs, settings, mode)
    publish(Outputs(domain_id=domain_id, domain_url=Text(GetAtt(domain, "Url"))), template)
    return StackTemplate("studio", template, Inputs, Outputs)


def not_needed(settings: Settings) -> list[str]:
    """Return the optional inputs that these settings do not need."""
    engineers = Persona.ML_ENGINEER in personas.of(settings)
    return [*personas.not_needed(settings), *([] if engineers else ["root_stack"])]


def _between_apps(group: SecurityGroupId) -> list[AWSObject]:
    """Return the rules for traffic between apps, and to the home file system if there is one."""
    ports = {"Apps": APP_PORTS, "Nfs": (NFS, NFS)}
    rules: list[AWSObject] = []
    for name, (first, last) in ports.items():
        common: dict[str, Any] = {
            "GroupId": group,
            "IpProtocol": "tcp",
            "FromPort": first,
            "ToPort": last,
        }
        if name == "Nfs":
            common["Condition"] = HOME_FILE_SYSTEM
        what = "home file system" if name == "Nfs" else "Studio apps"
        rules += [
            ec2.SecurityGroupEgress(
                f"Studio{name}Egress",
                Description=f"To the {what}",
                DestinationSecurityGroupId=group,
                **common,
            ),
            ec2.SecurityGroupIngress(
                f"Studio{name}Ingress",
                Description=f"From the {what}",
                SourceSecurityGroupId=group,
                **common,
            ),
        ]
    return rules


def _domain(inputs: Inputs, studio: Studio, packages: PackageAccess) -> sagemaker.Domain:
    """Return the domain: the new Studio only, VPC only, encrypted, apps shut down when idle.

    By default it has no home file system, which would outlive the domain and block the deletion of
    the VPC ("DeleteDomain"). Spaces have their own disks.
    """
    return sagemaker.Domain(
        "Domain",
        AppNetworkAccessType="VpcOnly",
        AuthMode=AUTH_MODES[studio.sign_in],
        DefaultSpaceSettings=_space_settings(inputs, studio.idle_timeout_minutes, packages),
        DefaultUserSettings=_user_settings(inputs, studio.idle_timeout_minutes, packages),
        DomainName=inputs.unique_name,
        DomainSettings=sagemaker.DomainSettings(
            ExecutionRoleIdentityConfig="USER_PROFILE_NAME",
            SecurityGroupIds=[inputs.studio_security_group_id],
        ),
        HomeEfsFileSystemCreation=If(HOME_FILE_SYSTEM, "Enabled", "Disabled"),
        KmsKeyId=inputs.key_arn,
        SubnetIds=inputs.subnet_ids,
        TagPropagation="ENABLED",
        VpcId=inputs.vpc_id,
    )


def _user_settings(
    inputs: Inputs, idle_minutes: int, packages: PackageAccess
) -> sagemaker.UserSettings:
    return sagemaker.UserSettings(
        AutoMountHomeEFS=If(HOME_FILE_SYSTEM, "Enabled", "Disabled"),
        CodeEditorAppSettings=sagemaker.CodeEditorAppSettings(
            AppLifecycleManagement=_shut_down_when_idle(idle_minutes),
            **_starting_with(packages.code_editor),
        ),
        DefaultLandingUri="studio::",
        ExecutionRole=role_arn(inputs.studio_role),
        JupyterLabAppSettings=sagemaker.JupyterLabAppSettings(
            AppLifecycleManagement=_shut_down_when_idle(idle_minutes),
            **_starting_with(packages.jupyter_lab),
        ),
        SecurityGroups=[inputs.studio_security_group_id],
        SharingSettings=sagemaker.SharingSettings(NotebookOutputOption="Disabled"),
        StudioWebPortal="ENABLED",
    )


def _space_settings(
    inputs: Inputs, idle_minutes: int, packages: PackageAccess
) -> sagemaker.DefaultSpaceSettings:
    """Return the settings of shared spaces, which do not inherit a user's settings."""
    return sagemaker.DefaultSpaceSettings(
        ExecutionRole=role_arn(inputs.studio_role),
        JupyterLabAppSettings=sagemaker.JupyterLabAppSettings(
            AppLifecycleManagement=_shut_down_when_idle(idle_minutes),
            **_starting_with(packages.jupyter_lab),
        ),
        SecurityGroups=[inputs.studio_security_group_id],
    )


def _starting_with(script: Expression | None) -> dict[str, Any]:
    """Return the setting that runs a lifecycle configuration in every app, if there is one.

    It runs before the one that a person chooses, and cannot be deselected (SageMaker developer
    guide, "Lifecycle configurations within Amazon SageMaker Studio").
    """
    return {} if script is None else {"BuiltInLifecycleConfigArn": script}


def _shut_down_when_idle(minutes: int) -> sagemaker.AppLifecycleManagement:
    """Shut an app down when it has been idle; its owner may choose a shorter time, no longer one.

    Without the maximum a person's own space could stay idle for a year ("API_IdleSettings",
    "API_SpaceIdleSettings").
    """
    idle = sagemaker.IdleSettings(
        IdleTimeoutInMinutes=minutes,
        LifecycleManagement="ENABLED",
        MaxIdleTimeoutInMinutes=minutes,
        MinIdleTimeoutInMinutes=SHORTEST_IDLE_MINUTES,
    )
    return sagemaker.AppLifecycleManagement(IdleSettings=idle)


def role_policies(
    inputs: PeopleInputs,
    domain: DomainId,
    roles: Mapping[Persona, RoleName],
    packages: PackageAccess,
    settings: Settings,
    root_stack: RootStackName | None = None,
) -> list[AWSObject]:
    """Return the permissions of data scientists, and those of each other persona.

    Those who have spaces can install packages.
    """
    place = people.Place(
        inputs.unique_name,
        domain,
        inputs.data_bucket,
        inputs.key_arn,
        several=shares_pipelines(settings),
        predicts=settings.pipeline.predictions,
        asynchronous=any_asynchronous(settings),
        personal=settings.studio.personal_prefixes,
    )
    jobs_role = inputs.notebook_jobs_role
    statements = [*people.studio(place, jobs_role), *packages.permissions]
    found: list[AWSObject] = [role_policy("StudioPolicy", inputs.studio_role, statements)]
    with_files = [inputs.studio_role, jobs_role]
    for persona, role in roles.items():
        if persona is Persona.REVIEWER:
            found.append(role_policy("ReviewerPolicy", role, reviewer(place)))
        if persona is Persona.ML_ENGINEER and root_stack:
            found.append(role_policy("MlEngineerPolicy", role, statements))
            allowed = operate(place, root_stack, deployed(settings))
            found.append(_operating(role, allowed))
            with_files.append(role)
    if place.personal:
        found.append(_own_files(place, with_files))
    return found


def _operating(role: RoleName, allowed: list[Statement]) -> AWSObject:
    """Return what ML engineers can do besides: a managed policy, as inline ones have no room."""
    what = "What ML engineers do besides the work of data scientists"
    return managed_policy("OperatingPolicy", what, [role], allowed)


def _own_files(place: people.Place, roles: Sequence[RoleName]) -> AWSObject:
    """Return what people and their jobs do with the prefix that only they have."""
    what = "A prefix for each person, by source identity"
    return managed_policy("PersonalFilesPolicy", what, roles, own_files(place.bucket))


def _groups(domain: sagemaker.Domain, groups: Sequence[str]) -> list[sso.ApplicationAssignment]:
    """Let the members of groups in IAM Identity Center sign in.

    A user must be assigned to the domain's application before there can be a profile for them
    (template reference, "AWS::SageMaker::UserProfile").
    """
    return [
        sso.ApplicationAssignment(
            f"Group{group.replace('-', '')}SignIn",
            ApplicationArn=GetAtt(domain, "SingleSignOnApplicationArn"),
            PrincipalId=group,
            PrincipalType="GROUP",
        )
        for group in groups
    ]


def profiles_of(
    domain: DomainId,
    studio: Studio,
    roles: Mapping[Persona, RoleName],
    groups: Sequence[AWSObject] = (),
) -> list[sagemaker.UserProfile]:
    """Return a profile for each person; the logical id comes from the name, not the position."""
    return [
        sagemaker.UserProfile(
            f"{in_letters(person.name)}UserProfile",
            DomainId=domain,
            UserProfileName=person.name,
            **_user(person, studio.sign_in, groups),
            **settings_of(person.persona, roles),
        )
        for person in studio.everyone
    ]


def _user(person: Person, sign_in: SignIn, groups: Sequence[AWSObject]) -> dict[str, Any]:
    """Return who the person is to IAM Identity Center, if people sign in with it."""
    if sign_in is SignIn.IAM:
        return {}
    user = {"SingleSignOnUserIdentifier": "UserName", "SingleSignOnUserValue": person.signs_in_as}
    return {**user, "DependsOn": [group.title for group in groups]} if groups else user


def settings_of(persona: Persona, roles: Mapping[Persona, RoleName]) -> dict[str, Any]:
    """Return what a profile sets itself; all else comes from the domain ("API_UserSettings").

    A reviewer's page does not offer apps, which the reviewer's role could not start.
    """
    if persona not in roles:
        return {}
    own = sagemaker.UserSettings(ExecutionRole=role_arn(roles[persona]))
    if persona is Persona.REVIEWER:
        own.StudioWebPortalSettings = sagemaker.StudioWebPortalSettings(
            HiddenAppTypes=["CodeEditor", "JupyterLab"]
        )
    return {"UserSettings": own}


def add_clearing(
    template: Template,
    profiles: list[sagemaker.UserProfile],
    domain: DomainId,
    inputs: Inputs,
    settings: Settings,
    mode: Mode,
) -> None:
    """Add the custom resource that deletes apps and spaces before the profiles are deleted.

    In an existing domain it deletes only those of the stack's profiles, and can delete no others.
    """
    names = [person.name for person in settings.studio.everyone]
    spec = FunctionSpec(
        package="clear_studio",
        description="Deletes Studio's apps, and its spaces if allowed, before the stack's deletion",
        role=present(inputs.clear_studio_role),
        permissions=permissions.clear_studio(domain)
        if settings.studio.owns_domain
        else permissions.clear_profiles(domain, names),
        timeout_seconds=CLEARING_SECONDS,
    )
    function: awslambda.Function = add_function(
        template, spec, function_context(template, inputs, settings, mode)
    )
    values: dict[str, Expression] = {
        "domain_id": domain.across_border(),
        "delete_spaces": If(SPACES_MAY_GO, "true", "false"),
        "user_profiles": ",".join(names),
    }
    if not settings.studio.owns_domain:
        values["whole_domain"] = "false"
    add(
        template,
        custom_resource("ClearStudio", ClearStudioProperties, values, function, profiles),
    )
