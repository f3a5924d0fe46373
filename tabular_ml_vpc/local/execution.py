"""One run of a pipeline definition: runs steps in order, resolves expressions, checks requests.

Source of the semantics: "Pipelines steps" and "Condition step" in the SageMaker developer guide.
Retry policies are ignored: nothing here fails temporarily.
"""

from __future__ import annotations

import operator
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline import plan
from pipeline.expressions import ExpressionError, Values
from pipeline.requests import RequestError
from pipeline.types import Json
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.record import ExecutionRecord, Gate, Status, StepRecord, now
from tabular_ml_vpc.local.service import Call, Runner
from tabular_ml_vpc.local.store import StoreError

StepObserver = Callable[[ExecutionRecord, StepRecord], None]
"""Called for each step when it starts and when it ends."""

_FAILURES: Final = (LocalJobError, StoreError, ExpressionError, RequestError)

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


class _StepFailedError(Exception):
    """A step failed, and so the run; everything is already recorded."""


@dataclass(frozen=True)
class Host:
    """What a run needs from its host."""

    runners: Mapping[str, Runner]
    read: Callable[[str], bytes]
    """Reads an object by its S3 URI; raises `StoreError`."""
    check: Callable[[str, Json], None]
    """Checks a resolved request by step type; raises `RequestError`."""
    observe: StepObserver = lambda _execution, _step: None


def new_execution(
    definition: Json,
    parameters: Mapping[str, Any],
    pipeline_name: str,
    region: str = "eu-west-1",
    account: str = "123456789012",
) -> ExecutionRecord:
    """A run of `definition` that has not started; `parameters` override the defaults."""
    identity = secrets.token_hex(6)
    defaults = {item["Name"]: item.get("DefaultValue") for item in definition["Parameters"]}
    pipeline = f"arn:aws:sagemaker:{region}:{account}:pipeline/{pipeline_name.lower()}"
    return ExecutionRecord(
        id=identity,
        arn=f"{pipeline}/execution/{identity}",
        pipeline_name=pipeline_name,
        parameters=defaults | dict(parameters),
        started=now(),
    )


def run(definition: Json, execution: ExecutionRecord, host: Host) -> ExecutionRecord:
    """Run `definition` to its end and return the completed `execution`.

    A failed step ends the run; the reason is in the records. Raises `PlanError` if steps depend on
    each other; any other exception (such as an interrupt) marks the run as stopped.
    """
    steps = plan.order(definition["Steps"])
    interpreter = _Interpreter(definition, execution, host)
    try:
        interpreter.run_all(steps)
        execution.status = Status.SUCCEEDED
    except _StepFailedError:
        execution.status = Status.FAILED
    except BaseException:
        execution.status = Status.STOPPED
        raise
    finally:
        execution.ended = now()
    return execution


class _Interpreter:
    def __init__(self, definition: Json, execution: ExecutionRecord, host: Host) -> None:
        self._bodies = {body["Name"]: body for body in plan.flatten(definition["Steps"])}
        self._execution = execution
        self._host = host
        variables = {
            "PipelineExecutionId": execution.id,
            "PipelineExecutionArn": execution.arn,
            "PipelineName": execution.pipeline_name,
            "PipelineArn": execution.arn.rsplit("/execution/", 1)[0],
            "StartDateTime": execution.started.isoformat(),
            "CurrentDateTime": execution.started.isoformat(),
        }
        self._values = Values(execution.parameters, variables, self._property_file)

    def run_all(self, steps: list[plan.PlannedStep]) -> None:
        for step in steps:
            branch = self._run(step)
            if branch:
                self.run_all(step.branch(branch))

    def _run(self, step: plan.PlannedStep) -> str:
        """Run one step; a condition returns the branch to run next."""
        record = StepRecord(step.name, step.kind, now())
        self._execution.steps.append(record)
        self._host.observe(self._execution, record)
        branch = ""
        try:
            if step.kind == "Condition":
                branch = self._decide(step, record)
            elif step.kind == "Fail":
                self._reject(step, record)
            else:
                self._make(step, record)
            record.status = Status.SUCCEEDED
        except _FAILURES as error:
            self._fail(record, str(error))
            raise _StepFailedError from error
        except BaseException as error:
            if not isinstance(error, _StepFailedError):
                record.status = Status.STOPPED
            raise
        finally:
            record.ended = now()
            self._host.observe(self._execution, record)
        return branch

    def _make(self, step: plan.PlannedStep, record: StepRecord) -> None:
        request = self._values.resolve(step.arguments)
        self._host.check(step.kind, request)
        call = Call(self._execution.id, request, record)
        record.description = self._host.runners[step.kind](call)
        self._values.describe(step.name, record.description)

    def _reject(self, step: plan.PlannedStep, record: StepRecord) -> None:
        self._execution.refused = True
        self._fail(record, str(self._values.resolve(step.arguments)["ErrorMessage"]))
        raise _StepFailedError

    def _fail(self, record: StepRecord, reason: str) -> None:
        record.status = Status.FAILED
        record.failure_reason = reason
        self._execution.failure_reason = reason

    def _decide(self, step: plan.PlannedStep, record: StepRecord) -> str:
        outcomes = [self._holds(item, record) for item in step.arguments["Conditions"]]
        outcome = all(outcomes)
        record.metadata = {"Condition": {"Outcome": str(outcome)}}
        self._values.describe(step.name, {"Outcome": str(outcome)})
        return "IfSteps" if outcome else "ElseSteps"

    def _holds(self, condition: Json, record: StepRecord) -> bool:
        kind = condition["Type"]
        if kind == "Not":
            return not self._holds(condition["Expression"], record)
        if kind == "Or":
            outcomes = [self._holds(item, record) for item in condition["Conditions"]]
            return any(outcomes)
        if kind == "In":
            value = self._values.resolve(condition["QueryValue"])
            return bool(value in self._values.resolve(condition["Values"]))
        left = self._values.resolve(condition["LeftValue"])
        right = self._values.resolve(condition["RightValue"])
        outcome = _compare(kind, left, right)
        record.gates.append(Gate(kind, left, right, outcome, self._name(condition["LeftValue"])))
        return outcome

    def _name(self, value: Any) -> str:
        """The name of what is compared; a metric's name is next to its value in the file."""
        if isinstance(value, dict) and "Std:JsonGet" in value:
            field = str(value["Std:JsonGet"]["Path"])
            if field != "value":
                return field
            try:
                return str(self._values.resolve(_beside(value, "metric")))
            except ExpressionError:  # a file with only the value
                return "value"
        named = isinstance(value, dict) and "Get" in value
        return str(value["Get"]).rpartition(".")[2] if named else "value"

    def _property_file(self, step: str, name: str) -> str:
        """The text of a property file, read from its step's output."""
        for item in self._bodies[step].get("PropertyFiles", []):
            if item["PropertyFileName"] == name:
                output = f"Steps.{step}.ProcessingOutputConfig.Outputs['{item['OutputName']}']"
                folder = self._values.resolve({"Get": f"{output}.S3Output.S3Uri"})
                return self._host.read(f"{folder}/{item['FilePath']}").decode("utf-8")
        raise ExpressionError(f"step {step} has no property file {name}")


def _beside(value: Json, field: str) -> Json:
    return {"Std:JsonGet": value["Std:JsonGet"] | {"Path": field}}


def _compare(kind: str, left: Any, right: Any) -> bool:
    if kind not in _COMPARISONS:
        raise ExpressionError(f"unknown condition {kind!r}; known are {', '.join(_COMPARISONS)}")
    numbers = all(isinstance(value, int | float) for value in (left, right))
    if not numbers and type(left) is not type(right):
        raise ExpressionError(f"{left!r} and {right!r} cannot be compared")
    return bool(_COMPARISONS[kind](left, right))
