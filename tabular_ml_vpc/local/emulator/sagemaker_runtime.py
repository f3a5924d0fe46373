"""Endpoints of the emulated SageMaker, and the requests to them.

Answers and errors as in "API_runtime_InvokeEndpoint".
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from urllib.parse import unquote

from ministack import app

from tabular_ml_vpc.local import serving
from tabular_ml_vpc.local.emulator import asynchronous, sagemaker_api
from tabular_ml_vpc.local.emulator.sagemaker_api import denial
from tabular_ml_vpc.local.emulator.sagemaker_endpoints import Endpoints
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, named
from tabular_ml_vpc.local.emulator.sagemaker_traffic import Launcher, Traffic
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields
from tabular_ml_vpc.local.jobs import LocalJobError

INVOCATION = re.compile(r"/endpoints/([^/]+)/(async-)?invocations")
LARGEST_BODY = 6 * 1024 * 1024
OK = 200
SERVER_ERROR = 500


def register(launcher: Launcher) -> None:
    """Serve endpoints with fleets of this launcher.

    Requests to SageMaker Runtime are signed for the same service as the others.
    """
    endpoints = Endpoints(launcher)
    control = sagemaker_api.handle
    sagemaker_api.AFTER.update(CreateEndpoint=endpoints.create, DeleteEndpoint=endpoints.delete)
    sagemaker_api.SPECIAL.update(
        UpdateEndpoint=endpoints.update, UpdateEndpointWeightsAndCapacities=endpoints.scale
    )

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Fields
    ) -> ApiResponse:
        found = INVOCATION.fullmatch(path)
        if found is None:
            return await control(method, path, headers, body, query)
        name = unquote(found[1])
        operation = "InvokeEndpointAsync" if found[2] else "InvokeEndpoint"
        denied = denial(operation, {"EndpointName": name}, headers, query)
        if denied is not None:
            return denied
        try:
            record = named("Endpoint", {"EndpointName": name})
            traffic = endpoints.traffic(record)
            if found[2]:
                answers = partial(_ask, traffic)
                return asynchronous.accept(record, headers, endpoints.scale, answers)
            if asynchronous.SETTING in record.fields:
                raise ApiError("ValidationError", f"{name} takes asynchronous requests only")
        except ApiError as error:
            return _error(400, "ValidationError", {"Message": str(error)})
        if len(body) > LARGEST_BODY:
            return _error(413, "ValidationError", {"Message": "the body is larger than 6 MB"})
        return await asyncio.to_thread(_invoke, traffic, headers, body)

    app.SERVICE_HANDLERS["sagemaker"] = handle


def _invoke(traffic: Traffic, headers: dict[str, str], body: bytes) -> ApiResponse:
    content_type = headers.get("content-type", "application/octet-stream")
    accept = headers.get("x-amzn-sagemaker-accept") or headers.get("accept", "*/*")
    try:
        with traffic.request() as fleet:
            answer, variant = fleet.invoke(body, content_type, accept), fleet.variant
    except LocalJobError as error:
        return _error(424, "ModelError", _model_error(500, str(error)))
    if answer.status != OK:
        return _rejected(answer)
    answered = {
        "Content-Type": answer.content_type,
        "x-Amzn-Invoked-Production-Variant": variant,
    }
    return 200, answered, answer.body


def _ask(traffic: Traffic, body: bytes, content_type: str, accept: str) -> tuple[int, bytes]:
    """Return the status and text of the model's answer; of a failure, status 0."""
    try:
        with traffic.request() as fleet:
            answer = fleet.invoke(body, content_type, accept)
    except LocalJobError as error:
        return 0, str(error).encode()
    if answer.status == OK:
        return OK, answer.body
    text = answer.body.decode("utf-8", errors="replace")
    return answer.status, str(_model_error(answer.status, text)["Message"]).encode()


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
