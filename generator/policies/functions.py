"""Permissions of the functions behind the custom resources.

Each function's own permissions follow the list in its handler's docstring. Before them are those
that Lambda itself needs in every function's role.
"""

from __future__ import annotations

from collections.abc import Sequence

from awacs import cloudformation, ec2, logs, s3, sagemaker, sqs, xray
from awacs.aws import (
    ArnEquals,
    ArnLike,
    Condition,
    Deny,
    Statement,
    StringEquals,
)
from troposphere import Ref, Sub

from generator.policies.people import pass_role, tag_what_is_made
from generator.policies.statements import (
    allow,
    allow_anywhere,
    arn,
    bucket_arn,
    objects_arn,
    use_key_of_logs,
    use_key_through,
)
from generator.wiring import (
    BucketName,
    DomainId,
    Expression,
    KeyArn,
    QueueArn,
    RoleName,
    UniqueName,
    VpcId,
)
from pipeline.definition import OWNER_TAG

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


def read_own_stack() -> Statement:
    """Allow reading the stack's status: is it a deletion or a replacement, is the event late."""
    return allow("ReadOwnStack", [cloudformation.DescribeStacks], [Ref("AWS::StackId")])


def vpc_baseline(vpc: VpcId) -> list[Statement]:
    """Allow closing the VPC's default security group and looking up the S3 prefix list."""
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


def pipeline_manager(
    bucket: BucketName, key: KeyArn, name: UniqueName, pipeline_role: RoleName
) -> list[Statement]:
    """Allow managing the pipeline and its code and, at deletion, what its runs created."""
    return [
        allow("KeepCode", [s3.GetObject, s3.PutObject], [objects_arn(bucket, "code/")]),
        allow("TellAbsentFromForbidden", [s3.ListBucket], [bucket_arn(bucket)]),
        use_key_through(["s3"], key),
        *_own_pipeline(name, pipeline_role),
        *_find_what_runs_made(name),
        *_remove_what_runs_made(name),
        read_own_stack(),
    ]


def _own_pipeline(name: UniqueName, pipeline_role: RoleName) -> list[Statement]:
    pipeline = arn("sagemaker", "pipeline/${Name}", Name=name)
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
            [pipeline],
        ),
        tag_what_is_made([pipeline]),
        pass_role("PassPipelineRole", pipeline_role),
        allow(
            "StopRuns",
            [sagemaker.ListPipelineExecutionSteps, sagemaker.StopPipelineExecution],
            [arn("sagemaker", "pipeline/${Name}/execution/*", Name=name)],
        ),
    ]


def _find_what_runs_made(name: UniqueName) -> list[Statement]:
    """Allow listing resources whose names contain ours, and reading the owner from their tags."""
    endpoint = arn("sagemaker", "endpoint/*${Name}*", Name=name)
    return [
        allow_anywhere(
            "ListConfigsAndModels", [sagemaker.ListEndpointConfigs, sagemaker.ListModels]
        ),
        allow(
            "ReadOwnerTags",
            [sagemaker.ListTags],
            [
                arn("sagemaker", "pipeline/${Name}", Name=name),
                endpoint,
                *_configs_and_models(name),
            ],
        ),
        allow("DescribeEndpoint", [sagemaker.DescribeEndpoint], [endpoint]),
        allow(
            "DescribeConfigOfEndpoint",
            [sagemaker.DescribeEndpointConfig],
            [arn("sagemaker", "endpoint-config/*")],
        ),
    ]


def _remove_what_runs_made(name: UniqueName) -> list[Statement]:
    """Allow deletion by name and owner tag; the model packages in a group have no tags."""
    packages = arn("sagemaker", "model-package/${Name}/*", Name=name)
    return [
        allow(
            "DeleteWhatRunsMade",
            [sagemaker.DeleteEndpoint, sagemaker.DeleteEndpointConfig, sagemaker.DeleteModel],
            [arn("sagemaker", "endpoint/${Name}", Name=name), *_configs_and_models(name)],
            Condition(StringEquals(f"aws:ResourceTag/{OWNER_TAG}", Ref("AWS::StackId"))),
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


def _configs_and_models(name: UniqueName) -> list[Sub]:
    """Return the ARNs of what runs create; the service adds a suffix to the names."""
    return [
        arn("sagemaker", "endpoint-config/*${Name}*", Name=name),
        arn("sagemaker", "model/pipelines-*"),
    ]
