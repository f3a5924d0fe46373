"""The operator's policy names what exists, where it exists, and changes nothing deployed.

That it is enough for the commands is tested in tests/operations/runs, in the emulated AWS.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from generator.policies import operator
from generator.policies.documents import MANAGED_POLICY_CHARACTERS, size
from generator.settings import Security, Settings
from pipeline.types import Json
from tests.iam.simulator import data
from tests.iam.test_deployer import resource_types

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WRITES = {
    "sagemaker:StartPipelineExecution",
    "sagemaker:StopPipelineExecution",
    "s3:PutObject",
}


@pytest.fixture(scope="module")
def policy() -> Json:
    return operator.policy(Settings())


def test_each_action_takes_the_resources_it_is_allowed_on(policy: Json) -> None:
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            patterns = resource_types(action)
            resources = statement["Resource"]
            for one in [resources] if isinstance(resources, str) else resources:
                assert one == "*" or one.split(":")[2] in {each.split(":")[2] for each in patterns}


def test_only_runs_and_tables_are_written(policy: Json) -> None:
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    writes = {
        action
        for action in actions
        if data(f"actions/{action.partition(':')[0]}")[action.partition(":")[2].lower()][
            "accessLevel"
        ]
        in {"Write", "Permissions management", "Tagging"}
    }
    assert writes - {"kms:Decrypt", "kms:GenerateDataKey"} == WRITES


@pytest.mark.parametrize("key", ["processed/1/train/train.parquet", "models/1/model.tar.gz"])
def test_rows_and_models_cannot_be_read(policy: Json, key: str) -> None:
    objects = [
        pattern
        for statement in policy["Statement"]
        if "s3:GetObject" in statement["Action"]
        for pattern in [statement["Resource"]]
    ]
    assert objects
    assert not any(fnmatchcase(f"arn:aws:s3:::tabular-data/{key}", one) for one in objects)


def may_write(policy: Json, key: str) -> bool:
    return may(policy, "s3:PutObject", key)


def may(policy: Json, action: str, key: str) -> bool:
    found = {
        statement["Effect"]
        for statement in policy["Statement"]
        if action in statement["Action"]
        for resources in [statement["Resource"]]
        for pattern in ([resources] if isinstance(resources, str) else resources)
        if fnmatchcase(f"arn:aws:s3:::tabular-data/{key}", pattern)
    }
    return found == {"Allow"}


@pytest.mark.parametrize("prefix", ["", "pipelines/"])
def test_only_raw_tables_can_be_written(policy: Json, prefix: str) -> None:
    assert may_write(policy, f"{prefix}raw/churn/table.csv")
    for key in ("processed/1/train/raw/x", "models/1/raw/x", "code/1/raw/x", "processed/1/x"):
        assert not may_write(policy, f"{prefix}{key}")


def test_a_folder_raw_among_files_of_people_is_not_the_operators(policy: Json) -> None:
    for action in ("s3:GetObject", "s3:PutObject"):
        assert may(policy, action, "raw/table.csv")
        assert not may(policy, action, "studio/ana/raw/notes.csv")


def test_it_fits_a_managed_policy_and_names_an_own_key() -> None:
    own = operator.policy(Settings(security=Security(key=KEY)))
    assert size(own) <= MANAGED_POLICY_CHARACTERS
    assert own["Statement"][-1]["Resource"] == KEY
