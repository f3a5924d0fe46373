"""Read what is there: the registry, our two endpoints, and configurations named as ours are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.deploy_model.names import config_name, version_of
from functions.deploy_model.requests import (
    BACKLOG_METRIC,
    BACKLOG_POLICY,
    METRIC,
    POLICY,
    WAKING_METRIC,
    WAKING_POLICY,
)
from functions.deploy_model.state import Config, Endpoint, Snapshot, Target, Version
from functions.shared import scaling
from functions.shared.aws import listed
from functions.shared.names import (
    ERROR_TAG,
    FAILED_TAG,
    SERVED_TAG,
    alarm_name,
    model_name,
    trial_name,
)
from functions.shared.pausing import PAUSED_TAG
from functions.shared.sagemaker import described, tags_of
from pipeline.definition import OWNER_TAG

if TYPE_CHECKING:
    from functions.deploy_model.properties import DeployModelProperties
    from pipeline.types import Json, JsonView

STARTED_TAG: Final = "tabular-ml-vpc:started"
"""The value is ``Config.started`` and, if there was an endpoint, ``Config.replaced``."""
SMOKE_TEST: Final = "smoke-test"
"""Key of a package's metadata whose value is the S3 URI of ``smoke.json``."""
APPROVED: Final = "Approved"


@dataclass(frozen=True)
class Observer:
    """Reads the state of one pipeline's deployment; nothing here changes anything."""

    sagemaker: Any
    properties: DeployModelProperties
    scaling: Any = None
    """Application Auto Scaling; None if the fleet should not scale."""
    alarms: Any = None
    """CloudWatch; None if the fleet always has an instance."""

    def snapshot(self, now: datetime) -> Snapshot:
        """Return all that the decision depends on."""
        approved, desired = self._versions()
        endpoint = self.endpoint(self.properties.endpoint_name)
        trial = self.endpoint(trial_name(self.properties.endpoint_name))
        found = [*self._configs(all_tags=endpoint is None)]
        snapshot = Snapshot(
            now=now,
            desired=desired,
            config_name=self._config_name(desired),
            approved=approved,
            configs=tuple(config for config in found if config.number),
            endpoint=endpoint,
            trial=trial,
            serving=self._serving(endpoint, found),
            paused=any(config.ours and config.paused for config in found),
            asynchronous=self.properties.asynchronous,
            instances=self.properties.instances,
        )
        taken = tuple(self._taken(snapshot))
        return replace(self._with_scaling(snapshot), taken=taken)

    def is_approved(self, arn: str) -> bool:
        """Tell whether a version is approved right now."""
        package = self._describe("model_package", ModelPackageName=arn)
        return package is not None and package.get("ModelApprovalStatus") == APPROVED

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint, if there is one of that name."""
        found = self._describe("endpoint", EndpointName=name)
        if found is None:
            return None
        config = str(found.get("EndpointConfigName", ""))
        return Endpoint(
            name=name,
            status=found["EndpointStatus"],
            config=config,
            number=version_of(config, self.properties.endpoint_name),
            modified=_utc(found["LastModifiedTime"]).isoformat(),
            ours=self._is_ours(self._tags(found["EndpointArn"])),
            pending=found.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
            failure=found.get("FailureReason", ""),
            created=_utc(found["CreationTime"]),
            instances=_first(found).get("DesiredInstanceCount", 0),
            asynchronous="AsyncInferenceConfig" in found,
        )

    # Scaling

    def _with_scaling(self, snapshot: Snapshot) -> Snapshot:
        """Add how the fleet scales, and how it should; nothing if the settings do not scale it."""
        if self.scaling is None:
            return snapshot
        endpoint, wanted = snapshot.endpoint, self._wanted()
        if endpoint is None or endpoint.is_changing:
            return replace(snapshot, wanted=wanted)
        described = self._describe("endpoint_config", EndpointConfigName=endpoint.config)
        serving_type = _first(described or {}).get("InstanceType", "")
        seen = replace(snapshot, wanted=wanted, serving_type=serving_type)
        try:
            return replace(seen, target=self._target())
        except (BotoCoreError, ClientError) as error:
            return replace(seen, blind=error)

    def _wanted(self) -> Target:
        """Return how the endpoint's fleet should scale."""
        properties = self.properties
        most = max(properties.instances, properties.maximum_instances)
        if properties.asynchronous:
            return Target(minimum=0, maximum=most, tracked=properties.target_backlog, wakes=True)
        tracked = properties.target_invocations
        return Target(minimum=properties.instances, maximum=most, tracked=tracked)

    def _target(self) -> Target | None:
        """Return how the endpoint's fleet scales, if it does."""
        found = scaling.describe(self.scaling, self.properties.endpoint_name)
        if found is None:
            return None
        named = scaling.identity(self.properties.endpoint_name)
        named_ours = [POLICY, BACKLOG_POLICY, WAKING_POLICY]
        described = self.scaling.describe_scaling_policies(PolicyNames=named_ours, **named)
        policies = {one["PolicyName"]: one for one in described["ScalingPolicies"]}
        tracking = policies.get(BACKLOG_POLICY if self.properties.asynchronous else POLICY, {})
        return Target(
            minimum=found["MinCapacity"],
            maximum=found["MaxCapacity"],
            tracked=_tracked(tracking.get("TargetTrackingScalingPolicyConfiguration", {})),
            wakes=self._wakes(policies.get(WAKING_POLICY, {}).get("PolicyARN", "")),
            ours=self._is_ours(scaling.tags_of(self.scaling, found)),
        )

    def _wakes(self, policy_arn: str) -> bool:
        """Tell whether the alarm exists that calls our step policy."""
        if not (self.alarms and policy_arn):
            return False
        name = alarm_name(self.properties.endpoint_name)
        found = self.alarms.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm"])
        return any(
            policy_arn in one["AlarmActions"]
            and one.get("MetricName") == WAKING_METRIC
            and one.get("ActionsEnabled", True)
            for one in found["MetricAlarms"]
        )

    # The registry

    def _versions(self) -> tuple[frozenset[int], Version | None]:
        """Return the numbers of the approved versions, and the newest that is ours."""
        packages = listed(
            self.sagemaker,
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=self.properties.model_package_group,
            ModelApprovalStatus=APPROVED,
        )
        arns = {
            _number(package["ModelPackageArn"]): package["ModelPackageArn"]
            for package in packages
            if package["ModelPackageStatus"] == "Completed"
        }
        for number in sorted(arns, reverse=True):
            package = self._describe("model_package", ModelPackageName=arns[number])
            if package is None or package.get("ModelApprovalStatus") != APPROVED:
                del arns[number]  # the listing lags behind
            elif self._is_ours(package.get("CustomerMetadataProperties", {})):
                return frozenset(arns), _version(arns[number], package, self.properties.models_uri)
        return frozenset(arns), None

    # Configurations

    def _config_name(self, desired: Version | None) -> str:
        if desired is None:
            return ""
        return config_name(desired.number, desired.instance_type, self.properties)

    def _configs(self, *, all_tags: bool) -> Iterator[Config]:
        """Yield the configurations named after our endpoint.

        Tags are read of those named as ours are or, to find a paused one, of all.
        """
        configs = listed(
            self.sagemaker,
            "list_endpoint_configs",
            "EndpointConfigs",
            NameContains=self.properties.endpoint_name,
        )
        for config in configs:
            number = version_of(config["EndpointConfigName"], self.properties.endpoint_name)
            tags = self._tags(config["EndpointConfigArn"]) if number or all_tags else {}
            yield self._config(config, number, tags)

    def _config(self, found: JsonView, number: int, tags: JsonView) -> Config:
        started, _, replaced = tags.get(STARTED_TAG, "").partition(" ")
        return Config(
            name=found["EndpointConfigName"],
            arn=found["EndpointConfigArn"],
            number=number,
            created=_utc(found["CreationTime"]),
            ours=self._is_ours(tags),
            started=started,
            replaced=replaced,
            served=tags.get(SERVED_TAG, ""),
            failed=tags.get(FAILED_TAG, ""),
            error=tags.get(ERROR_TAG, ""),
            paused=PAUSED_TAG in tags,
        )

    def _serving(self, endpoint: Endpoint | None, found: list[Config]) -> Config | None:
        """Return the endpoint's configuration; a person's may have any name, and no tags count."""
        if endpoint is None:
            return None
        for config in found:
            if config.name == endpoint.config:
                return config
        described = self._describe("endpoint_config", EndpointConfigName=endpoint.config)
        return self._config(described, 0, {}) if described else None

    # Whose is it?

    def _taken(self, snapshot: Snapshot) -> Iterator[str]:
        """Yield what has a name that we need and is not ours."""
        for endpoint in (snapshot.endpoint, snapshot.trial):
            if endpoint and not endpoint.ours:
                yield f"endpoint {endpoint.name}"
        if snapshot.config and not snapshot.config.ours:
            yield f"endpoint configuration {snapshot.config.name}"
        if snapshot.desired and not self._model_is_ours(snapshot.desired):
            yield f"model {model_name(snapshot.desired.number, self.properties.endpoint_name)}"

    def _model_is_ours(self, version: Version) -> bool:
        """Tell whether the version's model is ours and made of its package, or does not exist."""
        name = model_name(version.number, self.properties.endpoint_name)
        model = self._describe("model", ModelName=name)
        if model is None:
            return True
        package = model.get("PrimaryContainer", {}).get("ModelPackageName")
        return package == version.arn and self._is_ours(self._tags(model["ModelArn"]))

    def _is_ours(self, tags: JsonView) -> bool:
        return bool(tags.get(OWNER_TAG) == self.properties.owner)

    def _tags(self, arn: str) -> dict[str, str]:
        return tags_of(self.sagemaker, arn)

    def _describe(self, kind: str, **names: str) -> Json | None:
        return described(self.sagemaker, kind, **names)


def _version(arn: str, package: JsonView, models: str) -> Version:
    inference = package.get("InferenceSpecification", {})
    types = inference.get("SupportedRealtimeInferenceInstanceTypes") or [""]
    smoke_test = package.get("CustomerMetadataProperties", {}).get(SMOKE_TEST, "")
    return Version(
        arn=arn,
        number=_number(arn),
        created=_utc(package["CreationTime"]),
        instance_type=types[0],
        smoke_test=smoke_test,
        foreign=_foreign(inference.get("Containers", []), smoke_test, models),
    )


def _foreign(containers: list[JsonView], smoke_test: str, models: str) -> str:
    """Tell why a version is not what a run registered: who approves can change what it names."""
    if len(containers) != 1:
        return f"the version has {len(containers)} containers, and a run's has one"
    archive = str(containers[0].get("ModelDataUrl", ""))
    run = archive.removeprefix(models).partition("/")[0]
    if not (archive.startswith(models) and run):
        return f"the archive {archive} is not one of this pipeline's runs"
    if smoke_test and f"/{run}/" not in smoke_test:
        return f"the smoke test {smoke_test} is not that of the archive's run {run}"
    return ""


def _tracked(policy: JsonView) -> float | None:
    """Return the target of our policy, unless somebody changed what it follows."""
    predefined = policy.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    customized = policy.get("CustomizedMetricSpecification", {}).get("MetricName")
    is_ours = predefined == METRIC or customized == BACKLOG_METRIC
    return float(policy["TargetValue"]) if is_ours and not policy.get("DisableScaleIn") else None


def _first(described: JsonView) -> Json:
    """Return the only variant of an endpoint or a configuration; none while it is created."""
    return dict(next(iter(described.get("ProductionVariants", [])), {}))


def _number(arn: str) -> int:
    """Return the version of a package, the last part of its ARN."""
    return int(arn.rpartition("/")[2])


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)
