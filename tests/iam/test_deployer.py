"""The deployer's rights hold what the schemas ask for, on what is ours, and no more."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

import pytest

from generator.cfn import schemas
from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.policies import deployer
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.resolved import resolve
from generator.settings import PROJECT_TAG, Mode, Security, Settings
from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.attacks import OPEN
from tests.iam.simulator import data

DEPLOYER = "arn:aws:iam::123456789012:role/deployer"
PLACE = StackLocation(stack_name="tabular")
KEY_OF_THE_ACCOUNT: Json = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{PLACE.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}
"""A key policy that leaves all to IAM."""
GROUP = "1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
SETTINGS = Settings.model_validate(
    {
        "packages": {"source": "pypi", "internal_names": ["acme"]},
        "studio": {"sign_in": "identity-center", "identity_center_groups": [GROUP]},
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "watching": {"dashboard": True},
    }
)
"""Settings with which the templates have a resource of every type."""
WITH_RESOURCE_BUT_NO_NAME = {
    "ec2": "creations: nothing of ours is there yet",
    "kms:CreateKey": "a key has no name",
    "cloudformation:GetTemplateSummary": "of a template that is no stack yet",
    "lambda:GetCodeSigningConfig": "the organisation's",
    "logs:DescribeIndexPolicies": "listing",
    "sns:GetSubscriptionAttributes": "a subscription's ARN is the topic's",
    "sns:SetSubscriptionAttributes": "a subscription's ARN is the topic's",
    "sns:Unsubscribe": "a subscription's ARN is the topic's",
    "iam:ListRoles": "listing",
}


@pytest.fixture(scope="module")
def templates() -> list[Json]:
    build = import_module("generator.stacks.root").build
    return [as_dict(one) for mode in Mode for one in build(SETTINGS, mode).values()]


@pytest.fixture(scope="module")
def documents(templates: list[Json]) -> dict[str, Json]:
    texts = deployer.policies(SETTINGS, templates)
    return {path: json.loads(text) for path, text in texts.items()}


@pytest.fixture(scope="module")
def policies(documents: dict[str, Json]) -> list[Json]:
    """Return what a deployer, or the service role, holds."""
    return [one for path, one in documents.items() if deployer.NAME in path]


@pytest.fixture(scope="module")
def statements(policies: list[Json]) -> list[Json]:
    return [statement for policy in policies for statement in policy["Statement"]]


def resource_types(action: str) -> list[str]:
    """Return the ARN patterns of the resource types that an action knows."""
    service, _, name = action.partition(":")
    types = data(f"resourceTypes/{service}")
    entry = data(f"actions/{service}").get(name.lower())
    assert entry, f"{action} is no action"
    named = [types.get(one["name"].lower()) for one in entry["resourceTypes"]]
    return [one["arn"] for one in named if one]


def test_each_document_fits_a_managed_policy(documents: dict[str, Json]) -> None:
    for path, document in documents.items():
        assert size(document) <= MANAGED_POLICY_CHARACTERS, path


def test_every_action_exists(statements: list[Json]) -> None:
    for statement in statements:
        for action in statement["Action"]:
            assert "*" not in action
            resource_types(action)


def test_what_is_allowed_anywhere_takes_no_resource_of_ours(statements: list[Json]) -> None:
    for statement in statements:
        if statement["Resource"] != "*" or "aws:ResourceTag" in json.dumps(statement):
            continue
        for action in statement["Action"]:
            named = action in WITH_RESOURCE_BUT_NO_NAME or action.partition(":")[0] == "ec2"
            assert named or not resource_types(action), action


def test_what_is_allowed_on_ours_takes_such_a_resource(statements: list[Json]) -> None:
    for statement in statements:
        resources = (
            [statement["Resource"]]
            if isinstance(statement["Resource"], str)
            else statement["Resource"]
        )
        if resources == ["*"]:
            continue
        kinds = {":".join(one.split(":", 6)[2:3]) for one in resources}
        for action in statement["Action"]:
            patterns = resource_types(action)
            assert patterns, f"{action} takes no resource"
            assert kinds == {patterns[0].split(":")[2]}, action


def test_every_action_of_a_schema_is_there_or_has_a_reason(templates: list[Json]) -> None:
    resources = deployer.resources_of(templates)
    held = set(deployer.actions(resources))
    for kind in resources:
        for action in deployer._of_handlers(f"AWS::{kind}"):
            corrected = deployer._corrected(action)
            explained = corrected in deployer.WRONG_IN_SCHEMAS or deployer._is_of_unused_feature(
                kind, corrected, resources[kind]
            )
            assert corrected in held or explained, f"{kind}: {action}"


def test_what_a_handler_reads_of_its_service_is_never_left_out(templates: list[Json]) -> None:
    """A read handler asks for metrics, analytics or signing whether they are there or not."""
    resources = deployer.resources_of(templates)
    held = set(deployer.actions(resources)) | deployer.WRONG_IN_SCHEMAS.keys()
    for kind in resources:
        service = kind.partition("::")[0].lower()
        for action in schemas.handlers(f"AWS::{kind}").get("read", ()):
            reads = action.startswith((f"{service}:Get", f"{service}:List", f"{service}:Desc"))
            assert not reads or action in held, f"{kind}: {action}"
    assert {"lambda:GetFunctionCodeSigningConfig", "s3:GetMetricsConfiguration"} <= held


def test_every_exception_is_one(templates: list[Json]) -> None:
    """What the schemas do not say, or say no more, needs no exception."""
    asked = {
        deployer._corrected(action)
        for kind in deployer.resources_of(templates)
        for action in deployer._of_handlers(f"AWS::{kind}")
    }
    assert deployer.WRONG_IN_SCHEMAS.keys() <= asked
    assert deployer.MISSING_IN_SCHEMAS.keys() & asked == set()
    for feature in deployer.FEATURES:
        for pattern in feature.actions:
            assert any(fnmatchcase(action, pattern) for action in asked), pattern


def test_every_named_resource_lies_in_scope(statements: list[Json]) -> None:
    scopes = {
        one
        for statement in statements
        for one in (
            [statement["Resource"]]
            if isinstance(statement["Resource"], str)
            else statement["Resource"]
        )
        if one != "*"
    }
    for arn in _arns():
        assert any(fnmatchcase(arn, scope) for scope in scopes), arn


def _arns() -> list[str]:
    """Return the ARNs of what has a name, where the root stack is named after the project."""
    deployment = resolve(SETTINGS, place=PLACE)
    kinds: dict[str, tuple[str, str]] = {
        "AWS::SageMaker::StudioLifecycleConfig": ("sagemaker", "studio-lifecycle-config/"),
        "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:"),
        "AWS::Lambda::Function": ("lambda", "function:"),
        "AWS::Logs::LogGroup": ("logs", "log-group:"),
        "AWS::KMS::Alias": ("kms", ""),
    }
    arns = [
        PLACE.arn(kinds[one.type][0], f"{kinds[one.type][1]}{one.reference}")
        for one in deployment
        if one.type in kinds
    ]
    arns += [one.reference for one in deployment if one.type.startswith("AWS::CodeArtifact::")]
    arns += [
        f"arn:aws:cloudwatch::{PLACE.account}:dashboard/{one.reference}"
        for one in deployment.of_type("AWS::CloudWatch::Dashboard")
    ]
    arns += [f"arn:aws:s3:::{one.reference}" for one in deployment.of_type("AWS::S3::Bucket")]
    arns += [
        f"arn:aws:iam::{PLACE.account}:role{one.properties.get('Path', '/')}{one.reference}"
        for one in deployment.of_type("AWS::IAM::Role")
    ]
    arns += [one.reference for one in deployment.of_type("AWS::IAM::ManagedPolicy")]
    rules = [one.properties["Name"] for one in deployment.of_type("AWS::Events::Rule")]
    topic = deployment.get("pipeline", "AlertTopic").reference
    group = deployment.get("pipeline", "ModelPackageGroup").reference
    return [
        *arns,
        *deployment.stack_ids.values(),
        *(PLACE.arn("events", f"rule/{rule}") for rule in rules),
        topic,
        group,
    ]


def ask(policies: list[Json], action: str, resource: str, **context: str) -> bool:
    account = Account.of(resolve(place=PLACE))
    request = Request(
        DEPLOYER,
        action,
        resource,
        {key.replace("__", ":"): value for key, value in context.items()},
        extra=tuple(policies),
        bare=True,
        guard=KEY_OF_THE_ACCOUNT if action.startswith("kms:") else None,
    )
    (verdict,) = account.ask([request])
    assert not verdict.error, verdict
    assert not verdict.ignored, verdict
    return verdict.allowed


A = "123456789012"
TAG = f"aws:ResourceTag/{PROJECT_TAG}"
OURS: dict[str, tuple[str, str, dict[str, str]]] = {
    "make a role": ("iam:CreateRole", f"arn:aws:iam::{A}:role/tabular-Security-1-StudioRole-2", {}),
    "hand a role to SageMaker": (
        "iam:PassRole",
        f"arn:aws:iam::{A}:role/tabular-Security-1-StudioRole-2",
        {"iam__PassedToService": "sagemaker.amazonaws.com"},
    ),
    "delete the VPC": (
        "ec2:DeleteVpc",
        f"arn:aws:ec2:eu-west-1:{A}:vpc/vpc-1",
        {TAG: "tabular"},
    ),
    "read a template before there is a stack": ("cloudformation:GetTemplateSummary", "*", {}),
    "have a template validated": ("cloudformation:ValidateTemplate", "*", {}),
    "list the zones": ("ec2:DescribeAvailabilityZones", "*", {}),
    "know whether there are default subnets": ("ec2:DescribeAccountAttributes", "*", {}),
    "repair the stack": (
        "cloudformation:ContinueUpdateRollback",
        f"arn:aws:cloudformation:eu-west-1:{A}:stack/tabular/2",
        {},
    ),
    "look for drift": (
        "cloudformation:DetectStackDrift",
        f"arn:aws:cloudformation:eu-west-1:{A}:stack/tabular-StudioStack-1/2",
        {},
    ),
    "turn a key for which no tag counts yet": (
        "kms:EnableKeyRotation",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {},
    ),
    "make an encrypted log group under it": (
        "kms:ReEncryptTo",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__ViaService": "logs.eu-west-1.amazonaws.com"},
    ),
    "look at it through CloudWatch Logs": (
        "kms:DescribeKey",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__ViaService": "logs.eu-west-1.amazonaws.com"},
    ),
    "make the key with its policy, when no tag of it counts": (
        "kms:PutKeyPolicy",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {},
    ),
    "take back the key at once": (
        "kms:ScheduleKeyDeletion",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {},
    ),
    "tag the key while it is made": (
        "kms:TagResource",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {f"aws:RequestTag/{PROJECT_TAG}": "tabular"},
    ),
    "tag the key later": (
        "kms:TagResource",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "tabular", "aws:RequestTag/team": "risk"},
    ),
    "read a bucket's tags": ("s3:ListTagsForResource", "arn:aws:s3:::tabular-storagestack-1", {}),
    "give an endpoint its private name": (
        "route53:AssociateVPCWithHostedZone",
        "arn:aws:route53:::hostedzone/Z1",
        {},
    ),
    "delete a nested stack in GovCloud": (
        "cloudformation:DeleteStack",
        f"arn:aws-us-gov:cloudformation:us-gov-west-1:{A}:stack/tabular-StudioStack-1/2",
        {},
    ),
    "delete the VPC in GovCloud": (
        "ec2:DeleteVpc",
        f"arn:aws-us-gov:ec2:us-gov-west-1:{A}:vpc/vpc-1",
        {TAG: "tabular"},
    ),
    "make the home file system under it": (
        "kms:GenerateDataKeyWithoutPlaintext",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__ViaService": "elasticfilesystem.eu-west-1.amazonaws.com"},
    ),
    "have AWS hold a grant on it": (
        "kms:CreateGrant",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__GrantIsForAWSResource": "true"},
    ),
    "delete the key": (
        "kms:ScheduleKeyDeletion",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "tabular"},
    ),
    "delete a nested stack": (
        "cloudformation:DeleteStack",
        f"arn:aws:cloudformation:eu-west-1:{A}:stack/tabular-StudioStack-1/2",
        {},
    ),
    "change a function": (
        "lambda:UpdateFunctionCode",
        f"arn:aws:lambda:eu-west-1:{A}:function:tabular-StudioStack-1-ClearStudio",
        {},
    ),
}
OTHERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "make oneself administrator": ("iam:PutRolePolicy", f"arn:aws:iam::{A}:role/administrator", {}),
    "make another role": ("iam:CreateRole", f"arn:aws:iam::{A}:role/other", {}),
    "hand an administrator's role to a function": (
        "iam:PassRole",
        f"arn:aws:iam::{A}:role/administrator",
        {"iam__PassedToService": "lambda.amazonaws.com"},
    ),
    "hand our role to a machine": (
        "iam:PassRole",
        f"arn:aws:iam::{A}:role/tabular-Security-1-StudioRole-2",
        {"iam__PassedToService": "ec2.amazonaws.com"},
    ),
    "delete another VPC": (
        "ec2:DeleteVpc",
        f"arn:aws:ec2:eu-west-1:{A}:vpc/vpc-1",
        {TAG: "payroll"},
    ),
    "delete another key": (
        "kms:ScheduleKeyDeletion",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "payroll"},
    ),
    "make another's key one's own": (
        "kms:TagResource",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "payroll", f"aws:RequestTag/{PROJECT_TAG}": "tabular"},
    ),
    "make a key without the project's tag": ("kms:CreateKey", "*", {}),
    "use the key through Lambda": (
        "kms:Decrypt",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__ViaService": "lambda.eu-west-1.amazonaws.com"},
    ),
    "change another key's policy": (
        "kms:PutKeyPolicy",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "payroll"},
    ),
    "decrypt by itself": (
        "kms:Decrypt",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {TAG: "tabular"},
    ),
    "decrypt secrets": (
        "kms:Decrypt",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__ViaService": "secretsmanager.eu-west-1.amazonaws.com"},
    ),
    "hand a key on to a person": (
        "kms:CreateGrant",
        f"arn:aws:kms:eu-west-1:{A}:key/1",
        {"kms__GrantIsForAWSResource": "false"},
    ),
    "delete another stack": (
        "cloudformation:DeleteStack",
        f"arn:aws:cloudformation:eu-west-1:{A}:stack/payroll/2",
        {},
    ),
    "change another function": (
        "lambda:UpdateFunctionCode",
        f"arn:aws:lambda:eu-west-1:{A}:function:payroll",
        {},
    ),
    "empty another bucket's protection": ("s3:PutBucketPolicy", "arn:aws:s3:::payroll", {}),
    "read our data": ("s3:GetObject", "arn:aws:s3:::tabular-storagestack-1/raw/data.csv", {}),
    "make a user": ("iam:CreateUser", f"arn:aws:iam::{A}:user/tabular", {}),
}


@pytest.mark.parametrize("wants", OURS)
def test_a_deployer_may(policies: list[Json], wants: str) -> None:
    action, resource, context = OURS[wants]
    assert ask(policies, action, resource, **context)


@pytest.mark.parametrize("wants", OTHERS)
def test_a_deployer_may_not(policies: list[Json], wants: str) -> None:
    action, resource, context = OTHERS[wants]
    assert not ask(policies, action, resource, **context)
    everything: Any = {**OPEN, "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    assert ask([everything], action, resource, **context)


def test_with_a_service_role_a_person_needs_no_right_to_resources(
    documents: dict[str, Json],
) -> None:
    person = documents["templates/deployer-with-service-role.json"]
    services = {
        action.partition(":")[0]
        for statement in person["Statement"]
        for action in statement["Action"]
    }
    assert services == {"cloudformation", "iam", "s3"}
    passed = next(one for one in person["Statement"] if one["Action"] == ["iam:PassRole"])
    assert passed["Condition"]["StringEquals"]["iam:PassedToService"] == (
        "cloudformation.amazonaws.com"
    )


def test_where_there_is_a_boundary_only_bounded_roles_are_made(templates: list[Json]) -> None:
    boundary = "arn:aws:iam::123456789012:policy/Boundary"
    settings = Settings(security=Security(permissions_boundary=boundary))
    texts = deployer.policies(settings, templates)
    held = [json.loads(text) for path, text in texts.items() if deployer.NAME in path]
    role = f"arn:aws:iam::{A}:role/tabular-Security-1-StudioRole-2"
    assert ask(held, "iam:CreateRole", role, iam__PermissionsBoundary=boundary)
    assert not ask(held, "iam:CreateRole", role)


def test_a_new_kind_of_resource_asks_for_a_decision() -> None:
    table = {"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": {}}}}
    with pytest.raises(ValueError, match=r"dynamodb:.* has no scope"):
        deployer.policies(Settings(), [table])
