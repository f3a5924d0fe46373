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
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from generator.files import REPOSITORY
from generator.local.expressions import Values
from pipeline.definition import OWNER_TAG, build
from pipeline.shapes import STEP_KINDS
from tests.functions import recorder
from tests.iam.account import ALL, PROFILE, Account, Request
from tests.iam.requests import of_request, through
from tests.iam.walkthrough import calls_of_notebook

RECORDED: Final = "recorded"
DERIVED: Final = "derived"
IMPLICIT: Final = "implicit"
KINDS: Final = (RECORDED, DERIVED, IMPLICIT)
EXECUTION: Final = "abcdefghijkl"

_IMPLICIT_FILE: Final = Path(__file__).with_name("implicit.toml")
_DATA_KEY: Final = "raw/data.csv"
Json = dict[str, Any]


@dataclass(frozen=True)
class Required:
    """One call that has to be allowed: its kind, what makes it, and where that is written."""

    kind: str
    request: Request
    trigger: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.request} ({self.trigger})"


def required(account: Account, recorded_calls: Path | None = None) -> list[Required]:
    """Return every required call, each once; without a file, the functions' tests are run."""
    found = [
        *_recorded(account, recorded_calls or record()),
        *_of_walkthrough(account),
        *_derived(account),
        *implicit_calls(account),
    ]
    unique = {(one.kind, _identity(one.request)): one for one in found}
    return [*unique.values()]


def _identity(request: Request) -> tuple[str, ...]:
    context = sorted(f"{key}={value}" for key, value in request.context.items())
    return (request.who, request.action, request.resource, request.via, *context)


def record() -> Path:
    """Run the functions' tests and return the file with their calls."""
    path = Path(tempfile.mkdtemp()) / "calls.json"
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
_NOT_HERE: Final = ("former", "missing", "new-pipeline", "aws-us-gov", "other")
"""Parts of names in tests of what cannot be in a deployment: its names never change."""


def _recorded(account: Account, path: Path) -> Iterator[Required]:
    for function, rights in recorder.load(path).items():
        role, stack = _ROLES[function]
        for right in rights:
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


def _of_walkthrough(account: Account) -> Iterator[Required]:
    for operation, parameters in calls_of_notebook(account):
        for request in of_request(account, "StudioRole", operation, parameters, inside=True):
            if not _asks_whether_there(request):
                yield Required(RECORDED, request, "docs/studio-walkthrough.md")
        if operation.startswith("sagemaker:Create"):
            for request in _of_job(account, _with_artifacts(parameters)):
                yield Required(DERIVED, request, "job of docs/studio-walkthrough.md")


def _with_artifacts(parameters: Json) -> Json:
    if "OutputDataConfig" not in parameters:
        return parameters
    folder = parameters["OutputDataConfig"]["S3OutputPath"]
    return {**parameters, "ModelArtifacts": {"S3ModelArtifacts": f"{folder}/x/model.tar.gz"}}


# Derived


def _derived(account: Account) -> Iterator[Required]:
    for step, kind, arguments in steps(account):
        trigger = f"step {step}"
        for request in _of_service(account, kind, arguments):
            yield Required(DERIVED, request, trigger)
        if kind in ("Processing", "Training"):
            for request in _of_job(account, arguments):
                yield Required(DERIVED, request, trigger)
        if kind in ("Model", "RegisterModel"):
            yield from _reads_of_model(account, arguments, trigger)
    yield from _reads_of_gate(account)


def steps(account: Account) -> Iterator[tuple[str, str, Json]]:
    """Yield name, kind and request of each step, its expressions replaced as in a run."""
    properties = account.deployment.get("pipeline", "Pipeline").properties
    definition = build(from_event(PipelineProperties, properties))
    parameters = {one["Name"]: one["DefaultValue"] for one in definition["Parameters"]}
    values = Values(parameters, {"PipelineExecutionId": EXECUTION}, lambda _step, _name: "{}")
    gate = next(one for one in definition["Steps"] if one["Type"] == "Condition")
    passed = gate["Arguments"]["IfSteps"]
    for step in [one for one in definition["Steps"] if one["Type"] != "Condition"] + passed:
        arguments = values.resolve(step["Arguments"])
        described = _described(step["Name"], step["Type"], arguments)
        values.describe(step["Name"], described)
        yield step["Name"], step["Type"], described


def _described(step: str, kind: str, arguments: Json) -> Json:
    """Return the request with the names that the service gives, and what the step makes."""
    made = f"pipelines-{EXECUTION}-{step}-0123456789"
    names = {"Processing": "ProcessingJobName", "Training": "TrainingJobName", "Model": "ModelName"}
    described = {**arguments, **({names[kind]: made} if kind in names else {})}
    if kind == "Training":
        folder = arguments["OutputDataConfig"]["S3OutputPath"]
        artifacts = f"{folder}/{made}/output/model.tar.gz"
        described["ModelArtifacts"] = {"S3ModelArtifacts": artifacts}
    if kind == "EndpointConfig":
        described["EndpointConfigName"] = f"{arguments['EndpointConfigName']}-0123456789"
    return described


def _of_service(account: Account, kind: str, arguments: Json) -> Iterator[Request]:
    """What the pipeline service calls with the pipeline's role, from outside the VPC."""
    api = STEP_KINDS[kind]
    operations = [api.create]
    if kind != "RegisterModel":
        operations.append(api.describe)
    if kind in ("Processing", "Training"):
        operations.append(api.describe.replace("Describe", "Stop"))
    if kind == "Endpoint":
        operations.append("UpdateEndpoint")
    for operation in operations:
        yield from of_request(
            account, "PipelineRole", f"sagemaker:{operation}", arguments, inside=False
        )
    if kind == "RegisterModel":
        group = arguments["ModelPackageGroupName"]
        package = account.place.arn("sagemaker", f"model-package/{group}/1")
        yield Request("PipelineRole", "sagemaker:DescribeModelPackage", package)


def role_of(account: Account, arn: str) -> str:
    """Return the logical id of a role."""
    roles = account.deployment.of_type("AWS::IAM::Role")
    return next(role.logical_id for role in roles if arn.endswith(f"/{role.reference}"))


def _of_job(account: Account, arguments: Json) -> Iterator[Request]:
    """What SageMaker reads and writes with a job's role, through the VPC's endpoint of S3."""
    role = role_of(account, arguments["RoleArn"])
    for uri in _sources(arguments):
        yield from _reads(account, role, uri)
    for uri in _targets(arguments):
        yield from _writes(account, role, uri)


def _sources(arguments: Json) -> list[str]:
    inputs = [one["S3Input"]["S3Uri"] for one in arguments.get("ProcessingInputs", [])]
    channels = arguments.get("InputDataConfig", [])
    return inputs + [one["DataSource"]["S3DataSource"]["S3Uri"] for one in channels]


def _targets(arguments: Json) -> list[str]:
    outputs = arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
    found = [one["S3Output"]["S3Uri"] for one in outputs]
    artifacts = arguments.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    return found + ([artifacts] if artifacts else [])


def _reads(account: Account, role: str, uri: str, inside: bool = True) -> Iterator[Request]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    key = prefix if "." in prefix.rpartition("/")[2] else f"{prefix.rstrip('/')}/file"
    calls = (
        ("s3:ListObjectsV2", {"Bucket": bucket, "Prefix": prefix}),
        ("s3:GetObject", {"Bucket": bucket, "Key": key}),
    )
    for operation, parameters in calls:
        for request in of_request(account, role, operation, parameters, inside):
            if not _asks_whether_there(request):
                yield request


def _asks_whether_there(request: Request) -> bool:
    """Who may list is told of an absent object, who may not is refused: nobody's work needs it."""
    return request.action == "s3:ListBucket" and "s3:prefix" not in request.context


def _writes(account: Account, role: str, uri: str) -> Iterator[Request]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    parameters = {
        "Bucket": bucket,
        "Key": prefix if "." in prefix.rpartition("/")[2] else f"{prefix}/file",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": account.key_arn,
    }
    yield from of_request(account, role, "s3:PutObject", parameters, inside=True)


def _reads_of_model(account: Account, arguments: Json, trigger: str) -> Iterator[Required]:
    """The artifact is read with the model's role: when it is checked, and when it is served."""
    if "ExecutionRoleArn" not in arguments:
        return
    role, uri = (
        role_of(account, arguments["ExecutionRoleArn"]),
        arguments["PrimaryContainer"]["ModelDataUrl"],
    )
    for inside in (False, True):
        for request in _reads(account, role, uri, inside):
            yield Required(DERIVED, request, trigger)


def _reads_of_gate(account: Account) -> Iterator[Required]:
    """The service reads the property file with the pipeline's role, from outside the VPC."""
    evaluate = next(found for name, _, found in steps(account) if name == "Evaluate")
    uri = f"{_targets(evaluate)[0]}/evaluation.json"
    for request in _reads(account, "PipelineRole", uri, inside=False):
        if request.action != "s3:ListBucket":
            yield Required(DERIVED, request, "step QualityGate")


# Implicit


def implicit_calls(account: Account) -> Iterator[Required]:
    """Yield the calls of `implicit.toml`."""
    names = placeholders(account)
    for entry in implicit_rights():
        if entry.get("setting") and "ReplicationRole" not in account.roles:
            continue
        for who in entry["who"]:
            for action in entry["actions"]:
                for resource in entry["resources"]:
                    request = _request_of_entry(account, entry, who, action, resource, names)
                    yield Required(IMPLICIT, request, entry["trigger"], entry["source"])


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


def placeholders(account: Account) -> dict[str, str]:
    """Return what `{...}` stands for in `implicit.toml` and in attacks."""
    deployment, place = account.deployment, account.place
    images = deployment.get("pipeline", "Pipeline").properties
    repository = {
        name: _repository(account, images[f"{label}Image"])
        for name, label in (
            ("preprocess", "Preprocess"),
            ("training", "Training"),
            ("inference", "Inference"),
        )
    }
    groups = {
        f"group_{group.logical_id.removesuffix('LogGroup')}": group.reference
        for group in deployment.of_type("AWS::Logs::LogGroup")
    }
    return {
        "account": place.account,
        "bucket": f"arn:{place.partition}:s3:::{deployment.get('storage', 'DataBucket').reference}",
        "data": deployment.get("storage", "DataBucket").reference,
        "domain": deployment.get("studio", "Domain").reference,
        "key": account.key_arn,
        "log_bucket": (
            f"arn:{place.partition}:s3:::{deployment.get('storage', 'LogBucket').reference}"
        ),
        "log_group": deployment.get("network", "FlowLogsLogGroup").reference,
        "name": deployment.parameters["pipeline"]["UniqueName"],
        "partition": place.partition,
        "profile": PROFILE,
        "queue": place.arn(
            "sqs", deployment.get("security", "DeadLetterQueue").reference.rpartition("/")[2]
        ),
        "region": place.region,
        "root_stack": place.stack_name,
        "topic": deployment.get("pipeline", "AlertTopic").reference,
        "vpc": deployment.get("network", "Vpc").reference,
        **{role.logical_id: account.role_arn(role.logical_id) for role in _roles(account)},
        **repository,
        **groups,
    }


def _roles(account: Account) -> list[Any]:
    return account.deployment.of_type("AWS::IAM::Role")


def _repository(account: Account, image: str) -> str:
    registry, _, rest = image.partition("/")
    owner = registry.partition(".")[0]
    place = account.place
    repository = rest.partition(":")[0]
    return f"arn:{place.partition}:ecr:{place.region}:{owner}:repository/{repository}"
