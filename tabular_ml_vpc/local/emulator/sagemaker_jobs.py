"""Processing and training jobs of the emulated SageMaker as real processes on this machine.

`CreateProcessingJob` and `CreateTrainingJob` start the jobs of `tabular_ml_vpc.local`, which read
scripts and data from the emulated S3 and write results to it with the permissions of the job's
role; the log goes to the emulated CloudWatch Logs. Statuses and times as in
"API_DescribeProcessingJob" and "API_DescribeTrainingJob".
"""

from __future__ import annotations

import contextvars
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tabular_ml_vpc.local.emulator.job_logs import GROUPS, Shipment
from tabular_ml_vpc.local.emulator.job_store import RoleStore
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record
from tabular_ml_vpc.local.emulator.types import Fields
from tabular_ml_vpc.local.jobs import Job, JobHost, LocalJobError, run_processing, run_training
from tabular_ml_vpc.local.sandbox import Process, Runtime, SandboxError
from tabular_ml_vpc.local.store import StoreError

FAILURES = (LocalJobError, StoreError, SandboxError, OSError)


@dataclass
class RunningJob:
    """A job that has started: its process, if any, and whether it is stopping."""

    process: Process | None = None
    stopping: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, process: Process) -> None:
        """Set the process; if the job is already stopping, the process ends at once."""
        with self.lock:
            self.process = process
        if self.stopping:
            process.end()

    def stop(self) -> None:
        """End the process."""
        with self.lock:
            self.stopping = True
        if self.process is not None:
            self.process.end()


class Jobs:
    """The jobs of one emulator; their folders are under `root`."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        """Start without jobs."""
        self.runtime = runtime
        self.root = root
        self._running: dict[str, RunningJob] = {}

    def start(self, record: Record) -> None:
        """Start the job that a record describes, and keep the record up to date."""
        kind = record.kind.name
        running = self._running[record.arn] = RunningJob()
        record.fields[record.kind.status_field] = "InProgress"
        record.fields[f"{kind.removesuffix('Job')}StartTime"] = time.time()
        if kind == "TrainingJob":
            record.fields["SecondaryStatus"] = "Training"
            record.fields["ModelArtifacts"] = {"S3ModelArtifacts": _model_uri(record.fields)}
        in_background(lambda: self._run(record, running))

    def wait(self, arn: str, seconds: float) -> bool:
        """Wait for a job at most this long; return whether it has ended."""
        return self._running[arn].done.wait(seconds)

    def stop(self, record: Record) -> None:
        """Stop a running job; raises `ApiError` if it is not running."""
        running = self._running.get(record.arn)
        if running is None or running.done.is_set():
            raise ApiError("ValidationException", f"{record.arn} is not running")
        record.fields[record.kind.status_field] = "Stopping"
        in_background(running.stop)

    def _run(self, record: Record, running: RunningJob) -> None:
        fields, kind = record.fields, record.kind.name
        name = fields[f"{kind}Name"]
        folder = self.root / name
        stream = f"{name}/algo-1-{int(fields['CreationTime'])}"
        shipment = Shipment(folder / "log.txt", GROUPS[kind], stream)
        status, found = "Completed", {}
        try:
            found = self._do(record, running)
        except FAILURES as error:
            status = "Stopped" if running.stopping else "Failed"
            found = {} if running.stopping else {"FailureReason": str(error)}
        finally:
            shipment.end()  # the log is complete before the status says that the job has ended
            shutil.rmtree(folder, ignore_errors=True)
            _end(record, status, found)
            running.done.set()

    def _do(self, record: Record, running: RunningJob) -> Fields:
        """Run the job to its end; return the fields to add to its description."""
        fields, kind = record.fields, record.kind.name
        name = fields[f"{kind}Name"]
        output = fields.get("OutputDataConfig") or fields.get("ProcessingOutputConfig") or {}
        store = RoleStore(fields["RoleArn"], name, output.get("KmsKeyId", ""))
        job = Job(JobHost(self.runtime, store, self.root, running.take), self.root / name)
        if kind == "ProcessingJob":
            message = run_processing(job, fields)
            return {"ExitMessage": message} if message else {}
        return {"ModelArtifacts": {"S3ModelArtifacts": run_training(job, fields)}}


def _model_uri(fields: Fields) -> str:
    place = fields["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{place}/{fields['TrainingJobName']}/output/model.tar.gz"


def _end(record: Record, status: str, found: Fields) -> None:
    fields, now = record.fields, time.time()
    family = record.kind.name.removesuffix("Job")
    ended: Fields = {f"{family}EndTime": now, "LastModifiedTime": now}
    if family == "Training":
        seconds = max(int(now - fields["TrainingStartTime"]), 1)
        ended |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        ended["SecondaryStatus"] = status
    fields.update(ended | found)
    fields[record.kind.status_field] = status


def in_background(work: Callable[[], None]) -> None:
    """Run something in a thread, with the account and region of the request."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), daemon=True).start()
