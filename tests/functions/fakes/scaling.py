"""Application Auto Scaling in memory: the scalable targets of endpoints, and their policies.

As in the service, a target needs its endpoint, a policy needs its target and goes with it, and
tags are for a new target only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from tests.functions.fakes.sagemaker import _WHEN, FakeSageMaker
from tests.functions.fakes.wire import ApiError, Backend, Fields
from tests.functions.recorder import arn


@dataclass
class FakeScaling(Backend):
    """The operations of `deploy_model` and of the pipeline manager."""

    sagemaker: FakeSageMaker | None = None
    targets: dict[str, Fields] = field(default_factory=dict)
    policies: dict[str, Fields] = field(default_factory=dict)
    """Those that track a metric."""
    steps: dict[str, Fields] = field(default_factory=dict)
    """Those that an alarm calls."""
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    """By ARN."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def register_scalable_target(self, p: Fields) -> Fields:
        assert self.sagemaker
        resource = p["ResourceId"]
        endpoint = self.sagemaker.resources["Endpoint"].get(resource.split("/")[1])
        if endpoint is None or endpoint.fields["status"] == "Deleting":
            raise ApiError("ValidationException", f"No {resource} found")
        config = self.sagemaker.resources["EndpointConfig"].get(endpoint.fields["config"])
        if p["MinCapacity"] == 0 and not (config and config.fields.get("s3")):
            raise ApiError("ValidationException", "Minimum capacity must be at least 1")
        if resource in self.targets:
            assert "Tags" not in p, "tags are for a new target"
        else:
            made = arn("application-autoscaling", f"scalable-target/{next(self._ids):036x}")
            self.targets[resource] = {
                "ServiceNamespace": p["ServiceNamespace"],
                "ResourceId": resource,
                "ScalableDimension": p["ScalableDimension"],
                "RoleARN": "arn:aws:iam::123456789012:role/aws-service-role/x",
                "CreationTime": _WHEN,
                "ScalableTargetARN": made,
            }
            self.tags[made] = p.get("Tags", {})
        self.targets[resource] |= {name: p[name] for name in ("MinCapacity", "MaxCapacity")}
        return {"ScalableTargetARN": self.targets[resource]["ScalableTargetARN"]}

    def describe_scalable_targets(self, p: Fields) -> Fields:
        found = [self.targets[one] for one in p["ResourceIds"] if one in self.targets]
        return {"ScalableTargets": found}

    def list_tags_for_resource(self, p: Fields) -> Fields:
        if p["ResourceARN"] not in self.tags:
            raise ApiError("ResourceNotFoundException", p["ResourceARN"])
        return {"Tags": self.tags[p["ResourceARN"]]}

    def deregister_scalable_target(self, p: Fields) -> Fields:
        self._target(p["ResourceId"])
        self.tags.pop(self.targets.pop(p["ResourceId"])["ScalableTargetARN"])
        self.policies.pop(p["ResourceId"], None)
        self.steps.pop(p["ResourceId"], None)
        return {}

    def put_scaling_policy(self, p: Fields) -> Fields:
        self._target(p["ResourceId"])
        kind = self.steps if p["PolicyType"] == "StepScaling" else self.policies
        kind[p["ResourceId"]] = p
        return {"PolicyARN": arn("autoscaling", f"scalingPolicy:{p['PolicyName']}"), "Alarms": []}

    def describe_scaling_policies(self, p: Fields) -> Fields:
        kinds = (self.policies, self.steps)
        found = [kind[p["ResourceId"]] for kind in kinds if p["ResourceId"] in kind]
        return {
            "ScalingPolicies": [
                one
                | {
                    "PolicyARN": arn("autoscaling", f"scalingPolicy:{one['PolicyName']}"),
                    "CreationTime": _WHEN,
                }
                for one in found
                if one["PolicyName"] in p["PolicyNames"]
            ]
        }

    def _target(self, resource: str) -> Fields:
        if resource not in self.targets:
            raise ApiError("ObjectNotFoundException", f"No scalable target found for {resource}")
        return self.targets[resource]


@dataclass
class FakeAlarms(Backend):
    """CloudWatch in memory: the alarms that functions make."""

    alarms: dict[str, Fields] = field(default_factory=dict)

    def put_metric_alarm(self, p: Fields) -> None:
        self.alarms[p["AlarmName"]] = p

    def describe_alarms(self, p: Fields) -> Fields:
        found = [self.alarms[name] for name in p["AlarmNames"] if name in self.alarms]
        return {"MetricAlarms": found}

    def delete_alarms(self, p: Fields) -> None:
        for name in p["AlarmNames"]:
            if self.alarms.pop(name, None) is None:
                raise ApiError("ResourceNotFound", f"alarm {name} does not exist", status=404)
