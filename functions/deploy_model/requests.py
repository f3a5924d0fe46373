"""The requests that create a version's model, configuration and endpoints, and move its traffic.

Sources: "API_CreateModel", "API_CreateEndpointConfig", "API_DataCaptureConfig",
"API_UpdateEndpoint", "API_BlueGreenUpdatePolicy", "API_TrafficRoutingConfig"; Application Auto
Scaling API reference, "API_RegisterScalableTarget" and "API_PutScalingPolicy".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from functions.deploy_model.properties import ALL_AT_ONCE, CANARY, LINEAR
from functions.shared.names import model_name
from functions.shared.scaling import VARIANT, identity
from pipeline.definition import OWNER_TAG

if TYPE_CHECKING:
    from functions.deploy_model.properties import DeployModelProperties
    from functions.deploy_model.state import Target, Version
    from pipeline.types import Json

POLICY: Final = "invocations-per-instance"
"""Name of the scaling policy; one of another name is somebody else's."""
METRIC: Final = "SageMakerVariantInvocationsPerInstance"
"""Requests of an instance in a minute, on average."""
_TYPES: Final = {ALL_AT_ONCE: "ALL_AT_ONCE", CANARY: "CANARY", LINEAR: "LINEAR"}
_SIZES: Final = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}
_START_SECONDS: Final = 3600
"""How long the new instances may take to start, and the old ones to stop."""
_MOST_SECONDS: Final = 28_800
"""The longest deployment ("API_BlueGreenUpdatePolicy")."""


def owner_tags(properties: DeployModelProperties) -> list[Json]:
    """Return the tags of everything that the function creates."""
    return [{"Key": OWNER_TAG, "Value": properties.owner}]


def model(version: Version, properties: DeployModelProperties) -> Json:
    """Return a model made from the package: SageMaker refuses one that is not approved."""
    return {
        "ModelName": model_name(version.number, properties.endpoint_name),
        "PrimaryContainer": {"ModelPackageName": version.arn},
        "ExecutionRoleArn": properties.model_role_arn,
        "VpcConfig": {
            "Subnets": list(properties.subnet_ids),
            "SecurityGroupIds": list(properties.security_group_ids),
        },
        "EnableNetworkIsolation": True,
        "Tags": owner_tags(properties),
    }


def config(name: str, version: Version, properties: DeployModelProperties) -> Json:
    """Return the configuration that serves a version."""
    request: Json = {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": model_name(version.number, properties.endpoint_name),
                "InstanceType": version.instance_type,
                "InitialInstanceCount": properties.instances,
            }
        ],
        "KmsKeyId": properties.key_arn,
        "Tags": owner_tags(properties),
    }
    if properties.capture_percent:
        request["DataCaptureConfig"] = _capture(properties)
    return request


def _capture(properties: DeployModelProperties) -> Json:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": properties.capture_percent,
        "DestinationS3Uri": properties.capture_uri,
        "KmsKeyId": properties.key_arn,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }


def endpoint(name: str, config_name: str, properties: DeployModelProperties) -> Json:
    """Return a new endpoint."""
    return {
        "EndpointName": name,
        "EndpointConfigName": config_name,
        "Tags": owner_tags(properties),
    }


def update(
    config_name: str, properties: DeployModelProperties, *, back: bool, retain: bool = False
) -> Json:
    """Return the endpoint's move to another configuration.

    The way ``back`` to a version that served before is the shortest, and no alarm stops it: the one
    that the rejected version set off may still be on. With ``retain``, the new fleet has as many
    instances as the old one, and not as few as the configuration says.
    """
    deployment: Json = {"BlueGreenUpdatePolicy": _policy(properties, ALL_AT_ONCE, bake_minutes=0)}
    if not back:
        minutes = properties.bake_minutes
        deployment = {"BlueGreenUpdatePolicy": _policy(properties, properties.shift, minutes)}
        if properties.alarms:
            alarms = [{"AlarmName": name} for name in properties.alarms]
            deployment["AutoRollbackConfiguration"] = {"Alarms": alarms}
    return {
        "EndpointName": properties.endpoint_name,
        "EndpointConfigName": config_name,
        "RetainAllVariantProperties": retain,
        "DeploymentConfig": deployment,
    }


def target(wanted: Target, properties: DeployModelProperties, *, new: bool) -> Json:
    """Return the registration of the endpoint's fleet; tags are for a ``new`` target only."""
    request: Json = {
        **identity(properties.endpoint_name),
        "MinCapacity": wanted.minimum,
        "MaxCapacity": wanted.maximum,
    }
    return request | ({"Tags": {OWNER_TAG: properties.owner}} if new else {})


def tracking(wanted: Target, properties: DeployModelProperties) -> Json:
    """Return the policy that keeps the requests of an instance near the target."""
    return {
        **identity(properties.endpoint_name),
        "PolicyName": POLICY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": wanted.invocations,
            "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
        },
    }


def _policy(properties: DeployModelProperties, shift: str, bake_minutes: int) -> Json:
    bake, percent = bake_minutes * 60, properties.step_percent
    routing: Json = {"Type": _TYPES[shift], "WaitIntervalInSeconds": bake}
    if shift in _SIZES:
        routing[_SIZES[shift]] = {"Type": "CAPACITY_PERCENT", "Value": percent}
    bakes = {CANARY: 2, LINEAR: math.ceil(100 / percent)}.get(shift, 1)
    return {
        "TrafficRoutingConfiguration": routing,
        "TerminationWaitInSeconds": bake,
        "MaximumExecutionTimeoutInSeconds": min(_MOST_SECONDS, _START_SECONDS + bakes * bake),
    }
