"""Changes of an endpoint's state, as events on the account's event bus.

Source: "SageMaker endpoint state change", SageMaker developer guide: the statuses in events are in
upper case with underscores, unlike those of DescribeEndpoint.
"""

from __future__ import annotations

import json
import re

from ministack.services import eventbridge

from tabular_ml_vpc.local.emulator.sagemaker_store import Record

SOURCE = "aws.sagemaker"
EVENT = "SageMaker Endpoint State Change"


def publish(record: Record, status: str) -> None:
    """Publish the event of a status, such as `RollingBack`."""
    detail = {
        "EndpointName": record.fields["EndpointName"],
        "EndpointArn": record.arn,
        "EndpointConfigName": record.fields["EndpointConfigName"],
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", status).upper(),
        "FailureReason": record.fields.get("FailureReason", ""),
    }
    entry = {
        "Source": SOURCE,
        "DetailType": EVENT,
        "Detail": json.dumps(detail),
        "Resources": [record.arn],
    }
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
