"""The function that checks for drift and starts runs: it can do that for its own pipelines only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator import emit
from generator.policies import deployer
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.settings_people import Persona
from generator.stacks import root
from generator.stacks.personas import TITLES
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.names import placeholders
from tests.iam.requests import through
from tests.iam.required import DERIVED, Required

CHECKED: dict[str, Any] = {
    "pipelines": [{"name": "main"}, {"name": "churn"}],
    "pipeline": {
        "deploy": "on-approval",
        "predictions": True,
        "on_new_data": True,
        "on_drift": True,
    },
    "serving": {"capture_percent": 5},
    "watching": {"drift_hours": 24, "quality_days": 7},
    "studio": {
        "people": [
            {"name": "ana", "persona": "ml-engineer"},
            {"name": "eve", "persona": "reviewer"},
        ]
    },
}
ONLY_NEW_DATA: dict[str, Any] = {
    "pipelines": CHECKED["pipelines"],
    "pipeline": {"predictions": True, "on_new_data": True},
}
ONLY_CHECKS: dict[str, Any] = {
    **CHECKED,
    "pipeline": {"deploy": "on-approval", "predictions": True},
}
ENGINEER, REVIEWER = (TITLES[one][0] for one in (Persona.ML_ENGINEER, Persona.REVIEWER))
MAIN, CHURN = "WatchModelRole", "WatchNamedModelRole"
PIPELINES = {MAIN: "", CHURN: "-churn"}
RUN = "0123456789ab"


@pytest.fixture(scope="module")
def watched() -> Account:
    """A deployment of which everything is watched."""
    return Account.of(resolve(Settings.model_validate(CHECKED)))


@pytest.fixture(scope="module")
def name(watched: Account) -> str:
    """The deployment's name."""
    return name_of(watched)


def name_of(account: Account) -> str:
    return str(account.deployment.parameters["pipeline"]["UniqueName"])


def folder(who: str, kind: str) -> str:
    """Return the prefix of a kind of data of a function's pipeline."""
    return f"{kind}/" if who == MAIN else f"pipelines/{kind}/churn/"


def starting(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function calls to start a run of ``own``."""
    found = []
    for action in ("sagemaker:ListPipelineExecutions", "sagemaker:StartPipelineExecution"):
        pipeline = account.place.arn("sagemaker", f"pipeline/{own}")
        found.append(Request(who, action, pipeline, {}, through(account, action)))
    return found


def looking(account: Account, who: str) -> list[Request]:
    """Return what the function calls to look at the table."""
    bucket = f"arn:aws:s3:::{account.deployment.get('storage', 'DataBucket').reference}"
    table = f"{bucket}/{folder(who, 'raw')}data.csv"
    return [
        Request(who, action, arn, {}, "S3Endpoint")
        for action, arn in (("s3:GetObject", table), ("s3:ListBucket", bucket))
    ]


def checking(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function calls to check ``own`` for drift, and the job reads."""

    def call(action: str, kind: str) -> Request:
        return Request(
            who, action, account.place.arn("sagemaker", kind), {}, through(account, action)
        )

    bucket = placeholders(account)["bucket"]
    through_s3 = {"kms:ViaService": f"s3.{account.place.region}.amazonaws.com"}
    reports = [
        f"{bucket}/{folder(who, 'predictions')}{RUN}/{kind}/{kind}.json"
        for kind in ("drift", "quality")
    ]
    labels = f"{folder(who, 'raw')}_labels/"
    captured = f"{bucket}/{folder(who, 'captured')}{own}/AllTraffic/2026/11/27/10/x.jsonl"
    jobs = "ProcessingRole" if who == MAIN else "ChurnPipeline/ProcessingRole"
    return [
        *starting(account, who, f"{own}-predict"),
        call("sagemaker:UpdatePipelineExecution", f"pipeline/{own}-predict/execution/{RUN}"),
        call("sagemaker:DescribeEndpoint", f"endpoint/{own}"),
        call("sagemaker:DescribeEndpointConfig", "endpoint-config/somebodys"),
        call("sagemaker:DescribeModel", f"model/v3-{own}"),
        call("sagemaker:DescribeModelPackage", f"model-package/{own}/3"),
        *(Request(who, "s3:GetObject", report, {}, "S3Endpoint") for report in reports),
        Request(who, "s3:ListBucket", bucket, {}, "S3Endpoint"),
        Request(who, "kms:Decrypt", account.key_arn, through_s3),
        Request(jobs, "s3:GetObject", captured, {}, "S3Endpoint"),
        Request(jobs, "s3:GetObject", f"{bucket}/{labels}x.csv", {}, "S3Endpoint"),
        Request(jobs, "s3:ListBucket", bucket, {"s3:prefix": labels}, "S3Endpoint"),
    ]


def test_it_can_do_what_it_is_asked_to(watched: Account, name: str) -> None:
    found = [
        request
        for who, rest in PIPELINES.items()
        for request in (
            *starting(watched, who, f"{name}{rest}"),
            *looking(watched, who),
            *checking(watched, who, f"{name}{rest}"),
        )
    ]
    assert refused(watched, [Required(DERIVED, one, "watched") for one in found]) == []


def test_who_uploads_tables_uploads_labels(watched: Account) -> None:
    bucket = placeholders(watched)["bucket"]
    found = [
        Request(who, "s3:PutObject", f"{bucket}/{folder}/_labels/x.csv", {}, "S3Endpoint")
        for who in ("StudioRole", ENGINEER)
        for folder in ("raw", "pipelines/raw/churn")
    ]
    assert refused(watched, [Required(DERIVED, one, "labels") for one in found]) == []


def test_with_new_data_alone_it_can_start_runs_and_nothing_else() -> None:
    account = Account.of(resolve(Settings.model_validate(ONLY_NEW_DATA)))
    own = name_of(account)
    found = [
        request
        for who, rest in PIPELINES.items()
        for request in (*starting(account, who, f"{own}{rest}"), *looking(account, who))
    ]
    assert refused(account, [Required(DERIVED, one, "new data") for one in found]) == []
    needless = {
        f"{one.action} {one.resource}": one
        for one in checking(account, MAIN, own)
        if one.action != "s3:ListBucket" and "/_labels/" not in one.resource
    }
    assert succeeding(account, needless) == []


def test_with_checks_alone_it_can_start_no_run() -> None:
    account = Account.of(resolve(Settings.model_validate(ONLY_CHECKS)))
    own = name_of(account)
    found = [
        request
        for who, rest in PIPELINES.items()
        for request in checking(account, who, f"{own}{rest}")
    ]
    assert refused(account, [Required(DERIVED, one, "checks") for one in found]) == []
    needless = {
        f"{who}: {one.action} {one.resource}": one
        for who, rest in PIPELINES.items()
        for one in (*starting(account, who, f"{own}{rest}"), *looking(account, who)[:1])
    }
    assert succeeding(account, needless) == []


@pytest.fixture(scope="module")
def attempts(watched: Account, name: str) -> dict[str, Request]:
    """What nobody may do because the pipelines are watched, by what is wanted."""

    def call(who: str, action: str, kind: str) -> Request:
        return Request(who, f"sagemaker:{action}", watched.place.arn("sagemaker", kind))

    def read(who: str, key: str) -> Request:
        bucket = placeholders(watched)["bucket"]
        return Request(who, "s3:GetObject", f"{bucket}/{key}", {}, "S3Endpoint")

    start, update = "StartPipelineExecution", "UpdatePipelineExecution"
    bucket = placeholders(watched)["bucket"]
    made = watched.deployment.get("pipeline", "Pipeline").properties
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    return {
        "main's starts a run of churn": call(MAIN, start, f"pipeline/{name}-churn"),
        "main's checks churn": call(MAIN, start, f"pipeline/{name}-churn-predict"),
        "churn's starts a run of main": call(CHURN, start, f"pipeline/{name}"),
        "churn's checks main": call(CHURN, start, f"pipeline/{name}-predict"),
        "churn's lists main's checks": call(
            CHURN, "ListPipelineExecutions", f"pipeline/{name}-predict"
        ),
        "it starts a run of another deployment": call(MAIN, start, "pipeline/tabular-0123456789ab"),
        "it starts any pipeline": call(CHURN, start, "pipeline/other"),
        "it renames a run": call(MAIN, update, f"pipeline/{name}/execution/{RUN}"),
        "main's describes churn's check": call(
            MAIN, update, f"pipeline/{name}-churn-predict/execution/{RUN}"
        ),
        "churn's describes main's check": call(
            CHURN, update, f"pipeline/{name}-predict/execution/{RUN}"
        ),
        "it stops a run": call(MAIN, "StopPipelineExecution", f"pipeline/{name}/execution/{RUN}"),
        "it changes the pipeline": call(MAIN, "UpdatePipeline", f"pipeline/{name}"),
        "it deletes the pipeline": call(MAIN, "DeletePipeline", f"pipeline/{name}"),
        "it starts a job": call(MAIN, "CreateProcessingJob", "processing-job/x"),
        "it approves a model": call(MAIN, "UpdateModelPackage", f"model-package/{name}/3"),
        "it updates the endpoint": call(MAIN, "UpdateEndpoint", f"endpoint/{name}"),
        "it asks the endpoint": call(MAIN, "InvokeEndpoint", f"endpoint/{name}"),
        "it passes the pipeline's role": Request(
            MAIN, "iam:PassRole", made["PipelineRoleArn"], passed
        ),
        "it publishes metrics through the API": Request(MAIN, "cloudwatch:PutMetricData", "*"),
        "it reads captured requests": read(MAIN, f"captured/{name}/AllTraffic/2026/x.jsonl"),
        "churn's reads captured requests": read(
            CHURN, f"pipelines/captured/churn/{name}-churn/x.jsonl"
        ),
        "it reads predictions": read(MAIN, f"predictions/{RUN}/predictions/x.csv"),
        "it reads other tables": read(MAIN, "raw/other.csv"),
        "main's reads churn's report": read(
            MAIN, f"pipelines/predictions/churn/{RUN}/drift/drift.json"
        ),
        "churn's reads main's table": read(CHURN, "raw/data.csv"),
        "churn's reads main's report": read(CHURN, f"predictions/{RUN}/drift/drift.json"),
        "it replaces the table": Request(
            MAIN, "s3:PutObject", f"{bucket}/raw/data.csv", {}, "S3Endpoint"
        ),
        "it writes a report": Request(
            MAIN,
            "s3:PutObject",
            f"{bucket}/predictions/{RUN}/drift/drift.json",
            {},
            "S3Endpoint",
        ),
        "it reads the table from outside the VPC": Request(
            MAIN, "s3:GetObject", f"{bucket}/raw/data.csv"
        ),
        "it reads labels": read(MAIN, "raw/_labels/x.csv"),
        "churn's reads main's measured answers": read(
            CHURN, f"predictions/{RUN}/quality/quality.json"
        ),
        "main's reads churn's measured answers": read(
            MAIN, f"pipelines/predictions/churn/{RUN}/quality/quality.json"
        ),
        "main's jobs read churn's labels": read(
            "ProcessingRole", "pipelines/raw/churn/_labels/x.csv"
        ),
        "churn's jobs read main's labels": read(
            "ChurnPipeline/ProcessingRole", "raw/_labels/x.csv"
        ),
        "a reviewer reads labels": read(REVIEWER, "raw/_labels/x.csv"),
        "a reviewer writes labels": Request(
            REVIEWER, "s3:PutObject", f"{bucket}/raw/_labels/x.csv", {}, "S3Endpoint"
        ),
        "the model reads labels": read("ModelRole", "raw/_labels/x.csv"),
        "a job writes labels": Request(
            "ProcessingRole", "s3:PutObject", f"{bucket}/raw/_labels/x.csv", {}, "S3Endpoint"
        ),
        "main's jobs read what churn's clients send": read(
            "ProcessingRole", f"pipelines/captured/churn/{name}-churn/x.jsonl"
        ),
        "churn's jobs read what main's clients send": read(
            "ChurnPipeline/ProcessingRole", f"captured/{name}/x.jsonl"
        ),
        "a training job reads captured requests": read("TrainingRole", f"captured/{name}/x.jsonl"),
        "a job writes captured requests": Request(
            "ProcessingRole", "s3:PutObject", f"{bucket}/captured/{name}/x.jsonl", {}, "S3Endpoint"
        ),
        "a person reads captured requests": read("StudioRole", f"captured/{name}/x.jsonl"),
    }


def test_every_attack_is_refused(watched: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(watched, attempts) == []


def test_every_attack_would_succeed_without_policies(
    watched: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(watched, attempts) == []


def test_whoever_deploys_has_policies_that_fit() -> None:
    settings = Settings.model_validate(CHECKED)
    templates = [emit.as_dict(one) for one in root.build(settings, Mode.DEV).values()]
    texts = deployer.policies(settings, templates)
    policies = [json.loads(text) for path, text in texts.items() if deployer.NAME in path]
    assert policies
    assert all(size(policy) <= MANAGED_POLICY_CHARACTERS for policy in policies)
