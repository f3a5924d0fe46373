"""Updates and failures of stacks: what they reach, what they leave alone, how they roll back."""

from __future__ import annotations

import pytest

from tests.cloud.account import CSV, Account, without_action


@pytest.mark.usefixtures("nothing_is_left")
def test_an_update_reaches_the_pipeline_and_never_the_serving_endpoint(
    account: Account, name: str
) -> None:
    packaged = account.package()
    account.deploy(packaged, name)
    outputs = account.outputs(name)
    account.run_pipeline(outputs["PipelineName"])
    running = account.run_pipeline(outputs["PipelineName"], PipelineExecutionDisplayName="hold")
    serving = account.endpoint_of(outputs)

    account.deploy(packaged, name, EndpointInstanceType="ml.c6i.large", Rows="700")

    described = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    assert "ml.c6i.large" in described["PipelineDefinition"]
    assert account.endpoint_of(outputs) == serving
    found = account.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=running)
    assert found["PipelineExecutionStatus"] == "Executing"
    table = account.read(outputs["DataBucket"], "raw/data.csv")
    assert table.count(b"\n") == 701
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_users_file_is_never_overwritten(account: Account, name: str) -> None:
    packaged = account.package()
    account.deploy(packaged, name)
    bucket = account.outputs(name)["DataBucket"]
    account.put(bucket, "raw/data.csv", CSV)

    account.deploy(packaged, name, Rows="900", Seed="3")

    assert account.read(bucket, "raw/data.csv") == CSV
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_failing_update_rolls_back_to_a_stack_that_works(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    account.run_pipeline(outputs["PipelineName"])
    serving = account.endpoint_of(outputs)
    before = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    broken = account.package(
        change=without_action("pipeline", "PipelineManagerPolicy", "sagemaker:UpdatePipeline")
    )

    status = account.deploy(broken, name, check=False, EndpointInstanceType="ml.c6i.large")

    assert status != 0
    assert "sagemaker:UpdatePipeline" in account.failures(name)
    assert account.stack(name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    after = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    assert after["PipelineDefinition"] == before["PipelineDefinition"]
    assert account.endpoint_of(outputs) == serving
    account.run_pipeline(outputs["PipelineName"])
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.parametrize(
    ("stack", "policy", "action"),
    [
        ("network", "VpcBaselinePolicy", "ec2:RevokeSecurityGroupEgress"),
        ("storage", "EmptyBucketPolicy", "s3:ListBucket"),
        ("pipeline", "SeedDataPolicy", "s3:PutObject"),
        ("pipeline", "PipelineManagerPolicy", "sagemaker:CreatePipeline"),
        ("pipeline", "PipelineManagerPolicy", "iam:PassRole"),
        ("pipeline", "PipelineManagerPolicy", "sagemaker:AddTags"),
        ("pipeline", "PipelineManagerPolicy", "s3:PutObject"),
    ],
)
@pytest.mark.usefixtures("nothing_is_left")
def test_a_deployment_fails_without_a_right_and_leaves_nothing(
    account: Account, name: str, stack: str, policy: str, action: str
) -> None:
    packaged = account.package(change=without_action(stack, policy, action))

    assert account.deploy(packaged, name, check=False) != 0

    reasons = account.failures(name)
    assert action in reasons or "403" in reasons or "Forbidden" in reasons
    assert account.stack(name)["StackStatus"] == "ROLLBACK_COMPLETE", reasons
    account.aws.run("cloudformation", "delete-stack", "--stack-name", name)
