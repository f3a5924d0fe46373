"""A pipeline that is watched, with `watch_model` around its executions, endpoint and table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.shared.names import SEED_OWNER
from functions.shared.properties import field_names, property_name
from functions.watch_model.handler import handler
from functions.watch_model.properties import WatchModelProperties
from tests.functions.fakes.executions import FakeExecutions, Started
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import _WHEN, Run
from tests.functions.recorder import arn
from tests.functions.world import Context, World

PIPELINE = "demo-4f2a"
BESIDE = f"{PIPELINE}-predict"
BUCKET = "demo-data"
TABLE = "raw/data.csv"
ARCHIVE = f"s3://{BUCKET}/models/run1/model.tar.gz"
TIMEOUT_SECONDS = 60

NEW_DATA = WatchModelProperties(
    pipeline_name=PIPELINE, bucket=BUCKET, table_key=TABLE, new_data_minutes=10
)
DRIFT = WatchModelProperties(
    pipeline_name=PIPELINE,
    bucket=BUCKET,
    endpoint_name=PIPELINE,
    predictions_pipeline=BESIDE,
    drift_hours=24,
    capture_prefix="captured/",
    predictions_prefix="predictions/",
)

LABELS = "raw/_labels/"
QUALITY = replace(DRIFT, drift_hours=0, quality_days=3, labels_prefix=LABELS)


def as_event(properties: WatchModelProperties) -> dict[str, str]:
    """Return what a rule passes to the function."""
    names = field_names(WatchModelProperties)
    return {property_name(name): str(getattr(properties, name)) for name in names}


def report(*drifted: str, rows: int = 480) -> dict[str, Any]:
    """Return a `drift.json` in which some of four columns drifted."""
    columns = [
        {"name": name, "psi": 0.5 if name in drifted else 0.05, "psi_limit": 0.2}
        for name in ("age", "plan", "visits", "since")
    ]
    return {"rows": rows, "drifted": list(drifted), "columns": columns}


def quality_report(value: float | None = 0.8125, **more: Any) -> dict[str, Any]:
    """Return a `quality.json`."""
    counts = {"rows": 480, "labeled": 320, "conflicting": 0, "unidentified": 0, "refused": 0}
    unknown: dict[str, Any] = {"labels": 0, "examples": {}}
    return {"metric": "roc_auc", "value": value, **counts, "unknown": unknown, **more}


@dataclass
class Watching:
    """The function's world, and shortcuts to what people and time do."""

    world: World
    s3: FakeS3
    sagemaker: FakeExecutions
    capsys: pytest.CaptureFixture[str]
    properties: WatchModelProperties
    printed: list[dict[str, Any]] = field(default_factory=list)

    def wake(self) -> None:
        """Run the function for one event, and keep what it printed."""
        clock = self.world.clock
        handler(as_event(self.properties), Context(clock, clock.now + TIMEOUT_SECONDS))
        self.printed += [json.loads(one) for one in self.capsys.readouterr().out.splitlines()]

    def wait(self, minutes: float = 5) -> None:
        self.world.clock.sleep(60 * minutes)

    def settle(self, hours: float = 1) -> None:
        """Let the function be woken every five minutes, and once more each time."""
        for _ in range(int(12 * hours)):
            self.wake()
            self.wake()
            self.wait()

    @property
    def now(self) -> datetime:
        return _WHEN + timedelta(seconds=self.world.clock.now)

    def upload(self, body: bytes = b"a,b\n", *, seeded: bool = False) -> None:
        """Write the table, as a person or as the deployment does."""
        marks = {SEED_OWNER: "0" * 64} if seeded else {}
        self.s3.put(BUCKET, TABLE, body, marks).modified = self.now

    def capture(self, hour: datetime | None = None, variant: str = "AllTraffic") -> None:
        """Store a request, now or in another hour."""
        at = hour or self.now
        key = f"captured/{PIPELINE}/{variant}/{at:%Y/%m/%d/%H}/00-00-1.jsonl"
        self.s3.put(BUCKET, key, b"{}")

    def serve(self, model: str = f"v1-{PIPELINE}") -> None:
        """Serve a model; that of version 1 is from the registry."""
        package = self.sagemaker.register(PIPELINE, {})
        self.sagemaker.packages[package]["InferenceSpecification"] = {
            "Containers": [{"Image": "image", "ModelDataUrl": ARCHIVE}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
        self.sagemaker.make("Model", model, {}, package=package)
        self.sagemaker.make("EndpointConfig", "config", {}, models=[model])
        self.sagemaker.make("Endpoint", PIPELINE, {}, config="config", status="InService")

    def runs(self, pipeline: str = PIPELINE) -> list[Started]:
        """Return what a pipeline's executions were started with, oldest first."""
        return [self.sagemaker.started[run.arn] for run in self.sagemaker.of(pipeline)]

    def end(self, status: str = "Succeeded", pipeline: str = PIPELINE) -> Run:
        """End a pipeline's newest execution."""
        run = self.sagemaker.of(pipeline)[-1]
        run.status = status
        return run

    def end_check(self, found: dict[str, Any] | None) -> None:
        """End the newest check, with a report unless it is lost."""
        identity = self.end(pipeline=BESIDE).arn.rpartition("/")[2]
        if found is not None:
            kind = "quality" if "value" in found else "drift"
            key = f"predictions/{identity}/{kind}/{kind}.json"
            self.s3.put(BUCKET, key, json.dumps(found).encode())


def watching(
    world: World, capsys: pytest.CaptureFixture[str], properties: WatchModelProperties
) -> Watching:
    """Put the services in place."""
    s3, sagemaker = FakeS3(BUCKET), FakeExecutions(world.clock)
    for name in (PIPELINE, BESIDE):
        sagemaker.pipelines[name] = {"PipelineName": name, "PipelineArn": arn("sagemaker", name)}
    world.backed_by(s3=s3, sagemaker=sagemaker)
    return Watching(world, s3, sagemaker, capsys, properties)
