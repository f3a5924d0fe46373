"""Deletions and switches of deployed stacks: what survives, and that nothing is left."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from generator.files import REPOSITORY
from generator.settings import Mode
from tests.cloud.account import CSV, Account, Templates


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
    account.put(bucket, "raw/data.csv", CSV)
    account.put(bucket, "raw/mine.csv")
    account.put(bucket, "raw/mine.csv")
    account.client("s3").delete_object(Bucket=bucket, Key="raw/mine.csv")
    account.client("s3").create_multipart_upload(Bucket=bucket, Key="raw/large.csv")
    account.put(outputs["LogBucket"], "data/access-log")
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
    serving = account.endpoint_of(kept)
    account.put(kept["DataBucket"], "raw/mine.csv", CSV)

    assert account.delete(first) == "DELETE_COMPLETE", account.failures(first)

    assert account.stack(second)["StackStatus"] == "CREATE_COMPLETE"
    assert account.endpoint_of(kept) == serving
    assert account.read(kept["DataBucket"], "raw/mine.csv") == CSV
    account.run_pipeline(kept["PipelineName"])
    assert account.delete(second) == "DELETE_COMPLETE", account.failures(second)


def test_a_switch_from_dev_to_prod_keeps_every_object(account: Account, name: str) -> None:
    account.deploy(account.package(), name)
    outputs = account.outputs(name)
    bucket = outputs["DataBucket"]
    account.put(bucket, "raw/mine.csv", CSV)

    account.deploy(account.package(Mode.PROD), name)

    assert account.outputs(name) == outputs | {"Mode": "prod"}
    assert account.read(bucket, "raw/mine.csv") == CSV
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)
    assert account.read(bucket, "raw/mine.csv") == CSV
    assert account.read(bucket, "raw/data.csv")
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
    account.put(outputs["DataBucket"], "raw/mine.csv", CSV)

    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)

    assert account.read(outputs["DataBucket"], "raw/mine.csv") == CSV
    state = account.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    assert state == "Enabled"
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert [one["logGroupName"] for one in groups] == [group]
    assert not account.client("sagemaker").list_pipelines()["PipelineSummaries"]
    buckets = {name: outputs[name] for name in ("DataBucket", "LogBucket")}
    import_leftovers(account, f"{name}-kept", {**buckets, "Key": key})
    assert account.read(outputs["DataBucket"], "raw/mine.csv") == CSV
    assert account.delete(f"{name}-kept") == "DELETE_COMPLETE"  # which keeps them again
    assert account.read(outputs["DataBucket"], "raw/mine.csv") == CSV
    for bucket in buckets.values():
        account.empty(bucket)


@pytest.mark.usefixtures("nothing_is_left")
def test_replacing_or_removing_the_emptying_resource_keeps_every_object(
    account: Account, name: str
) -> None:
    account.deploy(account.package(), name)
    bucket = account.outputs(name)["DataBucket"]
    account.put(bucket, "raw/mine.csv", CSV)

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
        assert account.read(bucket, "raw/mine.csv") == CSV
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
    account.put(account.artifacts, "root.yaml", packaged.read_bytes())
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
