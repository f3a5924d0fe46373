"""Destroying in the emulated AWS: what goes, what stays, what is asked, what is left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from tabular_ml_vpc.local.emulator.process import Emulator
from tabular_ml_vpc.operations import destruction, stacks
from tabular_ml_vpc.operations import inventory as remains
from tabular_ml_vpc.operations.artifacts import ArtifactBucket
from tabular_ml_vpc.operations.destruction import DeletionPlan, WaitingForInterfaces
from tabular_ml_vpc.operations.inventory import PlannedDeletion
from tabular_ml_vpc.operations.target import Target
from tests.emulated import AWSCLI_PYTHON, Done, Run
from tests.operations import canned
from tests.operations.conftest import Account
from tests.operations.terminal import Terminal


@dataclass(frozen=True)
class Made:
    """A stack of its own for one test, and what the account had before it."""

    target: Target
    before: Mapping[str, list[str]]

    @property
    def name(self) -> str:
        return self.target.stack


@pytest.fixture
def made(deployed: Target, account: Account, run: Run) -> Iterator[Made]:
    """Deploy a stack of its own; remove what the test leaves of it."""
    target, before = replace(deployed, stack="tabular-doomed"), account()
    assert run("deploy", "--stack-name", "tabular-doomed", "--yes").status == 0
    yield Made(target, before)
    if stacks.find(target) is not None:
        run("destroy", "--stack-name", "tabular-doomed", "--yes", "--delete-spaces")


def test_spaces_stop_it_until_they_may_go(
    made: Made, account: Account, aws: Session, run: Run
) -> None:
    sagemaker = aws.client("sagemaker")
    domain = stacks.need(made.target).outputs["DomainId"]
    sagemaker.create_space(DomainId=domain, SpaceName="thesis")
    sagemaker.create_app(
        DomainId=domain, SpaceName="thesis", AppType="JupyterLab", AppName="default"
    )
    # A person who was added by hand, with an app that keeps the profile and the domain.
    guest = {"DomainId": domain, "UserProfileName": "guest"}
    sagemaker.create_user_profile(**guest)
    sagemaker.create_app(**guest, AppType="JupyterServer", AppName="default")
    refused = run("destroy", "--stack-name", made.name, "--yes")
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "1 space with people's files (thesis)" in refused.err
    assert stacks.need(made.target).status == "CREATE_COMPLETE"

    done = run("destroy", "--stack-name", made.name, "--yes", "--delete-spaces")
    assert done.status == 0, done
    assert account() == made.before


def test_a_person_s_profile_is_removed_only_when_no_files_would_be_orphaned(
    made: Made, aws: Session, run: Run, tmp_path: Path
) -> None:
    settings = tmp_path / "people.toml"

    def deploy(*names: str) -> Done:
        settings.write_text(f"[studio]\nuser_profiles = {json.dumps(names)}\n")
        return run("deploy", "--stack-name", made.name, "--config", str(settings), "--yes")

    assert deploy("data-scientist", "bo").status == 0
    sagemaker, domain = aws.client("sagemaker"), stacks.need(made.target).outputs["DomainId"]
    thesis = {"DomainId": domain, "SpaceName": "thesis"}
    sagemaker.create_space(
        **thesis,
        OwnershipSettings={"OwnerUserProfileName": "bo"},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    refused = deploy("data-scientist")
    assert refused.status == 1
    assert "bo (space thesis)" in refused.out
    profiles = sagemaker.list_user_profiles(DomainIdEquals=domain)["UserProfiles"]
    assert {profile["UserProfileName"] for profile in profiles} == {"bo", "data-scientist"}

    sagemaker.delete_space(**thesis)
    assert deploy("data-scientist").status == 0
    profiles = sagemaker.list_user_profiles(DomainIdEquals=domain)["UserProfiles"]
    assert [profile["UserProfileName"] for profile in profiles] == ["data-scientist"]


def test_runs_go_an_interface_in_the_way_is_waited_out_and_nothing_is_left(
    made: Made, account: Account, aws: Session, run: Run
) -> None:
    ec2, outputs = aws.client("ec2"), stacks.need(made.target).outputs
    aws.client("sagemaker").start_pipeline_execution(PipelineName=outputs["PipelineName"])
    vpc = [{"Name": "vpc-id", "Values": [outputs["VpcId"]]}]
    subnet = ec2.describe_subnets(Filters=vpc)["Subnets"][0]["SubnetId"]
    answer = ec2.create_network_interface(SubnetId=subnet, Description="somebody's")
    interface = answer["NetworkInterface"]["NetworkInterfaceId"]

    destroy = Terminal.start("destroy", "--stack-name", made.name, "--yes")
    destroy.expect("StorageStack/DataBucket: bucket, with all objects")
    destroy.expect(f"waiting for the deletion of network interfaces: {interface} (somebody's)")
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    assert destroy.end() == 0, destroy.text()
    assert "Nothing is left." in destroy.text()
    assert account() == made.before

    again = run("destroy", "--stack-name", made.name, "--yes", "--json")
    assert (again.status, again.json["left"]) == (0, [])


def test_in_mode_prod_data_key_and_logs_stay(deployed: Target, run: Run) -> None:
    target = replace(deployed, stack="tabular-kept")
    assert run("deploy", "--stack-name", "tabular-kept", "--mode", "prod", "--yes").status == 0
    bucket = stacks.need(target).outputs["DataBucket"]
    assert run("deploy", "--stack-name", "tabular-kept", "--yes", "--json").json["changed"] is False
    back = run("deploy", "--stack-name", "tabular-kept", "--mode", "dev")
    assert (back.status, "was deployed in mode prod" in back.err) == (2, True)
    done = run("destroy", "--stack-name", "tabular-kept", "--yes", "--json")
    assert done.status == 0, done
    kept = {one["place"]: one for one in done.json["kept"]}
    assert kept["StorageStack/DataBucket"]["physical_id"] == bucket
    assert {"SecurityStack/Key", "StorageStack/LogBucket"} <= set(kept)
    key = kept["SecurityStack/Key"]
    arn = f"arn:aws:kms:{target.region}:{target.account}:key/{key['physical_id']}"
    assert key["reason"].endswith(f"without its alias: {arn}")
    assert done.json["left"] == []


def test_without_a_person_nothing_is_destroyed(deployed: Target, run: Run) -> None:
    done = run("destroy", "--stack-name", "tabular-life")
    assert done.status == 2
    assert "--yes is required" in done.err
    assert stacks.need(deployed).status.endswith("_COMPLETE")


def test_a_protected_stack_is_told_with_the_command_that_lifts_it(
    deployed: Target, run: Run
) -> None:
    client = deployed.client("cloudformation")
    client.update_termination_protection(StackName="tabular-life", EnableTerminationProtection=True)
    done = run("destroy", "--stack-name", "tabular-life", "--yes")
    client.update_termination_protection(
        StackName="tabular-life", EnableTerminationProtection=False
    )
    assert done.status == 1
    assert "update-termination-protection --no-enable-termination-protection" in done.err


def test_the_artifact_bucket_goes_only_if_it_was_made_here(aws: Session, run: Run) -> None:
    target = Target(aws, "never")
    bucket = ArtifactBucket(target)
    name = bucket.name
    if not bucket.is_ours():
        bucket.ensure()
    aws.client("s3").put_object(Bucket=name, Key="templates/1.yaml", Body=b"1")
    aws.client("s3").put_object(Bucket=name, Key="templates/1.yaml", Body=b"2")
    done = run("destroy", "--stack-name", "tabular-never", "--yes", "--delete-artifacts")
    assert done.status == 0
    assert bucket.problem() == "the bucket does not exist"

    aws.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    kept = run("destroy", "--stack-name", "tabular-never", "--yes", "--delete-artifacts")
    assert "no artifact bucket" in kept.out
    assert bucket.problem() is None
    aws.client("s3").delete_bucket(Bucket=name)


def interface(name: str, status: str, description: str) -> dict[str, Any]:
    return {"NetworkInterfaceId": name, "Status": status, "Description": description}


def test_interfaces_are_waited_out_and_those_that_lambda_let_go_of_are_deleted() -> None:
    lambda_s = "AWS Lambda VPC ENI-seed-1"
    looks = [
        [interface("eni-1", "in-use", lambda_s), interface("eni-2", "available", "mine")],
        [interface("eni-1", "available", lambda_s), interface("eni-2", "available", "mine")],
        [],
    ]
    deleted: list[str] = []

    def describe(_body: Mapping[str, Any]) -> dict[str, Any]:
        return {"NetworkInterfaces": looks.pop(0)}

    def delete(body: Mapping[str, Any]) -> dict[str, Any]:
        deleted.append(body["NetworkInterfaceId"])
        return {}

    session = canned.session(
        {"ec2.DescribeNetworkInterfaces": describe, "ec2.DeleteNetworkInterface": delete}
    )
    events = destruction.wait_for_interfaces(
        Target(session, "tabular-life"), {"Name": "vpc-id", "Values": ["vpc-1"]}, lambda _: None
    )
    assert list(events) == [WaitingForInterfaces([f"eni-1 ({lambda_s})", "eni-2 (mine)"])]
    assert deleted == ["eni-1"]


def test_in_an_existing_vpc_only_interfaces_in_our_groups_are_waited_for() -> None:
    groups = [
        PlannedDeletion(f"NetworkStack/{name}", "AWS::EC2::SecurityGroup", f"sg-{name}")
        for name in ("Jobs", "Functions")
    ]
    plan = DeletionPlan(tuple(groups), ())
    assert plan.network() == {"Name": "group-id", "Values": ["sg-Jobs", "sg-Functions"]}
    vpc = PlannedDeletion("NetworkStack/Vpc", "AWS::EC2::VPC", "vpc-1")
    ours = DeletionPlan((*groups, vpc), ())
    assert ours.network() == {"Name": "vpc-id", "Values": ["vpc-1"]}


def test_what_is_left_is_listed_with_reason_and_command(deployed: Target) -> None:
    bucket = stacks.need(deployed).outputs["DataBucket"]
    doomed = [
        PlannedDeletion("StorageStack/DataBucket", "AWS::S3::Bucket", bucket),
        PlannedDeletion("StorageStack/Gone", "AWS::S3::Bucket", "gone-and-forgotten"),
        PlannedDeletion(
            "NetworkStack/Rule", "AWS::EC2::SecurityGroupIngress", "lives in its group"
        ),
    ]
    (left,) = remains.left_of(deployed, doomed, lambda _: "it is not empty", [])
    assert (left.place, left.reason) == ("StorageStack/DataBucket", "it is not empty")
    assert left.command.endswith(f"aws s3api delete-bucket --bucket {bucket} --region eu-west-1")


def test_the_command_that_removes_a_bucket_removes_its_versions_too(
    deployed: Target, emulator: Emulator, tmp_path: Path
) -> None:
    s3, name = deployed.client("s3"), "left-over-1"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="raw/data.csv", Body=body)
    s3.delete_object(Bucket=name, Key="raw/data.csv")
    (left,) = remains.left_of(
        deployed, [PlannedDeletion("B", "AWS::S3::Bucket", name)], lambda _: "", []
    )
    aws = tmp_path / "aws"
    aws.write_text(f'#!/bin/sh\nexec {AWSCLI_PYTHON} -m awscli "$@"\n')
    aws.chmod(0o755)
    environment = os.environ | emulator.environment() | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", left.command], env=environment, check=True, capture_output=True)
    assert ArtifactBucket(deployed, name).problem() == "the bucket does not exist"
