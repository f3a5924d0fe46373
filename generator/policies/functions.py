"""Rights of the functions behind the custom resources.

Each function's own rights follow the list in its handler's docstring. What Lambda itself does with
the role of every function comes before them.
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
    """Write the function's own log.

    Source: Lambda developer guide, "Defining Lambda function permissions with an execution role".
    """
    return allow("WriteLog", [logs.CreateLogStream, logs.PutLogEvents], [log_group])


def every_function(queue: QueueArn, key: KeyArn, tracing: bool) -> list[Statement]:
    """With ``tracing``, write the trace; hand over events that failed. Log and queue are encrypted.

    Lambda tries these rights when a function is made: they are given with the role, minutes before,
    since rights given a moment before are not everywhere yet (IAM user guide, "Changes that I make
    are not always immediately visible"). Source: Lambda developer guide, "Adding a dead-letter
    queue".
    """
    traces = allow_anywhere("WriteTraces", [xray.PutTelemetryRecords, xray.PutTraceSegments])
    return [
        *([traces] if tracing else []),
        allow("HandOverFailedEvents", [sqs.SendMessage], [queue]),
        use_key_through(["sqs"], key),
        use_key_of_logs(key),
    ]


def function_in_the_vpc() -> list[Statement]:
    """Let Lambda put the function's interfaces into our subnets, and its code not.

    Given with the role, and unconditioned by the parameter that takes the function out of the VPC:
    Lambda removes its interfaces some time after the function is gone or outside. The Deny holds
    for calls that the function's code makes.
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
    """Tell a deletion of the stack from a replacement, and a late event from one in time."""
    return allow("ReadOwnStack", [cloudformation.DescribeStacks], [Ref("AWS::StackId")])


def vpc_baseline(vpc: VpcId) -> list[Statement]:
    """Close the default security group of the VPC, and look up the S3 prefix list."""
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
    """Deny writes to a bucket, then remove all that is in it."""
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
    """Delete the apps and spaces of one domain, and the profiles that others made."""
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
    """Write and remove the synthetic table, one object."""
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
    """Own the pipeline and its code; at deletion, remove what runs made and is still ours."""
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
    """Listings find every name that contains ours; whose each is, its tags say, or its name."""
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
    """Delete by name and by the owner's tag; model packages of a group have no tags of theirs."""
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
    """Return the ARNs of what runs make; the service adds a suffix of its own to the names."""
    return [
        arn("sagemaker", "endpoint-config/*${Name}*", Name=name),
        arn("sagemaker", "model/pipelines-*"),
    ]
