"""Models that are deployed on approval: who approves, and what the function may do that deploys."""

from __future__ import annotations

from typing import Any

import pytest

from generator.policies import approval
from generator.resolved import resolve
from generator.settings import Settings
from pipeline.definition import OWNER_TAG
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.names import placeholders
from tests.iam.requests import through
from tests.iam.required import DERIVED, Required

APPROVER = "arn:aws:iam::123456789012:user/approver"
CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "pipeline": {"deploy": "on-approval"},
        "serving": {"capture_percent": 5, "champion_margin": 0},
        "studio": {
            "people": [
                {"name": "ana", "persona": "ml-engineer"},
                {"name": "ben", "persona": "reviewer"},
            ]
        },
    }
)
MAIN, CHURN = "DeployModelRole", "DeployNamedModelRole"
PIPELINES = {MAIN: "", CHURN: "-churn"}
STATUS = "sagemaker:ModelApprovalStatus"


@pytest.fixture(scope="module")
def approving() -> Account:
    """A deployment whose two pipelines' models are deployed on approval."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(approving: Account) -> str:
    """The deployment's name."""
    return str(approving.deployment.parameters["pipeline"]["UniqueName"])


def stack_of(who: str) -> str:
    """Return the stack of a function's pipeline."""
    return "pipeline" if who == MAIN else "ChurnPipeline"


def network(account: Account, who: str) -> dict[str, Any]:
    """Return the condition keys of a model in the pipeline's own network."""
    made = account.deployment.get(stack_of(who), "Pipeline").properties
    return {
        "sagemaker:VpcSubnets": made["SubnetIds"].split(","),
        "sagemaker:VpcSecurityGroupIds": made["SecurityGroupIds"].split(","),
        "sagemaker:NetworkIsolation": "true",
    }


def config_keys(account: Account) -> dict[str, Any]:
    """Return the condition keys of an endpoint configuration."""
    return {
        "sagemaker:VolumeKmsKeyArn": account.key_arn,
        "sagemaker:InstanceTypes": ["ml.m5.large"],
    }


def owned(account: Account, who: str) -> dict[str, str]:
    """Return the tag of what the pipeline owns."""
    owner = account.deployment.get(stack_of(who), "Pipeline").properties["Owner"]
    return {f"aws:ResourceTag/{OWNER_TAG}": str(owner)}


def alarm_of(account: Account, role: str) -> str:
    """Return the ARN of the alarm that takes requests back, of a role's pipeline."""
    stack = "ChurnPipeline" if "Churn" in role or role == CHURN else "pipeline"
    alarm = account.deployment.get(stack, "EndpointServerErrorAlarm").reference
    return account.place.arn("cloudwatch", f"alarm:{alarm}")


def calls(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function calls to try, deploy and reject a version of ``own``."""

    def of(kind: str) -> str:
        return account.place.arn("sagemaker", kind)

    def call(action: str, resource: str, context: dict[str, Any] | None = None) -> Request:
        return Request(who, action, resource, context or {}, through(account, action))

    package, model = of(f"model-package/{own}/3"), of(f"model/v3-{own}")
    config = of(f"endpoint-config/v3-0a1b2c-{own}")
    endpoint, trial = of(f"endpoint/{own}"), of(f"endpoint/try-{own}")
    made = account.deployment.get(stack_of(who), "Pipeline").properties
    tags = owned(account, who)
    places = {"": "processed/r/smoke/smoke.json"}
    bucket = placeholders(account)["bucket"]
    key = places.get(PIPELINES[who], "pipelines/processed/churn/r/smoke/smoke.json")
    through_s3 = {"kms:ViaService": f"s3.{account.place.region}.amazonaws.com"}
    found = [
        call("sagemaker:ListModelPackages", of(f"model-package/{own}/*")),
        call("sagemaker:DescribeModelPackage", package),
        call("sagemaker:UpdateModelPackage", package, {STATUS: "Rejected"}),
        call("sagemaker:CreateModel", model, network(account, who)),
        call(
            "iam:PassRole", made["ModelRoleArn"], {"iam:PassedToService": "sagemaker.amazonaws.com"}
        ),
        call("sagemaker:DescribeModel", model),
        call("sagemaker:CreateEndpointConfig", config, config_keys(account)),
        call("sagemaker:DescribeEndpointConfig", of("endpoint-config/somebodys")),
        call("sagemaker:ListEndpointConfigs", "*"),
        call("sagemaker:AddTags", config, tags),
        call("sagemaker:UpdateEndpoint", endpoint),
        call("sagemaker:UpdateEndpoint", config),
        call("cloudwatch:DescribeAlarms", alarm_of(account, who)),
        call("s3:GetObject", f"{bucket}/{key}"),
        call("s3:ListBucket", bucket),
        call("kms:Decrypt", account.key_arn, through_s3),
        *(call("sagemaker:DeleteEndpointConfig", one, tags) for one in (config,)),
        call("sagemaker:DeleteModel", model, tags),
        call("sagemaker:DeleteEndpoint", trial, tags),
    ]
    for one in (endpoint, trial):
        found += [
            call(f"sagemaker:{what}", one)
            for what in ("CreateEndpoint", "DescribeEndpoint", "InvokeEndpoint", "ListTags")
        ]
    found += [call("sagemaker:CreateEndpoint", config), call("sagemaker:ListTags", config)]
    for kind, one in (
        ("CreateModel", model),
        ("CreateEndpointConfig", config),
        ("CreateEndpoint", trial),
    ):
        found.append(call("sagemaker:AddTags", one, {"sagemaker:TaggingAction": kind}))
    return found


@pytest.fixture(scope="module")
def needed(approving: Account, name: str) -> list[Required]:
    """Everything that the functions, the models and an approver need."""
    found = [
        request
        for who, rest in PIPELINES.items()
        for request in calls(approving, who, f"{name}{rest}")
    ]
    bucket = placeholders(approving)["bucket"]
    through_s3 = {"kms:ViaService": f"s3.{approving.place.region}.amazonaws.com"}
    for role, place in (
        ("ModelRole", "captured"),
        ("ChurnPipeline/ModelRole", "pipelines/captured/churn"),
    ):
        found += [
            Request(role, "s3:PutObject", f"{bucket}/{place}/x.jsonl"),
            Request(role, "kms:GenerateDataKey", approving.key_arn, through_s3),
            Request(role, "cloudwatch:DescribeAlarms", alarm_of(approving, role)),
        ]
    for deployer, manager, jobs, at in (
        (MAIN, "PipelineManagerRole", "ProcessingRole", "{}/"),
        (
            CHURN,
            "NamedPipelinesManagerRole",
            "ChurnPipeline/ProcessingRole",
            "pipelines/{}/churn/",
        ),
    ):
        archive = f"{bucket}/{at.format('models')}r/model.tar.gz"
        champion = f"{bucket}/{at.format('champion')}model.tar.gz"
        found += [
            Request(deployer, "s3:GetObject", archive, {}, "S3Endpoint"),
            Request(deployer, "s3:GetObject", champion, {}, "S3Endpoint"),
            Request(deployer, "s3:PutObject", champion, {}, "S3Endpoint"),
            Request(deployer, "kms:GenerateDataKey", approving.key_arn, through_s3),
            Request(
                manager,
                "s3:PutObject",
                f"{bucket}/{at.format('champion')}none.txt",
                {},
                "S3Endpoint",
            ),
            Request(jobs, "s3:GetObject", champion, {}, "S3Endpoint"),
        ]
    versions = approving.place.arn("sagemaker", f"model-package/{name}/3")
    policy = approval.approver(CHOSEN)
    found += [
        Request(APPROVER, f"sagemaker:{what}", versions, context, extra=(policy,))
        for what, context in (
            ("DescribeModelPackage", {}),
            ("UpdateModelPackage", {STATUS: "Approved"}),
        )
    ]
    return [Required(DERIVED, one, "on approval") for one in found]


def test_an_approved_version_can_be_tried_and_deployed(
    approving: Account, needed: list[Required]
) -> None:
    assert refused(approving, needed) == []


@pytest.fixture(scope="module")
def attempts(approving: Account, name: str) -> dict[str, Request]:
    """What nobody may do because models are deployed on approval, by what is wanted."""

    def of(kind: str) -> str:
        return approving.place.arn("sagemaker", kind)

    version, endpoint = of(f"model-package/{name}/3"), of(f"endpoint/{name}")
    approved = {STATUS: "Approved"}
    starters = ("StudioRole", "MlEngineerRole", "ReviewerRole", "PipelineRole", "NotebookJobsRole")
    found = {
        f"{who} approves a model": Request(who, "sagemaker:UpdateModelPackage", version, approved)
        for who in (*starters, MAIN, CHURN, "PipelineManagerRole", "ModelRole", "TrainingRole")
    }
    found |= {
        f"{who} approves, though its organization allows it": Request(
            who,
            "sagemaker:UpdateModelPackage",
            version,
            approved,
            extra=(
                {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}],
                },
            ),
        )
        for who in ("StudioRole", "MlEngineerRole", "ReviewerRole", "PipelineRole")
    }
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}],
    }
    pending = {STATUS: "PendingManualApproval"}
    tagged = of(f"endpoint-config/v3-0a1b2c-{name}")
    for who in ("StudioRole", "MlEngineerRole", "ReviewerRole"):
        for action, resource, context in (
            ("UpdateEndpoint", endpoint, {}),
            ("UpdateEndpoint", of(f"endpoint/{name}-churn"), {}),
            ("UpdateEndpointWeightsAndCapacities", endpoint, {}),
            ("CreateEndpoint", of(f"endpoint/try-{name}"), {}),
            ("CreateModelPackage", of(f"model-package/{name}/4"), pending),
            ("DeleteModelPackage", version, {}),
            ("AddTags", tagged, {}),
            ("DeleteTags", tagged, {}),
        ):
            found[f"{who}: {action} on {resource}, though its organization allows it"] = Request(
                who, f"sagemaker:{action}", resource, context, extra=(everything,)
            )
    package = of(f"model-package/{name}/4")
    own, churn = network(approving, MAIN), network(approving, CHURN)
    made = approving.deployment.get("ChurnPipeline", "Pipeline").properties
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    tags, tags_of_churn = owned(approving, MAIN), owned(approving, CHURN)
    bucket = placeholders(approving)["bucket"]
    models = of(f"model/v3-{name}")
    return found | {
        "a run registers an approved model": Request(
            "PipelineRole", "sagemaker:CreateModelPackage", package, approved
        ),
        "a run of churn registers an approved model": Request(
            "ChurnPipeline/PipelineRole",
            "sagemaker:CreateModelPackage",
            of(f"model-package/{name}-churn/4"),
            approved,
        ),
        "a run makes a model": Request(
            "PipelineRole", "sagemaker:CreateModel", of("model/pipelines-x-CreateModel-y"), own
        ),
        "a run updates the endpoint": Request("PipelineRole", "sagemaker:UpdateEndpoint", endpoint),
        "a run creates the endpoint": Request("PipelineRole", "sagemaker:CreateEndpoint", endpoint),
        "main's function rejects a version of churn": Request(
            MAIN,
            "sagemaker:UpdateModelPackage",
            of(f"model-package/{name}-churn/3"),
            {STATUS: "Rejected"},
        ),
        "churn's function rejects a version of main": Request(
            CHURN, "sagemaker:UpdateModelPackage", version, {STATUS: "Rejected"}
        ),
        "the function rejects a version of a foreign group": Request(
            MAIN, "sagemaker:UpdateModelPackage", of("model-package/other/3"), {STATUS: "Rejected"}
        ),
        "main's function updates churn's endpoint": Request(
            MAIN, "sagemaker:UpdateEndpoint", of(f"endpoint/{name}-churn")
        ),
        "churn's function updates main's endpoint": Request(
            CHURN, "sagemaker:UpdateEndpoint", endpoint
        ),
        "the function updates another deployment's endpoint": Request(
            MAIN, "sagemaker:UpdateEndpoint", of("endpoint/tabular-0123456789ab")
        ),
        "the function deletes the endpoint that serves": Request(
            MAIN, "sagemaker:DeleteEndpoint", endpoint, tags
        ),
        "the function deletes a trial of another owner": Request(
            MAIN, "sagemaker:DeleteEndpoint", of(f"endpoint/try-{name}"), tags_of_churn
        ),
        "the function deletes a model of a run": Request(
            MAIN, "sagemaker:DeleteModel", of("model/pipelines-x"), tags
        ),
        "the function takes a tag away": Request(
            MAIN, "sagemaker:DeleteTags", of(f"endpoint-config/v3-0a1b2c-{name}"), tags
        ),
        "the function claims another owner's configuration": Request(
            MAIN, "sagemaker:AddTags", of(f"endpoint-config/v3-0a1b2c-{name}"), tags_of_churn
        ),
        "the function makes a model outside the VPC": Request(
            MAIN, "sagemaker:CreateModel", models, {"sagemaker:NetworkIsolation": "true"}
        ),
        "the function makes a model without isolation": Request(
            MAIN, "sagemaker:CreateModel", models, own | {"sagemaker:NetworkIsolation": "false"}
        ),
        "main's function makes a model in churn's group": Request(
            MAIN, "sagemaker:CreateModel", models, churn
        ),
        "churn's function makes a model without a group": Request(
            CHURN,
            "sagemaker:CreateModel",
            of(f"model/v3-{name}-churn"),
            {key: value for key, value in churn.items() if "Group" not in key},
        ),
        "the function makes disks without our key": Request(
            MAIN,
            "sagemaker:CreateEndpointConfig",
            of(f"endpoint-config/v3-0a1b2c-{name}"),
            config_keys(approving) | {"sagemaker:VolumeKmsKeyArn": f"{approving.key_arn}0"},
        ),
        "the function deploys on a costly instance": Request(
            MAIN,
            "sagemaker:CreateEndpointConfig",
            of(f"endpoint-config/v3-0a1b2c-{name}"),
            config_keys(approving) | {"sagemaker:InstanceTypes": ["ml.p4d.24xlarge"]},
        ),
        "main's function passes churn's model role": Request(
            MAIN, "iam:PassRole", made["ModelRoleArn"], passed
        ),
        "the function passes the pipeline's role": Request(
            MAIN, "iam:PassRole", approving.role_arn("PipelineRole"), passed
        ),
        "the function passes a role to EC2": Request(
            MAIN,
            "iam:PassRole",
            approving.role_arn("ModelRole"),
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
        "the function reads prepared rows": Request(
            MAIN, "s3:GetObject", f"{bucket}/processed/r/train/x.parquet", {}, "S3Endpoint"
        ),
        "the function reads raw tables": Request(
            MAIN, "s3:GetObject", f"{bucket}/raw/data.csv", {}, "S3Endpoint"
        ),
        "the function reads captured requests": Request(
            MAIN, "s3:GetObject", f"{bucket}/captured/x.jsonl", {}, "S3Endpoint"
        ),
        "main's model captures into churn's folder": Request(
            "ModelRole", "s3:PutObject", f"{bucket}/pipelines/captured/churn/x"
        ),
        "a run replaces the champion": Request(
            "ProcessingRole", "s3:PutObject", f"{bucket}/champion/model.tar.gz", {}, "S3Endpoint"
        ),
        "a person replaces the champion": Request(
            "StudioRole", "s3:PutObject", f"{bucket}/champion/model.tar.gz", {}, "S3Endpoint"
        ),
        "the manager replaces the champion": Request(
            "PipelineManagerRole",
            "s3:PutObject",
            f"{bucket}/champion/model.tar.gz",
            {},
            "S3Endpoint",
        ),
        "main's function replaces churn's champion": Request(
            MAIN,
            "s3:PutObject",
            f"{bucket}/pipelines/champion/churn/model.tar.gz",
            {},
            "S3Endpoint",
        ),
        "the function writes a model": Request(
            MAIN, "s3:PutObject", f"{bucket}/models/r/model.tar.gz", {}, "S3Endpoint"
        ),
        "a model reads captured requests": Request(
            "ModelRole", "s3:GetObject", f"{bucket}/captured/x.jsonl"
        ),
        "a person reads captured requests": Request(
            "StudioRole", "s3:GetObject", f"{bucket}/captured/x.jsonl", {}, "S3Endpoint"
        ),
        "an approver changes a version without a decision": Request(
            APPROVER, "sagemaker:UpdateModelPackage", version, extra=(approval.approver(CHOSEN),)
        ),
        "an approver starts a run": Request(
            APPROVER,
            "sagemaker:StartPipelineExecution",
            of(f"pipeline/{name}"),
            extra=(approval.approver(CHOSEN),),
        ),
        "an approver registers a version": Request(
            APPROVER, "sagemaker:CreateModelPackage", package, extra=(approval.approver(CHOSEN),)
        ),
        "an approver updates the endpoint": Request(
            APPROVER, "sagemaker:UpdateEndpoint", endpoint, extra=(approval.approver(CHOSEN),)
        ),
    }


def test_every_attack_is_refused(approving: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(approving, attempts) == []


def test_every_attack_would_succeed_without_policies(
    approving: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(approving, attempts) == []
