"""The data bucket and its access log bucket. In dev they are emptied and deleted with the stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from troposphere import GetAtt, If, NoValue, Ref, Sub, Tags, Template, awslambda, s3

from functions.empty_bucket.core import PERMISSION_TAG
from functions.empty_bucket.properties import EmptyBucketProperties
from generator.custom_resources import (
    IN_THE_VPC,
    FunctionInputs,
    FunctionSpec,
    add_function,
    custom_resource,
    function_context,
)
from generator.policies import functions as permissions
from generator.policies.replication import replicate, trust_s3
from generator.policies.resources import data_bucket_policy, log_bucket_policy
from generator.policies.statements import JOBS, bare_role, pathed_roles, role_arn, role_policy
from generator.retention import retention
from generator.settings import (
    Mode,
    Settings,
    Storage,
    all_choices,
    any_asynchronous,
    main_choices,
    main_is_watched,
    named_are_watched,
    named_choices,
    on_spark,
    shares_pipelines,
)
from generator.settings_people import Persona
from generator.settings_studio import Studio
from generator.stacks import personas
from generator.wiring import (
    BucketName,
    EndpointId,
    Expression,
    RoleList,
    RoleName,
    StackTemplate,
    UniqueName,
    add,
    declare,
    publish,
)
from pipeline.layout import ASYNCHRONOUS, CAPTURED, PREDICTIONS, PROCESSED, folder, named

EMPTYING_SECONDS = 900
"""Lambda's longest timeout; a repeated Delete continues where the previous one stopped."""
UPLOAD_DAYS = 7
LOG_PREFIX = "data/"
THEIR_LOG_PREFIX = "${AWS::StackName}/"
"""In a bucket that others use, too; the name begins with the project's."""
_EXPIRING = {
    PROCESSED: "ExpirePreparedData",
    PREDICTIONS: "ExpirePredictions",
    CAPTURED: "ExpireCapturedRequests",
    ASYNCHRONOUS: "ExpireAsynchronousRequests",
}
"""Kinds of data that can expire, and the names of their rules."""


@dataclass(frozen=True, kw_only=True)
class Inputs(FunctionInputs):
    """The inputs from the root."""

    s3_endpoint_id: EndpointId
    processing_role: RoleName
    training_role: RoleName
    studio_role: RoleName | None = None
    notebook_jobs_role: RoleName | None = None
    """Both exist with Studio."""
    empty_bucket_role: RoleName
    seed_data_role: RoleName
    pipeline_manager_role: RoleName
    deploy_model_role: RoleName | None = None
    """Exists if models of ``main`` are deployed on approval."""
    spark_role: RoleName | None = None
    """Of Preprocess on Spark."""
    unique_name: UniqueName | None = None
    named_manager_role: RoleName | None = None
    """Both exist if there are pipelines besides ``main``."""
    deploy_named_model_role: RoleName | None = None
    """Exists if those of any other pipeline are."""
    watch_model_role: RoleName | None = None
    watch_named_model_role: RoleName | None = None
    """Exist if requests are checked, or new data awaited, of ``main`` or of the others."""
    persona_roles: RoleList | None = None


@dataclass(frozen=True)
class Outputs:
    """The buckets."""

    data_bucket: BucketName
    log_bucket: BucketName


def build(settings: Settings, mode: Mode) -> StackTemplate[Inputs, Outputs]:
    """Return the stack."""
    template = Template(Description=f"{settings.project}: data bucket and log bucket")
    inputs = declare(Inputs, template, _not_needed(settings))
    theirs = settings.storage.log_bucket.rpartition(":")[2]
    logs = None if theirs else add(template, _log_bucket(settings.storage, mode))
    log_bucket = BucketName(logs.ref() if logs else theirs)
    data = add(template, _data_bucket(log_bucket, inputs, settings, mode))
    outputs = Outputs(data_bucket=BucketName(data.ref()), log_bucket=log_bucket)
    if settings.storage.replica_bucket:
        data.ReplicationConfiguration = _add_replication(template, outputs, inputs, settings, mode)
    ours = [outputs.data_bucket, *([log_bucket] if logs else [])]
    function = _add_emptying(template, ours, inputs, settings, mode)
    people = personas.roles(settings, inputs.persona_roles)
    data_policy = data_bucket_policy(
        outputs.data_bucket,
        GetAtt(data, "Arn"),
        inputs.key_arn,
        inputs.s3_endpoint_id,
        _roles_in_the_vpc(inputs, settings.studio, people),
        pathed_roles(inputs.unique_name, JOBS) if inputs.unique_name else None,
        [role_arn(role) for persona, role in people.items() if persona is Persona.REVIEWER],
        _people_elsewhere(inputs, settings.studio, people),
    )
    if logs:
        log_policy = log_bucket_policy(
            log_bucket,
            GetAtt(logs, "Arn"),
            _may_delete_logs(inputs, settings.security.break_glass),
            settings.security.log_readers,
        )
        _add_emptying_and_policy(template, logs, log_policy, function, mode)
    _add_emptying_and_policy(template, data, data_policy, function, mode)
    publish(outputs, template)
    return StackTemplate("storage", template, Inputs, Outputs)


def _not_needed(settings: Settings) -> list[str]:
    """Return the optional inputs that these settings do not need."""
    named = [] if shares_pipelines(settings) else ["unique_name", "named_manager_role"]
    spark = [] if on_spark(settings) else ["spark_role"]
    watching = [
        *([] if main_is_watched(settings) else ["watch_model_role"]),
        *([] if named_are_watched(settings) else ["watch_named_model_role"]),
    ]
    deploying = _deploying_not_needed(settings)
    return [*spark, *named, *deploying, *watching, *_people_not_needed(settings)]


def _deploying_not_needed(settings: Settings) -> list[str]:
    named = any(one.on_approval for one in named_choices(settings))
    return [
        *([] if main_choices(settings).on_approval else ["deploy_model_role"]),
        *([] if named else ["deploy_named_model_role"]),
    ]


def _people_not_needed(settings: Settings) -> list[str]:
    jobs = [] if settings.studio.in_use else ["notebook_jobs_role"]
    return [*personas.not_needed(settings), *jobs]


def _data_bucket(logs: BucketName, inputs: Inputs, settings: Settings, mode: Mode) -> s3.Bucket:
    """Return the bucket for data, code and models; old versions are kept for a while."""
    storage = settings.storage
    return s3.Bucket(
        "DataBucket",
        BucketEncryption=_encryption(
            s3.ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=inputs.key_arn)
        ),
        LifecycleConfiguration=s3.LifecycleConfiguration(
            Rules=[
                *_expire_results(settings),
                _expire_old_versions(storage.noncurrent_days),
                _abort_uploads(),
            ]
        ),
        LoggingConfiguration=s3.LoggingConfiguration(
            DestinationBucketName=logs,
            LogFilePrefix=Sub(THEIR_LOG_PREFIX) if storage.log_bucket else LOG_PREFIX,
        ),
        **_locked(storage.object_lock_days, mode),
        **_private_and_versioned(),
        **_deletable(mode),
    )


def _is_locked(days: int, mode: Mode) -> bool:
    return bool(days) and mode is Mode.PROD


def _locked(days: int, mode: Mode) -> dict[str, Any]:
    """Return the Object Lock attributes; only a bucket that outlives its stack is locked."""
    if not _is_locked(days, mode):
        return {}
    default = s3.DefaultRetention(Days=days, Mode="GOVERNANCE")
    return {
        "ObjectLockConfiguration": s3.ObjectLockConfiguration(
            ObjectLockEnabled="Enabled", Rule=s3.ObjectLockRule(DefaultRetention=default)
        ),
        "ObjectLockEnabled": True,
    }


def _add_replication(
    template: Template, buckets: Outputs, inputs: Inputs, settings: Settings, mode: Mode
) -> s3.ReplicationConfiguration:
    """Add the role with which S3 copies every new version; return the configuration."""
    storage, boundary = settings.storage, settings.security.permissions_boundary
    role = add(template, bare_role("ReplicationRole", "Copy the data bucket", trust_s3(), boundary))
    rules = replicate(
        buckets.data_bucket,
        inputs.key_arn,
        storage.replica_bucket,
        storage.replica_key,
        locked=_is_locked(storage.object_lock_days, mode),
    )
    add(template, role_policy("ReplicationPolicy", RoleName(role.ref()), rules))
    destination = s3.ReplicationConfigurationRulesDestination(
        Bucket=storage.replica_bucket,
        EncryptionConfiguration=s3.EncryptionConfiguration(ReplicaKmsKeyID=storage.replica_key),
    )
    rule = s3.ReplicationConfigurationRules(
        DeleteMarkerReplication=s3.DeleteMarkerReplication(Status="Enabled"),
        Destination=destination,
        Filter=s3.ReplicationRuleFilter(Prefix=""),
        Id="CopyEverything",
        Priority=1,
        SourceSelectionCriteria=s3.SourceSelectionCriteria(
            SseKmsEncryptedObjects=s3.SseKmsEncryptedObjects(Status="Enabled")
        ),
        Status="Enabled",
    )
    return s3.ReplicationConfiguration(Role=GetAtt(role, "Arn"), Rules=[rule])


def _log_bucket(storage: Storage, mode: Mode) -> s3.Bucket:
    """Return the bucket for S3's access logs.

    It is encrypted with S3's own key, the only one that a target of access logs supports (S3 user
    guide, "Enabling Amazon S3 server access logging").
    """
    return s3.Bucket(
        "LogBucket",
        BucketEncryption=_encryption(s3.ServerSideEncryptionByDefault(SSEAlgorithm="AES256")),
        LifecycleConfiguration=s3.LifecycleConfiguration(
            Rules=[
                s3.LifecycleRule(
                    Id="ExpireLogs",
                    ExpirationInDays=storage.access_log_days,
                    Status="Enabled",
                ),
                _expire_old_versions(storage.noncurrent_days),
                _abort_uploads(),
            ]
        ),
        **_private_and_versioned(),
        **_deletable(mode),
    )


def _encryption(default: s3.ServerSideEncryptionByDefault) -> s3.BucketEncryption:
    rule = s3.ServerSideEncryptionRule(
        BucketKeyEnabled=default.SSEAlgorithm == "aws:kms",
        ServerSideEncryptionByDefault=default,
    )
    return s3.BucketEncryption(ServerSideEncryptionConfiguration=[rule])


def _expire_results(settings: Settings) -> list[s3.LifecycleRule]:
    """Expire what runs prepared and predicted, for as long as is set; raw tables are kept."""
    storage = settings.storage
    days = {PROCESSED: storage.processed_days}
    if settings.pipeline.predictions:
        days[PREDICTIONS] = storage.predictions_days
    if any(one.serving.captures for one in all_choices(settings)):
        days[CAPTURED] = storage.captured_days
    if any_asynchronous(settings):
        days[ASYNCHRONOUS] = storage.asynchronous_days
    several = shares_pipelines(settings)
    return [
        s3.LifecycleRule(Id=rule, ExpirationInDays=days[kind], Prefix=prefix, Status="Enabled")
        for kind, title in _EXPIRING.items()
        if days.get(kind)
        for rule, prefix in (
            (title, folder(kind)),
            *([(f"{title}OfNamedPipelines", named(kind))] if several else []),
        )
    ]


def _expire_old_versions(days: int) -> s3.LifecycleRule:
    """Expire overwritten and deleted versions, and then their delete markers."""
    return s3.LifecycleRule(
        Id="ExpireOldVersions",
        ExpiredObjectDeleteMarker=True,
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=days),
        Status="Enabled",
    )


def _abort_uploads() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        Id="AbortUploads",
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(
            DaysAfterInitiation=UPLOAD_DAYS
        ),
        Status="Enabled",
    )


def _private_and_versioned() -> dict[str, Any]:
    """Return what both buckets have: no public access, versioning, and EventBridge events."""
    return {
        "NotificationConfiguration": s3.NotificationConfiguration(
            EventBridgeConfiguration=s3.EventBridgeConfiguration(EventBridgeEnabled=True)
        ),
        "OwnershipControls": s3.OwnershipControls(
            Rules=[s3.OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]
        ),
        "PublicAccessBlockConfiguration": s3.PublicAccessBlockConfiguration(
            BlockPublicAcls=True,
            BlockPublicPolicy=True,
            IgnorePublicAcls=True,
            RestrictPublicBuckets=True,
        ),
        "VersioningConfiguration": s3.VersioningConfiguration(Status="Enabled"),
    }


def _deletable(mode: Mode) -> dict[str, Any]:
    """Return the retention attributes and, in dev, the tag that allows emptying the bucket."""
    tags = {"Tags": Tags({PERMISSION_TAG: Ref("AWS::StackId")})} if mode is Mode.DEV else {}
    return {**retention(mode), **tags}


def _add_emptying(
    template: Template,
    buckets: Sequence[BucketName],
    inputs: Inputs,
    settings: Settings,
    mode: Mode,
) -> awslambda.Function:
    spec = FunctionSpec(
        package="empty_bucket",
        description="Empties a bucket before it is deleted with its stack, if its tag allows that",
        role=inputs.empty_bucket_role,
        permissions=permissions.empty_bucket(buckets),
        timeout_seconds=EMPTYING_SECONDS,
    )
    return add_function(template, spec, function_context(template, inputs, settings, mode))


def _add_emptying_and_policy(
    template: Template,
    bucket: s3.Bucket,
    policy: object,
    function: awslambda.Function,
    mode: Mode,
) -> None:
    """Add the custom resource that empties a bucket, in both modes, and the bucket's policy.

    The policy depends on the custom resource and is therefore deleted first; the emptying then puts
    a Deny in its place that lasts until the bucket is deleted. If the bucket is kept, so is the
    policy.
    """
    emptying = custom_resource(
        f"Empty{bucket.title}", EmptyBucketProperties, {"bucket": bucket.ref()}, function
    )
    add(template, emptying)
    add(
        template,
        s3.BucketPolicy(
            f"{bucket.title}Policy",
            Bucket=bucket.ref(),
            DependsOn=[emptying.title],
            PolicyDocument=policy,
            **_with_joined_arns(retention(mode)),
        ),
    )


def _with_joined_arns(attributes: dict[str, Any]) -> dict[str, Any]:
    """Have cfn-lint accept the policy's ``Fn::Join``, which Control Tower requires."""
    ignore = {"cfn-lint": {"config": {"ignore_checks": ["I1022"]}}}
    return {**attributes, "Metadata": attributes["Metadata"] | ignore}


def _may_delete_logs(inputs: Inputs, break_glass: str) -> list[Expression]:
    return [role_arn(inputs.empty_bucket_role), *([break_glass] if break_glass else [])]


def _people_elsewhere(
    inputs: Inputs, studio: Studio, people: Mapping[Persona, RoleName]
) -> dict[str, list[Expression]]:
    """Return people's roles by the S3 endpoint of their domain's VPC, if that is another VPC."""
    if not studio.s3_endpoint:
        return {}
    roles = (inputs.studio_role, *_with_spaces(people))
    return {studio.s3_endpoint: [role_arn(role) for role in roles if role]}


def _with_spaces(people: Mapping[Persona, RoleName]) -> list[RoleName]:
    """Return the roles of personas that have spaces, in which they read the data.

    A reviewer has none and reads results from a browser.
    """
    return [role for persona, role in people.items() if persona is not Persona.REVIEWER]


def _roles_in_the_vpc(
    inputs: Inputs, studio: Studio, people: Mapping[Persona, RoleName]
) -> list[Expression]:
    """Return the ARNs of the roles that use the data only from inside the VPC."""
    elsewhere = bool(studio.s3_endpoint)
    always = (
        inputs.processing_role,
        inputs.training_role,
        None if elsewhere else inputs.studio_role,
        inputs.notebook_jobs_role,
        *([] if elsewhere else _with_spaces(people)),
        inputs.spark_role,
    )
    functions = (
        inputs.empty_bucket_role,
        inputs.seed_data_role,
        inputs.pipeline_manager_role,
        inputs.named_manager_role,
        inputs.deploy_model_role,
        inputs.deploy_named_model_role,
        inputs.watch_model_role,
        inputs.watch_named_model_role,
    )
    return [
        *[role_arn(role) for role in always if role],
        *[If(IN_THE_VPC, role_arn(role), NoValue) for role in functions if role],
    ]
