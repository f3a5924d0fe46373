"""What commands take each pipeline for, if pipelines are deployed and paused differently."""

from __future__ import annotations

import json

import pytest

from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tabular_ml_vpc.operations.workload import Workload
from tests.operations.several import Several

EVENING, MORNING = "cron(0 18 ? * MON-FRI *)", "cron(0 7 ? * MON-FRI *)"
PAUSED = {"EndpointPauses": EVENING, "EndpointResumes": MORNING}
RUNS: dict[str, list[str]] = {"main": [], "churn": [], "fraud-2": []}


def workloads(outputs: dict[str, str]) -> dict[str, tuple[bool, str, str]]:
    """Return what is known of each pipeline of a stack with these outputs."""
    target = Target(Several(runs=RUNS, outputs=outputs).session(), "tabular")
    root = stacks.find(target, "tabular")
    assert root is not None
    found = Workload.chosen(target, root, None)
    return {one.name: (one.on_approval, one.pauses, one.resumes) for one in found}


@pytest.mark.parametrize("outputs", [{}, PAUSED, {"DeploymentMode": "on-approval"} | PAUSED])
def test_pipelines_without_an_output_of_their_own_are_as_main_is(outputs: dict[str, str]) -> None:
    on_approval = "DeploymentMode" in outputs
    times = (outputs.get("EndpointPauses", ""), outputs.get("EndpointResumes", ""))
    assert workloads(outputs) == dict.fromkeys(RUNS, (on_approval, *times))


def test_each_pipeline_is_what_its_own_output_says() -> None:
    outputs = {
        "DeploymentMode": "on-approval",
        "PipelineChoicesChurn": json.dumps(PAUSED),
        "PipelineChoicesFraud2": "{}",
    }
    assert workloads(outputs) == {
        "main": (True, "", ""),
        "churn": (False, EVENING, MORNING),
        "fraud-2": (False, "", ""),
    }
