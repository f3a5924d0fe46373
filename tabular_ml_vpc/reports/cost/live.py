"""Current prices from the Pricing API; requires credentials with ``pricing:GetProducts``.

Source: "Using the AWS Price List Query API" (AWS Billing user guide), and botocore's model of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from generator.errors import CommandError, UsageError

API_REGION: Final = "us-east-1"
"""One of the few regions with the Pricing API; it has the prices of all regions."""
_CODE: Final = r"(?:[A-Z]{2,4}[0-9]?-)?"
"""Prefix of many usage types: the billing code of the region (none in N. Virginia)."""


class PricingError(CommandError):
    """The Pricing API could not be queried; the message says why and what to do."""


@dataclass(frozen=True)
class Query:
    """How to find a meter in the Price List: the filters, and which result to use.

    ``usage_type`` is a regular expression. The Price List's price is for one of its own units; the
    meter's price is ``per`` times that. Of a tiered price, the tier that begins at ``begin``
    applies. ``{region}`` stands for the region's code, ``{instance}`` for an instance type.
    """

    service: str
    filters: Mapping[str, str]
    usage_type: str
    per: float = 1
    begin: str = "0"


def _sagemaker(kind: str, filters: Mapping[str, str]) -> Query:
    return Query("AmazonSageMaker", {"regionCode": "{region}", **filters}, f"{kind}:{{instance}}$")


def _regional(
    service: str, usage_type: str, per: float = 1, begin: str = "0", **filters: str
) -> Query:
    in_region = {"regionCode": "{region}", **filters}
    return Query(service, in_region, f"^{_CODE}{usage_type}$", per, begin)


_ENDPOINT: Final = {"productFamily": "VpcEndpoint", "endpointType": "PrivateLink"}
_INSTANCE: Final = {"productFamily": "ML Instance"}
_VOLUME: Final = {"productFamily": "Storage"}

QUERIES: Final[Mapping[str, Query]] = {
    "vpc_interface_endpoint_az_hour": _regional(
        "AmazonVPC", "VpcEndpoint-Hours", 1, "0", **_ENDPOINT
    ),
    "vpc_interface_endpoint_gb": _regional("AmazonVPC", "VpcEndpoint-Bytes", 1, "0", **_ENDPOINT),
    "kms_key_month": Query("awskms", {"usagetype": "{region}-KMS-Keys"}, "^{region}-KMS-Keys$"),
    "kms_requests_10k": Query(
        "awskms", {"usagetype": "{region}-KMS-Requests"}, "^{region}-KMS-Requests$", 1e4
    ),
    "s3_standard_gb_month": _regional(
        "AmazonS3", "TimedStorage-ByteHrs", productFamily="Storage", volumeType="Standard"
    ),
    "s3_put_1k": _regional("AmazonS3", "Requests-Tier1", 1e3, group="S3-API-Tier1"),
    "s3_get_1k": _regional("AmazonS3", "Requests-Tier2", 1e3, group="S3-API-Tier2"),
    "logs_ingest_gb": _regional(
        "AmazonCloudWatch", "DataProcessing-Bytes", productFamily="Data Payload"
    ),
    "logs_storage_gb_month": _regional(
        "AmazonCloudWatch", "TimedStorage-ByteHrs", productFamily="Storage Snapshot"
    ),
    "vended_logs_to_cloudwatch_gb": _regional(
        "AmazonCloudWatch", "VendedLog-Bytes", productFamily="Data Payload"
    ),
    "cloudwatch_alarm_standard_month": _regional(
        "AmazonCloudWatch", "CW:AlarmMonitorUsage", productFamily="Alarm", alarmType="Standard"
    ),
    "cloudwatch_dashboard_month": Query(
        "AmazonCloudWatch",
        {"productFamily": "Dashboard", "location": "Any"},
        "^DashboardsUsageHour(?:-Basic)?$",
    ),
    "lambda_gb_second_x86": _regional("AWSLambda", "Lambda-GB-Second", group="AWS-Lambda-Duration"),
    "lambda_requests_1m_x86": _regional("AWSLambda", "Request", 1e6, group="AWS-Lambda-Requests"),
    "sns_publish_1m": _regional(
        "AmazonSNS", "Requests-Tier1", 1e6, "1000000", group="SNS-Requests-Tier1"
    ),
    "sns_email_100k": _regional(
        *("AmazonSNS", "DeliveryAttempts-SMTP", 1e5, "1000"),
        productFamily="Message Delivery",
        endpointType="SMTP",
    ),
    "sqs_standard_requests_1m": _regional(
        *("AWSQueueService", "Requests-(?:Tier1|RBP)", 1e6),
        productFamily="API Request",
        queueType="Standard",
    ),
    "codeartifact_storage_gb_month": _regional(
        "AWSCodeArtifact", "TimedStorage-ByteHrs", productFamily="Storage"
    ),
    "codeartifact_requests_10k": _regional(
        "AWSCodeArtifact", "Requests", 1e4, productFamily="Request"
    ),
    "efs_standard_gb_month": _regional(
        *("AmazonEFS", "TimedStorage-ByteHrs"),
        productFamily="Storage",
        storageClass="General Purpose",
    ),
    "sagemaker_studio_hour": Query(
        "AmazonSageMaker",
        {"regionCode": "{region}", "platoinstancetype": "Studio-JupyterLab"},
        "Studio:JupyterLab-{instance}$",
    ),
    "sagemaker_hosting_hour": _sagemaker("Host", {**_INSTANCE, "platoinstancetype": "Hosting"}),
    "sagemaker_processing_hour": _sagemaker("Processing", {**_INSTANCE, "component": "Processing"}),
    "sagemaker_training_hour": _sagemaker("Train", {**_INSTANCE, "component": "Training"}),
    "sagemaker_studio_space_gp3_gb_month": Query(
        "AmazonSageMaker",
        {"regionCode": "{region}", **_VOLUME},
        r"(?<!Unified)Studio:VolumeUsage\.gp3$",
    ),
    "sagemaker_training_gp2_gb_month": Query(
        "AmazonSageMaker",
        {"regionCode": "{region}", **_VOLUME, "volumeType": "General Purpose-Training"},
        r"VolumeUsage\.gp2$",
    ),
    "sagemaker_processing_gp2_gb_month": Query(
        "AmazonSageMaker",
        {"regionCode": "{region}", **_VOLUME, "volumeType": "General Purpose-Processing"},
        r"VolumeUsage\.gp2$",
    ),
}
"""Meters to look up in the Pricing API; all others use the table's price, if it has one."""


def live_prices(client: Any, region: str, meters: Iterable[str]) -> dict[str, float]:
    """Return the current prices of the meters that the Price List has.

    ``client`` is a botocore client of the Pricing API.

    Raises:
        PricingError: the Pricing API cannot be queried.

    """
    products: dict[tuple[str, str], list[Any]] = {}
    found: dict[str, float] = {}
    try:
        for meter in meters:
            if query := _query(meter, region):
                price = _price(query, _products(client, query, products))
                found |= {} if price is None else {meter: price}
    except (BotoCoreError, ClientError) as error:
        raise PricingError(
            f"could not query the Pricing API: {error}; without --live, the shipped prices are used"
        ) from error
    return found


def make_client(profile: str | None) -> Any:
    """Return a client of the Pricing API.

    Raises:
        UsageError: the profile does not exist.

    """
    try:
        return Session(profile_name=profile).client("pricing", region_name=API_REGION)
    except ProfileNotFound as error:
        raise UsageError(f"--profile: {error}") from error


def _query(meter: str, region: str) -> Query | None:
    """Return the meter's query for the region; ``NAME.ml.m5.large`` is ``NAME`` of that type."""
    name, _, instance = meter.partition(".")
    query = QUERIES.get(name)
    if query is None:
        return None
    filters = {field: value.replace("{region}", region) for field, value in query.filters.items()}
    usage_type = query.usage_type.replace("{region}", re.escape(region))
    usage_type = usage_type.replace("{instance}", re.escape(instance))
    return Query(query.service, filters, usage_type, query.per, query.begin)


def _products(client: Any, query: Query, known: dict[tuple[str, str], list[Any]]) -> list[Any]:
    """Return the API's results; each query is sent only once."""
    key = (query.service, json.dumps(query.filters, sort_keys=True))
    if key not in known:
        known[key] = list(_ask(client, query))
    return known[key]


def _ask(client: Any, query: Query) -> Iterator[Any]:
    filters = [
        {"Type": "TERM_MATCH", "Field": field, "Value": value}
        for field, value in query.filters.items()
    ]
    request: dict[str, Any] = {"ServiceCode": query.service, "Filters": filters}
    while True:
        page = client.get_products(**request)
        yield from (json.loads(product) for product in page["PriceList"])
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def _price(query: Query, products: Iterable[Any]) -> float | None:
    """Return the matching price, or None if there is none or more than one."""
    prices = {
        price
        for product in products
        if re.search(query.usage_type, product["product"]["attributes"].get("usagetype", ""))
        for price in _on_demand(product, query.begin)
    }
    return prices.pop() * query.per if len(prices) == 1 else None


def _on_demand(product: Mapping[str, Any], begin: str) -> Iterator[float]:
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            price = float(dimension["pricePerUnit"].get("USD", 0))
            if price > 0 and dimension.get("beginRange", "0") == begin:
                yield price
