"""A pipeline that deploys on approval, with `deploy_model` around its registry and endpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from functions.deploy_model.handler import handler
from functions.deploy_model.names import config_name
from functions.deploy_model.properties import DeployModelProperties
from functions.shared.names import model_name, trial_name
from functions.shared.properties import field_names, property_name
from pipeline.definition import OWNER_TAG
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.scaling import FakeAlarms, FakeScaling
from tests.functions.fakes.serving import FakeRuntime, FakeServing
from tests.functions.recorder import ACCOUNT, KEY_ARN
from tests.functions.world import STACK_ID, Context, World

ENDPOINT = "demo-4f2a"
TRIAL = trial_name(ENDPOINT)
BUCKET = "demo-data"
OWNER = {OWNER_TAG: STACK_ID}
OTHER = {OWNER_TAG: STACK_ID.replace("demo", "other")}
INSTANCE_TYPE = "ml.c6i.large"
TIMEOUT_SECONDS = 300

PROPERTIES = DeployModelProperties(
    endpoint_name=ENDPOINT,
    model_package_group=ENDPOINT,
    owner=STACK_ID,
    model_role_arn=f"arn:aws:iam::{ACCOUNT}:role/demo-model",
    subnet_ids=("subnet-1", "subnet-2"),
    security_group_ids=("sg-1",),
    key_arn=KEY_ARN,
    models_uri=f"s3://{BUCKET}/models/",
    instances=1,
    shift="canary",
    step_percent=50,
    bake_minutes=10,
    deadline_hours=24,
    alarms=("demo-errors",),
)


def as_event(properties: DeployModelProperties) -> dict[str, str]:
    """Return what a rule passes to the function."""
    values = {name: getattr(properties, name) for name in field_names(DeployModelProperties)}
    return {
        property_name(name): ",".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }


def config_of(number: int, properties: DeployModelProperties = PROPERTIES) -> str:
    """Return the name of a version's configuration."""
    return config_name(number, INSTANCE_TYPE, properties)


def model_of(number: int) -> str:
    """Return the name of a version's model."""
    return model_name(number, ENDPOINT)


def answer_of(number: int) -> dict[str, object]:
    """Return what a version answers to its smoke test."""
    return {"predictions": [{"label": "yes", "score": 0.1 * number}]}


@dataclass
class Deploying:
    """The function's world, and shortcuts to what people and time do."""

    world: World
    s3: FakeS3
    serving: FakeServing
    runtime: FakeRuntime
    scaling: FakeScaling
    alarms: FakeAlarms
    properties: DeployModelProperties = PROPERTIES

    def register(
        self,
        status: str = "Approved",
        owner: Mapping[str, str] = OWNER,
        instance_type: str = INSTANCE_TYPE,
    ) -> int:
        """Register a version as a run does; return its number."""
        package = self.serving.register(ENDPOINT, owner)
        number = int(package.rpartition("/")[2])
        key = f"processed/r{number}/smoke/smoke.json"
        content = {
            "content_type": "application/json",
            "body": '{"rows": [1]}',
            "accept": "application/json",
            "answer": answer_of(number),
        }
        self.s3.put(BUCKET, key, json.dumps(content).encode())
        self.serving.packages[package] |= {
            "ModelApprovalStatus": status,
            "CreationTime": self.serving.now,
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": "image",
                        "ModelDataUrl": f"s3://{BUCKET}/models/r{number}/model.tar.gz",
                    }
                ],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
                "SupportedRealtimeInferenceInstanceTypes": [instance_type],
            },
        }
        self.metadata(number)["smoke-test"] = f"s3://{BUCKET}/{key}"
        return number

    def package(self, number: int) -> str:
        return next(arn for arn in self.serving.packages if arn.endswith(f"/{number}"))

    def metadata(self, number: int) -> dict[str, str]:
        metadata: dict[str, str] = self.serving.packages[self.package(number)][
            "CustomerMetadataProperties"
        ]
        return metadata

    def set_status(self, number: int, status: str) -> None:
        self.serving.set_status(self.package(number), status)

    def status_of(self, number: int) -> str:
        return str(self.serving.packages[self.package(number)]["ModelApprovalStatus"])

    def reason_of(self, number: int) -> str:
        return str(self.serving.packages[self.package(number)].get("ApprovalDescription", ""))

    def wake(self, seconds: float = TIMEOUT_SECONDS) -> list[str]:
        """Run the function for one event; return the operations that changed something."""
        services = (self.scaling, self.alarms, self.serving)
        before = [len(one.requests) for one in services]
        clock = self.world.clock
        handler(as_event(self.properties), Context(clock, clock.now + seconds))
        reads = ("Describe", "List")
        return [
            name
            for one, start in zip(services, before, strict=True)
            for name, _ in one.requests[start:]
            if not name.startswith(reads)
        ]

    def wait(self, minutes: float = 5) -> None:
        self.world.clock.sleep(60 * minutes)

    def settle(self, minutes: float = 60) -> None:
        """Let the function be woken every five minutes."""
        until = self.world.clock.now + 60 * minutes
        while self.world.clock.now < until:
            self.wake()
            self.wait()

    def endpoint(self, name: str = ENDPOINT) -> dict[str, object]:
        return self.serving.resources["Endpoint"][name].fields

    @property
    def serves(self) -> str:
        """The configuration that serves, or empty."""
        found = self.serving.resources["Endpoint"].get(ENDPOINT)
        return str(found.fields["config"]) if found else ""

    def names(self, kind: str) -> set[str]:
        return set(self.serving.resources[kind])

    def tags_of(self, config: str) -> dict[str, str]:
        return self.serving.tags[self.serving.resources["EndpointConfig"][config].arn]


def deploying(world: World) -> Deploying:
    """Put the services in place."""
    s3, serving = FakeS3(BUCKET), FakeServing(world.clock, ENDPOINT)
    runtime = FakeRuntime(
        serving=serving,
        expected=lambda package: answer_of(int(package.rpartition("/")[2])),
        s3=s3,
    )
    scaling, alarms = FakeScaling(sagemaker=serving), FakeAlarms()
    serving.scaled = lambda: bool(scaling.targets)
    services = {"sagemaker-runtime": runtime, "application-autoscaling": scaling}
    world.backed_by(s3=s3, sagemaker=serving, cloudwatch=alarms, **services)
    return Deploying(world, s3, serving, runtime, scaling, alarms)
