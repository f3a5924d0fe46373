"""Requests to an asynchronous endpoint, which reads them from S3 and leaves its answers there.

Sources: "API_runtime_InvokeEndpointAsync"; SageMaker developer guide, "Check prediction results".
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.deploy_model.smoke import ModelError, NotAnsweredError
from functions.shared.aws import bucket_and_key
from functions.shared.errors import error_code
from pipeline.layout import SMOKE_REQUESTS

if TYPE_CHECKING:
    from functions.deploy_model.smoke import SmokeTest
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

_WAIT_SECONDS: Final = 120
_POLL_SECONDS: Final = 1.0
_MARGIN_SECONDS: Final = 20.0
_QUEUED_SECONDS: Final = 600
"""How long a request may wait for an instance; an answer that comes later is of no use."""
_OF_THE_MODEL: Final = re.compile(r"(client|server) error \(\d{3}\)", re.IGNORECASE)
"""As InvokeEndpoint says it of a model; of any other failure, such as a denied right, no version is
to blame."""
_ABSENT: Final = frozenset({"NoSuchKey", "404"})


def ask(runtime: Any, s3: Any, uri: str, endpoint: str, test: SmokeTest, deadline: Deadline) -> str:
    """Put the test's request below ``uri``, an S3 URI, and wait for the answer, or the failure.

    The request's name says what is in it, so that another call writes the same.

    Raises:
        ModelError: the model answered with an error.
        NotAnsweredError: there was no answer in two minutes, or in the time that is left, or the
            request failed and the model is not to blame.

    """
    body = test.body.encode()
    request = f"{uri}{SMOKE_REQUESTS}{hashlib.sha256(body).hexdigest()[:16]}"
    bucket, key = bucket_and_key(request)
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=test.content_type)
    sent = runtime.invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation=request,
        ContentType=test.content_type,
        Accept=test.accept,
        RequestTTLSeconds=_QUEUED_SECONDS,
    )
    places = {True: sent["OutputLocation"], False: sent["FailureLocation"]}
    end = deadline.remaining_seconds() - _WAIT_SECONDS
    while deadline.remaining_seconds() > max(end, _MARGIN_SECONDS):
        for is_answer, place in places.items():
            text = _read(s3, place)
            if text is None:
                continue
            if is_answer:
                return text
            if _OF_THE_MODEL.search(text):
                raise ModelError(text)
            LOG.error("%s failed: %s", request, text)
            raise NotAnsweredError(text)
        deadline.sleep(_POLL_SECONDS)
    raise NotAnsweredError(f"no answer to {request} yet")


def _read(s3: Any, uri: str) -> str | None:
    """Return an object's text, if it exists."""
    bucket, key = bucket_and_key(uri)
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error_code(error) in _ABSENT:
            return None
        raise
    return content.decode(errors="replace")
