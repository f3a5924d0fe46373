"""The bytes of AWS's HTTP replies, from the results and errors of fakes.

botocore's own parsers read them. Each protocol of the functions' services is here: JSON
(SageMaker), REST-JSON (its runtime), REST-XML (S3), query (CloudFormation) and EC2's variant of it.
Source: Smithy 2.0, "AWS protocols".
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from botocore.awsrequest import AWSResponse
from botocore.model import OperationModel

URL: Final = "https://service.eu-west-1.amazonaws.com/"
_REQUEST_ID: Final = "11111111-2222-3333-4444-555555555555"
_ENCODED_KEYS: Final = frozenset({"ListObjectVersions"})
"""Listings whose keys botocore asks S3 to encode, and decodes."""


class Body(io.BytesIO):
    """A body as urllib3 hands it over; `lost` bytes at its end never arrive."""

    def __init__(self, content: bytes, lost: int = 0) -> None:
        super().__init__(content[: len(content) - lost])

    def stream(self, **_: object) -> Iterator[bytes]:
        """Yield what arrives."""
        yield self.read()


def response(
    status: int, content: bytes = b"", headers: Mapping[str, str] | None = None, lost: int = 0
) -> AWSResponse:
    """Return a response of a status, with a body of which `lost` bytes do not arrive."""
    fields = {"content-length": str(len(content)), "x-amzn-requestid": _REQUEST_ID}
    return AWSResponse(URL, status, fields | dict(headers or {}), Body(content, lost))


def success(operation: OperationModel, result: Mapping[str, Any], lost: int = 0) -> AWSResponse:
    """Return the reply that holds the result of an operation."""
    shape: Any = operation.output_shape
    protocol = operation.service_model.resolved_protocol
    if shape is None:
        return response(204 if protocol == "rest-xml" else 200)
    if protocol == "json":
        return response(200, json.dumps(_plain(result)).encode(), lost=lost)
    if protocol in ("rest-xml", "rest-json"):
        return _rest(operation, shape, dict(result), lost)
    inner = _members(shape, result)
    if wrapper := shape.serialization.get("resultWrapper"):
        inner = _element(wrapper, inner)
    return response(200, _element(f"{operation.name}Response", inner).encode(), lost=lost)


def failure(operation: OperationModel, status: int, code: str, message: str) -> AWSResponse:
    """Return the reply that holds an error; one to HEAD has no body."""
    protocol = operation.service_model.resolved_protocol
    if protocol in ("json", "rest-json"):
        return response(status, json.dumps({"__type": code, "message": message}).encode())
    if operation.http["method"] == "HEAD":
        return response(status)
    told = _element("Code", escape(code)) + _element("Message", escape(message))
    told = _element("Error", told)
    if protocol == "query":
        told = _element("ErrorResponse", told)
    if protocol == "ec2":
        told = _element("Response", _element("Errors", told))
    return response(status, told.encode())


def _rest(operation: OperationModel, shape: Any, result: dict[str, Any], lost: int) -> AWSResponse:
    """Return a REST reply: some members are headers, one may be the body."""
    if operation.name in _ENCODED_KEYS:
        result = _with_encoded_keys(result) | {"EncodingType": "url"}
    headers: dict[str, str] = {}
    for name in list(result):
        serialization = shape.members[name].serialization
        if serialization.get("location") == "header":
            headers[serialization["name"]] = str(result.pop(name))
        elif serialization.get("location") == "headers":
            prefix = serialization["name"]
            headers |= {f"{prefix}{key}": value for key, value in result.pop(name).items()}
    if payload := shape.serialization.get("payload"):
        content, kind = result[payload], shape.members[payload]
        if kind.type_name == "structure":
            content = _element(payload, _members(kind, content))
        if not isinstance(content, bytes):
            content = content.encode() if isinstance(content, str) else content.read()
        return response(200, content, headers, lost)
    body = _element(f"{operation.name}Result", _members(shape, result))
    return response(200, body.encode(), headers, lost)


def _with_encoded_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_encoded_keys(item) for item in value]
    if isinstance(value, dict):
        return {
            name: quote(item) if name in ("Key", "NextKeyMarker") else _with_encoded_keys(item)
            for name, item in value.items()
        }
    return value


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: times are seconds."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value


def _members(shape: Any, result: Mapping[str, Any]) -> str:
    return "".join(_xml(name, shape.members[name], value) for name, value in result.items())


def _xml(name: str, shape: Any, value: Any) -> str:
    """Return one member of a structure as XML."""
    serialization = shape.serialization
    name = serialization.get("name", name)
    if shape.type_name == "structure":
        return _element(name, _members(shape, value))
    if shape.type_name == "list":
        member = shape.member.serialization.get("name")
        if serialization.get("flattened"):
            return "".join(_xml(member or name, shape.member, item) for item in value)
        return _element(
            name, "".join(_xml(member or "member", shape.member, item) for item in value)
        )
    if shape.type_name == "map":
        raise NotImplementedError(f"a map in XML: {name}")
    return _element(name, escape(_text(value)))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"
