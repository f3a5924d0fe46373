"""Asynchronous endpoints: tried, asked through S3, without instances, woken by one request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.shared.names import alarm_name
from functions.shared.scaling import identity
from generator.settings import Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import Account, chosen
from tests.cloud.test_approval import Registry, wait
from tests.cloud.test_endpoints import build_py, listening

STACK = "asynchronous"
CHOSEN = Settings.model_validate(
    {
        "pipeline": {"deploy": "on-approval"},
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "serving": {"asynchronous": True, "maximum_instances": 3},
        "studio": {"domain": "none"},
    }
)
NAMES = ["main", "churn"]


class Asynchronous(Registry):
    """A pipeline whose endpoint takes requests from S3."""

    @property
    def instances(self) -> int:
        described = self.sagemaker.describe_endpoint(EndpointName=self.name)
        return int(described["ProductionVariants"][0]["DesiredInstanceCount"])

    def shrink(self) -> None:
        """Take the last instance away, as target tracking does when nothing waits."""
        self.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=self.name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}],
        )

    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarm that starts the first instance, if it exists."""
        found = self.account.client("cloudwatch").describe_alarms(
            AlarmNames=[alarm_name(self.name)]
        )
        return list(found["MetricAlarms"])

    def limits(self) -> tuple[int, int] | None:
        named = identity(self.name)
        found = self.account.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[named["ResourceId"]]
        )["ScalableTargets"]
        return (found[0]["MinCapacity"], found[0]["MaxCapacity"]) if found else None

    def says(self) -> str:
        """Return the endpoint's prediction, as the command line prints it."""
        command = ("invoke", "41,2", "--json", "--stack-name", STACK, *self.option)
        status, said = build_py(*command)
        assert status == 0, said
        return str(json.loads(said[said.index("{") :])["predictions"][0]["label"])

    def serves_something(self) -> bool:
        return self.name in self.endpoints() and self.settled()

    def ready(self) -> bool:
        self.tick()
        return self.limits() == (0, 3) and bool(self.alarms())


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and delete it with its endpoints; nothing is left."""
    before = inventory(account.session)
    account.deploy(account.package(change=chosen(CHOSEN)), STACK)
    yield account.outputs(STACK)
    assert "scalable targets" in inventory(account.session)
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    assert inventory(account.session) == before


@pytest.fixture(scope="module")
def pipelines(account: Account, outputs: dict[str, str]) -> dict[str, Asynchronous]:
    """Two pipelines; a version of each is approved and serves."""
    names = {"main": outputs["PipelineName"], "churn": outputs["PipelineNameChurn"]}
    found = {
        entry: Asynchronous(
            account, outputs["DataBucket"], name, ("--pipeline", entry), stack=STACK
        )
        for entry, name in names.items()
    }
    for entry, one in found.items():
        one.approve(one.register(entry))
    for one in found.values():
        wait("served", one.serves_something)
        wait("scaled", one.ready)
    return found


@pytest.mark.parametrize("entry", NAMES)
def test_one_request_wakes_an_endpoint_without_instances(
    pipelines: dict[str, Asynchronous], entry: str
) -> None:
    one = pipelines[entry]
    one.shrink()
    assert one.instances == 0
    assert one.says() == entry
    assert one.instances == 1


@pytest.mark.parametrize("entry", NAMES)
def test_the_topic_is_told_of_an_answer(
    account: Account, pipelines: dict[str, Asynchronous], entry: str
) -> None:
    one = pipelines[entry]
    topic = f"arn:aws:sns:eu-west-1:123456789012:{one.name}-answers"
    with listening(account, topic) as heard:
        one.says()
        told = json.loads(json.loads(heard())["Message"])
    assert told["invocationStatus"] == "Completed"
    assert told["responseParameters"]["outputLocation"].startswith(f"s3://{one.bucket}/")


def test_the_other_topic_is_told_of_a_failure(
    account: Account, pipelines: dict[str, Asynchronous]
) -> None:
    main = pipelines["main"]
    runtime = account.client("sagemaker-runtime")
    missing = f"s3://{main.bucket}/asynchronous/requests/missing"
    topic = f"arn:aws:sns:eu-west-1:123456789012:{main.name}-failures"
    with listening(account, topic) as heard:
        sent = runtime.invoke_endpoint_async(EndpointName=main.name, InputLocation=missing)
        told = json.loads(json.loads(heard())["Message"])
    assert told["invocationStatus"] == "Failed"
    assert told["responseParameters"]["failureLocation"] == sent["FailureLocation"]


def test_a_direct_request_is_refused(account: Account, pipelines: dict[str, Asynchronous]) -> None:
    runtime = account.client("sagemaker-runtime")
    with pytest.raises(ClientError, match="asynchronous"):
        runtime.invoke_endpoint(EndpointName=pipelines["main"].name, Body=b"{}")


def test_a_version_that_answers_something_else_is_rejected(
    pipelines: dict[str, Asynchronous],
) -> None:
    main = pipelines["main"]
    bad = main.register("wrong", expected="right")
    main.approve(bad)
    wait("rejected", lambda: main.version(bad)["ModelApprovalStatus"] == "Rejected")
    assert "smoke test differs" in main.version(bad)["ApprovalDescription"]
    assert main.says() == "main"


def test_a_new_version_is_served_although_there_is_no_instance(
    pipelines: dict[str, Asynchronous],
) -> None:
    main = pipelines["main"]
    wait("settled", main.settled)
    main.shrink()
    main.approve(main.register("newer"))

    def serves() -> bool:
        described = main.sagemaker.describe_endpoint(EndpointName=main.name)
        return described["EndpointConfigName"].startswith("v3-") and main.settled()

    wait("served", serves)
    assert main.says() == "newer"
    assert main.limits() == (0, 3)


def test_an_endpoint_keeps_its_kind_until_somebody_deletes_it(
    account: Account, pipelines: dict[str, Asynchronous]
) -> None:
    main = pipelines["main"]
    settings = CHOSEN.model_dump(mode="json", exclude_unset=True)
    settings["serving"] = {}
    account.deploy(account.package(change=chosen(Settings.model_validate(settings))), STACK)
    assert (main.limits(), main.alarms()) == (None, [])
    main.tick()
    time.sleep(2)
    described = main.sagemaker.describe_endpoint(EndpointName=main.name)
    assert "AsyncInferenceConfig" in described
    main.sagemaker.delete_endpoint(EndpointName=main.name)

    def answers_at_once() -> bool:
        main.tick()
        return main.serves_something()

    wait("created again", answers_at_once)
    assert main.serves() == "newer"
    account.deploy(account.package(change=chosen(CHOSEN)), STACK)
    main.sagemaker.delete_endpoint(EndpointName=main.name)
    wait("created again", answers_at_once)
    wait("scaled", main.ready)
    assert main.says() == "newer"
