"""Batch predictions: what they need is allowed, and a job that predicts touches nothing else."""

from __future__ import annotations

import pytest

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.properties import from_event
from generator.resolved import resolve
from generator.settings import Settings
from pipeline import prediction
from tests.iam.account import Account, Request
from tests.iam.derived import of_step, resolved
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.names import placeholders
from tests.iam.required import DERIVED, Required

EXECUTION = "execution/abcdefghijkl"
FOLLOWED = ("DescribePipelineExecution", "ListPipelineExecutionSteps")
MANAGED = ("CreatePipeline", "DescribePipeline", "UpdatePipeline", "DeletePipeline")


@pytest.fixture(scope="module")
def predicting() -> Account:
    """Return a deployment with batch predictions."""
    return Account.of(resolve(Settings.model_validate({"pipeline": {"predictions": True}})))


def own(account: Account, rest: str = "") -> str:
    """Return the ARN of the pipeline of predictions."""
    properties = account.deployment.get("pipeline", "Predictions").properties
    return account.place.arn("sagemaker", f"pipeline/{properties['PipelineName'].lower()}{rest}")


@pytest.fixture(scope="module")
def needed(predicting: Account) -> list[Required]:
    """Return the calls of a person, of the pipeline's manager, and of the one step."""
    bucket = placeholders(predicting)["bucket"]
    properties = predicting.deployment.get("pipeline", "Predictions").properties
    definition = prediction.build(from_event(PipelineProperties, properties))
    name = bucket.rpartition(":")[2]
    given = {
        "InputData": f"s3://{name}/raw/_uploads/0/rows.csv",
        "ModelArchive": f"s3://{name}/models/r/t/output/model.tar.gz",
    }
    found = [
        Required(DERIVED, *call)
        for step in resolved(definition, given)
        for call in of_step(predicting, *step)
    ]
    pipeline, run = own(predicting), own(predicting, f"/{EXECUTION}")
    service = {"aws:SourceArn": run}
    role = placeholders(predicting)["PipelineRole"]
    requests = [
        Request("StudioRole", "sagemaker:StartPipelineExecution", pipeline),
        *(Request("StudioRole", f"sagemaker:{one}", run) for one in FOLLOWED),
        Request(
            "StudioRole",
            "s3:GetObject",
            f"{bucket}/predictions/r/predictions/rows.csv",
            {},
            "S3Endpoint",
        ),
        *(Request("PipelineManagerRole", f"sagemaker:{one}", pipeline) for one in MANAGED),
        Request("PipelineManagerRole", "sagemaker:StopPipelineExecution", run),
        Request("sagemaker.amazonaws.com", "sts:AssumeRole", role, service),
    ]
    return [*found, *(Required(DERIVED, request, "predictions") for request in requests)]


def test_predictions_may_do_their_work(predicting: Account, needed: list[Required]) -> None:
    assert refused(predicting, needed) == []
    written = [one.request for one in needed if one.request.action == "s3:PutObject"]
    assert {one.who for one in written} == {"ProcessingRole"}


@pytest.fixture(scope="module")
def attempts(predicting: Account) -> dict[str, Request]:
    """Return what nobody may do because there are predictions, by what is wanted."""
    bucket = placeholders(predicting)["bucket"]
    results = f"{bucket}/predictions/r/predictions/rows.csv"

    def inside(who: str, action: str) -> Request:
        return Request(who, f"s3:{action}", results, {}, "S3Endpoint")

    return {
        "a training job writes predictions": inside("TrainingRole", "PutObject"),
        "a model writes predictions": inside("ModelRole", "PutObject"),
        "a training job reads predictions": inside("TrainingRole", "GetObject"),
        "a notebook's job reads predictions": inside("NotebookJobsRole", "GetObject"),
        "a person replaces predictions": inside("StudioRole", "PutObject"),
        "a job deletes predictions": inside("ProcessingRole", "DeleteObject"),
        "stolen credentials write predictions": inside("ProcessingRole", "PutObject").but(via=""),
        "a person changes the pipeline": Request(
            "StudioRole", "sagemaker:UpdatePipeline", own(predicting)
        ),
        "another deployment's predictions are started": Request(
            "StudioRole",
            "sagemaker:StartPipelineExecution",
            predicting.place.arn("sagemaker", "pipeline/other-predict"),
        ),
    }


def test_every_attack_is_refused(predicting: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(predicting, attempts) == []


def test_every_attack_would_succeed_without_policies(
    predicting: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(predicting, attempts) == []


def test_without_the_setting_nobody_may_predict(
    account: Account, predicting: Account, needed: list[Required]
) -> None:
    """The manager still may delete the pipeline: an update can need that."""
    of_people = [one for one in needed if one.request.who == "StudioRole"]
    started = [one for one in of_people if one.request.resource.startswith(own(predicting))]
    assert len(refused(account, started)) == len(started)
