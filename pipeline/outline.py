"""A readable outline of a definition: its graph, and each step's inputs and outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipeline import plan
from pipeline.types import Json

_OUTPUT: Final = re.compile(r"Outputs\['([^']*)'\]")
_STEP: Final = re.compile(r"Steps\.([^.]+)\.(.*)")
_SIGNS: Final = {
    "Equals": "=",
    "GreaterThan": ">",
    "GreaterThanOrEqualTo": ">=",
    "LessThan": "<",
    "LessThanOrEqualTo": "<=",
}
_HIDDEN: Final = ("Tags", "RoleArn", "ExecutionRoleArn", "VpcConfig", "NetworkConfig")
"""Fields that every step has and that carry no data."""


@dataclass(frozen=True)
class Flow:
    """One input or output of a step: its name, and its source or destination."""

    name: str
    place: str


@dataclass(frozen=True)
class OutlineNode:
    """A step in the graph; `branches` are those of a condition, by its result."""

    name: str
    kind: str
    after: tuple[str, ...]
    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    branches: dict[str, list[OutlineNode]]


def outline(steps: list[Json]) -> list[OutlineNode]:
    """The steps in the order in which they run."""
    return [_node(step) for step in plan.order(steps)]


def everything(nodes: list[OutlineNode]) -> Iterator[OutlineNode]:
    """All nodes, including those in branches."""
    for node in nodes:
        yield node
        for inner in node.branches.values():
            yield from everything(inner)


def text(value: Any) -> str:
    """A value in plain words: a parameter by its name, a step's output as `Step: output`."""
    if isinstance(value, dict) and "Get" in value:
        path = str(value["Get"])
        return ("parameter " if path.startswith("Parameters.") else "") + _reference(path)
    if isinstance(value, dict) and "Std:Join" in value:
        parts = value["Std:Join"]
        if len(parts["Values"]) == 1:
            return text(parts["Values"][0])
        return str(parts["On"]).join(_braced(item) for item in parts["Values"])
    if isinstance(value, dict) and "Std:JsonGet" in value:
        query = value["Std:JsonGet"]
        return f"{text(query['PropertyFile'])} {query['Path']}"
    return str(value)


def _node(step: plan.PlannedStep) -> OutlineNode:
    arguments = step.arguments
    branches = {
        answer: outline(step.body["Arguments"].get(name, []))
        for answer, name in (("yes", "IfSteps"), ("no", "ElseSteps"))
        if step.kind == "Condition"
    }
    return OutlineNode(
        name=step.name,
        kind=step.kind,
        after=tuple(sorted(step.after)),
        inputs=tuple(_inputs(step.kind, arguments)),
        outputs=tuple(_outputs(step, arguments)),
        branches=branches,
    )


def _inputs(kind: str, arguments: Json) -> Iterator[Flow]:
    for item in arguments.get("ProcessingInputs", []):
        yield Flow(item["InputName"], text(item["S3Input"]["S3Uri"]))
    for item in arguments.get("InputDataConfig", []):
        yield Flow(item["ChannelName"], text(item["DataSource"]["S3DataSource"]["S3Uri"]))
    for item in arguments.get("Conditions", []):
        yield Flow("condition", condition(item))
    if kind in {"Model", "RegisterModel", "EndpointConfig", "Endpoint", "Fail"}:
        yield from _read(arguments)
    else:
        yield from _settings(arguments)


def _settings(arguments: Json) -> Iterator[Flow]:
    """The parameters in a job's command line and hyperparameters."""
    words = arguments.get("AppSpecification", {}).get("ContainerArguments", [])
    for name, value in zip(words[::2], words[1::2], strict=False):
        yield Flow(str(name), text(value))
    for name, value in arguments.get("HyperParameters", {}).items():
        if not name.startswith("sagemaker_"):
            yield Flow(name, text(value))


def _read(value: Any, name: str = "") -> Iterator[Flow]:
    """Every expression in a request, by its field."""
    if isinstance(value, dict) and {"Get", "Std:Join", "Std:JsonGet"} & value.keys():
        yield Flow(name, text(value))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _HIDDEN:
                yield from _read(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _read(item, name)


def _outputs(step: plan.PlannedStep, arguments: Json) -> Iterator[Flow]:
    for item in arguments.get("ProcessingOutputConfig", {}).get("Outputs", []):
        yield Flow(item["OutputName"], text(item["S3Output"]["S3Uri"]))
    if "OutputDataConfig" in arguments:
        yield Flow("model.tar.gz", text(arguments["OutputDataConfig"]["S3OutputPath"]))
    for item in step.body.get("PropertyFiles", []):
        yield Flow(item["PropertyFileName"], f"{item['FilePath']} in {item['OutputName']}")
    if step.kind == "Model":
        yield Flow("ModelName", "named by the service")
    for kind, field in (
        ("RegisterModel", "ModelPackageGroupName"),
        ("EndpointConfig", "EndpointConfigName"),
        ("Endpoint", "EndpointName"),
    ):
        if step.kind == kind:
            yield Flow(field, text(arguments[field]))


def condition(item: Json) -> str:
    """A condition in one line."""
    kind = item["Type"]
    if kind == "Not":
        return f"not ({condition(item['Expression'])})"
    if kind == "Or":
        return " or ".join(condition(inner) for inner in item["Conditions"])
    if kind == "In":
        values = ", ".join(text(value) for value in item["Values"])
        return f"{text(item['QueryValue'])} in {values}"
    left, right = _braced(item["LeftValue"]), _braced(item["RightValue"])
    return f"{left} {_SIGNS.get(kind, kind)} {right}"


def _reference(path: str) -> str:
    step = _STEP.fullmatch(path)
    if step is None:
        return path.removeprefix("Parameters.").removeprefix("Execution.")
    output = _OUTPUT.search(step[2])
    return f"{step[1]}: {output[1] if output else step[2].rsplit('.', 1)[-1]}"


def _braced(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return str(value)
    return f"{{{text(value).removeprefix('parameter ')}}}"
