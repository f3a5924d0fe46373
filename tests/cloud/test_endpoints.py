"""Endpoints of deployed stacks that fail, roll back, or are asked for by two runs at once."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator

import pytest

from tabular_ml_vpc.cli import main
from tests.cloud.account import Account
from tests.emulated import hearing


def build_py(*arguments: str) -> tuple[int, str]:
    """Run a command of `build.py`; return how it ended and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main([*arguments])
    return status, said.getvalue()


@contextlib.contextmanager
def listening(account: Account, topic: str) -> Iterator[Callable[[], str]]:
    """Give what a topic told since the last look."""
    sqs = account.client("sqs")

    def heard() -> str:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        messages = answer.get("Messages", [])
        for one in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return "".join(one["Body"] for one in messages)

    with hearing(account.session, topic) as queue:
        yield heard


@pytest.mark.usefixtures("nothing_is_left")
def test_a_failed_endpoint_is_told_repaired_and_made_by_the_next_run(
    account: Account, name: str
) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    pipeline, endpoint = outputs["PipelineName"], outputs["EndpointName"]
    sagemaker = account.client("sagemaker")
    with listening(account, outputs["AlertTopic"]) as heard:
        first = account.run_pipeline(pipeline, PipelineExecutionDisplayName="broken-first")
        alert = heard()
    assert "did not pass the ping health check" in account.status_of(first)
    assert f"The endpoint {endpoint} is FAILED" in alert
    assert "python build.py endpoint repair" in alert
    assert "SageMaker Endpoint State Change" in alert

    later = account.run_pipeline(pipeline)
    assert "Cannot update failed endpoint" in account.status_of(later)
    status, said = build_py("run", "--follow", "--stack-name", name)
    assert status == 1
    assert f"python build.py endpoint repair --region eu-west-1 --stack-name {name}" in said
    assert "endpoint repair" in build_py("status", "--stack-name", name)[1]

    status, said = build_py("endpoint", "repair", "--stack-name", name)
    assert (status, said) == (
        0,
        f"deleted the failed endpoint {endpoint}; the next run recreates it\n",
    )
    account.run_pipeline(pipeline)
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"
    assert "nothing to repair" in build_py("endpoint", "repair", "--stack-name", name)[1]
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_an_update_that_was_rolled_back_is_a_failure_and_told(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    account.run_pipeline(outputs["PipelineName"])
    serving = account.endpoint_of(outputs)
    with listening(account, outputs["AlertTopic"]) as heard:
        run = account.run_pipeline(outputs["PipelineName"], PipelineExecutionDisplayName="broken")
        alert = heard()
    assert account.status_of(run) == "Succeeded"
    assert "ROLLING_BACK" in alert

    status, said = build_py("run", "--follow", "--stack-name", name)

    assert status == 1
    assert f"serves {serving['EndpointConfigName']}, not this run's" in said
    assert "rolled back (The primary container did not pass" in said
    assert account.endpoint_of(outputs)["EndpointConfigName"] == serving["EndpointConfigName"]
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_runs_do_not_overlap(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    pipeline = account.outputs(name)["PipelineName"]
    held = account.run_pipeline(pipeline, PipelineExecutionDisplayName="hold")

    status, said = build_py("run", "--stack-name", name)

    assert status == 1
    identity = held.rpartition("/")[2]
    assert said.startswith(f"build.py: execution {identity} is in progress")
    other = account.run_pipeline(pipeline)  # started from elsewhere: nobody can refuse it
    assert account.status_of(other) == "Succeeded"
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.usefixtures("nothing_is_left")
def test_of_two_runs_that_deploy_at_once_the_first_serves_and_the_other_can_be_repeated(
    account: Account, name: str, update: bool
) -> None:
    """Started from the console, where nobody refuses it (docs/troubleshooting.md)."""
    account.deploy(account.package(), name)
    outputs, sagemaker = account.outputs(name), account.client("sagemaker")
    pipeline = outputs["PipelineName"]
    if update:
        account.run_pipeline(pipeline)
    first = account.run_pipeline(pipeline, PipelineExecutionDisplayName="slow")
    deploying = sagemaker.describe_endpoint(EndpointName=outputs["EndpointName"])
    served = deploying["PendingDeploymentSummary"]["EndpointConfigName"]

    other = account.run_pipeline(pipeline)

    assert account.status_of(first) == "Executing"
    assert "Cannot update in-progress endpoint" in account.status_of(other)
    while account.status_of(first) == "Executing":
        time.sleep(0.2)
    assert account.status_of(first) == "Succeeded"
    assert account.endpoint_of(outputs)["EndpointConfigName"] == served
    assert account.status_of(account.run_pipeline(pipeline)) == "Succeeded"
    assert account.endpoint_of(outputs)["EndpointConfigName"] != served
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)
