"""An endpoint is paused and resumed by schedule: only ours, only at a good time, and only once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from functions.pause_endpoint.handler import handler
from functions.shared.errors import PropertyError, ResourceError
from functions.shared.pausing import PAUSED_TAG
from pipeline.definition import OWNER_TAG
from tests.functions.fakes.pausing import FakePausing
from tests.functions.fakes.sagemaker import Resource
from tests.functions.fakes.wire import ApiError
from tests.functions.recorder import arn
from tests.functions.world import STACK_ID, Context, World

ENDPOINT = "demo-4f2a"
PIPELINE = ENDPOINT
OWNER = {OWNER_TAG: STACK_ID}
OTHER = {OWNER_TAG: STACK_ID.replace("demo", "other")}
HOUR = 3600.0


@dataclass
class Scheduled:
    """The function's world, in which the configuration `<name>-one` serves."""

    world: World
    sagemaker: FakePausing
    runs_deploy: bool = True

    def config(self, rest: str, tags: dict[str, str] = OWNER) -> Resource:
        return self.sagemaker.make("EndpointConfig", f"{ENDPOINT}-{rest}", tags)

    def serve(self, config: str = f"{ENDPOINT}-one", tags: dict[str, str] = OWNER) -> None:
        self.sagemaker.make("Endpoint", ENDPOINT, tags, config=config, status="InService")

    def wake(self, action: str, age_seconds: float = 0.0) -> list[str]:
        """Run the function for an event; return the operations that changed something."""
        before = len(self.sagemaker.requests)
        clock = self.world.clock
        time = (self.sagemaker.now - timedelta(seconds=age_seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {"EndpointName": ENDPOINT, "Owner": STACK_ID, "Action": action, "Time": time}
        if self.runs_deploy:
            event["PipelineName"] = PIPELINE
        try:
            handler(event, Context(clock, clock.now + 60))
        finally:
            names = [name for name, _ in self.sagemaker.requests[before:]]
            self.changes = [name for name in names if not name.startswith(("Describe", "List"))]
        return self.changes

    def refused(self, action: str) -> str:
        """Run the function, which has to refuse and change nothing; return why."""
        with pytest.raises(ResourceError) as refused:
            self.wake(action)
        assert self.changes == []
        return str(refused.value)

    def wait(self, seconds: float = HOUR) -> None:
        self.world.clock.sleep(seconds)

    @property
    def endpoint(self) -> Resource | None:
        return self.sagemaker.resources["Endpoint"].get(ENDPOINT)

    @property
    def serves(self) -> str:
        """The configuration that serves, or empty."""
        found = self.endpoint
        return str(found.fields["config"]) if found else ""

    @property
    def paused(self) -> list[str]:
        """The configurations that have the tag."""
        configs = self.sagemaker.resources["EndpointConfig"].values()
        return [one.name for one in configs if PAUSED_TAG in self.sagemaker.tags[one.arn]]


@pytest.fixture
def scheduled(world: World) -> Scheduled:
    """An endpoint of ours serves."""
    sagemaker = FakePausing(world.clock)
    world.backed_by(sagemaker=sagemaker)
    sagemaker.pipelines[PIPELINE] = {"PipelineArn": arn("sagemaker", f"pipeline/{PIPELINE}")}
    found = Scheduled(world, sagemaker)
    found.config("one")
    found.serve()
    return found


@pytest.fixture
def asleep(scheduled: Scheduled) -> Scheduled:
    """It is paused."""
    scheduled.wake("pause")
    scheduled.wait()
    assert scheduled.endpoint is None
    return scheduled


def one_of(endpoint: Resource | None) -> Resource:
    """Return what has to exist."""
    assert endpoint is not None
    return endpoint


# Pause


def test_a_paused_endpoint_is_deleted_and_its_configuration_remembered(
    scheduled: Scheduled,
) -> None:
    assert scheduled.wake("pause") == ["AddTags", "DeleteEndpoint"]
    scheduled.wait()
    assert scheduled.endpoint is None
    assert scheduled.paused == [f"{ENDPOINT}-one"]


def test_a_pause_that_comes_twice_does_nothing_more(scheduled: Scheduled) -> None:
    scheduled.wake("pause")
    assert scheduled.wake("pause") == []
    scheduled.wait()
    assert scheduled.wake("pause") == []


def test_a_pause_that_ended_halfway_is_done_by_its_repetition(scheduled: Scheduled) -> None:
    scheduled.sagemaker.failures["DeleteEndpoint"].append(ApiError("AccessDenied", "no"))
    with pytest.raises(ClientError):
        scheduled.wake("pause")
    assert scheduled.wake("pause") == ["AddTags", "DeleteEndpoint"]


def test_another_owner_s_endpoint_is_left(scheduled: Scheduled) -> None:
    scheduled.serve(tags=OTHER)
    assert "not created by this pipeline" in scheduled.refused("pause")


def test_an_endpoint_without_an_owner_is_left(scheduled: Scheduled) -> None:
    scheduled.serve(tags={})
    assert "not created by this pipeline" in scheduled.refused("pause")


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_an_endpoint_that_changes_is_left(scheduled: Scheduled, status: str) -> None:
    one_of(scheduled.endpoint).fields["status"] = status
    assert f"was not paused: it is {status}" in scheduled.refused("pause")


def test_a_failed_endpoint_is_left_to_people(scheduled: Scheduled) -> None:
    one_of(scheduled.endpoint).fields["status"] = "Failed"
    assert "python build.py endpoint repair" in scheduled.refused("pause")


@pytest.mark.parametrize("status", ["Executing", "Stopping"])
def test_a_run_in_progress_could_deploy_to_it(scheduled: Scheduled, status: str) -> None:
    scheduled.sagemaker.run(PIPELINE, "Succeeded")
    run = scheduled.sagemaker.run(PIPELINE, status)
    scheduled.sagemaker.run(PIPELINE, "Failed")
    said = scheduled.refused("pause")
    assert f"execution {run.arn.rpartition('/')[2]} is in progress" in said


def test_a_run_in_progress_does_not_matter_if_runs_do_not_deploy(scheduled: Scheduled) -> None:
    scheduled.runs_deploy = False
    scheduled.sagemaker.run(PIPELINE, "Executing")
    assert scheduled.wake("pause") == ["AddTags", "DeleteEndpoint"]


def test_a_version_on_trial_is_about_to_be_deployed(scheduled: Scheduled) -> None:
    scheduled.sagemaker.make(
        "Endpoint", f"try-{ENDPOINT}", OWNER, config=f"{ENDPOINT}-two", status="Creating"
    )
    assert f"a version is being deployed (endpoint try-{ENDPOINT})" in scheduled.refused("pause")


@pytest.mark.parametrize("tags", [OTHER, {}])
def test_what_could_not_be_resumed_is_not_paused(
    scheduled: Scheduled, tags: dict[str, str]
) -> None:
    one_of(scheduled.endpoint).fields["config"] = scheduled.config("theirs", tags).name
    assert "could not serve again" in scheduled.refused("pause")


@pytest.mark.parametrize("config", [f"{ENDPOINT}-gone", "somebodys"])
def test_an_endpoint_without_a_configuration_of_ours_is_not_paused(
    scheduled: Scheduled, config: str
) -> None:
    one_of(scheduled.endpoint).fields["config"] = config
    assert "could not serve again" in scheduled.refused("pause")


def test_the_late_event_of_a_pause_does_not_end_what_is_resumed(asleep: Scheduled) -> None:
    asleep.wake("resume")
    assert asleep.wake("pause", age_seconds=1) == []
    asleep.wait()
    assert asleep.wake("pause", age_seconds=HOUR + 1) == []
    assert asleep.serves == f"{ENDPOINT}-one"
    assert asleep.wake("pause", age_seconds=HOUR) == ["AddTags", "DeleteEndpoint"]


@pytest.mark.parametrize("time", ["", "6 p.m.", "2026-01-30T18:00:00", "<time>"])
def test_an_event_without_its_time_is_refused(scheduled: Scheduled, time: str) -> None:
    event = {"EndpointName": ENDPOINT, "Owner": STACK_ID, "Action": "pause", "Time": time}
    with pytest.raises(PropertyError, match=f"Time is '{time}', but must"):
        handler(event, Context(scheduled.world.clock, 60))
    assert scheduled.serves == f"{ENDPOINT}-one"


# Resume


def test_the_paused_configuration_serves_again(asleep: Scheduled) -> None:
    assert asleep.wake("resume") == ["CreateEndpoint"]
    assert asleep.serves == f"{ENDPOINT}-one"
    made = one_of(asleep.endpoint)
    assert asleep.sagemaker.tags[made.arn] == OWNER


def test_the_tag_goes_when_the_endpoint_serves_again(asleep: Scheduled) -> None:
    asleep.wake("resume")
    assert asleep.wake("resumed") == []
    asleep.wait()
    assert asleep.wake("resumed") == ["DeleteTags"]
    assert asleep.paused == []
    assert asleep.wake("resumed") == []


def test_the_next_resumption_takes_a_tag_away_whose_event_was_lost(asleep: Scheduled) -> None:
    asleep.wake("resume")
    asleep.wait()
    assert asleep.wake("resume") == ["DeleteTags"]
    assert asleep.paused == []


def test_a_resumption_that_comes_twice_does_nothing_more(asleep: Scheduled) -> None:
    asleep.wake("resume")
    assert asleep.wake("resume") == []


def test_the_event_of_an_endpoint_that_serves_creates_none(asleep: Scheduled) -> None:
    assert asleep.wake("resumed") == []


def test_the_late_event_of_an_endpoint_that_serves_undoes_no_pause(scheduled: Scheduled) -> None:
    scheduled.wait()
    scheduled.sagemaker.before["DeleteEndpoint"].append(lambda: scheduled.wake("resumed"))
    scheduled.wake("pause")
    assert scheduled.paused == [f"{ENDPOINT}-one"]


def test_a_resumption_during_the_deletion_is_repeated(scheduled: Scheduled) -> None:
    scheduled.wake("pause")
    assert "still being deleted" in scheduled.refused("resume")
    scheduled.wait(180)
    assert scheduled.wake("resume") == ["CreateEndpoint"]


def test_what_was_not_paused_is_not_resumed(scheduled: Scheduled) -> None:
    del scheduled.sagemaker.resources["Endpoint"][ENDPOINT]
    assert scheduled.wake("resume") == []


def test_what_another_owner_paused_is_not_resumed(scheduled: Scheduled) -> None:
    del scheduled.sagemaker.resources["Endpoint"][ENDPOINT]
    scheduled.config("theirs", OTHER | {PAUSED_TAG: "2026-01-01T00:00:00+00:00"})
    scheduled.config("nobodys", {PAUSED_TAG: "2026-01-01T00:00:00+00:00"})
    assert scheduled.wake("resume") == []


def test_the_newest_of_paused_configurations_serves_again(asleep: Scheduled) -> None:
    asleep.config("old", OWNER | {PAUSED_TAG: "2025-12-31T18:00:00+00:00"})
    asleep.wake("resume")
    assert asleep.serves == f"{ENDPOINT}-one"
    asleep.wait()
    assert asleep.wake("resumed") == ["DeleteTags", "DeleteTags"]


def test_an_endpoint_that_a_run_created_meanwhile_stays(asleep: Scheduled) -> None:
    asleep.config("new")
    asleep.serve(f"{ENDPOINT}-new")
    one_of(asleep.endpoint).fields["created"] = asleep.sagemaker.now
    assert asleep.wake("resume") == ["DeleteTags"]
    assert asleep.serves == f"{ENDPOINT}-new"


def test_another_owner_s_endpoint_in_its_place_is_left(asleep: Scheduled) -> None:
    asleep.serve(tags=OTHER)
    assert "not created by this pipeline" in asleep.refused("resume")
    assert asleep.wake("resumed") == []


def test_another_owner_s_endpoint_does_not_matter_if_nothing_is_paused(
    scheduled: Scheduled,
) -> None:
    scheduled.serve(tags=OTHER)
    assert scheduled.wake("resume") == []


def test_an_endpoint_that_cannot_start_can_be_repaired_and_resumed(asleep: Scheduled) -> None:
    asleep.sagemaker.fails_to_start = True
    asleep.wake("resume")
    asleep.wait()
    said = asleep.refused("resume")
    assert "`python build.py endpoint repair` deletes it, then `python build.py endpoint" in said
    asleep.sagemaker.resources["Endpoint"].pop(ENDPOINT)
    asleep.sagemaker.fails_to_start = False
    assert asleep.wake("resume") == ["CreateEndpoint"]


# Both


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_refusal_is_one_line_in_the_log(
    scheduled: Scheduled, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    one_of(scheduled.endpoint).fields["status"] = "Failed"
    with caplog.at_level(logging.INFO, "functions"):
        scheduled.refused(action)
    (line,) = [record for record in caplog.records if record.name.startswith("functions.")]
    assert line.levelno == logging.ERROR
    assert "\n" not in line.getMessage()
    assert ENDPOINT in line.getMessage()


def test_an_unknown_action_is_refused(scheduled: Scheduled) -> None:
    with pytest.raises(PropertyError, match="Action is 'destroy', but must be one of pause"):
        scheduled.wake("destroy")


def test_an_error_of_aws_fails_the_call_and_is_told(
    asleep: Scheduled, caplog: pytest.LogCaptureFixture
) -> None:
    asleep.sagemaker.failures["CreateEndpoint"].append(
        ApiError("ResourceLimitExceeded", "the account-level service limit is 0")
    )
    with pytest.raises(ClientError):
        asleep.wake("resume")
    assert "CreateEndpoint" in caplog.text
    assert asleep.wake("resume") == ["CreateEndpoint"]
