"""Requests to an asynchronous endpoint: through S3, where its answers appear.

Sources: "API_runtime_InvokeEndpointAsync"; SageMaker developer guide, "Asynchronous inference".
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from functions.shared.aws import bucket_and_key
from generator.errors import CommandError, UsageError
from pipeline.layout import ANSWERS, REQUESTS
from pipeline.types import JsonView
from tabular_ml_vpc.operations.target import Target

WAIT_SECONDS: Final = 1800
"""How long to wait for an answer: the first instance needs some minutes to start."""
_POLL_SECONDS: Final = 1.0
_CLIENT_ERROR: Final = re.compile(r"client error \(4\d\d\)")


def output_of(endpoint: JsonView) -> str:
    """Return where an endpoint puts its answers; empty if it answers at once."""
    setting = endpoint.get("AsyncInferenceConfig", {})
    return str(setting.get("OutputConfig", {}).get("S3OutputPath", ""))


@dataclass(frozen=True)
class Queue:
    """The queue of an endpoint that puts its answers below ``output``, an S3 URI."""

    target: Target
    name: str
    output: str
    tell: Callable[[str], None] = lambda _line: None
    """Is told where the answer will be, before the wait for it."""

    def ask(self, body: bytes, content_type: str) -> bytes:
        """Put a request into the bucket, and wait for its answer.

        Raises:
            UsageError: the model cannot read the rows.
            CommandError: the endpoint failed, or there is no answer after half an hour.

        """
        request = f"{self.output.removesuffix(ANSWERS)}{REQUESTS}{uuid.uuid4().hex}"
        bucket, key = bucket_and_key(request)
        self.target.client("s3").put_object(
            Bucket=bucket, Key=key, Body=body, ContentType=content_type
        )
        sent = self.target.client("sagemaker-runtime").invoke_endpoint_async(
            EndpointName=self.name,
            InputLocation=request,
            ContentType=content_type,
            Accept="application/json",
        )
        answer, failure = sent["OutputLocation"], sent["FailureLocation"]
        self.tell(answer)
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            if (found := self._read(answer)) is not None:
                return found
            if (why := self._read(failure)) is not None:
                raise self._failure(" ".join(why.decode(errors="replace").split()))
            time.sleep(_POLL_SECONDS)
        raise CommandError(
            f"the endpoint {self.name} has not answered after {WAIT_SECONDS // 60} minutes: the "
            f"answer will be {answer}, or the reason {failure}"
        )

    def _failure(self, text: str) -> Exception:
        if _CLIENT_ERROR.search(text):
            return UsageError(f"the model rejected these rows: {text}")
        return CommandError(f"the model of {self.name} failed: {text}")

    def _read(self, uri: str) -> bytes | None:
        """Return an object's content, if it exists.

        It is listed first: to people who may list a prefix only, S3 says of a missing object that
        they may not read it ("API_GetObject").
        """
        bucket, key = bucket_and_key(uri)
        s3 = self.target.client("s3")
        if not s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents"):
            return None
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
