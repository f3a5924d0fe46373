"""Events of SageMaker on the account's event bus, for changes of endpoints and model packages.

Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge", SageMaker developer guide.
Statuses of endpoints in events are in upper case with underscores, unlike those of
DescribeEndpoint; times are milliseconds in the events of endpoints, and ISO 8601 in the others.
SageMaker "may send multiple events to EventBridge for each state change": it sends each twice while
the default event bus has the tag `TWICE`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge

from tabular_ml_vpc.local.emulator.sagemaker_store import Record
from tabular_ml_vpc.local.emulator.types import Fields

SOURCE = "aws.sagemaker"
ENDPOINT = "SageMaker Endpoint State Change"
DEPLOYMENT = "SageMaker Endpoint Deployment State Change"
PACKAGE = "SageMaker Model Package State Change"
TWICE = "emulator:send-events-twice"
OF_AN_ENDPOINT = (
    "EndpointName",
    "EndpointArn",
    "EndpointConfigName",
    "ProductionVariants",
    "FailureReason",
)
OF_A_PACKAGE = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "ApprovalDescription",
    "MetadataProperties",
    "ModelMetrics",
    "CustomerMetadataProperties",
    "ModelLifeCycle",
)


def publish(kind: str, detail: Fields, resources: Iterable[str]) -> None:
    """Publish an event; twice if the event bus says so."""
    entry = {
        "Source": SOURCE,
        "DetailType": kind,
        "Detail": json.dumps(detail),
        "Resources": [*resources],
    }
    bus = f"arn:aws:events:{get_region()}:{get_account_id()}:event-bus/default"
    twice = TWICE in (eventbridge._tags.get(bus) or {})
    for _ in range(1 + twice):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


def change_endpoint(record: Record, status: str, **changes: object) -> None:
    """Set an endpoint's status, such as `RollingBack`, with other fields, and publish its event."""
    record.fields.update(EndpointStatus=status, LastModifiedTime=time.time(), **changes)
    publish(ENDPOINT, _of_endpoint(record), [record.arn])


def change_deployment(record: Record, summary: Fields) -> None:
    """Set the summary of an endpoint's pending deployment, and publish its event."""
    record.fields["PendingDeploymentSummary"] = summary
    pending = {**summary, "StartTime": summary["StartTime"] * 1000}
    detail = {**_of_endpoint(record), "PendingDeploymentSummary": pending}
    publish(DEPLOYMENT, detail, [record.arn])


def tell_of_package(record: Record, updated: Iterable[str] = ()) -> None:
    """Publish the event of a new model package, or of one whose fields were updated."""
    detail = {
        **{name: record.fields[name] for name in OF_A_PACKAGE if name in record.fields},
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CreationTime": _iso(record.fields["CreationTime"]),
        "LastModifiedTime": _iso(record.fields["LastModifiedTime"]),
        "UpdatedModelPackageFields": sorted(updated),
    }
    publish(PACKAGE, detail, [record.arn])


def _of_endpoint(record: Record) -> Fields:
    status = record.fields["EndpointStatus"]
    return {
        **{name: record.fields[name] for name in OF_AN_ENDPOINT if name in record.fields},
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper(),
        "CreationTime": record.fields["CreationTime"] * 1000,
        "LastModifiedTime": record.fields["LastModifiedTime"] * 1000,
        "Tags": record.tags,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
