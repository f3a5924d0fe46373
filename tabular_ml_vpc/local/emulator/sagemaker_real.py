"""Lets the emulated SageMaker run real jobs and endpoints.

`process.start(..., jobs=...)` enables it with `--jobs=FOLDER`, the job environment.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path
from urllib.parse import unquote

from ministack import app

from tabular_ml_vpc.local import serving
from tabular_ml_vpc.local.emulator import sagemaker_api, sagemaker_runs
from tabular_ml_vpc.local.emulator.sagemaker_api import STORE, denial, operate
from tabular_ml_vpc.local.emulator.sagemaker_endpoints import Endpoints, Server
from tabular_ml_vpc.local.emulator.sagemaker_executions import Executions
from tabular_ml_vpc.local.emulator.sagemaker_jobs import Jobs
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields
from tabular_ml_vpc.local.jobs import LocalJobError
from tabular_ml_vpc.local.sandbox import find

INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
LARGEST_BODY = 6 * 1024 * 1024
OK = 200
SERVER_ERROR = 500


def register(environment: Path) -> None:
    """Run jobs in the environment in that folder; raises `SandboxError` if it does not run."""
    runtime = find(environment)
    root = Path(tempfile.gettempdir()) / "jobs"
    jobs = Jobs(runtime, root)
    endpoints = Endpoints(STORE, runtime, root)
    sagemaker_runs.REAL.append(Executions(STORE, operate, jobs))
    sagemaker_api.AFTER.update(
        CreateProcessingJob=jobs.start,
        CreateTrainingJob=jobs.start,
        CreateEndpoint=endpoints.create,
        UpdateEndpoint=endpoints.update,
        DeleteEndpoint=endpoints.delete,
    )
    for kind in ("ProcessingJob", "TrainingJob"):
        sagemaker_api.SPECIAL[f"Stop{kind}"] = _stopper(jobs, kind)
    _answer_invocations(endpoints)


def _stopper(jobs: Jobs, kind: str) -> sagemaker_api.ApiOperation:
    def stop(request: Fields) -> Fields:
        jobs.stop(sagemaker_api.named(kind, request))
        return {}

    return stop


def _answer_invocations(endpoints: Endpoints) -> None:
    """Also answer requests to SageMaker Runtime: they are signed for the same service."""
    control = sagemaker_api.handle

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Fields
    ) -> ApiResponse:
        found = INVOCATION.fullmatch(path)
        if found is None:
            return await control(method, path, headers, body, query)
        name = unquote(found[1])
        denied = denial("InvokeEndpoint", {"EndpointName": name}, headers, query)
        if denied is not None:
            return denied
        try:
            record = sagemaker_api.named("Endpoint", {"EndpointName": name})
            server = endpoints.server(record)
        except ApiError as error:
            return _error(400, "ValidationError", {"Message": str(error)})
        if len(body) > LARGEST_BODY:
            return _error(413, "ValidationError", {"Message": "the body is larger than 6 MB"})
        return await asyncio.to_thread(_invoke, server, headers, body)

    app.SERVICE_HANDLERS["sagemaker"] = handle


def _invoke(server: Server, headers: dict[str, str], body: bytes) -> ApiResponse:
    content_type = headers.get("content-type", "application/octet-stream")
    accept = headers.get("x-amzn-sagemaker-accept") or headers.get("accept", "*/*")
    try:
        answer = server.invoke(body, content_type, accept)
    except LocalJobError as error:
        return _error(424, "ModelError", _model_error(500, str(error)))
    if answer.status != OK:
        return _rejected(answer)
    answered = {
        "Content-Type": answer.content_type,
        "x-Amzn-Invoked-Production-Variant": server.variant,
    }
    return 200, answered, answer.body


def _rejected(answer: serving.EndpointResponse) -> ApiResponse:
    text = answer.body.decode("utf-8", errors="replace")
    return _error(424, "ModelError", _model_error(answer.status, text))


def _model_error(status: int, text: str) -> Fields:
    whose = "server" if status >= SERVER_ERROR else "client"
    return {
        "ErrorCode": f"{'INTERNAL' if status >= SERVER_ERROR else 'CLIENT'}_ERROR_FROM_MODEL",
        "LogStreamArn": "",
        "Message": f'Received {whose} error ({status}) from primary with message "{text}".',
        "OriginalMessage": text,
        "OriginalStatusCode": status,
    }


def _error(status: int, code: str, content: Fields) -> ApiResponse:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps(content).encode()
