"""An account with a stack, the registry of its models and its endpoint, as answers of AWS."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from boto3.session import Session
from botocore.awsrequest import AWSResponse

from pipeline.layout import MAIN, PROCESSED, folder
from tests.operations.canned import Answer, refusal
from tests.operations.several import BEGAN, NO_SUCH, Several, from_json, pipeline_name, snake

NAME = pipeline_name(MAIN)
PLACE = "arn:aws:sagemaker:eu-west-1:123456789012"
OWNER = "arn:aws:cloudformation:eu-west-1:123456789012:stack/PipelineStack"
ON_APPROVAL = {"DeploymentMode": "on-approval"}
DENIED = refusal("AccessDeniedException", "User: carol is not authorized\nto perform it")
PENDING = "PendingManualApproval"
CHANGES = ("UpdateModelPackage",)
READS = (
    *("ListModelPackages", "DescribeModelPackage", "ListEndpointConfigs"),
    *("DescribeEndpointConfig", "DescribeModel", "ListTags"),
)


@dataclass
class Registered(Several):
    """A stack whose registry has these versions; what serves, and what is on trial, is by name."""

    runs: Mapping[str, list[str]] = field(default_factory=lambda: {MAIN: ["r1"]})
    outputs: Mapping[str, str] = field(default_factory=lambda: dict(ON_APPROVAL))
    versions: dict[int, str] = field(default_factory=dict)
    """Approval status by version of ``main``."""
    comments: dict[int, str] = field(default_factory=dict)
    strangers: frozenset[int] = frozenset()
    """Versions that something else registered."""
    serves: str = ""
    """The endpoint's configuration; empty if there is no endpoint."""
    status: str = "InService"
    coming: str = ""
    """The configuration to which the endpoint is changing."""
    trial: str = ""
    """The configuration of the trial endpoint."""
    trial_status: str = "InService"
    paused: bool = False
    problems: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Tags that the function gave the configuration of a version, besides the owner's."""
    values: Mapping[int, object] = field(default_factory=dict)
    """The gate's value by version; without one, there is no evaluation."""
    denied: frozenset[str] = frozenset()
    happens: list[Callable[[Registered], None]] = field(default_factory=list)
    """What changes before each look at the endpoint."""
    decided: list[dict[str, Any]] = field(default_factory=list)
    """The requests of UpdateModelPackage."""

    def session(self) -> Session:
        """Return a session of which every call is answered here."""
        made = super().session()
        made.events.register_first("before-call.s3.GetObject", self._get_object)
        return made

    def answers(self) -> dict[str, Answer]:
        """Return the answer of each operation."""
        known = super().answers()
        for name in (*READS, *CHANGES):
            known[f"sagemaker.{name}"] = from_json(getattr(self, snake(name)))
        for name in self.denied:
            known[name] = DENIED
        caller = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/carol"}
        return known | {"sts.GetCallerIdentity": caller}

    def list_model_packages(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if request["ModelPackageGroupName"] != NAME:
            return {"ModelPackageSummaryList": []}
        newest = sorted(self.versions, reverse=request["SortOrder"] == "Descending")
        return {"ModelPackageSummaryList": [self._summary(number) for number in newest]}

    def describe_model_package(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        number = int(request["ModelPackageName"].rpartition("/")[2])
        if number not in self.versions:
            return NO_SUCH
        container = {"Image": "i", "ModelDataUrl": f"s3://data/models/r{number}/model.tar.gz"}
        quality = f"s3://data/{folder(PROCESSED)}r{number}/evaluation/model_quality.json"
        return {
            **self._summary(number),
            "CustomerMetadataProperties": {} if number in self.strangers else _owner(),
            "InferenceSpecification": {"Containers": [container]},
            "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "", "S3Uri": quality}}},
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ApprovalDescription": self.comments.get(number, ""),
        }

    def _summary(self, number: int) -> dict[str, Any]:
        return {
            "ModelPackageName": f"{NAME}/{number}",
            "ModelPackageGroupName": NAME,
            "ModelPackageVersion": number,
            "ModelPackageArn": f"{PLACE}:model-package/{NAME}/{number}",
            "CreationTime": BEGAN + timedelta(days=number),
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": self.versions[number],
        }

    def update_model_package(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.decided.append(dict(request))
        number = int(request["ModelPackageArn"].rpartition("/")[2])
        self.versions[number] = request["ModelApprovalStatus"]
        self.comments[number] = request.get("ApprovalDescription", self.comments.get(number, ""))
        return {"ModelPackageArn": request["ModelPackageArn"]}

    def describe_endpoint(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = request["EndpointName"]
        if name == f"try-{NAME}":
            return self.describe_trial()
        if self.happens:
            self.happens.pop(0)(self)
        found = self._endpoint(name, self.serves if name == NAME else "", self.status)
        pending = {"PendingDeploymentSummary": {"EndpointConfigName": self.coming}}
        return dict(found) | (pending if self.coming else {})

    def describe_trial(self) -> Mapping[str, Any]:
        """Return the trial endpoint."""
        return self._endpoint(f"try-{NAME}", self.trial, self.trial_status)

    def _endpoint(self, name: str, configuration: str, status: str) -> Mapping[str, Any]:
        if not configuration:
            return NO_SUCH
        return {
            "EndpointName": name,
            "EndpointArn": f"{PLACE}:endpoint/{name}",
            "EndpointConfigName": configuration,
            "EndpointStatus": status,
            "CreationTime": BEGAN,
            "LastModifiedTime": BEGAN,
        }

    def list_endpoint_configs(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        names = map(configuration, [*([1] if self.paused else []), *self.problems])
        found = [
            {
                "EndpointConfigName": name,
                "EndpointConfigArn": f"{PLACE}:endpoint-config/{name}",
                "CreationTime": BEGAN,
            }
            for name in names
        ]
        return {"EndpointConfigs": found}

    def list_tags(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if ":endpoint-config/" not in request["ResourceArn"]:
            return super().list_tags(request)
        tags = {"tabular-ml-vpc:paused": "2026-11-24T18:00:00+00:00"}
        for number, given in self.problems.items():
            if request["ResourceArn"].endswith(f"/{configuration(number)}"):
                tags = dict(given)
        tags = _owner() | tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def describe_endpoint_config(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = request["EndpointConfigName"]
        return {
            "EndpointConfigName": name,
            "EndpointConfigArn": f"{PLACE}:endpoint-config/{name}",
            "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": name}],
            "CreationTime": BEGAN,
        }

    def describe_model(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        number = request["ModelName"].rpartition("-")[2]  # a run's configuration ends in the run's
        return {
            "ModelName": request["ModelName"],
            "PrimaryContainer": {"ModelDataUrl": f"s3://data/models/{number}/model.tar.gz"},
            "CreationTime": BEGAN,
            "ModelArn": f"{PLACE}:model/m",
        }

    def _get_object(self, params: Mapping[str, Any], **_: Any) -> Any:
        found = next(self._evaluated(str(params["url_path"])), None)
        if found is None:
            return _answer(404, {"Error": {"Code": "NoSuchKey", "Message": "no such key"}})
        return _answer(200, {"Body": io.BytesIO(found)})

    def _evaluated(self, path: str) -> Iterator[bytes]:
        for number, value in self.values.items():
            if path.endswith(f"/{folder(PROCESSED)}r{number}/evaluation/evaluation.json"):
                yield json.dumps({"gate": {"metric": "roc_auc", "value": value}}).encode()


def configuration(number: int) -> str:
    """Return the name of the configuration by which the function deploys a version."""
    return f"v{number}-0a1b2c-{NAME}"


def _owner() -> dict[str, str]:
    return {"pipeline-owner": OWNER}


def _answer(status: int, found: Mapping[str, Any]) -> Any:
    response = AWSResponse("https://canned", status, {}, None)
    return response, {"ResponseMetadata": {"HTTPHeaders": {}, "HTTPStatusCode": status}, **found}
