"""Processing and training jobs: fills their folders, runs their processes, stores their outputs.

Sources: the developer guide's "How Amazon SageMaker Processing Configures Your Processing
Container", "How Amazon SageMaker Provides Training Information" and "How Amazon SageMaker
Processes Training Output".
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.types import Json
from tabular_ml_vpc.local.sandbox import (
    HOST_NAME,
    OPT_ML,
    USAGE,
    Command,
    Mount,
    Process,
    Runtime,
    image_environment,
    start,
)
from tabular_ml_vpc.local.store import ObjectStore, StoreError

_REASON_CHARACTERS: Final = 1024
_TRAINING_MODULE: Final = "sagemaker_pytorch_container.training:main"
_DEFAULT_SECONDS: Final = 24 * 3600
_TOOLKIT_MESSAGE: Final = re.compile(r'ErrorMessage "(.*)"\s*Command', re.DOTALL)


class LocalJobError(Exception):
    """A job failed; the message is its failure reason."""


@dataclass(frozen=True)
class JobHost:
    """Where jobs run: the runtime, the store, and the folder that contains one folder per job."""

    runtime: Runtime
    store: ObjectStore
    root: Path
    started: Callable[[Process], None] = lambda _process: None
    """Called with each job's process, so that others can end it."""

    def job(self, name: str) -> Job:
        """The folders of a job."""
        return Job(self, self.root / name)


@dataclass(frozen=True)
class Job:
    """One job's folders: `ml` is its /opt/ml."""

    place: JobHost
    folder: Path

    @property
    def ml(self) -> Path:
        """The folder that the process sees as /opt/ml."""
        return self.folder / "ml"

    @property
    def scratch(self) -> Path:
        """The folder for the process's temporary files."""
        return self.folder / "scratch"

    @property
    def log(self) -> Path:
        """The file with everything that the process wrote."""
        return self.folder / "log.txt"

    @property
    def usage(self) -> dict[str, float]:
        """What the process used: `cpu_seconds`, and `peak_bytes` of its largest process."""
        text = _text(self.folder / USAGE)
        found: dict[str, float] = json.loads(text) if text else {}
        return found

    def clear(self) -> None:
        """Delete all but the log, as the service does: the outputs are already stored."""
        shutil.rmtree(self.ml)
        shutil.rmtree(self.scratch)

    def inner(self, path: str) -> Path:
        """The folder on this machine that the process sees as `path`, under /opt/ml."""
        if not path.startswith(OPT_ML + "/") or ".." in path:
            raise LocalJobError(f"{path} is not under {OPT_ML}")
        return self.ml / path.removeprefix(OPT_ML + "/")


def run_processing(job: Job, request: Json) -> str:
    """Run a processing job from a `CreateProcessingJob` request; returns its exit message.

    Raises:
        LocalJobError: an input is missing, or the process failed or took too long.

    """
    for item in request.get("ProcessingInputs", []):
        source = item["S3Input"]
        _fetch(job, source["S3Uri"], job.inner(source["LocalPath"]))
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for item in outputs:
        job.inner(item["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    (job.ml / "output").mkdir(parents=True, exist_ok=True)
    _write_json(job.ml / "config" / "processingjobconfig.json", request)
    _write_json(job.ml / "config" / "resourceconfig.json", _resources())
    _run(job, _processing_command(job, request), _seconds(request))
    for item in outputs:
        target = item["S3Output"]
        job.place.store.put_folder(job.inner(target["LocalPath"]), target["S3Uri"])
    message = _text(job.ml / "output" / "message")
    job.clear()
    return message


def run_training(job: Job, request: Json) -> str:
    """Run a training job from a `CreateTrainingJob` request; returns its model archive's URI.

    Raises:
        LocalJobError: an input is missing, or the process failed, took too long or wrote no model.

    """
    for channel in request.get("InputDataConfig", []):
        folder = job.ml / "input" / "data" / channel["ChannelName"]
        _fetch(job, channel["DataSource"]["S3DataSource"]["S3Uri"], folder)
    for name in ("model", "output/data"):
        (job.ml / name).mkdir(parents=True, exist_ok=True)
    _write_training_configuration(job, request)
    _run(job, _training_command(job, request), _seconds(request))
    if not any((job.ml / "model").iterdir()):
        raise LocalJobError("the job succeeded but wrote no model to /opt/ml/model")
    base = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    uri = f"{base}/{request['TrainingJobName']}/output/model.tar.gz"
    archive = job.folder / "model.tar.gz"
    _pack(job.ml / "model", archive)
    job.place.store.put_file(archive, uri)
    archive.unlink()
    job.clear()
    return uri


def fetch_model(job: Job, uri: str) -> None:
    """Unpack a model archive where a serving container looks for it."""
    _fetch(job, uri, job.folder / "archive")
    target = job.ml / "model"
    target.mkdir(parents=True, exist_ok=True)
    archive = job.folder / "archive" / uri.rpartition("/")[2]  # the URI is fetched as a prefix
    try:
        with tarfile.open(archive) as packed:
            packed.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise LocalJobError(f"{uri} is not a model archive (tar.gz): {error}") from error


def _fetch(job: Job, uri: str, folder: Path) -> None:
    try:
        job.place.store.fetch(uri, folder)
    except StoreError as error:
        raise LocalJobError(f"Data download failed: {error}") from error


def _processing_command(job: Job, request: Json) -> Command:
    specification = request["AppSpecification"]
    words = [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]
    name = request["ProcessingJobName"]
    variables = {"PROCESSING_JOB_NAME": name, **request.get("Environment", {})}
    offline = bool(request.get("NetworkConfig", {}).get("EnableNetworkIsolation"))
    return _command(job, words, variables, offline)


def _training_command(job: Job, request: Json) -> Command:
    variables = {
        "TRAINING_JOB_NAME": request["TrainingJobName"],
        "SAGEMAKER_TRAINING_MODULE": _TRAINING_MODULE,
        **request.get("Environment", {}),
    }
    return _command(job, ["train"], variables, bool(request.get("EnableNetworkIsolation")))


def _command(job: Job, words: list[str], variables: Mapping[str, str], offline: bool) -> Command:
    runtime = job.place.runtime
    base = {} if runtime.abilities.mounts else {"SAGEMAKER_BASE_DIR": str(job.ml)}
    return Command(
        arguments=[runtime.translate(word, job.ml) for word in words],
        environment=image_environment(runtime, job.scratch) | base | dict(variables),
        folder=job.ml,
        scratch=job.scratch,
        log=job.log,
        offline=offline,
        mounts=[Mount(_hosts(job), "/etc/hosts")],
    )


def _run(job: Job, command: Command, seconds: int) -> None:
    process = start(job.place.runtime, command)
    try:
        job.place.started(process)
        code = process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        raise LocalJobError(f"the job took longer than MaxRuntimeInSeconds, {seconds} s") from error
    finally:
        process.end()
    if code:
        raise LocalJobError(_failure(job, code))


def _failure(job: Job, code: int) -> str:
    """The reason in the service's form: the job's failure file, at most 1 KB of it."""
    reason = _text(job.ml / "output" / "failure") or _text(job.ml / "output" / "message")
    reason = reason or f"the process ended with exit status {code}"
    return f"AlgorithmError: {reason}"[:_REASON_CHARACTERS]


def plain_reason(reason: str) -> str:
    """A failure reason without the training toolkit's text around a script's message."""
    found = _TOOLKIT_MESSAGE.search(reason)
    return found[1].strip() if found else reason.removeprefix("AlgorithmError: ")


def _write_training_configuration(job: Job, request: Json) -> None:
    folder = job.ml / "input" / "config"
    runtime = job.place.runtime
    settings = request.get("HyperParameters", {})
    _write_json(
        folder / "hyperparameters.json",
        {name: runtime.translate(value, job.ml) for name, value in settings.items()},
    )
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        for channel in request.get("InputDataConfig", [])
    }
    _write_json(folder / "inputdataconfig.json", channels)
    # Without our /etc/hosts, the toolkit waits 15 minutes for the service's host name.
    host = HOST_NAME if runtime.abilities.mounts else "localhost"
    _write_json(folder / "resourceconfig.json", _resources(host))


def _resources(host: str = HOST_NAME) -> Json:
    return {
        "current_host": host,
        "hosts": [host],
        "current_instance_type": "local",
        "current_group_name": "homogeneousCluster",
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "local", "hosts": [host]}
        ],
        "network_interface_name": "lo",
    }


def _hosts(job: Job) -> Path:
    file = job.folder / "hosts"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"127.0.0.1 localhost {HOST_NAME}\n", encoding="ascii")
    return file


def _pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=6) as packed:
        for item in sorted(folder.iterdir()):
            packed.add(item, item.name)


def _seconds(request: Json) -> int:
    return int(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_SECONDS))


def _write_json(file: Path, content: Json) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
