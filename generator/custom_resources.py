"""A custom resource and the function behind it, with the function's log group and permissions.

Used by the stacks. The security stack creates the function's role with the permissions that every
function needs, so that the policies of the key and the buckets can name it; this module adds the
others.
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
from generator.retention import retention
from generator.settings import Mode, Settings
from generator.wiring import (
    Expression,
    FunctionArn,
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
"""How much longer CloudFormation waits than the function may run; a lost response costs minutes."""


class PackagedCode(AWSHelperFn):
    """A local zip, which ``aws cloudformation package`` uploads and replaces by its S3 location.

    troposphere takes a plain string for inline source code.
    """

    def __init__(self, path: str) -> None:
        self.data = path


@dataclass(frozen=True)
class FunctionInputs:
    """The inputs that every stack with functions in the VPC has."""

    key_arn: KeyArn
    dead_letter_queue: QueueArn
    subnet_ids: SubnetIds
    functions_security_group_id: SecurityGroupId
    functions_in_the_vpc: YesNo


@dataclass(frozen=True)
class FunctionContext:
    """What a stack's functions have in common; without ``vpc_config`` they run outside the VPC."""

    mode: Mode
    settings: Settings
    key_arn: KeyArn
    dead_letter_queue: QueueArn
    vpc_config: If | None = None


def function_context(
    template: Template, inputs: FunctionInputs, settings: Settings, mode: Mode
) -> FunctionContext:
    """Return the functions' context: in the VPC, unless a parameter of the deployment says no.

    Adds the condition for the parameter to the template.
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
    """The properties of one function; ``package`` names its folder and its resources."""

    package: str
    description: str
    role: RoleName
    permissions: Sequence[Statement]
    timeout_seconds: int
    memory_mb: int = 256
    oldest_event_seconds: int = 0
    """How long an event may wait, its repetitions included; 0: as long as the function may run."""

    @property
    def title(self) -> str:
        """Return the first part of the logical ids."""
        return property_name(self.package)


def add_function(
    template: Template, spec: FunctionSpec, context: FunctionContext
) -> awslambda.Function:
    """Add the log group, the permissions and the function; return the function."""
    log_group = add(template, _log_group(spec, context))
    policy = add(template, _policy(spec, log_group))
    function = add(template, _function(spec, context, log_group, policy))
    add(template, _deliveries(spec, function))
    return function


def _deliveries(spec: FunctionSpec, function: awslambda.Function) -> awslambda.EventInvokeConfig:
    """Prevent redelivery of an event once CloudFormation no longer waits for it.

    Lambda repeats an event after a crash or a timeout; the function itself rejects an event whose
    operation is over (``functions.shared.operation``). Source: Lambda developer guide, "Configuring
    error handling settings for asynchronous invocations".
    """
    return awslambda.EventInvokeConfig(
        _deliveries_title(function),
        FunctionName=function.ref(),
        MaximumEventAgeInSeconds=spec.oldest_event_seconds or spec.timeout_seconds,
        Qualifier="$LATEST",
    )


def _deliveries_title(function: awslambda.Function) -> str:
    return f"{str(function.title).removesuffix('Function')}Deliveries"


def _log_group(spec: FunctionSpec, context: FunctionContext) -> logs.LogGroup:
    return logs.LogGroup(
        f"{spec.title}LogGroup",
        KmsKeyId=context.key_arn,
        RetentionInDays=context.settings.storage.log_retention_days,
        **retention(context.mode),
    )


def _policy(spec: FunctionSpec, log_group: logs.LogGroup) -> iam.RolePolicy:
    """Return the function's own permissions; those that every function has came with its role."""
    statements = [write_log(GetAtt(log_group, "Arn")), *spec.permissions]
    return role_policy(f"{spec.title}Policy", spec.role, statements)


def _function(
    spec: FunctionSpec, context: FunctionContext, log_group: logs.LogGroup, policy: iam.RolePolicy
) -> awslambda.Function:
    """Return the function; it depends on its permissions to be created and deleted."""
    return awslambda.Function(
        f"{spec.title}Function",
        Description=spec.description,
        Code=PackagedCode(package.code_path(spec.package, context.mode)),
        Handler=package.handler_of(spec.package),
        Runtime=RUNTIME,
        Role=role_arn(spec.role),
        MemorySize=spec.memory_mb,
        Timeout=spec.timeout_seconds,
        LoggingConfig=awslambda.LoggingConfig(LogGroup=log_group.ref()),
        DeadLetterConfig=awslambda.DeadLetterConfig(TargetArn=context.dead_letter_queue),
        DependsOn=[policy.title],
        **_optional_properties(context),
    )


def _optional_properties(context: FunctionContext) -> dict[str, Any]:
    """Return the properties that the settings decide."""
    functions = context.settings.functions
    tracing = "Active" if functions.tracing else "PassThrough"
    optional = {
        "CodeSigningConfigArn": functions.code_signing_config,
        "ReservedConcurrentExecutions": functions.reserved_concurrency,
        "VpcConfig": context.vpc_config,
    }
    present = {name: value for name, value in optional.items() if value}
    return {"TracingConfig": awslambda.TracingConfig(Mode=tracing), **present}


def custom_resource(
    title: str,
    properties: type[object],
    values: Mapping[str, Expression],
    function: awslambda.Function,
    depends_on: Sequence[AWSObject] = (),
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> AWSObject:
    """Return the custom resource whose function reads ``properties``.

    ``values`` have the names of the fields of ``properties``; the resource's type is the name of
    that class. ``attributes`` are CloudFormation's own, such as ``DeletionPolicy``. The limits on
    redelivery exist as long as the resource: otherwise its first and last events would have none.

    Raises:
        TypeError: a required field has no value, or a value has no field.

    """
    token = GetAtt(function, "Arn")
    resource = _resource(title, properties, values, token, function.Timeout, attributes)
    resource.DependsOn = [_deliveries_title(function), *(other.title for other in depends_on)]
    return resource


def shared_custom_resource(
    title: str,
    properties: type[object],
    values: Mapping[str, Expression],
    function: FunctionArn,
    timeout_seconds: int,
    depends_on: Sequence[AWSObject],
) -> AWSObject:
    """Return a custom resource as above, whose function is in another stack and serves several.

    Raises:
        TypeError: a required field has no value, or a value has no field.

    """
    token = function.across_border()
    resource = _resource(title, properties, values, token, timeout_seconds, {})
    resource.DependsOn = [other.title for other in depends_on]
    return resource


def _resource(
    title: str,
    properties: type[object],
    values: Mapping[str, Expression],
    token: Expression,
    timeout_seconds: int,
    attributes: Mapping[str, Any],
) -> AWSObject:
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
        ServiceToken=token,
        ServiceTimeout=timeout_seconds + ANSWER_SECONDS,
        **names,
        **attributes,
    )
    return resource
