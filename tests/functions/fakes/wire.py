"""Real boto3 clients that talk to fakes in memory, held to botocore's service models.

The client is botocore's own: it refuses unknown operations and malformed parameters, pages through
answers, repeats what may be repeated and raises its own exceptions. Where it would send the
request, a `Backend` answers; its answer must fit the operation's output shape, member for member.
"""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from boto3.session import Session
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.model import OperationModel
from botocore.validate import ParamValidator

from tests.functions.recorder import REGION

Fields = dict[str, Any]
Listener = Callable[[str, str, Mapping[str, Any]], None]

_RESPONSE_METADATA: Fields = {"HTTPHeaders": {}, "RetryAttempts": 0}


class ApiError(Exception):
    """An error that the service answers with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass
class Backend:
    """A service in memory: each operation is a method of the operation's name in snake case.

    `before` and `failures` let a test put something between two calls of a function: another
    client's write, or an error of AWS.
    """

    before: dict[str, list[Callable[[], object]]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, list[ApiError | HTTPClientError]] = field(
        default_factory=lambda: defaultdict(list)
    )
    requests: list[tuple[str, Fields]] = field(default_factory=list)
    remembers: bool = True

    def answer(self, operation: OperationModel, parameters: Fields) -> Fields:
        """Do one operation; raises `ApiError`."""
        name = operation.name
        if self.remembers:
            self.requests.append((name, parameters))
        if self.before[name]:
            self.before[name].pop(0)()
        if self.failures[name]:
            raise self.failures[name].pop(0)
        do = getattr(self, xform_name(name), None)
        if do is None:
            raise NotImplementedError(f"{type(self).__name__} does not do {name}")
        result = do(parameters) or {}
        return _checked(operation, result)

    def requested(self, operation: str) -> list[Fields]:
        """Return the parameters of each request of an operation."""
        return [parameters for name, parameters in self.requests if name == operation]


def _checked(operation: OperationModel, result: Fields) -> Fields:
    """Hold an answer against the operation's output shape; unknown members are faults too."""
    shape = operation.output_shape
    if shape is None:
        assert not result, f"{operation.name} answers nothing, the fake {sorted(result)}"
        return result
    report = ParamValidator().validate(result, shape)
    assert not report.has_errors(), f"{operation.name}: {report.generate_report()}"
    unknown = _unknown_members(result, shape, operation.name)
    assert not unknown, f"not in botocore's model: {unknown}"
    return result


def _unknown_members(value: Any, shape: Any, path: str) -> list[str]:
    if shape.type_name == "structure":
        found = [f"{path}.{name}" for name in value if name not in shape.members]
        known = [name for name in value if name in shape.members]
        inner = [_unknown_members(value[n], shape.members[n], f"{path}.{n}") for n in known]
    elif shape.type_name == "list":
        found, inner = [], [_unknown_members(one, shape.member, f"{path}[]") for one in value]
    else:
        return []
    return found + [problem for problems in inner for problem in problems]


class Wire:
    """The clients of one session; which backends they reach is set for each test."""

    def __init__(self) -> None:
        self._session = Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )
        self._clients: dict[str, Any] = {}
        self.backends: dict[str, Backend] = {}
        self.listener: Listener = lambda _service, _operation, _parameters: None

    def client(self, service: str) -> Any:
        """Return the client of a service; stands in for `functions.shared.aws.client`."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 5})
            client = self._session.client(service, config=config)
            client.meta.events.register_last("provide-client-params.*.*", _keep_parameters)
            client._endpoint._get_response = functools.partial(self._answer, service)
            self._clients[service] = client
        return self._clients[service]

    def _answer(
        self, service: str, _request: object, model: OperationModel, context: Fields
    ) -> tuple[tuple[Any, Fields] | None, Exception | None]:
        """Stand in for `botocore.endpoint.Endpoint._get_response`, below the repetitions."""
        parameters = context["test_parameters"]
        self.listener(service, model.name, parameters)
        try:
            result = self.backends[service].answer(model, parameters)
        except ApiError as error:
            parsed = {"Error": {"Code": error.code, "Message": error.message}}
            return _http(error.status, parsed), None
        except HTTPClientError as error:
            return None, error
        return _http(200, copy.deepcopy(result)), None


def _keep_parameters(params: Fields, context: Fields, **_: object) -> None:
    context["test_parameters"] = dict(params)


@dataclass(frozen=True)
class _Http:
    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)


def _http(status: int, parsed: Fields) -> tuple[_Http, Fields]:
    metadata = {**_RESPONSE_METADATA, "HTTPStatusCode": status}
    return _Http(status), {**parsed, "ResponseMetadata": metadata}
