"""The newest approved version is tried, tested, deployed and watched, one step at a call."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from functions.deploy_model.handler import handler
from functions.shared.errors import PropertyError
from functions.shared.names import ERROR_TAG
from tests.functions.deploy_world import (
    BUCKET,
    ENDPOINT,
    OTHER,
    OWNER,
    PROPERTIES,
    TRIAL,
    Deploying,
    as_event,
    config_of,
    deploying,
    model_of,
)
from tests.functions.fakes.wire import ApiError
from tests.functions.world import Context, World

QUOTA = ApiError(
    "ResourceLimitExceeded",
    "The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances, with current "
    "utilization of 0 Instances and a request delta of 1 Instances.",
)


@pytest.fixture
def deployed(world: World) -> Deploying:
    """A pipeline that deploys on approval, without a version."""
    return deploying(world)


@pytest.fixture
def serving(deployed: Deploying) -> Deploying:
    """Version 1 serves."""
    deployed.register()
    deployed.settle(30)
    assert deployed.serves == config_of(1)
    return deployed


def tried(deployed: Deploying) -> int:
    """Register and approve a version, and wait until its trial endpoint serves."""
    number = deployed.register()
    deployed.wake()
    deployed.wait()
    assert deployed.endpoint(TRIAL)["status"] == "InService"
    return number


# The way of a version


def test_nothing_happens_before_somebody_approves(deployed: Deploying) -> None:
    deployed.register("PendingManualApproval")
    deployed.register("Rejected")
    assert deployed.wake() == []


def test_a_group_that_does_not_exist_is_no_failure(deployed: Deploying) -> None:
    assert deployed.wake() == []


def test_an_approved_version_is_tried_first(deployed: Deploying) -> None:
    deployed.register()
    assert deployed.wake() == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert deployed.names("Endpoint") == {TRIAL}
    assert deployed.endpoint(TRIAL)["config"] == config_of(1)
    assert deployed.wake() == []


def test_a_version_that_answers_as_it_should_serves(deployed: Deploying) -> None:
    tried(deployed)
    assert deployed.wake() == ["AddTags", "CreateEndpoint"]
    deployed.wait()
    assert deployed.wake() == ["AddTags", "DeleteEndpoint"]
    deployed.wait()
    assert deployed.names("Endpoint") == {ENDPOINT}
    assert deployed.serves == config_of(1)
    assert deployed.wake() == []


def test_the_model_is_made_of_the_package_in_the_jobs_network(deployed: Deploying) -> None:
    deployed.register()
    deployed.wake()
    (model,) = deployed.serving.requested("CreateModel")
    assert model["ModelName"] == model_of(1)
    assert model["PrimaryContainer"] == {"ModelPackageName": deployed.package(1)}
    assert model["EnableNetworkIsolation"] is True
    assert model["VpcConfig"] == {
        "Subnets": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }
    assert model["Tags"] == [{"Key": key, "Value": value} for key, value in OWNER.items()]


def test_no_data_is_captured_unless_asked(deployed: Deploying) -> None:
    deployed.register()
    deployed.wake()
    (config,) = deployed.serving.requested("CreateEndpointConfig")
    assert "DataCaptureConfig" not in config
    assert config["KmsKeyId"] == PROPERTIES.key_arn


def test_requests_and_answers_are_captured(deployed: Deploying) -> None:
    deployed.properties = replace(PROPERTIES, capture_percent=20, capture_uri="s3://demo/capture")
    deployed.register()
    deployed.wake()
    (config,) = deployed.serving.requested("CreateEndpointConfig")
    assert config["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://demo/capture",
        "KmsKeyId": PROPERTIES.key_arn,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }
    assert config["EndpointConfigName"] != config_of(1)


def test_a_newer_version_replaces_the_one_that_serves(serving: Deploying) -> None:
    tried(serving)
    assert serving.wake() == ["AddTags", "UpdateEndpoint"]
    assert serving.serves == config_of(1)
    serving.wait(10)
    serving.settle(20)
    assert serving.serves == config_of(2)
    assert serving.names("Endpoint") == {ENDPOINT}
    assert serving.names("EndpointConfig") == {config_of(1), config_of(2)}


SHIFTS: dict[str, tuple[dict[str, object], int]] = {
    "all-at-once": ({"Type": "ALL_AT_ONCE"}, 4200),
    "canary": (
        {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 30}},
        4800,
    ),
    "linear": (
        {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 30}},
        6000,
    ),
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_traffic_moves_as_the_settings_say(serving: Deploying, shift: str) -> None:
    serving.properties = replace(PROPERTIES, shift=shift, step_percent=30)
    tried(serving)
    serving.wake()
    (update,) = serving.serving.requested("UpdateEndpoint")
    routing, seconds = SHIFTS[shift]
    assert update["RetainAllVariantProperties"] is False
    assert update["DeploymentConfig"] == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {**routing, "WaitIntervalInSeconds": 600},
            "TerminationWaitInSeconds": 600,
            "MaximumExecutionTimeoutInSeconds": seconds,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "demo-errors"}]},
    }


def test_without_alarms_nothing_rolls_back(serving: Deploying) -> None:
    serving.properties = replace(PROPERTIES, alarms=())
    tried(serving)
    serving.wake()
    (update,) = serving.serving.requested("UpdateEndpoint")
    assert set(update["DeploymentConfig"]) == {"BlueGreenUpdatePolicy"}


def test_changed_settings_are_deployed_as_a_version_is(serving: Deploying) -> None:
    changed = replace(PROPERTIES, instances=2)
    serving.properties = changed
    serving.settle()
    assert serving.serves == config_of(1, changed)
    serving.properties = PROPERTIES
    serving.settle()
    assert serving.serves == config_of(1)


def test_settings_that_fail_do_not_reject_the_version_that_serves(
    serving: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    changed = replace(PROPERTIES, instances=2)
    serving.serving.failing[config_of(1, changed)] = "no capacity; {try later}"
    serving.properties = changed
    serving.settle()
    assert serving.status_of(1) == "Approved"
    assert serving.serves == config_of(1)
    assert "no capacity try later" in caplog.text
    assert serving.names("Endpoint") == {ENDPOINT}


# The smoke test


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"predictions": [{"label": "yes", "score": 0.3}]}, "answer.predictions[0].score is 0.3"),
        ({"predictions": []}, "answer.predictions is [], but was"),
        ("<html>", "is not JSON"),
        (ApiError("ModelError", "Received server error (500)", 424), "Received server error (500)"),
    ],
)
def test_a_version_that_answers_otherwise_is_rejected(
    serving: Deploying, answer: object, reason: str
) -> None:
    number = tried(serving)
    serving.runtime.answers[serving.package(number)] = answer
    serving.wake()
    assert serving.status_of(number) == "Rejected"
    assert reason in serving.reason_of(number)
    serving.settle(10)
    assert serving.serves == config_of(1)
    assert serving.names("EndpointConfig") == {config_of(1)}
    assert serving.names("Model") == {model_of(1)}
    assert serving.names("Endpoint") == {ENDPOINT}


def test_a_version_of_a_run_before_approvals_keeps_its_status_and_is_not_deployed(
    deployed: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    older, number = deployed.register(), deployed.register()
    for one in (older, number):
        del deployed.metadata(one)["smoke-test"]
    deployed.settle()
    assert deployed.names("Endpoint") == set()
    assert {deployed.status_of(one) for one in (older, number)} == {"Approved"}
    assert f"version {number} has no smoke test and is not deployed" in caplog.text


def test_a_version_without_an_instance_type_is_not_deployed(
    deployed: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    number = deployed.register()
    del deployed.serving.packages[deployed.package(number)]["InferenceSpecification"]
    assert deployed.wake() == []
    assert deployed.status_of(number) == "Approved"
    assert "has no instance type and is not deployed" in caplog.text


@pytest.mark.parametrize(
    ("archive", "smoke_test", "said"),
    [
        ("s3://elsewhere/models/r1/model.tar.gz", "", "is not one of this pipeline's runs"),
        (f"s3://{BUCKET}/models/r9/model.tar.gz", "", "is not that of the archive's run r9"),
        ("", "s3://elsewhere/processed/r9/smoke.json", "is not that of the archive's run r1"),
    ],
)
def test_a_version_that_names_what_its_run_did_not_make_is_rejected(
    deployed: Deploying, archive: str, smoke_test: str, said: str
) -> None:
    number = deployed.register()
    if archive:
        with_archive(deployed, number, archive)
    if smoke_test:
        deployed.metadata(number)["smoke-test"] = smoke_test
    assert deployed.wake() == ["UpdateModelPackage"]
    assert said in deployed.reason_of(number)
    assert deployed.names("Endpoint") == set()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist: run the pipeline again"),
        (b"{", "is malformed"),
        (b"[]", "is malformed"),
        (b'{"content_type": 1, "body": "", "accept": "", "answer": 1}', "is malformed"),
    ],
)
def test_a_version_whose_smoke_test_cannot_be_used_is_rejected(
    deployed: Deploying, content: bytes | None, reason: str
) -> None:
    number = tried(deployed)
    key = f"processed/r{number}/smoke/smoke.json"
    if content is None:
        deployed.s3.delete_object({"Bucket": BUCKET, "Key": key})
    else:
        deployed.s3.put(BUCKET, key, content)
    deployed.wake()
    assert deployed.status_of(number) == "Rejected"
    assert reason in deployed.reason_of(number)


def test_a_smoke_test_that_is_no_s3_uri_rejects(deployed: Deploying) -> None:
    number = tried(deployed)
    deployed.metadata(number)["smoke-test"] = "https://example.com/r1/smoke.json"
    deployed.wake()
    assert "is not an S3 URI" in deployed.reason_of(number)


@pytest.mark.parametrize("code", ["ModelNotReadyException", "ValidationError"])
def test_a_model_that_is_not_ready_is_asked_again(deployed: Deploying, code: str) -> None:
    tried(deployed)
    deployed.runtime.failures["InvokeEndpoint"] = [ApiError(code, "Endpoint not found")]
    assert deployed.wake() == []
    assert deployed.wake() == ["AddTags", "CreateEndpoint"]


# What fails on the way


def test_a_trial_that_fails_rejects(serving: Deploying) -> None:
    serving.serving.failing[config_of(2)] = "the container does not start"
    number = serving.register()
    serving.settle(20)
    assert serving.status_of(number) == "Rejected"
    assert serving.reason_of(number) == (
        f"the trial endpoint {TRIAL} failed: the container does not start"
    )
    assert serving.serves == config_of(1)


def test_a_rollback_rejects(serving: Deploying) -> None:
    serving.serving.failing[f"{ENDPOINT}/{config_of(2)}"] = "alarm demo-errors went off"
    number = serving.register()
    serving.settle()
    assert serving.status_of(number) == "Rejected"
    assert "rolled the endpoint demo-4f2a back: alarm demo-errors" in serving.reason_of(number)
    assert serving.serves == config_of(1)
    assert serving.status_of(1) == "Approved"
    assert serving.names("EndpointConfig") == {config_of(1)}


def test_a_rejected_version_can_be_approved_again(serving: Deploying) -> None:
    serving.serving.failing[f"{ENDPOINT}/{config_of(2)}"] = "alarm"
    number = serving.register()
    serving.settle()
    serving.serving.failing.clear()
    serving.set_status(number, "Approved")
    serving.settle()
    assert serving.serves == config_of(2)


def test_a_model_that_sagemaker_refuses_rejects(serving: Deploying) -> None:
    refused = ApiError("ValidationException", "Could not find model data at s3://demo/model")
    serving.serving.failures["CreateModel"] = [refused]
    number = serving.register()
    serving.wake()
    assert serving.reason_of(number).startswith("CreateModel: Could not find model data")


def test_a_version_that_takes_too_long_is_rejected(serving: Deploying) -> None:
    serving.serving.start_seconds = 30 * 3600
    number = serving.register()
    serving.wake()
    serving.wait(23 * 60)
    assert serving.wake() == []
    serving.wait(2 * 60)
    assert serving.wake()[0] == "UpdateModelPackage"
    assert serving.reason_of(number) == "not in service after 24 hours; see the function's log"


@pytest.mark.parametrize("operation", ["CreateEndpoint", "UpdateEndpoint"])
def test_a_version_without_a_quota_is_rejected_with_the_cause(
    serving: Deploying, operation: str
) -> None:
    number = serving.register() if operation == "CreateEndpoint" else tried(serving)
    if operation == "CreateEndpoint":
        serving.serving.failures[operation] = [QUOTA]
        with pytest.raises(ClientError):  # nothing to remember it by yet
            serving.wake()
    serving.serving.failures[operation] = [QUOTA]
    with pytest.raises(ClientError):
        serving.wake()
    told = serving.tags_of(config_of(number))[ERROR_TAG]
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC: ", told)
    serving.wait(25 * 60)
    serving.wake()
    reason = serving.reason_of(number)
    assert reason == f"not in service after 24 hours; the last error was at {told}"
    assert "ResourceLimitExceeded: The account-level service limit ml.m5.large" in reason
    assert reason.endswith("is 0 Instances with current utilization of 0 Instances...")


def test_an_error_before_there_is_a_configuration_is_counted_for_the_alarm(
    deployed: Deploying, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.register()
    deployed.serving.failures["CreateEndpointConfig"] = [QUOTA]
    with pytest.raises(ClientError):
        deployed.wake()
    assert json.loads(capsys.readouterr().out)["Complaints"] == 1
    deployed.settle()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("operation", ["ListModelPackages", "DescribeEndpoint", "ListTags"])
def test_an_error_while_reading_is_counted_and_no_version_is_blamed(
    serving: Deploying, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    number = tried(serving)
    denied = ApiError("AccessDeniedException", "not authorized")
    serving.serving.failures[operation] = [denied]
    with pytest.raises(ClientError, match=operation):
        serving.wake()
    assert json.loads(capsys.readouterr().out)["Complaints"] == 1
    assert ERROR_TAG not in serving.tags_of(config_of(number))


def test_an_error_that_is_past_is_no_cause_any_more(serving: Deploying) -> None:
    number = serving.register()
    for _ in range(2):  # before and after there is a configuration
        serving.serving.failures["CreateEndpoint"] = [QUOTA]
        with pytest.raises(ClientError):
            serving.wake()
    assert serving.tags_of(config_of(number))[ERROR_TAG]
    serving.serving.start_seconds = 30 * 3600
    assert serving.wake()[-2:] == ["CreateEndpoint", "AddTags"]
    assert serving.tags_of(config_of(number))[ERROR_TAG] == ""
    assert serving.wake() == []
    serving.wait(25 * 60)
    serving.wake()
    assert serving.reason_of(number) == "not in service after 24 hours; see the function's log"


def test_an_update_that_succeeds_after_an_error_leaves_none(serving: Deploying) -> None:
    number = tried(serving)
    serving.serving.failures["UpdateEndpoint"] = [QUOTA]
    with pytest.raises(ClientError):
        serving.wake()
    assert serving.wake() == ["AddTags", "UpdateEndpoint", "AddTags"]
    assert serving.tags_of(config_of(number))[ERROR_TAG] == ""


def test_no_error_is_recorded_for_a_version_that_served(serving: Deploying) -> None:
    number = tried(serving)
    serving.serving.failures["UpdateEndpoint"] = [QUOTA]
    with pytest.raises(ClientError):
        serving.wake()
    serving.settle()
    assert serving.serves == config_of(number)
    before = serving.tags_of(config_of(number))[ERROR_TAG]
    serving.set_status(number, "Rejected")
    serving.serving.failures["UpdateEndpoint"] = [QUOTA]
    with pytest.raises(ClientError):
        serving.wake()
    assert serving.tags_of(config_of(number))[ERROR_TAG] == before
    assert ERROR_TAG not in serving.tags_of(config_of(1))


def test_a_cause_that_cannot_be_recorded_does_not_hide_it(serving: Deploying) -> None:
    tried(serving)
    denied = ApiError("AccessDeniedException", "not authorized to perform sagemaker:AddTags")
    serving.serving.failures["AddTags"] = [denied, denied]
    with pytest.raises(ClientError, match="AddTags"):
        serving.wake()
    serving.settle()
    assert serving.serves == config_of(2)


def test_a_trial_without_capacity_is_rejected_with_the_cause(serving: Deploying) -> None:
    """As AWS words it: "How do I troubleshoot SageMaker endpoint creation or update failures?"."""
    why = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
    serving.serving.failing[config_of(2)] = f"{why}error."
    number = serving.register()
    serving.settle()
    assert serving.reason_of(number).endswith(f"failed: {why}error.")


def test_a_change_by_somebody_else_is_not_taken_for_a_rollback(
    serving: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    """The function was interrupted between its record and the update."""
    number = tried(serving)
    serving.serving.failures["UpdateEndpoint"] = [
        HTTPClientError(error="interrupted") for _ in range(5)
    ]
    with pytest.raises(HTTPClientError):
        serving.wake()
    theirs = "users-config"
    serving.serving.make("Model", "users-model", {})
    serving.serving.make("EndpointConfig", theirs, {}, models=["users-model"])
    serving.wait()
    serving.endpoint().update(config=theirs, modified=serving.serving.now)
    serving.settle()
    assert serving.status_of(number) == "Approved"
    assert serving.serves == config_of(number)
    assert f"somebody else gave the endpoint {ENDPOINT} the configuration {theirs}" in caplog.text


def test_an_endpoint_that_fails_to_start_says_how_to_repair_it(deployed: Deploying) -> None:
    deployed.serving.failing[f"{ENDPOINT}/{config_of(1)}"] = "no capacity"
    deployed.register()
    deployed.settle()
    assert deployed.status_of(1) == "Rejected"
    assert deployed.reason_of(1) == (
        "the endpoint demo-4f2a has failed: `python build.py endpoint repair`, then approve "
        "version 1 again"
    )
    assert deployed.names("Endpoint") == {ENDPOINT}


def test_another_version_is_not_rejected_for_a_failed_endpoint(serving: Deploying) -> None:
    """All versions would be, one after the other."""
    serving.endpoint()["status"] = "Failed"
    number = serving.register()
    serving.settle(20)
    assert serving.status_of(number) == serving.status_of(1) == "Approved"
    del serving.serving.resources["Endpoint"][ENDPOINT]
    serving.settle()
    assert serving.serves == config_of(number)


def test_an_update_that_sagemaker_refuses_is_not_taken_for_a_rollback(serving: Deploying) -> None:
    """It may be changing for another reason."""
    number = tried(serving)
    serving.serving.before["UpdateEndpoint"] = [
        lambda: serving.endpoint().update(status="SystemUpdating")
    ]
    assert serving.wake() == ["AddTags", "UpdateEndpoint", "AddTags"]
    serving.endpoint().update(status="InService", modified=serving.serving.now)
    serving.settle()
    assert serving.status_of(number) == "Approved"
    assert serving.serves == config_of(number)


def test_a_refused_update_fails_the_call(serving: Deploying) -> None:
    number = tried(serving)
    refused = ApiError("ValidationException", "alarm demo-errors does not exist")
    serving.serving.failures["UpdateEndpoint"] = [refused]
    with pytest.raises(ClientError):
        serving.wake()
    serving.settle()
    assert serving.serves == config_of(number)


def test_an_update_that_another_call_made_is_fine(serving: Deploying) -> None:
    number = tried(serving)
    request = {"EndpointName": ENDPOINT, "EndpointConfigName": config_of(number)}

    def be_faster() -> None:
        serving.serving.update_endpoint(request)

    serving.serving.before["UpdateEndpoint"] = [be_faster]
    assert serving.wake() == ["AddTags", "UpdateEndpoint"]
    serving.settle()
    assert serving.serves == config_of(number)


def test_a_version_rejected_during_its_smoke_test_does_not_serve(serving: Deploying) -> None:
    number = tried(serving)
    serving.runtime.before["InvokeEndpoint"] = [lambda: serving.set_status(number, "Rejected")]
    assert serving.wake() == []


def test_a_version_rejected_by_a_person_keeps_their_reason(serving: Deploying) -> None:
    number = tried(serving)
    serving.runtime.answers[serving.package(number)] = "other"
    serving.runtime.before["InvokeEndpoint"] = [
        lambda: serving.set_status(number, "PendingManualApproval")
    ]
    assert "UpdateModelPackage" not in serving.wake()


@pytest.mark.parametrize(
    "operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "AddTags"]
)
def test_a_missing_right_fails_the_call_in_one_line(
    deployed: Deploying, caplog: pytest.LogCaptureFixture, operation: str
) -> None:
    deployed.register()
    if operation == "AddTags":
        deployed.wake()
        deployed.wait()
    deployed.serving.failures[operation] = [ApiError("AccessDeniedException", "not authorized")]
    with pytest.raises(ClientError):
        deployed.wake()
    (line,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert line.startswith(f"{operation} ")
    assert "Grant the function's role this permission" in line
    assert deployed.status_of(1) == "Approved"
    deployed.settle()
    assert deployed.serves == config_of(1)


def test_a_missing_property_fails_the_call(deployed: Deploying) -> None:
    event = as_event(PROPERTIES)
    del event["Owner"]
    with pytest.raises(PropertyError, match="Owner is missing"):
        handler(event, Context(deployed.world.clock, 300))


def test_the_event_is_not_logged(deployed: Deploying, caplog: pytest.LogCaptureFixture) -> None:
    deployed.register()
    deployed.settle()
    assert PROPERTIES.model_role_arn not in caplog.text
    assert PROPERTIES.key_arn not in caplog.text


# The bake


def shifting(deployed: Deploying, seconds: float = 600) -> None:
    deployed.serving.shift_seconds = seconds
    tried(deployed)
    deployed.wake()
    assert deployed.endpoint()["pending"] == config_of(2)
    deployed.runtime.requests.clear()


def test_requests_are_sent_while_traffic_moves(serving: Deploying) -> None:
    shifting(serving)
    assert serving.wake() == ["DeleteEndpoint"]  # the trial: it is billed, and has done its work
    sent = serving.runtime.requested("InvokeEndpoint")
    assert [one["EndpointName"] for one in sent] == [ENDPOINT] * 60
    assert sent[0]["ContentType"] == sent[0]["Accept"] == "application/json"


def test_requests_end_when_the_traffic_has_moved(serving: Deploying) -> None:
    shifting(serving, 25)
    serving.wake()
    assert 20 <= len(serving.runtime.requested("InvokeEndpoint")) <= 40


def test_requests_end_before_time_runs_out(serving: Deploying) -> None:
    shifting(serving)
    serving.wake(seconds=100)
    assert 5 <= len(serving.runtime.requested("InvokeEndpoint")) <= 20


def test_a_request_that_fails_is_logged_and_the_others_are_sent(
    serving: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    shifting(serving)
    serving.runtime.failures["InvokeEndpoint"] = [ApiError("ModelError", "error (500)", 424)]
    serving.wake()
    assert f"a sample request to {ENDPOINT} failed" in caplog.text
    assert len(serving.runtime.requested("InvokeEndpoint")) == 60


def test_no_requests_are_sent_without_a_smoke_test(
    serving: Deploying, caplog: pytest.LogCaptureFixture
) -> None:
    shifting(serving)
    serving.s3.put(BUCKET, "processed/r2/smoke/smoke.json", b"{")
    assert serving.wake() == ["DeleteEndpoint"]
    assert "no sample requests" in caplog.text


@pytest.mark.parametrize("status", ["Updating", "SystemUpdating", "RollingBack", "Creating"])
def test_an_endpoint_that_changes_otherwise_gets_none(serving: Deploying, status: str) -> None:
    serving.register()
    serving.endpoint()["status"] = status
    assert serving.wake() == []
    assert serving.runtime.requested("InvokeEndpoint")[1:] == []


# Rejection by a person


def test_rejecting_what_serves_goes_back_at_once(serving: Deploying) -> None:
    serving.register()
    serving.settle()
    serving.set_status(2, "Rejected")
    assert serving.wake() == ["AddTags", "UpdateEndpoint"]
    update = serving.serving.requested("UpdateEndpoint")[-1]
    routing = update["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    assert "AutoRollbackConfiguration" not in update["DeploymentConfig"]
    serving.settle(30)
    assert serving.serves == config_of(1)
    assert serving.names("EndpointConfig") == {config_of(1)}
    assert serving.names("Model") == {model_of(1)}


def test_what_went_back_can_come_again(serving: Deploying) -> None:
    serving.register()
    serving.settle()
    serving.set_status(2, "Rejected")
    serving.settle()
    serving.set_status(2, "Approved")
    serving.settle()
    assert serving.serves == config_of(2)
    serving.set_status(2, "Rejected")
    serving.settle()
    assert serving.serves == config_of(1)


def test_going_back_is_tried_once(serving: Deploying, caplog: pytest.LogCaptureFixture) -> None:
    serving.register()
    serving.settle()
    serving.set_status(2, "Rejected")
    serving.serving.failing[f"{ENDPOINT}/{config_of(1)}"] = "no capacity"
    serving.settle()
    assert len(serving.serving.requested("UpdateEndpoint")) == 2
    assert "did not go back to version 1" in caplog.text
    assert serving.serves == config_of(2)
    assert serving.status_of(1) == "Approved"


def test_rejecting_the_only_version_keeps_it_serving(serving: Deploying) -> None:
    serving.set_status(1, "Rejected")
    serving.settle()
    assert serving.serves == config_of(1)
    assert serving.names("Model") == {model_of(1)}


def test_rejecting_a_version_in_its_trial_ends_the_trial(serving: Deploying) -> None:
    number = serving.register()
    serving.wake()
    serving.set_status(number, "Rejected")
    serving.settle(15)
    assert serving.names("Endpoint") == {ENDPOINT}
    assert serving.names("EndpointConfig") == {config_of(1)}
    assert serving.names("Model") == {model_of(1)}


def test_rejecting_a_version_during_the_shift_goes_back(serving: Deploying) -> None:
    number = tried(serving)
    serving.wake()
    serving.set_status(number, "Rejected")
    serving.settle()
    assert serving.serves == config_of(1)
    assert serving.names("Endpoint") == {ENDPOINT}


def test_a_newer_version_replaces_one_in_its_trial(serving: Deploying) -> None:
    serving.register()
    serving.wake()
    number = serving.register()
    serving.settle()
    assert serving.serves == config_of(number)
    assert serving.names("EndpointConfig") == {config_of(1), config_of(number)}
    assert serving.names("Model") == {model_of(1), model_of(number)}


# Other people's decisions


def test_an_endpoint_that_somebody_deleted_stays_deleted(serving: Deploying) -> None:
    del serving.serving.resources["Endpoint"][ENDPOINT]
    assert serving.wake() == []


def test_a_paused_endpoint_is_not_created(serving: Deploying) -> None:
    serving.tags_of(config_of(1))["tabular-ml-vpc:paused"] = "2026-01-01T00:00:00+00:00"
    del serving.serving.resources["Endpoint"][ENDPOINT]
    number = serving.register()
    serving.settle(15)
    assert serving.names("Endpoint") == set()
    assert serving.status_of(number) == "Approved"
    del serving.tags_of(config_of(1))["tabular-ml-vpc:paused"]
    serving.settle()
    assert serving.serves == config_of(number)


def test_a_pause_during_a_trial_ends_it(serving: Deploying) -> None:
    """And what is resumed much later is not late."""
    number = tried(serving)
    serving.tags_of(config_of(1))["tabular-ml-vpc:paused"] = "2026-01-01T00:00:00+00:00"
    paused = serving.serving.resources["Endpoint"].pop(ENDPOINT)
    serving.settle(10)
    assert serving.names("Endpoint") == set()
    serving.wait(60 * 48)
    serving.serving.resources["Endpoint"][ENDPOINT] = paused
    del serving.tags_of(config_of(1))["tabular-ml-vpc:paused"]
    serving.settle()
    assert (serving.serves, serving.status_of(number)) == (config_of(number), "Approved")


def have_other_endpoint(deployed: Deploying, config: str, tags: dict[str, str]) -> None:
    """Put an endpoint in place that a run or a person made."""
    serving = deployed.serving
    serving.make("Model", f"model-of-{config}", tags)
    serving.make("EndpointConfig", config, tags, models=[f"model-of-{config}"], created=serving.now)
    serving.make("Endpoint", ENDPOINT, tags, config=config, status="InService")


@pytest.mark.parametrize("config", [f"{ENDPOINT}-Sfx", "users-config"])
def test_what_is_newer_than_the_version_is_left(deployed: Deploying, config: str) -> None:
    """A run deployed it, before the setting changed, or a person."""
    deployed.register()
    deployed.wait()
    have_other_endpoint(deployed, config, OWNER)
    assert deployed.wake() == []
    number = deployed.register()
    deployed.wait()
    deployed.settle()
    assert deployed.serves == config_of(number)
    assert config in deployed.names("EndpointConfig")


def test_an_older_version_that_somebody_chose_is_left(serving: Deploying) -> None:
    serving.register()
    serving.settle()
    serving.endpoint()["config"] = config_of(1)
    assert serving.wake() == []


@pytest.mark.parametrize("tags", [{}, OTHER])
def test_an_endpoint_of_somebody_else_is_not_touched(
    deployed: Deploying, caplog: pytest.LogCaptureFixture, tags: dict[str, str]
) -> None:
    have_other_endpoint(deployed, "users-config", tags)
    deployed.wait()
    deployed.register()
    assert deployed.wake() == []
    assert f"endpoint {ENDPOINT}: not created by this pipeline" in caplog.text


@pytest.mark.parametrize("tags", [{}, OTHER])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("Endpoint", TRIAL), ("EndpointConfig", config_of(1)), ("Model", model_of(1))],
)
def test_a_name_that_somebody_else_took_is_not_touched(
    deployed: Deploying,
    caplog: pytest.LogCaptureFixture,
    tags: dict[str, str],
    kind: str,
    name: str,
) -> None:
    deployed.serving.make(kind, name, tags, config="users", status="InService")
    deployed.register()
    assert deployed.wake() == []
    assert f"{name}: not created by this pipeline, not touched" in caplog.text


def test_each_complaint_is_counted_for_the_alarm(
    deployed: Deploying, capsys: pytest.CaptureFixture[str]
) -> None:
    number = deployed.register()
    deployed.serving.make("Model", model_of(number), OTHER)
    deployed.wake()
    line = json.loads(capsys.readouterr().out)
    assert (line["Pipeline"], line["Complaints"]) == (ENDPOINT, 1)
    del deployed.serving.resources["Model"][model_of(number)]
    deployed.settle()
    assert "Complaints" not in capsys.readouterr().out


def test_a_model_of_ours_made_of_something_else_is_not_used(deployed: Deploying) -> None:
    deployed.serving.make("Model", model_of(1), OWNER, package="another")
    deployed.register()
    assert deployed.wake() == []


@pytest.mark.parametrize("tags", [{}, OTHER])
def test_a_version_of_somebody_else_is_not_deployed(
    deployed: Deploying, tags: dict[str, str]
) -> None:
    number = deployed.register()
    deployed.register(owner=tags)
    deployed.settle()
    assert deployed.serves == config_of(number)


def test_configurations_of_others_stay(serving: Deploying) -> None:
    serving.serving.make("EndpointConfig", "v7-0a1b2c-demo-4f2a", OTHER, models=["theirs"])
    serving.serving.make("EndpointConfig", "v7-0a1b2c-demo-4f2a-2", OWNER, models=["theirs"])
    before = serving.names("EndpointConfig")
    serving.settle(15)
    assert serving.names("EndpointConfig") == before


# The copy of the archive that serves


COMPARING = replace(PROPERTIES, champion_uri=f"s3://{BUCKET}/champion/model.tar.gz")


def champion(deployed: Deploying) -> bytes | None:
    """Return the content of the copy."""
    found = deployed.s3.buckets[BUCKET].current("champion/model.tar.gz")
    return found.body if found else None


def with_archive(deployed: Deploying, number: int, uri: str) -> None:
    """Have a version name another archive."""
    (container,) = deployed.serving.packages[deployed.package(number)]["InferenceSpecification"][
        "Containers"
    ]
    container["ModelDataUrl"] = uri


def registered(deployed: Deploying, content: bytes) -> int:
    """Register a version whose archive has a content."""
    number = deployed.register()
    deployed.s3.put(BUCKET, f"models/r{number}/model.tar.gz", content)
    return number


def test_the_archive_that_serves_is_copied_once(deployed: Deploying) -> None:
    deployed.properties = COMPARING
    registered(deployed, b"one")
    deployed.wake()
    assert champion(deployed) is None
    deployed.settle()
    assert champion(deployed) == b"one"
    copies = deployed.s3.requested("CopyObject")
    assert len(copies) == 1
    deployed.settle()
    assert deployed.s3.requested("CopyObject") == copies


def test_the_copy_follows_the_endpoint_forward_and_back(deployed: Deploying) -> None:
    deployed.properties = COMPARING
    registered(deployed, b"one")
    deployed.settle()
    registered(deployed, b"two")
    deployed.settle(180)
    assert champion(deployed) == b"two"
    deployed.set_status(2, "Rejected")
    deployed.settle(180)
    assert champion(deployed) == b"one"


def test_an_archive_that_cannot_be_copied_is_counted_for_the_alarm(
    deployed: Deploying, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed.properties = COMPARING
    registered(deployed, b"one")
    deployed.settle()
    registered(deployed, b"two")
    deployed.s3.failures["HeadObject"] = [ApiError("403", "Forbidden", status=403)]
    with pytest.raises(ClientError, match="HeadObject"):
        deployed.wake()
    assert json.loads(capsys.readouterr().out)["Complaints"] == 1
    assert ERROR_TAG not in deployed.tags_of(config_of(2))


def test_without_a_margin_nothing_is_copied(serving: Deploying) -> None:
    serving.settle()
    assert serving.s3.requested("CopyObject") == []
