"""Who approves a model, and what the function may do that deploys it.

SageMaker itself refuses a model of a version that is not approved ("API_CreateModel"). The
condition key ``sagemaker:ModelApprovalStatus`` is that of CreateModelPackage and UpdateModelPackage
(Service Authorization Reference).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from awacs import application_autoscaling as autoscaling
from awacs import cloudwatch, iam, kms, s3, sagemaker
from awacs.aws import Action, Condition, Null, Statement, StringEquals, StringNotEquals
from troposphere import Sub

from functions.shared.names import DIMENSION, alarm_name, trial_name
from generator.policies.documents import FOLDER, document, text
from generator.policies.documents import sagemaker as arns
from generator.policies.documents import statement as literal
from generator.policies.functions import OWNER, Managed
from generator.policies.jobs import SMOKE_TESTS, grant_key_for_volumes
from generator.policies.people import pass_role, tag_what_is_made
from generator.policies.statements import (
    allow,
    allow_anywhere,
    arn,
    bucket_arn,
    deny,
    objects_arn,
    through,
)
from generator.settings import Settings, main_choices, named_choices, named_pipelines
from generator.settings_serving import Serving
from generator.wiring import BucketName, Expression, KeyArn, UniqueName
from pipeline.layout import (
    ANSWERS,
    ASYNCHRONOUS,
    CHAMPION,
    FAILURES,
    MODELS,
    SMOKE_REQUESTS,
    folder,
    named,
)
from pipeline.types import Json

PATH: Final = f"{FOLDER}/approver-policy.json"
STATUS: Final = "sagemaker:ModelApprovalStatus"
PENDING: Final = "PendingManualApproval"
REJECTED: Final = "Rejected"
_ALL_NAMED: Final = "-*"
_A_POLICY: Final = 9
"""Pipelines whose names, as long as they can be, fit the size of one managed policy; with 51
pipelines that leaves a role four of the ten policies that it can have."""


def leave_approval_to_others(name: UniqueName) -> list[Statement]:
    """Deny runs approving a version, or registering an approved one."""
    ours = [
        arn("sagemaker", kind, Name=name)
        for kind in ("model-package/${Name}/*", "model-package-group/${Name}")
    ]
    return [
        deny("ApproveNothing", [sagemaker.UpdateModelPackage], None, only=ours),
        deny(
            "RegisterNothingApproved",
            [sagemaker.CreateModelPackage],
            Condition(StringNotEquals(STATUS, PENDING)),
            only=ours,
        ),
    ]


def endpoint_alarms() -> Sub:
    """Return the pattern of the alarms about the endpoint in the stack that this is used in."""
    return arn("cloudwatch", "alarm:${AWS::StackName}-Endpoint*")


def decided_by_others(settings: Settings) -> list[list[str]]:
    """Return the pipelines of which people who train decide nothing, in groups for one policy each.

    Those are the ones whose models are deployed on approval, as the endings of their names:
    nothing for ``main``, and one pattern for all others if all of them are such pipelines.
    """
    main = [""] if main_choices(settings).on_approval else []
    entries = named_pipelines(settings)
    named = [f"-{one.name}" for one in entries if settings.choices_of(one).on_approval]
    if len(named) == len(entries) and any(one.on_approval for one in named_choices(settings)):
        named = [_ALL_NAMED]
    found = [*main, *named]
    return [found[first : first + _A_POLICY] for first in range(0, len(found), _A_POLICY)]


def leave_serving_to_others(name: UniqueName, pipelines: Sequence[str]) -> list[Statement]:
    """Deny people who train what would make another model serve, whatever else they may do.

    Approving, registering, changing and deleting versions; changing what the endpoint serves; and
    the tags by which the function knows how far it is. ``pipelines`` is a group of
    ``decided_by_others``.
    """
    short = not {"", _ALL_NAMED}.issuperset(pipelines)

    def of(*kinds: str) -> list[Sub]:
        patterns = [kind.format(f"${{Name}}{one}") for one in pipelines for kind in kinds]
        if short:
            return [
                Sub(f"arn:${{AWS::Partition}}:sagemaker:*:*:{one}", Name=name) for one in patterns
            ]
        return [arn("sagemaker", one, Name=name) for one in patterns]

    made = of("endpoint-config/v*-{}", "model/v*-{}")
    return [
        deny(
            "DecideNothing",
            [
                sagemaker.CreateModelPackage,
                sagemaker.DeleteModelPackage,
                sagemaker.UpdateModelPackage,
            ],
            None,
            only=of("model-package/{}/*", "model-package-group/{}"),
        ),
        deny(
            "ServeNothing",
            [
                sagemaker.CreateEndpoint,
                sagemaker.UpdateEndpoint,
                sagemaker.UpdateEndpointWeightsAndCapacities,
            ],
            None,
            only=of("endpoint/{}", f"endpoint/{trial_name('{}')}"),
        ),
        deny("TagNothing", [sagemaker.AddTags, sagemaker.DeleteTags], None, only=made),
    ]


def deploy_model(
    managed: Managed,
    bucket: BucketName,
    key: KeyArn,
    alarms: Sequence[Expression],
    serving: Sequence[Serving],
) -> list[Statement]:
    """Return what the function may do that tries and deploys approved versions.

    ``managed`` says whose; ``managed.role`` is that of models. If runs of any of the pipelines
    compare their models with the one that serves, it keeps a copy of that one's archive; if an
    endpoint is asynchronous, its requests go through S3; and it makes fleets scale if that is set.
    """
    from_s3 = any(one.asynchronous for one in serving)
    return [
        *_judge_versions(managed),
        *_make_models(managed),
        *_make_endpoints(managed),
        pass_role("PassModelRole", managed.role),
        *_ask_and_compare(managed, bucket, key),
        *(_keep_champion(managed, bucket, key) if any(one.compares for one in serving) else []),
        *(_scale(managed) if any(one.scales for one in serving) else []),
        *(_ask_through_s3(managed, bucket, key) if from_s3 else []),
        *(_wake(managed) if from_s3 else []),
        *grant_key_for_volumes(key),
        allow("LookAtAlarms", [cloudwatch.DescribeAlarms], alarms),
    ]


def _judge_versions(managed: Managed) -> list[Statement]:
    """Read versions, and reject what does not work; the function can approve nothing."""
    versions = managed.arn("model-package", "/*")
    return [
        allow(
            "ReadVersions",
            [sagemaker.DescribeModelPackage, sagemaker.ListModelPackages],
            [managed.arn("model-package-group"), versions],
        ),
        allow(
            "RejectVersions",
            [sagemaker.UpdateModelPackage],
            [versions],
            Condition(StringEquals(STATUS, REJECTED)),
        ),
    ]


def _make_models(managed: Managed) -> list[Statement]:
    models, configs = managed.versioned("model"), managed.versioned("endpoint-config")
    return [
        allow("MakeModels", [sagemaker.CreateModel, sagemaker.DescribeModel], [models]),
        allow("MakeConfigs", [sagemaker.CreateEndpointConfig], [configs]),
        allow(
            "DescribeConfigOfEndpoint",
            [sagemaker.DescribeEndpointConfig],
            [arn("sagemaker", "endpoint-config/*")],
        ),
        allow_anywhere("FindPausedConfigs", [sagemaker.ListEndpointConfigs]),
        tag_what_is_made([models, configs, *_endpoints(managed)]),
    ]


def _make_endpoints(managed: Managed) -> list[Statement]:
    """Create and update our endpoint and its trial; delete the trial, and what a version left.

    CreateEndpoint and UpdateEndpoint are checked on the configuration's ARN as well (Service
    Authorization Reference). The endpoint that serves can be deleted by nobody but the manager.
    """
    configs, models = managed.versioned("endpoint-config"), managed.versioned("model")
    return [
        allow(
            "MakeEndpoints",
            [sagemaker.CreateEndpoint, sagemaker.DescribeEndpoint],
            [*_endpoints(managed), configs],
        ),
        allow("ShiftRequests", [sagemaker.UpdateEndpoint], [managed.arn("endpoint"), configs]),
        allow(
            "ReadOwnerTags",
            [sagemaker.ListTags],
            [*_endpoints(managed), managed.containing("endpoint-config"), models],
        ),
        allow("RecordProgress", [sagemaker.AddTags], [configs], Condition(managed.owner)),
        allow(
            "DeleteTrials",
            [sagemaker.DeleteEndpoint, sagemaker.DeleteEndpointConfig, sagemaker.DeleteModel],
            [managed.trial(), configs, models],
            Condition(managed.owner),
        ),
    ]


def _scale(managed: Managed) -> list[Statement]:
    """Register, change and deregister the endpoint's scalable target, with its policy and alarms.

    A target's id is random, so that its owner tag says whose it is: one that has none yet can be
    given ours. What scaling does, its caller has to be allowed as well. Sources: Service
    Authorization Reference; Application Auto Scaling user guide, "Permissions validation for
    Application Auto Scaling API calls on target resources" and "Service-linked roles".
    """
    unowned = Null(OWNER, "true")
    of_endpoints = {"application-autoscaling:scalable-dimension": DIMENSION}
    return [
        allow_anywhere(
            "FindScaling",
            [autoscaling.DescribeScalableTargets, autoscaling.DescribeScalingPolicies],
        ),
        allow("ReadScalingTags", [autoscaling.ListTagsForResource], [_targets()]),
        allow(
            "BeginScaling",
            [autoscaling.RegisterScalableTarget],
            [_targets()],
            Condition([managed.giving_owner(of_endpoints), unowned]),
        ),
        allow(
            "OwnScaling",
            [autoscaling.TagResource],
            [_targets()],
            Condition([managed.giving_owner({}), unowned]),
        ),
        allow(
            "ChangeScaling",
            [
                autoscaling.DeregisterScalableTarget,
                autoscaling.PutScalingPolicy,
                autoscaling.RegisterScalableTarget,
            ],
            [_targets()],
            Condition(managed.owner),
        ),
        allow(
            "ChangeSizeOfFleet",
            [sagemaker.UpdateEndpointWeightsAndCapacities],
            [managed.arn("endpoint")],
        ),
        allow("LookAtScalingAlarms", [cloudwatch.DescribeAlarms], [arn("cloudwatch", "alarm:*")]),
        _alarms_of_scaling(managed, [cloudwatch.DeleteAlarms, cloudwatch.PutMetricAlarm]),
        allow(
            "RoleOfScaling",
            [iam.CreateServiceLinkedRole],
            [Sub(_ROLE_OF_SCALING)],
            Condition(StringEquals("iam:AWSServiceName", _SERVICE_OF_SCALING)),
        ),
    ]


def end_scaling(managed: Managed) -> list[Statement]:
    """Deregister the endpoint's scalable target, with its policy and alarms."""
    return [
        allow_anywhere("FindScaling", [autoscaling.DescribeScalableTargets]),
        allow("ReadScalingTags", [autoscaling.ListTagsForResource], [_targets()]),
        allow(
            "EndScaling",
            [autoscaling.DeregisterScalableTarget],
            [_targets()],
            Condition(managed.owner),
        ),
        _alarms_of_scaling(managed, [cloudwatch.DeleteAlarms]),
        allow("EndAlarmOfBacklog", [cloudwatch.DeleteAlarms], [_alarm_of_backlog(managed)]),
    ]


def _wake(managed: Managed) -> list[Statement]:
    """Make the alarm that starts the first instance of an asynchronous endpoint."""
    alarms = [_alarm_of_backlog(managed)]
    return [allow("WakeFleet", [cloudwatch.PutMetricAlarm], alarms)]


def _alarm_of_backlog(managed: Managed) -> Sub:
    name = alarm_name(f"${{Name}}{managed.rest}")
    return arn("cloudwatch", f"alarm:{name}", Name=managed.name)


def _targets() -> Sub:
    return arn("application-autoscaling", "scalable-target/*")


def _alarms_of_scaling(managed: Managed, actions: Sequence[Action]) -> Statement:
    """Allow changing the alarms of target tracking, through Application Auto Scaling only.

    Source: "AWS managed policy: AmazonSageMakerCanvasFullAccess", SageMaker developer guide.
    """
    alarms = f"alarm:TargetTracking-endpoint/${{Name}}{managed.rest}/variant/*"
    through = StringEquals("aws:CalledViaLast", "application-autoscaling.amazonaws.com")
    return allow(
        "AlarmsOfScaling",
        actions,
        [arn("cloudwatch", alarms, Name=managed.name)],
        Condition(through),
    )


_SERVICE_OF_SCALING: Final = "sagemaker.application-autoscaling.amazonaws.com"
_ROLE_OF_SCALING: Final = (
    "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/aws-service-role/"
    f"{_SERVICE_OF_SCALING}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


def _ask_and_compare(managed: Managed, bucket: BucketName, key: KeyArn) -> list[Statement]:
    """Send the rows that the evaluation kept, and compare the answers with its own."""
    of_named = bool(managed.rest)
    return [
        allow("AskEndpoints", [sagemaker.InvokeEndpoint], _endpoints(managed)),
        allow("ReadSmokeTest", [s3.GetObject], [objects_arn(bucket, SMOKE_TESTS[of_named])]),
        allow("TellAbsentFromForbidden", [s3.ListBucket], [bucket_arn(bucket)]),
        allow("DecryptSmokeTest", [kms.Decrypt], [key], Condition(through("s3"))),
    ]


def _ask_through_s3(managed: Managed, bucket: BucketName, key: KeyArn) -> list[Statement]:
    """Put requests into the function's own folder, and read the answers."""
    place = f"{named(ASYNCHRONOUS)}*/" if managed.rest else folder(ASYNCHRONOUS)
    answers = [objects_arn(bucket, f"{place}{what}") for what in (ANSWERS, FAILURES)]
    return [
        allow("AskThroughS3", [sagemaker.InvokeEndpointAsync], _endpoints(managed)),
        allow("PutRequests", [s3.PutObject], [objects_arn(bucket, f"{place}{SMOKE_REQUESTS}")]),
        allow("ReadAnswers", [s3.GetObject], answers),
        allow("EncryptRequests", [kms.GenerateDataKey], [key], Condition(through("s3"))),
    ]


def _keep_champion(managed: Managed, bucket: BucketName, key: KeyArn) -> list[Statement]:
    at = named if managed.rest else folder
    champion = objects_arn(bucket, at(CHAMPION))
    return [
        allow("ReadModels", [s3.GetObject], [objects_arn(bucket, at(MODELS)), champion]),
        allow("KeepChampion", [s3.PutObject], [champion]),
        allow("EncryptChampion", [kms.GenerateDataKey], [key], Condition(through("s3"))),
    ]


def _endpoints(managed: Managed) -> list[Sub]:
    return [managed.arn("endpoint"), managed.trial()]


def approver(settings: Settings) -> Json:
    """Return the policy of who approves: read what runs found out, and decide.

    It starts no run and deploys nothing. Whoever has it should not have the operator's, too:
    nobody should approve a run of their own.
    """
    name = settings.project
    through_s3 = {"StringLike": {"kms:ViaService": ["s3.*"]}}
    versions = arns(f"model-package-group/{name}*", f"model-package/{name}*")
    return document(
        [
            literal("Find", ["cloudformation:ListStacks"], ["*"]),
            literal(
                "LookAtStacks",
                ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"],
                [f"arn:*:cloudformation:*:*:stack/{name}*/*"],
            ),
            literal(
                "LookAtVersions",
                ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
                versions,
            ),
            literal(
                "DecideOnVersions",
                ["sagemaker:UpdateModelPackage"],
                versions,
                {"Null": {STATUS: "false"}},
            ),
            literal(
                "LookAtEndpoints",
                [
                    "sagemaker:DescribeEndpoint",
                    "sagemaker:DescribeEndpointConfig",
                    "sagemaker:ListTags",
                ],
                arns(
                    f"endpoint/{name}*",
                    f"endpoint/{trial_name(name)}*",
                    f"endpoint-config/{name}*",
                    f"endpoint-config/v*-{name}*",
                ),
            ),
            literal("FindPausedEndpoint", ["sagemaker:ListEndpointConfigs"], ["*"]),
            literal(
                "ReadResults",
                ["s3:GetObject"],
                [f"arn:*:s3:::{name}*/processed/*/evaluation/*"],
            ),
            literal(
                "DecryptResults",
                ["kms:Decrypt"],
                [settings.security.key or "arn:*:kms:*:*:key/*"],
                through_s3,
            ),
        ]
    )


def render(settings: Settings) -> str:
    """Return the file's text."""
    return text(approver(settings))
