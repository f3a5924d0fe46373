"""A function behind a custom resource: its log group, its rights, itself, and the resource.

Used by the stacks. The function's role is made by the security stack, with what every function
needs, so that the policies of key and buckets can name it; here it gets the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from awacs.aws import Statement
from troposphere import (
    AWSHelperFn,
    AWSObject,
    Equals,
    GetAtt,
    If,
    NoValue,
    Template,
    awslambda,
    iam,
    logs,
)
from troposphere.cloudformation import CustomResource

from functions.shared.properties import field_names, optional_names, property_name
from generator import package
from generator.policies.functions import write_log
from generator.policies.statements import role_arn, role_policy
from generator.retention import lifetime
from generator.settings import Mode, Settings
from generator.wiring import (
    Expression,
    KeyArn,
    QueueArn,
    RoleName,
    SecurityGroupId,
    SubnetIds,
    YesNo,
    add,
)

RUNTIME = "python3.13"
IN_THE_VPC = "FunctionsInTheVpc"
ANSWER_SECONDS = 60
"""How much longer CloudFormation waits than the function may run: a lost answer costs minutes."""


class PackagedCode(AWSHelperFn):
    """A local zip, which ``aws cloudformation package`` uploads and replaces by its S3 place.

    troposphere takes a plain text for the source of inline code.
    """

    def __init__(self, path: str) -> None:
        self.data = path


@dataclass(frozen=True)
class FunctionInputs:
    """What a stack with functions in the VPC is handed for them, among its other inputs."""

    key_arn: KeyArn
    dead_letter_queue: QueueArn
    subnet_ids: SubnetIds
    functions_security_group_id: SecurityGroupId
    functions_in_the_vpc: YesNo


@dataclass(frozen=True)
class FunctionContext:
    """What the functions of one stack have in common; without ``vpc_config`` they run outside."""

    mode: Mode
    settings: Settings
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    vpc_config: If | None = None


def surroundings(
    template: Template, inputs: FunctionInputs, settings: Settings, mode: Mode
) -> FunctionContext:
    """Return what functions run in: the VPC, unless a parameter of the deployment keeps them out.

    Adds the condition for that to the template.
    """
    template.add_condition(IN_THE_VPC, Equals(inputs.functions_in_the_vpc, "yes"))
    network = awslambda.VPCConfig(
        SecurityGroupIds=[inputs.functions_security_group_id], SubnetIds=inputs.subnet_ids
    )
    return FunctionContext(
        mode=mode,
        settings=settings,
        key_arn=inputs.key_arn,
        dead_letter_queue=inputs.dead_letter_queue,
        vpc_config=If(IN_THE_VPC, network, NoValue),
    )


@dataclass(frozen=True)
class FunctionSpec:
    """What one function has of its own; ``package`` names its folder and its resources."""

    package: str
    description: str
    role: RoleName
    rights: Sequence[Statement]
    timeout_seconds: int
    memory_mb: int = 256

    @property
    def title(self) -> str:
        """Return the first part of the logical ids."""
        return property_name(self.package)


def add_function(
    template: Template, plan: FunctionSpec, around: FunctionContext
) -> awslambda.Function:
    """Add log group, rights and function; return the function."""
    log_group = add(template, _log_group(plan, around))
    policy = add(template, _policy(plan, log_group))
    function = add(template, _function(plan, around, log_group, policy))
    add(template, _deliveries(plan, function))
    return function


def _deliveries(plan: FunctionSpec, function: awslambda.Function) -> awslambda.EventInvokeConfig:
    """Let no event come again when CloudFormation waits no longer: it could only do harm.

    Lambda repeats an event after a crash or a timeout; the function itself refuses what comes after
    its operation (``functions.shared.operation``). Source: Lambda developer guide, "Configuring
    error handling settings for asynchronous invocations".
    """
    return awslambda.EventInvokeConfig(
        f"{plan.title}Deliveries",
        FunctionName=function.ref(),
        MaximumEventAgeInSeconds=plan.timeout_seconds,
        Qualifier="$LATEST",
    )


def _log_group(plan: FunctionSpec, around: FunctionContext) -> logs.LogGroup:
    return logs.LogGroup(
        f"{plan.title}LogGroup",
        KmsKeyId=around.key_arn,
        RetentionInDays=around.settings.storage.log_retention_days,
        **lifetime(around.mode),
    )


def _policy(plan: FunctionSpec, log_group: logs.LogGroup) -> iam.RolePolicy:
    """Return the function's own rights; those that every function has came with its role."""
    statements = [write_log(GetAtt(log_group, "Arn")), *plan.rights]
    return role_policy(f"{plan.title}Policy", plan.role, statements)


def _function(
    plan: FunctionSpec, around: FunctionContext, log_group: logs.LogGroup, policy: iam.RolePolicy
) -> awslambda.Function:
    """Return the function; it needs its rights to be made, and to remove its interfaces."""
    return awslambda.Function(
        f"{plan.title}Function",
        Description=plan.description,
        Code=PackagedCode(package.code_path(plan.package, around.mode)),
        Handler=package.handler_of(plan.package),
        Runtime=RUNTIME,
        Role=role_arn(plan.role),
        MemorySize=plan.memory_mb,
        Timeout=plan.timeout_seconds,
        LoggingConfig=awslambda.LoggingConfig(LogGroup=log_group.ref()),
        DeadLetterConfig=awslambda.DeadLetterConfig(TargetArn=around.dead_letter_queue),
        DependsOn=[policy.title],
        **_as_the_settings_say(around),
    )


def _as_the_settings_say(around: FunctionContext) -> dict[str, Any]:
    """Return the properties that organisations decide."""
    functions = around.settings.functions
    tracing = "Active" if functions.tracing else "PassThrough"
    optional = {
        "CodeSigningConfigArn": functions.code_signing_config,
        "ReservedConcurrentExecutions": functions.reserved_concurrency,
        "VpcConfig": around.vpc_config,
    }
    given = {name: value for name, value in optional.items() if value}
    return {"TracingConfig": awslambda.TracingConfig(Mode=tracing), **given}


def custom_resource(
    title: str,
    properties: type[object],
    values: Mapping[str, Expression],
    function: awslambda.Function,
    depends_on: Sequence[AWSObject] = (),
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> AWSObject:
    """Return the custom resource whose function reads ``properties``.

    ``values`` are named as the fields of ``properties``; the resource's type is that class's name.
    ``attributes`` are CloudFormation's own, such as ``DeletionPolicy``.

    Raises:
        TypeError: a field without a default has no value, or a value no field.

    """
    fields = [name for name in field_names(properties) if name in values]
    required = set(field_names(properties)) - optional_names(properties)
    if wrong := sorted((required - values.keys()) | (values.keys() - set(fields))):
        raise TypeError(f"{title}: {', '.join(wrong)} missing from, or unknown to, {properties}")
    names = {property_name(field): values[field] for field in fields}
    kind = properties.__name__.removesuffix("Properties")
    own_props = dict.fromkeys(names, (object, True))
    resource_class = type(
        kind,
        (CustomResource,),
        {"resource_type": f"Custom::{kind}", "props": CustomResource.props | own_props},
    )
    resource: AWSObject = resource_class(
        title,
        ServiceToken=GetAtt(function, "Arn"),
        ServiceTimeout=function.Timeout + ANSWER_SECONDS,
        **names,
        **attributes,
    )
    if depends_on:
        resource.DependsOn = [other.title for other in depends_on]
    return resource
