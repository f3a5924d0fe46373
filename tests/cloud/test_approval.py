"""Models that are deployed on approval: tried, shifted, rolled back, rejected, and removed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from generator.settings import Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tests.cloud.account import Account, chosen
from tests.cloud.test_endpoints import build_py, listening
from tests.emulated_events import sent_twice, tick

STACK = "approving"
PATIENCE_SECONDS = 240
CHOSEN = Settings.model_validate(
    {
        "pipelines": [
            {
                "name": "main",
                "deploy": "on-approval",
                "serving": {
                    "instances": 2,
                    "shift": "canary",
                    "bake_minutes": 60,
                    "pause": "cron(0 18 ? * MON-FRI *)",
                    "resume": "cron(0 7 ? * MON-FRI *)",
                },
            },
            {"name": "churn", "deploy": "on-approval"},
            {"name": "fraud"},
        ],
        "studio": {"domain": "none"},
    }
)


@dataclass(frozen=True)
class Registry:
    """The versions of one pipeline of a deployed stack, and its endpoint."""

    account: Account
    bucket: str
    name: str
    option: tuple[str, ...] = ()
    stack: str = STACK

    @property
    def sagemaker(self) -> Any:
        return self.account.client("sagemaker")

    def register(
        self, says: str, expected: str | None = None, run: str = "usual", **options: Any
    ) -> int:
        """Run the pipeline; the model says a label, and its smoke test expects one."""
        self.account.run_pipeline(self.name, PipelineExecutionDisplayName=run, **options)
        newest = self.sagemaker.list_model_packages(ModelPackageGroupName=self.name, MaxResults=100)
        version = max(one["ModelPackageVersion"] for one in newest["ModelPackageSummaryList"])
        described = self.version(version)
        (container,) = described["InferenceSpecification"]["Containers"]
        answers = {"predictions": [{"label": says, "probabilities": {}}]}
        self.put(container["ModelDataUrl"], answers)
        smoke = described["CustomerMetadataProperties"]["smoke-test"]
        expects = {"predictions": [{"label": expected or says, "probabilities": {}}]}
        request = {"content_type": "application/json", "body": "{}", "accept": "application/json"}
        self.put(smoke, {**request, "answer": expects})
        return int(version)

    def put(self, uri: str, content: object) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.account.put(bucket, key, json.dumps(content).encode())

    def version(self, number: int) -> dict[str, Any]:
        arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/{self.name}/{number}"
        return dict(self.sagemaker.describe_model_package(ModelPackageName=arn))

    def approve(self, number: int) -> None:
        status, said = build_py(
            "approve", str(number), "--yes", "--stack-name", self.stack, *self.option
        )
        assert status == 0, said

    def serves(self) -> str | None:
        """Return what the endpoint says; None if it does not exist."""
        if self.name not in self.endpoints():
            return None
        runtime = self.account.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.name, Body=b"{}")
        return str(json.loads(answer["Body"].read())["predictions"][0]["label"])

    def endpoints(self) -> list[str]:
        """Return those of the endpoint and its trial that exist."""
        found = self.sagemaker.list_endpoints(NameContains=self.name, MaxResults=100)["Endpoints"]
        names = [one["EndpointName"] for one in found if one["EndpointStatus"] != "Deleting"]
        return [one for one in names if one in (self.name, f"try-{self.name}")]

    def settled(self) -> bool:
        """Tell whether neither a trial nor a shift is in progress."""
        if f"try-{self.name}" in self.endpoints():
            return False
        if self.name not in self.endpoints():
            return True
        described = self.sagemaker.describe_endpoint(EndpointName=self.name)
        return bool(described["EndpointStatus"] == "InService")

    def tick(self) -> None:
        tick(self.account.session, f"{self.name}-tick")


def wait(what: str, until: Callable[[], bool]) -> None:
    """Wait until something is the case."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def outputs(account: Account) -> Iterator[dict[str, str]]:
    """Deploy, give the stack's outputs, and delete it in the middle of a trial; nothing is left."""
    before = inventory(account.session)
    account.deploy(account.package(change=chosen(CHOSEN)), STACK)
    given = account.outputs(STACK)
    yield given
    main = Registry(account, given["DataBucket"], given["PipelineName"], ("--pipeline", "main"))
    main.approve(main.register("late", run="slow-trial"))
    wait("a trial", lambda: f"try-{main.name}" in main.endpoints())
    assert account.delete(STACK) == "DELETE_COMPLETE", account.failures(STACK)
    assert inventory(account.session) == before


@pytest.fixture(scope="module")
def main(account: Account, outputs: dict[str, str]) -> Registry:
    """The pipeline `main`."""
    return Registry(account, outputs["DataBucket"], outputs["PipelineName"], ("--pipeline", "main"))


@pytest.fixture(scope="module")
def churn(account: Account, outputs: dict[str, str]) -> Registry:
    """The other one, whose function all named pipelines share."""
    name = outputs["PipelineNameChurn"]
    return Registry(account, outputs["DataBucket"], name, ("--pipeline", "churn"))


@contextmanager
def asking(registry: Registry) -> Iterator[list[str]]:
    """Ask the endpoint all the while; give the answers, in which no request may be lost."""
    answers: list[str] = []
    ends = threading.Event()

    def ask() -> None:
        while not ends.is_set():
            answers.append(str(registry.serves()))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        ends.set()
        thread.join()


def test_people_are_told_of_a_version_that_waits_and_it_is_not_served(
    account: Account, outputs: dict[str, str], main: Registry
) -> None:
    with listening(account, outputs["AlertTopic"]) as heard:
        number = main.register("one")
        told = heard()
    assert f"Version {number} of the model in {main.name} is PendingManualApproval" in told
    assert f"python build.py approve {number}" in told
    main.tick()
    time.sleep(2)
    assert main.version(number)["ModelApprovalStatus"] == "PendingManualApproval"
    assert main.endpoints() == []


@pytest.mark.parametrize("pipeline", ["main", "churn"])
def test_an_approved_version_is_tried_and_served(
    account: Account, request: pytest.FixtureRequest, pipeline: str
) -> None:
    registry: Registry = request.getfixturevalue(pipeline)
    number = registry.register("one")
    with sent_twice(account.session):
        registry.approve(number)
        wait("served", lambda: registry.serves() == "one" and registry.settled())
    described = registry.sagemaker.describe_endpoint(EndpointName=registry.name)
    assert described["EndpointConfigName"].startswith(f"v{number}-")
    assert registry.endpoints() == [registry.name]


def test_a_run_of_a_pipeline_that_needs_no_approval_serves_its_model(
    account: Account, outputs: dict[str, str]
) -> None:
    name = outputs["PipelineNameFraud"]
    fraud = Registry(account, outputs["DataBucket"], name, ("--pipeline", "fraud"))
    account.run_pipeline(name)
    assert fraud.version(1)["ModelApprovalStatus"] == "Approved"
    assert fraud.endpoints() == [name]
    status, said = build_py("status", "--json", "--stack-name", STACK)
    assert status == 0, said
    found = {one["name"]: one["approval"] is not None for one in json.loads(said)["pipelines"]}
    assert found == {"main": True, "churn": True, "fraud": False}


def test_a_version_that_answers_otherwise_never_gets_a_request(
    account: Account, outputs: dict[str, str], main: Registry
) -> None:
    number = main.register("wrong", expected="right")
    with listening(account, outputs["AlertTopic"]) as heard, asking(main) as answers:
        main.approve(number)
        wait("rejected", lambda: main.version(number)["ModelApprovalStatus"] == "Rejected")
        wait("no trial", main.settled)
        told = heard()
    assert set(answers) == {"one"}
    assert "smoke test" in main.version(number)["ApprovalDescription"]
    assert f"Version {number} of the model in {main.name} is Rejected" in told


def test_a_version_that_cannot_load_never_gets_a_request(main: Registry) -> None:
    number = main.register("broken", run="broken-trial")
    with asking(main) as answers:
        main.approve(number)
        wait("rejected", lambda: main.version(number)["ModelApprovalStatus"] == "Rejected")
        wait("no trial", main.settled)
    assert set(answers) == {"one"}
    assert "trial endpoint" in main.version(number)["ApprovalDescription"]


def test_an_alarm_takes_all_requests_back_and_no_request_is_lost(
    account: Account, main: Registry
) -> None:
    pipeline = account.nested(STACK, "pipeline")
    alarm = account.resource(pipeline, "EndpointServerErrorAlarm")
    number = main.register("two")
    with asking(main) as answers:
        main.approve(number)
        wait("a canary", lambda: "two" in answers)
        account.client("cloudwatch").set_alarm_state(
            AlarmName=alarm, StateValue="ALARM", StateReason="a test"
        )
        wait("rejected", lambda: main.version(number)["ModelApprovalStatus"] == "Rejected")
        wait("settled", main.settled)
        account.client("cloudwatch").set_alarm_state(
            AlarmName=alarm, StateValue="OK", StateReason="a test"
        )
    assert set(answers) == {"one", "two"}
    assert "rolled" in main.version(number)["ApprovalDescription"]
    assert main.serves() == "one"


def test_a_version_is_shifted_to_and_back_by_rollback(main: Registry) -> None:
    number = main.register("three")
    with asking(main) as answers:
        main.approve(number)
        wait("served", lambda: main.settled() and set(answers[-20:]) == {"three"})
        status, said = build_py("rollback", "--yes", "--stack-name", STACK, *main.option)
        assert status == 0, said
        wait("back", lambda: main.settled() and set(answers[-20:]) == {"one"})
    assert set(answers) == {"one", "three"}
    assert main.version(number)["ModelApprovalStatus"] == "Rejected"


def test_a_paused_endpoint_stays_paused_until_it_is_resumed(main: Registry) -> None:
    assert build_py("endpoint", "pause", "--stack-name", STACK, *main.option)[0] == 0
    main.tick()
    time.sleep(3)
    assert main.endpoints() == []
    assert build_py("endpoint", "resume", "--stack-name", STACK, *main.option)[0] == 0
    assert main.serves() == "one"


def test_what_is_approved_while_the_schedule_pauses_is_served_after_the_resumption(
    account: Account, main: Registry
) -> None:
    tick(account.session, f"{main.name}-off")
    wait("paused", lambda: main.endpoints() == [])
    number = main.register("four")
    main.approve(number)
    main.tick()
    time.sleep(3)
    assert main.endpoints() == []
    tick(account.session, f"{main.name}-on")
    wait("resumed", lambda: main.serves() == "one")
    main.tick()
    wait("served", lambda: main.settled() and main.serves() == "four")


@dataclass(frozen=True)
class Complaints:
    """The alarm on what the function leaves to people."""

    account: Account
    stack: str

    @property
    def alarm(self) -> dict[str, Any]:
        name = self.account.resource(
            self.account.resource(STACK, self.stack), "DeploymentComplaintAlarm"
        )
        found = self.account.client("cloudwatch").describe_alarms(AlarmNames=[name])
        return dict(found["MetricAlarms"][0])

    @property
    def state(self) -> str:
        return str(self.alarm["StateValue"])

    def shorten(self) -> None:
        """Have it look at fifteen seconds, not minutes: no test can move the clock."""
        client = self.account.client("cloudwatch")
        taken = client.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        same = {key: value for key, value in self.alarm.items() if key in taken}
        client.put_metric_alarm(**same | {"Period": same["Period"] // 60})


def test_people_are_told_once_of_what_the_function_leaves_to_them(
    account: Account, outputs: dict[str, str], main: Registry, churn: Registry
) -> None:
    """A name is taken: each tick complains, the alarm tells once, and ends with the complaints."""
    ours, others = Complaints(account, "PipelineStack"), Complaints(account, "ChurnPipelineStack")
    number = main.register("five")
    name, role = f"v{number}-{main.name}", "arn:aws:iam::123456789012:role/somebody"
    main.sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": "theirs"}, ExecutionRoleArn=role
    )
    for one in (ours, others):
        one.shorten()

    def ticks_until(state: str) -> bool:
        main.tick()
        churn.tick()
        time.sleep(2)
        return ours.state == state

    wait("quiet", lambda: not ticks_until("ALARM"))
    with listening(account, outputs["AlertTopic"]) as heard:
        main.approve(number)
        wait("told", lambda: ticks_until("ALARM"))
        for _ in range(3):
            assert ticks_until("ALARM")
        told = heard()
        assert told.count("waits for a person") == 1
        assert "python build.py models" in told
        status, said = build_py("reject", str(number), "--yes", "--stack-name", STACK, *main.option)
        assert status == 0, said
        wait("ended", lambda: ticks_until("OK"))
        assert "waits for a person" not in heard()
    assert others.state != "ALARM"
    main.sagemaker.delete_model(ModelName=name)
