"""Where Preprocess runs on Spark: what it needs is allowed, and no more than that one job is open.

The cluster cannot be isolated. So the Denies that keep jobs inside exempt one job, by its name, the
role that creates it and its security group; its role reads tables and code, and writes results.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import OPEN, THIEF, everything_of
from tests.iam.derived import derived_calls
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.names import placeholders
from tests.iam.required import DERIVED, IMPLICIT, Required, implicit_calls
from tests.iam.transposed import Move, Place

SPARK = "SparkProcessingRole"
CREATE = "sagemaker:CreateProcessingJob"
RIGHTS = "identity/SparkProcessingPolicy"
GUARDS = "identity/JobsStayInsidePolicy"
CLUSTER_SIDS = ("NoClusterOfOthers", "NoOtherSecurityGroupsForCluster")
IMAGE = "repository/autogluon-training"


@pytest.fixture(scope="module")
def on_spark() -> Account:
    """Return a deployment whose tables are prepared on Spark."""
    return Account.of(
        resolve(Settings.model_validate({"pipeline": {"preprocess_engine": "spark"}}))
    )


@pytest.fixture(scope="module")
def needed(on_spark: Account) -> list[Required]:
    """Return the calls of all steps, and those that AWS makes with the cluster's role."""
    return _needed(on_spark)


def _needed(account: Account) -> list[Required]:
    steps = [Required(DERIVED, *call) for call in derived_calls(account)]
    return [*steps, *_reads_of_cluster(account), *_implicit(account)]


def _reads_of_cluster(account: Account) -> list[Required]:
    """What the instances themselves do: `preprocess_spark.py` lists the table and fetches it."""
    bucket = placeholders(account)["bucket"]
    requests = [
        Request(SPARK, "s3:ListBucket", bucket, {"s3:prefix": "raw/table"}, "S3Endpoint"),
        Request(SPARK, "s3:GetObject", f"{bucket}/raw/table/1.csv", {}, "S3Endpoint"),
    ]
    via = {"kms:ViaService": f"s3.{account.place.region}.amazonaws.com"}
    requests.append(Request(SPARK, "kms:Decrypt", account.key_arn, via))
    return [Required(DERIVED, request, "preprocess_spark.py") for request in requests]


def _implicit(account: Account) -> list[Required]:
    """What AWS does with the role of every processing job, and with its own image."""
    found = [one for one in implicit_calls(account) if one.request.who == "ProcessingRole"]
    image = account.deployment.get("pipeline", "Pipeline").properties["SparkImage"]
    owner, place = image.partition(".")[0], account.place
    repository = f"arn:aws:ecr:{place.region}:{owner}:repository/sagemaker-spark-processing"
    return [
        Required(
            IMPLICIT,
            one.request.but(
                who=SPARK, resource=repository if IMAGE in one.request.resource else resource
            ),
            one.trigger,
            one.source,
        )
        for one in found
        for resource in [one.request.resource]
    ]


def test_all_steps_and_the_cluster_may_do_their_work(
    on_spark: Account, needed: list[Required]
) -> None:
    assert refused(on_spark, needed) == []
    assert sum(one.request.who == SPARK for one in needed) > 20


def test_every_right_of_the_cluster_is_needed(on_spark: Account, needed: list[Required]) -> None:
    parts = [part for part in allowances(on_spark) if part.document == RIGHTS]
    needs = needed_by(on_spark, parts, needed)
    assert [str(part) for part, refused in needs.items() if not refused] == []


def created(needed: list[Required], step: str) -> Request:
    """Return the request that creates the job of a step."""
    return next(
        one.request
        for one in needed
        if one.request.action == CREATE and f"-{step}-" in one.request.resource
    )


@pytest.fixture(scope="module")
def attempts(on_spark: Account, needed: list[Required]) -> dict[str, Request]:
    """Return what a thief or a mistake would try because there is a cluster, by what is wanted."""
    return {**_jobs(on_spark, needed), **_rights(on_spark)}


def _jobs(account: Account, needed: list[Required]) -> dict[str, Request]:
    """Other jobs that would use the cluster's exemption, and clusters that go beyond theirs."""
    cluster, other = created(needed, "preprocess"), created(needed, "evaluate")
    everything = everything_of("sagemaker")
    unisolated = {"sagemaker:NetworkIsolation": "false"}
    groups = "sagemaker:VpcSecurityGroupIds"
    spark_group, jobs_group = cluster.context[groups], other.context[groups]
    own = account.place.arn("sagemaker", "processing-job/demo-x")
    tries = {
        "an unisolated evaluation": other.but(context=unisolated),
        "an evaluation among the cluster": other.but(context={groups: spark_group}),
        "a cluster behind the group of all jobs": cluster.but(context={groups: jobs_group}),
        "a cluster with a foot in the group of all jobs": cluster.but(
            context={groups: [*spark_group, *jobs_group]}
        ),
        "a cluster behind a group of others": cluster.but(context={groups: ["sg-0bad"]}),
        "a cluster behind no group": cluster.but(context={groups: None}),
        "a cluster in subnets of others": cluster.but(
            context={"sagemaker:VpcSubnets": ["subnet-0bad"]}
        ),
        "a cluster that talks in the clear": cluster.but(
            context={"sagemaker:InterContainerTrafficEncryption": "false"}
        ),
        "a cluster with disks in the clear": cluster.but(
            context={"sagemaker:VolumeKmsKeyArn": None}
        ),
        "a cluster with results in the clear": cluster.but(
            context={"sagemaker:OutputKmsKeyArn": None}
        ),
        "a person's cluster under the pipeline's name": cluster.but(who="StudioRole"),
        "a person's unisolated job": cluster.but(
            who="StudioRole", resource=own, context={groups: jobs_group}
        ),
        "a person's job among the cluster": cluster.but(
            who="StudioRole", resource=own, context={"sagemaker:NetworkIsolation": "true"}
        ),
        "an unisolated training": replace(
            cluster.but(context={groups: jobs_group}),
            action="sagemaker:CreateTrainingJob",
            resource=cluster.resource.replace("processing-job", "training-job"),
        ),
    }
    return {wants: request.but(extra=everything) for wants, request in tries.items()}


def _rights(account: Account) -> dict[str, Request]:
    """What an instance of the cluster could be made to do, or somebody with its credentials."""
    names = placeholders(account)
    bucket, role = names["bucket"], names[SPARK]

    def on(action: str, key: str) -> Request:
        return Request(SPARK, f"s3:{action}", f"{bucket}/{key}", {}, "S3Endpoint")

    thief = {"aws:ResourceAccount": "666677778888"}
    training = account.place.arn("sagemaker", "training-job/x")
    return {
        "the cluster replaces a table": on("PutObject", "raw/data.csv"),
        "the cluster replaces the code": on("PutObject", "code/0/train.py"),
        "the cluster replaces a library": on("PutObject", "code/libraries/x.whl"),
        "the cluster replaces a model": on("PutObject", "models/r/m.tar.gz"),
        "the cluster deletes results": on("DeleteObject", "processed/r/train/part-00000.parquet"),
        "the cluster reads results of other runs": on("GetObject", "processed/r/train/x"),
        "the cluster reads a model": on("GetObject", "models/r/m.tar.gz"),
        "the cluster reads people's files": on("GetObject", "studio/x"),
        "the cluster lists models": Request(
            SPARK, "s3:ListBucket", bucket, {"s3:prefix": "models/"}, "S3Endpoint"
        ),
        "the cluster reads another bucket": Request(
            SPARK, "s3:GetObject", "arn:aws:s3:::payroll/x", {}, "S3Endpoint"
        ),
        "the cluster carries the table to a thief's bucket": Request(
            SPARK,
            "s3:PutObject",
            "arn:aws:s3:::thief/x",
            thief,
            "S3Endpoint",
            everything_of("s3"),
            guard=OPEN,
        ),
        "stolen credentials read the table": on("GetObject", "raw/data.csv").but(via=""),
        "stolen credentials write results": on("PutObject", "processed/r/x").but(via=""),
        "the pipeline hands the role to Lambda": Request(
            "PipelineRole", "iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"}
        ),
        "a person hands the role to a job": Request(
            "StudioRole", "iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"}
        ),
        "a training job takes on the role": Request(
            "sagemaker.amazonaws.com", "sts:AssumeRole", role, {"aws:SourceArn": training}
        ),
        "a thief takes on the role": Request(THIEF, "sts:AssumeRole", role, {}, "", (ALL,)),
        "an evaluation reads raw tables": Request(
            "ProcessingRole", "s3:GetObject", f"{bucket}/raw/data.csv", {}, "S3Endpoint"
        ),
    }


def test_every_attack_is_refused(on_spark: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(on_spark, attempts) == []


def test_every_attack_would_succeed_without_policies(
    on_spark: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(on_spark, attempts) == []


def test_each_deny_for_the_cluster_stops_an_attack(
    on_spark: Account, attempts: dict[str, Request]
) -> None:
    parts = [part for part in limits(on_spark) if part.document == GUARDS]
    denies = [part for part in parts if part.sid in (*CLUSTER_SIDS, "NothingUnisolated")]
    assert len(denies) == 3
    stopped = let_through(on_spark, denies, [*attempts.values()])
    assert [str(part) for part, successes in stopped.items() if not successes] == []


def test_without_the_setting_nothing_is_exempt(account: Account) -> None:
    statements = account.documents[GUARDS].policy["Statement"]
    assert [one for one in statements if "NotResource" in one] == []
    assert SPARK not in account.roles


def test_a_named_pipeline_s_cluster_does_its_work_and_no_more() -> None:
    settings = {
        "pipeline": {"preprocess_engine": "spark"},
        "pipelines": [{"name": "main"}, {"name": "churn"}],
    }
    account = Account.of(resolve(Settings.model_validate(settings)))
    move = Move(account, Place("main", "pipeline"), Place("churn", "ChurnPipeline"))
    needed = _needed(account)
    churn = [replace(one, request=move.whole(one.request)) for one in needed]
    assert refused(account, churn) == []
    rights = f"identity/ChurnPipeline/{RIGHTS.partition('/')[2]}"
    parts = [part for part in allowances(account) if part.document == rights]
    needs = needed_by(account, parts, churn)
    assert len(parts) > 20
    assert [str(part) for part, calls in needs.items() if not calls] == []
    attempts = {**_jobs(account, needed), **_rights(account)}
    assert succeeding(account, {wants: move.whole(one) for wants, one in attempts.items()}) == []
    own = [one.request for one in needed if one.request.who == SPARK]
    crossings = {f"{one} {one.context}": move.about(one) for one in own if move.about(one) != one}
    assert len(crossings) > 3
    assert succeeding(account, crossings) == []
