"""What each type of step creates on this machine, with names like those of the service.

`LocalService.runners()` maps each step type to its runner; an emulator of more of AWS replaces some
of them. A runner returns what the matching Describe operation would ("API_Describe...").
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pipeline.types import Json
from tabular_ml_vpc.local.jobs import Job, JobHost, LocalJobError, run_processing, run_training
from tabular_ml_vpc.local.record import StepRecord, now
from tabular_ml_vpc.local.serving import Endpoint, deploy

_NAME_CHARACTERS: Final = 63
_SUFFIX_BYTES: Final = 5


@dataclass(frozen=True)
class Call:
    """One step to run: its resolved request, and the record to complete."""

    execution_id: str
    request: Json
    record: StepRecord

    def name(self, base: str = "") -> str:
        """A unique name like those of the service; without a base, it has the run's id."""
        base = base or f"pipelines-{self.execution_id}-{self.record.name}"
        suffix = secrets.token_hex(_SUFFIX_BYTES)
        return f"{base[: _NAME_CHARACTERS - len(suffix) - 1]}-{suffix}"


Runner = Callable[[Call], Json]


@dataclass
class LocalService:
    """Jobs, models and endpoints of one or more runs, in memory; their files are in `place`."""

    place: JobHost
    region: str = "eu-west-1"
    account: str = "123456789012"
    attached: bool = True
    """Whether endpoints end when this process ends."""
    models: dict[str, Json] = field(default_factory=dict)
    endpoint_configs: dict[str, Json] = field(default_factory=dict)
    model_packages: list[Json] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def runners(self) -> dict[str, Runner]:
        """The runner of each type of step."""
        return {
            "Processing": self._processing,
            "Training": self._training,
            "Model": self._model,
            "RegisterModel": self._register,
            "EndpointConfig": self._endpoint_config,
            "Endpoint": self._endpoint,
        }

    def stop(self) -> None:
        """End all endpoints."""
        for endpoint in self.endpoints.values():
            endpoint.stop()
        self.endpoints.clear()

    def _processing(self, call: Call) -> Json:
        name = call.name()
        job = self._job(name, call)
        request = call.request | {"ProcessingJobName": name}
        arn = self._arn(f"processing-job/{name}")
        call.record.metadata = {"ProcessingJob": {"Arn": arn}}
        message = _measured(call, job, lambda: run_processing(job, request))
        return request | {
            "ProcessingJobArn": arn,
            "ProcessingJobStatus": "Completed",
            "ExitMessage": message,
        }

    def _training(self, call: Call) -> Json:
        name = call.name()
        job = self._job(name, call)
        request = call.request | {"TrainingJobName": name}
        arn = self._arn(f"training-job/{name}")
        call.record.metadata = {"TrainingJob": {"Arn": arn}}
        model = _measured(call, job, lambda: run_training(job, request))
        return request | {
            "TrainingJobArn": arn,
            "TrainingJobStatus": "Completed",
            "ModelArtifacts": {"S3ModelArtifacts": model},
        }

    def _model(self, call: Call) -> Json:
        name = call.name()
        arn = self._arn(f"model/{name}")
        call.record.metadata = {"Model": {"Arn": arn}}
        self.models[name] = call.request | {"ModelName": name, "ModelArn": arn}
        return self.models[name]

    def _register(self, call: Call) -> Json:
        group = call.request["ModelPackageGroupName"]
        version = 1 + sum(item["ModelPackageGroupName"] == group for item in self.model_packages)
        arn = self._arn(f"model-package/{group}/{version}")
        call.record.metadata = {"RegisterModel": {"Arn": arn}}
        package = call.request | {
            "ModelPackageArn": arn,
            "ModelPackageVersion": version,
            "ModelPackageStatus": "Completed",
            "CreationTime": now().isoformat(),
        }
        self.model_packages.append(package)
        return package

    def _endpoint_config(self, call: Call) -> Json:
        name = call.name(call.request["EndpointConfigName"])
        arn = self._arn(f"endpoint-config/{name}")
        call.record.metadata = {"EndpointConfig": {"Arn": arn}}
        described = {"EndpointConfigName": name, "EndpointConfigArn": arn}
        self.endpoint_configs[name] = call.request | described
        return self.endpoint_configs[name]

    def _endpoint(self, call: Call) -> Json:
        """Create the endpoint, or start the new model before stopping the old one."""
        name = call.request["EndpointName"]
        config = self.endpoint_configs[call.request["EndpointConfigName"]]
        model = self.models[config["ProductionVariants"][0]["ModelName"]]
        call.record.metadata = {"Endpoint": {"Arn": self._arn(f"endpoint/{name}")}}
        job = self._job(call.name(name), call)
        isolated = bool(model.get("EnableNetworkIsolation"))
        endpoint = deploy(job, model["PrimaryContainer"], isolated, self.attached)
        before = self.endpoints.pop(name, None)
        self.endpoints[name] = endpoint
        if before is not None:
            before.stop()
        return call.request | {
            "EndpointArn": self._arn(f"endpoint/{name}"),
            "EndpointStatus": "InService",
        }

    def _job(self, name: str, call: Call) -> Job:
        job = self.place.job(name)
        call.record.log = job.log
        if job.folder.exists():
            raise LocalJobError(f"the job {name} already exists")
        return job

    def _arn(self, resource: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{resource}"


def _measured(call: Call, job: Job, run: Callable[[], str]) -> str:
    """Run a job and record what it used, whether or not it succeeds."""
    try:
        return run()
    finally:
        call.record.metrics = job.usage
