"""Edits of the emitted templates that loosen nothing: none of them may be asked about."""

from __future__ import annotations

import copy
from typing import Any, Final

from functions.empty_bucket.core import PERMISSION_TAG
from pipeline.types import Json
from tests.operations.edits import (
    BOUNDARY,
    Edit,
    Templates,
    add,
    append,
    attribute,
    body,
    document,
    every,
    every_policy,
    every_statement,
    put,
    remove,
    say,
    statement,
    unsay,
)

_PLAIN_HTTP: Final = {"Bool": {"aws:SecureTransport": "false"}}


def _reverse_lists(one: Json) -> None:
    for part in ("Action", "Resource"):
        if isinstance(one.get(part), list):
            one[part].reverse()


def _without_lists(one: Json) -> None:
    for part in ("Action", "Resource"):
        if len(one.get(part, [])) == 1:
            one[part] = one[part][0]


def _values_in_lists(one: Json) -> None:
    for tests in one.get("Condition", {}).values():
        for key, value in tests.items():
            tests[key] = value if isinstance(value, list) else [value]


def _split(place: str, sid: str, part: str) -> Any:
    """Return the change that makes two statements of one."""

    def change(templates: Templates) -> None:
        one = statement(templates, place, sid)
        other = copy.deepcopy(one) | {"Sid": f"{sid}2", part: one[part][1:]}
        one[part] = one[part][:1]
        document(templates, place)["Statement"].append(other)

    return change


def _join(templates: Templates) -> None:
    """Join two statements of the same resource, neither of which has a condition."""
    one = statement(templates, "studio/StudioPolicy", "ReadObjects")
    one["Sid"] = "ReadAndRead"
    one["Action"] = ["s3:GetObject", "s3:GetObject"]
    statements = document(templates, "studio/StudioPolicy")["Statement"]
    statements.append(copy.deepcopy(one) | {"Sid": "Again"})


def _moved(templates: Templates) -> None:
    """Move a statement to another policy of the same role."""
    one = statement(templates, "pipeline/TrainingPolicy", "PutMetrics")
    document(templates, "pipeline/TrainingPolicy")["Statement"].remove(one)
    add(
        "pipeline/TrainingMetricsPolicy",
        "AWS::IAM::RolePolicy",
        PolicyName="Metrics",
        RoleName={"Ref": "TrainingRole"},
        PolicyDocument={"Version": "2012-10-17", "Statement": [one]},
    )(templates)


def _one_policy_for_each_role(templates: Templates) -> None:
    """Attach the content of a policy by two policies, each to one of the roles."""
    resources = templates["network"]["Resources"]
    other = copy.deepcopy(resources["SpendingLimitsPolicy"])
    resources["SpendingLimitsPolicy"]["Properties"]["Roles"] = [{"Ref": "PipelineRole"}]
    other["Properties"]["Roles"] = [{"Ref": "StudioRole"}]
    resources["SpendingLimitsOfPeoplePolicy"] = other


def _fewer_types(templates: Templates) -> None:
    tested = statement(templates, "network/SpendingLimitsPolicy", "NoOtherJobs")["Condition"]
    tested["ForAnyValue:StringNotEquals"]["sagemaker:InstanceTypes"].pop()


def _inline(templates: Templates) -> None:
    """Write a rule into its security group."""
    rule = templates["network"]["Resources"].pop("StudioToS3")["Properties"]
    del rule["GroupId"]
    put("network/StudioSecurityGroup", "SecurityGroupEgress", [rule])(templates)


def _two_ranges(templates: Templates) -> None:
    rule = copy.deepcopy(body(templates, "studio/StudioAppsIngress"))
    body(templates, "studio/StudioAppsIngress")["Properties"]["ToPort"] = 20000
    rule["Properties"]["FromPort"] = 20001
    templates["studio"]["Resources"]["StudioAppsUpperIngress"] = rule


def _reversed_resources(templates: Templates) -> None:
    for template in templates.values():
        template["Resources"] = dict(reversed(template["Resources"].items()))


POLICIES: Final = (
    Edit("statements in another order", every_policy(lambda one: one["Statement"].reverse())),
    Edit("actions and resources in another order", every_statement(_reverse_lists)),
    Edit("other Sids", every_statement(lambda one: one.update(Sid=f"X{one.get('Sid', '')}"))),
    Edit("no Sids", every_statement(lambda one: one.pop("Sid", None))),
    Edit("policies with an Id", every_policy(lambda one: one.update(Id="policy"))),
    Edit("single actions and resources without lists", every_statement(_without_lists)),
    Edit("values of conditions in lists", every_statement(_values_in_lists)),
    Edit("an Allow split by actions", _split("pipeline/ProcessingPolicy", "WriteLogs", "Action")),
    Edit(
        "an Allow split by resources", _split("pipeline/ProcessingPolicy", "WriteLogs", "Resource")
    ),
    Edit(
        "a Deny split by actions",
        _split("network/JobsStayInsidePolicy", "NothingUnisolated", "Action"),
    ),
    Edit(
        "a Deny split by resources", _split("storage/DataBucketPolicy", "DenyPlainHttp", "Resource")
    ),
    Edit("the same statement twice", _join),
    Edit("a statement moved between a role's policies", _moved),
    Edit("one policy for each role", _one_policy_for_each_role),
    Edit(
        "an ARN written in another way",
        say(
            "pipeline/SeedDataPolicy",
            "TellAbsentFromForbidden",
            Resource=[{"Fn::Join": ["", ["arn:aws:s3:::", {"Ref": "DataBucket"}]]}],
        ),
    ),
    Edit(
        "the account by its number",
        say("security/Key", "AwsServicesGetGrants", Principal={"AWS": {"Ref": "AWS::AccountId"}}),
    ),
    Edit(
        "ArnLike for ArnEquals",
        lambda templates: (
            condition := statement(templates, "security/Key", "RolesOfTheStackUseKey")["Condition"]
        ).update(ArnLike=condition.pop("ArnEquals")),
    ),
    Edit(
        "StringLike without wildcards for StringEquals",
        lambda templates: (
            condition := statement(templates, "security/Key", "PeopleUseKeyThroughS3")["Condition"]
        ).update(StringLike=condition.pop("StringEquals")),
    ),
    Edit("an Allow removed", unsay("studio/StudioPolicy", "AskEndpoint"), stricter=True),
    Edit("a policy removed that denies nothing", remove("network/FlowLogsPolicy"), stricter=True),
    Edit(
        "an action removed",
        lambda templates: statement(templates, "pipeline/SeedDataPolicy", "KeepTable")[
            "Action"
        ].remove("s3:DeleteObject"),
        stricter=True,
    ),
    Edit(
        "a resource with a prefix",
        say(
            "pipeline/TrainingPolicy",
            "WriteObjects",
            Resource=[{"Fn::Sub": "arn:${AWS::Partition}:s3:::${DataBucket}/models/mine/*"}],
        ),
        stricter=True,
    ),
    Edit(
        "a condition added",
        say(
            "pipeline/SeedDataPolicy",
            "KeepTable",
            Condition={"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}},
        ),
        stricter=True,
    ),
    Edit(
        "a condition with fewer values",
        say(
            "pipeline/TrainingPolicy",
            "PutMetrics",
            Condition={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}},
        ),
        stricter=True,
    ),
    Edit(
        "a Deny added",
        append(
            "security/DeadLetterQueuePolicy",
            Effect="Deny",
            Principal="*",
            Action="sqs:PurgeQueue",
            Resource={"Fn::GetAtt": "DeadLetterQueue.Arn"},
        ),
        stricter=True,
    ),
    Edit(
        "a Deny for more actions",
        say("pipeline/AlertTopicPolicy", "DenyPlainHttp", Action=["sns:*"], Condition=_PLAIN_HTTP),
        stricter=True,
    ),
    Edit(
        "a Deny from a lower limit",
        say(
            "network/SpendingLimitsPolicy",
            "NoLongJobs",
            Condition={"NumericGreaterThan": {"sagemaker:MaxRuntimeInSeconds": 3600}},
        ),
        stricter=True,
    ),
    Edit("a Deny with fewer exceptions", _fewer_types, stricter=True),
    Edit(
        "a Deny without its condition",
        say("network/JobsStayInsidePolicy", "NothingUnisolated", Condition=None),
        stricter=True,
    ),
    Edit(
        "a boundary for every role",
        every("AWS::IAM::Role", lambda role: role.update(PermissionsBoundary=BOUNDARY)),
        stricter=True,
    ),
    Edit(
        "a condition for who trusts",
        say(
            "security/SeedDataRole",
            "",
            Condition={"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        ),
        stricter=True,
    ),
    Edit(
        "a statement less about the key",
        unsay("security/Key", "PeopleUseKeyThroughS3"),
        stricter=True,
    ),
    Edit(
        "an endpoint for fewer requests",
        unsay("network/EcrApiEndpoint", "PullImagesOfOtherAccounts"),
        stricter=True,
    ),
)
"""What changes policies and nothing else, so that the simulator can judge it."""

OTHERS: Final = (
    Edit("resources in another order", _reversed_resources),
    Edit("another description", put("security/TrainingRole", "Description", "Trains")),
    Edit("tags", put("security/TrainingRole", "Tags", [{"Key": "team", "Value": "risk"}])),
    Edit("another description of a rule", put("network/StudioToS3", "Description", "S3")),
    Edit("a rule removed", remove("network/StudioToS3")),
    Edit("a rule in its group", _inline),
    Edit("fewer ports", put("studio/StudioAppsEgress", "FromPort", 9000)),
    Edit("two ranges of ports for one", _two_ranges),
    Edit(
        "a rule for one address of the loopback",
        put("network/JobsSecurityGroup", "SecurityGroupEgress.0.CidrIp", "127.0.0.2/32"),
    ),
    Edit(
        "a function moves into the VPC",
        put("network/VpcBaselineFunction", "VpcConfig", {"SubnetIds": [{"Ref": "Subnet1"}]}),
    ),
    Edit(
        "a function in fewer subnets",
        put(
            "pipeline/SeedDataFunction",
            "VpcConfig.Fn::If.1.SubnetIds",
            [{"Fn::Select": [0, {"Ref": "SubnetIds"}]}],
        ),
    ),
    Edit(
        "the log bucket has our key",
        put(
            "storage/LogBucket",
            "BucketEncryption.ServerSideEncryptionConfiguration.0.ServerSideEncryptionByDefault",
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "KeyArn"}},
        ),
    ),
    Edit("a log kept longer", put("network/FlowLogsLogGroup", "RetentionInDays", 731)),
    Edit("a log kept for ever", put("network/FlowLogsLogGroup", "RetentionInDays", None)),
    Edit("the key is kept", attribute("security/Key", DeletionPolicy="Retain")),
    Edit("a month to save the key", put("security/Key", "PendingWindowInDays", 30)),
    Edit(
        "objects expire later",
        put("storage/DataBucket", "LifecycleConfiguration.Rules.0.ExpirationInDays", 1000),
    ),
    Edit(
        "a rule of expiry has another name",
        put("storage/DataBucket", "LifecycleConfiguration.Rules.0.Id", "Another"),
    ),
    Edit(
        "a rule of expiry is disabled",
        put("storage/DataBucket", "LifecycleConfiguration.Rules.0.Status", "Disabled"),
    ),
    Edit(
        "versions are locked longer",
        put("storage/DataBucket", "ObjectLockConfiguration.Rule.DefaultRetention.Days", 60),
        base="locked",
    ),
    Edit(
        "the bucket may be emptied no longer",
        lambda templates: put(
            "storage/DataBucket",
            "Tags",
            [
                tag
                for tag in body(templates, "storage/DataBucket")["Properties"]["Tags"]
                if tag["Key"] != PERMISSION_TAG
            ],
        )(templates),
    ),
    Edit("spaces are kept", before={"DeleteSpaces": "yes"}, after={"DeleteSpaces": "no"}),
    Edit("another instance type", after={"TrainingInstanceType": "ml.m5.xlarge"}),
    Edit("other data", after={"Rows": "500", "Seed": "7"}),
    Edit("an address for alerts", after={"AlertEmail": "me@example.com"}),
    Edit("more memory for a function", put("pipeline/SeedDataFunction", "MemorySize", 2048)),
    Edit("other code", put("pipeline/Pipeline", "SourceHash", "0123456789abcdef")),
    Edit(
        "a new log",
        add("pipeline/AnotherLogGroup", "AWS::Logs::LogGroup", KmsKeyId={"Ref": "KeyArn"}),
    ),
    Edit("an alarm removed", remove("pipeline/DeadLetterAlarm")),
    Edit("an endpoint removed", remove("network/StsEndpoint")),
)

HARMLESS: Final = POLICIES + OTHERS
