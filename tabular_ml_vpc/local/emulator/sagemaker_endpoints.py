"""Endpoints of the emulated SageMaker as real model servers, and their requests.

Statuses as in "API_DescribeEndpoint"; answers and errors as in "API_runtime_InvokeEndpoint". After
a failed update, the endpoint still has its previous model, as on AWS.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabular_ml_vpc.local.emulator import endpoint_events
from tabular_ml_vpc.local.emulator.job_logs import ENDPOINTS, Shipment
from tabular_ml_vpc.local.emulator.job_store import RoleStore
from tabular_ml_vpc.local.emulator.sagemaker_jobs import FAILURES, in_background
from tabular_ml_vpc.local.emulator.sagemaker_store import ApiError, Record, Store, unique_id
from tabular_ml_vpc.local.emulator.types import Fields
from tabular_ml_vpc.local.jobs import Job, JobHost, LocalJobError
from tabular_ml_vpc.local.sandbox import Runtime
from tabular_ml_vpc.local.serving import Endpoint, EndpointResponse, deploy


@dataclass
class Server:
    """A model server, its files, and the shipment of its log to CloudWatch."""

    endpoint: Endpoint
    folder: Path
    shipment: Shipment
    config: str
    variant: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, body: bytes, content_type: str, accept: str) -> EndpointResponse:
        """Answer one request; a closed connection is opened again."""
        with self.lock:
            try:
                return self.endpoint.invoke(body, content_type, accept)
            except LocalJobError:
                return self.endpoint.invoke(body, content_type, accept)

    def stop(self) -> None:
        """Stop it, and delete its files."""
        self.endpoint.stop()
        self.shipment.end()
        shutil.rmtree(self.folder, ignore_errors=True)


class Endpoints:
    """The endpoints of one emulator; their folders are under `root`."""

    def __init__(self, store: Store, runtime: Runtime, root: Path) -> None:
        """Start without endpoints."""
        self._store, self._runtime, self._root = store, runtime, root
        self._servers: dict[str, Server] = {}

    def create(self, record: Record) -> None:
        """Start the model in a new endpoint's configuration."""
        record.fields["EndpointStatus"] = "Creating"
        in_background(lambda: self._bring_up(record))

    def update(self, record: Record) -> None:
        """Replace the model with that of the new configuration as soon as it is ready."""
        record.fields["EndpointStatus"] = "Updating"
        in_background(lambda: self._bring_up(record))

    def delete(self, record: Record) -> None:
        """Stop the server."""
        server = self._servers.pop(record.arn, None)
        if server is not None:
            in_background(server.stop)

    def server(self, record: Record) -> Server:
        """Return the server of an endpoint; raises `ApiError` if it is not ready."""
        found = self._servers.get(record.arn)
        if found is None:
            status = record.fields["EndpointStatus"]
            raise ApiError("ValidationError", f"{record.arn} cannot answer: it is {status}")
        return found

    def _bring_up(self, record: Record) -> None:
        before = self._servers.get(record.arn)
        try:
            server = self._serve(record)
        except (*FAILURES, ApiError) as error:
            _fail(record, before, str(error))
            return
        if record.gone_at:
            server.stop()
            return
        self._servers[record.arn] = server
        record.fields.pop("FailureReason", None)
        record.fields.update(
            EndpointStatus="InService",
            LastModifiedTime=time.time(),
            ProductionVariants=[
                {
                    "VariantName": server.variant,
                    "CurrentWeight": 1.0,
                    "DesiredWeight": 1.0,
                    "CurrentInstanceCount": 1,
                    "DesiredInstanceCount": 1,
                }
            ],
        )
        if before is not None:
            before.stop()

    def _serve(self, record: Record) -> Server:
        config = self._named("EndpointConfig", record.fields["EndpointConfigName"])
        variant = config["ProductionVariants"][0]
        model = self._named("Model", variant["ModelName"])
        name = record.fields["EndpointName"]
        folder = self._root / f"{name}-{unique_id('', 8)}"
        store = RoleStore(model["ExecutionRoleArn"], name)
        job = Job(JobHost(self._runtime, store, self._root), folder)
        stream = f"{variant['VariantName']}/{unique_id('i-', 17)}"
        shipment = Shipment(job.log, f"{ENDPOINTS}/{name}", stream)
        try:
            isolated = bool(model.get("EnableNetworkIsolation"))
            endpoint = deploy(job, model["PrimaryContainer"], isolated, attached=True)
        except BaseException:
            shipment.end()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Server(
            endpoint, folder, shipment, config["EndpointConfigName"], variant["VariantName"]
        )

    def _named(self, kind: str, name: str) -> Fields:
        found = self._store.find(kind, {f"{kind}Name": name})
        if found is None:
            raise ApiError("ValidationException", f'Could not find {kind} "{name}".')
        return found.fields


def _fail(record: Record, before: Server | None, reason: str) -> None:
    now: dict[str, Any] = {"LastModifiedTime": time.time(), "FailureReason": reason}
    if before is None:
        record.fields.update(EndpointStatus="Failed", **now)
    else:
        record.fields.update(EndpointStatus="InService", EndpointConfigName=before.config, **now)
    endpoint_events.publish(record, "Failed" if before is None else "RollingBack")
