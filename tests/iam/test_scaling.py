"""Fleets that scale: what the functions need for it, and whose scaling they can change."""

from __future__ import annotations

from typing import Any

import pytest

from generator.resolved import resolve
from generator.settings import Settings
from pipeline.definition import OWNER_TAG
from tests.iam.account import Account, Request
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.requests import through
from tests.iam.required import DERIVED, Required
from tests.iam.test_approval import CHURN, MAIN, PIPELINES, owned, stack_of

CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "pipeline": {"deploy": "on-approval"},
        "serving": {"maximum_instances": 3, "target_invocations": 60},
    }
)
MANAGERS = {MAIN: "PipelineManagerRole", CHURN: "NamedPipelinesManagerRole"}
OF_ENDPOINTS = {
    "application-autoscaling:service-namespace": "sagemaker",
    "application-autoscaling:scalable-dimension": "sagemaker:variant:DesiredInstanceCount",
}
OF_TABLES = {
    "application-autoscaling:service-namespace": "dynamodb",
    "application-autoscaling:scalable-dimension": "dynamodb:table:ReadCapacityUnits",
}
THROUGH_SCALING = {"aws:CalledViaLast": "application-autoscaling.amazonaws.com"}
SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
AUTOSCALING = "application-autoscaling"
SIDS = (
    *("FindScaling", "ReadScalingTags", "BeginScaling", "OwnScaling", "ChangeScaling"),
    *("ChangeSizeOfFleet", "LookAtScalingAlarms", "AlarmsOfScaling", "RoleOfScaling"),
    "EndScaling",
)


@pytest.fixture(scope="module")
def scaling() -> Account:
    """A deployment whose two endpoints scale."""
    return Account.of(resolve(CHOSEN))


@pytest.fixture(scope="module")
def name(scaling: Account) -> str:
    """The deployment's name."""
    return str(scaling.deployment.parameters["pipeline"]["UniqueName"])


def target(account: Account) -> str:
    """Return the ARN of a scalable target, which tells nothing of its endpoint."""
    return account.place.arn(AUTOSCALING, "scalable-target/0a1b2c")


def given(account: Account, who: str) -> dict[str, str]:
    """Return the owner tag in a request, of a function's pipeline."""
    ((_, owner),) = owned(account, who).items()
    return {f"aws:RequestTag/{OWNER_TAG}": owner}


def alarm(account: Account, endpoint: str) -> str:
    """Return an alarm of target tracking."""
    kind = f"alarm:TargetTracking-endpoint/{endpoint}/variant/AllTraffic-AlarmHigh-1"
    return account.place.arn("cloudwatch", kind)


def linked_role(account: Account) -> str:
    """Return the role of Application Auto Scaling in SageMaker."""
    role = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    place = account.place
    return f"arn:{place.partition}:iam::{place.account}:role/aws-service-role/{SERVICE}/{role}"


def calls(account: Account, who: str, own: str) -> list[Request]:
    """Return what the function and its manager need for the endpoint ``own``."""
    manager = MANAGERS[who]
    endpoint, ours = account.place.arn("sagemaker", f"endpoint/{own}"), owned(account, who)

    def call(role: str, action: str, resource: str, **context: Any) -> Request:
        keys = dict(context.pop("keys", {}))
        return Request(role, action, resource, keys, through(account, action))

    one = target(account)
    found = [
        call(who, f"{AUTOSCALING}:DescribeScalableTargets", "*"),
        call(who, f"{AUTOSCALING}:DescribeScalingPolicies", "*"),
        call(who, f"{AUTOSCALING}:ListTagsForResource", one),
        call(
            who,
            f"{AUTOSCALING}:RegisterScalableTarget",
            one,
            keys=OF_ENDPOINTS | given(account, who),
        ),
        call(who, f"{AUTOSCALING}:TagResource", one, keys=given(account, who)),
        call(who, "sagemaker:UpdateEndpointWeightsAndCapacities", endpoint),
        call(who, "sagemaker:DescribeEndpoint", endpoint),
        call(who, "cloudwatch:DescribeAlarms", alarm(account, own)),
        call(
            who,
            "iam:CreateServiceLinkedRole",
            linked_role(account),
            keys={"iam:AWSServiceName": SERVICE},
        ),
        call(manager, f"{AUTOSCALING}:DescribeScalableTargets", "*"),
        call(manager, f"{AUTOSCALING}:ListTagsForResource", one),
        call(manager, f"{AUTOSCALING}:DeregisterScalableTarget", one, keys=OF_ENDPOINTS | ours),
        call(manager, "cloudwatch:DeleteAlarms", alarm(account, own), keys=THROUGH_SCALING),
    ]
    found += [
        call(who, f"{AUTOSCALING}:{what}", one, keys=OF_ENDPOINTS | ours)
        for what in ("RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy")
    ]
    return found + [
        call(who, f"cloudwatch:{what}", alarm(account, own), keys=THROUGH_SCALING)
        for what in ("PutMetricAlarm", "DeleteAlarms")
    ]


@pytest.fixture(scope="module")
def needed(scaling: Account, name: str) -> list[Required]:
    """Everything that the functions need."""
    return [
        Required(DERIVED, request, "scaling")
        for who, rest in PIPELINES.items()
        for request in calls(scaling, who, f"{name}{rest}")
    ]


def test_the_functions_can_have_their_endpoints_scale(
    scaling: Account, needed: list[Required]
) -> None:
    assert refused(scaling, needed) == []


def test_every_allowance_is_needed(scaling: Account, needed: list[Required]) -> None:
    parts = [part for part in allowances(scaling) if part.sid in SIDS]
    needs = needed_by(scaling, parts, needed)
    assert [str(part) for part, calls in needs.items() if not calls] == []


def test_every_limit_stops_an_attack(scaling: Account, attempts: dict[str, Request]) -> None:
    bounds = [part for part in limits(scaling) if part.sid in SIDS]
    stopped = let_through(scaling, bounds, [*attempts.values()])
    assert [str(part) for part, attacks in stopped.items() if not attacks] == []


@pytest.fixture(scope="module")
def attempts(scaling: Account, name: str) -> dict[str, Request]:
    """What nobody may do because endpoints scale, by what is wanted."""
    one, of_main, of_churn = target(scaling), owned(scaling, MAIN), owned(scaling, CHURN)
    somebodys = {f"aws:ResourceTag/{OWNER_TAG}": "arn:aws:cloudformation:x:1:stack/other/1"}
    found: dict[str, Request] = {}
    pairs: list[tuple[str, dict[str, str]]] = [
        (MAIN, of_churn),
        (CHURN, of_main),
        (MAIN, somebodys),
        (CHURN, somebodys),
        (MAIN, {}),
    ]
    for who, tags in pairs:
        for role, what in (
            (who, "DeregisterScalableTarget"),
            (who, "PutScalingPolicy"),
            (who, "RegisterScalableTarget"),
            (MANAGERS[who], "DeregisterScalableTarget"),
        ):
            whose = next(iter(tags.values()), "nobody")
            request = Request(role, f"{AUTOSCALING}:{what}", one, OF_ENDPOINTS | tags)
            found[f"{role}: {what} of a target of {whose}"] = request
    for who, tags in ((MAIN, of_churn), (CHURN, of_main), (MAIN, somebodys)):
        whose, asked = next(iter(tags.values())), given(scaling, who)
        found |= {
            f"{who} claims the target of {whose}": Request(
                who, f"{AUTOSCALING}:TagResource", one, asked | tags
            ),
            f"{who} changes the limits of {whose} with its own tag": Request(
                who, f"{AUTOSCALING}:RegisterScalableTarget", one, OF_ENDPOINTS | asked | tags
            ),
        }
    others = scaling.place.arn("sagemaker", "endpoint/tabular-0123456789ab")
    size = "sagemaker:UpdateEndpointWeightsAndCapacities"
    own, errors = name, scaling.deployment.get(stack_of(MAIN), "EndpointServerErrorAlarm").reference
    for who, other in ((MAIN, CHURN), (CHURN, MAIN)):
        asked, foreign = given(scaling, who), given(scaling, other)
        found |= {
            f"{who} has a table scale": Request(
                who, f"{AUTOSCALING}:RegisterScalableTarget", one, OF_TABLES | asked
            ),
            f"{who} gives {other} a target": Request(
                who, f"{AUTOSCALING}:RegisterScalableTarget", one, OF_ENDPOINTS | foreign
            ),
            f"{who} gives {other} a target that is nobody's": Request(
                who, f"{AUTOSCALING}:TagResource", one, foreign
            ),
            f"{who} creates the role of another service": Request(
                who,
                "iam:CreateServiceLinkedRole",
                linked_role(scaling),
                {"iam:AWSServiceName": "ecs.application-autoscaling.amazonaws.com"},
            ),
            f"{who} changes an alarm of scaling itself": Request(
                who, "cloudwatch:PutMetricAlarm", alarm(scaling, f"{name}{PIPELINES[who]}")
            ),
            f"the manager of {who} deletes an alarm of scaling itself": Request(
                MANAGERS[who], "cloudwatch:DeleteAlarms", alarm(scaling, f"{name}{PIPELINES[who]}")
            ),
        }
    return found | {
        "main's function takes the owner's tag away": Request(
            MAIN, f"{AUTOSCALING}:UntagResource", one, of_main
        ),
        "the manager registers a target": Request(
            MANAGERS[MAIN],
            f"{AUTOSCALING}:RegisterScalableTarget",
            one,
            OF_ENDPOINTS | given(scaling, MAIN),
        ),
        "main's function resizes churn's endpoint": Request(
            MAIN, size, scaling.place.arn("sagemaker", f"endpoint/{own}-churn")
        ),
        "churn's function resizes main's endpoint": Request(
            CHURN, size, scaling.place.arn("sagemaker", f"endpoint/{own}")
        ),
        "the function resizes another deployment's endpoint": Request(MAIN, size, others),
        "the manager resizes the endpoint": Request(
            MANAGERS[MAIN], size, scaling.place.arn("sagemaker", f"endpoint/{own}")
        ),
        "main's function changes the alarms of churn's scaling": Request(
            MAIN, "cloudwatch:PutMetricAlarm", alarm(scaling, f"{own}-churn"), THROUGH_SCALING
        ),
        "the function deletes the alarm that takes requests back": Request(
            MAIN,
            "cloudwatch:DeleteAlarms",
            scaling.place.arn(
                "cloudwatch",
                f"alarm:{errors}",
            ),
            THROUGH_SCALING,
        ),
        "a model has the fleet scale": Request(
            "ModelRole", f"{AUTOSCALING}:RegisterScalableTarget", one, OF_ENDPOINTS | of_main
        ),
        "Studio ends the scaling": Request(
            "StudioRole", f"{AUTOSCALING}:DeregisterScalableTarget", one, OF_ENDPOINTS | of_main
        ),
    }


def test_every_attack_is_refused(scaling: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(scaling, attempts) == []


def test_every_attack_would_succeed_without_policies(
    scaling: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(scaling, attempts) == []


def test_without_scaling_nobody_can() -> None:
    chosen = CHOSEN.model_dump(mode="json", exclude_unset=True) | {"serving": {}}
    account = Account.of(resolve(Settings.model_validate(chosen)))
    actions = {
        action
        for document in account.documents.values()
        for statement in document.policy["Statement"]
        if statement["Effect"] == "Allow" and "Action" in statement
        for action in statement["Action"]
    }
    assert [one for one in actions if one.startswith(AUTOSCALING)] == []
