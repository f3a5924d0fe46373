"""Real boto3 clients that talk to fakes in memory, held to botocore's service models.

The client is botocore's own: it refuses unknown operations and malformed parameters, signs the
request, parses the reply, pages through answers, repeats what may be repeated and raises its own
exceptions. Where it would send the request, a `Backend` answers with the bytes of a reply
(`tests.functions.fakes.replies`). Its answer must fit the operation's output shape, member for
member; neither side sees the other's objects.
"""

from __future__ import annotations

import copy
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from boto3.session import Session
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.model import OperationModel
from botocore.retries import standard
from botocore.validate import ParamValidator

from functions.shared.calls import Calls
from functions.shared.deadline import Deadline
from tests.functions.fakes import replies
from tests.functions.recorder import REGION

Fields = dict[str, Any]
Listener = Callable[[str, str, Mapping[str, Any]], None]

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5})


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


@dataclass
class Call:
    """One call of a function; botocore may send it several times."""

    service: str
    model: OperationModel
    parameters: Fields
    attempts: int = 0

    def __str__(self) -> str:
        return f"{self.service}:{self.model.name}"


class Wire:
    """The clients of one process; which backends they reach is set for each test."""

    def __init__(self) -> None:
        self._session = Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
        )
        self._clients: dict[str, Any] = {}
        self._quotas: list[Any] = []
        self._call: dict[str, Call] = {}
        self.backends: dict[str, Backend] = {}
        self.listener: Listener = lambda _service, _operation, _parameters: None

    def client(self, service: str, config: Config = _CONFIG) -> Any:
        """Return the client of a service; stands in for `boto3.client`."""
        if service not in self._clients:
            client = self._session.client(service, config=config)
            events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
            events.unregister(f"needs-retry.{name}", unique_id=f"retry-config-{name}")
            retries = standard.register_retry_handler(
                client, max_attempts=client.meta.config.retries["total_max_attempts"]
            )
            self._quotas.append(retries._retry_quota._quota)
            events.register_last("provide-client-params.*.*", _keep_parameters)
            events.register_last("before-call.*.*", self._begin)
            events.register_last("before-send.*.*", self._send)
            self._clients[service] = client
        return self._clients[service]

    def forget(self) -> None:
        """Be as a new process: what botocore remembers of failures is gone, also by chance.

        So is the deadline of an earlier event.
        """
        random.seed(0)
        for client in self._clients.values():
            Calls(Deadline(lambda: math.inf)).watch(client)
        for quota in self._quotas:
            quota._available_capacity = quota._max_capacity

    def begin(self, call: Call) -> None:
        """Take note of a call that is about to be sent."""

    def send(self, call: Call) -> AWSResponse:
        """Send one attempt of a call; may raise `HTTPClientError`."""
        parameters = copy.deepcopy(call.parameters)
        self.listener(call.service, call.model.name, parameters)
        try:
            result = self.backends[call.service].answer(call.model, parameters)
        except ApiError as error:
            return replies.failure(call.model, error.status, error.code, error.message)
        return replies.success(call.model, result)

    def _begin(self, model: OperationModel, context: Fields, **_: object) -> None:
        service = model.service_model
        call = Call(service.service_name, model, context["test_parameters"])
        self._call[service.service_id.hyphenize()] = call
        self.begin(call)

    def _send(self, event_name: str, **_: object) -> AWSResponse:
        service_id = event_name.split(".")[1]
        call = self._call[service_id]
        call.attempts += 1
        return self.send(call)


def _keep_parameters(params: Fields, context: Fields, **_: object) -> None:
    context["test_parameters"] = dict(params)
