"""The scalable target of an endpoint: what Application Auto Scaling may change, and whose it is.

Sources: "API_RegisterScalableTarget" and "API_DeregisterScalableTarget" (which deletes the target's
policies and their alarms, too), Application Auto Scaling API reference; SageMaker developer guide,
"Delete endpoints configured for auto scaling". The alarm that starts the first instance of an
asynchronous endpoint is not among these: whoever made the step policy makes and deletes it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from functions.shared.errors import error_code
from functions.shared.names import DIMENSION, alarm_name

LOG = logging.getLogger(__name__)

SERVICE: Final = "application-autoscaling"
VARIANT: Final = "AllTraffic"
"""The only variant of our endpoints."""
NAMESPACE: Final = "sagemaker"
ALARMS: Final = "cloudwatch"
"""The service of the alarm that starts the first instance."""
_GONE: Final = frozenset({"ObjectNotFoundException", "ResourceNotFoundException"})
_NO_ALARM: Final = frozenset({"ResourceNotFound", "ResourceNotFoundException"})


def identity(endpoint: str) -> dict[str, str]:
    """Return the fields by which each call names the target of an endpoint."""
    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": DIMENSION,
    }


def describe(scaling: Any, endpoint: str) -> Mapping[str, Any] | None:
    """Return the target of an endpoint, if it is registered."""
    named = identity(endpoint)
    found = scaling.describe_scalable_targets(
        ServiceNamespace=NAMESPACE,
        ResourceIds=[named["ResourceId"]],
        ScalableDimension=DIMENSION,
    )
    return next(iter(found["ScalableTargets"]), None)


def tags_of(scaling: Any, target: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a target; none if it is gone."""
    try:
        found = scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])
    except ClientError as error:
        if is_gone(error):
            return {}
        raise
    return dict(found["Tags"])


def deregister(scaling: Any, endpoint: str) -> None:
    """Deregister the target of an endpoint, unless it is gone."""
    LOG.info("deregister_scalable_target %s", endpoint)
    try:
        scaling.deregister_scalable_target(**identity(endpoint))
    except ClientError as error:
        if not is_gone(error):
            raise


def delete_alarm(cloudwatch: Any, endpoint: str) -> None:
    """Delete the alarm that starts the first instance, unless it is gone."""
    name = alarm_name(endpoint)
    LOG.info("delete_alarms %s", name)
    try:
        cloudwatch.delete_alarms(AlarmNames=[name])
    except ClientError as error:
        if error_code(error) not in _NO_ALARM:
            raise


def is_gone(error: ClientError) -> bool:
    """Tell whether Application Auto Scaling reported that a target does not exist."""
    return error_code(error) in _GONE
