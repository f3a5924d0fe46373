"""Metrics as a line of a function's log.

CloudWatch extracts them from the log, so that the function needs neither a way to CloudWatch's API
out of its VPC nor the right to call it. Source: Amazon CloudWatch user guide, "Specification:
Embedded metric format"; on Lambda, JSON on standard output is enough.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from functions.shared.names import METRICS_DIMENSION, METRICS_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


def line(
    pipeline: str, values: Mapping[str, float], units: Mapping[str, str], now: datetime
) -> str:
    """Return the line that CloudWatch extracts the metrics from; its time is in milliseconds."""
    directive = {
        "Namespace": METRICS_NAMESPACE,
        "Dimensions": [[METRICS_DIMENSION]],
        "Metrics": [{"Name": name, "Unit": units[name]} for name in values],
    }
    metadata = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": metadata, METRICS_DIMENSION: pipeline, **values}, allow_nan=False)
