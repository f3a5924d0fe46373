"""Real model servers behind the endpoints, with their logs in the emulated CloudWatch."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tabular_ml_vpc.local.emulator.job_logs import ENDPOINTS, Shipment
from tabular_ml_vpc.local.emulator.job_store import RoleStore
from tabular_ml_vpc.local.emulator.sagemaker_packages import SERVED
from tabular_ml_vpc.local.emulator.sagemaker_store import Record, named, unique_id
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


@dataclass(frozen=True)
class Servers:
    """Launches servers; their folders are under `root`."""

    runtime: Runtime
    root: Path

    def takes_time(self, _config: Fields) -> bool:
        """A server always takes some seconds to start."""
        return True

    def launch(self, record: Record, config: Fields) -> Server:
        """Start a server with the model of a configuration; one stands for all instances."""
        variant = config["ProductionVariants"][0]
        model = named("Model", variant).fields
        name = record.fields["EndpointName"]
        folder = self.root / f"{name}-{unique_id('', 8)}"
        store = RoleStore(model["ExecutionRoleArn"], name)
        job = Job(JobHost(self.runtime, store, self.root), folder)
        stream = f"{variant['VariantName']}/{unique_id('i-', 17)}"
        shipment = Shipment(job.log, f"{ENDPOINTS}/{name}", stream)
        try:
            isolated = bool(model.get("EnableNetworkIsolation"))
            endpoint = deploy(job, model[SERVED][0], isolated, attached=True)
        except BaseException:
            shipment.end()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Server(endpoint, folder, shipment, variant["VariantName"])
