"""Updates, switches and deletions of deployed stacks: what survives, and that nothing is left."""

from __future__ import annotations

import contextlib
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from generator.files import REPOSITORY
from generator.settings import Mode
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import Account, Templates, without_action

CSV = b"age,label\n31,yes\n47,no\n"


@pytest.fixture
def name() -> str:
    """Give a stack's name that no other test uses."""
    return f"s{uuid.uuid4().hex[:8]}"


@pytest.fixture
def nothing_is_left(account: Account) -> Iterator[None]:
    """Compare what the account holds before and after the test."""
    before = inventory(account.session)
    yield
    assert inventory(account.session) == before


def put(account: Account, bucket: str, key: str, body: bytes = b"x") -> None:
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


def read(account: Account, bucket: str, key: str) -> bytes:
    return bytes(account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def import_leftovers(account: Account, stack: str, left: dict[str, str]) -> None:
    """Import what a prod stack left into a stack, as docs/commands/destroy.md says."""
    kinds = {"Key": ("AWS::KMS::Key", "KeyId")}
    requests = []
    for title, value in left.items():
        kind, identifier = kinds.get(title, ("AWS::S3::Bucket", "BucketName"))
        requests.append(
            {
                "ResourceType": kind,
                "LogicalResourceId": title,
                "ResourceIdentifier": {identifier: value},
            }
        )
    change_set = ("--stack-name", stack, "--change-set-name", "import")
    account.aws.run(
        *("cloudformation", "create-change-set", *change_set, "--change-set-type", "IMPORT"),
        *("--template-body", f"file://{REPOSITORY / 'docs/leftovers.yaml'}"),
        *("--resources-to-import", json.dumps(requests)),
    )
    account.aws.run("cloudformation", "wait", "change-set-create-complete", *change_set)
    account.aws.run("cloudformation", "execute-change-set", *change_set)
    account.aws.run("cloudformation", "wait", "stack-import-complete", "--stack-name", stack)
    assert {title: account.resource(stack, title) for title in left} == left


def endpoint_of(account: Account, outputs: dict[str, str]) -> dict[str, Any]:
    found = account.client("sagemaker").describe_endpoint(EndpointName=outputs["EndpointName"])
    return {key: found[key] for key in ("EndpointConfigName", "CreationTime", "LastModifiedTime")}


@pytest.mark.parametrize("inside", ["yes", "no"])
@pytest.mark.usefixtures("nothing_is_left")
def test_deletion_leaves_nothing_of_the_stack_and_its_runs(
    account: Account, name: str, inside: str
) -> None:
    account.deploy(account.package(), name, FunctionsInTheVpc=inside)
    outputs = account.outputs(name)
    bucket, sagemaker = outputs["DataBucket"], account.client("sagemaker")
    account.run_pipeline(outputs["PipelineName"])
    running = account.run_pipeline(
        outputs["PipelineName"], PipelineExecutionDisplayName="hold-this-one"
    )
    put(account, bucket, "raw/data.csv", CSV)
    put(account, bucket, "raw/mine.csv")
    put(account, bucket, "raw/mine.csv")
    account.client("s3").delete_object(Bucket=bucket, Key="raw/mine.csv")
    account.client("s3").create_multipart_upload(Bucket=bucket, Key="raw/large.csv")
    put(account, outputs["LogBucket"], "data/access-log")
    assert sagemaker.list_endpoints()["Endpoints"]
    assert sagemaker.list_models()["Models"]
    assert sagemaker.list_model_packages(ModelPackageGroupName=outputs["PipelineName"])[
        "ModelPackageSummaryList"
    ]

    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)

    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=running)
    assert found["PipelineExecutionStatus"] == "Stopped"


@pytest.mark.usefixtures("nothing_is_left")
def test_one_of_two_copies_goes_and_the_other_stays_whole(account: Account, name: str) -> None:
    first, second = f"{name}-1", f"{name}-2"
    packaged = account.package()
    for stack in (first, second):
        account.deploy(packaged, stack)
    kept = account.outputs(second)
    account.run_pipeline(account.outputs(first)["PipelineName"])
    account.run_pipeline(kept["PipelineName"])
    serving = endpoint_of(account, kept)
    put(account, kept["DataBucket"], "raw/mine.csv", CSV)

    assert account.delete(first) == "DELETE_COMPLETE", account.failures(first)

    assert account.stack(second)["StackStatus"] == "CREATE_COMPLETE"
    assert endpoint_of(account, kept) == serving
    assert read(account, kept["DataBucket"], "raw/mine.csv") == CSV
    account.run_pipeline(kept["PipelineName"])
    assert account.delete(second) == "DELETE_COMPLETE", account.failures(second)


@pytest.mark.usefixtures("nothing_is_left")
def test_an_update_reaches_the_pipeline_and_never_the_serving_endpoint(
    account: Account, name: str
) -> None:
    packaged = account.package()
    account.deploy(packaged, name)
    outputs = account.outputs(name)
    account.run_pipeline(outputs["PipelineName"])
    running = account.run_pipeline(outputs["PipelineName"], PipelineExecutionDisplayName="hold")
    serving = endpoint_of(account, outputs)

    account.deploy(packaged, name, EndpointInstanceType="ml.c6i.large", Rows="700")

    described = account.client("sagemaker").describe_pipeline(PipelineName=outputs["PipelineName"])
    assert "ml.c6i.large" in described["PipelineDefinition"]
    assert endpoint_of(account, outputs) == serving
    found = account.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=running)
    assert found["PipelineExecutionStatus"] == "Executing"
    table = read(account, outputs["DataBucket"], "raw/data.csv")
    assert table.count(b"\n") == 701
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


def status_of(account: Account, execution: str) -> str:
    sagemaker = account.client("sagemaker")
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
    return f"{found['PipelineExecutionStatus']} {found.get('FailureReason', '')}".strip()


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
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue = sqs.create_queue(QueueName="alerts", Attributes={"Policy": policy})["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=found["QueueArn"])

    def heard() -> str:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        messages = answer.get("Messages", [])
        for one in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return "".join(one["Body"] for one in messages)

    yield heard
    sqs.delete_queue(QueueUrl=queue)


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
    assert "did not pass the ping health check" in status_of(account, first)
    assert f"The endpoint {endpoint} is FAILED" in alert
    assert "python build.py endpoint repair" in alert
    assert "SageMaker Endpoint State Change" in alert

    later = account.run_pipeline(pipeline)
    assert "Cannot update failed endpoint" in status_of(account, later)
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
    serving = endpoint_of(account, outputs)
    with listening(account, outputs["AlertTopic"]) as heard:
        run = account.run_pipeline(outputs["PipelineName"], PipelineExecutionDisplayName="broken")
        alert = heard()
    assert status_of(account, run) == "Succeeded"
    assert "ROLLING_BACK" in alert

    status, said = build_py("run", "--follow", "--stack-name", name)

    assert status == 1
    assert f"serves {serving['EndpointConfigName']}, not this run's" in said
    assert "rolled back (The primary container did not pass" in said
    assert endpoint_of(account, outputs)["EndpointConfigName"] == serving["EndpointConfigName"]
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
    assert status_of(account, other) == "Succeeded"
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.usefixtures("nothing_is_left")
def test_of_two_runs_that_deploy_at_once_the_first_serves_and_the_other_can_be_repeated(
    account: Account, name: str, update: bool
) -> None:
    """Started from the console, where nobody refuses it (docs/troubleshooting.md)."""
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    pipeline = outputs["PipelineName"]
    if update:
        account.run_pipeline(pipeline)
    first = account.run_pipeline(pipeline, PipelineExecutionDisplayName="slow")
    served = endpoint_of(account, outputs)["EndpointConfigName"]

    other = account.run_pipeline(pipeline)

    assert status_of(account, first) == "Executing"
    assert "Cannot update in-progress endpoint" in status_of(account, other)
    while status_of(account, first) == "Executing":
        time.sleep(0.2)
    assert status_of(account, first) == "Succeeded"
    assert endpoint_of(account, outputs)["EndpointConfigName"] == served
    assert status_of(account, account.run_pipeline(pipeline)) == "Succeeded"
    assert endpoint_of(account, outputs)["EndpointConfigName"] != served
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_users_file_is_never_overwritten(account: Account, name: str) -> None:
    packaged = account.package()
    account.deploy(packaged, name)
    bucket = account.outputs(name)["DataBucket"]
    put(account, bucket, "raw/data.csv", CSV)

    account.deploy(packaged, name, Rows="900", Seed="3")

    assert read(account, bucket, "raw/data.csv") == CSV
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_failing_update_rolls_back_to_a_stack_that_works(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    account.run_pipeline(outputs["PipelineName"])
    serving = endpoint_of(account, outputs)
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
    assert endpoint_of(account, outputs) == serving
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


def test_a_switch_from_dev_to_prod_keeps_every_object(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    bucket = outputs["DataBucket"]
    put(account, bucket, "raw/mine.csv", CSV)

    account.deploy(account.package(Mode.PROD), name)

    assert account.outputs(name) == outputs | {"Mode": "prod"}
    assert read(account, bucket, "raw/mine.csv") == CSV
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)
    assert read(account, bucket, "raw/mine.csv") == CSV
    assert read(account, bucket, "raw/data.csv")
    assert account.exists(outputs["LogBucket"])
    policy = account.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    assert "aws:SecureTransport" in policy
    for left in (bucket, outputs["LogBucket"]):
        account.empty(left)


def test_in_prod_data_key_and_logs_outlive_the_stack(account: Account, name: str) -> None:
    account.deploy(account.package(Mode.PROD), name)
    outputs = account.outputs(name)
    key = account.resource(account.nested(name, "security"), "Key")
    group = account.resource(account.nested(name, "network"), "FlowLogsLogGroup")
    put(account, outputs["DataBucket"], "raw/mine.csv", CSV)

    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)

    assert read(account, outputs["DataBucket"], "raw/mine.csv") == CSV
    state = account.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    assert state == "Enabled"
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [one["logGroupName"] for one in groups] == [group]
    assert not account.client("sagemaker").list_pipelines()["PipelineSummaries"]
    buckets = {name: outputs[name] for name in ("DataBucket", "LogBucket")}
    import_leftovers(account, f"{name}-kept", {**buckets, "Key": key})
    assert read(account, outputs["DataBucket"], "raw/mine.csv") == CSV
    assert account.delete(f"{name}-kept") == "DELETE_COMPLETE"  # which keeps them again
    assert read(account, outputs["DataBucket"], "raw/mine.csv") == CSV
    for bucket in buckets.values():
        account.empty(bucket)


@pytest.mark.usefixtures("nothing_is_left")
def test_replacing_or_removing_the_emptying_resource_keeps_every_object(
    account: Account, name: str
) -> None:
    account.deploy(account.package(), name)
    bucket = account.outputs(name)["DataBucket"]
    put(account, bucket, "raw/mine.csv", CSV)

    def renamed(templates: Templates) -> None:
        resources = templates["storage"]["Resources"]
        resources["EmptyTheDataBucket"] = resources.pop("EmptyDataBucket")
        resources["DataBucketPolicy"]["DependsOn"] = ["EmptyTheDataBucket"]

    def removed(templates: Templates) -> None:
        resources = templates["storage"]["Resources"]
        del resources["EmptyDataBucket"]
        del resources["DataBucketPolicy"]["DependsOn"]

    for change in (renamed, removed):
        account.deploy(account.package(change=change), name)
        assert read(account, bucket, "raw/mine.csv") == CSV
    account.deploy(account.package(), name)
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_a_pipeline_of_somebody_else_is_neither_taken_nor_deleted(
    account: Account, name: str
) -> None:
    def with_a_taken_name(templates: Templates) -> None:
        pipeline = templates["pipeline"]["Resources"]["Pipeline"]["Properties"]
        pipeline["PipelineName"] = name

        def rename(value: Any) -> Any:
            text = json.dumps(value).replace("pipeline/${Name}", f"pipeline/{name}")
            return json.loads(text)

        policy = templates["pipeline"]["Resources"]["PipelineManagerPolicy"]["Properties"]
        policy["PolicyDocument"] = rename(policy["PolicyDocument"])

    sagemaker = account.client("sagemaker")
    theirs = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": []})
    sagemaker.create_pipeline(
        PipelineName=name,
        PipelineDefinition=theirs,
        ClientRequestToken=uuid.uuid4().hex,
        RoleArn="arn:aws:iam::123456789012:role/theirs",
    )

    assert account.deploy(account.package(change=with_a_taken_name), name, check=False) != 0

    assert name in account.failures(name)
    assert sagemaker.describe_pipeline(PipelineName=name)["PipelineDefinition"] == theirs
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)
    sagemaker.delete_pipeline(PipelineName=name, ClientRequestToken=uuid.uuid4().hex)


@pytest.mark.usefixtures("nothing_is_left")
def test_spaces_of_people_stop_the_deletion_until_they_may_go(account: Account, name: str) -> None:
    packaged = account.package()
    account.deploy(packaged, name)
    outputs = account.outputs(name)
    sagemaker = account.client("sagemaker")
    sagemaker.create_space(
        DomainId=outputs["DomainId"],
        SpaceName="notebooks",
        OwnershipSettings={"OwnerUserProfileName": outputs["UserProfiles"]},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    sagemaker.create_app(
        DomainId=outputs["DomainId"],
        SpaceName="notebooks",
        AppType="JupyterLab",
        AppName="default",
    )

    assert account.delete(name) == "DELETE_FAILED"
    assert "notebooks" in account.failures(name)
    assert sagemaker.list_spaces(DomainIdEquals=outputs["DomainId"])["Spaces"]
    assert sagemaker.describe_pipeline(PipelineName=outputs["PipelineName"])

    sagemaker.delete_app(
        DomainId=outputs["DomainId"], SpaceName="notebooks", AppType="JupyterLab", AppName="default"
    )
    while any(app["Status"] != "Deleted" for app in sagemaker.list_apps()["Apps"]):
        time.sleep(0.1)
    sagemaker.delete_space(DomainId=outputs["DomainId"], SpaceName="notebooks")
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_spaces_go_with_the_stack_where_that_was_asked_for(account: Account, name: str) -> None:
    account.deploy(account.package(), name, DeleteSpaces="yes")
    outputs = account.outputs(name)
    account.client("sagemaker").create_space(
        DomainId=outputs["DomainId"],
        SpaceName="notebooks",
        OwnershipSettings={"OwnerUserProfileName": outputs["UserProfiles"]},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.usefixtures("nothing_is_left")
def test_the_console_deploys_the_packaged_template_from_its_url(
    account: Account, name: str
) -> None:
    packaged = account.package()
    put(account, account.artifacts, "root.yaml", packaged.read_bytes())
    client = account.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateURL=f"https://s3.eu-west-1.amazonaws.com/{account.artifacts}/root.yaml",
        Capabilities=["CAPABILITY_IAM"],
    )
    client.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert account.outputs(name)["PipelineName"].startswith("tabular-")
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"AvailabilityZone1": "eu-west-1a"}, "Availability Zones"),
        (
            {"AvailabilityZone1": "eu-west-1a", "AvailabilityZone2": "eu-west-1a"},
            "Availability Zones",
        ),
        ({"EndpointInstanceType": "ml.g5.xlarge"}, "EndpointInstanceType"),
        ({"Rows": "5"}, "Rows"),
        ({"AlertEmail": "nobody"}, "AlertEmail"),
        ({"AutoGluonImageTag": "latest"}, "AutoGluonImageTag"),
    ],
)
@pytest.mark.usefixtures("nothing_is_left")
def test_impossible_parameters_are_refused_before_anything_is_made(
    account: Account, name: str, parameters: dict[str, str], said: str
) -> None:
    done = account.aws.run(
        *("cloudformation", "deploy", "--template-file", str(account.package())),
        *("--stack-name", name, "--capabilities", "CAPABILITY_IAM", "--parameter-overrides"),
        *[f"{key}={value}" for key, value in parameters.items()],
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr
