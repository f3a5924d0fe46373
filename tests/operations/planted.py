"""Loosenings that are planted in the emitted templates: each one must be asked about."""

from __future__ import annotations

from typing import Any, Final

from functions.empty_bucket.core import PERMISSION_TAG
from pipeline.types import Json
from tests.iam.account import ALL, Request
from tests.iam.attacks import FOREIGN, OPEN, THIEF
from tests.operations.edits import (
    Edit,
    Templates,
    add,
    also,
    append,
    attribute,
    every,
    put,
    remove,
    say,
    statement,
    unsay,
)

ADMINISTRATOR: Final = "arn:aws:iam::123456789012:role/administrator"
_BIG: Final = "ml.p4d.24xlarge"
_SAGEMAKER: Final = "arn:aws:sagemaker:eu-west-1:123456789012"
_S3: Final = "S3Endpoint"
_VIA_S3: Final = {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}


def _training(who: str, name: str = "pipelines-x", **changes: Any) -> Request:
    """Return the request for a training job as the pipeline starts it, with changes."""
    context: dict[str, str | list[str]] = {
        "sagemaker:VpcSubnets": ["{subnet}"],
        "sagemaker:VpcSecurityGroupIds": ["{jobs_group}"],
        "sagemaker:NetworkIsolation": "true",
        "sagemaker:InterContainerTrafficEncryption": "true",
        "sagemaker:VolumeKmsKeyArn": "{key}",
        "sagemaker:OutputKmsKeyArn": "{key}",
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:MaxRuntimeInSeconds": "3600",
    }
    given = {f"sagemaker:{key}": value for key, value in changes.items()}
    return Request(
        who, "sagemaker:CreateTrainingJob", f"{_SAGEMAKER}:training-job/{name}", context | given
    )


def _arn(service: str, rest: str) -> Json:
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:{rest}"}


def _more(place: str, sid: str, part: str, *items: Any) -> Any:
    """Return the change that adds items to a list of a statement."""
    return lambda templates: statement(templates, place, sid)[part].extend(items)


def _moved(templates: Templates) -> None:
    templates["network"]["Parameters"]["SeedDataRole"] = {"Type": "String"}
    arguments = templates["root"]["Resources"]["NetworkStack"]["Properties"]["Parameters"]
    arguments["SeedDataRole"] = {"Fn::GetAtt": "SecurityStack.Outputs.SeedDataRole"}
    put("network/VpcBaselinePolicy", "RoleName", {"Ref": "SeedDataRole"})(templates)


def _allow_big(templates: Templates) -> None:
    tested = statement(templates, "network/SpendingLimitsPolicy", "NoOtherJobs")["Condition"]
    tested["ForAnyValue:StringNotEquals"]["sagemaker:InstanceTypes"].append(_BIG)


def _exempt(templates: Templates) -> None:
    tested = statement(templates, "storage/LogBucketPolicy", "DenyDeletingLogs")["Condition"]
    tested["ArnNotLike"]["aws:PrincipalArn"].append(_arn("iam", ":${AWS::AccountId}:role/*"))


def _put(who: str, target: str, **context: Any) -> Request:
    return Request(who, "s3:PutObject", target, context, _S3)


RIGHTS: Final = (
    Edit(
        "an action is added",
        _more("pipeline/SeedDataPolicy", "KeepTable", "Action", "s3:DeleteObjectVersion"),
        probe=Request("SeedDataRole", "s3:DeleteObjectVersion", "{bucket}/raw/data.csv", via=_S3),
    ),
    Edit(
        "actions become a wildcard",
        say("pipeline/PipelineManagerPolicy", "OwnPipeline", Action=["sagemaker:*"]),
        probe=Request(
            "PipelineManagerRole",
            "sagemaker:StartPipelineExecution",
            _SAGEMAKER + ":pipeline/{name}",
        ),
    ),
    Edit(
        "a prefix is dropped from a resource",
        say(
            "pipeline/TrainingPolicy",
            "WriteObjects",
            Resource=[{"Fn::Sub": "arn:${AWS::Partition}:s3:::${DataBucket}/*"}],
        ),
        probe=_put("TrainingRole", "{bucket}/raw/x"),
    ),
    Edit(
        "a condition is dropped",
        say("pipeline/ProcessingPolicy", "DataKeys", Condition=None),
        probe=Request("ProcessingRole", "kms:GenerateDataKey", "{key}"),
    ),
    Edit(
        "a condition allows another value",
        say(
            "pipeline/TrainingPolicy",
            "PutMetrics",
            Condition={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "mine"]}},
        ),
        probe=Request(
            "TrainingRole", "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "mine"}
        ),
    ),
    Edit(
        "a condition is skipped if its key is absent",
        say(
            "pipeline/TrainingPolicy",
            "DataKeys",
            Condition={"StringEqualsIfExists": {"kms:ViaService": _VIA_S3}},
        ),
        probe=Request("TrainingRole", "kms:GenerateDataKey", "{key}"),
    ),
    Edit(
        "a role can be passed to any service",
        say("pipeline/PipelinePolicy", "PassModelRole", Condition=None),
        probe=Request(
            "PipelineRole",
            "iam:PassRole",
            "{ModelRole}",
            {"iam:PassedToService": "ec2.amazonaws.com"},
        ),
    ),
    Edit(
        "a Deny is removed",
        unsay("network/JobsStayInsidePolicy", "NothingUnisolated"),
        probe=_training("PipelineRole", NetworkIsolation="false"),
    ),
    Edit(
        "a Deny has one exception more",
        _allow_big,
        probe=_training("PipelineRole", InstanceTypes=[_BIG]),
    ),
    Edit(
        "a Deny starts at a higher limit",
        say(
            "network/SpendingLimitsPolicy",
            "NoLongJobs",
            Condition={"NumericGreaterThan": {"sagemaker:MaxRuntimeInSeconds": 86400}},
        ),
        probe=_training("PipelineRole", MaxRuntimeInSeconds="80000"),
    ),
    Edit(
        "a Deny has another condition besides",
        lambda templates: statement(templates, "network/JobsStayInsidePolicy", "NoPlainTraffic")[
            "Condition"
        ].update({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}),
        probe=_training("PipelineRole", InterContainerTrafficEncryption="false"),
    ),
    Edit(
        "a Deny misses one action",
        lambda templates: statement(templates, "network/JobsStayInsidePolicy", "NothingUnisolated")[
            "Action"
        ].remove("sagemaker:CreateTrainingJob"),
        probe=_training("PipelineRole", NetworkIsolation="false"),
    ),
    Edit(
        "a Deny is detached from a role",
        put("network/SpendingLimitsPolicy", "Roles", [{"Ref": "PipelineRole"}]),
        probe=_training("StudioRole", "{name}-x", InstanceTypes=[_BIG]),
    ),
    Edit(
        "a policy is attached to another role",
        lambda templates: templates["security"]["Resources"]["JobsLastingPolicy"]["Properties"][
            "Roles"
        ].append({"Ref": "StudioRole"}),
        probe=Request("StudioRole", "ec2:DescribeVpcs", "*"),
    ),
    Edit(
        "a policy moves to another role",
        _moved,
        probe=Request("SeedDataRole", "ec2:DescribeSecurityGroups", "*"),
    ),
    Edit(
        "actions are all but some",
        say("network/FlowLogsPolicy", "FindLogGroup", Action=None, NotAction=["iam:*"]),
        probe=Request("FlowLogsRole", "s3:ListAllMyBuckets", "*"),
    ),
    Edit(
        "resources are all but some",
        say(
            "pipeline/ModelPolicy",
            "DecryptModels",
            Resource=None,
            NotResource=[_arn("kms", "*:*:key/none")],
        ),
        probe=Request(
            "ModelRole",
            "kms:Decrypt",
            "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        ),
    ),
    Edit(
        "the boundary is removed from a role",
        put("security/PipelineRole", "PermissionsBoundary", None),
        base="bounded",
        probe=Request(
            "PipelineRole",
            "iam:PassRole",
            "{ModelRole}",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
        ),
    ),
    Edit(
        "anything can start a role's session",
        say("security/ProcessingRole", "", Condition=None),
        probe=Request("sagemaker.amazonaws.com", "sts:AssumeRole", "{ProcessingRole}"),
    ),
    Edit(
        "a role trusts another account",
        append(
            "security/TrainingRole",
            Effect="Allow",
            Principal={"AWS": f"arn:aws:iam::{FOREIGN}:root"},
            Action="sts:AssumeRole",
        ),
        probe=Request(THIEF, "sts:AssumeRole", "{TrainingRole}", extra=(ALL,)),
    ),
    Edit(
        "a role trusts every pipeline",
        say(
            "security/PipelineRole",
            "",
            Condition={
                "ArnLike": {
                    "aws:SourceArn": _arn(
                        "sagemaker", "${AWS::Region}:${AWS::AccountId}:pipeline/*"
                    )
                }
            },
        ),
        probe=Request(
            "sagemaker.amazonaws.com",
            "sts:AssumeRole",
            "{PipelineRole}",
            {"aws:SourceArn": f"{_SAGEMAKER}:pipeline/other/execution/1"},
        ),
    ),
)
"""Policies of roles, and who may take them."""

RESOURCES: Final = (
    Edit(
        "every role of the account can use the key",
        say("security/Key", "RolesOfTheStackUseKey", Condition=None),
        probe=Request(ADMINISTRATOR, "kms:Decrypt", "{key}", extra=(ALL,)),
    ),
    Edit(
        "the key has no policy of its own",
        put("security/Key", "KeyPolicy", None),
        probe=Request(ADMINISTRATOR, "kms:Decrypt", "{key}", extra=(ALL,)),
    ),
    Edit(
        "the key can be used through any service",
        say(
            "security/Key",
            "CallersOfLogsUseKey",
            Condition={"StringLike": {"kms:ViaService": "*"}},
        ),
        probe=Request(
            ADMINISTRATOR,
            "kms:Encrypt",
            "{key}",
            {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"},
            extra=(ALL,),
        ),
    ),
    Edit(
        "the bucket has no policy",
        remove("storage/DataBucketPolicy"),
        probe=Request("ProcessingRole", "s3:GetObject", "{bucket}/raw/x"),
    ),
    Edit(
        "the bucket takes plain HTTP",
        unsay("storage/DataBucketPolicy", "DenyPlainHttp"),
        probe=Request(
            "ProcessingRole",
            "s3:GetObject",
            "{bucket}/raw/x",
            {"aws:SecureTransport": "false"},
            _S3,
        ),
    ),
    Edit(
        "the bucket takes other algorithms",
        unsay("storage/DataBucketPolicy", "DenyOtherAlgorithms"),
        probe=Request(
            "SeedDataRole",
            "s3:PutObject",
            "{bucket}/raw/data.csv",
            {"s3:x-amz-server-side-encryption": "AES256"},
            _S3,
        ),
    ),
    Edit(
        "the bucket can be read from another account",
        append(
            "storage/DataBucketPolicy",
            Effect="Allow",
            Principal={"AWS": FOREIGN},
            Action="s3:GetObject",
            Resource={"Fn::Sub": "${DataBucket.Arn}/*"},
        ),
        probe=Request(THIEF, "s3:GetObject", "{bucket}/raw/x", extra=(ALL,)),
    ),
    Edit(
        "every role can delete access logs",
        _exempt,
        probe=Request(ADMINISTRATOR, "s3:DeleteObject", "{log_bucket}/data/x", extra=(ALL,)),
    ),
    Edit(
        "everyone can publish alerts",
        say("pipeline/AlertTopicPolicy", "EventBridgePublishes", Principal="*"),
        probe=Request(THIEF, "sns:Publish", "{topic}", extra=(ALL,)),
    ),
    Edit(
        "every rule can send dead letters",
        say("security/DeadLetterQueuePolicy", "EventBridgeHandsOver", Condition=None),
        probe=Request("events.amazonaws.com", "sqs:SendMessage", "{queue}"),
    ),
    Edit(
        "the endpoint of S3 has no policy",
        put("network/S3Endpoint", "PolicyDocument", None),
        probe=_put(
            "ProcessingRole", "arn:aws:s3:::elsewhere/x", **{"aws:ResourceAccount": FOREIGN}
        ).but(extra=(ALL,), guard=OPEN),
    ),
    Edit(
        "an endpoint takes requests of other accounts",
        say("network/SagemakerApiEndpoint", "ThisAccount", Condition=None),
        probe=Request(
            THIEF,
            "sagemaker:DescribeEndpoint",
            f"arn:aws:sagemaker:eu-west-1:{FOREIGN}:endpoint/x",
            via="SagemakerApiEndpoint",
            extra=(ALL,),
        ),
    ),
    Edit(
        "images can be pushed to other accounts",
        _more("network/EcrApiEndpoint", "PullImagesOfOtherAccounts", "Action", "ecr:PutImage"),
        probe=Request(
            "ProcessingRole",
            "ecr:PutImage",
            f"arn:aws:ecr:eu-west-1:{FOREIGN}:repository/x",
            via="EcrApiEndpoint",
            extra=(ALL,),
            guard=OPEN,
        ),
    ),
)
"""Policies of resources and of VPC endpoints."""

POLICIES: Final = RIGHTS + RESOURCES

OTHERS: Final = (
    Edit(
        "the boundary becomes another one",
        every(
            "AWS::IAM::Role",
            lambda role: role.update(PermissionsBoundary="arn:aws:iam::123456789012:policy/other"),
        ),
        base="bounded",
    ),
    Edit(
        "another account can call a function",
        add(
            "pipeline/Permission",
            "AWS::Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName={"Ref": "SeedDataFunction"},
            Principal=FOREIGN,
        ),
    ),
    Edit(
        "an endpoint comes without a policy",
        add(
            "network/GlueEndpoint",
            "AWS::EC2::VPCEndpoint",
            ServiceName="com.amazonaws.eu-west-1.glue",
            VpcId={"Ref": "Vpc"},
        ),
    ),
    Edit(
        "a role gets a policy of AWS's",
        put(
            "security/ModelRole",
            "ManagedPolicyArns",
            ["arn:aws:iam::aws:policy/AdministratorAccess"],
        ),
    ),
    Edit(
        "a function runs as another role",
        put("pipeline/SeedDataFunction", "Role", {"Ref": "PipelineManagerRole"}),
    ),
    Edit(
        "a rule goes to all addresses",
        also(
            put("network/StudioToS3", "DestinationPrefixListId", None),
            put("network/StudioToS3", "CidrIp", "0.0.0.0/0"),
        ),
    ),
    Edit(
        "a group has the default rule",
        put("network/JobsSecurityGroup", "SecurityGroupEgress", None),
    ),
    Edit("a rule has more ports", put("network/EndpointsFromJobs", "FromPort", 0)),
    Edit("a rule is for all protocols", put("network/EndpointsFromJobs", "IpProtocol", "-1")),
    Edit("the functions leave the VPC", after={"FunctionsInTheVpc": "no"}),
    Edit("one function leaves the VPC", put("pipeline/SeedDataFunction", "VpcConfig", None)),
    Edit(
        "apps reach the internet",
        put("studio/Domain", "AppNetworkAccessType", "PublicInternetOnly"),
    ),
    Edit(
        "there is a way to the internet",
        also(
            add("network/Gateway", "AWS::EC2::InternetGateway"),
            add(
                "network/Way",
                "AWS::EC2::Route",
                RouteTableId={"Ref": "RouteTable"},
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId={"Ref": "Gateway"},
            ),
        ),
    ),
    Edit("a user gets a key", add("security/Access", "AWS::IAM::AccessKey", UserName="me")),
    Edit(
        "the bucket has an access control list",
        put("storage/DataBucket", "AccessControl", "PublicRead"),
    ),
    Edit("a subnet gives public addresses", put("network/Subnet1", "MapPublicIpOnLaunch", True)),
    Edit(
        "jobs are in another group",
        put("pipeline/Pipeline", "SecurityGroupIds", {"Ref": "FunctionsSecurityGroupId"}),
    ),
    Edit("a log is not encrypted", put("pipeline/SeedDataLogGroup", "KmsKeyId", None)),
    Edit(
        "the bucket has AWS's key",
        put(
            "storage/DataBucket",
            "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault",
            {"SSEAlgorithm": "AES256"},
        ),
    ),
    Edit("the bucket has no encryption", put("storage/DataBucket", "BucketEncryption", None)),
    Edit("disks have AWS's key", put("studio/Domain", "KmsKeyId", None)),
    Edit("the key is not rotated", put("security/Key", "EnableKeyRotation", False)),
    Edit("the queue is not encrypted", put("security/DeadLetterQueue", "KmsMasterKeyId", None)),
    Edit("alerts have another key", put("pipeline/AlertTopic", "KmsMasterKeyId", "alias/aws/sns")),
    Edit(
        "alarms reach another topic",
        put("pipeline/DeadLetterAlarm", "AlarmActions", ["arn:aws:sns:eu-west-1:123456789012:x"]),
    ),
    Edit(
        "failed runs reach another topic",
        put("pipeline/RunFailedRule", "Targets.0.Arn", "arn:aws:sns:eu-west-1:123456789012:x"),
    ),
    Edit("the key is not kept", attribute("security/Key", DeletionPolicy="Delete"), base="prod"),
    Edit(
        "a replaced bucket is not kept",
        attribute("storage/DataBucket", UpdateReplacePolicy="Delete"),
        base="prod",
    ),
    Edit("a log is kept for a month", put("network/FlowLogsLogGroup", "RetentionInDays", 30)),
    Edit(
        "versions are not kept",
        put("storage/DataBucket", "VersioningConfiguration.Status", "Suspended"),
    ),
    Edit(
        "all objects expire",
        put("storage/DataBucket", "LifecycleConfiguration.Rules.0.Prefix", None),
    ),
    Edit(
        "old versions expire at once",
        put(
            "storage/DataBucket",
            "LifecycleConfiguration.Rules.1.NoncurrentVersionExpiration.NoncurrentDays",
            1,
        ),
    ),
    Edit(
        "versions are locked for a day",
        put("storage/DataBucket", "ObjectLockConfiguration.Rule.DefaultRetention.Days", 1),
        base="locked",
    ),
    Edit(
        "there are no copies",
        put("storage/DataBucket", "ReplicationConfiguration", None),
        base="locked",
    ),
    Edit("a week to save the key", put("security/Key", "PendingWindowInDays", 7), base="prod"),
    Edit(
        "the bucket may be emptied",
        put("storage/DataBucket", "Tags", [{"Key": PERMISSION_TAG, "Value": "me"}]),
        base="prod",
    ),
    Edit("spaces are deleted with the stack", after={"DeleteSpaces": "yes"}),
    Edit(
        "the bucket can be made public",
        put("storage/DataBucket", "PublicAccessBlockConfiguration.BlockPublicPolicy", False),
    ),
    Edit(
        "people share output",
        put("studio/Domain", "DefaultUserSettings.SharingSettings.NotebookOutputOption", "Allowed"),
    ),
    Edit("access is not logged", put("storage/DataBucket", "LoggingConfiguration", None)),
    Edit(
        "anybody publishes packages",
        put(
            "studio/PackageGroupOfPypi",
            "OriginConfiguration.Restrictions.Publish.RestrictionMode",
            "ALLOW",
        ),
        base="packages",
    ),
    Edit(
        "internal names come from PyPI, too",
        remove("studio/AcmePackageGroup"),
        base="packages",
    ),
    Edit(
        "packages come from one more place",
        put("studio/PackageRepository", "ExternalConnections", ["public:pypi", "public:npmjs"]),
        base="packages",
    ),
    Edit(
        "apps start with another script",
        put("studio/JupyterLabLifecycleConfig", "StudioLifecycleConfigContent", "ZWNobyBoaQ=="),
        base="packages",
    ),
    Edit(
        "packages under another key",
        put("studio/PackageDomain", "EncryptionKey", "arn:aws:kms:eu-west-1:123456789012:key/x"),
        base="packages",
    ),
)
"""What is not in a policy of the templates."""

PLANTED: Final = POLICIES + OTHERS
