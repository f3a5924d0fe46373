"""SageMaker as `deploy_model` sees it: endpoints that are created and updated, and their answers.

It takes what the service takes: a model of an approved package only, no update of an endpoint that
changes or whose configuration is gone. Nothing may serve that was not approved and tested, which
is checked at each request.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import (
    _CHANGING,
    _WHEN,
    FakeSageMaker,
    Resource,
    _absent,
    _page,
)
from tests.functions.fakes.wire import ApiError, Backend, Fields


class FakeServing(FakeSageMaker):
    """The operations of `deploy_model` on SageMaker."""

    def __init__(self, clock: Clock, endpoint: str) -> None:
        super().__init__(clock)
        self.name = endpoint
        self.start_seconds, self.shift_seconds = 240.0, 270.0
        self.failing: dict[str, str] = {}
        """Why an endpoint fails to start with a configuration, or to move to it, by its name."""
        self.tested: set[str] = set()
        """The configurations that passed their tests on a trial endpoint."""
        self.scaled: Callable[[], bool] = lambda: False
        """Whether the endpoint is a target of automatic scaling."""
        self.served: set[str] = set()

    @property
    def now(self) -> datetime:
        return _WHEN + timedelta(seconds=self.clock.now)

    def set_status(self, package: str, status: str) -> None:
        """Approve or reject, as a person does."""
        self.packages[package]["ModelApprovalStatus"] = status

    def model_of(self, config: str) -> Resource:
        """Return the model that a configuration serves."""
        return self._resource("Model", self._resource("EndpointConfig", config).fields["models"][0])

    # The registry

    def list_model_packages(self, p: Fields) -> Fields:
        if p["ModelPackageGroupName"] not in self.groups:
            _absent("ModelPackageGroup", p["ModelPackageGroupName"])
        shown = [
            {
                "ModelPackageArn": package,
                "CreationTime": fields["CreationTime"],
                "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": fields["ModelApprovalStatus"],
            }
            for package, fields in self.packages.items()
            if fields["ModelPackageGroupName"] == p["ModelPackageGroupName"]
            and fields["ModelApprovalStatus"] == p["ModelApprovalStatus"]
        ]
        return _page(p, "ModelPackageSummaryList", shown)

    def describe_model_package(self, p: Fields) -> Fields:
        found = super().describe_model_package(p)
        return found | {"CreationTime": self.packages[p["ModelPackageName"]]["CreationTime"]}

    def update_model_package(self, p: Fields) -> Fields:
        assert p["ModelApprovalStatus"] == "Rejected", "only people approve"
        package = self.packages[p["ModelPackageArn"]]
        package |= {name: p[name] for name in ("ModelApprovalStatus", "ApprovalDescription")}
        return {"ModelPackageArn": p["ModelPackageArn"]}

    # Models and configurations

    def create_model(self, p: Fields) -> Fields:
        package = p["PrimaryContainer"]["ModelPackageName"]
        if self.packages[package]["ModelApprovalStatus"] != "Approved":
            raise ApiError("ValidationException", f"{package} is not approved")
        return {"ModelArn": self._made("Model", p["ModelName"], p, package=package)}

    def describe_model(self, p: Fields) -> Fields:
        found = self._resource("Model", p["ModelName"])
        return {
            "ModelName": found.name,
            "ModelArn": found.arn,
            "CreationTime": _WHEN,
            "PrimaryContainer": {"ModelPackageName": found.fields.get("package", "other")},
        }

    def create_endpoint_config(self, p: Fields) -> Fields:
        models = [variant["ModelName"] for variant in p["ProductionVariants"]]
        for model in models:
            self._resource("Model", model)
        name = p["EndpointConfigName"]
        variants = p["ProductionVariants"]
        own: Fields = {"models": models, "variants": variants}
        made = self._made("EndpointConfig", name, p, **own, s3=p.get("AsyncInferenceConfig"))
        return {"EndpointConfigArn": made}

    def _made(self, kind: str, name: str, p: Fields, **fields: object) -> str:
        if any(known.lower() == name.lower() for known in self.resources[kind]):
            raise ApiError("ValidationException", f'Cannot create already existing {kind} "{name}"')
        tags = {tag["Key"]: tag["Value"] for tag in p.get("Tags", [])}
        return self.make(kind, name, tags, created=self.now, **fields).arn

    def describe_endpoint_config(self, p: Fields) -> Fields:
        found = super().describe_endpoint_config(p)
        name = p["EndpointConfigName"]
        if variants := self._resource("EndpointConfig", name).fields.get("variants"):
            found["ProductionVariants"] = variants
        return found | {"CreationTime": self._created("EndpointConfig", name)}

    def list_endpoint_configs(self, p: Fields) -> Fields:
        listing = super().list_endpoint_configs(p)
        for one in listing["EndpointConfigs"]:
            one["CreationTime"] = self._created("EndpointConfig", one["EndpointConfigName"])
        return listing

    def _created(self, kind: str, name: str) -> datetime:
        created: datetime = self._resource(kind, name).fields.get("created", _WHEN)
        return created

    def delete_endpoint_config(self, p: Fields) -> None:
        found = self._resource("EndpointConfig", p["EndpointConfigName"])
        for endpoint in self.resources["Endpoint"].values():
            if endpoint.fields["status"] != "Deleting" and not endpoint.name.startswith("try-"):
                used = (endpoint.fields["config"], endpoint.fields.get("pending"))
                assert found.name not in used, f"{endpoint.name} uses {found.name}"
        del self.resources["EndpointConfig"][found.name]

    def delete_model(self, p: Fields) -> None:
        name = self._resource("Model", p["ModelName"]).name
        for config in self.resources["EndpointConfig"].values():
            assert name not in config.fields.get("models", ()), f"{config.name} uses {name}"
        super().delete_model(p)

    def add_tags(self, p: Fields) -> Fields:
        if p["ResourceArn"] not in {one.arn for one in self.resources["EndpointConfig"].values()}:
            _absent("Resource", p["ResourceArn"])
        self.tags[p["ResourceArn"]] |= {tag["Key"]: tag["Value"] for tag in p["Tags"]}
        return {"Tags": p["Tags"]}

    # Endpoints

    def describe_endpoint(self, p: Fields) -> Fields:
        found = self._resource("Endpoint", p["EndpointName"])
        described = super().describe_endpoint(p) | {
            "LastModifiedTime": found.fields.get("modified", _WHEN),
            "CreationTime": found.fields.get("created", _WHEN),
        }
        config = self.resources["EndpointConfig"].get(found.fields["config"])
        if config and config.fields.get("s3"):
            described["AsyncInferenceConfig"] = config.fields["s3"]
        if (count := found.fields.get("instances")) is not None:
            variant = {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            described["ProductionVariants"] = [variant]
        if found.fields.get("failure"):
            described["FailureReason"] = found.fields["failure"]
        if found.fields.get("pending"):
            described["PendingDeploymentSummary"] = {
                "EndpointConfigName": found.fields["pending"],
            }
        return described

    def create_endpoint(self, p: Fields) -> Fields:
        name, config = p["EndpointName"], self._resource("EndpointConfig", p["EndpointConfigName"])
        made = self._made("Endpoint", name, p, config=config.name, status="Creating")
        if name == self.name:
            self._check_may_serve(config.name)
        self._begin(name, config.name, "Creating", self.start_seconds)
        return {"EndpointArn": made}

    def update_endpoint(self, p: Fields) -> Fields:
        found = self._resource("Endpoint", p["EndpointName"])
        assert found.name == self.name, "a trial endpoint is never updated"
        if found.fields["status"] in _CHANGING:
            raise ApiError("ValidationException", f"Cannot update in-progress endpoint {found.arn}")
        self._resource("EndpointConfig", found.fields["config"])
        config = self._resource("EndpointConfig", p["EndpointConfigName"])
        self._check_may_serve(config.name)
        if self.scaled():
            before = self._resource("EndpointConfig", found.fields["config"])
            types = {self._variant(one).get("InstanceType") for one in (before, config)}
            if len(types) > 1:
                raise ApiError("ValidationException", "a target of automatic scaling: deregister")
        found.fields |= {"pending": config.name, "retains": p.get("RetainAllVariantProperties")}
        self._begin(found.name, config.name, "Updating", self.shift_seconds)
        return {"EndpointArn": found.arn}

    def _check_may_serve(self, config: str) -> None:
        package = self.model_of(config).fields["package"]
        assert self.packages[package]["ModelApprovalStatus"] == "Approved", "not approved"
        assert config in self.tested, "it passed no smoke test"

    def _begin(self, name: str, config: str, status: str, seconds: float) -> None:
        endpoint = self.resources["Endpoint"][name]
        endpoint.fields |= {"status": status, "modified": self.now, "failure": ""}
        self.clock.after(seconds, lambda: self._end(endpoint, config))

    def _end(self, endpoint: Resource, config: str) -> None:
        """End a creation or an update; one that fails leaves the old configuration."""
        if self.resources["Endpoint"].get(endpoint.name) is not endpoint:
            return
        if endpoint.fields["status"] not in ("Creating", "Updating"):
            return
        updated = endpoint.fields.pop("pending", None)
        why = self.failing.get(f"{endpoint.name}/{config}") or self.failing.get(config, "")
        status = "Failed" if why and not updated else "InService"
        endpoint.fields |= {"modified": self.now, "failure": why, "status": status}
        if not why:
            endpoint.fields["config"] = config
            variant = self._variant(self._resource("EndpointConfig", config))
            if not endpoint.fields.pop("retains", False):
                endpoint.fields["instances"] = variant.get("InitialInstanceCount")
            if endpoint.name == self.name:
                self.served.add(config)

    @staticmethod
    def _variant(config: Resource) -> Fields:
        variants: list[Fields] = config.fields.get("variants") or [{}]
        return variants[0]

    def delete_endpoint(self, p: Fields) -> None:
        assert p["EndpointName"] != self.name, "what serves is never deleted"
        super().delete_endpoint(p)
        endpoint = self.resources["Endpoint"][p["EndpointName"]]
        endpoint.fields["modified"] = self.now


@dataclass
class FakeRuntime(Backend):
    """The models' answers, by package; or an error of the model."""

    serving: FakeServing | None = None
    answers: dict[str, object] = field(default_factory=dict)
    expected: Callable[[str], object] = lambda _package: None
    seconds: float = 0.1
    s3: FakeS3 | None = None

    def invoke_endpoint(self, p: Fields) -> Fields:
        assert self.serving
        self.serving.clock.sleep(self.seconds)
        return {"Body": self._answer(p, s3=False).encode(), "ContentType": "application/json"}

    def invoke_endpoint_async(self, p: Fields) -> Fields:
        """Read the request from S3, and leave the answer or the failure there later."""
        assert self.serving
        assert self.s3
        bucket, key = self._place(p["InputLocation"])
        assert self.s3.buckets[bucket].current(key)
        config = self.serving.resources["Endpoint"][p["EndpointName"]].fields["config"]
        output = self.serving.resources["EndpointConfig"][config].fields["s3"]["OutputConfig"]
        number = len(self.requested("InvokeEndpointAsync"))
        places = {
            "OutputLocation": f"{output['S3OutputPath']}{number}.out",
            "FailureLocation": f"{output['S3FailurePath']}{number}-error.out",
        }
        self.serving.clock.after(self.seconds, lambda: self._leave(p, places))
        return {"InferenceId": str(number), **places}

    def _leave(self, p: Fields, places: Fields) -> None:
        assert self.s3
        try:
            text, where = self._answer(p, s3=True), "OutputLocation"
        except ApiError as error:
            text, where = error.message, "FailureLocation"
        self.s3.put(*self._place(places[where]), text.encode())

    @staticmethod
    def _place(uri: str) -> tuple[str, str]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return bucket, key

    def _answer(self, p: Fields, *, s3: bool) -> str:
        assert self.serving
        endpoint = self.serving.resources["Endpoint"].get(p["EndpointName"])
        if endpoint is None or endpoint.fields["status"] in ("Creating", "Failed", "Deleting"):
            raise ApiError("ValidationError", f"Endpoint {p['EndpointName']} not found")
        config = endpoint.fields["config"]
        if bool(self.serving.resources["EndpointConfig"][config].fields.get("s3")) != s3:
            raise ApiError("ValidationError", "the endpoint is called in the other way")
        package = self.serving.model_of(config).fields.get("package", "other/0")
        answer = self.answers.get(package, self.expected(package))
        if isinstance(answer, ApiError):
            raise answer
        if endpoint.name != self.serving.name and answer == self.expected(package):
            self.serving.tested.add(config)
        return answer if isinstance(answer, str) else json.dumps(answer)
