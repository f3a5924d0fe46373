"""Carry out the decided steps; another call of the function may have been faster."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.deploy_model import asynchronous, requests, smoke
from functions.deploy_model.observe import STARTED_TAG, Observer
from functions.deploy_model.properties import COMPLAINTS
from functions.deploy_model.state import (
    NO_ENDPOINT,
    REFUSED,
    AskTrial,
    Complain,
    Config,
    DeleteConfig,
    DeleteModel,
    DeleteTrial,
    Deploy,
    MarkFailed,
    MarkServed,
    Reject,
    Scale,
    SendSamples,
    StartTrial,
    Step,
    StopScaling,
    Version,
    Wait,
)
from functions.shared import metrics, scaling
from functions.shared.errors import error_code, is_not_found
from functions.shared.names import ERROR_TAG, FAILED_TAG, SERVED_TAG, model_name, trial_name

if TYPE_CHECKING:
    from functions.shared.deadline import Deadline
    from pipeline.types import Json

LOG = logging.getLogger(__name__)

_DESCRIPTION_LENGTH: Final = 1024
"""The longest ``ApprovalDescription`` ("API_UpdateModelPackage")."""
_TAG_LENGTH: Final = 256
_NOT_IN_A_TAG: Final = re.compile(r"[^\w\s.:/=+\-@]")
"""Characters that a tag's value cannot have ("API_Tag")."""
_EXISTS: Final = re.compile("already exist", re.IGNORECASE)
_IN_PROGRESS: Final = re.compile("in[- ]progress", re.IGNORECASE)
_INVALID: Final = "ValidationException"
_BUSY: Final = "ConcurrentUpdateException"
"""Another call changes the same scalable target."""


@dataclass(frozen=True)
class Actor:
    """Changes one pipeline's deployment; ``client`` returns a client by service."""

    observer: Observer
    client: Callable[[str], Any]
    deadline: Deadline
    now: datetime

    def act(self, step: Step) -> None:
        """Carry out one step."""
        _ACTIONS[type(step)](self, step)

    def verdict(self, version: Version) -> str | None:
        """Send the smoke test to the trial endpoint; return ``Snapshot.verdict``."""
        try:
            test = smoke.read(self.client("s3"), version.smoke_test)
        except smoke.SmokeTestError as error:
            return f"{error}: run the pipeline again"
        return smoke.verdict(self._asks, trial_name(self._endpoint), test)

    def _asks(self, endpoint: str, test: smoke.SmokeTest) -> str:
        """Return an endpoint's answer, which it gives at once or leaves in S3."""
        runtime, uri = self.client("sagemaker-runtime"), self.observer.properties.asynchronous_uri
        if not uri:
            return smoke.ask(runtime, endpoint, test)
        return asynchronous.ask(runtime, self.client("s3"), uri, endpoint, test, self.deadline)

    def remember(self, config: Config | None, cause: str) -> None:
        """Record the last error of AWS on the way to serve a configuration, if it exists."""
        self._record(config, f"{self.now:%Y-%m-%d %H:%M} UTC: {cause}")

    def forget(self, config: Config | None) -> None:
        """Empty the record of an error; the function may not delete tags."""
        if config and config.error:
            self._record(config, "")

    def _record(self, config: Config | None, error: str) -> None:
        if config is None or not config.ours or config.served:
            return
        try:
            self._tag(config, ERROR_TAG, error)
        except (BotoCoreError, ClientError) as refused:
            LOG.info("the error could not be recorded: %s", refused)

    def count_complaint(self) -> None:
        """Count something that a person has to act on, for the alarm."""
        pipeline, units = self.observer.properties.model_package_group, {COMPLAINTS: "Count"}
        print(metrics.line(pipeline, {COMPLAINTS: 1}, units, self.now), flush=True)

    @property
    def _sagemaker(self) -> Any:
        return self.observer.sagemaker

    @property
    def _endpoint(self) -> str:
        return self.observer.properties.endpoint_name

    # Records

    def _wait(self, step: Wait) -> None:
        LOG.info("%s", step.reason)

    def _complain(self, step: Complain) -> None:
        LOG.error("%s", step.reason)
        self.count_complaint()

    def _ask_trial(self, step: AskTrial) -> None:
        LOG.info("version %d cannot answer its smoke test yet", step.version.number)

    def _mark_served(self, step: MarkServed) -> None:
        LOG.info("%s serves", step.config.name)
        self._tag(step.config, SERVED_TAG, self.now.isoformat(timespec="seconds"))

    def _mark_failed(self, step: MarkFailed) -> None:
        LOG.error("the endpoint cannot take %s: %s", step.config.name, step.reason)
        self._tag(step.config, FAILED_TAG, step.reason)

    def _tag(self, config: Config, key: str, value: str) -> None:
        value = " ".join(_NOT_IN_A_TAG.sub(" ", value).split())[:_TAG_LENGTH].rstrip()
        tags = [{"Key": key, "Value": value}]
        self._unless_gone("add_tags", ResourceArn=config.arn, Tags=tags)

    # The trial

    def _start_trial(self, step: StartTrial) -> None:
        """Create what a trial needs; reject a version of which SageMaker makes none."""
        properties = self.observer.properties
        model = requests.model(step.version, properties)
        config = requests.config(step.config, step.version, properties)
        try:
            self._create("create_model", model)
            self._create("create_endpoint_config", config)
        except ClientError as error:
            if error_code(error) != _INVALID or not self.observer.is_approved(step.version.arn):
                raise
            self._reject(Reject(step.version, f"{error.operation_name}: {_message(error)}"))
            return
        trial = requests.endpoint(trial_name(self._endpoint), step.config, properties)
        self._create("create_endpoint", trial)

    def _delete_trial(self, _step: DeleteTrial) -> None:
        self._unless_gone("delete_endpoint", EndpointName=trial_name(self._endpoint))

    # The endpoint

    def _deploy(self, step: Deploy) -> None:
        """Have the endpoint serve a version, unless it was rejected a moment ago."""
        if not self.observer.is_approved(step.version.arn):
            LOG.info("version %d is no longer approved", step.version.number)
            return
        properties = self.observer.properties
        self._tag(step.config, STARTED_TAG, f"{step.started} {step.replaced}")
        if step.started == NO_ENDPOINT:
            created = requests.endpoint(self._endpoint, step.config.name, properties)
            self._create("create_endpoint", created)
            return
        request = requests.update(step.config.name, properties, back=step.back, retain=step.retain)
        self._update(step, request)

    def _update(self, step: Deploy, request: Json) -> None:
        """Update the endpoint; record that SageMaker refused, so that it looks not rolled back."""
        LOG.info("update_endpoint %s %s", self._endpoint, step.config.name)
        try:
            self._sagemaker.update_endpoint(**request)
        except ClientError as error:
            endpoint = self.observer.endpoint(self._endpoint)
            if endpoint and step.config.name in (endpoint.config, endpoint.pending):
                return  # another call was faster
            self._tag(step.config, STARTED_TAG, REFUSED)
            if not _is_in_progress(error):
                raise

    def _scale(self, step: Scale) -> None:
        """Register the fleet and have it follow the requests; another call may be as far."""
        properties, client = self.observer.properties, self.observer.scaling
        LOG.info("register_scalable_target %s %s", self._endpoint, step.wanted)
        try:
            client.register_scalable_target(
                **requests.target(step.wanted, properties, new=step.new)
            )
            client.put_scaling_policy(**requests.tracking(step.wanted, properties))
            if step.wanted.wakes:
                policy = client.put_scaling_policy(**requests.waking(properties))
                alarm = requests.alarm(policy["PolicyARN"], properties)
                self.observer.alarms.put_metric_alarm(**alarm)
        except ClientError as error:
            if not (scaling.is_gone(error) or error_code(error) == _BUSY):
                raise
            LOG.info("the endpoint %s scales next time: %s", self._endpoint, _message(error))

    def _stop_scaling(self, _step: StopScaling) -> None:
        scaling.deregister(self.observer.scaling, self._endpoint)

    def _send_samples(self, step: SendSamples) -> None:
        try:
            test = smoke.read(self.client("s3"), step.version.smoke_test)
        except smoke.SmokeTestError as error:
            LOG.error("no sample requests: %s", error)
            return

        def is_changing() -> bool:
            endpoint = self.observer.endpoint(self._endpoint)
            return endpoint is not None and endpoint.is_changing

        sent = smoke.send_samples(self._asks, self._endpoint, test, is_changing, self.deadline)
        LOG.info("sent %d sample requests to %s", sent, self._endpoint)

    # Rejection and removal

    def _reject(self, step: Reject) -> None:
        if not self.observer.is_approved(step.version.arn):
            LOG.info("version %d is no longer approved", step.version.number)
            return
        reason = " ".join(step.reason.split())
        LOG.error("version %d is rejected: %s", step.version.number, reason)
        self._sagemaker.update_model_package(
            ModelPackageArn=step.version.arn,
            ModelApprovalStatus="Rejected",
            ApprovalDescription=reason[:_DESCRIPTION_LENGTH],
        )

    def _delete_config(self, step: DeleteConfig) -> None:
        self._unless_gone("delete_endpoint_config", EndpointConfigName=step.config.name)

    def _delete_model(self, step: DeleteModel) -> None:
        self._unless_gone("delete_model", ModelName=model_name(step.number, self._endpoint))

    def _create(self, operation: str, request: Json) -> None:
        """Create something, unless it exists; whose it is then, the next call of us reads."""
        self._call(operation, request, lambda error: bool(_EXISTS.search(_message(error))))

    def _unless_gone(self, operation: str, **request: Any) -> None:
        """Change or delete something that may be gone, or be changing."""
        self._call(operation, request, lambda error: is_not_found(error) or _is_in_progress(error))

    def _call(self, operation: str, request: Json, is_done: Callable[[ClientError], bool]) -> None:
        """Call SageMaker; the work of another call of the function is not an error."""
        name = next(value for value in request.values() if isinstance(value, str))
        LOG.info("%s %s", operation, name)
        try:
            getattr(self._sagemaker, operation)(**request)
        except ClientError as error:
            if not is_done(error):
                raise
            LOG.info("%s %s: %s", operation, name, _message(error))


def _is_in_progress(error: ClientError) -> bool:
    """Tell whether SageMaker refused to change an endpoint that is changing.

    The code is that of a malformed request; the message is "Cannot update in-progress endpoint ..."
    """
    return error_code(error) == _INVALID and bool(_IN_PROGRESS.search(_message(error)))


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


_ACTIONS: Final[Mapping[type[Step], Callable[[Actor, Any], None]]] = {
    Wait: Actor._wait,
    Complain: Actor._complain,
    AskTrial: Actor._ask_trial,
    MarkServed: Actor._mark_served,
    MarkFailed: Actor._mark_failed,
    StartTrial: Actor._start_trial,
    DeleteTrial: Actor._delete_trial,
    Deploy: Actor._deploy,
    Scale: Actor._scale,
    StopScaling: Actor._stop_scaling,
    SendSamples: Actor._send_samples,
    Reject: Actor._reject,
    DeleteConfig: Actor._delete_config,
    DeleteModel: Actor._delete_model,
}
