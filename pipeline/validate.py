"""Checks a pipeline definition before SageMaker does.

`CreatePipeline` accepts almost anything: an unknown field, a dangling reference or an input that no
step produces fails only when a run reaches it, after the previous instances have been paid for.
This module checks that

- each step's request, which may contain expressions, fits the API's input (`shapes`),
- each reference names a parameter, or a value of a step that runs before,
- each input is an upstream output, a parameter, or the folder of shipped scripts,
- outputs are in a folder of the run, and no two are in the same one,
- instance types can run our images and use a volume key,
- parameters have a type, a valid default and a use; retry policies name what a step can retry.

It needs botocore, which is loaded when `validate` is called, not when this module is imported.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.definition import SCRIPTS
from pipeline.layout import CHAMPION
from pipeline.run_parameters import (
    ENDPOINT_INSTANCE_TYPE_PATTERN,
    INSTANCE_TYPE_RULE,
    PROCESSING_INSTANCE_TYPE_PATTERN,
    TRAINING_INSTANCE_TYPE_PATTERN,
)
from pipeline.shapes import STEP_KINDS, Api, children, gets, is_expression
from pipeline.types import Json

_PARAMETER_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}
_EXECUTION_VARIABLES: Final = frozenset(
    {
        "CurrentDateTime",
        "PipelineArn",
        "PipelineExecutionArn",
        "PipelineExecutionId",
        "PipelineName",
        "StartDateTime",
    }
)
_RUN_ID: Final = "Execution.PipelineExecutionId"
_INPUT_FIELDS: Final = re.compile(r"(S3Input\.S3Uri|S3DataSource\.S3Uri|ModelDataUrl)$")
_OUTPUT_FIELDS: Final = re.compile(r"(S3Output\.S3Uri|S3OutputPath)$")
_CHANNELS: Final = "/opt/ml/input/data/"
_BROUGHT: Final = ("code", "libraries", CHAMPION)
"""Inputs that the deployment provides: the scripts, the packages that an image lacks, and the model
that serves.
"""

_INSTANCE_TYPES: Final[Mapping[str, str]] = {
    "Processing": PROCESSING_INSTANCE_TYPE_PATTERN,
    "Training": TRAINING_INSTANCE_TYPE_PATTERN,
    "EndpointConfig": ENDPOINT_INSTANCE_TYPE_PATTERN,
}


@dataclass(frozen=True, order=True)
class Fault:
    """One fault of a definition; for a parameter, `step` is "Parameters"."""

    step: str
    field: str
    problem: str

    def __str__(self) -> str:
        """`step`, `field` and `problem` in one line."""
        return f"{self.step}: {self.field}: {self.problem}"


@dataclass(frozen=True)
class _Step:
    """A step, and the branches of conditions that contain it, outermost first."""

    name: str
    kind: str
    body: Json
    branches: tuple[str, ...]

    @property
    def arguments(self) -> Json:
        """The step's own arguments, without the steps inside a condition."""
        arguments = self.body.get("Arguments")
        if not isinstance(arguments, dict):
            return {}
        return {key: item for key, item in arguments.items() if key not in _BRANCHES}


_BRANCHES: Final = ("IfSteps", "ElseSteps")


@dataclass(frozen=True)
class _Plan:
    """A definition with its parameters and all its steps by name."""

    parameters: Mapping[str, Json]
    steps: Mapping[str, _Step]

    @classmethod
    def of(cls, definition: Json) -> _Plan:
        parameters = {str(item.get("Name")): item for item in definition.get("Parameters", [])}
        steps = {step.name: step for step in _flatten(definition.get("Steps", []), ())}
        return cls(parameters, steps)

    def default(self, value: object) -> object:
        """`value`, or the default of the parameter that it refers to."""
        if isinstance(value, dict) and str(value.get("Get", "")).startswith("Parameters."):
            name = str(value["Get"]).removeprefix("Parameters.")
            return self.parameters.get(name, {}).get("DefaultValue", value)
        return value

    def upstream(self, step: _Step) -> set[str]:
        """The names of all steps that are guaranteed to end before `step` starts."""
        found: set[str] = set()
        waiting = _direct_dependencies(step)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.steps:
                found.add(name)
                waiting |= _direct_dependencies(self.steps[name])
        return found


def validate(definition: Json, scripts: Collection[str] = SCRIPTS) -> list[Fault]:
    """The faults of `definition`, in the order of its steps.

    `scripts` are the names of the files in the code folder.
    """
    plan = _Plan.of(definition)
    api = Api.load({name: str(item.get("Type")) for name, item in plan.parameters.items()})
    faults = [*_parameter_faults(definition, plan), *_name_faults(definition)]
    for step in plan.steps.values():
        faults += _request_faults(step, api)
        faults += _reference_faults(step, plan, api)
        faults += _input_faults(step)
        faults += _script_faults(step, scripts)
        faults += _instance_faults(step, plan)
        faults += _retry_faults(step)
    return [*faults, *_output_faults(plan)]


def _flatten(steps: list[Json], branches: tuple[str, ...]) -> Iterator[_Step]:
    for body in steps:
        name = str(body.get("Name"))
        yield _Step(name, str(body.get("Type")), body, branches)
        for branch in _BRANCHES:
            inner = (body.get("Arguments") or {}).get(branch, [])
            yield from _flatten(inner, (*branches, f"{name}.{branch}"))


def _direct_dependencies(step: _Step) -> set[str]:
    read = {path.split(".")[1] for _, path in gets(step.arguments) if path.startswith("Steps.")}
    conditions = {branch.split(".")[0] for branch in step.branches}
    return read | conditions | set(step.body.get("DependsOn", []))


def _parameter_faults(definition: Json, plan: _Plan) -> Iterator[Fault]:
    used = {path for _, path in gets(definition.get("Steps", []))}
    for name, item in plan.parameters.items():
        kind, default = str(item.get("Type")), item.get("DefaultValue")
        if kind not in _PARAMETER_TYPES:
            yield Fault("Parameters", name, f"Type must be one of {', '.join(_PARAMETER_TYPES)}")
        elif default is not None and not _fits(default, kind):
            yield Fault("Parameters", name, f"the default {default!r} is not of type {kind}")
        elif default == "":
            yield Fault("Parameters", name, "the default is empty, which the service rejects")
        if default is not None and default not in item.get("EnumValues", [default]):
            yield Fault("Parameters", name, f"the default {default!r} is not among EnumValues")
        if f"Parameters.{name}" not in used:
            yield Fault("Parameters", name, "no step uses it")


def _fits(value: object, kind: str) -> bool:
    return isinstance(value, _PARAMETER_TYPES[kind]) and isinstance(value, bool) == (
        kind == "Boolean"
    )


def _name_faults(definition: Json) -> Iterator[Fault]:
    steps = Counter(step.name for step in _flatten(definition.get("Steps", []), ()))
    parameters = Counter(str(item.get("Name")) for item in definition.get("Parameters", []))
    for name, count in steps.items():
        if count > 1:
            yield Fault(name, "Name", f"{count} steps have this name")
    for name, count in parameters.items():
        if count > 1:
            yield Fault("Parameters", name, f"{count} parameters have this name")


def _request_faults(step: _Step, api: Api) -> Iterator[Fault]:
    if step.kind in STEP_KINDS:
        problems = api.request_problems(STEP_KINDS[step.kind], step.body.get("Arguments"))
        yield from (Fault(step.name, field, problem) for field, problem in problems)
    elif step.kind == "Condition" and step.branches:
        yield Fault(step.name, "Type", f"a condition inside {step.branches[-1]} is not supported")
    elif step.kind not in {"Condition", "Fail"}:
        known = ", ".join([*STEP_KINDS, "Condition", "Fail"])
        yield Fault(step.name, "Type", f"{step.kind!r} is not one of {known}")


def _reference_faults(step: _Step, plan: _Plan, api: Api) -> Iterator[Fault]:
    for name in step.body.get("DependsOn", []):
        if name not in plan.steps:
            yield Fault(step.name, "DependsOn", f"unknown step {name}")
        elif plan.steps[name].kind == "Condition":
            yield Fault(step.name, "DependsOn", f"a step cannot depend on the condition {name}")
    if step.name in plan.upstream(step):
        yield Fault(step.name, "Name", "depends on itself, through the steps that it refers to")
    for field, path in gets(step.arguments):
        problem = _reference_problem(step, path, plan, api)
        if problem:
            yield Fault(step.name, field, f"{path}: {problem}")


def _reference_problem(step: _Step, path: str, plan: _Plan, api: Api) -> str | None:
    root, _, rest = path.partition(".")
    if root == "Parameters":
        return None if rest in plan.parameters else "unknown parameter"
    if root == "Execution":
        return None if rest in _EXECUTION_VARIABLES else "unknown execution variable"
    name, _, value = rest.partition(".")
    if root != "Steps" or name not in plan.steps:
        return "unknown step"
    target = plan.steps[name]
    if target.branches != step.branches[: len(target.branches)]:
        return f"{name} may not have run: it is inside {target.branches[-1]}"
    return _value_problem(target, value, api)


def _value_problem(target: _Step, path: str, api: Api) -> str | None:
    """Why `target` has no value at `path`."""
    if path.startswith("PropertyFiles."):
        return _property_file_problem(target, path.removeprefix("PropertyFiles."))
    if target.kind == "Condition":
        return None if path == "Outcome" else "a condition has only an Outcome"
    if target.kind not in STEP_KINDS:
        return f"{target.kind} steps have no values"
    output = re.match(r"ProcessingOutputConfig\.Outputs\['([^']*)'\]", path)
    if output and output[1] not in _output_names(target):
        return f"{target.name} has no output {output[1]!r}"
    return api.output_problem(STEP_KINDS[target.kind], path)


def _property_file_problem(target: _Step, name: str) -> str | None:
    for item in target.body.get("PropertyFiles", []):
        if item.get("PropertyFileName") == name:
            output = item.get("OutputName")
            known = output in _output_names(target)
            return None if known else f"its output {output!r} is not an output of {target.name}"
    return f"{target.name} has no property file {name!r}"


def _output_names(step: _Step) -> list[str]:
    outputs = step.arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [str(item.get("OutputName")) for item in outputs]


def _fields(value: object, field: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a request, down to literals and expressions, with its path."""
    yield field, value
    if not is_expression(value):
        for path, item in children(value, field):
            yield from _fields(item, path)


def _input_faults(step: _Step) -> Iterator[Fault]:
    """Inputs that no step produces: hand-written paths, which nothing orders or checks."""
    code = _code_fields(step)
    for field, value in _fields(step.arguments):
        if _INPUT_FIELDS.search(field) and field not in code:
            first = value
            if isinstance(value, dict) and "Std:Join" in value:
                first = next(iter(value["Std:Join"].get("Values", [])), None)
            source = str(first.get("Get", "")) if isinstance(first, dict) else ""
            if not source.startswith(("Parameters.", "Steps.")):
                shown = value if isinstance(value, str) else "an expression"
                allowed = "a parameter nor an output of an earlier step"
                yield Fault(step.name, field, f"{shown} is neither {allowed}")


def _code_fields(step: _Step) -> set[str]:
    """The S3 fields of the inputs or channels in `_BROUGHT`, which are not steps' outputs."""
    inputs = _fields(step.arguments)
    folders = {"InputName": "S3Input.S3Uri", "ChannelName": "DataSource.S3DataSource.S3Uri"}
    return {
        field.removesuffix(name) + folders[name]
        for field, value in inputs
        for name in folders
        if field.endswith(name) and value in _BROUGHT
    }


def _script_faults(step: _Step, scripts: Collection[str]) -> Iterator[Fault]:
    for field, value in _fields(step.arguments):
        if field.endswith(("HyperParameters.sagemaker_program", ".SAGEMAKER_PROGRAM")):
            if value not in scripts:
                yield Fault(step.name, field, f"{value} is not a shipped script")
        elif field.endswith("AppSpecification.ContainerEntrypoint"):
            yield from _entrypoint_faults(step, field, str(value[-1]) if value else "", scripts)
        elif field.endswith("HyperParameters.sagemaker_submit_directory"):
            channels = [item["ChannelName"] for item in step.arguments.get("InputDataConfig", [])]
            if value not in [_CHANNELS + channel for channel in channels]:
                yield Fault(step.name, field, f"{value} is not the folder of an input channel")


def _entrypoint_faults(
    step: _Step, field: str, script: str, scripts: Collection[str]
) -> Iterator[Fault]:
    folder, name = posixpath.split(script)
    if name not in scripts:
        yield Fault(step.name, field, f"{name} is not a shipped script")
    inputs = step.arguments.get("ProcessingInputs", [])
    if folder not in [item.get("S3Input", {}).get("LocalPath") for item in inputs]:
        yield Fault(step.name, field, f"{folder} is not the folder of an input")


def _instance_faults(step: _Step, plan: _Plan) -> Iterator[Fault]:
    pattern = _INSTANCE_TYPES.get(step.kind, ".*")
    for field, value in _fields(step.arguments):
        if field.endswith(".InstanceType"):
            found = plan.default(value)
            if isinstance(found, str) and not re.fullmatch(pattern, found):
                yield Fault(step.name, field, f"{found} is not {INSTANCE_TYPE_RULE}")


def _retry_faults(step: _Step) -> Iterator[Fault]:
    allowed = STEP_KINDS[step.kind].retried if step.kind in STEP_KINDS else frozenset()
    for index, policy in enumerate(step.body.get("RetryPolicies", [])):
        for name in policy.get("ExceptionType", []):
            if name not in allowed:
                field = f"RetryPolicies[{index}]"
                yield Fault(step.name, field, f"{step.kind} steps cannot retry {name}")


def _output_faults(plan: _Plan) -> Iterator[Fault]:
    seen: list[tuple[str, str]] = []
    for step in plan.steps.values():
        for field, value in _fields(step.arguments):
            if not _OUTPUT_FIELDS.search(field):
                continue
            folder = _text(value).rstrip("/") + "/"
            if _RUN_ID not in folder:
                yield Fault(step.name, field, f"{folder} is not in a folder of the run ({_RUN_ID})")
            for other, owner in seen:
                if folder.startswith(other) or other.startswith(folder):
                    yield Fault(step.name, field, f"{folder} is also the output folder of {owner}")
            seen.append((folder, f"{step.name}'s {field}"))


def _text(value: object) -> str:
    """An S3 path with its expressions written as `{path}`."""
    if isinstance(value, dict) and "Get" in value:
        return f"{{{value['Get']}}}"
    if isinstance(value, dict) and "Std:Join" in value:
        parts = value["Std:Join"]
        return str(parts.get("On", "")).join(_text(item) for item in parts.get("Values", []))
    return str(value)
