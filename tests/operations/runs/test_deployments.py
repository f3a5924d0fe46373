"""Updates of an endpoint of the emulated AWS with real model servers."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator

import pytest
from boto3.session import Session

from tests.emulated_registry import Registry, asking, open_registry, shift, with_alarm

CODE = """
def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    return '{{"served": "{word}"}}', "application/json"
"""
BAKE = 3600
"""Six seconds in the emulator."""


def archive(word: str) -> bytes:
    """Return the archive of a model that answers with a word."""
    code = CODE.format(word=word).encode()
    entry = tarfile.TarInfo("code/inference.py")
    entry.size = len(code)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        file.addfile(entry, io.BytesIO(code))
    return packed.getvalue()


@pytest.fixture(scope="module")
def registry(aws: Session) -> Iterator[Registry]:
    """Give a registry, and the role of its models."""
    iam = aws.client("iam")
    role = iam.create_role(RoleName="serves", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    actions = ["s3:GetObject", "s3:ListBucket", "cloudwatch:DescribeAlarms"]
    rights = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_role_policy(RoleName="serves", PolicyName="p", PolicyDocument=document)
    with open_registry(aws, role=role, archive=archive) as made:
        made.create(made.config("first"))
        assert made.settled()["EndpointStatus"] == "InService"
        yield made


def test_a_canary_and_then_all_requests_reach_the_new_server_and_none_is_lost(
    registry: Registry,
) -> None:
    config = registry.config("second")
    with asking(registry) as answers:
        registry.update(config, shift("CANARY", 50, wait=BAKE))
        while "second" not in answers:
            time.sleep(0.05)
        assert registry.described()["EndpointStatus"] == "Updating"
        after = registry.settled()
    assert set(answers) == {"first", "second"}
    assert after["EndpointConfigName"] == config
    assert registry.ask() == "second"


def test_an_alarm_takes_all_requests_back_to_the_old_server(registry: Registry) -> None:
    before, config = registry.described()["EndpointConfigName"], registry.config("third")
    with registry.alarm() as alarm, asking(registry) as answers:
        registry.update(config, with_alarm(shift("CANARY", 50, wait=BAKE), alarm))
        while "third" not in answers:
            time.sleep(0.05)
        registry.trip()
        after = registry.settled()
    assert set(answers) == {"second", "third"}
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", before)
    assert "went off" in after["FailureReason"]
    assert registry.ask() == "second"


def test_a_model_that_cannot_be_served_leaves_the_old_server(registry: Registry) -> None:
    before, config = registry.described()["EndpointConfigName"], registry.config("fourth")
    registry.session.client("s3").put_object(Bucket=registry.bucket, Key="fourth", Body=b"x")
    with asking(registry) as answers:
        registry.update(config, shift("CANARY", 50))
        after = registry.settled()
    assert set(answers) == {"second"}
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", before)
    assert "is not a model archive" in after["FailureReason"]
