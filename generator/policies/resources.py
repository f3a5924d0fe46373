"""Resource policies: key, buckets, endpoints, topic, queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from awacs import kms, s3, sns, sqs
from awacs.aws import (
    Action,
    ArnEquals,
    ArnLike,
    ArnNotLike,
    Bool,
    BoolIfExists,
    Condition,
    Null,
    NumericLessThan,
    PolicyDocument,
    Principal,
    Statement,
    StringEquals,
    StringEqualsIfExists,
    StringNotEquals,
)
from troposphere import Join, Ref, Split, Sub

from generator.policies.jobs import ENDPOINT_LOGS, RESULTS_OF_RUNS
from generator.policies.statements import (
    JOBS,
    KEY_OF_LOGS,
    account_root,
    allow_principal,
    arn,
    bucket_arn,
    deny_everybody,
    document,
    objects_arn,
    package_domain_arn,
    package_repository_arn,
    pathed_roles,
    role_arn,
    through,
)
from generator.wiring import (
    BucketName,
    EndpointId,
    Expression,
    KeyArn,
    RoleName,
    RootStackName,
    UniqueName,
)

THIS_KEY = "*"
"""In a key policy, ``*`` means that key only."""

_ADMINISTER_KEY = (
    kms.CancelKeyDeletion,
    kms.DescribeKey,
    kms.DisableKey,
    kms.DisableKeyRotation,
    kms.EnableKey,
    kms.EnableKeyRotation,
    kms.CreateAlias,
    kms.DeleteAlias,
    kms.UpdateAlias,
    kms.GetKeyPolicy,
    kms.GetKeyRotationStatus,
    kms.ListGrants,
    kms.ListKeyPolicies,
    kms.ListResourceTags,
    kms.PutKeyPolicy,
    kms.RevokeGrant,
    kms.ScheduleKeyDeletion,
    kms.TagResource,
    kms.UntagResource,
    kms.UpdateKeyDescription,
)
_USE_KEY = (
    kms.Decrypt,
    kms.Encrypt,
    kms.GenerateDataKey,
)
MINIMUM_TLS = "1.2"
_PRINCIPAL = "aws:PrincipalArn"
_CUSTOMER_ALGORITHM = "s3:x-amz-server-side-encryption-customer-algorithm"
"""Sent with an upload that uses the client's own key (SSE-C)."""


def key_policy(
    root_stack: RootStackName,
    name: UniqueName,
    users: Sequence[RoleName],
    break_glass: str,
    *,
    several: bool = False,
    domain: bool = True,
    alarms: bool = True,
    results: bool = False,
) -> PolicyDocument:
    """Return the key's policy: who can administer it, use it, and let AWS services use it.

    The statements for this account delegate to IAM: the caller's own policy must allow the action
    too, and the key policy limits it by role, by service or to grants for AWS. ``break_glass`` is
    the ARN of a principal that can always do all of that, or empty. With ``several`` pipelines, the
    jobs of all but ``main`` are recognized by the path of their roles, however many there are.
    ``domain``: the stack creates a Studio domain with this key; ``alarms``: a topic for alarms;
    ``results``: topics to which models publish (SNS developer guide, "Managing Amazon SNS
    encryption keys and costs").
    """
    account = Principal("AWS", account_root())
    return document(
        *_break_glass_uses_key(break_glass),
        allow_principal("AccountAdministersKey", account, _ADMINISTER_KEY, [THIS_KEY]),
        allow_principal(
            "RolesOfTheStackUseKey",
            account,
            _USE_KEY,
            [THIS_KEY],
            Condition(ArnEquals("aws:PrincipalArn", [role_arn(user) for user in users])),
        ),
        *([_jobs_use_key(account, name)] if several else []),
        allow_principal(
            "PeopleUseKeyThroughS3",
            account,
            [kms.Decrypt, kms.GenerateDataKey],
            [THIS_KEY],
            Condition(through("s3", *(["sns"] if results else []))),
        ),
        _callers_of_logs_use_key(account),
        *([_deployers_use_key(account)] if domain else []),
        allow_principal(
            "AwsServicesGetGrants",
            account,
            [kms.CreateGrant],
            [THIS_KEY],
            Condition(Bool("kms:GrantIsForAWSResource", "true")),
        ),
        _deny_grants_to_others(),
        _logs_use_key(root_stack, name, several),
        _events_use_key(),
        *([_alarms_use_key()] if alarms else []),
    )


def _jobs_use_key(account: Principal, name: UniqueName) -> Statement:
    """Let SageMaker check the key with the roles of named pipelines' jobs (``jobs.use_key``).

    Everything else that they do with it goes through S3 and Logs.
    """
    jobs = pathed_roles(name, JOBS)
    return allow_principal(
        "JobsOfNamedPipelinesUseKey",
        account,
        [kms.Encrypt],
        [THIS_KEY],
        Condition(ArnLike({_PRINCIPAL: jobs})),
    )


def _callers_of_logs_use_key(account: Principal) -> Statement:
    """Let callers that create, write or read an encrypted log group use its key through Logs.

    Describing the key sends no encryption context, so the only condition is the service. Source:
    see ``KEY_OF_LOGS``; landing-zone-accelerator-on-aws issue 768.
    """
    actions = [action for action in KEY_OF_LOGS if action not in _ADMINISTER_KEY]
    return allow_principal(
        "CallersOfLogsUseKey",
        account,
        actions,
        [THIS_KEY],
        Condition(through("logs")),
    )


def _deployers_use_key(account: Principal) -> Statement:
    """Let deployers create what SageMaker and EFS encrypt with the deployer's permissions.

    EFS, because SageMaker creates the domain's home file system, if any, on their behalf.
    Source: handler permissions of AWS::SageMaker::Domain; SageMaker developer guide, "API
    permissions reference" (CreateDomain); EFS user guide, "Using AWS KMS keys for Amazon EFS".
    """
    return allow_principal(
        "DeployersUseKeyThroughServices",
        account,
        [kms.Decrypt, kms.GenerateDataKeyWithoutPlaintext],
        [THIS_KEY],
        Condition(through("elasticfilesystem", "sagemaker")),
    )


def _break_glass_uses_key(break_glass: str) -> list[Statement]:
    """Allow the principal itself, which then needs no other policy to administer and decrypt."""
    if not break_glass:
        return []
    actions = [*_ADMINISTER_KEY, kms.Decrypt]
    return [
        allow_principal("BreakGlass", Principal("AWS", break_glass), actions, [THIS_KEY]),
    ]


def _deny_grants_to_others() -> Statement:
    """Deny grants on the key, except by and to AWS services.

    Source: AWS Control Tower control catalog, CT.KMS.PR.3, which uses this operator.
    """
    return deny_everybody(
        "DenyGrantsToOthers",
        [kms.CreateGrant],
        [THIS_KEY],
        Condition(
            BoolIfExists(
                {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
            )
        ),
    )


def _logs_use_key(root_stack: RootStackName, name: UniqueName, several: bool) -> Statement:
    """Let CloudWatch Logs encrypt the groups that CloudFormation names, and the endpoints'.

    Source: CloudWatch Logs guide, "Encrypt log data in CloudWatch Logs using AWS KMS".
    """
    groups = [
        arn("logs", "log-group:${RootStack}-*", RootStack=root_stack),
        *(
            arn("logs", f"log-group:{ENDPOINT_LOGS}/${{Name}}{rest}", Name=name)
            for rest in ("", *(["-*"] if several else []))
        ),
    ]
    return allow_principal(
        "LogGroupsOfTheStackUseKey",
        Principal("Service", Sub("logs.${AWS::Region}.amazonaws.com")),
        KEY_OF_LOGS,
        [THIS_KEY],
        Condition(ArnLike("kms:EncryptionContext:aws:logs:arn", groups)),
    )


def _events_use_key() -> Statement:
    """Let EventBridge publish to the encrypted topic.

    Without conditions: ``aws:SourceAccount`` and ``aws:SourceArn`` are "not supported for
    EventBridge-to-encrypted topics" and would silently drop every message (EventBridge user
    guide, "Amazon SNS permissions").
    """
    return allow_principal(
        "EventBridgeUsesKey",
        Principal("Service", "events.amazonaws.com"),
        [kms.Decrypt, kms.GenerateDataKey],
        [THIS_KEY],
    )


def _alarms_use_key() -> Statement:
    """Let this account's CloudWatch alarms publish to the encrypted topic.

    Source: SNS developer guide, "Managing Amazon SNS encryption keys and costs".
    """
    return allow_principal(
        "AlarmsUseKey",
        Principal("Service", "cloudwatch.amazonaws.com"),
        [kms.Decrypt, kms.GenerateDataKey],
        [THIS_KEY],
        Condition(StringEquals("aws:SourceAccount", Ref("AWS::AccountId"))),
    )


def data_bucket_policy(
    bucket: BucketName,
    own_arn: Expression,
    key: KeyArn,
    s3_endpoint: EndpointId,
    roles_in_the_vpc: Sequence[Expression],
    named_jobs: Expression | None = None,
    reviewers: Sequence[Expression] = (),
    roles_elsewhere: Mapping[str, Sequence[Expression]] = MappingProxyType({}),
) -> PolicyDocument:
    """Return the data bucket's policy: TLS only, our key only, our roles only from our VPC.

    ``roles_in_the_vpc`` are ARNs, ``named_jobs`` is the pattern of the ARNs of named pipelines'
    jobs, if there are any. ``reviewers`` are ARNs of roles that read results from anywhere, and
    never anything else. ``roles_elsewhere`` are ARNs by the S3 endpoint of another VPC.
    """
    denies: dict[str, ArnEquals | ArnLike] = {
        "DenyOutsideTheVpc": ArnEquals({_PRINCIPAL: list(roles_in_the_vpc)})
    }
    if named_jobs:
        denies["DenyJobsOutsideTheVpc"] = ArnLike({_PRINCIPAL: named_jobs})
    return document(
        *_deny_insecure(own_arn),
        *_deny_other_encryption(bucket, key),
        *(_deny_outside_the_vpc(sid, bucket, s3_endpoint, one) for sid, one in denies.items()),
        *_deny_all_but_results(bucket, reviewers),
        *(
            _deny_outside_the_vpc(
                "DenyOutsideTheDomainsVpc", bucket, endpoint, ArnEquals({_PRINCIPAL: list(roles)})
            )
            for endpoint, roles in roles_elsewhere.items()
        ),
    )


def _deny_outside_the_vpc(
    sid: str, bucket: BucketName, s3_endpoint: EndpointId | str, roles: ArnEquals | ArnLike
) -> Statement:
    """Deny these roles access to objects from outside the VPC, in case credentials are stolen.

    The Deny covers only object data and only these roles: a Deny of ``s3:*`` for everybody would
    lock out the console and CloudFormation. Calls that an AWS service makes on a role's behalf are
    exempt. The roles of the model and the pipeline are not included: SageMaker reads the model's
    archive and the evaluation report from outside the VPC. Source: SageMaker developer guide,
    "Control access to Amazon S3 buckets using VPC endpoint policies" and "IAM Access Management" of
    Pipelines.
    """
    return deny_everybody(
        sid,
        [s3.DeleteObject, s3.DeleteObjectVersion, s3.GetObject, s3.PutObject],
        [objects_arn(bucket)],
        Condition(
            [
                roles,
                StringNotEquals("aws:SourceVpce", s3_endpoint),
                Bool("aws:ViaAWSService", "false"),
            ]
        ),
    )


def _deny_all_but_results(bucket: BucketName, roles: Sequence[Expression]) -> list[Statement]:
    """Deny these roles everything but to read results, whatever else they are allowed."""
    if not roles:
        return []
    these = Condition(ArnEquals(_PRINCIPAL, list(roles)))
    write = [s3.DeleteObject, s3.DeleteObjectVersion, s3.PutObject]
    read = deny_everybody("DenyRowsToReviewers", [s3.GetObject, s3.GetObjectVersion], [], these)
    del read.properties["Resource"]
    read.NotResource = [objects_arn(bucket, results) for results in RESULTS_OF_RUNS]
    return [
        read,
        deny_everybody("DenyWritesOfReviewers", write, [objects_arn(bucket)], these),
    ]


def log_bucket_policy(
    bucket: BucketName,
    own_arn: Expression,
    may_delete: Sequence[Expression],
    readers: Sequence[str],
) -> PolicyDocument:
    """Return the log bucket's policy: S3 delivers, nobody deletes, ``readers`` read, TLS only.

    Any bucket in this account can be the source: the data bucket is created after this policy.
    Source: S3 user guide, "Enabling Amazon S3 server access logging". ``may_delete`` are the ARNs
    exempt from the Deny: the function that empties the bucket, and the break-glass principal.
    Lifecycle rules still expire logs, and a principal that can write bucket policies can remove the
    Deny, which CloudTrail records.
    """
    return document(
        deliver_access_logs(bucket),
        *_readers_read(bucket, readers),
        deny_everybody(
            "DenyDeletingLogs",
            [s3.DeleteObject, s3.DeleteObjectVersion],
            [objects_arn(bucket)],
            Condition(ArnNotLike("aws:PrincipalArn", list(may_delete))),
        ),
        *_deny_insecure(own_arn),
    )


def deliver_access_logs(bucket: BucketName, prefix: str = "") -> Statement:
    """Let S3 deliver the access logs of this account's buckets, below a prefix.

    Source: S3 user guide, "Enabling Amazon S3 server access logging".
    """
    return allow_principal(
        "S3DeliversAccessLogs",
        Principal("Service", "logging.s3.amazonaws.com"),
        [s3.PutObject],
        [objects_arn(bucket, prefix)],
        Condition(
            [
                StringEquals("aws:SourceAccount", Ref("AWS::AccountId")),
                ArnLike("aws:SourceArn", Sub("arn:${AWS::Partition}:s3:::*")),
            ]
        ),
    )


def _readers_read(bucket: BucketName, readers: Sequence[str]) -> list[Statement]:
    if not readers:
        return []
    principals = Principal("AWS", list(readers))
    return [
        allow_principal("ReadersReadLogs", principals, [s3.GetObject], [objects_arn(bucket)]),
        allow_principal("ReadersListLogs", principals, [s3.ListBucket], [bucket_arn(bucket)]),
    ]


def _deny_insecure(own_arn: Expression) -> list[Statement]:
    """Deny plain HTTP and old TLS.

    The bucket's ARN is its attribute, and the first condition is alone in its statement: checkers
    recognize the control only in this form (AWS Control Tower control catalog, CT.S3.PR.8).
    """
    everything = [own_arn, Join("", [own_arn, "/*"])]
    every_action = [Action("s3", "*")]
    return [
        deny_everybody(
            "DenyPlainHttp",
            every_action,
            everything,
            Condition(Bool("aws:SecureTransport", "false")),
        ),
        deny_everybody(
            "DenyOldTls",
            every_action,
            everything,
            Condition(NumericLessThan("s3:TlsVersion", MINIMUM_TLS)),
        ),
    ]


def _deny_other_encryption(bucket: BucketName, key: KeyArn) -> list[Statement]:
    """Deny uploads that request other encryption than the bucket's.

    An upload without encryption headers gets the bucket's default, so the conditions apply only to
    headers that were sent: ``...IfExists`` would match, and deny, absent ones too. A request for
    KMS without a key uses ``alias/aws/s3``, not the bucket's key (API_PutObject; aws-cdk issue
    18262).
    """
    algorithm = "s3:x-amz-server-side-encryption"
    key_id = f"{algorithm}-aws-kms-key-id"
    return [
        deny_everybody(
            sid,
            [s3.PutObject],
            [objects_arn(bucket)],
            Condition([Null(header, "false"), StringNotEquals(header, wanted)]),
        )
        for sid, header, wanted in (
            ("DenyOtherAlgorithms", algorithm, "aws:kms"),
            ("DenyOtherKeys", key_id, key),
        )
    ] + [
        deny_everybody(
            "DenyNoKey",
            [s3.PutObject],
            [objects_arn(bucket)],
            Condition([Null(key_id, "true"), StringEquals(algorithm, "aws:kms")]),
        ),
        deny_everybody(
            "DenyKeysOfCustomers",
            [s3.PutObject],
            [objects_arn(bucket)],
            Condition(Null(_CUSTOMER_ALGORITHM, "false")),
        ),
    ]


def s3_endpoint_policy() -> PolicyDocument:
    """Return the S3 gateway's policy: it allows this account's buckets, and two of AWS's.

    Functions in the VPC send their responses to CloudFormation's response bucket (CloudFormation
    user guide, "Setting up VPC endpoints"), and the layers of images come from ECR's bucket (ECR
    user guide, "Minimum Amazon S3 bucket permissions").
    """
    response = Join("", Split("-", Ref("AWS::Region")))
    return document(
        _from_this_account([Action("s3", "*")], StringEquals),
        allow_principal(
            "AnswersToCloudFormation",
            Principal("*"),
            [s3.PutObject],
            [
                Sub(
                    "arn:${AWS::Partition}:s3:::cloudformation-custom-resource-response-${Name}/*",
                    Name=response,
                )
            ],
        ),
        allow_principal(
            "ImageLayers",
            Principal("*"),
            [s3.GetObject],
            [Sub("arn:${AWS::Partition}:s3:::prod-${AWS::Region}-starport-layer-bucket/*")],
        ),
    )


def interface_endpoint_policy() -> PolicyDocument:
    """Return an interface endpoint's policy: it allows this account's principals and resources.

    Calls without a resource may not send ``aws:ResourceAccount`` (IAM user guide, "AWS global
    condition context keys"): the condition applies only if it was sent.
    """
    return document(_from_this_account([Action("*")], StringEqualsIfExists))


def registry_endpoint_policy() -> PolicyDocument:
    """Return the registry endpoints' policy: as above, and pulls of AWS's images."""
    return document(
        _from_this_account([Action("*")], StringEqualsIfExists),
        allow_principal(
            "PullImagesOfOtherAccounts",
            Principal("*"),
            [Action("ecr", name) for name in _PULL],
            ["*"],
            Condition(StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId"))),
        ),
    )


def package_endpoint_policy(domain: str, repository: str, owner: str) -> PolicyDocument:
    """Return the policy of CodeArtifact's endpoints: as above, and one repository of ``owner``.

    Source: CodeArtifact user guide, "Create a VPC endpoint policy for CodeArtifact".
    """
    actions = ("GetAuthorizationToken", "GetRepositoryEndpoint", "ReadFromRepository")
    return document(
        _from_this_account([Action("*")], StringEqualsIfExists),
        allow_principal(
            "ReadPackagesOfAnotherAccount",
            Principal("*"),
            [Action("codeartifact", name) for name in actions],
            [
                package_domain_arn(domain, owner),
                package_repository_arn(domain, repository, owner),
            ],
            Condition(StringEquals("aws:PrincipalAccount", Ref("AWS::AccountId"))),
        ),
    )


_PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")


def _from_this_account(actions: list[Action], same_resource_account: type) -> Statement:
    account = Ref("AWS::AccountId")
    principal, resource = "aws:PrincipalAccount", "aws:ResourceAccount"
    if same_resource_account is StringEquals:
        condition = Condition(StringEquals({principal: account, resource: account}))
    else:
        condition = Condition(
            [StringEquals(principal, account), same_resource_account(resource, account)]
        )
    return allow_principal("ThisAccount", Principal("*"), actions, ["*"], condition)


def topic_policy(topic: Expression) -> PolicyDocument:
    """Return the alert topic's policy: EventBridge and our alarms can publish, over TLS only.

    EventBridge's statement cannot have conditions (EventBridge user guide, "Using resource-based
    policies": "the use of Condition blocks is not supported").
    """
    return document(*publish_alerts(topic), _deny_plain_http(topic))


def results_policy(topic: Expression) -> PolicyDocument:
    """Return the policy of a topic to which a role of ours publishes: over TLS only."""
    return document(_deny_plain_http(topic))


def _deny_plain_http(topic: Expression) -> Statement:
    return deny_everybody(
        "DenyPlainHttp",
        [sns.Publish],
        [topic],
        Condition(Bool("aws:SecureTransport", "false")),
    )


def publish_alerts(topic: Expression) -> list[Statement]:
    """Let EventBridge and this account's alarms publish to a topic."""
    return [
        allow_principal(
            "EventBridgePublishes",
            Principal("Service", "events.amazonaws.com"),
            [sns.Publish],
            [topic],
        ),
        allow_principal(
            "AlarmsPublish",
            Principal("Service", "cloudwatch.amazonaws.com"),
            [sns.Publish],
            [topic],
            Condition(StringEquals("aws:SourceAccount", Ref("AWS::AccountId"))),
        ),
    ]


def alerts_use_key() -> list[Statement]:
    """Let EventBridge and this account's alarms publish to topics that a key encrypts."""
    return [_events_use_key(), _alarms_use_key()]


def failure_rule_name(name: UniqueName) -> Sub:
    """Return the name of the rule for failed runs, which the queue's policy refers to.

    CloudFormation would shorten a generated name to 64 characters, and could cut off the stack's
    name.
    """
    return Sub("${Name}-run-failed", Name=name)


def endpoint_rule_name(name: UniqueName) -> Sub:
    """Return the name of the rule for a failed endpoint, which is set for the same reason."""
    return Sub("${Name}-endpoint-failed", Name=name)


def success_rule_name(name: UniqueName) -> Sub:
    """Return the name of the rule for runs that succeeded."""
    return Sub(f"${{Name}}-{RUN_SUCCEEDED}", Name=name)


def schedule_rule_name(name: UniqueName) -> Sub:
    """Return the name of the rule that starts runs."""
    return Sub(f"${{Name}}-{RUN_SCHEDULE}", Name=name)


RUN_SUCCEEDED = "run-succeeded"
RUN_SCHEDULE = "run-schedule"


def named_rule_name(name: UniqueName, event: str) -> Sub:
    """Return the name of a named pipeline's rule; ``event`` is one of the words below.

    ``name`` is the pipeline's, and these words are short: a name can have 64 characters.
    """
    return Sub(f"${{Name}}-{event}", Name=name)


DEPLOYING_RULES = ("approval", "endpoint", "review", "tick")
"""Those of the rules of models that are deployed on approval, of ``main`` as of the others: a
version's status changed, an endpoint's did, somebody has to look, and time has passed."""
PAUSING_RULES = {"pause": "off", "resume": "on", "resumed": "up"}
"""Those of the rules that pause and resume an endpoint, by action; ``main`` has the same."""
WATCH_TICK = "ask"
"""That of the rule that has new data and drift looked for, of all pipelines; it is short because
names with the longest project and pipeline leave three characters."""
DRIFT_RULES = ("drift", "drift-failed")
"""Those of the rules of checks: one has ended, and one has failed."""
NAMED_RULES = ("end", "run")
"""Last words of the names of rules: an endpoint that failed, and a run that did."""
NAMED_SUCCESS, NAMED_SCHEDULE = "ok", "due"
"""Those of rules that not every deployment has: a run that succeeded, and the schedule."""


def dead_letter_policy(
    queue: Expression,
    name: UniqueName,
    *,
    several: bool = False,
    more: Sequence[str] = (),
    more_named: Sequence[str] = (),
) -> PolicyDocument:
    """Return the dead-letter queue's policy: EventBridge, for our rules only, over TLS only.

    ``more`` and ``more_named`` are the last words of the names of rules besides those for failures:
    those of ``main``, and those of named pipelines. The functions use their own permissions.
    Source: EventBridge user guide, "Using dead-letter queues to process undelivered events".
    """
    rules = [
        arn("events", f"rule/${{Name}}-{what}", Name=name)
        for what in ("endpoint-failed", "run-failed", *more)
    ]
    if several:
        events = (*NAMED_RULES, *more_named)
        rules += [arn("events", f"rule/${{Name}}-*-{event}", Name=name) for event in events]
    sources = {"aws:SourceArn": rules}
    return document(
        allow_principal(
            "EventBridgeHandsOver",
            Principal("Service", "events.amazonaws.com"),
            [sqs.SendMessage],
            [queue],
            Condition(ArnLike(sources) if several else ArnEquals(sources)),
        ),
        deny_everybody(
            "DenyPlainHttp",
            [Action("sqs", "*")],
            [queue],
            Condition(Bool("aws:SecureTransport", "false")),
        ),
    )
