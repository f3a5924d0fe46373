"""A whole life in another team's VPC, in the emulated AWS: nothing of theirs changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session

from generator import emit
from generator.policies import deployer
from generator.settings import Mode, read
from generator.stacks.root import build
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run, as_user
from tests.operations.conftest import Account

THEIRS = "their-network"
STACK = "tabular-guest"
RANGE = "10.0.0.0/16"


def _subnet(number: int) -> dict[str, Any]:
    zone = {"Fn::Select": [number - 1, {"Fn::GetAZs": ""}]}
    subnet = {"VpcId": {"Ref": "Vpc"}, "CidrBlock": f"10.0.{number}.0/24", "AvailabilityZone": zone}
    pair = {"RouteTableId": {"Ref": "Table"}, "SubnetId": {"Ref": f"Subnet{number}"}}
    return {
        f"Subnet{number}": {"Type": "AWS::EC2::Subnet", "Properties": subnet},
        f"Pair{number}": {"Type": "AWS::EC2::SubnetRouteTableAssociation", "Properties": pair},
    }


def _endpoint(service: str, kind: str, **more: Any) -> dict[str, Any]:
    name = {"Fn::Sub": f"com.amazonaws.${{AWS::Region}}.{service}"}
    common = {"VpcId": {"Ref": "Vpc"}, "ServiceName": name, "VpcEndpointType": kind}
    return {"Type": "AWS::EC2::VPCEndpoint", "Properties": {**common, **more}}


HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": RANGE}
TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Vpc": {
            "Type": "AWS::EC2::VPC",
            "Properties": {
                "CidrBlock": RANGE,
                "EnableDnsSupport": True,
                "EnableDnsHostnames": True,
                "Tags": [{"Key": "owner", "Value": "network-team"}],
            },
        },
        "Table": {"Type": "AWS::EC2::RouteTable", "Properties": {"VpcId": {"Ref": "Vpc"}}},
        **_subnet(1),
        **_subnet(2),
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "Endpoints of the network team",
                "VpcId": {"Ref": "Vpc"},
                "SecurityGroupIngress": [HTTPS],
            },
        },
        "S3": _endpoint("s3", "Gateway", RouteTableIds=[{"Ref": "Table"}]),
        "Api": _endpoint(
            "sagemaker.api",
            "Interface",
            PrivateDnsEnabled=True,
            SecurityGroupIds=[{"Fn::GetAtt": ["Group", "GroupId"]}],
            SubnetIds=[{"Ref": "Subnet1"}, {"Ref": "Subnet2"}],
        ),
    },
    "Outputs": {
        name: {"Value": {"Ref": name}} for name in ("Vpc", "Subnet1", "Subnet2", "S3", "Api")
    }
    | {"Group": {"Value": {"Fn::GetAtt": ["Group", "GroupId"]}}},
}


@dataclass(frozen=True)
class Theirs:
    """Another team's VPC, which they made by a stack of their own."""

    session: Session
    ids: dict[str, str]

    def settings(self, *pipelines: str, rules: bool) -> str:
        """Return the settings of a deployment into the VPC, with these pipelines besides main.

        With ``rules``, the stack adds some to their security group.
        """
        named = "".join(f'[[pipelines]]\nname = "{name}"\n' for name in ("main", *pipelines))
        return f"""
            [network]
            vpc = "{self.ids["Vpc"]}"
            subnets = ["{self.ids["Subnet1"]}", "{self.ids["Subnet2"]}"]
            s3_endpoint = "{self.ids["S3"]}"
            endpoint_security_groups = ["{self.ids["Group"]}"]
            add_endpoint_rules = {str(rules).lower()}
            create_endpoints = ["sagemaker.runtime", "cloudformation"]
            created_endpoint_clients = ["{RANGE}"]
            {named if pipelines else ""}
        """

    def state(self) -> dict[str, Any]:
        """Return everything that EC2 says of their resources, with tags."""
        ec2 = self.session.client("ec2")
        vpc, group = self.ids["Vpc"], self.ids["Group"]
        groups = ec2.describe_security_groups()["SecurityGroups"]
        in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        return {
            "vpc": ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"],
            "subnets": ec2.describe_subnets(Filters=in_vpc)["Subnets"],
            "tables": ec2.describe_route_tables(Filters=in_vpc)["RouteTables"],
            "acls": ec2.describe_network_acls(Filters=in_vpc)["NetworkAcls"],
            "endpoints": ec2.describe_vpc_endpoints(
                VpcEndpointIds=[self.ids["S3"], self.ids["Api"]]
            )["VpcEndpoints"],
            "groups": [
                one
                for one in groups
                if one["VpcId"] == vpc
                and (one["GroupId"] == group or one["GroupName"] == "default")
            ],
        }


@pytest.fixture(scope="module")
def theirs(aws: Session) -> Iterator[Theirs]:
    """Make the other team's VPC, and remove it at the end."""
    client = aws.client("cloudformation")
    client.create_stack(StackName=THEIRS, TemplateBody=json.dumps(TEMPLATE))
    client.get_waiter("stack_create_complete").wait(StackName=THEIRS)
    yield Theirs(aws, dict(stacks.need(Target(aws, THEIRS)).outputs))
    client.delete_stack(StackName=THEIRS)
    client.get_waiter("stack_delete_complete").wait(StackName=THEIRS)


def test_nothing_of_theirs_changes_from_the_first_deployment_to_the_last_deletion(
    theirs: Theirs, aws: Session, account: Account, run: Run, tmp_path: Path
) -> None:
    untouched, state = account(), theirs.state()
    before = without_artifacts(untouched)
    assert len(state["groups"]) == 2  # theirs and the default one
    config = tmp_path / "guest.toml"

    def command(name: str, *more: str, pipelines: tuple[str, ...] = ()) -> Any:
        config.write_text(theirs.settings(*pipelines, rules=not pipelines))
        return run(name, "--stack-name", STACK, "--config", str(config), *more)

    config.write_text(theirs.settings("churn", rules=False))
    with as_user(aws, "guest", deployer_policies(config, tmp_path)):
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(config.read_text().replace(theirs.ids["S3"], theirs.ids["Api"]))
        refused = run("deploy", "--stack-name", STACK, "--config", str(wrong), "--yes")
        assert (refused.status, refused.err.count("\n")) == (1, 1)
        assert "not the S3 gateway endpoint" in refused.err
        assert account() == untouched

        found = command("doctor", "--json", pipelines=("churn",)).json
        checks = {"existing VPC", "subnets", "routes", "S3 endpoint", "endpoints", "network ACLs"}
        of_vpc = [one for one in found if one["check"] in checks]
        assert {one["check"] for one in of_vpc} == checks
        assert [one for one in of_vpc if one["verdict"] in ("problem", "unknown")] == []

        done = command("deploy", "--yes", "--set", "Rows=500", pipelines=("churn",))
        assert done.status == 0, done
    assert "an endpoint for com.amazonaws.eu-west-1.sagemaker.runtime will be created" in done.out
    assert theirs.state() == state
    assert len(account()["vpcs"]) == len(before["vpcs"])
    _run_all(aws)

    # churn leaves, and their security group gets rules, since the settings now say so
    again = command("deploy", "--yes", "--set", "Rows=500")
    assert again.status == 0, again
    assert "will be created" not in again.out
    with_rules = theirs.state()
    assert [name for name in state if with_rules[name] != state[name]] == ["groups"]
    assert _added(with_rules, state, theirs.ids["Group"]) == 3

    moved = run("deploy", "--stack-name", STACK, "--yes")
    assert (moved.status, moved.err.count("\n")) == (2, 1)
    assert f"but the stack is in {theirs.ids['Vpc']}" in moved.err

    assert run("destroy", "--stack-name", STACK, "--yes").status == 0
    assert without_artifacts(account()) == before
    assert theirs.state() == state


def deployer_policies(config: Path, folder: Path) -> list[Path]:
    """Write the policies of whoever deploys with these settings; return their files."""
    settings = read(config)
    templates = [emit.as_dict(one) for one in build(settings, Mode.DEV).values()]
    files = []
    for path, text in deployer.policies(settings, templates).items():
        if deployer.NAME in path:
            files.append(folder / Path(path).name)
            files[-1].write_text(text)
    return files


def _added(after: dict[str, Any], before: dict[str, Any], group: str) -> int:
    """Return how many groups more have a rule in a security group; no other one has changed."""

    def sources(state: dict[str, Any]) -> dict[str, set[str]]:
        return {
            one["GroupId"]: {
                pair["GroupId"]
                for rule in one["IpPermissions"]
                for pair in rule.get("UserIdGroupPairs", [])
            }
            for one in state["groups"]
        }

    more = {name: len(now - sources(before)[name]) for name, now in sources(after).items()}
    assert {name for name, count in more.items() if count} == {group}
    return more[group]


def without_artifacts(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return what there is but for the bucket that all deployments share."""
    buckets = [one for one in found.get("buckets", []) if not one.startswith("tabular-artifacts")]
    return found | {"buckets": buckets}


def _run_all(aws: Session) -> None:
    """Run every pipeline of the stack once."""
    sagemaker = aws.client("sagemaker")
    names = [one["PipelineName"] for one in sagemaker.list_pipelines()["PipelineSummaries"]]
    ours = stacks.need(Target(aws, STACK)).outputs["PipelineName"]
    mine = [name for name in names if name.startswith(ours)]
    assert len(mine) == 2
    for name in mine:
        arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
        done = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        assert done["PipelineExecutionStatus"] == "Succeeded", name
