"""SageMaker in memory: pipelines, their runs, and what runs make.

As in the service, names in ARNs are in lower case, older operations answer `ValidationException`
for what is absent, an endpoint that changes cannot be deleted, and deletions take their time.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.wire import ApiError, Backend, Fields
from tests.functions.recorder import arn

PAGE = 2
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_RUNNING = ("Executing", "Stopping")
_CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@dataclass
class Run:
    """An execution of a pipeline, with what its steps made (name of metadata, ARN)."""

    arn: str
    pipeline: str
    status: str
    made: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Resource:
    """An endpoint, a configuration or a model: what describes it besides name and ARN."""

    name: str
    arn: str
    fields: Fields


class FakeSageMaker(Backend):
    """The operations of the pipeline manager, and what users and runs do besides."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.endpoint_seconds, self.stop_seconds = 120.0, 90.0
        self.pipelines: dict[str, Fields] = {}
        self.runs: list[Run] = []
        self.resources: dict[str, dict[str, Resource]] = {
            "Endpoint": {},
            "EndpointConfig": {},
            "Model": {},
        }
        self.packages: dict[str, Fields] = {}
        self.groups: set[str] = set()
        self.tags: dict[str, dict[str, str]] = {}
        self._ids = itertools.count(1)
        self._tokens: dict[str, str] = {}

    # What users and runs do

    def make(self, kind: str, name: str, tags: Mapping[str, str], **fields: object) -> Resource:
        """Make an endpoint (`EndpointConfigName`), a configuration (`models`) or a model."""
        path = {"Endpoint": "endpoint", "EndpointConfig": "endpoint-config", "Model": "model"}
        made = Resource(name, arn("sagemaker", f"{path[kind]}/{name.lower()}"), dict(fields))
        self.resources[kind][name] = made
        self.tags[made.arn] = dict(tags)
        return made

    def register(self, group: str, metadata: Mapping[str, str]) -> str:
        """Register a model package; return its ARN."""
        self.groups.add(group)
        version = 1 + sum(one["ModelPackageGroupName"] == group for one in self.packages.values())
        package = arn("sagemaker", f"model-package/{group.lower()}/{version}")
        self.packages[package] = {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": version,
            "CustomerMetadataProperties": dict(metadata),
        }
        return package

    def run(self, pipeline: str, status: str, *made: tuple[str, str]) -> Run:
        """Record an execution and what its steps made."""
        identity = f"{pipeline.lower()}/execution/run{next(self._ids)}"
        run = Run(arn("sagemaker", f"pipeline/{identity}"), pipeline, status, list(made))
        self.runs.append(run)
        return run

    # Pipelines

    def _pipeline(self, name: str) -> Fields:
        if name not in self.pipelines:
            raise ApiError("ResourceNotFound", f"Pipeline '{name}' does not exist.")
        return self.pipelines[name]

    def create_pipeline(self, p: Fields) -> Fields:
        name, token = p["PipelineName"], p["ClientRequestToken"]
        made = arn("sagemaker", f"pipeline/{name.lower()}")
        if self._tokens.get(token) == name:
            return {"PipelineArn": made}
        if name in self.pipelines:
            raise ApiError("ValidationException", f"Pipeline names must be unique: {name} exists")
        self._tokens[token] = name
        self.pipelines[name] = {
            "PipelineName": name,
            "PipelineArn": made,
            "PipelineDefinition": p["PipelineDefinition"],
            "RoleArn": p["RoleArn"],
            "PipelineStatus": "Active",
        }
        self.tags[made] = {tag["Key"]: tag["Value"] for tag in p.get("Tags", [])}
        return {"PipelineArn": made}

    def describe_pipeline(self, p: Fields) -> Fields:
        return dict(self._pipeline(p["PipelineName"]))

    def update_pipeline(self, p: Fields) -> Fields:
        found = self._pipeline(p["PipelineName"])
        found.update(p)
        return {"PipelineArn": found["PipelineArn"]}

    def delete_pipeline(self, p: Fields) -> Fields:
        found = self._pipeline(p["PipelineName"])
        if any(
            run.status in _RUNNING for run in self.runs if run.pipeline == found["PipelineName"]
        ):
            raise ApiError("ConflictException", "the pipeline has executions that run")
        del self.pipelines[p["PipelineName"]]
        self.runs = [run for run in self.runs if run.pipeline != p["PipelineName"]]
        return {"PipelineArn": found["PipelineArn"]}

    # Executions

    def list_pipeline_executions(self, p: Fields) -> Fields:
        self._pipeline(p["PipelineName"])
        shown = [
            {"PipelineExecutionArn": run.arn, "PipelineExecutionStatus": run.status}
            for run in self.runs
            if run.pipeline == p["PipelineName"]
        ]
        return _page(p, "PipelineExecutionSummaries", shown)

    def _run(self, execution: str) -> Run:
        for run in self.runs:
            if run.arn == execution:
                return run
        raise ApiError("ResourceNotFound", f"Pipeline execution {execution} does not exist")

    def list_pipeline_execution_steps(self, p: Fields) -> Fields:
        run = self._run(p["PipelineExecutionArn"])
        steps = [
            {"StepName": kind, "StepStatus": "Succeeded", "Metadata": {kind: {"Arn": made}}}
            for kind, made in run.made
        ]
        steps += [{"StepName": "Failing", "StepStatus": "Failed"}]
        return _page(p, "PipelineExecutionSteps", steps)

    def stop_pipeline_execution(self, p: Fields) -> Fields:
        run = self._run(p["PipelineExecutionArn"])
        if run.status not in _RUNNING:
            raise ApiError("ConflictException", f"{run.arn} does not run")
        if run.status == "Executing":
            run.status = "Stopping"
            self.clock.after(self.stop_seconds, lambda: setattr(run, "status", "Stopped"))
        return {"PipelineExecutionArn": run.arn}

    # Endpoints, configurations, models

    def _resource(self, kind: str, name: str) -> Resource:
        found = [
            one for known, one in self.resources[kind].items() if known.lower() == name.lower()
        ]
        if not found:
            _absent(kind, name)
        return found[0]

    def list_endpoints(self, p: Fields) -> Fields:
        return self._listed(p, "Endpoint")

    def list_endpoint_configs(self, p: Fields) -> Fields:
        return self._listed(p, "EndpointConfig")

    def list_models(self, p: Fields) -> Fields:
        return self._listed(p, "Model")

    def _listed(self, p: Fields, kind: str) -> Fields:
        more = {"LastModifiedTime": _WHEN} if kind == "Endpoint" else {}
        shown = [
            {
                f"{kind}Name": one.name,
                f"{kind}Arn": one.arn,
                "CreationTime": _WHEN,
                **more,
                **({"EndpointStatus": one.fields["status"]} if kind == "Endpoint" else {}),
            }
            for one in self.resources[kind].values()
            if p["NameContains"] in one.name
        ]
        return _page(p, f"{kind}s", shown)

    def describe_endpoint(self, p: Fields) -> Fields:
        found = self._resource("Endpoint", p["EndpointName"])
        return {
            "EndpointName": found.name,
            "EndpointArn": found.arn,
            "EndpointConfigName": found.fields["config"],
            "EndpointStatus": found.fields["status"],
            "CreationTime": _WHEN,
            "LastModifiedTime": _WHEN,
        }

    def describe_endpoint_config(self, p: Fields) -> Fields:
        found = self._resource("EndpointConfig", p["EndpointConfigName"])
        return {
            "EndpointConfigName": found.name,
            "EndpointConfigArn": found.arn,
            "CreationTime": _WHEN,
            "ProductionVariants": [
                {"VariantName": model, "ModelName": model}
                for model in found.fields.get("models") or ["unknown-model"]
            ],
        }

    def delete_endpoint(self, p: Fields) -> None:
        found = self._resource("Endpoint", p["EndpointName"])
        if found.fields["status"] in _CHANGING:
            raise ApiError("ValidationException", f"Cannot update in-progress endpoint {found.arn}")
        found.fields["status"] = "Deleting"
        self.clock.after(
            self.endpoint_seconds, lambda: self.resources["Endpoint"].pop(found.name, None)
        )

    def delete_endpoint_config(self, p: Fields) -> None:
        found = self._resource("EndpointConfig", p["EndpointConfigName"])
        for endpoint in self.resources["Endpoint"].values():
            assert endpoint.fields["config"] != found.name, f"{endpoint.name} uses {found.name}"
        del self.resources["EndpointConfig"][found.name]

    def delete_model(self, p: Fields) -> None:
        del self.resources["Model"][self._resource("Model", p["ModelName"]).name]

    # The registry

    def list_model_packages(self, p: Fields) -> Fields:
        if p["ModelPackageGroupName"] not in self.groups:
            _absent("ModelPackageGroup", p["ModelPackageGroupName"])
        shown = [
            {
                "ModelPackageArn": package,
                "CreationTime": _WHEN,
                "ModelPackageStatus": "Completed",
            }
            for package, fields in self.packages.items()
            if fields["ModelPackageGroupName"] == p["ModelPackageGroupName"]
        ]
        return _page(p, "ModelPackageSummaryList", shown)

    def describe_model_package(self, p: Fields) -> Fields:
        package = p["ModelPackageName"]
        if package not in self.packages:
            _absent("ModelPackage", package)
        return {
            **self.packages[package],
            "ModelPackageName": package.split("/")[1],
            "ModelPackageArn": package,
            "CreationTime": _WHEN,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
        }

    def delete_model_package(self, p: Fields) -> None:
        if p["ModelPackageName"] not in self.packages:
            _absent("ModelPackage", p["ModelPackageName"])
        del self.packages[p["ModelPackageName"]]

    # Tags

    def list_tags(self, p: Fields) -> Fields:
        known = {one.arn for kind in self.resources.values() for one in kind.values()}
        known |= {one["PipelineArn"] for one in self.pipelines.values()}
        if p["ResourceArn"] not in known:
            _absent("Resource", p["ResourceArn"])
        tags = self.tags.get(p["ResourceArn"], {})
        return _page(p, "Tags", [{"Key": key, "Value": value} for key, value in tags.items()])


def _absent(kind: str, name: str) -> NoReturn:
    raise ApiError("ValidationException", f'Could not find {kind} "{name}".')


def _page(p: Fields, key: str, items: list[Fields]) -> Fields:
    start = int(p.get("NextToken", 0))
    more = {"NextToken": str(start + PAGE)} if start + PAGE < len(items) else {}
    return {key: items[start : start + PAGE], **more}
