"""The requests that create a version's model, configuration and endpoints, and move its traffic.

Sources: "API_CreateModel", "API_CreateEndpointConfig", "API_DataCaptureConfig",
"API_UpdateEndpoint", "API_BlueGreenUpdatePolicy", "API_TrafficRoutingConfig"; Application Auto
Scaling API reference, "API_RegisterScalableTarget" and "API_PutScalingPolicy"; SageMaker developer
guide, "Autoscale an asynchronous endpoint", whose metrics and times these are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from functions.deploy_model.properties import ALL_AT_ONCE, CANARY, LINEAR
from functions.shared.names import alarm_name, model_name
from functions.shared.scaling import VARIANT, identity
from pipeline.definition import OWNER_TAG
from pipeline.layout import ANSWERS, FAILURES

if TYPE_CHECKING:
    from functions.deploy_model.properties import DeployModelProperties
    from functions.deploy_model.state import Target, Version
    from pipeline.types import Json

POLICY: Final = "invocations-per-instance"
"""Name of the scaling policy; one of another name is somebody else's."""
METRIC: Final = "SageMakerVariantInvocationsPerInstance"
"""Requests of an instance in a minute, on average."""
BACKLOG_POLICY: Final = "backlog-per-instance"
BACKLOG_METRIC: Final = "ApproximateBacklogSizePerInstance"
WAKING_POLICY: Final = "first-instance"
WAKING_METRIC: Final = "HasBacklogWithoutCapacity"
"""1 in each minute in which requests wait and there is no instance."""
_METRICS: Final = "AWS/SageMaker"
_COOLDOWN_SECONDS: Final = 300
_SHRINK_SECONDS: Final = 600
_WAKING_MINUTES: Final = 2
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
    if properties.asynchronous:
        request["AsyncInferenceConfig"] = _asynchronous(properties)
    return request


def _asynchronous(properties: DeployModelProperties) -> Json:
    """Return where answers go, and whom they are told to ("API_AsyncInferenceOutputConfig")."""
    return {
        "OutputConfig": {
            "KmsKeyId": properties.key_arn,
            "S3OutputPath": f"{properties.asynchronous_uri}{ANSWERS}",
            "S3FailurePath": f"{properties.asynchronous_uri}{FAILURES}",
            "NotificationConfig": {
                "SuccessTopic": properties.answered_topic,
                "ErrorTopic": properties.failed_topic,
            },
        }
    }


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
    policy: Json = {"PredefinedMetricSpecification": {"PredefinedMetricType": METRIC}}
    if properties.asynchronous:
        metric = _metric(BACKLOG_METRIC, properties) | {"Statistic": "Average"}
        policy = {
            "CustomizedMetricSpecification": metric,
            "ScaleInCooldown": _SHRINK_SECONDS,
            "ScaleOutCooldown": _COOLDOWN_SECONDS,
        }
    return {
        **identity(properties.endpoint_name),
        "PolicyName": BACKLOG_POLICY if properties.asynchronous else POLICY,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": wanted.tracked, **policy},
    }


def waking(properties: DeployModelProperties) -> Json:
    """Return the policy that starts the first instance: tracking waits for a longer backlog."""
    return {
        **identity(properties.endpoint_name),
        "PolicyName": WAKING_POLICY,
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": _COOLDOWN_SECONDS,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    }


def alarm(policy_arn: str, properties: DeployModelProperties) -> Json:
    """Return the alarm that calls that policy; CloudWatch repeats it each minute until it is off.

    Source: CloudWatch user guide, "Alarm actions".
    """
    return {
        "AlarmName": alarm_name(properties.endpoint_name),
        "AlarmDescription": "Requests wait, and the endpoint has no instance: starts one",
        "AlarmActions": [policy_arn],
        **_metric(WAKING_METRIC, properties),
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": _WAKING_MINUTES,
        "DatapointsToAlarm": _WAKING_MINUTES,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
    }


def _metric(name: str, properties: DeployModelProperties) -> Json:
    return {
        "MetricName": name,
        "Namespace": _METRICS,
        "Dimensions": [{"Name": "EndpointName", "Value": properties.endpoint_name}],
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
