"""The smoke test of a version, and sample requests while the endpoint's traffic moves.

Evaluate writes ``smoke.json`` with the code that will serve: a request, and the answer to it. The
trial endpoint must give the same answer. Sources: "API_runtime_InvokeEndpoint".
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.aws import bucket_and_key
from functions.shared.errors import ResourceError, error_code, is_not_found

if TYPE_CHECKING:
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 70
"""The SDK's timeout for models that need up to 60 seconds ("API_runtime_InvokeEndpoint")."""
_TOLERANCE: Final = 1e-6
_FIELDS: Final = ("content_type", "body", "accept", "answer")
_ABSENT: Final = frozenset({"NoSuchKey", "NoSuchBucket", "404"})
_MODEL_FAILED: Final = "ModelError"
_NOT_READY: Final = frozenset({"ModelNotReadyException", "ValidationError"})
_SHOWN: Final = 200
_SAMPLES: Final = 60
_LOOK_EVERY: Final = 10
_PAUSE_SECONDS: Final = 1.0
_MARGIN_SECONDS: Final = 10.0


class NotAnsweredError(Exception):
    """The endpoint has not answered yet; the message says for how long."""


class ModelError(Exception):
    """The model answered with an error, which is the message."""


class SmokeTestError(Exception):
    """The version's ``smoke.json`` cannot be used; the message says why."""


@dataclass(frozen=True)
class SmokeTest:
    """A request to the endpoint, and the answer to expect."""

    content_type: str
    body: str
    accept: str
    answer: Any


def read(s3: Any, uri: str) -> SmokeTest:
    """Read a smoke test; raise ``SmokeTestError`` if it is missing or malformed."""
    bucket, key = bucket_and_key(uri)
    if not (uri.startswith("s3://") and bucket and key):
        raise SmokeTestError(f"the smoke test {uri} is not an S3 URI")
    try:
        content = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        test = SmokeTest(**{name: content[name] for name in _FIELDS})
    except ClientError as error:
        if error_code(error) not in _ABSENT:
            raise
        raise SmokeTestError(f"the smoke test {uri} does not exist") from None
    except (ValueError, TypeError, LookupError):
        raise SmokeTestError(f"the smoke test {uri} is malformed") from None
    if not all(isinstance(text, str) for text in (test.content_type, test.body, test.accept)):
        raise SmokeTestError(f"the smoke test {uri} is malformed")
    return test


Asks: TypeAlias = Callable[[str, SmokeTest], str]
"""Sends a test to an endpoint and returns the answer; raises ``ModelError`` or
``NotAnsweredError``."""


def ask(runtime: Any, endpoint: str, test: SmokeTest) -> str:
    """Return an endpoint's answer; raise ``ModelError`` if the model failed."""
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType=test.content_type,
            Accept=test.accept,
            Body=test.body.encode(),
        )
    except ClientError as error:
        if error_code(error) != _MODEL_FAILED:
            raise
        raise ModelError(_message(error)) from error
    content: bytes = answer["Body"].read()
    return content.decode(errors="replace")


def verdict(asks: Asks, endpoint: str, test: SmokeTest) -> str | None:
    """Return why the endpoint fails the test, empty if it passes, None if it cannot answer yet."""
    try:
        text = asks(endpoint, test)
    except ModelError as error:
        return f"the model answered the smoke test with an error: {_shown(str(error))}"
    except NotAnsweredError as error:
        LOG.info("%s is not ready: %s", endpoint, error)
        return None
    except ClientError as error:
        if error_code(error) in _NOT_READY or is_not_found(error):
            LOG.info("%s is not ready: %s", endpoint, _message(error))
            return None
        raise
    try:
        answer = json.loads(text)
    except ValueError:
        return f"the model's answer to the smoke test is not JSON: {_shown(repr(text))}"
    if difference := compare(test.answer, answer):
        return f"the smoke test differs from the evaluation: {difference}"
    return ""


def compare(expected: Any, answer: Any, path: str = "answer") -> str:
    """Return the first difference, or empty; numbers may differ by 1e-6, absolute or relative."""
    if _is_number(expected) and _is_number(answer):
        return "" if _is_close(expected, answer) else _difference(expected, answer, path)
    if type(expected) is not type(answer):
        return _difference(expected, answer, path)
    if isinstance(expected, dict) and expected.keys() == answer.keys():
        pairs = [(f"{path}.{name}", expected[name], answer[name]) for name in expected]
    elif isinstance(expected, list) and len(expected) == len(answer):
        pairs = [
            (f"{path}[{index}]", *pair)
            for index, pair in enumerate(zip(expected, answer, strict=True))
        ]
    else:
        return "" if expected == answer else _difference(expected, answer, path)
    return next(filter(None, (compare(one, other, name) for name, one, other in pairs)), "")


_FAILURES: Final = (ModelError, NotAnsweredError, ClientError, BotoCoreError, ResourceError)
"""Of a sample request: logged, and judged by the endpoint's alarms."""


def send_samples(
    asks: Asks,
    endpoint: str,
    test: SmokeTest,
    is_changing: Callable[[], bool],
    deadline: Deadline,
) -> int:
    """Send a request a second for about a minute; return how many were sent.

    Ends early if the endpoint no longer changes or little time is left. Two versions may answer, so
    that answers are not compared; errors are logged, and the endpoint's alarms judge them.
    """
    for number in range(_SAMPLES):
        if deadline.remaining_seconds() <= ANSWER_SECONDS + _MARGIN_SECONDS:
            return number
        if number and number % _LOOK_EVERY == 0 and not is_changing():
            return number
        try:
            asks(endpoint, test)
        except _FAILURES as error:
            LOG.error("a sample request to %s failed: %s", endpoint, _shown(str(error)))
        deadline.sleep(_PAUSE_SECONDS)
    return _SAMPLES


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_close(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _difference(expected: object, answer: object, path: str) -> str:
    return f"{path} is {_shown(repr(answer))}, but was {_shown(repr(expected))}"


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", "")) or error_code(error)


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
