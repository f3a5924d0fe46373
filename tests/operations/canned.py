"""A session in which some operations have answers that are given, checked against botocore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from boto3.session import Session
from botocore.awsrequest import AWSResponse
from botocore.session import get_session
from botocore.validate import validate_parameters

from tests.emulated import LOADER

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]


def session(answers: Mapping[str, Answer], region: str = "eu-west-1") -> Session:
    """Return a session that answers ``service.Operation`` as given; the rest goes to AWS.

    An answer is a response, or makes one from the request's body. A response that the service's
    model does not know fails the test.
    """
    core = get_session()
    core.register_component("data_loader", LOADER)
    core.set_credentials("canned", "canned")
    made = Session(region_name=region, botocore_session=core)
    for name, answer in answers.items():
        service, _, operation = name.partition(".")
        made.events.register(f"before-call.{service}.{operation}", _handler(answer))
    return made


def _handler(answer: Answer) -> Callable[..., Any]:
    def handle(model: Any, params: Mapping[str, Any], **_: Any) -> Any:
        given = answer(params["body"]) if callable(answer) else answer
        status = given.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
        if "Error" not in given and model.output_shape is not None:
            members = {key: one for key, one in given.items() if key != "ResponseMetadata"}
            validate_parameters(members, model.output_shape)
        response = AWSResponse("https://canned", status, {}, None)
        return response, {"ResponseMetadata": {"HTTPHeaders": {}}, **given}

    return handle


def refusal(code: str, message: str) -> Mapping[str, Any]:
    """Return an error as botocore parses it."""
    return {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
