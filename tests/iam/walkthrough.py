"""The calls of the notebook in `docs/studio-walkthrough.md`, made for real as far as the wire.

Its blocks run in one namespace, as in a notebook. boto3's own clients check every request against
the API's model; instead of sending it, an answer is made up.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import boto3

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from generator.files import REPOSITORY
from pipeline.definition import build
from pipeline.types import Json
from tests.iam.account import Account

WALKTHROUGH: Final = REPOSITORY / "docs/studio-walkthrough.md"

Call = tuple[str, Json]

_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVICES: Final = {"sagemaker-runtime": "sagemaker"}
"""The prefix of actions where it is not the client's name."""


def blocks() -> list[str]:
    """Return the notebook's cells."""
    return _BLOCK.findall(WALKTHROUGH.read_text())


def calls_of_notebook(account: Account) -> list[Call]:
    """Run the notebook; return operation, such as `s3:PutObject`, and parameters of each call."""
    notebook = _Notebook(account)
    code = "\n".join(blocks()).replace("import boto3\n", "")
    for output, value in notebook.outputs().items():
        code = code.replace(f"<output {output}>", value)
    exec(compile(code, str(WALKTHROUGH), "exec"), {"boto3": notebook})  # noqa: S102 - our own text
    return notebook.calls


@dataclass
class _Notebook:
    """Stands in for the module boto3."""

    account: Account
    calls: list[Call] = field(default_factory=list)

    def outputs(self) -> dict[str, str]:
        outputs: dict[str, str] = dict(self.account.deployment.outputs["root"])
        return outputs

    def client(self, service: str) -> Any:
        client = boto3.client(
            service,
            region_name=self.account.place.region,
            aws_access_key_id="none",
            aws_secret_access_key="none",
        )
        events = client.meta.events
        events.register("provide-client-params", self._record(_SERVICES.get(service, service)))
        events.register("before-call", self._answer)
        return client

    def _record(self, service: str) -> Callable[..., None]:
        def record(params: Json, model: Any, **_: object) -> None:
            self.calls.append((f"{service}:{model.name}", params))

        return record

    def _answer(self, model: Any, **_: object) -> tuple[Any, Json]:
        answer = {"ResponseMetadata": {"HTTPStatusCode": 200}, **self._answers(model.name)}
        return type("Sent", (), {"status_code": 200})(), answer

    def _answers(self, operation: str) -> Json:
        place, name = self.account.place, self.outputs()["PipelineName"]
        run = place.arn("sagemaker", f"pipeline/{name}/execution/abcdefghijkl")
        job = "job/pipelines-abcdefghijkl-x"
        steps = [
            {
                "StepName": "Preprocess",
                "Metadata": {"ProcessingJob": {"Arn": place.arn("sagemaker", f"processing-{job}")}},
            },
            {
                "StepName": "Train",
                "Metadata": {"TrainingJob": {"Arn": place.arn("sagemaker", f"training-{job}")}},
            },
        ]
        properties = self.account.deployment.get("pipeline", "Pipeline").properties
        package = place.arn("sagemaker", f"model-package/{name}/1")
        answers: dict[str, Json] = {
            "DescribeLogStreams": {"logStreams": [{"logStreamName": "pipelines-x/algo-1"}]},
            "DescribePipeline": {
                "PipelineDefinition": json.dumps(build(from_event(PipelineProperties, properties)))
            },
            "GetObject": {"Body": io.BytesIO(b"")},
            "ListModelPackages": {"ModelPackageSummaryList": [{"ModelPackageArn": package}]},
            "ListPipelineExecutionSteps": {"PipelineExecutionSteps": steps},
            "StartPipelineExecution": {"PipelineExecutionArn": run},
        }
        return answers.get(operation, {})
