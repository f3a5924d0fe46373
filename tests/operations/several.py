"""An account with one stack of several pipelines, as answers of CloudFormation and SageMaker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from boto3.session import Session

from generator.cfn.expressions import NESTED
from generator.record import MODE_OUTPUT
from pipeline import example
from pipeline.definition import build
from pipeline.layout import MAIN
from tabular_ml_vpc.operations.pipelines import stack_title
from tests.operations.canned import Answer, refusal, session

BEGAN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
_PLACE = "eu-west-1:123456789012"
NO_SUCH = refusal("ValidationException", "Could not find it")


def pipeline_name(name: str) -> str:
    """Return a pipeline's name in SageMaker."""
    return "tabular-0a1b" if name == MAIN else f"tabular-0a1b-{name}"


@dataclass
class Several:
    """A stack ``tabular`` whose pipelines have these runs (ids, oldest first) and endpoints."""

    runs: Mapping[str, list[str]]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Status by pipeline."""
    older: bool = False
    """Whether it was deployed before stacks had the output ``Pipelines``."""
    running: bool = False
    """Whether the newest run of each is in progress."""
    log_groups: tuple[str, ...] = ()
    described: list[str] = field(default_factory=list)
    """Stacks that were described."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """More outputs of the root stack."""
    started: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def session(self) -> Session:
        """Return a session of which every call is answered here."""
        return session(self.answers())

    def answers(self) -> dict[str, Answer]:
        """Return the answer of each operation."""
        names = ("DescribeStacks", "ListStackResources")
        answers: dict[str, Answer] = {f"cloudformation.{n}": getattr(self, snake(n)) for n in names}
        for name in (
            *("ListPipelineExecutions", "DescribePipeline", "StartPipelineExecution"),
            *("StopPipelineExecution", "DescribePipelineExecution", "DescribeEndpoint"),
            *("ListPipelineExecutionSteps", "ListTags", "DeleteEndpoint"),
        ):
            answers[f"sagemaker.{name}"] = from_json(getattr(self, snake(name)))
        groups = [{"logGroupName": name} for name in self.log_groups]
        answers["logs.DescribeLogGroups"] = {"logGroups": groups}
        return answers

    def describe_stacks(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = request["StackName"].rpartition("/")[2]
        self.described.append(asked)
        if asked == "tabular":
            names = {} if self.older else {"Pipelines": ",".join(self.runs)}
            return {
                "Stacks": [
                    _stack(
                        "tabular",
                        names
                        | {
                            "DataBucket": "data",
                            "PipelineName": pipeline_name(MAIN),
                            MODE_OUTPUT: "dev",
                            **self.outputs,
                        },
                    )
                ]
            }
        name = next(name for name in self.runs if stack_title(name) == asked)
        made = pipeline_name(name)
        outputs = {"PipelineName": made} | ({"EndpointName": made} if name == MAIN else {})
        return {"Stacks": [_stack(asked, outputs)]}

    def list_stack_resources(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = request["StackName"].rpartition("/")[2]
        if asked != "tabular":
            return {"StackResourceSummaries": [_resource("Pipeline", "Custom::Pipeline", "p")]}
        titles = [stack_title(name) for name in self.runs]
        return {"StackResourceSummaries": [_resource(one, NESTED, _id(one)) for one in titles]}

    def list_pipeline_executions(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = next(one for one in self.runs if pipeline_name(one) == request["PipelineName"])
        newest = [self._run(name, run) for run in reversed(self.runs[name])]
        return {"PipelineExecutionSummaries": newest[: request.get("MaxResults", 100)]}

    def describe_pipeline(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"PipelineDefinition": json.dumps(build(example.environment()))}

    def start_pipeline_execution(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.started.append(dict(request))
        return {"PipelineExecutionArn": _arn(request["PipelineName"], "new0")}

    def stop_pipeline_execution(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.stopped.append(request["PipelineExecutionArn"])
        return {"PipelineExecutionArn": request["PipelineExecutionArn"]}

    def describe_pipeline_execution(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        _, made, _, run = request["PipelineExecutionArn"].split("/")
        name = next(one for one in self.runs if pipeline_name(one) == made)
        found = {key: one for key, one in self._run(name, run).items() if key != "StartTime"}
        return found | {"CreationTime": BEGAN, "LastModifiedTime": BEGAN}

    def list_pipeline_execution_steps(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"PipelineExecutionSteps": []}

    def describe_endpoint(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        made = request["EndpointName"]
        name = next(one for one in self.runs if pipeline_name(one) == made)
        if name not in self.endpoints or made in self.deleted:
            return NO_SUCH
        return {
            "EndpointName": made,
            "EndpointArn": f"arn:aws:sagemaker:{_PLACE}:endpoint/{made}",
            "EndpointStatus": self.endpoints[name],
            "CreationTime": BEGAN,
            "LastModifiedTime": BEGAN,
        }

    def list_tags(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        made = request["ResourceArn"].rpartition("/")[2]
        name = next(one for one in self.runs if pipeline_name(one) == made)
        owner = _id(stack_title(name)) if name == MAIN else f"{pipeline_name(MAIN)}/{name}"
        return {"Tags": [{"Key": "pipeline-owner", "Value": owner}]}

    def delete_endpoint(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.deleted.append(request["EndpointName"])
        return {}

    def _run(self, name: str, run: str) -> dict[str, Any]:
        newest = run == self.runs[name][-1]
        return {
            "PipelineExecutionArn": _arn(pipeline_name(name), run),
            "PipelineExecutionStatus": "Executing" if self.running and newest else "Succeeded",
            "StartTime": BEGAN + timedelta(minutes=int(run[-1], 36)),
        }


def from_json(answer: Any) -> Answer:
    """Return an answer that gets the request as an object."""
    return lambda body: answer(json.loads(body))  # type: ignore[arg-type]


def snake(name: str) -> str:
    """Return an operation's name as that of a method."""
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")


def _id(name: str) -> str:
    return f"arn:aws:cloudformation:{_PLACE}:stack/{name}"


def _arn(made: str, run: str) -> str:
    return f"arn:aws:sagemaker:{_PLACE}:pipeline/{made}/execution/{run}"


def _stack(name: str, outputs: Mapping[str, str]) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": _id(name),
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": BEGAN,
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
    }


def _resource(logical_id: str, kind: str, physical_id: str) -> dict[str, Any]:
    return {
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": physical_id,
        "ResourceType": kind,
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": BEGAN,
    }
