"""The controls: what each one does, where it is in the templates, and how to remove it.

``undo`` removes a control from the merged deployment (``whole.py``). A checker confirms the
control if it then objects to one of the resources and did not before: tested, not claimed
(``confirm.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

ResourcesById = dict[str, Any]
Undo = Callable[[ResourcesById], None]
Select = Callable[[ResourcesById], list[str]]
Where = tuple[str | Select, ...]
"""Logical ids, and what finds more of them."""

ANYWHERE: Final = "0.0.0.0/0"


@dataclass(frozen=True)
class Control:
    """One control; ``proof`` has test files, ``cdk`` what the example of the CDK does."""

    title: str
    how: str
    resources: Where
    proof: tuple[str, ...]
    cdk: str
    undo: Undo

    def titles(self, resources: ResourcesById) -> list[str]:
        """Return the logical ids of the resources that have the control."""
        return _titles(self.resources, resources)


def _without(*properties: str) -> Callable[[str], Undo]:
    """Return a function that removes properties; a dot separates nested ones."""

    def of(title: str) -> Undo:
        def undo(resources: ResourcesById) -> None:
            for path in properties:
                *parents, last = path.split(".")
                inner = resources[title]["Properties"]
                for parent in parents:
                    inner = inner[parent]
                del inner[last]

        return undo

    return of


def _with(**values: Any) -> Callable[[str], Undo]:
    """Return a function that changes properties of a resource."""

    def of(title: str) -> Undo:
        def undo(resources: ResourcesById) -> None:
            resources[title]["Properties"].update(values)

        return undo

    return of


def _without_statement(*sids: str, document: str = "PolicyDocument") -> Callable[[str], Undo]:
    """Return a function that removes statements from a policy.

    It raises KeyError if a statement does not exist, for example because it was renamed.
    """

    def of(title: str) -> Undo:
        def undo(resources: ResourcesById) -> None:
            policy = resources[title]["Properties"][document]
            for sid in sids:
                if sid not in (statement.get("Sid") for statement in policy["Statement"]):
                    raise KeyError(f"{title} has no statement {sid}")
            policy["Statement"] = [s for s in policy["Statement"] if s.get("Sid") not in sids]

        return undo

    return of


def _gone(title: str) -> Undo:
    def undo(resources: ResourcesById) -> None:
        del resources[title]

    return undo


def _every(kind: str, having: str = "") -> Select:
    """Return what finds the resources of a type, or those of them that have a property."""

    def found(resources: ResourcesById) -> list[str]:
        return [
            title
            for title, resource in resources.items()
            if resource["Type"] == kind and having in ("", *resource["Properties"])
        ]

    return found


def _titles(where: Where, resources: ResourcesById) -> list[str]:
    found = ([one] if isinstance(one, str) else one(resources) for one in where)
    return [title for titles in found for title in titles]


def _all(how: Callable[[str], Undo], where: Where) -> Undo:
    def undo(resources: ResourcesById) -> None:
        for title in _titles(where, resources):
            how(title)(resources)

    return undo


def _each_trust_open(resources: ResourcesById) -> None:
    for resource in resources.values():
        if resource["Type"] == "AWS::IAM::Role":
            for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                statement.pop("Condition", None)


def _every_service_allowed(resources: ResourcesById) -> None:
    document = resources["PipelinePolicy"]["Properties"]["PolicyDocument"]
    document["Statement"] = [
        {"Effect": "Allow", "Action": [f"{service}:*"], "Resource": "*"}
        for service in ("s3", "sagemaker", "logs", "iam")
    ]


def _egress_anywhere(resources: ResourcesById) -> None:
    for title in _titles(_GROUPS, resources):
        rule = {"CidrIp": ANYWHERE, "IpProtocol": "-1", "Description": "Everything"}
        resources[title]["Properties"]["SecurityGroupEgress"] = [rule]


_BUCKETS: Final = (_every("AWS::S3::Bucket"),)
_POLICIES: Final = (_every("AWS::S3::BucketPolicy"),)
_FUNCTIONS: Final = (_every("AWS::Lambda::Function"),)
_INSIDE: Final = (_every("AWS::Lambda::Function", having="VpcConfig"),)
_LOG_GROUPS: Final = (_every("AWS::Logs::LogGroup"),)
_ENDPOINTS: Final = (_every("AWS::EC2::VPCEndpoint"),)
_GROUPS: Final = (_every("AWS::EC2::SecurityGroup"),)
_SUBNETS: Final = (_every("AWS::EC2::Subnet"),)

_RESOURCES: Final = "tests/templates/test_resources.py"
_REACH: Final = "tests/templates/test_reachability.py"
_CHOICES: Final = "tests/reports/audit/test_choices.py"
_CONTROLS: Final = "tests/reports/audit/test_controls.py"
_ATTACKS: Final = "tests/iam/test_attacks.py"
_GUARDS: Final = "tests/iam/test_guards.py"
_MINIMALITY: Final = "tests/iam/test_minimality.py"
_EMULATED: Final = "tests/cloud/test_deployment.py"

CONTROLS: Final = (
    Control(
        "No public data, no ACLs",
        "Four public-access blocks; BucketOwnerEnforced turns ACLs off",
        _BUCKETS,
        (_RESOURCES,),
        "yes",
        _all(_without("PublicAccessBlockConfiguration", "OwnershipControls"), _BUCKETS),
    ),
    Control(
        "TLS only",
        "Deny where aws:SecureTransport is false",
        (*_POLICIES, "AlertTopicPolicy", "DeadLetterQueuePolicy"),
        (_RESOURCES, _ATTACKS),
        "buckets only",
        _all(
            _without_statement("DenyPlainHttp"),
            (*_POLICIES, "AlertTopicPolicy", "DeadLetterQueuePolicy"),
        ),
    ),
    Control(
        "TLS 1.2 or newer",
        "Deny where s3:TlsVersion is below 1.2",
        _POLICIES,
        (_CONTROLS,),
        "no",
        _all(_without_statement("DenyOldTls"), _POLICIES),
    ),
    Control(
        "Data encrypted with our key",
        "Default SSE-KMS with the key's ARN and a bucket key",
        ("DataBucket",),
        (_RESOURCES,),
        "in part",
        _without("BucketEncryption")("DataBucket"),
    ),
    Control(
        "Nothing under another key",
        "Deny uploads that name another algorithm, another key, no KMS key, or a customer key",
        ("DataBucketPolicy",),
        (_ATTACKS,),
        "no",
        _without_statement(
            "DenyOtherAlgorithms", "DenyOtherKeys", "DenyNoKey", "DenyKeysOfCustomers"
        )("DataBucketPolicy"),
    ),
    Control(
        "Stolen credentials are useless outside the VPC",
        "Deny the roles that work in the VPC to read, write or delete data, except through our "
        "S3 endpoint",
        ("DataBucketPolicy",),
        (_ATTACKS,),
        "no",
        _without_statement("DenyOutsideTheVpc")("DataBucketPolicy"),
    ),
    Control(
        "Access to data is logged",
        "S3 server access logs; the log bucket's policy names service and account",
        ("DataBucket", "LogBucketPolicy"),
        (_RESOURCES,),
        "yes",
        _without("LoggingConfiguration")("DataBucket"),
    ),
    Control(
        "Access logs cannot be deleted",
        "Deny to everyone except the emptying function and the break-glass principal",
        ("LogBucketPolicy",),
        (_ATTACKS,),
        "no",
        _without_statement("DenyDeletingLogs")("LogBucketPolicy"),
    ),
    Control(
        "Overwritten and deleted data can be recovered",
        "Versioning on both buckets; Object Lock and a replica by setting",
        _BUCKETS,
        (_RESOURCES, _CHOICES, "tests/cloud/test_choices.py"),
        "no",
        _all(_without("VersioningConfiguration"), _BUCKETS),
    ),
    Control(
        "Nothing is kept forever",
        "Old versions, unfinished uploads and access logs expire",
        _BUCKETS,
        (_CONTROLS,),
        "no",
        _all(_without("LifecycleConfiguration"), _BUCKETS),
    ),
    Control(
        "The key rotates",
        "EnableKeyRotation; your own key by setting",
        ("Key",),
        (_RESOURCES, _CHOICES),
        "yes",
        _with(EnableKeyRotation=False)("Key"),
    ),
    Control(
        "Grants on the key only to AWS services",
        "Deny kms:CreateGrant unless the grant is for an AWS resource or the caller is AWS",
        ("Key",),
        (_ATTACKS,),
        "no",
        _without_statement("DenyGrantsToOthers", document="KeyPolicy")("Key"),
    ),
    Control(
        "Logs encrypted with our key",
        "KmsKeyId on every log group of functions and flow logs; the stacks create all of them",
        _LOG_GROUPS,
        (_RESOURCES,),
        "no",
        _all(_without("KmsKeyId"), _LOG_GROUPS),
    ),
    Control(
        "Logs are kept as long as configured",
        "RetentionInDays on every log group, by setting",
        _LOG_GROUPS,
        (_RESOURCES,),
        "no",
        _all(_without("RetentionInDays"), _LOG_GROUPS),
    ),
    Control(
        "No route to or from the internet",
        "No internet gateway, NAT or public addresses; AWS only through endpoints",
        ("Vpc", *_SUBNETS, "RouteTable", "S3Endpoint"),
        (_RESOURCES, _REACH),
        "yes",
        _all(_with(MapPublicIpOnLaunch=True), _SUBNETS),
    ),
    Control(
        "Egress only to endpoints and S3",
        "Only rules between security groups and to the S3 prefix list; no default rule",
        _GROUPS,
        (_RESOURCES, _REACH),
        "no: 0.0.0.0/0",
        _egress_anywhere,
    ),
    Control(
        "Endpoint policies: a data perimeter",
        "aws:PrincipalAccount and aws:ResourceAccount, with exceptions by name",
        _ENDPOINTS,
        (_RESOURCES, _ATTACKS),
        "no",
        _all(_without("PolicyDocument"), _ENDPOINTS),
    ),
    Control(
        "Network traffic is logged",
        "Flow log of the VPC, all traffic, encrypted",
        ("FlowLog", "FlowLogsLogGroup"),
        (_RESOURCES,),
        "no",
        _gone("FlowLog"),
    ),
    Control(
        "The default security group is closed",
        "A custom resource revokes its rules; its function runs outside the VPC",
        ("VpcBaseline", "VpcBaselineFunction"),
        ("tests/functions/test_vpc_baseline.py", _EMULATED),
        "yes",
        _with(VpcId="")("VpcBaseline"),
    ),
    Control(
        "No job or model outside the VPC, without our key or isolation",
        "Denies in the roles of people and of the pipeline",
        ("JobsStayInsidePolicy",),
        (_GUARDS, _ATTACKS),
        "no",
        _gone("JobsStayInsidePolicy"),
    ),
    Control(
        "Spending is limited by the settings",
        "Denies in the roles of people and of the pipeline: instance types of jobs, endpoints and "
        "apps, and the duration of jobs",
        ("SpendingLimitsPolicy",),
        (_GUARDS, _ATTACKS),
        "no",
        _gone("SpendingLimitsPolicy"),
    ),
    Control(
        "The pipeline's own jobs run in the VPC, encrypted and isolated",
        "VpcConfig, keys, isolation and encryption between containers on every job and model",
        ("Pipeline",),
        ("tests/pipeline/test_definition.py",),
        "no",
        _with(SubnetIds="", SecurityGroupIds="", KeyArn="")("Pipeline"),
    ),
    Control(
        "No role has full access to a service",
        "No AWS managed policy, no service:*; PassRole only for named roles and one service",
        ("PipelinePolicy", "StudioPolicy"),
        (_ATTACKS, _MINIMALITY),
        "no",
        _every_service_allowed,
    ),
    Control(
        "No confused deputy",
        "aws:SourceArn or aws:SourceAccount in every trust whose service sends it",
        ("ProcessingRole", "TrainingRole", "ModelRole", "PipelineRole", "StudioRole"),
        (_ATTACKS,),
        "no",
        _each_trust_open,
    ),
    Control(
        "Studio in the VPC only, under our key",
        "VpcOnly, IAM authentication, KmsKeyId, in both zones",
        ("Domain",),
        (_RESOURCES,),
        "yes",
        _all(_without("AppNetworkAccessType", "KmsKeyId"), ("Domain",)),
    ),
    Control(
        "Studio shuts down idle apps and does not share output",
        "Idle shutdown; no sharing of notebook output; calls carry the profile's name",
        ("Domain",),
        (_RESOURCES, _CONTROLS),
        "no",
        _without(
            "DefaultUserSettings.JupyterLabAppSettings",
            "DefaultUserSettings.SharingSettings",
            "DomainSettings.ExecutionRoleIdentityConfig",
        )("Domain"),
    ),
    Control(
        "Alerts encrypted with our key",
        "KmsMasterKeyId; the key's policy lets EventBridge and alarms use it",
        ("AlertTopic",),
        (_RESOURCES, _EMULATED),
        "no",
        _without("KmsMasterKeyId")("AlertTopic"),
    ),
    Control(
        "Undeliverable events are kept, encrypted, and raise an alarm",
        "Dead-letter queue for functions and the alert rule, with an alarm",
        ("DeadLetterQueue", "DeadLetterAlarm", *_FUNCTIONS),
        (_RESOURCES, _CONTROLS),
        "no",
        _all(_without("DeadLetterConfig"), _FUNCTIONS),
    ),
    Control(
        "Functions run in the VPC, across its zones",
        "VpcConfig on all functions that access data or Studio",
        _INSIDE,
        (_RESOURCES,),
        "2 of 7",
        _all(_without("VpcConfig"), _INSIDE),
    ),
    Control(
        "Functions are traced",
        "X-Ray, unless a setting turns it off",
        _FUNCTIONS,
        (_CONTROLS, _CHOICES),
        "no",
        _all(_with(TracingConfig={"Mode": "PassThrough"}), _FUNCTIONS),
    ),
)
