"""The calls that have to be allowed, of three kinds.

*Recorded*: made by our code, the functions in their tests and the notebook of
`docs/studio-walkthrough.md`. *Derived*: made by SageMaker for a step of the compiled definition,
with the pipeline's role or the job's. *Implicit*: made by AWS with a role, or needed by a caller,
though no code of ours shows it; each with its document (`implicit.toml`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from generator.files import REPOSITORY
from pipeline.definition import OWNER_TAG
from pipeline.types import Json
from tests.functions import recorder
from tests.iam.account import ALL, Account, Request
from tests.iam.derived import asks_whether_there, derived_calls, of_job
from tests.iam.names import placeholders
from tests.iam.requests import of_request, through
from tests.iam.walkthrough import calls_of_notebook

RECORDED: Final = "recorded"
DERIVED: Final = "derived"
IMPLICIT: Final = "implicit"
KINDS: Final = (RECORDED, DERIVED, IMPLICIT)

_IMPLICIT_FILE: Final = Path(__file__).with_name("implicit.toml")
_DATA_KEY: Final = "raw/data.csv"


@dataclass(frozen=True)
class Required:
    """One call that has to be allowed: its kind, what makes it, and where that is written."""

    kind: str
    request: Request
    trigger: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.request} ({self.trigger})"


def required(account: Account, recorded_calls: Path) -> list[Required]:
    """Return every required call, each once; `record` makes the file of the functions' calls."""
    found = [
        *_recorded(account, recorded_calls),
        *calls_of_walkthrough(account),
        *(Required(DERIVED, *call) for call in derived_calls(account)),
        *implicit_calls(account),
    ]
    unique = {(one.kind, _identity(one.request)): one for one in found}
    return [*unique.values()]


def _identity(request: Request) -> tuple[str, ...]:
    context = sorted(f"{key}={value}" for key, value in request.context.items())
    return (request.who, request.action, request.resource, request.via, *context)


def record(folder: Path) -> Path:
    """Run the functions' tests and return the file with their calls, in `folder`."""
    path = folder / "calls.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/functions"]
    subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "RECORD_CALLS": str(path)},
        stdout=subprocess.DEVNULL,
        check=False,  # their own failures are reported where they run
    )
    return path


# Recorded

_ROLES: Final = {
    "clear_studio": ("ClearStudioRole", "studio"),
    "empty_bucket": ("EmptyBucketRole", "storage"),
    "pipeline_manager": ("PipelineManagerRole", "pipeline"),
    "seed_data": ("SeedDataRole", "pipeline"),
    "vpc_baseline": ("VpcBaselineRole", "network"),
}
_BUCKETS: Final = {"empty_bucket": ("DataBucket", "LogBucket")}
_OUTSIDE: Final = ("vpc_baseline",)
_BY_CHOICE: Final = ("deploy_model", "pause_endpoint", "watch_model")
"""Not in the deployment by default (`test_approval.py`, `test_pausing.py`, `test_watch_model.py`).
"""
_ACTIONS_BY_CHOICE: Final = ("application-autoscaling:", "cloudwatch:DeleteAlarms")
"""Needed only if fleets scale (`test_scaling.py`)."""
_NOT_HERE: Final = ("champion", "former", "missing", "new-pipeline", "aws-us-gov", "other")
"""Parts of names in tests of what cannot be in a deployment: its names never change."""


def _recorded(account: Account, path: Path) -> Iterator[Required]:
    for function, rights in recorder.load(path).items():
        if function in _BY_CHOICE:
            continue
        role, stack = _ROLES[function]
        for right in rights:
            if right.action.startswith(_ACTIONS_BY_CHOICE):
                continue
            if any(part in right.resource for part in _NOT_HERE):
                continue
            for bucket in _BUCKETS.get(function, ("DataBucket",)):
                resource = _renamed(account, function, stack, bucket, right.resource)
                context = {**dict(right.context), **_tags_of(account, right.action, stack)}
                via = "" if function in _OUTSIDE else through(account, right.action)
                request = Request(role, right.action, resource, context, via)
                yield Required(RECORDED, request, f"functions/{function}")


def _renamed(account: Account, function: str, stack: str, bucket_title: str, resource: str) -> str:
    """Return the resource of a test as the one of the deployment that it stands for."""
    deployment, place = account.deployment, account.place
    name = deployment.parameters["pipeline"]["UniqueName"]
    bucket = deployment.get("storage", bucket_title).reference
    if ":cloudformation:" in resource:
        return deployment.stack_ids[stack]
    if resource == recorder.KEY_ARN:
        return account.key_arn
    if ":role/" in resource:
        return account.role_arn("PipelineRole")
    if ":s3:::" in resource:
        object_key = resource.partition("/")[2]
        if not object_key:
            return f"arn:{place.partition}:s3:::{bucket}"
        key = _DATA_KEY if function == "seed_data" else f"{object_key.partition('/')[0]}/x"
        return f"arn:{place.partition}:s3:::{bucket}/{key}"
    domain = deployment.get("studio", "Domain").reference
    return resource.replace("demo-4f2a", name).replace("d-abcdefghijkl", domain)


def _tags_of(account: Account, action: str, stack: str) -> Mapping[str, str]:
    """Return what the resource of a call has: the owner's tag if it is deleted, or its VPC."""
    if action.startswith("ec2:Revoke"):
        vpc = account.deployment.get("network", "Vpc").reference
        return {"ec2:Vpc": account.place.arn("ec2", f"vpc/{vpc}")}
    tagged = ("DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel")
    if action.partition(":")[2] in tagged:
        return {f"aws:ResourceTag/{OWNER_TAG}": account.deployment.stack_ids[stack]}
    return {}


def calls_of_walkthrough(account: Account) -> Iterator[Required]:
    for operation, parameters in calls_of_notebook(account):
        for request in of_request(account, "StudioRole", operation, parameters, inside=True):
            if not asks_whether_there(request):
                yield Required(RECORDED, request, "docs/studio-walkthrough.md")
        if operation.startswith("sagemaker:Create"):
            for request in of_job(account, _with_artifacts(parameters)):
                yield Required(DERIVED, request, "job of docs/studio-walkthrough.md")


def _with_artifacts(parameters: Json) -> Json:
    if "OutputDataConfig" not in parameters:
        return parameters
    folder = parameters["OutputDataConfig"]["S3OutputPath"]
    return {**parameters, "ModelArtifacts": {"S3ModelArtifacts": f"{folder}/x/model.tar.gz"}}


# Implicit


def implicit_calls(account: Account) -> Iterator[Required]:
    """Yield the calls of `implicit.toml`."""
    names = placeholders(account)
    for entry in implicit_rights():
        if not _is_of(account, entry):
            continue
        for who in entry["who"]:
            for action in entry["actions"]:
                for resource in entry["resources"]:
                    request = _request_of_entry(account, entry, who, action, resource, names)
                    yield Required(IMPLICIT, request, entry["trigger"], entry["source"])


def _is_of(account: Account, entry: Json) -> bool:
    """Tell whether a deployment has what an entry is about: a replica, and locked versions."""
    data = account.deployment.get("storage", "DataBucket").properties
    replicated = "ReplicationRole" in account.roles
    return (replicated or not entry.get("setting")) and (
        "ObjectLockEnabled" in data or not entry.get("locked")
    )


def implicit_rights() -> list[Json]:
    """Return the entries of `implicit.toml`."""
    entries: list[Json] = tomllib.loads(_IMPLICIT_FILE.read_text())["right"]
    return entries


def _request_of_entry(
    account: Account, entry: Json, who: str, action: str, resource: str, names: Mapping[str, str]
) -> Request:
    context = {
        key.format_map(names): _filled(value, names)
        for key, value in entry.get("context", {}).items()
    }
    via = entry.get("via", "")
    return Request(
        who.format_map(names),
        action,
        resource.format_map(names),
        context,
        via if via != "service" else through(account, action),
        (ALL,) if entry.get("administrator") else (),
    )


def _filled(value: str | list[str], names: Mapping[str, str]) -> str | list[str]:
    if isinstance(value, list):
        return [one.format_map(names) for one in value]
    return value.format_map(names)
