"""Typed interfaces between nested stacks.

A stack module declares a frozen dataclass ``Inputs`` and one ``Outputs`` whose fields are
``Value``s. ``declare`` turns the inputs into parameters, ``publish`` the outputs into outputs,
and ``nest`` (in the root only) passes one stack's outputs to the next. A missing input is a
TypeError, a wrong one fails mypy and the build; cfn-lint checks the rendered result again.

Lists cross a stack boundary joined to one string, and only here: a list passed to a nested stack
satisfies every linter and fails on AWS ("Value of property Parameters must be an object with String
(or simple type) properties").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Generic, TypeVar, get_args, get_type_hints

from troposphere import (
    AWSHelperFn,
    AWSObject,
    GetAtt,
    Join,
    Output,
    Parameter,
    Ref,
    Select,
    Split,
    Tags,
    Template,
)
from troposphere.cloudformation import Stack as NestedStack

from functions.shared.properties import property_name as logical_id
from generator.retention import deleted_with_stack

Expression = AWSHelperFn | str
"""An expression that CloudFormation resolves to one string: a literal, Ref, GetAtt, Sub, ..."""


class Value(AWSHelperFn):
    """A value that CloudFormation resolves at deployment; its class says what it means."""

    parameter_type: ClassVar[str] = "String"
    description: ClassVar[str] = ""

    def __init__(self, expression: Expression) -> None:
        self.data = expression

    def across_border(self) -> Expression:
        """Return the string with which the value enters or leaves a stack."""
        return self.data  # type: ignore[no-any-return]


class ListValue(Value):
    """A list: a list inside a stack, one comma-joined string between stacks."""

    def __init__(self, expression: AWSHelperFn | list[Expression]) -> None:
        self.data = expression

    def across_border(self) -> Expression:
        """Return the list as one string."""
        if isinstance(self.data, Split):  # an output of another stack
            return self.data.data["Fn::Split"][1]  # type: ignore[no-any-return]
        return Join(",", self.data)

    def item(self, index: int) -> Expression:
        """Return one item; the first has index 0."""
        return self.data[index] if isinstance(self.data, list) else Select(index, self.data)


class UniqueName(Value):
    """The name of this deployment: the project and a short part of the root stack's id."""

    description = "Name for resources that require one; unique to this deployment"


class RootStackName(Value):
    """The root stack's name."""

    description = "Name of the root stack; names that CloudFormation generates begin with it"


class RoleName(Value):
    """A role's name; it has no path."""

    description = "Name of an IAM role that the security stack creates"


class RoleList(ListValue):
    """Several roles' names."""

    parameter_type = "CommaDelimitedList"
    description = "Names of IAM roles that the security stack creates"

    def role(self, index: int) -> RoleName:
        """Return one of them; the first has index 0."""
        return RoleName(self.item(index))


class RoleArn(Value):
    """A role's ARN, if the role has a path."""

    description = "ARN of an IAM role"


class FunctionArn(Value):
    """A function's ARN."""

    description = "ARN of a Lambda function"


class PolicyArn(Value):
    """A managed policy's ARN."""

    description = "ARN of a managed policy"


class KeyArn(Value):
    """The key's ARN."""

    description = "ARN of the KMS key that encrypts everything at rest"


class QueueArn(Value):
    """The dead-letter queue's ARN."""

    description = "ARN of the queue that receives undeliverable events"


class QueueName(Value):
    """The dead-letter queue's name."""

    description = "Name of the queue that receives undeliverable events"


class TopicArn(Value):
    """The alert topic's ARN."""

    description = "ARN of the SNS topic that receives alerts"


class DomainId(Value):
    """The Studio domain's id."""

    description = "Id of the SageMaker Studio domain"


class EndpointId(Value):
    """A VPC endpoint's id."""

    description = "Id of the S3 gateway endpoint"


class VpcId(Value):
    """The VPC's id."""

    parameter_type = "AWS::EC2::VPC::Id"
    description = "VPC in which jobs, functions and apps run"


class SubnetIds(ListValue):
    """The subnets' ids."""

    parameter_type = "List<AWS::EC2::Subnet::Id>"
    description = "Subnets of the VPC, in different Availability Zones"


class SecurityGroupId(Value):
    """A security group's id."""

    parameter_type = "AWS::EC2::SecurityGroup::Id"
    description = "Security group for one kind of network interface"


class BucketName(Value):
    """A bucket's name."""

    description = "Name of an S3 bucket"


class YesNo(Value):
    """A switch."""

    description = "yes or no"


class Text(Value):
    """Any other text."""

    description = "Value of a parameter of the root stack"


class Number(Value):
    """Any number."""

    parameter_type = "Number"
    description = "Value of a parameter of the root stack"


class OptionalText(Value):
    """A text that may be empty."""

    description = "Value of a parameter of the root stack; may be empty"


InputsT = TypeVar("InputsT")
OutputsT = TypeVar("OutputsT")
ResourceT = TypeVar("ResourceT", bound=AWSObject)
ValueT = TypeVar("ValueT", bound=Value)


@dataclass(frozen=True)
class StackTemplate(Generic[InputsT, OutputsT]):
    """A rendered stack with the types of its inputs and outputs."""

    name: str
    template: Template
    inputs: type[InputsT]
    outputs: type[OutputsT]


def add(template: Template, resource: ResourceT) -> ResourceT:
    """Add one resource and return it, typed."""
    template.add_resource(resource)
    return resource


def add_all(template: Template, resources: list[ResourceT]) -> list[ResourceT]:
    """Add resources and return them, typed."""
    return [add(template, resource) for resource in resources]


def declare(inputs: type[InputsT], template: Template, without: Collection[str] = ()) -> InputsT:
    """Add a parameter for each field of ``inputs``; return the fields as references to them.

    ``without`` are optional fields (``... | None = None``) that these settings do not need.
    """
    values = {}
    for name, kind in _kinds(inputs).items():
        if name in without:
            continue
        parameter = Parameter(
            logical_id(name), Type=kind.parameter_type, Description=kind.description
        )
        values[name] = kind(Ref(template.add_parameter(parameter)))
    return inputs(**values)


def publish(outputs: object, template: Template) -> None:
    """Add an output for each field of ``outputs`` that is not None.

    Raises:
        TypeError: a field's value does not have the annotated type.

    """
    for name, value in _checked(outputs).items():
        template.add_output(
            Output(logical_id(name), Value=value.across_border(), Description=value.description)
        )


def nest(
    root: Template,
    child: StackTemplate[InputsT, OutputsT],
    inputs: InputsT,
    tags: Tags,
    after: tuple[str, ...] = (),
    title: str = "",
) -> OutputsT:
    """Add ``child`` to ``root`` with its inputs; return its outputs as typed references.

    ``title`` is the logical id without ``Stack`` of one of several stacks with the same template.
    ``tags`` are set on the nested stack, and by CloudFormation on everything that it creates.
    ``after`` are the logical ids, without ``Stack``, of stacks that are created before it and
    deleted after it, although it reads none of their outputs.

    Raises:
        TypeError: ``inputs`` belong to another stack, or a field's value has the wrong type.

    """
    if not isinstance(inputs, child.inputs):
        raise TypeError(f"{child.name} takes {child.inputs}, got {type(inputs)}")
    given = {logical_id(name): value.across_border() for name, value in _checked(inputs).items()}
    if wrong := sorted(given.keys() ^ child.template.parameters.keys()):
        raise TypeError(f"{child.name}: {', '.join(wrong)} not both declared and given")
    stack = add(
        root,
        NestedStack(
            f"{title or logical_id(child.name)}Stack",
            TemplateURL=f"./{child.name}.yaml",
            Parameters=given,
            Tags=tags,
            **deleted_with_stack(),
        ),
    )
    if after:
        stack.DependsOn = [f"{name}Stack" for name in after]
    return child.outputs(
        **{
            name: _output(kind, stack, name)
            for name, kind in _kinds(child.outputs).items()
            if logical_id(name) in child.template.outputs
        }
    )


def _output(kind: type[Value], stack: NestedStack, name: str) -> Value:
    joined = GetAtt(stack, f"Outputs.{logical_id(name)}")
    return kind(Split(",", joined)) if issubclass(kind, ListValue) else kind(joined)


def _kinds(borders: type) -> Mapping[str, type[Value]]:
    """Return the type of each field's value, whether or not the field is optional."""
    hints = get_type_hints(borders)
    return {
        field.name: next((kind for kind in get_args(hint) if kind is not type(None)), hint)
        for field in fields(borders)
        for hint in [hints[field.name]]
    }


def _checked(borders: object) -> dict[str, Value]:
    optional = {field.name for field in fields(borders) if field.default is None}  # type: ignore[arg-type]
    values = {}
    for name, kind in _kinds(type(borders)).items():
        value = getattr(borders, name)
        if value is None and name in optional:
            continue
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
        values[name] = value
    return values


def present(value: ValueT | None) -> ValueT:
    """Return a value of an optional field in a stack whose settings need it.

    Raises:
        TypeError: the value is absent.

    """
    if value is None:
        raise TypeError("a value that this stack needs is absent")
    return value
