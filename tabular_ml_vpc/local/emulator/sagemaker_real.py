"""Lets the emulated SageMaker run real jobs and endpoints.

`process.start(..., jobs=...)` enables it with `--jobs=FOLDER`, the job environment.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tabular_ml_vpc.local.emulator import sagemaker_api, sagemaker_runs, sagemaker_runtime
from tabular_ml_vpc.local.emulator.sagemaker_api import operate
from tabular_ml_vpc.local.emulator.sagemaker_executions import Executions
from tabular_ml_vpc.local.emulator.sagemaker_jobs import Jobs
from tabular_ml_vpc.local.emulator.sagemaker_servers import Servers
from tabular_ml_vpc.local.emulator.sagemaker_store import STORE, named
from tabular_ml_vpc.local.emulator.types import Fields
from tabular_ml_vpc.local.sandbox import find


def register(environment: Path) -> None:
    """Run jobs in the environment in that folder; raises `SandboxError` if it does not run."""
    runtime = find(environment)
    root = Path(tempfile.gettempdir()) / "jobs"
    jobs = Jobs(runtime, root)
    sagemaker_runs.REAL.append(Executions(STORE, operate, jobs))
    sagemaker_api.AFTER.update(
        CreateProcessingJob=jobs.start,
        CreateTrainingJob=jobs.start,
    )
    for kind in ("ProcessingJob", "TrainingJob"):
        sagemaker_api.SPECIAL[f"Stop{kind}"] = _stopper(jobs, kind)
    sagemaker_runtime.register(Servers(runtime, root))


def _stopper(jobs: Jobs, kind: str) -> sagemaker_api.ApiOperation:
    def stop(request: Fields) -> Fields:
        jobs.stop(named(kind, request))
        return {}

    return stop
