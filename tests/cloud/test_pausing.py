"""Endpoints that a schedule pauses and resumes: ours, with the model that served, and no other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.shared.pausing import PAUSED_TAG
from generator.settings import Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import Account, chosen
from tests.cloud.test_approval import wait
from tests.cloud.test_endpoints import build_py
from tests.emulated_events import sent_twice, tick

STACK = "pausing"
MORNING = "cron(0 7 ? * MON-FRI *)"
CHOSEN = Settings.model_validate(
    {
        "pipelines": [{"name": "main"}, {"name": "churn"}],
        "serving": {"pause": "cron(0 18 ? * MON-FRI *)", "resume": MORNING},
        "studio": {"domain": "none"},
    }
)


class Endpoint:
    """The endpoint of one pipeline, whose model says the pipeline's name in the settings."""

    def __init__(self, account: Account, name: str, entry: str) -> None:
        self.account, self.name, self.entry = account, name, entry
        self.sagemaker: Any = account.client("sagemaker")

    def deploy(self) -> None:
        """Run the pipeline, which deploys its model."""
        self.account.run_pipeline(
            self.name, PipelineParameters=[{"Name": "ApprovalStatus", "Value": "Approved"}]
        )
        wait("served", lambda: self.status == "InService")
        arn = self.sagemaker.describe_endpoint_config(EndpointConfigName=self.config)
        model = self.sagemaker.describe_model(ModelName=arn["ProductionVariants"][0]["ModelName"])
        container = model.get("PrimaryContainer") or model["Containers"][0]
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        answer = {"predictions": [{"label": self.entry}]}
        self.account.put(bucket, key, json.dumps(answer).encode())

    @property
    def described(self) -> dict[str, Any] | None:
        found = self.sagemaker.list_endpoints(NameContains=self.name, MaxResults=100)["Endpoints"]
        if self.name not in [one["EndpointName"] for one in found]:
            return None
        return dict(self.sagemaker.describe_endpoint(EndpointName=self.name))

    @property
    def status(self) -> str:
        found = self.described
        return str(found["EndpointStatus"]) if found else ""

    @property
    def config(self) -> str:
        found = self.described
        return str(found["EndpointConfigName"]) if found else ""

    def says(self) -> str:
        runtime = self.account.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.name, Body=b"{}")
        return str(json.loads(answer["Body"].read())["predictions"][0]["label"])

    def paused(self) -> list[str]:
        """Return the configurations that have the tag."""
        found = self.sagemaker.list_endpoint_configs(NameContains=self.name, MaxResults=100)
        return [
            one["EndpointConfigName"]
            for one in found["EndpointConfigs"]
            if PAUSED_TAG in self.tags(one["EndpointConfigArn"])
        ]

    def tags(self, arn: str) -> dict[str, str]:
        found = self.sagemaker.list_tags(ResourceArn=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def evening(self) -> None:
        tick(self.account.session, f"{self.name}-off")

    def morning(self) -> None:
        tick(self.account.session, f"{self.name}-on")


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and delete it while endpoints are paused; nothing stays."""
    before = inventory(account.session)
    account.deploy(account.package(change=chosen(CHOSEN)), STACK)
    given = account.outputs(STACK)
    yield given
    main = Endpoint(account, given["PipelineName"], "main")
    main.evening()
    wait("paused", lambda: main.status == "")
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    assert inventory(account.session) == before


@pytest.fixture(scope="module")
def endpoints(account: Account, outputs: dict[str, str]) -> dict[str, Endpoint]:
    """Two endpoints that serve."""
    names = {"main": outputs["PipelineName"], "churn": outputs["PipelineNameChurn"]}
    found = {entry: Endpoint(account, name, entry) for entry, name in names.items()}
    for endpoint in found.values():
        endpoint.deploy()
    return found


@pytest.mark.parametrize("entry", ["main", "churn"])
def test_a_paused_endpoint_does_not_answer_and_the_same_model_does_when_it_is_resumed(
    account: Account, endpoints: dict[str, Endpoint], entry: str
) -> None:
    endpoint = endpoints[entry]
    (other,) = [one for name, one in endpoints.items() if name != entry]
    config = endpoint.config
    assert endpoint.says() == entry
    with sent_twice(account.session):
        endpoint.evening()
        endpoint.evening()
        wait("paused", lambda: endpoint.status == "")
        assert endpoint.paused() == [config]
        with pytest.raises(ClientError, match="Could not find"):
            endpoint.says()
        assert other.says() == other.entry
        time.sleep(1)  # Events have whole seconds: the endpoint is newer than the evening.
        endpoint.morning()
        wait("resumed", lambda: endpoint.status == "InService")
        assert (endpoint.config, endpoint.says()) == (config, entry)
        wait("forgotten", lambda: endpoint.paused() == [])


def test_the_schedule_resumes_what_the_command_paused_which_says_so(
    endpoints: dict[str, Endpoint],
) -> None:
    main = endpoints["main"]
    options = ("--pipeline", "main", "--stack-name", STACK)
    status, said = build_py("endpoint", "pause", *options)
    assert status == 0
    assert f"the schedule resumes it at {MORNING} (UTC)" in said
    main.morning()
    wait("resumed", lambda: main.status == "InService")
    assert main.says() == "main"


def test_the_command_resumes_what_the_schedule_paused(endpoints: dict[str, Endpoint]) -> None:
    main = endpoints["main"]
    main.evening()
    wait("paused", lambda: main.status == "")
    status, said = build_py("endpoint", "resume", "--pipeline", "main", "--stack-name", STACK)
    assert status == 0, said
    assert main.says() == "main"
    assert main.paused() == []


def undelivered(account: Account) -> list[dict[str, Any]]:
    """Return the events in the dead-letter queue, whose alarm tells people, and remove them."""
    url = account.resource(account.nested(STACK, "security"), "DeadLetterQueue")
    sqs, found = account.client("sqs"), []
    while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in got:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def refuses_to_pause(account: Account, endpoint: Endpoint) -> None:
    """Let it be evening: the function refuses, again and again, and hands the event over."""
    before = endpoint.described
    assert before
    assert undelivered(account) == []
    events: list[dict[str, Any]] = []
    endpoint.evening()

    def told() -> bool:
        events.extend(undelivered(account))
        return bool(events)

    wait("an event in the dead-letter queue", told)
    after = endpoint.described
    assert after
    for key in ("EndpointStatus", "EndpointConfigName", "CreationTime", "LastModifiedTime"):
        assert after[key] == before[key]
    assert endpoint.paused() == []
    assert f'"EndpointName": "{endpoint.name}"' in json.dumps(events)
    assert '"Action": "pause"' in json.dumps(events)


def test_a_foreign_endpoint_is_untouched_and_people_are_told(
    account: Account, endpoints: dict[str, Endpoint]
) -> None:
    churn = endpoints["churn"]
    found = churn.described
    assert found
    arn = found["EndpointArn"]
    owner = churn.tags(arn)["pipeline-owner"]

    def own(value: str) -> None:
        tags = [{"Key": "pipeline-owner", "Value": value}]
        churn.sagemaker.add_tags(ResourceArn=arn, Tags=tags)

    own("somebody")
    refuses_to_pause(account, churn)
    churn.morning()
    time.sleep(2)
    assert churn.says() == "churn"
    own(owner)


def test_a_run_in_progress_keeps_the_endpoint_and_people_are_told(
    account: Account, endpoints: dict[str, Endpoint]
) -> None:
    main = endpoints["main"]
    held = account.run_pipeline(main.name, PipelineExecutionDisplayName="hold")
    assert account.status_of(held) == "Executing"
    refuses_to_pause(account, main)
    main.sagemaker.stop_pipeline_execution(PipelineExecutionArn=held)
    wait("stopped", lambda: account.status_of(held) == "Stopped")
