"""Permissions of the functions behind the custom resources.

Each function's own permissions follow the list in its handler's docstring. Before them are those
that Lambda itself needs in every function's role.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from awacs import cloudformation, ec2, logs, s3, sagemaker, sqs, xray
from awacs.aws import (
    ArnEquals,
    ArnLike,
    Condition,
    Deny,
    Null,
    Statement,
    StringEquals,
    StringLike,
)
from troposphere import Ref, Sub

from functions.shared.names import trial_name
from generator.policies.people import pass_role, tag_what_is_made
from generator.policies.statements import (
    STEPS,
    allow,
    allow_anywhere,
    arn,
    bucket_arn,
    deny,
    objects_arn,
    pathed_roles,
    use_key_of_logs,
    use_key_through,
)
from generator.wiring import (
    BucketName,
    DomainId,
    Expression,
    KeyArn,
    QueueArn,
    RoleArn,
    RoleName,
    RootStackName,
    UniqueName,
    VpcId,
)
from pipeline.definition import OWNER_TAG
from pipeline.layout import CHAMPION, folder, named
from pipeline.prediction import SUFFIX

_INTERFACES = (
    ec2.AssignPrivateIpAddresses,
    ec2.CreateNetworkInterface,
    ec2.DeleteNetworkInterface,
    ec2.DescribeNetworkInterfaces,
    ec2.DescribeSubnets,
    ec2.UnassignPrivateIpAddresses,
)


def write_log(log_group: Expression) -> Statement:
    """Allow writing the function's own log.

    Source: Lambda developer guide, "Defining Lambda function permissions with an execution role".
    """
    return allow("WriteLog", [logs.CreateLogStream, logs.PutLogEvents], [log_group])


def every_function(queue: QueueArn, key: KeyArn, tracing: bool) -> list[Statement]:
    """Allow sending failed events to the encrypted queue and, with ``tracing``, writing the trace.

    Lambda checks these permissions when a function is created. They are therefore granted with the
    role, minutes before, because new permissions take time to propagate (IAM user guide, "Changes
    that I make are not always immediately visible"). Source: Lambda developer guide, "Adding a
    dead-letter queue".
    """
    traces = allow_anywhere("WriteTraces", [xray.PutTelemetryRecords, xray.PutTraceSegments])
    return [
        *([traces] if tracing else []),
        allow("HandOverFailedEvents", [sqs.SendMessage], [queue]),
        use_key_through(["sqs"], key),
        use_key_of_logs(key),
    ]


def function_in_the_vpc() -> list[Statement]:
    """Let Lambda, but not the function's code, manage network interfaces in our subnets.

    The permissions come with the role, whether or not a parameter puts the function in the VPC:
    Lambda deletes the interfaces some time after the function is deleted or leaves the VPC. The
    Deny applies to calls from the function's code.
    Source: Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC".
    """
    return [
        allow_anywhere("NetworkInterfacesOfFunction", _INTERFACES),
        Statement(
            Sid="NoNetworkInterfacesByCode",
            Effect=Deny,
            Action=list(_INTERFACES),
            Resource=["*"],
            Condition=Condition(ArnLike("lambda:SourceFunctionArn", arn("lambda", "function:*"))),
        ),
    ]


def read_own_stack(stack: Expression | None = None) -> Statement:
    """Allow reading the stack's status: is it a deletion or a replacement, is the event late."""
    own = stack or Ref("AWS::StackId")
    return allow("ReadOwnStack", [cloudformation.DescribeStacks], [own])


def vpc_baseline(vpc: VpcId | None) -> list[Statement]:
    """Allow looking up the S3 prefix list and, of our own VPC, closing the default group."""
    if vpc is None:
        return [allow_anywhere("LookUp", [ec2.DescribeManagedPrefixLists]), read_own_stack()]
    return [
        allow_anywhere("LookUp", [ec2.DescribeManagedPrefixLists, ec2.DescribeSecurityGroups]),
        allow(
            "CloseDefaultGroup",
            [ec2.RevokeSecurityGroupEgress, ec2.RevokeSecurityGroupIngress],
            [arn("ec2", "security-group/*")],
            Condition(ArnEquals("ec2:Vpc", arn("ec2", "vpc/${Vpc}", Vpc=vpc))),
        ),
        read_own_stack(),
    ]


def empty_bucket(buckets: Sequence[BucketName]) -> list[Statement]:
    """Allow denying writes to a bucket, then deleting everything in it."""
    return [
        allow(
            "LookAndDenyWrites",
            [
                s3.GetBucketPolicy,
                s3.GetBucketTagging,
                s3.ListBucket,
                s3.ListBucketMultipartUploads,
                s3.ListBucketVersions,
                s3.PutBucketPolicy,
            ],
            [bucket_arn(bucket) for bucket in buckets],
        ),
        allow(
            "RemoveObjects",
            [s3.AbortMultipartUpload, s3.DeleteObject, s3.DeleteObjectVersion],
            [objects_arn(bucket) for bucket in buckets],
        ),
        read_own_stack(),
    ]


def clear_studio(domain: DomainId) -> list[Statement]:
    """Allow deleting one domain's apps, spaces, and the profiles that others created."""
    return [
        allow_anywhere(
            "ListInStudio", [sagemaker.ListApps, sagemaker.ListSpaces, sagemaker.ListUserProfiles]
        ),
        allow(
            "ClearDomain",
            [sagemaker.DeleteApp, sagemaker.DeleteSpace, sagemaker.DeleteUserProfile],
            [
                arn("sagemaker", "app/${Domain}/*", Domain=domain),
                arn("sagemaker", "space/${Domain}/*", Domain=domain),
                arn("sagemaker", "user-profile/${Domain}/*", Domain=domain),
            ],
        ),
        read_own_stack(),
    ]


def clear_profiles(domain: DomainId, profiles: Sequence[str]) -> list[Statement]:
    """Allow deleting the apps and spaces of some profiles in a domain that is not the stack's.

    An app or a space names its owner in a condition key; an app outside any space has none, and its
    ARN has the profile's name where others have the space's. Source: Service Authorization
    Reference, "Condition keys for Amazon SageMaker" (sagemaker:OwnerUserProfileArn).
    """
    owner = "sagemaker:OwnerUserProfileArn"
    ours = [
        arn("sagemaker", f"user-profile/${{Domain}}/{name}", Domain=domain) for name in profiles
    ]
    return [
        allow_anywhere("ListInStudio", [sagemaker.ListApps, sagemaker.ListSpaces]),
        allow(
            "ClearOwnSpaces",
            [sagemaker.DeleteApp, sagemaker.DeleteSpace],
            [
                arn("sagemaker", "app/${Domain}/*", Domain=domain),
                arn("sagemaker", "space/${Domain}/*", Domain=domain),
            ],
            Condition(StringEquals(owner, ours)),
        ),
        allow(
            "ClearOwnApps",
            [sagemaker.DeleteApp],
            [arn("sagemaker", f"app/${{Domain}}/{name}/*", Domain=domain) for name in profiles],
            Condition(Null(owner, "true")),
        ),
        read_own_stack(),
    ]


def seed_data(bucket: BucketName, data_key: str, key: KeyArn) -> list[Statement]:
    """Allow writing and deleting the synthetic table, one object."""
    table = Sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{data_key}", Bucket=bucket)
    return [
        allow(
            "KeepTable",
            [s3.AbortMultipartUpload, s3.DeleteObject, s3.GetObject, s3.PutObject],
            [table],
        ),
        allow("TellAbsentFromForbidden", [s3.ListBucket], [bucket_arn(bucket)]),
        use_key_through(["s3"], key),
        read_own_stack(),
    ]


@dataclass(frozen=True)
class Managed:
    """What a pipeline manager's function manages, with names and ARNs as IAM matches them."""

    name: UniqueName
    """The deployment's name, with which the pipeline's, its endpoint's and its group's begin."""
    rest: str
    """The rest of these names, as IAM matches it."""
    role: RoleArn | RoleName
    """The role that the pipeline service assumes."""
    owner: StringEquals | StringLike
    """The condition on the owner tag of what runs create."""
    stack: Expression
    """The id of the stack of the custom resource."""

    def arn(self, kind: str, rest: str = "") -> Sub:
        """Return the ARN of a resource with the pipeline's name, or ``rest`` after that."""
        return arn("sagemaker", f"{kind}/${{Name}}{self.rest}{rest}", Name=self.name)

    def giving_owner(self, keys: Mapping[str, str]) -> StringEquals | StringLike:
        """Return the condition that a request gives the owner tag, and has these keys, too."""
        return type(self.owner)({_GIVEN_OWNER: self.owner.value, **keys})

    def pipelines(self, rest: str = "") -> list[Sub]:
        """Return the ARNs of the pipelines, or of what ``rest`` says of them.

        That of batch predictions is among them without predictions, too: it is deleted by an update
        in which the function would lose the permission before it needs it.
        """
        beside = [] if self.rest else [self.arn("pipeline", f"{SUFFIX}{rest}")]
        return [self.arn("pipeline", rest), *beside]

    def trial(self) -> Sub:
        """Return the ARN of the endpoint on which an approved version is tried."""
        return arn("sagemaker", f"endpoint/{trial_name('${Name}')}{self.rest}", Name=self.name)

    def versioned(self, kind: str) -> Sub:
        """Return the ARN of what is made of a version, such as ``v3-<name>``."""
        return arn("sagemaker", f"{kind}/v*-${{Name}}{self.rest}", Name=self.name)

    def containing(self, kind: str) -> Sub:
        """Return the ARN of resources whose names contain the pipeline's."""
        return arn("sagemaker", f"{kind}/*${{Name}}{self.rest or '*'}", Name=self.name)


def one_pipeline(name: UniqueName, role: RoleName) -> Managed:
    """Return a manager's reach if it manages one pipeline, in its own stack."""
    return Managed(
        name=name,
        rest="",
        role=role,
        owner=StringEquals(OWNER, Ref("AWS::StackId")),
        stack=Ref("AWS::StackId"),
    )


def all_named_pipelines(name: UniqueName, root_stack: RootStackName) -> Managed:
    """Return a manager's reach if it manages every pipeline besides ``main``: patterns only.

    CloudFormation begins the names of nested stacks with the root stack's name.
    """
    return Managed(
        name=name,
        rest="-*",
        role=RoleArn(pathed_roles(name, STEPS)),
        owner=StringLike(OWNER, Sub("${Name}/*", Name=name)),
        stack=arn("cloudformation", "stack/${RootStack}-*", RootStack=root_stack),
    )


OWNER = f"aws:ResourceTag/{OWNER_TAG}"
_GIVEN_OWNER = f"aws:RequestTag/{OWNER_TAG}"


def pipeline_manager(
    bucket: BucketName, key: KeyArn, managed: Managed, *, compares: bool = False
) -> list[Statement]:
    """Allow managing pipelines and their code and, at deletion, what their runs created.

    If runs ``compare`` their models with the one that serves, their input has an object before.
    """
    return [
        *([_begin_champion(bucket, managed)] if compares else []),
        allow("KeepCode", [s3.GetObject, s3.PutObject], [objects_arn(bucket, "code/")]),
        allow("TellAbsentFromForbidden", [s3.ListBucket], [bucket_arn(bucket)]),
        use_key_through(["s3"], key),
        *_own_pipeline(managed),
        *_leave_main(managed),
        *_find_what_runs_made(managed),
        *_remove_what_runs_made(managed),
        read_own_stack(managed.stack),
    ]


def _begin_champion(bucket: BucketName, managed: Managed) -> Statement:
    begin = f"{named(CHAMPION)}*/" if managed.rest else folder(CHAMPION)
    return allow("BeginChampion", [s3.PutObject], [objects_arn(bucket, f"{begin}none.txt")])


_ON_PIPELINES = (
    sagemaker.CreatePipeline,
    sagemaker.DeletePipeline,
    sagemaker.DescribePipeline,
    sagemaker.ListPipelineExecutions,
    sagemaker.ListPipelineExecutionSteps,
    sagemaker.ListTags,
    sagemaker.StopPipelineExecution,
    sagemaker.UpdatePipeline,
)


def _leave_main(managed: Managed) -> list[Statement]:
    """Deny the named pipelines' manager the one beside ``main``, whose name is like theirs."""
    if not managed.rest:
        return []
    of_main = [
        arn("sagemaker", f"pipeline/${{Name}}{SUFFIX}{rest}", Name=managed.name)
        for rest in ("", "/execution/*")
    ]
    return [deny("LeavePredictionsOfMain", _ON_PIPELINES, None, only=of_main)]


def _own_pipeline(managed: Managed) -> list[Statement]:
    pipelines = managed.pipelines()
    return [
        allow(
            "OwnPipeline",
            [
                sagemaker.CreatePipeline,
                sagemaker.DeletePipeline,
                sagemaker.DescribePipeline,
                sagemaker.ListPipelineExecutions,
                sagemaker.UpdatePipeline,
            ],
            pipelines,
        ),
        tag_what_is_made(pipelines),
        pass_role("PassPipelineRole", managed.role),
        allow(
            "StopRuns",
            [sagemaker.ListPipelineExecutionSteps, sagemaker.StopPipelineExecution],
            managed.pipelines("/execution/*"),
        ),
    ]


def _find_what_runs_made(managed: Managed) -> list[Statement]:
    """Allow listing resources whose names contain ours, and reading the owner from their tags."""
    endpoint = managed.containing("endpoint")
    return [
        allow_anywhere(
            "ListConfigsAndModels", [sagemaker.ListEndpointConfigs, sagemaker.ListModels]
        ),
        allow(
            "ReadOwnerTags",
            [sagemaker.ListTags],
            [
                *managed.pipelines(),
                endpoint,
                *_configs_and_models(managed),
            ],
        ),
        allow("DescribeEndpoint", [sagemaker.DescribeEndpoint], [endpoint]),
        allow(
            "DescribeConfigOfEndpoint",
            [sagemaker.DescribeEndpointConfig],
            [arn("sagemaker", "endpoint-config/*")],
        ),
    ]


def _remove_what_runs_made(managed: Managed) -> list[Statement]:
    """Allow deletion by name and owner tag; the model packages in a group have no tags."""
    packages = managed.arn("model-package", "/*")
    return [
        allow(
            "DeleteWhatRunsMade",
            [sagemaker.DeleteEndpoint, sagemaker.DeleteEndpointConfig, sagemaker.DeleteModel],
            [managed.arn("endpoint"), managed.trial(), *_configs_and_models(managed)],
            Condition(managed.owner),
        ),
        allow(
            "ListModelPackages",
            [sagemaker.ListModelPackages],
            [packages],
        ),
        allow(
            "DeleteModelPackages",
            [sagemaker.DeleteModelPackage, sagemaker.DescribeModelPackage],
            [packages],
        ),
    ]


def _configs_and_models(managed: Managed) -> list[Sub]:
    """Return the ARNs of what runs, and approvals, create; the service adds a suffix to names."""
    return [
        managed.containing("endpoint-config"),
        arn("sagemaker", "model/pipelines-*"),
        managed.versioned("model"),
    ]
