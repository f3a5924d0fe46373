"""Permissions of the roles that SageMaker assumes for jobs and models.

Each role has the permissions for what the pipeline's definition has SageMaker do with it, and those
that every job in a VPC needs. Source, unless another is named: SageMaker developer guide, "How to
use SageMaker AI execution roles".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from awacs import cloudwatch, ec2, ecr, kms, logs, s3, sns
from awacs.aws import Bool, Condition, Statement, StringLike
from troposphere import Sub

from generator.images import Repository
from generator.policies.statements import (
    allow,
    allow_anywhere,
    arn,
    beginning_with,
    bucket_arn,
    objects_arn,
    through,
    use_key_of_logs,
)
from generator.settings_people import SHARED
from generator.wiring import BucketName, Expression, KeyArn, UniqueName
from pipeline.definition import SMOKE
from pipeline.layout import (
    ANSWERS,
    ASYNCHRONOUS,
    CAPTURED,
    CHAMPION,
    CODE,
    FAILURES,
    MODELS,
    PREDICTIONS,
    PROCESSED,
    RAW,
    REQUESTS,
    folder,
    named,
)

RESULT_TOPICS = ("answers", "failures")
"""Last words of the names of an asynchronous endpoint's topics."""
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints"
"""Prefix of the log groups of endpoints; the endpoint's name follows."""


RESULTS_OF_RUNS = tuple(f"{place}*/evaluation/" for place in (folder(PROCESSED), named(PROCESSED)))
"""Where runs write what they found out: metrics, the report and the gate's decision; no rows."""
SMOKE_TESTS = tuple(f"{place}*/{SMOKE.name}/" for place in (folder(PROCESSED), named(PROCESSED)))
"""Where runs write some test rows and the answers that an endpoint must give to them."""
FILES = "studio/"
"""Prefix of people's files."""
TABLES = (RAW, CODE)
RESULTS = (CODE, PROCESSED, MODELS)
"""What preprocessing and evaluation read, if they have separate roles."""
Folders = Callable[[str], Expression]
"""Returns the prefix of each kind of a pipeline's data (``pipeline.layout.folder``)."""


def processing(
    bucket: BucketName,
    key: KeyArn,
    repositories: Sequence[Repository],
    kinds: Sequence[str] = (RAW, *RESULTS),
    at: Folders = folder,
    written: Sequence[str] = (PROCESSED,),
) -> list[Statement]:
    """Preprocess, evaluate, predict: read the inputs, write ``processed/`` (and ``predictions/``).

    On Spark, the instances themselves list and read ``raw/`` with the same permissions. They need
    no others: SageMaker uploads their parts of the table as the outputs of a job, so that no Hadoop
    committer renames or deletes anything.
    """
    return [
        *read_prefixes(bucket, [at(kind) for kind in kinds]),
        write_prefixes(bucket, [at(kind) for kind in written]),
        *use_key(key),
        *pull_images(repositories),
        write_job_logs("/aws/sagemaker/ProcessingJobs"),
        put_metrics(),
    ]


def own_processing(
    bucket: BucketName,
    key: KeyArn,
    repositories: Sequence[Repository],
    at: Folders = folder,
    *,
    spark: bool,
    predicts: bool,
    compares: bool = False,
    checks: bool = False,
) -> list[Statement]:
    """Return the permissions of the isolated processing jobs of one pipeline.

    They read raw tables to prepare them, unless that is done on ``spark``, or to predict them; the
    archive that serves, if models are compared with it; and captured requests, if they ``check``
    them.
    """
    results = (*RESULTS, CHAMPION) if compares else RESULTS
    kinds = results if spark and not predicts else (RAW, *results)
    kinds = (*kinds, CAPTURED) if checks else kinds
    written = (PROCESSED, PREDICTIONS) if predicts else (PROCESSED,)
    return processing(bucket, key, repositories, kinds, at, written)


def training(
    bucket: BucketName, key: KeyArn, repositories: Sequence[Repository], at: Folders = folder
) -> list[Statement]:
    """Train: read code and prepared data, write ``models/``."""
    return [
        *read_prefixes(bucket, [at(CODE), at(PROCESSED)]),
        write_prefixes(bucket, [at(MODELS)]),
        *use_key(key),
        *pull_images(repositories),
        write_job_logs("/aws/sagemaker/TrainingJobs"),
        put_metrics(),
    ]


def notebook_jobs(
    bucket: BucketName,
    key: KeyArn,
    repositories: Sequence[Repository],
    *,
    several: bool = False,
    personal: bool = False,
) -> list[Statement]:
    """Jobs that people start from notebooks: read data, write only ``studio/``.

    The role is separate, because with the pipeline's roles a person could replace the data or the
    model of a run between its steps. With ``several`` pipelines, they read the data of all. With
    ``personal`` prefixes, a job also has what ``own_files`` says, for whoever started it: "the job
    creation API calls ingest the sourceIdentity that exists in the session".
    """
    others = (named(RAW), named(PROCESSED)) if several else ()
    files = files_of_all(personal=personal)
    return [
        *read_prefixes(bucket, ("raw/", "processed/", files, *others)),
        write_prefixes(bucket, (files,)),
        *use_key(key),
        *pull_images(repositories),
        write_job_logs("/aws/sagemaker/ProcessingJobs"),
        write_job_logs("/aws/sagemaker/TrainingJobs", sid="WriteTrainingLogs"),
        put_metrics(),
    ]


def files_of_all(*, personal: bool) -> str:
    """Return the prefix of the files that all people in Studio share."""
    return f"{FILES}{SHARED}/" if personal else FILES


def own_files(bucket: BucketName) -> list[Statement]:
    """Keep files under the prefix of the person, whom the domain passes as source identity.

    In statements of their own: where there is no source identity, as in a shared space, the
    variable cannot be resolved and the whole statement does not match. Source: SageMaker developer
    guide, "Monitoring user resource access from SageMaker AI Studio Classic with sourceIdentity".
    """
    own = f"{FILES}${{aws:SourceIdentity}}/"
    return [
        allow("KeepOwnFiles", [s3.GetObject, s3.PutObject], [objects_arn(bucket, own)]),
        allow(
            "ListOwnFiles",
            [s3.ListBucket],
            [bucket_arn(bucket)],
            Condition(StringLike("s3:prefix", f"{own}*")),
        ),
    ]


def model(
    bucket: BucketName,
    key: KeyArn,
    repositories: Sequence[Repository],
    endpoint: UniqueName,
    at: Folders = folder,
    *,
    captures: bool = False,
    asynchronous: bool = False,
    alarms: Sequence[Expression] = (),
) -> list[Statement]:
    """Serve: read ``models/``, write the endpoint's log and, if it ``captures``, requests.

    If it is ``asynchronous``, read requests, write answers, and tell of them (SageMaker developer
    guide, "Complete the prerequisites" of asynchronous inference). ``alarms`` are those that take
    requests back while they move to a new model. Sources for these: SageMaker developer guide,
    "Capture data from real-time endpoint" and "Auto-Rollback Configuration and Monitoring" ("your
    IAM execution role").
    """
    captured = [
        write_prefixes(bucket, [at(CAPTURED)]),
        allow("EncryptCaptured", [kms.GenerateDataKey], [key], Condition(through("s3"))),
    ]
    return [
        *(captured if captures else []),
        *(_answer_from_s3(bucket, key, endpoint, at) if asynchronous else []),
        *([allow("LookAtAlarms", [cloudwatch.DescribeAlarms], alarms)] if alarms else []),
        *read_prefixes(bucket, [at(MODELS)]),
        allow("DecryptModels", [kms.Decrypt, kms.DescribeKey], [key]),
        use_key_of_logs(key, held=[kms.Decrypt, kms.DescribeKey]),
        *pull_images(repositories),
        write_job_logs(f"{ENDPOINT_LOGS}/${{Endpoint}}", Endpoint=endpoint),
        put_metrics(),
        allow_anywhere("FindEndpointsOfTheVpc", [ec2.DescribeVpcEndpoints]),
    ]


def _answer_from_s3(
    bucket: BucketName, key: KeyArn, endpoint: UniqueName, at: Folders
) -> list[Statement]:
    """Read the requests that clients put into the bucket, write the answers, and tell of them."""
    place = at(ASYNCHRONOUS)
    requests, *written = [_below(place, rest) for rest in (REQUESTS, ANSWERS, FAILURES)]
    topics = [arn("sns", f"${{Endpoint}}-{what}", Endpoint=endpoint) for what in RESULT_TOPICS]
    return [
        allow("ReadRequests", [s3.GetObject], [objects_arn(bucket, requests)]),
        allow("WriteAnswers", [s3.PutObject], [objects_arn(bucket, one) for one in written]),
        allow("TellOfAnswers", [sns.Publish], topics),
        allow("EncryptAnswers", [kms.GenerateDataKey], [key], Condition(through("s3", "sns"))),
    ]


def _below(place: Expression, rest: str) -> Expression:
    return f"{place}{rest}" if isinstance(place, str) else Sub(f"${{Place}}{rest}", Place=place)


def from_first_to_last(key: KeyArn) -> list[Statement]:
    """Permissions that SageMaker needs in a job's role until its last interface is deleted.

    A role has them for as long as it exists, which is longer than the network: SageMaker uses them
    to delete an endpoint's interfaces after ``DeleteEndpoint`` has returned ("Do not delete or
    revoke the permissions for your ExecutionRoleArn", API_DeleteEndpoint).
    """
    return [*grant_key_for_volumes(key), *network_interfaces_of_jobs()]


def read_prefixes(bucket: BucketName, prefixes: Sequence[Expression]) -> list[Statement]:
    """Read objects under ``prefixes``, and list them."""
    return [
        allow("ReadObjects", [s3.GetObject], [objects_arn(bucket, p) for p in prefixes]),
        allow(
            "ListPrefixes",
            [s3.ListBucket],
            [bucket_arn(bucket)],
            Condition(StringLike("s3:prefix", [beginning_with(prefix) for prefix in prefixes])),
        ),
    ]


def write_prefixes(bucket: BucketName, prefixes: Sequence[Expression]) -> Statement:
    """Write objects under ``prefixes``."""
    return allow("WriteObjects", [s3.PutObject], [objects_arn(bucket, one) for one in prefixes])


def use_key(key: KeyArn) -> list[Statement]:
    """Encrypt and decrypt; data keys only through S3, and through Logs if job logs are encrypted.

    ``Encrypt`` has no ``kms:ViaService``: SageMaker checks the output key before a job, through
    which service is not documented.
    """
    always = [kms.Decrypt, kms.Encrypt, kms.DescribeKey]
    return [
        allow("UseKey", always, [key]),
        allow("DataKeys", [kms.GenerateDataKey], [key], Condition(through("s3"))),
        use_key_of_logs(key, held=always),
    ]


def grant_key_for_volumes(key: KeyArn) -> list[Statement]:
    """Let SageMaker encrypt the volumes of the instances."""
    return [
        allow(
            "GrantKeyForVolumes",
            [kms.CreateGrant],
            [key],
            Condition([Bool("kms:GrantIsForAWSResource", "true"), through("sagemaker")]),
        )
    ]


def pull_images(repositories: Sequence[Repository]) -> list[Statement]:
    """Pull the images; required for AWS's own images too (sagemaker-python-sdk issue 2002)."""
    return [
        allow(
            "PullImages",
            [ecr.BatchCheckLayerAvailability, ecr.BatchGetImage, ecr.GetDownloadUrlForLayer],
            [repository.arn() for repository in repositories],
        ),
        allow_anywhere("LogInToRegistry", [ecr.GetAuthorizationToken]),
    ]


def write_job_logs(group: str, sid: str = "WriteLogs", **values: Expression) -> Statement:
    """Write to a log group that all jobs of the account share.

    Source: SageMaker developer guide, "Log groups and streams".
    """
    return allow(
        sid,
        [logs.CreateLogGroup, logs.CreateLogStream, logs.PutLogEvents, logs.DescribeLogStreams],
        [
            arn("logs", f"log-group:{group}:*", **values),
            arn("logs", f"log-group:{group}", **values),
        ],
    )


def put_metrics() -> Statement:
    """Put the instances' metrics."""
    namespaces = ["/aws/sagemaker/*", "aws/sagemaker/*"]
    return allow_anywhere(
        "PutMetrics",
        [cloudwatch.PutMetricData],
        Condition(StringLike("cloudwatch:namespace", namespaces)),
    )


def network_interfaces_of_jobs() -> list[Statement]:
    """Create the jobs' network interfaces in our subnets.

    Without conditions: otherwise "validation fails" for processing jobs. If denied, the job reports
    only an InternalServerError (sagemaker-python-sdk issue 3026).
    """
    return [
        allow_anywhere(
            "NetworkInterfacesOfJobs",
            [
                ec2.CreateNetworkInterface,
                ec2.CreateNetworkInterfacePermission,
                ec2.DeleteNetworkInterface,
                ec2.DeleteNetworkInterfacePermission,
                ec2.DescribeDhcpOptions,
                ec2.DescribeNetworkInterfaces,
                ec2.DescribeSecurityGroups,
                ec2.DescribeSubnets,
                ec2.DescribeVpcs,
            ],
        )
    ]
