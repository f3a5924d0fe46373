"""SageMaker as `watch_model` sees it: executions that it starts, and the version that serves.

A repeated token starts nothing, and answers with the first execution, as the service does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.sagemaker import _WHEN, FakeSageMaker, Run, _page
from tests.functions.fakes.wire import ApiError, Fields


@dataclass
class Started:
    """What an execution was started with, besides what `Run` holds."""

    when: datetime
    name: str
    description: str
    parameters: dict[str, str]


class FakeExecutions(FakeSageMaker):
    """The operations of `watch_model` on SageMaker."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.started: dict[str, Started] = {}
        self.starts: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        return _WHEN + timedelta(seconds=self.clock.now)

    def begin(self, pipeline: str, name: str = "", **parameters: str) -> Run:
        """Start an execution, as a person does."""
        run = self.run(pipeline, "Executing")
        self.started[run.arn] = Started(self.now, name, "", parameters)
        return run

    def of(self, pipeline: str) -> list[Run]:
        """Return a pipeline's executions, oldest first."""
        return [run for run in self.runs if run.pipeline == pipeline]

    def list_pipeline_executions(self, p: Fields) -> Fields:
        self._pipeline(p["PipelineName"])
        assert (p["SortBy"], p["SortOrder"]) == ("CreationTime", "Descending")
        shown = [self._summary(run) for run in reversed(self.of(p["PipelineName"]))]
        return _page(p, "PipelineExecutionSummaries", shown)

    def _summary(self, run: Run) -> Fields:
        started = self.started[run.arn]
        more = {
            "PipelineExecutionDisplayName": started.name,
            "PipelineExecutionDescription": started.description,
        }
        return {
            "PipelineExecutionArn": run.arn,
            "PipelineExecutionStatus": run.status,
            "StartTime": started.when,
            **{name: value for name, value in more.items() if value},
        }

    def start_pipeline_execution(self, p: Fields) -> Fields:
        pipeline, token = self._pipeline(p["PipelineName"])["PipelineName"], p["ClientRequestToken"]
        if token not in self.starts:
            given = {one["Name"]: one["Value"] for one in p.get("PipelineParameters", [])}
            run = self.begin(pipeline, p["PipelineExecutionDisplayName"], **given)
            self.started[run.arn].description = p["PipelineExecutionDescription"]
            self.starts[token] = run.arn
        return {"PipelineExecutionArn": self.starts[token]}

    def update_pipeline_execution(self, p: Fields) -> Fields:
        if p["PipelineExecutionArn"] not in self.started:
            raise ApiError("ResourceNotFound", "Pipeline execution does not exist")
        self.started[p["PipelineExecutionArn"]].description = p["PipelineExecutionDescription"]
        return {"PipelineExecutionArn": p["PipelineExecutionArn"]}

    def describe_model(self, p: Fields) -> Fields:
        found = self._resource("Model", p["ModelName"])
        return {
            "ModelName": found.name,
            "ModelArn": found.arn,
            "CreationTime": _WHEN,
            "PrimaryContainer": {"ModelPackageName": found.fields["package"]},
        }

    def describe_endpoint_config(self, p: Fields) -> Fields:
        found = super().describe_endpoint_config(p)
        found["ProductionVariants"][0]["VariantName"] = "AllTraffic"
        return found
