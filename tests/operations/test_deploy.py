"""Deploying into the emulated AWS: what is made, what is asked, how a failure is told."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from generator.files import REPOSITORY
from generator.settings import Mode
from tabular_ml_vpc.cli.console import console
from tabular_ml_vpc.cli.deployment_view import DeploymentView
from tabular_ml_vpc.operations import source, stacks
from tabular_ml_vpc.operations.artifacts import ArtifactBucket
from tabular_ml_vpc.operations.deployment import Deployment, DeploymentOptions
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run
from tests.operations.conftest import Account, changed

SMALL = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}


def deploy(target: Target, built: Source, yes: bool = True) -> None:
    """Deploy as the command does, but what is given."""
    view = DeploymentView(console(), yes)
    finished = view.follow(Deployment(target, DeploymentOptions(), built))
    view.require_success(finished, target)


@pytest.fixture
def stranger(aws: Session) -> Iterator[str]:
    """Give the name of a stack that was not made from our templates."""
    client = aws.client("cloudformation")
    client.create_stack(StackName="tabular-stranger", TemplateBody=json.dumps(SMALL))
    client.get_waiter("stack_create_complete").wait(
        StackName="tabular-stranger", WaiterConfig={"Delay": 1}
    )
    yield "tabular-stranger"
    client.delete_stack(StackName="tabular-stranger")


@pytest.mark.usefixtures("deployed")
def test_what_was_deployed_is_up_to_date_and_nothing_is_uploaded_again(run: Run) -> None:
    done = run("deploy", "--stack-name", "tabular-life", "--yes", "--json")
    assert done.status == 0
    assert (done.json["changed"], done.json["uploaded"]["sent"]) == (False, 0)


def test_a_parameter_is_changed_and_kept_by_the_next_deployment(deployed: Target, run: Run) -> None:
    first = run("deploy", "--stack-name", "tabular-life", "--set", "Seed=7", "--yes")
    assert first.status == 0
    assert "SeedData  Custom::SeedData  Seed" in first.out
    assert run("deploy", "--stack-name", "tabular-life", "--yes", "--json").json["changed"] is False
    stack = stacks.need(deployed)
    assert stack.parameters["Seed"] == "7"


@pytest.mark.usefixtures("deployed")
def test_the_outputs_are_shown_for_people_and_for_scripts(run: Run) -> None:
    outputs = run("outputs", "--stack-name", "tabular-life", "--json").json
    assert outputs["DataBucket"].startswith("tabular-life-storagestack-")
    assert (
        run("outputs", "DataBucket", "--stack-name", "tabular-life").out.strip()
        == outputs["DataBucket"]
    )
    unknown = run("outputs", "Databucket", "--stack-name", "tabular-life")
    assert (unknown.status, unknown.err.count("\n")) == (2, 1)
    assert "DataBucket" in unknown.err


@pytest.mark.parametrize(
    ("metric", "threshold", "said"),
    [
        ("auto", "1.1", "got '1.1': must be a number, at most 1"),
        (
            "neg_log_loss",
            "0.5",
            "got 0.5: must be at most 0, because losses and errors are negated",
        ),
    ],
)
def test_a_gate_that_no_model_passes_is_refused(
    deployed: Target, run: Run, metric: str, threshold: str, said: str
) -> None:
    pairs = (f"QualityMetric={metric}", f"QualityThreshold={threshold}")
    done = run("deploy", "--stack-name", deployed.stack, "--set", pairs[0], "--set", pairs[1])
    assert done.status == 2
    assert f"build.py: --set QualityThreshold: {said}" in done.err


def test_the_mode_is_an_output_or_else_in_the_templates(deployed: Target, run: Run) -> None:
    assert run("status", "--stack-name", deployed.stack, "--json").json["mode"] == "dev"
    assert (
        "mode      dev: everything is deleted" in run("status", "--stack-name", deployed.stack).out
    )
    node = stacks.tree(deployed, stacks.need(deployed))
    assert node.stack.outputs["Mode"] == "dev"
    before = replace(node, stack=replace(node.stack, outputs={}))
    assert stacks.mode_of(deployed, before) == "dev"


@pytest.fixture
def expiring(deployed: Target, run: Run, tmp_path: Path) -> Iterator[None]:
    """Deploy a setting to the shared stack, and take it back."""
    file = tmp_path / "mine.toml"
    file.write_text("[storage]\naccess_log_days = 30\n", encoding="utf-8")
    deploy = ("deploy", "--stack-name", deployed.stack, "--yes")
    assert run(*deploy, "--config", str(file)).status == 0
    yield
    assert run(*deploy).status == 0


@pytest.mark.usefixtures("expiring")
def test_a_setting_of_the_last_deployment_is_not_dropped_without_a_yes(
    deployed: Target, run: Run
) -> None:
    lost = {"name": "storage.access_log_days", "value": 30, "default": 365}
    assert run("diff", "--stack-name", deployed.stack, "--json").json["dropped_settings"] == [lost]

    refused = run("deploy", "--stack-name", deployed.stack)

    assert refused.status == 2
    assert "--yes is required" in refused.err
    said = "1 setting of the last deployment is dropped: storage.access_log_days = 30 (now 365)"
    assert said in refused.err
    assert f"{said}; to keep" in refused.out


def test_the_artifact_bucket_is_closed(deployed: Target) -> None:
    s3, name = deployed.client("s3"), ArtifactBucket(deployed).name
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_rights_that_are_widened_need_a_yes(deployed: Target, built: Source) -> None:
    wider = changed(
        built,
        "- sagemaker:ListSpaces\n",
        "- sagemaker:ListSpaces\n          - s3:ListAllMyBuckets\n",
    )
    with pytest.raises(
        UsageError, match=r"2 changes allow more or protect less \(identity rights 2\)"
    ):
        deploy(deployed, wider, yes=False)
    sets = deployed.client("cloudformation").list_change_sets(StackName="tabular-life")["Summaries"]
    assert sets == []


@pytest.fixture
def bounded(deployed: Target, built: Source, run: Run) -> Iterator[Target]:
    """Give the stack with a permissions boundary on every role; take it back afterward.

    The templates have it and the settings do not, or a question about settings would come first.
    """
    iam = deployed.client("iam")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    arn = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    role = "Type: AWS::IAM::Role\n    Properties:\n"
    deploy(deployed, changed(built, role, f"{role}      PermissionsBoundary: {arn}\n"))
    yield deployed
    assert run("deploy", "--stack-name", "tabular-life", "--yes").status == 0
    iam.delete_policy(PolicyArn=arn)


def test_a_deployment_that_nobody_answers_for_loosens_nothing(bounded: Target) -> None:
    before = stacks.need(bounded)
    command = (
        *(sys.executable, "build.py", "deploy", "--stack-name", "tabular-life"),
        *("--set", "DeleteSpaces=yes", "--set", "FunctionsInTheVpc=no"),
    )
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(command)} <&-"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    loosened = "permissions boundary 12, resource policy 1, network reach 4, setting 1"
    assert loosened in done.stderr
    assert "SecurityStack/PipelineRole" in done.stdout
    after = stacks.need(bounded)
    assert (after.updated, after.parameters) == (before.updated, before.parameters)
    assert (
        bounded.client("cloudformation").list_change_sets(StackName="tabular-life")["Summaries"]
        == []
    )


def test_a_replacement_needs_a_yes(deployed: Target, built: Source) -> None:
    moved = changed(built, "CidrBlock: 10.38.0.0/16", "CidrBlock: 10.39.0.0/16")
    with pytest.raises(
        UsageError, match=r"NetworkStack/Vpc.* and \d+ more will be replaced or removed"
    ):
        deploy(deployed, moved, yes=False)


def test_a_question_that_nobody_answers_ends_the_deployment(
    deployed: Target, built: Source
) -> None:
    moved = changed(built, "CidrBlock: 10.38.0.0/16", "CidrBlock: 10.39.0.0/16")
    with pytest.raises(CommandError, match="not confirmed: nothing was changed"):
        list(Deployment(deployed, DeploymentOptions(), moved).events())
    sets = deployed.client("cloudformation").list_change_sets(StackName="tabular-life")["Summaries"]
    assert sets == []


@pytest.fixture
def broken(deployed: Target, built: Source, run: Run) -> Iterator[tuple[Target, Source]]:
    """Give a target and templates whose pipeline manager lacks a right; remove what is left."""
    target = replace(deployed, stack="tabular-broken")
    yield target, changed(built, "- sagemaker:CreatePipeline\n", "- sagemaker:ListModels\n")
    assert run("destroy", "--stack-name", "tabular-broken", "--yes").status == 0


def test_a_failure_is_told_by_its_first_cause_and_mended_on_request(
    broken: tuple[Target, Source], run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    target, source = broken
    with pytest.raises(CommandError, match=r"tabular-broken was not deployed.*deploy --repair"):
        deploy(target, source)
    said = capsys.readouterr().out
    (cause,) = [line for line in said.splitlines() if line.startswith("First cause")]
    assert "PipelineStack/Pipeline (Custom::Pipeline)" in cause
    log = said.partition("The last lines of its function's log:")[2]
    assert "CreatePipeline" in cause
    assert "AccessDeniedException" in log
    assert "Delete of Pipeline" not in log

    status = run("status", "--stack-name", "tabular-broken", "--json")
    assert status.status == 1
    assert status.json["problem"]["cause"].startswith("PipelineStack/Pipeline: ")

    refused = run("deploy", "--stack-name", "tabular-broken", "--yes")
    assert refused.status == 1
    assert "tabular-broken is in ROLLBACK_COMPLETE" in refused.err

    mended = run("deploy", "--stack-name", "tabular-broken", "--yes", "--repair")
    assert mended.status == 0
    assert stacks.need(target).status == "CREATE_COMPLETE"


def test_what_a_failed_first_deployment_left_is_listed_and_can_be_removed(
    deployed: Target, run: Run, account: Account
) -> None:
    """No document says what AWS keeps of nested stacks that were complete: here, all it may."""
    before = account()
    target = replace(deployed, stack="tabular-first")
    failing = changed(
        source.load(None, Mode.PROD), "- sagemaker:CreatePipeline\n", "- sagemaker:ListModels\n"
    )
    failed = DeploymentView(console(), yes=True).follow(
        Deployment(target, DeploymentOptions(), failing)
    )
    left = {item["place"]: item["physical_id"] for item in failed.as_json()["left"]}
    assert run("destroy", "--stack-name", "tabular-first", "--yes").status == 0

    for place, name in left.items():
        if place.endswith("Bucket"):
            empty(deployed, name)
        elif place.endswith("LogGroup"):
            deployed.client("logs").delete_log_group(logGroupName=name)
        else:
            deployed.client("kms").schedule_key_deletion(KeyId=name, PendingWindowInDays=7)
    assert {place.partition("/")[0] for place in left} >= {"SecurityStack", "StorageStack"}
    assert account() == before, "something was left that was not listed"


def empty(target: Target, bucket: str) -> None:
    s3 = target.client("s3")
    with contextlib.suppress(ClientError):
        s3.delete_bucket_policy(Bucket=bucket)
    versions = s3.list_object_versions(Bucket=bucket)
    for one in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]:
        s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket=bucket)


def test_a_rollback_that_failed_is_continued_on_request(deployed: Target, run: Run) -> None:
    sagemaker = deployed.client("sagemaker")
    name = stacks.need(deployed).outputs["PipelineName"]
    arn = sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"]
    (tag,) = [one for one in sagemaker.list_tags(ResourceArn=arn)["Tags"] if "owner" in one["Key"]]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=[tag["Key"]])
    failed = run(
        "deploy",
        "--stack-name",
        "tabular-life",
        "--yes",
        "--set",
        "TrainingInstanceType=ml.m5.xlarge",
    )
    assert failed.status == 1
    assert "The existing pipeline" in failed.out
    assert stacks.need(deployed).status == "UPDATE_ROLLBACK_FAILED"
    sagemaker.add_tags(ResourceArn=arn, Tags=[tag])

    mended = run("deploy", "--stack-name", "tabular-life", "--yes", "--repair")
    assert mended.status == 0
    assert stacks.need(deployed).parameters["TrainingInstanceType"] == "ml.m5.large"


def test_a_stack_of_somebody_else_is_left_alone(stranger: str, run: Run) -> None:
    for command in ("deploy", "destroy"):
        done = run(command, "--stack-name", stranger, "--yes")
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert "was not created from these templates" in done.err


def test_a_nested_stack_is_not_taken_for_a_root(deployed: Target, run: Run) -> None:
    nested = stacks.tree(deployed, stacks.need(deployed)).children[0].stack.name
    for command in ("deploy", "destroy"):
        done = run(command, "--stack-name", nested, "--yes")
        assert done.status == 2
        assert "is nested in tabular-life" in done.err


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "Rows=5"), "--set Rows: got '5': must be a whole number from 100 to"),
        (("--set", "Row=500"), "--set Row: unknown parameter; did you mean Rows?"),
        (("--set", "Rows"), "--set: got 'Rows': must have the form NAME=VALUE"),
        (("--set", "HomeFileSystem=maybe"), "must be yes or no"),
        (("--parameters", "nowhere.json"), "--parameters: nowhere.json cannot be read"),
        (("--profile", "nobody"), "--profile: unknown profile 'nobody'"),
        (("--region", "ap-south-2"), "--region: got 'ap-south-2': AWS has no AutoGluon image"),
        (
            ("--bucket", "not-there-1"),
            "--bucket: cannot use 'not-there-1': the bucket does not exist",
        ),
    ],
)
def test_wrong_use_is_one_line_that_names_the_option(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = run("deploy", "--stack-name", "tabular-never", "--yes", *arguments)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert said in done.err


@pytest.mark.usefixtures("aws")
def test_parameters_are_read_as_the_aws_cli_writes_them_and_as_an_object(
    run: Run, tmp_path: Path
) -> None:
    for number, content in enumerate(
        (
            [{"ParameterKey": "Rows", "ParameterValue": "7"}],
            {"Rows": 7},
            {"Parameters": {"Rows": 7}},
        )
    ):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(content))
        done = run("deploy", "--stack-name", "tabular-never", "--yes", "--parameters", str(file))
        assert done.status == 2
        assert f"{file}: Rows: got '7'" in done.err


@pytest.mark.usefixtures("aws")
def test_a_stack_that_is_not_there_is_told_in_one_line(run: Run) -> None:
    for command in ("status", "outputs", "drift", "logs"):
        done = run(command, "--stack-name", "tabular-never")
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert "the stack tabular-never does not exist in eu-west-1" in done.err
