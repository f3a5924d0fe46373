"""What SageMaker does for each step of the compiled definition.

The pipeline service calls with the pipeline's role, from outside the VPC; jobs read and write with
their own roles, through the VPC's endpoint of S3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from pipeline.definition import build
from pipeline.expressions import Values
from pipeline.shapes import STEP_KINDS
from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.requests import of_request

EXECUTION: Final = "abcdefghijkl"

Triggered = tuple[Request, str]
"""A request and what triggers it."""


def derived_calls(account: Account) -> Iterator[Triggered]:
    """Yield what SageMaker calls for each step of the definition."""
    for step, kind, arguments in steps(account):
        yield from of_step(account, step, kind, arguments)
    yield from _reads_of_gate(account)


def of_step(account: Account, step: str, kind: str, arguments: Json) -> Iterator[Triggered]:
    """Yield what SageMaker calls for one step."""
    trigger = f"step {step}"
    for request in _of_service(account, kind, arguments):
        yield request, trigger
    if kind in ("Processing", "Training"):
        for request in of_job(account, arguments):
            yield request, trigger
    if kind in ("Model", "RegisterModel"):
        yield from _reads_of_model(account, arguments, trigger)


def steps(account: Account) -> Iterator[tuple[str, str, Json]]:
    """Yield name, kind and request of each step, its expressions replaced as in a run."""
    properties = account.deployment.get("pipeline", "Pipeline").properties
    yield from resolved(build(from_event(PipelineProperties, properties)), {})


def resolved(definition: Json, given: Mapping[str, str]) -> Iterator[tuple[str, str, Json]]:
    """Yield the steps of a definition, with the values ``given`` for its parameters."""
    declared = {one["Name"]: one.get("DefaultValue") for one in definition["Parameters"]}
    parameters = declared | dict(given)
    values = Values(parameters, {"PipelineExecutionId": EXECUTION}, lambda _step, _name: "{}")
    gates = [one for one in definition["Steps"] if one["Type"] == "Condition"]
    passed = [step for gate in gates for step in gate["Arguments"]["IfSteps"]]
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


def of_job(account: Account, arguments: Json) -> Iterator[Request]:
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
            if not asks_whether_there(request):
                yield request


def asks_whether_there(request: Request) -> bool:
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


def _reads_of_model(account: Account, arguments: Json, trigger: str) -> Iterator[Triggered]:
    """The artifact is read with the model's role: when it is checked, and when it is served."""
    if "ExecutionRoleArn" not in arguments:
        return
    role, uri = (
        role_of(account, arguments["ExecutionRoleArn"]),
        arguments["PrimaryContainer"]["ModelDataUrl"],
    )
    for inside in (False, True):
        for request in _reads(account, role, uri, inside):
            yield request, trigger


def _reads_of_gate(account: Account) -> Iterator[Triggered]:
    """The service reads the property file with the pipeline's role, from outside the VPC."""
    evaluate = next(found for name, _, found in steps(account) if name == "Evaluate")
    uri = f"{_targets(evaluate)[0]}/evaluation.json"
    for request in _reads(account, "PipelineRole", uri, inside=False):
        if request.action != "s3:ListBucket":
            yield request, "step QualityGate"
