"""Checks a request, with every expression resolved, against the SageMaker API before it runs."""

from __future__ import annotations

from collections.abc import Callable

from botocore.validate import ParamValidator

from pipeline.shapes import STEP_KINDS, Api
from pipeline.types import Json


class RequestError(Exception):
    """The service would reject a request; the message names each field."""


def checker() -> Callable[[str, Json], None]:
    """Return a check of one step's request: `check(step type, arguments)`.

    botocore's own validator reports what a client would refuse to send; the shapes add what the
    service rejects: values outside an enumeration, lengths and patterns.
    """
    api = Api.load({})
    validator = ParamValidator()

    def check(kind: str, arguments: Json) -> None:
        found = STEP_KINDS[kind]
        problems = [f"{field}: {text}" for field, text in api.request_problems(found, arguments)]
        shape = api.service.operation_model(found.create).input_shape
        named = dict.fromkeys(found.named_by_service, "name")
        report = validator.validate(named | arguments, shape)
        if not problems and report.has_errors():
            problems = report.generate_report().splitlines()
        if problems:
            raise RequestError(f"{found.create} would be rejected: {'; '.join(problems)}")

    return check
