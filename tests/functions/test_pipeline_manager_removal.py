"""What the pipeline's runs made goes with the stack; what is not ours stays."""

from __future__ import annotations

import pytest

from functions.pipeline_manager import handler as module
from functions.pipeline_manager.handler import handler
from pipeline.definition import OWNER_TAG
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.wire import ApiError
from tests.functions.pipeline_world import (
    BUCKET,
    ENDPOINT,
    GROUP,
    NAME,
    OTHER,
    OWNER,
    PREDICTIONS,
    SCRIPTS,
    Deployment,
    of_predictions,
    properties,
)
from tests.functions.world import Put, World

PROPERTIES = properties()
TRIAL = f"try-{ENDPOINT}"
REMOVALS = ("Delete", "Stop")


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Our pipeline after three runs."""
    monkeypatch.setattr(module, "read_scripts", lambda: dict(SCRIPTS))
    s3, sagemaker = FakeS3(BUCKET), FakeSageMaker(world.clock)
    world.backed_by(s3=s3, sagemaker=sagemaker)
    deployed = Deployment(s3, sagemaker, world)
    deployed.have_pipeline(OWNER)
    for number in range(3):
        deployed.have_run(number)
    return deployed


def delete(deployed: Deployment, seconds: float = 900, **changes: str) -> Put:
    return deployed.world.send(handler, "Delete", PROPERTIES, seconds=seconds, **changes)


def removals(deployed: Deployment) -> list[str]:
    return [name for name, _ in deployed.sagemaker.requests if name.startswith(REMOVALS)]


def test_everything_that_runs_made_goes_with_the_pipeline(deployed: Deployment) -> None:
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_the_endpoint_goes_first_and_the_pipeline_last(deployed: Deployment) -> None:
    delete(deployed)
    order = list(dict.fromkeys(removals(deployed)))
    assert order == [
        "DeleteEndpoint",
        "DeleteModel",
        "DeleteEndpointConfig",
        "DeleteModelPackage",
        "DeletePipeline",
    ]


@pytest.fixture
def predicting(deployed: Deployment) -> Deployment:
    """Our pipeline of predictions beside it, with an execution in progress."""
    deployed.have_pipeline(OWNER, PREDICTIONS)
    deployed.sagemaker.run(PREDICTIONS, "Executing")
    return deployed


def test_the_pipeline_of_predictions_stops_its_own_and_leaves_what_serves(
    predicting: Deployment,
) -> None:
    assert predicting.world.send(handler, "Delete", of_predictions()).succeeded
    assert set(removals(predicting)) == {"StopPipelineExecution", "DeletePipeline"}
    assert set(predicting.sagemaker.pipelines) == {NAME}


def test_only_the_pipeline_of_predictions_goes_with_an_update(predicting: Deployment) -> None:
    predicting.world.cloudformation.status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    assert delete(predicting).succeeded
    assert set(predicting.sagemaker.pipelines) == {NAME, PREDICTIONS}
    assert predicting.world.send(handler, "Delete", of_predictions()).succeeded
    assert set(predicting.sagemaker.pipelines) == {NAME}


def test_the_endpoint_is_gone_when_it_is_answered(deployed: Deployment) -> None:
    """Its network interfaces would keep the subnets from being deleted."""
    delete(deployed)
    assert deployed.names("Endpoint") == set()
    assert deployed.world.clock.now >= 120


def test_neither_bucket_nor_code_is_touched(deployed: Deployment) -> None:
    delete(deployed)
    assert deployed.s3.requests == []


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_IN_PROGRESS"])
def test_a_replacement_or_removal_from_the_template_touches_nothing(
    deployed: Deployment, status: str
) -> None:
    deployed.world.cloudformation.status = status
    assert delete(deployed).succeeded
    assert deployed.sagemaker.requests == []


# Executions


def test_running_executions_are_stopped_and_waited_for(deployed: Deployment) -> None:
    runs = [deployed.sagemaker.run(NAME, status) for status in ("Executing", "Stopping")]
    deployed.world.clock.after(30, lambda: setattr(runs[1], "status", "Stopped"))
    assert delete(deployed).succeeded
    assert [run.status for run in runs] == ["Stopped", "Stopped"]
    assert removals(deployed).count("StopPipelineExecution") == 1
    assert deployed.is_clean


def test_what_a_run_made_while_it_was_stopped_goes_too(deployed: Deployment) -> None:
    run = deployed.sagemaker.run(NAME, "Executing")

    def finish_a_step() -> None:
        model = deployed.sagemaker.make("Model", "pipelines-late-CreateModel-x", OWNER)
        run.made.append(("Model", model.arn))

    deployed.world.clock.after(60, finish_a_step)
    assert delete(deployed).succeeded
    assert deployed.is_clean


@pytest.mark.parametrize("code", ["ConflictException", "ResourceNotFound"])
def test_an_execution_that_ends_meanwhile_is_no_failure(deployed: Deployment, code: str) -> None:
    run = deployed.sagemaker.run(NAME, "Executing")
    deployed.sagemaker.before["StopPipelineExecution"] = [
        lambda: setattr(run, "status", "Succeeded")
    ]
    deployed.sagemaker.failures["StopPipelineExecution"] = [ApiError(code, "it has ended")]
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_an_execution_that_does_not_stop_in_time_is_said(deployed: Deployment) -> None:
    deployed.sagemaker.run(NAME, "Executing")
    put = delete(deployed, seconds=60)
    assert f"pipeline {NAME} still has executions that are being stopped" in put.reason
    assert "Delete the stack again to continue." in put.reason
    assert deployed.names("Endpoint") == {ENDPOINT}
    assert delete(deployed, RequestId="another").succeeded
    assert deployed.is_clean


def test_an_execution_that_is_started_meanwhile_is_said(deployed: Deployment) -> None:
    deployed.sagemaker.before["DeletePipeline"] = [
        lambda: deployed.sagemaker.run(NAME, "Executing")
    ]
    put = delete(deployed)
    assert f"Pipeline {NAME} cannot be deleted now" in put.reason
    assert delete(deployed, RequestId="another").succeeded
    assert deployed.is_clean


# Whose is it?


@pytest.mark.parametrize("tags", [{}, OTHER, {OWNER_TAG: "true"}])
def test_a_pipeline_of_somebody_else_stays_with_what_it_made(
    deployed: Deployment, tags: dict[str, str]
) -> None:
    sagemaker = deployed.sagemaker
    for kind in (*sagemaker.tags,):
        sagemaker.tags[kind] = dict(tags)
    for package in sagemaker.packages.values():
        package["CustomerMetadataProperties"] = dict(tags)
    sagemaker.run(NAME, "Executing")
    assert delete(deployed).succeeded
    assert removals(deployed) == []


def test_deleting_after_a_creation_that_was_refused_touches_nothing(
    deployed: Deployment,
) -> None:
    """The pipeline of that name belongs to another stack, in which it runs and serves."""
    deployed.world.cloudformation.status = "ROLLBACK_IN_PROGRESS"
    owner = "arn:aws:cloudformation:eu-west-1:123456789012:stack/second/1"
    mine = properties(owner=owner)
    assert not deployed.world.send(handler, "Create", mine).succeeded
    assert deployed.world.send(handler, "Delete", mine).succeeded
    assert removals(deployed) == []


def test_an_endpoint_with_a_users_own_configuration_goes_by_its_tag(deployed: Deployment) -> None:
    deployed.sagemaker.make("Model", "users-model", {})
    deployed.sagemaker.make("EndpointConfig", "users-config", {}, models=["users-model"])
    deployed.sagemaker.resources["Endpoint"][ENDPOINT].fields["config"] = "users-config"
    assert delete(deployed).succeeded
    assert deployed.names("Endpoint") == set()
    assert deployed.names("EndpointConfig") == {"users-config"}
    assert deployed.names("Model") == {"users-model"}


def test_an_endpoint_that_a_user_took_over_keeps_serving(deployed: Deployment) -> None:
    """Whoever removes our tag from it makes it theirs, with the configuration and models in use."""
    endpoint = deployed.sagemaker.resources["Endpoint"][ENDPOINT]
    deployed.sagemaker.tags[endpoint.arn] = {"team": "ml"}
    assert delete(deployed).succeeded
    assert deployed.names("Endpoint") == {ENDPOINT}
    assert deployed.names("EndpointConfig") == {f"{ENDPOINT}-Sfx2"}
    assert deployed.names("Model") == {"pipelines-x2-CreateModel-Abc"}
    assert NAME not in deployed.sagemaker.pipelines


def test_an_endpoint_taken_over_with_a_configuration_of_its_own_keeps_none_of_ours(
    deployed: Deployment,
) -> None:
    latest = deployed.names("Model") & {"pipelines-x2-CreateModel-Abc"}
    deployed.sagemaker.make("EndpointConfig", "users-config", {}, models=[*latest])
    endpoint = deployed.sagemaker.resources["Endpoint"][ENDPOINT]
    endpoint.fields["config"] = "users-config"
    deployed.sagemaker.tags[endpoint.arn] = {}
    assert delete(deployed).succeeded
    assert deployed.names("EndpointConfig") == {"users-config"}
    assert deployed.names("Model") == latest


def test_an_endpoint_that_goes_keeps_nothing(deployed: Deployment) -> None:
    """Its tags may be gone before it."""
    endpoint = deployed.sagemaker.resources["Endpoint"][ENDPOINT]
    deployed.sagemaker.tags[endpoint.arn] = {}
    endpoint.fields["status"] = "Deleting"
    deployed.sagemaker.before["DeleteEndpointConfig"] = [
        deployed.sagemaker.resources["Endpoint"].clear
    ]
    assert delete(deployed).succeeded
    assert deployed.is_clean


@pytest.mark.parametrize("tags", [{}, OTHER])
def test_things_of_others_with_similar_names_stay(
    deployed: Deployment, tags: dict[str, str]
) -> None:
    sagemaker = deployed.sagemaker
    sagemaker.make("Model", "pipelines-y1-CreateModel-Abc", tags)
    sagemaker.make("EndpointConfig", f"{ENDPOINT}-2-Sfx", tags, models=[])
    sagemaker.make(
        "Endpoint", f"{ENDPOINT}-2", tags, config=f"{ENDPOINT}-2-Sfx", status="InService"
    )
    package = sagemaker.register(GROUP, tags)
    assert delete(deployed).succeeded
    assert deployed.names("Endpoint") == {f"{ENDPOINT}-2"}
    assert deployed.names("EndpointConfig") == {f"{ENDPOINT}-2-Sfx"}
    assert deployed.names("Model") == {"pipelines-y1-CreateModel-Abc"}
    assert set(sagemaker.packages) == {package}


def test_things_with_our_tag_go_though_no_step_names_them(deployed: Deployment) -> None:
    """As after a run whose history is gone."""
    deployed.sagemaker.runs = []
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_what_a_step_made_goes_though_no_listing_shows_it(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listings lag behind."""
    for name in ("list_endpoint_configs", "list_models", "list_model_packages"):
        key = {"list_model_packages": "ModelPackageSummaryList"}.get(name)
        empty: dict[str, list[str]] = {
            key or f"{name.removeprefix('list_').title().replace('_', '')}": []
        }
        monkeypatch.setattr(deployed.sagemaker, name, lambda _p, empty=empty: empty)
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_things_whose_names_cannot_be_ours_are_not_looked_at(deployed: Deployment) -> None:
    """The function has no right to, and would fail: its deletion could never end."""
    sagemaker = deployed.sagemaker
    model = sagemaker.make("Model", "my-pipelines-model", OWNER)
    config = sagemaker.make("EndpointConfig", "former-Sfx", OWNER)
    endpoint = sagemaker.make("Endpoint", "former", OWNER, config=config.name, status="InService")
    package = sagemaker.register("former-group", OWNER)
    sagemaker.run(
        NAME,
        "Succeeded",
        ("Model", model.arn),
        ("Endpoint", endpoint.arn),
        ("EndpointConfig", config.arn),
        ("RegisterModel", package),
    )
    assert delete(deployed).succeeded
    assert NAME not in sagemaker.pipelines
    asked = str([p for name, p in sagemaker.requests if name != "ListPipelineExecutionSteps"])
    assert "former" not in asked
    assert "my-pipelines" not in asked


def test_leftovers_go_though_the_pipeline_is_gone(deployed: Deployment) -> None:
    del deployed.sagemaker.pipelines[NAME]
    assert delete(deployed).succeeded
    assert deployed.is_clean
    assert "ListPipelineExecutions" not in [name for name, _ in deployed.sagemaker.requests]


def test_names_are_taken_as_they_were_given(deployed: Deployment) -> None:
    """ARNs have them in lower case."""
    delete(deployed)
    names = {request["ModelName"] for request in deployed.sagemaker.requested("DeleteModel")}
    assert names == {f"pipelines-x{number}-CreateModel-Abc" for number in range(3)}


def test_each_thing_is_deleted_once(deployed: Deployment) -> None:
    delete(deployed)
    found = removals(deployed)
    assert found.count("DeleteEndpoint") == 1
    assert found.count("DeleteEndpointConfig") == 3
    assert found.count("DeleteModelPackage") == 3


# What was deployed on approval


@pytest.fixture
def approved(deployed: Deployment) -> Deployment:
    """Version 7 is on trial, and version 8 has a model without a configuration."""
    sagemaker = deployed.sagemaker
    config = f"v7-0a1b2c-{ENDPOINT}"
    sagemaker.make("Model", f"v7-{ENDPOINT}", OWNER)
    sagemaker.make("Model", f"v8-{ENDPOINT}", OWNER)
    sagemaker.make("EndpointConfig", config, OWNER, models=[f"v7-{ENDPOINT}"])
    sagemaker.make("Endpoint", TRIAL, OWNER, config=config, status="InService")
    return deployed


def test_what_was_deployed_on_approval_goes_too(approved: Deployment) -> None:
    assert delete(approved).succeeded
    assert approved.is_clean
    assert approved.sagemaker.requested("DeleteEndpoint") == [
        {"EndpointName": ENDPOINT},
        {"EndpointName": TRIAL},
    ]
    assert approved.world.clock.now < 240, "both are deleted at the same time"


def test_it_goes_though_the_pipeline_is_gone(approved: Deployment) -> None:
    del approved.sagemaker.pipelines[NAME]
    assert delete(approved).succeeded
    assert approved.is_clean


@pytest.mark.parametrize("status", ["Creating", "Deleting"])
def test_a_trial_endpoint_that_changes_is_waited_for(approved: Deployment, status: str) -> None:
    trials = approved.sagemaker.resources["Endpoint"]
    trials[TRIAL].fields["status"] = status
    ends = {"Creating": lambda: trials[TRIAL].fields.update(status="Failed")}
    approved.world.clock.after(200, ends.get(status, lambda: trials.pop(TRIAL)))
    assert delete(approved).succeeded
    assert approved.is_clean


@pytest.mark.parametrize("tags", [{}, OTHER])
def test_what_others_named_alike_stays(approved: Deployment, tags: dict[str, str]) -> None:
    sagemaker = approved.sagemaker
    for kind, name in (
        ("Endpoint", TRIAL),
        ("Model", f"v7-{ENDPOINT}"),
        ("Model", f"v8-{ENDPOINT}"),
    ):
        sagemaker.tags[sagemaker.resources[kind][name].arn] = tags
    sagemaker.make("Model", f"v7-{ENDPOINT}-2", OWNER)
    assert delete(approved).succeeded
    assert approved.names("Endpoint") == {TRIAL}
    assert approved.names("EndpointConfig") == {f"v7-0a1b2c-{ENDPOINT}"}
    assert approved.names("Model") == {f"v7-{ENDPOINT}", f"v8-{ENDPOINT}", f"v7-{ENDPOINT}-2"}


def test_a_model_of_somebody_else_stays_though_our_configuration_used_it(
    approved: Deployment,
) -> None:
    sagemaker = approved.sagemaker
    sagemaker.tags[sagemaker.resources["Model"][f"v7-{ENDPOINT}"].arn] = {}
    assert delete(approved).succeeded
    assert approved.names("Model") == {f"v7-{ENDPOINT}"}
    assert approved.names("EndpointConfig") == set()


def update(deployed: Deployment, seconds: float = 900, **changes: str) -> Put:
    """Update the pipeline; its code and its definition are there."""
    given = PROPERTIES | changes
    return deployed.world.send(handler, "Update", given, seconds=seconds)


TRIALS = PROPERTIES | {"Trials": "true", "OnApproval": "true"}


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_the_trial_endpoint_goes_with_what_stands_for_it(approved: Deployment, status: str) -> None:
    approved.world.cloudformation.status = status
    assert approved.world.send(handler, "Delete", TRIALS).succeeded
    assert approved.names("Endpoint") == {ENDPOINT}
    assert f"v7-0a1b2c-{ENDPOINT}" in approved.names("EndpointConfig")


def test_updates_leave_the_trial_endpoint(approved: Deployment) -> None:
    assert update(approved).succeeded
    assert update(approved, OnApproval="true").succeeded
    assert approved.world.send(handler, "Update", TRIALS).succeeded
    assert approved.names("Endpoint") == {ENDPOINT, TRIAL}


@pytest.mark.parametrize("tags", [{}, OTHER])
def test_the_trial_endpoint_of_others_is_left(approved: Deployment, tags: dict[str, str]) -> None:
    sagemaker = approved.sagemaker
    sagemaker.tags[sagemaker.resources["Endpoint"][TRIAL].arn] = tags
    assert approved.world.send(handler, "Delete", TRIALS).succeeded
    assert approved.names("Endpoint") == {ENDPOINT, TRIAL}


def test_a_trial_endpoint_that_does_not_go_in_time_is_said(approved: Deployment) -> None:
    approved.sagemaker.resources["Endpoint"][TRIAL].fields["status"] = "Creating"
    put = approved.world.send(handler, "Delete", TRIALS, seconds=100)
    assert put.reason == (
        f"Time ran out: the endpoint {TRIAL} still exists. Update the stack again."
    )


# Endpoints that change


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_an_endpoint_that_changes_is_waited_for(deployed: Deployment, status: str) -> None:
    endpoint = deployed.sagemaker.resources["Endpoint"][ENDPOINT]
    endpoint.fields["status"] = status
    deployed.world.clock.after(200, lambda: endpoint.fields.update(status="InService"))
    assert delete(deployed).succeeded
    assert deployed.is_clean


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_does_not_serve_goes(deployed: Deployment, status: str) -> None:
    deployed.sagemaker.resources["Endpoint"][ENDPOINT].fields["status"] = status
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_a_deletion_under_way_is_waited_for(deployed: Deployment) -> None:
    deployed.sagemaker.delete_endpoint({"EndpointName": ENDPOINT})
    assert delete(deployed).succeeded
    assert "DeleteEndpoint" not in removals(deployed)
    assert deployed.is_clean


# Failures on the way


def test_time_that_runs_out_is_said_and_the_next_deletion_goes_on(deployed: Deployment) -> None:
    deployed.sagemaker.resources["Endpoint"][ENDPOINT].fields["status"] = "Updating"
    put = delete(deployed, seconds=300)
    assert "still has an endpoint that is being deleted" in put.reason
    assert "Delete the stack again to continue." in put.reason
    assert NAME in deployed.sagemaker.pipelines
    deployed.sagemaker.resources["Endpoint"][ENDPOINT].fields["status"] = "InService"
    assert delete(deployed, RequestId="another").succeeded
    assert deployed.is_clean


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ("DeleteEndpointConfig", "up to 2 endpoint configurations"),
        ("DeleteModelPackage", "up to 2 model packages"),
    ],
)
def test_what_is_left_is_said(deployed: Deployment, operation: str, left: str) -> None:
    deployed.sagemaker.before[operation] = [lambda: deployed.world.clock.sleep(900)]
    put = delete(deployed)
    assert f"still has {left}. Delete the stack again to continue." in put.reason
    assert delete(deployed, RequestId="another").succeeded
    assert deployed.is_clean


@pytest.mark.parametrize(
    "operation",
    [
        "DescribeEndpoint",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DescribeModelPackage",
        "DeleteModelPackage",
        "DeletePipeline",
    ],
)
def test_what_is_gone_already_is_no_failure(deployed: Deployment, operation: str) -> None:
    sagemaker = deployed.sagemaker

    def vanish() -> None:
        kind = operation.removeprefix("Delete").removeprefix("Describe")
        if kind == "Pipeline":
            sagemaker.pipelines.clear()
        elif kind == "ModelPackage":
            sagemaker.packages.clear()
        else:
            sagemaker.resources[kind].clear()

    sagemaker.before[operation] = [vanish]
    assert delete(deployed).succeeded
    assert deployed.is_clean


def test_a_group_that_is_gone_is_no_failure(deployed: Deployment) -> None:
    deployed.sagemaker.groups.clear()
    deployed.sagemaker.packages.clear()
    assert delete(deployed).succeeded


@pytest.mark.parametrize(
    "operation",
    [
        "DescribePipeline",
        "ListPipelineExecutions",
        "ListPipelineExecutionSteps",
        "ListEndpointConfigs",
        "ListTags",
        "ListModelPackages",
        "DescribeEndpoint",
        "DeleteEndpoint",
        "DeleteModel",
        "DeletePipeline",
    ],
)
def test_a_missing_right_fails_the_deletion(deployed: Deployment, operation: str) -> None:
    """Success would leave things behind that cost money."""
    deployed.sagemaker.failures[operation] = [ApiError("AccessDeniedException", "not authorized")]
    put = delete(deployed)
    assert not put.succeeded
    assert operation in put.reason


def test_a_missing_right_to_stop_fails_the_deletion(deployed: Deployment) -> None:
    deployed.sagemaker.run(NAME, "Executing")
    error = ApiError("AccessDeniedException", "not authorized")
    deployed.sagemaker.failures["StopPipelineExecution"] = [error]
    assert "StopPipelineExecution" in delete(deployed).reason


def test_the_same_deletion_twice_succeeds(deployed: Deployment) -> None:
    first, second = delete(deployed), delete(deployed)
    assert first.body == second.body
    assert first.succeeded
    assert deployed.is_clean


def test_deleting_what_was_never_made_succeeds(world: World) -> None:
    sagemaker = FakeSageMaker(world.clock)
    world.backed_by(sagemaker=sagemaker)
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert [name for name, _ in sagemaker.requests if name.startswith(REMOVALS)] == []
