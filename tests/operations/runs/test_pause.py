"""The commands pause only what they could resume, and say what a schedule will undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.shared.names import SERVED_TAG
from functions.shared.pausing import PAUSED_TAG
from generator.errors import CommandError
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.operations.runs.pause import pause, resume
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload
from tests.operations.canned import Answer, refusal, session
from tests.operations.several import from_json

NAME = "tabular-1"
PLACE = "arn:aws:sagemaker:eu-west-1:111122223333"
CONFIG = f"{PLACE}:endpoint-config/{NAME}-abc"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"


@dataclass
class Serving:
    """An endpoint, or none, as SageMaker's answers."""

    exists: bool = True
    config_tags: dict[str, str] = field(default_factory=lambda: {OWNER_TAG: "ours"})
    changes: list[str] = field(default_factory=list)

    def describe_endpoint(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        if not self.exists:
            return refusal("ValidationException", "Could not find it")
        return {
            "EndpointName": NAME,
            "EndpointArn": f"{PLACE}:endpoint/{NAME}",
            "EndpointConfigName": f"{NAME}-abc",
            "EndpointStatus": "InService",
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
        }

    def list_tags(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        tags = self.config_tags if request["ResourceArn"] == CONFIG else {OWNER_TAG: "ours"}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def changed(self, operation: str, exists: bool | None = None) -> Answer:
        def change(_request: Mapping[str, Any]) -> Mapping[str, Any]:
            self.changes.append(operation)
            self.exists = self.exists if exists is None else exists
            arn = {"EndpointArn": f"{PLACE}:endpoint/{NAME}"}
            return arn if operation == "CreateEndpoint" else {}

        return change

    @property
    def workload(self) -> Workload:
        config = {
            "EndpointConfigName": f"{NAME}-abc",
            "EndpointConfigArn": CONFIG,
            "CreationTime": NOW,
        }
        answers: dict[str, Answer] = {
            "DescribeEndpoint": self.describe_endpoint,
            "DescribeEndpointConfig": {
                **config,
                "ProductionVariants": [{"VariantName": "AllTraffic"}],
            },
            "ListTags": from_json(self.list_tags),
            "ListPipelineExecutions": {"PipelineExecutionSummaries": []},
            "ListEndpointConfigs": {"EndpointConfigs": [config]},
            "AddTags": self.changed("AddTags"),
            "DeleteTags": self.changed("DeleteTags"),
            "DeleteEndpoint": self.changed("DeleteEndpoint", exists=False),
            "CreateEndpoint": self.changed("CreateEndpoint", exists=True),
        }
        made = session({f"sagemaker.{name}": one for name, one in answers.items()})
        return Workload(Target(made, "tabular"), "main", NAME, NAME, "ours")


def test_who_pauses_is_told_when_the_schedule_resumes() -> None:
    serving = Serving()
    said = pause(replace(serving.workload, pauses=EVENING, resumes=MORNING))
    assert serving.changes == ["AddTags", "DeleteEndpoint"]
    assert said.splitlines()[1:] == [f"the schedule resumes it at {MORNING} (UTC)"]


def test_who_resumes_is_told_when_the_schedule_pauses() -> None:
    tags = {OWNER_TAG: "ours", PAUSED_TAG: "2026-01-01T00:00:00+00:00"}
    serving = Serving(exists=False, config_tags=tags)
    said = resume(replace(serving.workload, pauses=EVENING, resumes=MORNING))
    assert serving.changes == ["CreateEndpoint", "DeleteTags"]
    assert said.splitlines()[1:] == [f"the schedule pauses it at {EVENING} (UTC)"]


def test_without_a_schedule_nothing_is_said_of_one() -> None:
    assert "\n" not in pause(Serving().workload)


def test_a_configuration_that_resume_would_not_find_is_not_paused() -> None:
    serving = Serving(config_tags={})
    with pytest.raises(CommandError, match=f"{NAME}-abc .* was not created by this stack"):
        pause(serving.workload)
    assert serving.changes == []


@pytest.mark.parametrize("on_approval", [True, False])
def test_what_served_and_was_deleted_is_created_again_where_no_run_would(
    on_approval: bool,
) -> None:
    served = {OWNER_TAG: "ours", SERVED_TAG: "2026-01-01T00:00:00+00:00"}
    serving = Serving(exists=False, config_tags=served)
    workload = replace(serving.workload, on_approval=on_approval)
    if not on_approval:
        with pytest.raises(CommandError, match="was not paused"):
            resume(workload)
        return
    assert "serves tabular-1-abc again" in resume(workload)
    assert serving.changes == ["CreateEndpoint", "DeleteTags"]
