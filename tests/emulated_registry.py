"""Model packages and endpoints in the emulated AWS: made, updated, asked, and all removed."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from boto3.session import Session

from tabular_ml_vpc.local.emulator.inventory import inventory

ROLE: Final = "arn:aws:iam::123456789012:role/any"
PAUSE_SECONDS: Final = 0.01
ENVIRONMENT: Final = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
}


def stand_in(word: str) -> bytes:
    """Return what answers with a word in an emulated AWS without jobs."""
    return json.dumps({"served": word}).encode()


@dataclass(frozen=True)
class Registry:
    """A group of packages, and everything that is made of them, with one prefix."""

    session: Session
    bucket: str
    name: str
    role: str = ROLE
    archive: Callable[[str], bytes] = stand_in
    """The file of a model that answers with a word."""

    @property
    def client(self) -> Any:
        return self.session.client("sagemaker")

    def package(self, key: str = "m", **fields: Any) -> str:
        """Register a model that answers with its key; return the package's ARN."""
        body = self.archive(key)
        self.session.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        container = {
            "Image": "image",
            "ModelDataUrl": f"s3://{self.bucket}/{key}",
            "Environment": ENVIRONMENT,
        }
        made = self.client.create_model_package(
            ModelPackageGroupName=self.name,
            InferenceSpecification={
                "Containers": [container],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            **fields,
        )
        return str(made["ModelPackageArn"])

    def config(self, key: str, count: int = 2, role: str = "", variant: str = "v") -> str:
        """Create a configuration with a model from an approved package; return its name."""
        package = self.package(key, ModelApprovalStatus="Approved")
        name = f"{self.name}-{uuid.uuid4().hex[:6]}"
        self.client.create_model(
            ModelName=name,
            ExecutionRoleArn=role or self.role,
            PrimaryContainer={"ModelPackageName": package},
        )
        described = {
            "VariantName": variant,
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": count,
        }
        self.client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[described])
        return name

    def create(self, config: str) -> None:
        self.client.create_endpoint(EndpointName=self.name, EndpointConfigName=config)

    def update(self, config: str, deployment: Any = None, **more: Any) -> None:
        given = {"DeploymentConfig": deployment} if deployment else {}
        self.client.update_endpoint(
            EndpointName=self.name, EndpointConfigName=config, **given, **more
        )

    def described(self) -> dict[str, Any]:
        return dict(self.client.describe_endpoint(EndpointName=self.name))

    def settled(self) -> dict[str, Any]:
        """Wait until no deployment is in progress, and describe the endpoint."""
        while "PendingDeploymentSummary" in (found := self.described()):
            time.sleep(0.05)
        return found

    def ask(self) -> str:
        """Return what the endpoint answers."""
        runtime = self.session.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName=self.name, Body=b"1")
        return str(json.loads(answer["Body"].read())["served"])

    @contextmanager
    def alarm(self) -> Iterator[str]:
        client = self.session.client("cloudwatch")
        client.put_metric_alarm(
            AlarmName=self.name,
            MetricName="m",
            Namespace="n",
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
            Threshold=1,
            Period=60,
            Statistic="Sum",
        )
        yield self.name
        client.delete_alarms(AlarmNames=[self.name])

    def trip(self) -> None:
        self.session.client("cloudwatch").set_alarm_state(
            AlarmName=self.name, StateValue="ALARM", StateReason="a test"
        )


@contextmanager
def open_registry(session: Session, **options: Any) -> Iterator[Registry]:
    """Give a registry; in the end, nothing is left of it."""
    before = served(session)
    name = f"g{uuid.uuid4().hex[:8]}"
    s3, made = session.client("s3"), Registry(session, name, name, **options)
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    made.client.create_model_package_group(ModelPackageGroupName=name)
    yield made
    client = made.client
    for kind, list_kind, summaries in (
        ("Endpoint", client.list_endpoints, "Endpoints"),
        ("EndpointConfig", client.list_endpoint_configs, "EndpointConfigs"),
        ("Model", client.list_models, "Models"),
    ):
        for one in list_kind(NameContains=name, MaxResults=100)[summaries]:
            snake = {"Endpoint": "endpoint", "EndpointConfig": "endpoint_config", "Model": "model"}
            getattr(client, f"delete_{snake[kind]}")(**{f"{kind}Name": one[f"{kind}Name"]})
    packages = client.list_model_packages(ModelPackageGroupName=name, MaxResults=100)
    for package in packages["ModelPackageSummaryList"]:
        client.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    client.delete_model_package_group(ModelPackageGroupName=name)
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)
    time.sleep(0.5)  # an endpoint lingers
    assert served(session) == before


def served(session: Session) -> dict[str, list[str]]:
    """Return what is left of models, in the whole account."""
    words = ("model", "endpoint configuration", "endpoints", "alarm")
    return {kind: held for kind, held in inventory(session).items() if kind.startswith(words)}


def shift(kind: str, size: int = 0, wait: int = 60, **more: Any) -> dict[str, Any]:
    """Return a deployment configuration; `size` is in percent, `wait` in seconds."""
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait}
    if size:
        name = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}[kind]
        routing[name] = {"Type": "CAPACITY_PERCENT", "Value": size}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def with_alarm(deployment: dict[str, Any], name: str) -> dict[str, Any]:
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name}]}}


@contextmanager
def asking(registry: Registry) -> Iterator[list[str]]:
    """Ask the endpoint all the while; the list gets each answer, or the error."""
    answers: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                answers.append(registry.ask())
            except Exception as error:  # noqa: BLE001 (the test shows it)
                answers.append(f"{error}")
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield answers
    over.set()
    for thread in threads:
        thread.join()
