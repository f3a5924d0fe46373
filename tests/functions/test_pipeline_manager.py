"""The pipeline and its code are brought to SageMaker; what is not ours is not touched."""

from __future__ import annotations

import json

import pytest
from botocore.session import get_session

from functions.pipeline_manager import core
from functions.pipeline_manager import handler as module
from functions.pipeline_manager.handler import handler
from pipeline import prediction
from pipeline.definition import OWNER_TAG, build
from pipeline.definition import SCRIPTS as SCRIPT_NAMES
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.wire import ApiError
from tests.functions.pipeline_world import (
    BUCKET,
    ENVIRONMENT,
    HASH,
    NAME,
    OTHER,
    OWNER,
    PREDICTIONS,
    SCRIPTS,
    Deployment,
    of_predictions,
    properties,
)
from tests.functions.recorder import Recorder
from tests.functions.world import World

PROPERTIES = properties()
ARN = f"arn:aws:sagemaker:eu-west-1:123456789012:pipeline/{NAME.lower()}"
WRITES = ("Create", "Update", "Delete", "Stop", "Put")


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(module, "read_scripts", lambda: dict(SCRIPTS))
    s3, sagemaker = FakeS3(BUCKET), FakeSageMaker(world.clock)
    world.backed_by(s3=s3, sagemaker=sagemaker)
    return Deployment(s3, sagemaker, world)


def writes(deployed: Deployment) -> list[str]:
    requests = [*deployed.s3.requests, *deployed.sagemaker.requests]
    return [name for name, _ in requests if name.startswith(WRITES)]


# The pipeline


def test_the_pipeline_is_created_as_it_is_defined(deployed: Deployment) -> None:
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert put.data == {"PipelineName": NAME, "PipelineArn": ARN}
    made = deployed.sagemaker.pipelines[NAME]
    assert json.loads(made["PipelineDefinition"]) == json.loads(json.dumps(build(ENVIRONMENT)))
    assert made["RoleArn"] == ENVIRONMENT.pipeline_role_arn
    assert deployed.sagemaker.tags[ARN] == OWNER


def test_the_pipeline_of_predictions_is_created_as_it_is_defined(deployed: Deployment) -> None:
    assert deployed.world.send(handler, "Create", of_predictions()).succeeded
    made = deployed.sagemaker.pipelines[PREDICTIONS]
    wanted = prediction.build(ENVIRONMENT)
    assert json.loads(made["PipelineDefinition"]) == json.loads(json.dumps(wanted))


def test_the_definition_fits_into_the_request() -> None:
    model = get_session().get_service_model("sagemaker").operation_model("CreatePipeline")
    most = model.input_shape.members["PipelineDefinition"].metadata["max"]
    assert len(json.dumps(build(ENVIRONMENT))) < most / 10


def test_requests_carry_tokens_that_the_service_takes(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    (request,) = deployed.sagemaker.requested("CreatePipeline")
    assert 32 <= len(request["ClientRequestToken"]) <= 128


def test_the_same_creation_twice_makes_one_pipeline(deployed: Deployment) -> None:
    first, second = (deployed.world.send(handler, "Create", PROPERTIES) for _ in range(2))
    assert first.body == second.body
    assert first.succeeded
    assert writes(deployed).count("CreatePipeline") == 1
    assert writes(deployed).count("UpdatePipeline") == 0
    assert writes(deployed).count("PutObject") == len(SCRIPTS)


def test_two_deliveries_at_once_make_one_pipeline(deployed: Deployment) -> None:
    """The token makes the second request the first one's repetition."""
    world = deployed.world
    deployed.sagemaker.before["CreatePipeline"] = [
        lambda: world.send(handler, "Create", PROPERTIES)
    ]
    sent = len(world.responses.puts)
    with pytest.raises(AssertionError, match="2 answers"):
        world.send(handler, "Create", PROPERTIES)
    inner, outer = world.responses.puts[sent:]
    assert inner.succeeded
    assert inner.body == outer.body


def test_an_update_changes_the_definition(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    changed = properties(training_instance_type="ml.m5.2xlarge", source_hash="ffff")
    put = deployed.world.send(handler, "Update", changed)
    assert put.data == {"PipelineName": NAME, "PipelineArn": ARN}
    definition = deployed.sagemaker.pipelines[NAME]["PipelineDefinition"]
    assert "ml.m5.2xlarge" in definition
    assert f"s3://{BUCKET}/code/ffff" in definition
    assert f"code/{HASH}" not in definition


def test_an_update_changes_the_role(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    role = "arn:aws:iam::123456789012:role/new-pipeline"
    deployed.world.send(handler, "Update", properties(pipeline_role_arn=role))
    assert deployed.sagemaker.pipelines[NAME]["RoleArn"] == role


def test_an_update_without_a_difference_makes_no_new_version(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    put = deployed.world.send(handler, "Update", PROPERTIES)
    assert put.data["PipelineArn"] == ARN
    assert "UpdatePipeline" not in writes(deployed)


def test_an_update_makes_a_pipeline_that_is_gone_anew(deployed: Deployment) -> None:
    assert deployed.world.send(handler, "Update", PROPERTIES).succeeded
    assert deployed.sagemaker.tags[ARN] == OWNER


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_neither_executions_nor_endpoints_are_touched(deployed: Deployment, kind: str) -> None:
    deployed.have_pipeline(OWNER)
    deployed.have_run(1)
    running = deployed.sagemaker.run(NAME, "Executing")
    deployed.sagemaker.resources["Endpoint"][NAME.lower()].fields["status"] = "Updating"
    assert deployed.world.send(handler, kind, PROPERTIES).succeeded
    assert set(writes(deployed)) == {"PutObject", "UpdatePipeline"}
    assert running.status == "Executing"


@pytest.mark.parametrize("kind", ["Create", "Update"])
@pytest.mark.parametrize("tags", [{}, {"team": "ml"}, OTHER, {OWNER_TAG: "true"}])
def test_a_pipeline_of_somebody_else_is_refused_and_left_alone(
    deployed: Deployment, kind: str, tags: dict[str, str]
) -> None:
    deployed.have_pipeline(tags)
    put = deployed.world.send(handler, kind, PROPERTIES)
    assert put.reason == (
        f"The existing pipeline {NAME} does not belong to this stack and was not changed. Delete "
        "it, or deploy under another name."
    )
    assert writes(deployed) == []


def test_the_owner_tag_is_found_among_many(deployed: Deployment) -> None:
    deployed.have_pipeline({f"tag{number}": "x" for number in range(9)} | OWNER)
    assert deployed.world.send(handler, "Update", PROPERTIES).succeeded


@pytest.mark.parametrize("operation", ["DescribePipeline", "ListTags", "CreatePipeline"])
def test_a_missing_right_is_said(deployed: Deployment, operation: str) -> None:
    if operation == "ListTags":
        deployed.have_pipeline(OWNER)
    error = ApiError("AccessDeniedException", "not authorized to perform: sagemaker:x")
    deployed.sagemaker.failures[operation] = [error]
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert operation in put.reason
    assert "not authorized" in put.reason


# Its code


def test_the_scripts_are_uploaded_under_their_hash(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    bucket = deployed.s3.buckets[BUCKET]
    found = {one.key: one.body for one in bucket.versions}
    assert found == {f"code/{HASH}/{name}": content for name, content in SCRIPTS.items()}


def test_the_definition_reads_the_scripts_where_they_are(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    definition = deployed.sagemaker.pipelines[NAME]["PipelineDefinition"]
    assert f"s3://{BUCKET}/code/{HASH}" in definition


def test_scripts_that_are_there_are_not_uploaded_again(deployed: Deployment) -> None:
    key = f"code/{HASH}/train.py"
    deployed.s3.put(BUCKET, key, SCRIPTS["train.py"])
    assert deployed.world.send(handler, "Create", PROPERTIES).succeeded
    assert writes(deployed).count("PutObject") == len(SCRIPTS) - 1


def test_other_content_is_not_overwritten(deployed: Deployment) -> None:
    key = f"code/{HASH}/train.py"
    deployed.s3.put(BUCKET, key, b"somebody's own")
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert f"s3://{BUCKET}/{key} differs from this version's script" in put.reason
    assert deployed.s3.buckets[BUCKET].current(key).body == b"somebody's own"  # type: ignore[union-attr]
    assert "CreatePipeline" not in writes(deployed)


def test_content_that_arrives_in_between_is_not_overwritten(deployed: Deployment) -> None:
    key = f"code/{HASH}/{next(iter(SCRIPTS))}"
    deployed.s3.before["PutObject"] = [lambda: deployed.s3.put(BUCKET, key, b"somebody's own")]
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert "was not overwritten" in put.reason
    assert deployed.s3.buckets[BUCKET].current(key).body == b"somebody's own"  # type: ignore[union-attr]


@pytest.mark.parametrize("code", ["PreconditionFailed", "ConditionalRequestConflict"])
def test_the_same_script_by_another_delivery_is_taken(deployed: Deployment, code: str) -> None:
    name, content = next(iter(SCRIPTS.items()))
    deployed.s3.before["PutObject"] = [
        lambda: deployed.s3.put(BUCKET, f"code/{HASH}/{name}", content)
    ]
    deployed.s3.failures["PutObject"] = [ApiError(code, "", 409)]
    assert deployed.world.send(handler, "Create", PROPERTIES).succeeded


def test_code_of_other_versions_stays(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    deployed.world.send(handler, "Update", properties(source_hash="ffff"))
    prefixes = {key.rpartition("/")[0] for key in deployed.s3.buckets[BUCKET].readable()}
    assert prefixes == {f"code/{HASH}", "code/ffff"}


def test_a_bucket_that_may_not_be_read_is_said(deployed: Deployment) -> None:
    deployed.s3.failures["GetObject"] = [ApiError("AccessDenied", "Access Denied", 403)]
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert "GetObject" in put.reason
    assert writes(deployed) == []


def test_a_write_that_is_refused_is_said(deployed: Deployment) -> None:
    deployed.s3.failures["PutObject"] = [ApiError("AccessDenied", "Access Denied", 403)]
    put = deployed.world.send(handler, "Create", PROPERTIES)
    assert "PutObject" in put.reason
    assert "CreatePipeline" not in writes(deployed)


def test_the_scripts_that_ship_are_those_of_the_definition() -> None:
    scripts = core.read_scripts()
    assert tuple(scripts) == SCRIPT_NAMES
    assert all(scripts.values())


# Rights


def test_only_the_pipelines_role_is_passed(deployed: Deployment, recorder: Recorder) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    deployed.world.send(handler, "Update", properties(source_hash="ffff"))
    passed = {
        right.resource
        for right in recorder.rights("pipeline_manager")
        if right.action == "iam:PassRole"
    }
    assert passed <= {ENVIRONMENT.pipeline_role_arn, "arn:aws:iam::123456789012:role/new-pipeline"}


def test_nothing_outside_the_code_folder_is_written(deployed: Deployment) -> None:
    deployed.world.send(handler, "Create", PROPERTIES)
    keys = {request["Key"] for request in deployed.s3.requested("PutObject")}
    assert all(key.startswith(f"code/{HASH}/") for key in keys)


# What the runs' first comparison needs


def test_where_models_are_compared_there_is_an_object_before_the_first_champion(
    deployed: Deployment,
) -> None:
    compared = properties(champion_margin="0.01")
    assert deployed.world.send(handler, "Create", compared).succeeded
    assert deployed.s3.buckets[BUCKET].readable() & {"champion/none.txt"}
    deployed.s3.put(BUCKET, "champion/model.tar.gz", b"serves")
    world = deployed.world
    assert world.send(handler, "Update", compared, OldResourceProperties=compared).succeeded
    assert len([one for one in deployed.s3.buckets[BUCKET].versions if "none" in one.key]) == 1


def test_where_they_are_not_there_is_none(deployed: Deployment) -> None:
    assert deployed.world.send(handler, "Create", PROPERTIES).succeeded
    assert not [key for key in deployed.s3.buckets[BUCKET].readable() if "champion" in key]
