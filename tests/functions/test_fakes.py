"""The fakes refuse what AWS's own models do not know, in requests and in answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.s3 import FakeS3
from tests.functions.fakes.sagemaker import FakeSageMaker
from tests.functions.fakes.wire import ApiError, Fields
from tests.functions.recorder import Recorder, Right, load, rights_of
from tests.functions.world import World


class Inventive(FakeS3):
    """Answers with what S3 does not have."""

    def get_bucket_policy(self, _p: Fields) -> Fields:
        return {"Policy": "{}", "Colour": "red"}

    def get_bucket_tagging(self, _p: Fields) -> Fields:
        return {"TagSet": [{"Key": "no value"}]}


def test_an_unknown_operation_is_refused(world: World) -> None:
    world.backed_by(s3=FakeS3("b"))
    with pytest.raises(AttributeError):
        world.wire.client("s3").paint_bucket(Bucket="b")


def test_an_operation_that_no_fake_has_is_refused(world: World) -> None:
    world.backed_by(s3=FakeS3("b"))
    with pytest.raises(NotImplementedError, match="FakeS3 does not do GetBucketAcl"):
        world.wire.client("s3").get_bucket_acl(Bucket="b")


@pytest.mark.parametrize(
    "parameters", [{}, {"Bucket": "b", "Colour": "red"}, {"Bucket": "b", "ExpectedBucketOwner": 1}]
)
def test_malformed_parameters_are_refused(world: World, parameters: Fields) -> None:
    world.backed_by(s3=FakeS3("b"))
    with pytest.raises(ParamValidationError):
        world.wire.client("s3").head_bucket(**parameters)


@pytest.mark.parametrize("operation", ["get_bucket_policy", "get_bucket_tagging"])
def test_an_answer_that_aws_could_not_give_is_refused(world: World, operation: str) -> None:
    world.backed_by(s3=Inventive("b"))
    with pytest.raises(AssertionError, match=r"Colour|Value"):
        getattr(world.wire.client("s3"), operation)(Bucket="b")


def test_errors_are_botocores_own(world: World) -> None:
    world.backed_by(sagemaker=FakeSageMaker(Clock()))
    client = world.wire.client("sagemaker")
    with pytest.raises(client.exceptions.ResourceNotFound):
        client.describe_pipeline(PipelineName="x")
    with pytest.raises(ClientError, match="Could not find Endpoint"):
        client.describe_endpoint(EndpointName="x")


def test_a_failure_is_answered_once(world: World) -> None:
    s3 = FakeS3("b")
    s3.failures["HeadBucket"] = [ApiError("AccessDenied", "", 403)]
    world.backed_by(s3=s3)
    with pytest.raises(ClientError):
        world.wire.client("s3").head_bucket(Bucket="b")
    world.wire.client("s3").head_bucket(Bucket="b")


# The recorder


def test_a_call_without_known_rights_is_refused() -> None:
    with pytest.raises(KeyError):
        rights_of("s3", "PutBucketAcl", {"Bucket": "b"})


def test_a_conditional_write_asks_for_reading_as_well() -> None:
    place = {"Bucket": "b", "Key": "k"}
    plain = {right.action for right in rights_of("s3", "PutObject", place)}
    conditional = {right.action for right in rights_of("s3", "PutObject", place | {"IfMatch": "e"})}
    assert conditional - plain == {"s3:GetObject"}


def test_names_are_in_lower_case_in_arns() -> None:
    (right,) = rights_of("sagemaker", "DeleteModel", {"ModelName": "My-Model"})
    assert right.resource == "arn:aws:sagemaker:eu-west-1:123456789012:model/my-model"


def test_recorded_rights_survive_a_file(tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    recorder = Recorder()
    request = {
        "PipelineName": "P",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    for _ in range(2):
        recorder.record("pipeline_manager", "sagemaker", "CreatePipeline", request)
    recorder.save(path)
    assert load(path) == {"pipeline_manager": recorder.rights("pipeline_manager")}
    assert [right.action for right in recorder.rights("pipeline_manager")] == [
        "sagemaker:CreatePipeline",
        "iam:PassRole",
        "sagemaker:AddTags",
    ]
    passed = Right(
        "iam:PassRole",
        "arn:aws:iam::123456789012:role/r",
        (("iam:PassedToService", "sagemaker.amazonaws.com"),),
    )
    assert passed in load(path)["pipeline_manager"]
