"""CodeArtifact, which ministack lacks: its CloudFormation types, and the calls that read them.

Nothing holds packages. Properties and attributes as in "AWS::CodeArtifact::Domain", "::Repository"
and "::PackageGroup", CloudFormation Template Reference; calls as in the CodeArtifact API Reference.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import router
from ministack.core.iam_evaluator import AuthError, enforce
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.refusals import refusal
from tabular_ml_vpc.local.emulator.types import ApiResponse, Fields, Made

SERVICE = "codeartifact"
RECORDS: dict[str, Fields] = {}
"""What exists, by ARN: the properties, and the name as `Name`."""


def arn_of(path: str) -> str:
    """Return an ARN of CodeArtifact in the request's account and region."""
    return f"arn:aws:{SERVICE}:{get_region()}:{get_account_id()}:{path}"


@dataclass(frozen=True)
class ResourceType:
    """A type: the path of its ARN, its name, create-only properties, and what it may not hold."""

    path: str
    name: str
    create_only: tuple[str, ...]
    holds: str = ""

    def create(self, _logical_id: str, props: Fields, _stack: str) -> Made:
        """Create the resource; raises if it exists, or if its domain does not."""
        arn = arn_of(self.path.format_map(props))
        if arn in RECORDS:
            raise ValueError(f"ConflictException: {arn} already exists")
        domain = arn_of(f"domain/{props['DomainName']}")
        if arn != domain and domain not in RECORDS:
            raise ValueError(f"ResourceNotFoundException: {domain} does not exist")
        return self._keep(arn, props)

    def update(self, arn: str, old: Fields, new: Fields, stack: str) -> Made:
        """Update in place, or replace if a create-only property changed."""
        if any(old.get(name) != new.get(name) for name in self.create_only):
            return self.create("", new, stack)
        return self._keep(arn, new)

    def delete(self, arn: str, _props: Fields) -> None:
        """Delete the resource; raises if others are in it."""
        within = arn.rpartition(":")[2].partition("/")[2]
        held = [one for one in RECORDS if self.holds and f":{self.holds}/{within}/" in one]
        if held:
            raise RuntimeError(f"ConflictException: {arn} has repositories: {', '.join(held)}")
        RECORDS.pop(arn, None)

    def _keep(self, arn: str, props: Fields) -> Made:
        RECORDS[arn] = {**props, "Name": props[self.name]}
        return arn, {"Arn": arn, "Name": props[self.name], "Owner": get_account_id()}


TYPES = {
    "Domain": ResourceType(
        "domain/{DomainName}", "DomainName", ("DomainName", "EncryptionKey"), "repository"
    ),
    "Repository": ResourceType(
        "repository/{DomainName}/{RepositoryName}",
        "RepositoryName",
        ("DomainName", "RepositoryName"),
    ),
    "PackageGroup": ResourceType(
        "package-group/{DomainName}{Pattern}", "Pattern", ("DomainName", "Pattern")
    ),
}


def _all(kind: str) -> list[str]:
    return [arn for arn in RECORDS if arn.startswith(arn_of(f"{kind}/"))]


def _domains(_query: Fields) -> Fields:
    return {"domains": [_of_domain(arn) for arn in _all("domain")]}


def _domain(query: Fields) -> Fields:
    return {"domain": _of_domain(arn_of(f"domain/{query['domain']}"))}


def _of_domain(arn: str) -> Fields:
    record = RECORDS[arn]
    return {
        "arn": arn,
        "name": record["Name"],
        "owner": get_account_id(),
        "encryptionKey": record.get("EncryptionKey", ""),
    }


def _repositories(_query: Fields) -> Fields:
    return {"repositories": [_of_repository(arn) for arn in _all("repository")]}


def _repository(query: Fields) -> Fields:
    path = f"repository/{query['domain']}/{query['repository']}"
    return {"repository": _of_repository(arn_of(path))}


def _of_repository(arn: str) -> Fields:
    record = RECORDS[arn]
    connections = record.get("ExternalConnections", [])
    return {
        "arn": arn,
        "name": record["Name"],
        "domainName": record["DomainName"],
        "externalConnections": [
            {"externalConnectionName": one, "packageFormat": "pypi", "status": "Available"}
            for one in connections
        ],
    }


def _groups(query: Fields) -> Fields:
    found = [arn for arn in _all("package-group") if RECORDS[arn]["DomainName"] == query["domain"]]
    return {"packageGroups": [{"arn": arn, "pattern": RECORDS[arn]["Pattern"]} for arn in found]}


def _endpoint(query: Fields) -> Fields:
    _repository(query)
    host = f"{query['domain']}-{get_account_id()}.d.{SERVICE}.{get_region()}.amazonaws.com"
    return {"repositoryEndpoint": f"https://{host}/{query['format']}/{query['repository']}/"}


def _token(query: Fields) -> Fields:
    _domain(query)
    return {"authorizationToken": secrets.token_urlsafe(24)}


CALLS: dict[tuple[str, str], tuple[str, str, Callable[[Fields], Fields]]] = {
    ("POST", "/v1/domains"): ("ListDomains", "", _domains),
    ("GET", "/v1/domain"): ("DescribeDomain", "domain/{domain}", _domain),
    ("POST", "/v1/repositories"): ("ListRepositories", "", _repositories),
    ("GET", "/v1/repository"): (
        "DescribeRepository",
        "repository/{domain}/{repository}",
        _repository,
    ),
    ("GET", "/v1/repository/endpoint"): (
        "GetRepositoryEndpoint",
        "repository/{domain}/{repository}",
        _endpoint,
    ),
    ("POST", "/v1/package-groups"): ("ListPackageGroups", "domain/{domain}", _groups),
    ("POST", "/v1/authorization-token"): ("GetAuthorizationToken", "domain/{domain}", _token),
}
"""Each call by method and path: the action, its resource, and what answers it."""


async def handle(
    method: str, path: str, headers: dict[str, str], _body: bytes, query: dict[str, Any]
) -> ApiResponse:
    """Answer one signed request, if the caller may make it."""
    found = CALLS.get((method, path))
    if found is None:
        return _answer(404, {"message": f"{method} {path} is not emulated"}, "NotFound")
    action, resource, call = found
    given = {key: value[0] if isinstance(value, list) else value for key, value in query.items()}
    denied = _denial(action, resource.format_map(given), headers, query)
    if denied:
        return denied
    try:
        return _answer(200, call(given))
    except KeyError as missing:
        name = "ResourceNotFoundException"
        return _answer(404, {"message": f"{missing.args[0]} does not exist"}, name)


def _denial(
    action: str, resource: str, headers: dict[str, str], query: dict[str, Any]
) -> ApiResponse | None:
    arn = arn_of(resource) if resource else "*"
    caller, region = extract_access_key_id(headers, query), extract_region(headers, query)
    name = f"{SERVICE}:{action}"
    result = enforce(caller, name, SERVICE, region, arn, {})
    if result is None or isinstance(result, AuthError):
        return None
    return refusal(SERVICE, name, arn, result, headers)


def _answer(status: int, content: Fields, error: str = "") -> ApiResponse:
    headers = {"Content-Type": "application/json"}
    return (
        status,
        headers | ({"x-amzn-errortype": error} if error else {}),
        json.dumps(content).encode(),
    )


def register() -> None:
    """Register the types and route the service's requests here."""
    for kind, described in TYPES.items():
        name = f"AWS::CodeArtifact::{kind}"
        provisioners._RESOURCE_HANDLERS[name] = {
            "create": described.create,
            "update": described.update,
            "delete": described.delete,
        }
        provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
    router.SERVICE_PATTERNS[SERVICE] = {"credential_scope": SERVICE}
    app.SERVICE_HANDLERS[SERVICE] = handle
