"""Building blocks of policies: ARNs, statements, roles without permissions."""

from __future__ import annotations

from collections.abc import Sequence

from awacs import kms, logs, sts
from awacs.aws import (
    Action,
    Allow,
    ArnLike,
    Condition,
    Deny,
    PolicyDocument,
    Principal,
    Statement,
    StringEquals,
)
from troposphere import Ref, Sub, iam

from generator.wiring import Expression, KeyArn, RoleArn, RoleName, UniqueName
from pipeline.prediction import SUFFIX

ANYWHERE_REASONS = {
    "application-autoscaling:DescribeScalableTargets": "takes no resource",
    "application-autoscaling:DescribeScalingPolicies": "takes no resource",
    "cloudwatch:PutMetricData": "metrics have no ARN; limited by cloudwatch:namespace",
    "ec2:AssignPrivateIpAddresses": "Lambda in a VPC; AWS documents it on *",
    "ec2:CreateNetworkInterface": "AWS: a condition or resource fails the job's validation",
    "ec2:CreateNetworkInterfacePermission": "AWS: a condition fails the job's validation",
    "ec2:DeleteNetworkInterface": "AWS: a condition or resource fails the job's validation",
    "ec2:DeleteNetworkInterfacePermission": "AWS: a condition fails the job's validation",
    "ec2:DescribeDhcpOptions": "takes no resource",
    "ec2:DescribeManagedPrefixLists": "takes no resource",
    "ec2:DescribeNetworkInterfaces": "takes no resource",
    "ec2:DescribeSecurityGroups": "takes no resource",
    "ec2:DescribeSubnets": "takes no resource",
    "ec2:DescribeVpcEndpoints": "takes no resource",
    "ec2:DescribeVpcs": "takes no resource",
    "ec2:UnassignPrivateIpAddresses": "Lambda in a VPC; AWS documents it on *",
    "xray:PutTelemetryRecords": "takes no resource",
    "xray:PutTraceSegments": "takes no resource",
    "ecr:GetAuthorizationToken": "takes no resource",
    "logs:DescribeLogGroups": "takes no resource",
    "sagemaker:ListApps": "takes no resource",
    "sagemaker:ListEndpointConfigs": "takes no resource",
    "sagemaker:ListModels": "takes no resource",
    "sagemaker:ListDomains": "takes no resource",
    "sagemaker:ListModelPackageGroups": "takes no resource",
    "sagemaker:ListPipelines": "takes no resource",
    "sagemaker:ListSpaces": "takes no resource",
    "sagemaker:ListUserProfiles": "takes no resource",
    "sts:GetServiceBearerToken": "takes no resource; limited by sts:AWSServiceName",
    "sagemaker:Search": "Studio's registry and experiments pages search across resources",
}
"""All actions that our roles can call on ``*``, each with its reason; a test reads this list."""


def arn(service: str, resource: str, **values: Expression) -> Sub:
    """Return an ARN in this account and region; ``values`` fill the ``${...}`` in ``resource``."""
    return Sub(
        f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}",
        dict(values) or None,
    )


def role_arn(role: RoleName | RoleArn) -> Expression:
    """Return a role's ARN; roles that are known by their names have no path."""
    if isinstance(role, RoleArn):
        return role.across_border()
    return Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${Role}", Role=role)


def package_domain_arn(domain: Expression, owner: Expression) -> Sub:
    """Return the ARN of a CodeArtifact domain in this region, of whichever account."""
    return Sub(
        "arn:${AWS::Partition}:codeartifact:${AWS::Region}:${Owner}:domain/${Domain}",
        Domain=domain,
        Owner=owner,
    )


def package_repository_arn(domain: Expression, repository: Expression, owner: Expression) -> Sub:
    """Return the ARN of a CodeArtifact repository in this region, of whichever account."""
    return Sub(
        "arn:${AWS::Partition}:codeartifact:${AWS::Region}:${Owner}:repository/${Domain}/${Name}",
        Domain=domain,
        Name=repository,
        Owner=owner,
    )


def account_root() -> Sub:
    """Return the principal that means this account, which delegates to its IAM policies."""
    return Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")


def bucket_arn(bucket: Expression) -> Sub:
    """Return the ARN of a bucket."""
    return Sub("arn:${AWS::Partition}:s3:::${Bucket}", Bucket=bucket)


def objects_arn(bucket: Expression, prefix: Expression = "") -> Sub:
    """Return the ARN of all objects under ``prefix``."""
    if not isinstance(prefix, str):
        text = "arn:${AWS::Partition}:s3:::${Bucket}/${Prefix}*"
        return Sub(text, Bucket=bucket, Prefix=prefix)
    literal = prefix.replace("${", "${!")  # a policy variable, such as ${aws:SourceIdentity}
    return Sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{literal}*", Bucket=bucket)


def beginning_with(prefix: Expression) -> Expression:
    """Return the pattern of texts that begin with ``prefix``."""
    return f"{prefix}*" if isinstance(prefix, str) else Sub("${Prefix}*", Prefix=prefix)


def pathed_roles(name: UniqueName, use: str) -> Sub:
    """Return the pattern of the ARNs of named pipelines' roles for ``JOBS`` or ``STEPS``."""
    return Sub(
        f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role{role_path(use)}*",
        Name=name,
    )


def role_path(use: str) -> str:
    """Return the path of named pipelines' roles for one use, with ``${Name}`` of the deployment.

    Policies that all pipelines share match the roles by it.
    """
    return f"/${{Name}}/{use}/"


JOBS = "jobs"
"""Roles of jobs, which use data only from inside the VPC."""
STEPS = "pipelines"
"""Roles of pipelines and models, with which SageMaker also reads from outside the VPC."""


def allow(
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[Expression],
    condition: Condition | None = None,
) -> Statement:
    """Allow ``actions`` on ``resources``, which have no default."""
    return _statement(Allow, sid, actions, list(resources), condition=condition)


def allow_anywhere(
    sid: str, actions: Sequence[Action], condition: Condition | None = None
) -> Statement:
    """Allow actions that do not support resource-level permissions.

    Raises:
        ValueError: an action has no reason in ``ANYWHERE_REASONS``.

    """
    unexplained = [a.JSONrepr() for a in actions if a.JSONrepr() not in ANYWHERE_REASONS]
    if unexplained:
        raise ValueError(f"{sid}: {', '.join(unexplained)} on * needs a reason")
    return _statement(Allow, sid, actions, ["*"], condition=condition)


def deny(
    sid: str,
    actions: Sequence[Action],
    condition: Condition | None,
    *,
    only: Sequence[Expression] = (),
    but: Sequence[Expression] = (),
) -> Statement:
    """Deny in a role's own policy: on all resources, on ``only`` some, or on all ``but`` some."""
    statement = _statement(Deny, sid, actions, list(only) or ["*"], condition=condition)
    if but:
        del statement.properties["Resource"]
        statement.NotResource = list(but)
    return statement


def allow_principal(
    sid: str,
    principal: Principal,
    actions: Sequence[Action],
    resources: Sequence[Expression],
    condition: Condition | None = None,
) -> Statement:
    """Allow in a resource policy."""
    return _statement(Allow, sid, actions, list(resources), principal, condition)


def deny_everybody(
    sid: str, actions: Sequence[Action], resources: Sequence[Expression], condition: Condition
) -> Statement:
    """Deny in a resource policy, for every principal."""
    return _statement(Deny, sid, actions, list(resources), Principal("*"), condition)


def _statement(
    effect: str,
    sid: str,
    actions: Sequence[Action],
    resources: list[Expression],
    principal: Principal | None = None,
    condition: Condition | None = None,
) -> Statement:
    if condition is not None:
        _check_operators(sid, condition)
    optional = {"Principal": principal, "Condition": condition}
    return Statement(
        Sid=sid,
        Effect=effect,
        Action=list(actions),
        Resource=resources,
        **{key: value for key, value in optional.items() if value is not None},
    )


def _check_operators(sid: str, condition: Condition) -> None:
    """Reject a repeated operator: awacs would render only the last one."""
    operators = [element.condition for element in condition.conditions]
    if len(set(operators)) < len(operators):
        raise ValueError(
            f"{sid}: repeated operator in {operators}; put all keys under one operator"
        )


def document(*statements: Statement) -> PolicyDocument:
    """Return a policy document."""
    return PolicyDocument(Version="2012-10-17", Statement=list(statements))


def bare_role(title: str, description: str, trust: Statement, boundary: str) -> iam.Role:
    """Return a role with a trust policy but no permissions.

    ``boundary`` is the ARN of the permissions boundary, or empty.
    """
    role = iam.Role(title, Description=description, AssumeRolePolicyDocument=document(trust))
    if boundary:
        role.PermissionsBoundary = boundary
    return role


def trust_sagemaker(*sources: str, **values: Expression) -> Statement:
    """Trust SageMaker, but only on behalf of ``sources`` in this account and region.

    The ARN includes the account; ``aws:SourceAccount`` is documented for SageMaker only in a
    generic example, and a condition on a key that is not sent denies every request. Source:
    SageMaker developer guide, "Cross-service confused deputy prevention". The domain passes
    people's names as source identity, which every execution role must allow, or apps and jobs do
    not start ("Turn on sourceIdentity in CloudTrail logs").
    """
    return Statement(
        Effect=Allow,
        Principal=Principal("Service", "sagemaker.amazonaws.com"),
        Action=[sts.AssumeRole, sts.SetSourceIdentity],
        Condition=Condition(
            ArnLike("aws:SourceArn", [arn("sagemaker", source, **values) for source in sources])
        ),
    )


def trust_pipelines(name: UniqueName, *, predicts: bool) -> Statement:
    """Trust the service for one pipeline, and for that of batch predictions beside it."""
    beside = [f"pipeline/${{Name}}{SUFFIX}/*"] if predicts else []
    return trust_sagemaker("pipeline/${Name}/*", *beside, Name=name)


def trust_lambda() -> Statement:
    """Trust Lambda, which documents no condition key for its execution roles."""
    return Statement(
        Effect=Allow,
        Principal=Principal("Service", "lambda.amazonaws.com"),
        Action=[sts.AssumeRole],
    )


def trust_flow_logs() -> Statement:
    """Trust VPC flow logs of this account and region.

    Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    return Statement(
        Effect=Allow,
        Principal=Principal("Service", "vpc-flow-logs.amazonaws.com"),
        Action=[sts.AssumeRole],
        Condition=Condition(
            [
                StringEquals("aws:SourceAccount", Ref("AWS::AccountId")),
                ArnLike("aws:SourceArn", arn("ec2", "vpc-flow-log/*")),
            ]
        ),
    )


def role_policy(title: str, role: RoleName, statements: Sequence[Statement]) -> iam.RolePolicy:
    """Return the inline policy that gives a role its permissions."""
    return iam.RolePolicy(
        title, PolicyName=title, RoleName=role, PolicyDocument=document(*statements).JSONrepr()
    )


def managed_policy(
    title: str, description: str, roles: Sequence[RoleName], statements: Sequence[Statement]
) -> iam.ManagedPolicy:
    """Return a managed policy for several roles; roles of other stacks name it themselves."""
    policy = iam.ManagedPolicy(
        title, Description=description, PolicyDocument=document(*statements).JSONrepr()
    )
    if roles:
        policy.Roles = list(roles)
    return policy


def through(*services: str) -> StringEquals:
    """Return the condition that one of ``services`` uses the key for its caller."""
    names = [_host(service) for service in services]
    return StringEquals("kms:ViaService", names if len(names) > 1 else names[0])


def _host(service: str) -> Sub:
    return Sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}")


def use_key_through(services: Sequence[str], key: KeyArn) -> Statement:
    """Decrypt and encrypt with the key, when ``services`` do it for the caller."""
    names = [_host(service) for service in services]
    return allow(
        f"UseKeyThrough{''.join(service.capitalize() for service in services)}",
        [kms.Decrypt, kms.GenerateDataKey],
        [key],
        Condition(StringEquals("kms:ViaService", names)),
    )


KEY_OF_LOGS = (
    kms.Decrypt,
    kms.DescribeKey,
    kms.Encrypt,
    kms.GenerateDataKey,
    kms.GenerateDataKeyWithoutPlaintext,
    kms.ReEncryptFrom,
    kms.ReEncryptTo,
)
"""What CloudWatch Logs does with a log group's key, for itself and on behalf of its caller.

Source: CloudWatch Logs user guide, "Encrypt log data in CloudWatch Logs using AWS Key Management
Service", and kms:ViaService there: "You should add this to your roles which call CloudWatch Logs".
"""


def use_key_of_logs(key: KeyArn, held: Sequence[Action] = ()) -> Statement:
    """Let CloudWatch Logs use the key for a caller that creates, writes or reads encrypted groups.

    ``held`` are actions that the caller already has without ``kms:ViaService``.
    """
    without = {action.JSONrepr() for action in held}
    return allow(
        "UseKeyOfLogs",
        [action for action in KEY_OF_LOGS if action.JSONrepr() not in without],
        [key],
        Condition(through("logs")),
    )


def write_flow_logs(group: Expression, key: KeyArn) -> list[Statement]:
    """Write to the flow logs' log group, which already exists and is encrypted.

    Source: VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs".
    """
    return [
        allow(
            "WriteFlowLogs",
            [
                logs.CreateLogStream,
                logs.DescribeLogStreams,
                logs.PutLogEvents,
            ],
            [group],
        ),
        allow_anywhere("FindLogGroup", [logs.DescribeLogGroups]),
        use_key_of_logs(key),
    ]
