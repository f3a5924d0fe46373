"""Checks pipeline expressions and request fields against botocore's model of the SageMaker API.

`Api` answers two questions: does a request, which may contain expressions, fit an operation's
input, and what type does the value at a path of an operation's output have. `STEP_KINDS` maps step
types to operations, and lists what the pipeline service rejects beyond the API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import ServiceModel

Shape = Any
"""A botocore shape; botocore has no type annotations, so this is `Any`, explicitly."""

Problem = tuple[str, str]
"""The path of a field, and its problem."""

EXPRESSIONS: Final = frozenset({"Get", "Std:Join", "Std:JsonGet"})

_STEP_EXCEPTIONS: Final = frozenset({"Step.SERVICE_FAULT", "Step.THROTTLING"})
_JOB_EXCEPTIONS: Final = _STEP_EXCEPTIONS | {
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.RESOURCE_LIMIT",
}


@dataclass(frozen=True)
class StepKind:
    """A step type: its operations, and how the pipeline service restricts them.

    The service sets `named_by_service` itself and accepts no `refused` field; `retried` are the
    exceptions that a retry policy can name ("Retry policy for pipeline steps").
    """

    create: str
    describe: str
    named_by_service: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    retried: frozenset[str] = _STEP_EXCEPTIONS


STEP_KINDS: Final[Mapping[str, StepKind]] = {
    "Processing": StepKind(
        "CreateProcessingJob",
        "DescribeProcessingJob",
        named_by_service=frozenset({"ProcessingJobName"}),
        retried=_JOB_EXCEPTIONS,
    ),
    "Training": StepKind(
        "CreateTrainingJob",
        "DescribeTrainingJob",
        named_by_service=frozenset({"TrainingJobName"}),
        retried=_JOB_EXCEPTIONS,
    ),
    "Model": StepKind("CreateModel", "DescribeModel", named_by_service=frozenset({"ModelName"})),
    # A model package in a group has only the group's tags ("API_CreateModelPackage").
    "RegisterModel": StepKind(
        "CreateModelPackage", "DescribeModelPackage", refused=frozenset({"Tags"})
    ),
    # The refused fields of the next two come from the SageMaker SDK's `endpoint_step.py`.
    "EndpointConfig": StepKind(
        "CreateEndpointConfig",
        "DescribeEndpointConfig",
        refused=frozenset({"DataCaptureConfig", "ExplainerConfig"}),
    ),
    "Endpoint": StepKind(
        "CreateEndpoint",
        "DescribeEndpoint",
        refused=frozenset({"DeploymentConfig"}),
        retried=frozenset(),
    ),
}

_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
}
_PARAMETER_FITS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"String"}),
    "integer": frozenset({"Integer"}),
    "long": frozenset({"Integer"}),
    "float": frozenset({"Float", "Integer"}),
    "double": frozenset({"Float", "Integer"}),
    "boolean": frozenset({"Boolean"}),
}


def is_expression(value: object) -> bool:
    """Whether the service replaces `value` when a step starts."""
    return isinstance(value, dict) and len(value) == 1 and not EXPRESSIONS.isdisjoint(value)


def children(value: object, field: str) -> Iterator[tuple[str, Any]]:
    """The members of an object or a list, each with its path."""
    if isinstance(value, dict):
        yield from ((f"{field}.{key}" if field else key, item) for key, item in value.items())
    elif isinstance(value, list):
        yield from ((f"{field}[{index}]", item) for index, item in enumerate(value))


def gets(value: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Every `Get` in `value`: its field, and the path that it names."""
    if isinstance(value, dict) and is_expression(value):
        if "Get" in value:
            yield field, str(value["Get"])
            return
        for _, item in children(value, field):
            yield from ((field, path) for _, path in gets(item, field))
        return
    for path, item in children(value, field):
        yield from gets(item, path)


@dataclass(frozen=True)
class Api:
    """The SageMaker API, and the types of the definition's parameters by name."""

    service: Any
    parameter_types: Mapping[str, str]

    @classmethod
    def load(cls, parameter_types: Mapping[str, str]) -> Api:
        """Read the API's model from botocore, which is slow to import and imported here."""
        model = Loader().load_service_model("sagemaker", "service-2")
        return cls(ServiceModel(model, "sagemaker"), parameter_types)

    def request_problems(self, kind: StepKind, request: object) -> Iterator[Problem]:
        """What the service would reject in a step's `Arguments`."""
        shape = self.service.operation_model(kind.create).input_shape
        for field, problem in self._problems(request, shape, ""):
            if field not in kind.named_by_service:
                yield field, problem
        if isinstance(request, dict):
            for field in sorted((kind.named_by_service | kind.refused) & request.keys()):
                yield field, "the pipeline service does not support this field"

    def output_problem(self, kind: StepKind, path: str) -> str | None:
        """Why `path` is not a value in the response of the step's Describe operation, or `None`."""
        shape = self.service.operation_model(kind.describe).output_shape
        for token in re.findall(r"\['[^']*'\]|\[\d+\]|[^.\[\]]+", path):
            shape = _member(shape, token.strip("[]'"))
            if shape is None:
                return f"{kind.describe} returns no {token} here"
        if shape is not None and shape.type_name not in {*_SCALARS, "timestamp"}:
            return f"{path} is a {shape.type_name}, not a scalar"
        return None

    def _problems(self, value: object, shape: Shape, field: str) -> Iterator[Problem]:
        if is_expression(value):
            yield from self._expression_problems(value, shape, field)
        elif shape.type_name == "structure":
            yield from self._structure_problems(value, shape, field)
        elif shape.type_name in {"list", "map"}:
            yield from self._collection_problems(value, shape, field)
        else:
            yield from ((field, problem) for problem in _scalar_problems(value, shape))

    def _expression_problems(self, value: Any, shape: Shape, field: str) -> Iterator[Problem]:
        if shape.type_name not in _SCALARS:
            yield field, f"an expression cannot be a {shape.type_name}"
            return
        path = str(value.get("Get", ""))
        kind = self.parameter_types.get(path.removeprefix("Parameters."), "")
        if "Std:Join" in value:
            kind = "String"
        if kind and kind not in _PARAMETER_FITS[shape.type_name]:
            what = path or "Std:Join"
            yield field, f"{what} is a {kind}, but the field must be a {shape.type_name}"

    def _structure_problems(self, value: object, shape: Shape, field: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield field, f"must be an object, not {value!r}"
            return
        dot = f"{field}." if field else ""
        for name in sorted(set(shape.required_members) - value.keys()):
            yield f"{dot}{name}", "is required"
        for name, item in value.items():
            if name in shape.members:
                yield from self._problems(item, shape.members[name], f"{dot}{name}")
            else:
                yield f"{dot}{name}", f"unknown field; allowed: {', '.join(shape.members)}"

    def _collection_problems(self, value: object, shape: Shape, field: str) -> Iterator[Problem]:
        wanted, member = (list, shape.member) if shape.type_name == "list" else (dict, shape.value)
        if not isinstance(value, wanted):
            yield field, f"must be a {shape.type_name}, not {value!r}"
            return
        yield from ((field, problem) for problem in _size_problems(len(value), shape, "items"))
        for path, item in children(value, field):
            yield from self._problems(item, member, path)


def _member(shape: Shape, token: str) -> Shape:
    """What `token` selects in `shape`: a member, an item of a list, a value of a map, or `None`."""
    if shape.type_name == "structure":
        return shape.members.get(token)
    if shape.type_name == "list":
        return shape.member
    return shape.value if shape.type_name == "map" else None


def _scalar_problems(value: object, shape: Shape) -> Iterator[str]:
    """The problems of a literal: its type, value, length or form."""
    kinds = _SCALARS.get(shape.type_name, (object,))
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        yield f"must be a {shape.type_name}, not {value!r}"
    elif isinstance(value, str):
        yield from _size_problems(len(value), shape, "characters")
        yield from _form_problems(value, shape)
    elif not isinstance(value, bool):
        yield from _size_problems(value, shape, "")


def _form_problems(value: str, shape: Shape) -> Iterator[str]:
    allowed, pattern = shape.enum, shape.metadata.get("pattern", "")
    if allowed and value not in allowed:
        yield f"{value!r} is not one of the API's values"
    # Patterns are Java's: those with character classes that Python lacks are left to the service.
    if pattern and r"\p{" not in pattern and not re.fullmatch(pattern, value, re.DOTALL):
        yield f"{value!r} does not match {pattern}"


def _size_problems(size: Any, shape: Shape, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield f"{size} {unit}".strip() + f": at least {least} required"
    if most is not None and size > most:
        yield f"{size} {unit}".strip() + f": at most {most} allowed"
