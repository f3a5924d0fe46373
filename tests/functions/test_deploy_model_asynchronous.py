"""An endpoint that takes requests from S3: how it is tried, scales to nothing, and wakes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from functions.shared.names import alarm_name
from functions.shared.scaling import identity
from tests.functions.deploy_world import (
    BUCKET,
    ENDPOINT,
    OWNER,
    PROPERTIES,
    TRIAL,
    Deploying,
    config_of,
    deploying,
)
from tests.functions.fakes.wire import ApiError
from tests.functions.world import World

TOPIC = "arn:aws:sns:eu-west-1:123456789012:demo"
PLACE = f"s3://{BUCKET}/asynchronous/"
FROM_S3 = replace(
    PROPERTIES,
    maximum_instances=3,
    asynchronous_uri=PLACE,
    answered_topic=f"{TOPIC}-answers",
    failed_topic=f"{TOPIC}-failures",
    target_backlog=5,
)
RESOURCE = identity(ENDPOINT)["ResourceId"]
ALARM = alarm_name(ENDPOINT)


@pytest.fixture
def waiting(world: World) -> Deploying:
    """A pipeline whose endpoint should be asynchronous, without a version."""
    found = deploying(world)
    found.properties = FROM_S3
    return found


@pytest.fixture
def serving(waiting: Deploying) -> Deploying:
    """Version 1 serves."""
    waiting.register()
    waiting.settle(30)
    assert waiting.serves == config_of(1, FROM_S3)
    return waiting


def limits(deployed: Deploying) -> tuple[int, int]:
    target = deployed.scaling.targets[RESOURCE]
    return target["MinCapacity"], target["MaxCapacity"]


# What it is


def test_the_configuration_says_where_answers_go_and_whom_they_are_told_to(
    serving: Deploying,
) -> None:
    assert serving.serving.requested("CreateEndpointConfig")[0]["AsyncInferenceConfig"] == {
        "OutputConfig": {
            "KmsKeyId": PROPERTIES.key_arn,
            "S3OutputPath": f"{PLACE}answers/",
            "S3FailurePath": f"{PLACE}failures/",
            "NotificationConfig": {
                "SuccessTopic": f"{TOPIC}-answers",
                "ErrorTopic": f"{TOPIC}-failures",
            },
        }
    }


def test_an_endpoint_that_answers_at_once_has_none_of_it(world: World) -> None:
    deployed = deploying(world)
    deployed.register()
    deployed.settle(30)
    assert deployed.serves == config_of(1)
    assert "AsyncInferenceConfig" not in deployed.serving.requested("CreateEndpointConfig")[0]
    assert deployed.alarms.requests == []


# The trial


def test_the_trial_is_asked_through_s3(serving: Deploying) -> None:
    (asked, *_) = serving.runtime.requested("InvokeEndpointAsync")
    assert asked["EndpointName"] == TRIAL
    assert asked["InputLocation"].startswith(f"{PLACE}requests/smoke/")
    assert asked["ContentType"] == "application/json"
    assert serving.runtime.requested("InvokeEndpoint") == []


def test_a_wrong_answer_is_rejected(waiting: Deploying) -> None:
    number = waiting.register()
    waiting.runtime.answers[waiting.package(number)] = {"predictions": []}
    waiting.settle(30)
    assert waiting.status_of(number) == "Rejected"
    assert "the smoke test differs from the evaluation" in waiting.reason_of(number)


def test_a_failure_of_the_model_is_rejected_with_what_it_says(waiting: Deploying) -> None:
    number = waiting.register()
    failure = ApiError("ModelError", "Received server error (500)")
    waiting.runtime.answers[waiting.package(number)] = failure
    waiting.settle(30)
    assert waiting.status_of(number) == "Rejected"
    assert "with an error: Received server error (500)" in waiting.reason_of(number)


def test_a_failure_of_something_else_rejects_no_version(
    waiting: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    number = waiting.register()
    denied = ApiError("ModelError", "Unable to download the request: kms:Decrypt is denied")
    waiting.runtime.answers[waiting.package(number)] = denied
    waiting.settle(30)
    assert waiting.status_of(number) == "Approved"
    assert "kms:Decrypt is denied" in caplog.text
    waiting.runtime.answers.clear()
    waiting.settle(30)
    assert waiting.serves == config_of(number, FROM_S3)


def test_settings_that_served_before_are_not_tried_for_ever(serving: Deploying) -> None:
    for properties in (PROPERTIES, FROM_S3):
        serving.properties = properties
        serving.wake()
        serving.runtime.seconds = 1e6 if properties is FROM_S3 else 0.1
        del serving.serving.resources["Endpoint"][ENDPOINT]
        serving.scaling.targets.clear()
        serving.settle(60)
    assert serving.serves == ""
    assert TRIAL in serving.names("Endpoint")
    serving.wait(minutes=60 * 24)
    serving.settle(30)
    assert serving.status_of(1) == "Rejected"
    assert "not in service after 24 hours" in serving.reason_of(1)
    assert TRIAL not in serving.names("Endpoint")


def test_an_answer_that_takes_long_is_asked_for_again(waiting: Deploying) -> None:
    number = waiting.register()
    waiting.runtime.seconds = 1e6
    waiting.settle(30)
    assert waiting.serves == ""
    assert waiting.status_of(number) == "Approved"
    waiting.runtime.seconds = 60
    waiting.settle(30)
    assert waiting.serves == config_of(number, FROM_S3)


def test_the_wait_for_an_answer_leaves_time_to_end_the_call(waiting: Deploying) -> None:
    waiting.register()
    waiting.runtime.seconds = 1e6
    for _ in range(4):
        began = waiting.world.clock.now
        waiting.wake(seconds=60)
        assert waiting.world.clock.now - began < 50
        waiting.wait()


def test_samples_are_sent_while_requests_move(serving: Deploying) -> None:
    before = len(serving.runtime.requested("InvokeEndpointAsync"))
    serving.serving.shift_seconds = 900
    serving.register()
    serving.settle(30)
    assert serving.serves == config_of(2, FROM_S3)
    asked = serving.runtime.requested("InvokeEndpointAsync")[before:]
    assert [one["EndpointName"] for one in asked].count(ENDPOINT) > 5


# Scaling


def test_the_fleet_has_no_instance_while_it_has_nothing_to_do(serving: Deploying) -> None:
    assert limits(serving) == (0, 3)
    tracking = serving.scaling.policies[RESOURCE]["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 5
    metric = tracking["CustomizedMetricSpecification"]
    assert metric["MetricName"] == "ApproximateBacklogSizePerInstance"
    assert metric["Dimensions"] == [{"Name": "EndpointName", "Value": ENDPOINT}]


def test_one_request_starts_the_first_instance(serving: Deploying) -> None:
    step = serving.scaling.steps[RESOURCE]
    adjustments = step["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert adjustments == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]
    alarm = serving.alarms.alarms[ALARM]
    assert alarm["MetricName"] == "HasBacklogWithoutCapacity"
    assert alarm["Dimensions"] == [{"Name": "EndpointName", "Value": ENDPOINT}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    (action,) = alarm["AlarmActions"]
    assert action.endswith(f"scalingPolicy:{step['PolicyName']}")


def test_what_is_as_wanted_is_only_read(serving: Deploying) -> None:
    assert serving.wake() == []


@pytest.mark.parametrize("gone", ["alarm", "action", "policy", "switch"])
def test_what_wakes_the_fleet_is_put_back(serving: Deploying, gone: str) -> None:
    if gone == "alarm":
        serving.alarms.alarms.clear()
    elif gone == "action":
        serving.alarms.alarms[ALARM]["AlarmActions"] = []
    elif gone == "switch":
        serving.alarms.alarms[ALARM]["ActionsEnabled"] = False
    else:
        serving.scaling.steps.clear()
    serving.wake()
    (action,) = serving.alarms.alarms[ALARM]["AlarmActions"]
    assert action.endswith(f"scalingPolicy:{serving.scaling.steps[RESOURCE]['PolicyName']}")
    assert serving.wake() == []


def test_an_alarm_that_cannot_be_made_is_made_later(waiting: Deploying) -> None:
    waiting.register()
    denied = ApiError("AccessDenied", "not authorized", status=403)
    waiting.alarms.failures["PutMetricAlarm"] = [denied]
    with pytest.raises(ClientError, match="not authorized"):
        waiting.settle(30)
    waiting.settle(30)
    assert ALARM in waiting.alarms.alarms


def test_a_fleet_without_instances_gets_a_new_version_with_as_many_as_are_set(
    serving: Deploying,
) -> None:
    serving.endpoint()["instances"] = 0
    serving.register()
    serving.settle(30)
    assert serving.serves == config_of(2, FROM_S3)
    assert serving.serving.requested("UpdateEndpoint")[-1]["RetainAllVariantProperties"] is False
    assert serving.endpoint()["instances"] == 1


def test_a_fleet_that_has_grown_keeps_its_size(serving: Deploying) -> None:
    serving.endpoint()["instances"] = 3
    serving.register()
    serving.settle(30)
    assert serving.serves == config_of(2, FROM_S3)
    assert serving.endpoint()["instances"] == 3


# Another kind


@pytest.mark.parametrize("to_s3", [True, False])
def test_an_endpoint_is_not_changed_to_the_other_kind(
    world: World, caplog: pytest.LogCaptureFixture, *, to_s3: bool
) -> None:
    before, after = (PROPERTIES, FROM_S3) if to_s3 else (FROM_S3, PROPERTIES)
    deployed = deploying(world)
    deployed.properties = before
    deployed.register()
    deployed.settle(30)
    deployed.properties = after
    assert deployed.wake() == []
    deployed.register()
    deployed.settle(30)
    assert deployed.serves == config_of(1, before)
    assert deployed.status_of(2) == "Approved"
    assert "`aws sagemaker delete-endpoint --endpoint-name demo-4f2a`" in caplog.text
    del deployed.serving.resources["Endpoint"][ENDPOINT]
    deployed.scaling.targets.clear()
    deployed.settle(30)
    assert deployed.serves == config_of(2, after)


def test_an_endpoint_that_was_deleted_for_settings_that_served_before_is_created_again(
    serving: Deploying,
) -> None:
    """Also days after these settings' configuration was made: no version is late for that."""
    for properties in (PROPERTIES, FROM_S3, PROPERTIES):
        serving.properties = properties
        serving.settle(30)
        del serving.serving.resources["Endpoint"][ENDPOINT]
        serving.scaling.targets.clear()
        serving.wait(minutes=60 * 48)
        serving.settle(30)
        assert serving.serves == config_of(1, properties)
        assert serving.status_of(1) == "Approved"
        del serving.serving.resources["Endpoint"][ENDPOINT]
        serving.settle(30)
        assert serving.serves == "", "deleted by hand, with the same settings"
        serving.serving.make(
            "Endpoint", ENDPOINT, OWNER, config=config_of(1, properties), status="InService"
        )


def test_settings_that_were_changed_back_change_no_kind_either(serving: Deploying) -> None:
    serving.properties = PROPERTIES
    serving.wake()
    serving.properties = FROM_S3
    assert serving.wake() == []
    assert serving.serves == config_of(1, FROM_S3)
