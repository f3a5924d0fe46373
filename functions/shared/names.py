"""Names by which the functions know what they created."""

from __future__ import annotations

import re
from typing import Final

DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
"""What scales of an endpoint, as Application Auto Scaling names it."""
METRICS_NAMESPACE: Final = "tabular-ml-vpc"
METRICS_DIMENSION: Final = "Pipeline"
SEED_OWNER: Final = "seed-data-owner"
"""Key of the metadata that marks the synthetic table: whoever replaces the table drops it."""


SERVED_TAG: Final = "tabular-ml-vpc:served"
"""Tag of a configuration of ours that an endpoint served; the value is since when."""
FAILED_TAG: Final = "tabular-ml-vpc:failed"
"""The value is why an endpoint that serves the same version could not take the settings."""
ERROR_TAG: Final = "tabular-ml-vpc:error"
"""The value is the last error of AWS on the way to serve a configuration, and when it was."""


def trial_name(endpoint: str) -> str:
    """Return the name of the endpoint on which a version is tried before it serves."""
    return f"try-{endpoint}"


def alarm_name(endpoint: str) -> str:
    """Return the name of the alarm that starts the first instance of an asynchronous endpoint."""
    return f"{endpoint}-backlog"


def model_name(version: int, endpoint: str) -> str:
    """Return the name of the model made of a version."""
    return f"v{version}-{endpoint}"


def is_version_model(model: str, endpoint: str) -> bool:
    """Tell by a model's name, in any case, whether it was made of a version."""
    return bool(re.fullmatch(rf"v[0-9]+-{re.escape(endpoint)}", model, re.IGNORECASE))
