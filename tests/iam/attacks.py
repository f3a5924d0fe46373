"""What a thief, a curious colleague or a mistake would try, and has to be refused.

Each attack is named for what it wants. `MISTAKE` policies are attached on top where the attack is
about a control that has to hold whatever else an organisation allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.types import Json
from tests.iam.account import ALL, PROFILE, Account, Context, Request
from tests.iam.names import placeholders
from tests.iam.required import Required

FOREIGN: Final = "666677778888"
THIEF: Final = f"arn:aws:iam::{FOREIGN}:role/thief"
_REPLICA_KEY: Final = "11111111-2222-3333-4444-555555555555"
OPEN: Final[Json] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}
"""The policy of an attacker's own bucket, key or repository."""


def everything_of(service: str) -> tuple[Json, ...]:
    """Return a policy attached by mistake: all of one service, as its FullAccess policies do."""
    statement = {"Effect": "Allow", "Action": f"{service}:*", "Resource": "*"}
    return ({"Version": "2012-10-17", "Statement": [statement]},)


@dataclass(frozen=True)
class Attack:
    """One attempt: the kind, what the attacker wants, and the request that would give it."""

    kind: str
    wants: str
    request: Request

    def __str__(self) -> str:
        return f"{self.kind}: {self.wants}"


def attacks(account: Account, calls: Sequence[Required]) -> list[Attack]:
    """Return every attack on a deployment; some are legitimate calls with one thing changed."""
    target = _Target(account, placeholders(account))
    groups = (
        ("another prefix", _other_prefixes(target)),
        ("another bucket", _other_buckets(target)),
        ("another account", _other_accounts(target)),
        ("another role", _other_roles(target)),
        ("plain or old transport", _plain_transport(target)),
        ("another key", _other_keys(target)),
        ("a job outside", _jobs_outside(target, calls)),
        ("a confused deputy", _confused_deputies(target)),
        ("a stolen role", _stolen_roles(target)),
        ("no traces", _no_traces(target)),
        ("more rights", _more_rights(target)),
        ("what belongs to others", _belongs_to_others(target)),
        ("more than copies", _replication(target)),
    )
    return [Attack(kind, wants, request) for kind, group in groups for wants, request in group]


Attempt = Iterator[tuple[str, Request]]


@dataclass(frozen=True)
class _Target:
    """The deployment under attack: ARNs of what it has, and of what stands beside it."""

    account: Account
    names: Mapping[str, str]

    def __call__(self, text: str) -> str:
        """Fill in the names of the deployment."""
        return text.format_map(self.names)

    def sagemaker(self, resource: str) -> str:
        return self.account.place.arn("sagemaker", self(resource))

    def object(self, key: str) -> str:
        return f"{self.names['bucket']}/{key}"

    def on_object(self, who: str, action: str, key: str, **context: str) -> Request:
        return Request(who, f"s3:{action}", self.object(key), context, "S3Endpoint")

    def on_sagemaker(
        self, who: str, action: str, resource: str, context: Context | None = None
    ) -> Request:
        arn = self.sagemaker(resource) if resource != "*" else "*"
        return Request(who, f"sagemaker:{action}", arn, context or {}, "SagemakerApiEndpoint")


_ADMINISTRATOR: Final = "arn:aws:iam::{account}:role/administrator"


def _other_prefixes(target: _Target) -> Attempt:
    tries = (
        ("a processing job replaces a model", "ProcessingRole", "PutObject", "models/r/m.tar.gz"),
        ("a processing job replaces the data", "ProcessingRole", "PutObject", "raw/data.csv"),
        ("a processing job replaces the code", "ProcessingRole", "PutObject", "code/0/train.py"),
        ("a processing job deletes data", "ProcessingRole", "DeleteObject", "raw/data.csv"),
        ("a training job replaces prepared data", "TrainingRole", "PutObject", "processed/r/x"),
        ("a training job replaces the code", "TrainingRole", "PutObject", "code/0/train.py"),
        ("a training job reads raw data", "TrainingRole", "GetObject", "raw/data.csv"),
        ("a training job reads people's files", "TrainingRole", "GetObject", "studio/x"),
        ("a model reads raw data", "ModelRole", "GetObject", "raw/data.csv"),
        ("a model reads prepared data", "ModelRole", "GetObject", "processed/r/train/x"),
        ("a model replaces itself", "ModelRole", "PutObject", "models/r/m.tar.gz"),
        ("an experiment replaces a model", "NotebookJobsRole", "PutObject", "models/r/m.tar.gz"),
        ("an experiment replaces a report", "NotebookJobsRole", "PutObject", "processed/r/e.json"),
        ("an experiment replaces the data", "NotebookJobsRole", "PutObject", "raw/data.csv"),
        ("an experiment replaces the code", "NotebookJobsRole", "PutObject", "code/0/train.py"),
        ("an experiment takes a model", "NotebookJobsRole", "GetObject", "models/r/m.tar.gz"),
        ("a person replaces a model", "StudioRole", "PutObject", "models/r/m.tar.gz"),
        ("a person replaces a report", "StudioRole", "PutObject", "processed/r/e.json"),
        ("a person replaces the pipeline's code", "StudioRole", "PutObject", "code/0/train.py"),
        ("a person deletes the data", "StudioRole", "DeleteObject", "raw/data.csv"),
        ("a person deletes old versions", "StudioRole", "DeleteObjectVersion", "raw/data.csv"),
        ("the pipeline reads raw data", "PipelineRole", "GetObject", "raw/data.csv"),
        ("the pipeline replaces a model", "PipelineRole", "PutObject", "models/r/m.tar.gz"),
        ("the seed replaces a person's data", "SeedDataRole", "PutObject", "raw/other.csv"),
        ("the seed deletes a person's data", "SeedDataRole", "DeleteObject", "raw/other.csv"),
        ("the manager replaces a model", "PipelineManagerRole", "PutObject", "models/r/m.tar.gz"),
        ("the manager reads raw data", "PipelineManagerRole", "GetObject", "raw/data.csv"),
    )
    for wants, who, action, key in tries:
        yield wants, target.on_object(who, action, key)
    listed = target.names["bucket"]
    for who, prefix in (
        ("TrainingRole", "raw/"),
        ("ModelRole", "processed/"),
        ("NotebookJobsRole", "models/"),
        ("ProcessingRole", "studio/"),
        ("PipelineRole", "raw/"),
        ("StudioRole", "code/"),
    ):
        request = Request(who, "s3:ListBucket", listed, {"s3:prefix": prefix}, "S3Endpoint")
        yield f"{who} lists {prefix}", request
    yield (
        "a person lists everything",
        Request("StudioRole", "s3:ListBucket", listed, {"s3:prefix": ""}, "S3Endpoint"),
    )


def _other_buckets(target: _Target) -> Attempt:
    for who in ("ProcessingRole", "StudioRole", "NotebookJobsRole", "TrainingRole"):
        for bucket, what in (
            (target.names["log_bucket"], "the access logs"),
            ("arn:aws:s3:::payroll", "another bucket of the account"),
        ):
            request = Request(who, "s3:GetObject", f"{bucket}/x", {}, "S3Endpoint")
            yield f"{who} reads {what}", request
    yield (
        "a person brings data to another bucket of the account",
        Request("StudioRole", "s3:PutObject", "arn:aws:s3:::payroll/x", {}, "S3Endpoint"),
    )
    yield (
        "the emptying function empties another bucket",
        Request("EmptyBucketRole", "s3:DeleteObject", "arn:aws:s3:::payroll/x", {}, "S3Endpoint"),
    )
    yield (
        "the emptying function changes another bucket's policy",
        Request("EmptyBucketRole", "s3:PutBucketPolicy", "arn:aws:s3:::payroll", {}, "S3Endpoint"),
    )


def _other_accounts(target: _Target) -> Attempt:
    """All with the caller's rights in order: the endpoints' policies have to refuse."""
    theirs = {"aws:ResourceAccount": FOREIGN}
    for who in ("StudioRole", "ProcessingRole", "TrainingRole", "NotebookJobsRole"):
        yield (
            f"{who} copies data to a thief's bucket",
            Request(
                who,
                "s3:PutObject",
                "arn:aws:s3:::thief/data",
                theirs,
                "S3Endpoint",
                everything_of("s3"),
                guard=OPEN,
            ),
        )
    yield (
        "a person loads a tool from a thief's bucket",
        Request(
            "StudioRole",
            "s3:GetObject",
            "arn:aws:s3:::thief/tool",
            theirs,
            "S3Endpoint",
            everything_of("s3"),
            guard=OPEN,
        ),
    )
    answers = "cloudformation-custom-resource-response-euwest1"
    for wants, who, action, bucket in (
        ("others' answers to CloudFormation", "StudioRole", "GetObject", answers),
        (
            "to change an image's layers",
            "StudioRole",
            "PutObject",
            "prod-{region}-starport-layer-bucket",
        ),
    ):
        arn = target(f"arn:aws:s3:::{bucket}/x")
        yield (
            wants,
            Request(
                who, f"s3:{action}", arn, theirs, "S3Endpoint", everything_of("s3"), guard=OPEN
            ),
        )
    yield from _foreign_principals(target)
    yield from _foreign_credentials(target)
    yield from _foreign_resources(target)


def _foreign_principals(target: _Target) -> Attempt:
    """A thief's own credentials, brought along into a notebook."""
    theirs = {"aws:ResourceAccount": FOREIGN}
    bucket = "arn:aws:s3:::thief/data"
    yield (
        "a thief's credentials carry data through our endpoint to their bucket",
        Request(THIEF, "s3:PutObject", bucket, theirs, "S3Endpoint", (ALL,)),
    )
    ours = target.object("raw/data.csv")
    own = {"aws:ResourceAccount": target("{account}")}
    yield (
        "a thief's credentials come in through our endpoint",
        Request(THIEF, "s3:GetObject", ours, own, "S3Endpoint", (ALL,), guard=OPEN),
    )
    for endpoint, action, arn in (
        (
            "SagemakerApiEndpoint",
            "sagemaker:CreateModel",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":model/x",
        ),
        (
            "SagemakerRuntimeEndpoint",
            "sagemaker:InvokeEndpoint",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":endpoint/x",
        ),
        (
            "LogsEndpoint",
            "logs:CreateLogGroup",
            "arn:aws:logs:{region}:" + FOREIGN + ":log-group:x",
        ),
        ("StsEndpoint", "sts:AssumeRole", "arn:aws:iam::" + FOREIGN + ":role/other"),
        (
            "CloudformationEndpoint",
            "cloudformation:CreateStack",
            "arn:aws:cloudformation:{region}:" + FOREIGN + ":stack/x/1",
        ),
        ("EcrDkrEndpoint", "ecr:PutImage", "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x"),
        ("EcrApiEndpoint", "ecr:PutImage", "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x"),
        (
            "EcrDkrEndpoint",
            "ecr:BatchGetImage",
            "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x",
        ),
        (
            "EcrApiEndpoint",
            "ecr:BatchGetImage",
            "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x",
        ),
        (
            "SagemakerStudioEndpoint",
            "sagemaker:CreateApp",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":app/d-1/p/jupyterlab/a",
        ),
    ):
        yield (
            f"a thief's credentials call {action} through our {endpoint}",
            Request(THIEF, action, target(arn), theirs, endpoint, (ALL,), guard=OPEN),
        )


def _foreign_credentials(target: _Target) -> Attempt:
    """A thief's own credentials on what is ours, were it open to all, or on nothing special."""
    ours = {"aws:ResourceAccount": target("{account}")}
    for endpoint, action, arn in (
        ("SagemakerApiEndpoint", "sagemaker:CreateModel", target.sagemaker("model/x")),
        (
            "SagemakerRuntimeEndpoint",
            "sagemaker:InvokeEndpoint",
            target.sagemaker("endpoint/{name}"),
        ),
        (
            "SagemakerStudioEndpoint",
            "sagemaker:CreateApp",
            target.sagemaker("app/{domain}/x/jupyterlab/default"),
        ),
        ("StsEndpoint", "sts:AssumeRole", target(_ADMINISTRATOR)),
    ):
        yield (
            f"a thief's credentials: {action} on ours through our {endpoint}",
            Request(THIEF, action, arn, ours, endpoint, (ALL,), guard=OPEN),
        )
    for endpoint, action in (
        ("SagemakerApiEndpoint", "sagemaker:ListModels"),
        ("EcrApiEndpoint", "ecr:GetAuthorizationToken"),
        ("EcrDkrEndpoint", "ecr:GetAuthorizationToken"),
        ("LogsEndpoint", "logs:DescribeQueries"),
        ("CloudformationEndpoint", "cloudformation:ListStacks"),
    ):
        yield (
            f"a thief's credentials: {action} through our {endpoint}",
            Request(THIEF, action, "*", {}, endpoint, (ALL,), guard=OPEN),
        )


def _foreign_resources(target: _Target) -> Attempt:
    """Our own roles, on what is a thief's and open to all."""
    theirs = {"aws:ResourceAccount": FOREIGN}
    for wants, endpoint, action, arn in (
        (
            "data leaves in an image",
            "EcrDkrEndpoint",
            "ecr:PutImage",
            "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x",
        ),
        (
            "data leaves in an image, by the API",
            "EcrApiEndpoint",
            "ecr:PutImage",
            "arn:aws:ecr:{region}:" + FOREIGN + ":repository/x",
        ),
        (
            "data leaves as log lines",
            "LogsEndpoint",
            "logs:PutLogEvents",
            "arn:aws:logs:{region}:" + FOREIGN + ":log-group:x:log-stream:y",
        ),
        (
            "data leaves to a thief's endpoint",
            "SagemakerRuntimeEndpoint",
            "sagemaker:InvokeEndpoint",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":endpoint/x",
        ),
        (
            "a model goes to a thief's registry",
            "SagemakerApiEndpoint",
            "sagemaker:CreateModelPackage",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":model-package/x/1",
        ),
        (
            "a thief's role is taken on",
            "StsEndpoint",
            "sts:AssumeRole",
            "arn:aws:iam::" + FOREIGN + ":role/other",
        ),
        (
            "a thief's stack is made",
            "CloudformationEndpoint",
            "cloudformation:CreateStack",
            "arn:aws:cloudformation:{region}:" + FOREIGN + ":stack/x/1",
        ),
        (
            "a thief's Studio is opened",
            "SagemakerStudioEndpoint",
            "sagemaker:CreateApp",
            "arn:aws:sagemaker:{region}:" + FOREIGN + ":app/d-1/p/jupyterlab/a",
        ),
    ):
        yield (
            wants,
            Request("StudioRole", action, target(arn), theirs, endpoint, (ALL,), guard=OPEN),
        )


def _other_roles(target: _Target) -> Attempt:
    sagemaker, compute = "sagemaker.amazonaws.com", "ec2.amazonaws.com"
    administrator = target(_ADMINISTRATOR)
    for wants, who, role, service in (
        ("a job that may write the pipeline's data", "StudioRole", "{ProcessingRole}", sagemaker),
        ("a job that may write models", "StudioRole", "{TrainingRole}", sagemaker),
        ("a model of one's own", "StudioRole", "{ModelRole}", sagemaker),
        ("a pipeline of one's own", "StudioRole", "{PipelineRole}", sagemaker),
        ("a job with an administrator's rights", "StudioRole", administrator, sagemaker),
        ("a job with one's own rights", "StudioRole", "{StudioRole}", sagemaker),
        ("a machine with a job's role", "StudioRole", "{NotebookJobsRole}", compute),
        (
            "a function with a job's role",
            "StudioRole",
            "{NotebookJobsRole}",
            "lambda.amazonaws.com",
        ),
        ("a step with an administrator's rights", "PipelineRole", administrator, sagemaker),
        ("a step with a person's rights", "PipelineRole", "{StudioRole}", sagemaker),
        ("a step with the pipeline's own rights", "PipelineRole", "{PipelineRole}", sagemaker),
        ("a machine with the processing role", "PipelineRole", "{ProcessingRole}", compute),
        ("a machine with the training role", "PipelineRole", "{TrainingRole}", compute),
        ("a machine with the model's role", "PipelineRole", "{ModelRole}", compute),
        (
            "a pipeline with an administrator's rights",
            "PipelineManagerRole",
            administrator,
            sagemaker,
        ),
        ("a machine with the pipeline's role", "PipelineManagerRole", "{PipelineRole}", compute),
    ):
        context = {"iam:PassedToService": service}
        yield wants, Request(who, "iam:PassRole", target(role), context)


def _plain_transport(target: _Target) -> Attempt:
    """By somebody who may do everything: only the resources' Denies are left."""
    administrator = target(_ADMINISTRATOR)
    for what, action, arn in (
        ("data", "s3:GetObject", target.object("raw/data.csv")),
        ("access logs", "s3:GetObject", target("{log_bucket}/data/x")),
        ("messages of the queue", "sqs:ReceiveMessage", target("{queue}")),
        ("alerts", "sns:Publish", target("{topic}")),
    ):
        context = {"aws:SecureTransport": "false"}
        yield f"{what} in clear text", Request(administrator, action, arn, context, "", (ALL,))
    for what, arn in (
        ("data", target.object("raw/data.csv")),
        ("access logs", target("{log_bucket}/data/x")),
    ):
        context = {"s3:TlsVersion": "1.1"}
        yield (
            f"{what} over a TLS that can be broken",
            Request(administrator, "s3:GetObject", arn, context, "", (ALL,)),
        )


_KEY_USERS: Final = (
    "ProcessingRole",
    "TrainingRole",
    "NotebookJobsRole",
    "StudioRole",
    "ModelRole",
    "PipelineRole",
)


def _other_keys(target: _Target) -> Attempt:
    key, other = target("{key}"), target("arn:aws:kms:{region}:{account}:key/" + "0" * 36)
    theirs = target("arn:aws:kms:{region}:" + FOREIGN + ":key/" + "0" * 36)
    header = "s3:x-amz-server-side-encryption"
    through_s3 = {"kms:ViaService": target("s3.{region}.amazonaws.com")}
    upload = target.on_object("StudioRole", "PutObject", "raw/x")
    yield "an upload without our key", upload.but(context={header: "AES256"})
    kms_header = {header: "aws:kms", f"{header}-aws-kms-key-id": theirs}
    yield "an upload under a thief's key", upload.but(context=kms_header)
    ours_not = {header: "aws:kms", f"{header}-aws-kms-key-id": other}
    yield "an upload under another key of the account", upload.but(context=ours_not)
    yield "an upload under S3's own key of the account", upload.but(context={header: "aws:kms"})
    customer = {f"{header}-customer-algorithm": "AES256"}
    yield "data under a key that only the thief has (ransom)", upload.but(context=customer)
    yield (
        "another key of the account",
        Request("ProcessingRole", "kms:Decrypt", other, through_s3),
    )
    yield (
        "a thief's key",
        Request("ProcessingRole", "kms:Encrypt", theirs, {}, guard=OPEN),
    )
    for who in _KEY_USERS:
        yield f"{who} makes data keys of its own", Request(who, "kms:GenerateDataKey", key)
        to_people = {
            "kms:GrantIsForAWSResource": "false",
            "kms:ViaService": target("sagemaker.{region}.amazonaws.com"),
        }
        yield f"{who} hands the key on to a person", Request(who, "kms:CreateGrant", key, to_people)
        elsewhere = {"kms:GrantIsForAWSResource": "true", "kms:ViaService": "ec2.amazonaws.com"}
        yield f"{who} encrypts a disk elsewhere", Request(who, "kms:CreateGrant", key, elsewhere)
    yield "a person decrypts what is not in S3", Request("StudioRole", "kms:Decrypt", key)
    sagemaker = {"kms:ViaService": target("sagemaker.{region}.amazonaws.com")}
    for who, action in (
        ("FlowLogsRole", "Decrypt"),
        ("StudioRole", "Decrypt"),
        ("ModelRole", "GenerateDataKeyWithoutPlaintext"),
        ("StudioRole", "GenerateDataKeyWithoutPlaintext"),
        ("SeedDataRole", "GenerateDataKeyWithoutPlaintext"),
    ):
        request = Request(who, f"kms:{action}", key, sagemaker)
        yield f"{who} uses the key as whoever deploys does: {action}", request
    yield from _functions_and_key(target, key)
    yield from _key_by_others(target, key)


def _functions_and_key(target: _Target, key: str) -> Attempt:
    for who in (
        "VpcBaselineRole",
        "EmptyBucketRole",
        "ClearStudioRole",
        "SeedDataRole",
        "PipelineManagerRole",
        "FlowLogsRole",
    ):
        yield f"{who} decrypts by itself", Request(who, "kms:Decrypt", key)
        elsewhere = {"kms:ViaService": target("secretsmanager.{region}.amazonaws.com")}
        yield f"{who} decrypts secrets", Request(who, "kms:Decrypt", key, elsewhere)


def _key_by_others(target: _Target, key: str) -> Attempt:
    administrator = target(_ADMINISTRATOR)
    no_aws = {"kms:GrantIsForAWSResource": "false"}
    yield (
        "an administrator decrypts volumes",
        Request(administrator, "kms:Decrypt", key, {}, "", (ALL,)),
    )
    yield (
        "an administrator hands the key on to a person",
        Request(administrator, "kms:CreateGrant", key, no_aws, "", (ALL,)),
    )
    yield (
        "a thief decrypts",
        Request(THIEF, "kms:Decrypt", key, {}, "", (ALL,)),
    )
    for who, action in (
        ("StudioRole", "kms:ScheduleKeyDeletion"),
        ("StudioRole", "kms:PutKeyPolicy"),
        ("PipelineManagerRole", "kms:DisableKey"),
        ("EmptyBucketRole", "kms:ScheduleKeyDeletion"),
    ):
        yield f"{who} makes the data unreadable: {action}", Request(who, action, key)
    context_key = "kms:EncryptionContext:aws:logs:arn"
    for wants, group in (
        ("a log group of another stack", target("arn:aws:logs:{region}:{account}:log-group:other")),
        ("a thief's log group", target("arn:aws:logs:{region}:" + FOREIGN + ":log-group:demo-x")),
    ):
        logs = target("logs.{region}.amazonaws.com")
        yield f"{wants} uses our key", Request(logs, "kms:Decrypt", key, {context_key: group})
    yield (
        "alarms of a thief's account use our key",
        Request("cloudwatch.amazonaws.com", "kms:Decrypt", key, {"aws:SourceAccount": FOREIGN}),
    )


_KEY_OF_A_THIEF: Final = f"arn:aws:kms:eu-west-1:{FOREIGN}:key/x"
_JOB_CHANGES: Final[Mapping[str, Mapping[str, str | list[str] | None]]] = {
    "outside the VPC": {"VpcSubnets": None, "VpcSecurityGroupIds": None},
    "in subnets of others": {"VpcSubnets": ["subnet-0bad"]},
    "in no subnet": {"VpcSubnets": None},
    "behind no security group": {"VpcSecurityGroupIds": None},
    "behind a security group of others": {"VpcSecurityGroupIds": ["sg-0bad"]},
    "with a disk in the clear": {"VolumeKmsKeyArn": None},
    "with a disk under a thief's key": {"VolumeKmsKeyArn": _KEY_OF_A_THIEF},
    "with output in the clear": {"OutputKmsKeyArn": None},
    "with output under a thief's key": {"OutputKmsKeyArn": _KEY_OF_A_THIEF},
    "that may call the network": {"NetworkIsolation": "false"},
    "that does not say it is isolated": {"NetworkIsolation": None},
    "with traffic in the clear": {"InterContainerTrafficEncryption": "false"},
    "that does not say its traffic is encrypted": {"InterContainerTrafficEncryption": None},
    "on a machine that costs too much": {"InstanceTypes": ["ml.p5.48xlarge"]},
    "on one machine too much among others": {"InstanceTypes": ["ml.m5.large", "ml.p5.48xlarge"]},
    "on a machine that it does not name": {"InstanceTypes": None},
    "that may run for a month": {"MaxRuntimeInSeconds": "2592000"},
    "that does not say how long it may run": {"MaxRuntimeInSeconds": None},
}
"""Condition keys of SageMaker that differ from a legitimate request; None: not sent."""


def _jobs_outside(target: _Target, calls: Sequence[Required]) -> Attempt:
    """Legitimate jobs and models with one thing changed, by roles with all of SageMaker."""
    created = {
        (call.request.who, call.request.action): call.request
        for call in calls
        if call.request.action.startswith("sagemaker:Create")
        and call.request.who in ("PipelineRole", "StudioRole")
        and not call.request.action.endswith(("CreateApp", "CreateSpace"))  # an app is no job
    }
    for (who, action), request in created.items():
        for wants, keys in _JOB_CHANGES.items():
            change = {f"sagemaker:{key}": value for key, value in keys.items()}
            if change.keys() <= request.context.keys():
                name = action.partition(":Create")[2]
                mistake = request.but(context=change, extra=everything_of("sagemaker"))
                yield f"{who}: a {name} {wants}", mistake
        yield from _mixed_network(who, action, request)
    yield from _other_jobs(target)


def _mixed_network(who: str, action: str, request: Request) -> Attempt:
    for key, bad in (
        ("sagemaker:VpcSubnets", "subnet-0bad"),
        ("sagemaker:VpcSecurityGroupIds", "sg-0bad"),
    ):
        if key in request.context:
            mixed = {key: [*request.context[key], bad]}
            changed = request.but(context=mixed, extra=everything_of("sagemaker"))
            yield f"{who}: {action} with one foot outside ({key})", changed


def _other_jobs(target: _Target) -> Attempt:
    """Kinds of job that nobody here needs, by people with all of SageMaker."""
    kinds = {
        "AutoMLJobV2": "automl-job",
        "Cluster": "cluster",
        "DataQualityJobDefinition": "data-quality-job-definition",
        "EndpointConfig": "endpoint-config",
        "HyperParameterTuningJob": "hyper-parameter-tuning-job",
        "LabelingJob": "labeling-job",
        "Model": "model",
        "MonitoringSchedule": "monitoring-schedule",
        "NotebookInstance": "notebook-instance",
        "TransformJob": "transform-job",
    }
    for name, resource in kinds.items():
        request = target.on_sagemaker("StudioRole", f"Create{name}", f"{resource}/x")
        yield f"a person makes a bare {name}", request.but(extra=everything_of("sagemaker"))


def _confused_deputies(target: _Target) -> Attempt:
    sagemaker = "sagemaker.amazonaws.com"
    place = "arn:aws:sagemaker:{region}:{account}:"
    foreign = "arn:aws:sagemaker:{region}:" + FOREIGN + ":"
    for role, kind in (
        ("ProcessingRole", "processing-job/x"),
        ("TrainingRole", "training-job/x"),
        ("NotebookJobsRole", "training-job/x"),
        ("ModelRole", "model/x"),
        ("PipelineRole", "pipeline/{name}/execution/x"),
        ("StudioRole", "app/x"),
    ):
        yield (
            f"a thief's {kind.partition('/')[0]} takes on {role}",
            _assume(target, sagemaker, role, {"aws:SourceArn": target(foreign + kind)}),
        )
        yield f"somebody's request takes on {role}", _assume(target, sagemaker, role, {})
    for wants, role, source in (
        ("a training job takes on the processing role", "ProcessingRole", "training-job/x"),
        ("a processing job takes on the training role", "TrainingRole", "processing-job/x"),
        ("a model takes on the role of experiments", "NotebookJobsRole", "model/x"),
        (
            "another pipeline takes on the pipeline's role",
            "PipelineRole",
            "pipeline/other/execution/x",
        ),
    ):
        context = {"aws:SourceArn": target(place + source)}
        yield wants, _assume(target, sagemaker, role, context)
    yield from _other_services(target)


def _assume(target: _Target, service: str, role: str, context: Context) -> Request:
    return Request(service, "sts:AssumeRole", target.names[role], context)


def _other_services(target: _Target) -> Attempt:
    ours = {"aws:SourceArn": target("arn:aws:sagemaker:{region}:{account}:processing-job/x")}
    for service, role in (
        ("ec2.amazonaws.com", "StudioRole"),
        ("lambda.amazonaws.com", "ProcessingRole"),
        ("glue.amazonaws.com", "PipelineRole"),
        ("sagemaker.amazonaws.com", "PipelineManagerRole"),
    ):
        yield f"{service} takes on {role}", _assume(target, service, role, ours)
    flow = {
        "aws:SourceAccount": FOREIGN,
        "aws:SourceArn": target("arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-1"),
    }
    yield (
        "a thief's flow log writes to our log",
        _assume(target, "vpc-flow-logs.amazonaws.com", "FlowLogsRole", flow),
    )
    other = {**flow, "aws:SourceAccount": target("{account}")}
    other["aws:SourceArn"] = target("arn:aws:ec2:{region}:" + FOREIGN + ":vpc-flow-log/fl-1")
    yield (
        "a flow log of a thief's VPC writes to our log",
        _assume(target, "vpc-flow-logs.amazonaws.com", "FlowLogsRole", other),
    )
    for who in (target(_ADMINISTRATOR), THIEF):
        for role in ("StudioRole", "PipelineRole", "EmptyBucketRole"):
            arn = target.names[role]
            yield f"{who} takes on {role}", Request(who, "sts:AssumeRole", arn, {}, "", (ALL,))
    yield from _other_sources(target)


def _other_sources(target: _Target) -> Attempt:
    events = "events.amazonaws.com"
    rule = target("arn:aws:events:{region}:{account}:rule/other")
    yield (
        "another rule fills our queue",
        Request(events, "sqs:SendMessage", target("{queue}"), {"aws:SourceArn": rule}),
    )
    yield (
        "alarms of a thief's account publish to our topic",
        Request(
            "cloudwatch.amazonaws.com",
            "sns:Publish",
            target("{topic}"),
            {"aws:SourceAccount": FOREIGN},
        ),
    )
    logging, log = "logging.s3.amazonaws.com", target("{log_bucket}/data/x")
    ours = {"aws:SourceAccount": target("{account}"), "aws:SourceArn": target("{bucket}")}
    yield (
        "a thief's bucket fills our log bucket",
        Request(logging, "s3:PutObject", log, {**ours, "aws:SourceAccount": FOREIGN}),
    )
    other_source = {**ours, "aws:SourceArn": target("arn:aws:ec2:{region}:{account}:x/y")}
    yield (
        "what is no bucket fills our log bucket",
        Request(logging, "s3:PutObject", log, other_source),
    )
    for who in (THIEF, "s3.amazonaws.com"):
        yield (
            f"{who} writes to the log bucket",
            Request(who, "s3:PutObject", log, ours, "", (ALL,) if who == THIEF else ()),
        )


def _stolen_roles(target: _Target) -> Attempt:
    """Credentials of our roles, used on a machine of the thief's."""
    for who, action, key in (
        ("StudioRole", "GetObject", "raw/data.csv"),
        ("StudioRole", "PutObject", "raw/data.csv"),
        ("ProcessingRole", "GetObject", "raw/data.csv"),
        ("ProcessingRole", "PutObject", "processed/r/x"),
        ("TrainingRole", "GetObject", "processed/r/x"),
        ("TrainingRole", "PutObject", "models/r/m.tar.gz"),
        ("NotebookJobsRole", "GetObject", "raw/data.csv"),
        ("NotebookJobsRole", "PutObject", "studio/x"),
        ("SeedDataRole", "PutObject", "raw/data.csv"),
        ("PipelineManagerRole", "PutObject", "code/0/train.py"),
        ("EmptyBucketRole", "DeleteObject", "raw/data.csv"),
        ("EmptyBucketRole", "DeleteObjectVersion", "raw/data.csv"),
    ):
        inside = target.on_object(who, action, key)
        yield f"{who}: {action} from the internet", inside.but(via="")
        elsewhere = {"aws:SourceVpce": "vpce-0bad"}
        yield f"{who}: {action} from a thief's VPC", inside.but(via="", context=elsewhere)


def _no_traces(target: _Target) -> Attempt:
    administrator = target(_ADMINISTRATOR)
    log = target("{log_bucket}/data/x")
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        yield (
            f"an administrator removes access logs: {action}",
            Request(administrator, action, log, {}, "", (ALL,)),
        )
    groups = "arn:aws:logs:{region}:{account}:log-group:"
    for who, action, arn in (
        ("StudioRole", "logs:DeleteLogGroup", groups + "/aws/sagemaker/studio"),
        ("StudioRole", "logs:DeleteLogStream", groups + "/aws/sagemaker/TrainingJobs:log-stream:x"),
        ("StudioRole", "logs:PutRetentionPolicy", groups + "/aws/sagemaker/studio"),
        ("StudioRole", "logs:GetLogEvents", groups + "{log_group}:log-stream:x"),
        ("StudioRole", "logs:FilterLogEvents", groups + "/aws/sagemaker/Endpoints/payroll"),
        ("ProcessingRole", "logs:DeleteLogGroup", groups + "/aws/sagemaker/ProcessingJobs"),
        ("SeedDataRole", "logs:DeleteLogGroup", groups + "{group_SeedData}"),
        ("PipelineManagerRole", "logs:PutLogEvents", groups + "{group_SeedData}:log-stream:x"),
        ("FlowLogsRole", "logs:DeleteLogGroup", groups + "{log_group}"),
        ("StudioRole", "s3:PutBucketLogging", "{bucket}"),
        ("EmptyBucketRole", "s3:PutBucketLogging", "{bucket}"),
        ("EmptyBucketRole", "s3:PutBucketVersioning", "{bucket}"),
        (
            "VpcBaselineRole",
            "ec2:DeleteFlowLogs",
            "arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-1",
        ),
        ("StudioRole", "cloudtrail:StopLogging", "arn:aws:cloudtrail:{region}:{account}:trail/t"),
    ):
        yield f"{who} hides: {action}", Request(who, action, target(arn))


def _more_rights(target: _Target) -> Attempt:
    role = "arn:aws:iam::{account}:role/"
    function = "arn:aws:lambda:{region}:{account}:function:"
    for who, action, arn in (
        ("StudioRole", "iam:PutRolePolicy", "{StudioRole}"),
        ("StudioRole", "iam:AttachRolePolicy", "{StudioRole}"),
        ("StudioRole", "iam:DetachRolePolicy", "{StudioRole}"),
        ("StudioRole", "iam:DeleteRolePermissionsBoundary", "{StudioRole}"),
        ("StudioRole", "iam:UpdateAssumeRolePolicy", "{PipelineRole}"),
        ("StudioRole", "iam:CreateAccessKey", "arn:aws:iam::{account}:user/admin"),
        ("StudioRole", "iam:CreatePolicyVersion", "arn:aws:iam::{account}:policy/p"),
        ("StudioRole", "sts:AssumeRole", role + "administrator"),
        ("StudioRole", "lambda:UpdateFunctionCode", function + "x"),
        ("StudioRole", "lambda:InvokeFunction", function + "x"),
        (
            "StudioRole",
            "cloudformation:UpdateStack",
            "arn:aws:cloudformation:{region}:{account}:stack/demo/1",
        ),
        ("StudioRole", "s3:PutBucketPolicy", "{bucket}"),
        ("StudioRole", "s3:PutBucketAcl", "{bucket}"),
        (
            "StudioRole",
            "ec2:ModifyVpcEndpoint",
            "arn:aws:ec2:{region}:{account}:vpc-endpoint/vpce-1",
        ),
        (
            "StudioRole",
            "ec2:AuthorizeSecurityGroupEgress",
            "arn:aws:ec2:{region}:{account}:security-group/sg-1",
        ),
        (
            "StudioRole",
            "ec2:CreateInternetGateway",
            "arn:aws:ec2:{region}:{account}:internet-gateway/igw-1",
        ),
        ("PipelineManagerRole", "iam:PutRolePolicy", "{PipelineRole}"),
        ("PipelineManagerRole", "iam:AttachRolePolicy", "{PipelineManagerRole}"),
        ("EmptyBucketRole", "s3:DeleteBucket", "{bucket}"),
        (
            "VpcBaselineRole",
            "ec2:AuthorizeSecurityGroupIngress",
            "arn:aws:ec2:{region}:{account}:security-group/sg-1",
        ),
        ("ProcessingRole", "iam:PassRole", "{PipelineRole}"),
        ("TrainingRole", "sts:AssumeRole", role + "administrator"),
        ("ModelRole", "sagemaker:CreateModel", "arn:aws:sagemaker:{region}:{account}:model/x"),
        ("PipelineRole", "iam:CreateRole", role + "new"),
        (
            "PipelineRole",
            "sagemaker:UpdatePipeline",
            "arn:aws:sagemaker:{region}:{account}:pipeline/{name}",
        ),
    ):
        yield f"{who} gains rights: {action}", Request(who, action, target(arn))
    yield from _studio_gains(target)
    source = {"lambda:SourceFunctionArn": target(function + "any")}
    interface = target("arn:aws:ec2:{region}:{account}:network-interface/eni-1")
    for who in ("EmptyBucketRole", "ClearStudioRole", "SeedDataRole", "PipelineManagerRole"):
        yield (
            f"the code of {who} makes network interfaces",
            Request(who, "ec2:CreateNetworkInterface", interface, source),
        )


def _studio_gains(target: _Target) -> Attempt:
    for action, resource in (
        ("UpdatePipeline", "pipeline/{name}"),
        ("CreatePipeline", "pipeline/own"),
        ("DeletePipeline", "pipeline/{name}"),
        ("UpdateDomain", "domain/{domain}"),
        ("UpdateUserProfile", "user-profile/{domain}/{profile}"),
        ("CreateUserProfile", "user-profile/{domain}/other"),
        ("CreatePresignedDomainUrl", "user-profile/{domain}/other"),
        ("CreateModel", "model/{name}-own"),
        ("CreateEndpoint", "endpoint/{name}-own"),
        ("UpdateEndpoint", "endpoint/{name}"),
        ("UpdateModelPackage", "model-package/{name}/1"),
        ("CreateModelPackage", "model-package/{name}/2"),
        ("CreateNotebookInstance", "notebook-instance/x"),
    ):
        yield (
            f"a person changes what is not theirs: {action}",
            target.on_sagemaker("StudioRole", action, resource),
        )


def _belongs_to_others(target: _Target) -> Attempt:
    other = {
        "sagemaker:OwnerUserProfileArn": target.sagemaker("user-profile/{domain}/somebody-else"),
        "sagemaker:SpaceSharingType": "Private",
    }
    own = {
        **other,
        "sagemaker:OwnerUserProfileArn": target.sagemaker(f"user-profile/{{domain}}/{PROFILE}"),
    }
    shared = {**other, "sagemaker:SpaceSharingType": "Shared"}
    public = {**own, "sagemaker:SpaceSharingType": "Public"}
    for action, resource, context in (
        ("CreateApp", "app/{domain}/notes/jupyterlab/default", other),
        ("DeleteApp", "app/{domain}/notes/jupyterlab/default", other),
        ("DeleteSpace", "space/{domain}/notes", other),
        ("UpdateSpace", "space/{domain}/notes", other),
        ("DeleteSpace", "space/{domain}/team", shared),
        ("UpdateSpace", "space/{domain}/team", shared),
        ("CreateApp", "app/d-other/team/jupyterlab/default", shared),
        ("CreateSpace", "space/{domain}/notes", public),
        ("CreateSpace", "space/d-other/notes", own),
        ("CreateApp", "app/d-other/notes/jupyterlab/default", own),
        ("AddTags", "space/{domain}/notes", {}),
        ("AddTags", "training-job/{name}-x", {}),
        ("StartPipelineExecution", "pipeline/other", {}),
        ("StopPipelineExecution", "pipeline/other/execution/x", {}),
        ("InvokeEndpoint", "endpoint/other", {}),
        ("DeleteEndpoint", "endpoint/{name}", {}),
        ("StopTrainingJob", "training-job/pipelines-x", {}),
        ("StopProcessingJob", "processing-job/pipelines-x", {}),
        ("DescribeTrainingJob", "training-job/other", {}),
        ("DescribeModelPackage", "model-package/other/1", {}),
        ("DescribeUserProfile", "user-profile/d-other/x", {}),
    ):
        request = target.on_sagemaker("StudioRole", action, resource, context)
        if action == "InvokeEndpoint":
            request = request.but(via="SagemakerRuntimeEndpoint")
        yield f"a person: {action} on {resource}", request
    for action, resource in (
        ("CreateApp", "app/{domain}/notes/jupyterlab/default"),
        ("CreateSpace", "space/{domain}/notes"),
        ("UpdateSpace", "space/{domain}/notes"),
    ):
        for types in (["ml.p5.48xlarge"], ["ml.t3.medium", "ml.p5.48xlarge"]):
            dear: Context = {**own, "sagemaker:InstanceTypes": types}
            request = target.on_sagemaker("StudioRole", action, resource, dear)
            yield f"a person: {action} on {' and '.join(types)}", request
    yield from _functions_on_others(target)


def _functions_on_others(target: _Target) -> Attempt:
    tag = "aws:ResourceTag/pipeline-owner"
    others = {tag: "arn:aws:cloudformation:eu-west-1:123456789012:stack/other/1"}
    for who, action, resource, context in (
        ("PipelineManagerRole", "DeleteEndpoint", "endpoint/{name}", others),
        ("PipelineManagerRole", "DeleteEndpoint", "endpoint/payroll", {}),
        ("PipelineManagerRole", "DeleteEndpointConfig", "endpoint-config/{name}", others),
        ("PipelineManagerRole", "DeleteModel", "model/pipelines-x", others),
        ("PipelineManagerRole", "DeleteModel", "model/payroll", {}),
        ("PipelineManagerRole", "DeleteModelPackage", "model-package/other/1", {}),
        ("PipelineManagerRole", "DeletePipeline", "pipeline/other", {}),
        ("PipelineManagerRole", "AddTags", "pipeline/{name}", {}),
        ("PipelineRole", "AddTags", "endpoint/{name}", {}),
        ("PipelineRole", "UpdateEndpoint", "endpoint/other", {}),
        ("PipelineRole", "CreateModelPackage", "model-package/other/1", {}),
        ("PipelineRole", "StopTrainingJob", "training-job/other", {}),
        ("ClearStudioRole", "DeleteSpace", "space/d-other/x", {}),
        ("ClearStudioRole", "DeleteApp", "app/d-other/x/jupyterlab/default", {}),
        ("ClearStudioRole", "DeleteDomain", "domain/{domain}", {}),
    ):
        yield f"{who}: {action} on {resource}", target.on_sagemaker(who, action, resource, context)
    group = target("arn:aws:ec2:{region}:{account}:security-group/sg-other")
    vpc = {"ec2:Vpc": target("arn:aws:ec2:{region}:{account}:vpc/vpc-other")}
    for action in ("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"):
        yield f"{action} in another VPC", Request("VpcBaselineRole", action, group, vpc)
    stack = "arn:aws:cloudformation:{region}:{account}:stack/other/1"
    for who in ("PipelineManagerRole", "EmptyBucketRole", "ClearStudioRole", "SeedDataRole"):
        yield (
            f"{who} reads another stack",
            Request(
                who, "cloudformation:DescribeStacks", target(stack), {}, "CloudformationEndpoint"
            ),
        )
    payroll = target("arn:aws:ecr:{region}:{account}:repository/payroll")
    for action in ("ecr:BatchGetImage", "ecr:DescribeImages"):
        yield f"PipelineRole: {action} of another image", Request("PipelineRole", action, payroll)
    for role in ("ProcessingRole", "TrainingRole", "ModelRole", "NotebookJobsRole"):
        metric = {"cloudwatch:namespace": "AWS/Billing"}
        yield f"{role} forges metrics", Request(role, "cloudwatch:PutMetricData", "*", metric)
        image = target("arn:aws:ecr:{region}:{account}:repository/payroll")
        yield (
            f"{role} pulls another image",
            Request(role, "ecr:BatchGetImage", image, {}, "EcrDkrEndpoint"),
        )


def _replication(target: _Target) -> Attempt:
    """The role of S3's replication, which only some settings make."""
    if "ReplicationRole" not in target.account.roles:
        return
    who, replica = "ReplicationRole", "arn:aws:kms:eu-central-1:{account}:key/" + _REPLICA_KEY
    thief = {"aws:ResourceAccount": FOREIGN}
    for wants, action, arn, context in (
        ("to read an object itself", "s3:GetObject", target.object("raw/data.csv"), {}),
        ("to delete an object", "s3:DeleteObject", target.object("raw/data.csv"), {}),
        ("to copy elsewhere", "s3:ReplicateObject", "arn:aws:s3:::thief/raw/data.csv", thief),
        ("to decrypt by itself", "kms:Decrypt", target("{key}"), {}),
        (
            "to decrypt through another service",
            "kms:Decrypt",
            target("{key}"),
            {"kms:ViaService": target("sagemaker.{region}.amazonaws.com")},
        ),
        ("to decrypt copies by itself", "kms:Decrypt", target(replica), {}),
        ("to encrypt by itself", "kms:Encrypt", target(replica), {}),
    ):
        guard = OPEN if context is thief else None
        yield wants, Request(who, action, arn, context, guard=guard)
