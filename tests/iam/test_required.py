"""Everything that the product does is allowed, all policies together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from generator.resolved import resolve
from generator.settings import Mode, Settings
from tests.iam.account import Account, Request
from tests.iam.judged import refused
from tests.iam.names import placeholders
from tests.iam.required import (
    DERIVED,
    IMPLICIT,
    RECORDED,
    Required,
    implicit_calls,
    implicit_rights,
    required,
)
from tests.iam.simulator import simulate
from tests.iam.walkthrough import blocks, calls_of_notebook


def test_every_required_call_is_allowed(account: Account, calls: list[Required]) -> None:
    assert refused(account, calls) == []


def test_there_are_required_calls_of_each_kind(calls: list[Required]) -> None:
    kinds = Counter(call.kind for call in calls)
    assert kinds[RECORDED] > 100
    assert kinds[DERIVED] > 50
    assert kinds[IMPLICIT] > 200


def test_each_role_makes_a_call(account: Account, calls: list[Required]) -> None:
    roles = {role.logical_id for role in account.deployment.of_type("AWS::IAM::Role")}
    assert roles - {call.request.who for call in calls} == set()


def test_what_survives_the_stack_allows_the_same(calls: list[Required]) -> None:
    assert refused(Account.of(resolve(mode=Mode.PROD)), calls) == []


def test_what_settings_add_is_allowed_to_work(with_all_options: Account) -> None:
    added = [one for one in implicit_calls(with_all_options) if "Replication" in str(one.request)]
    assert len(added) > 5
    assert refused(with_all_options, added) == []


def test_the_policy_for_an_own_key_allows_the_same(
    with_own_key: Account, recorded_calls: Path
) -> None:
    calls = required(with_own_key, recorded_calls)
    of_key = [call for call in calls if call.request.resource == with_own_key.key_arn]
    assert len(of_key) > 50
    assert refused(with_own_key, calls) == []


def test_more_zones_allow_the_same_with_their_subnets() -> None:
    settings = Settings.model_validate({"network": {"zones": 3}})
    account = Account.of(resolve(settings))
    subnets = [one.reference for one in account.deployment.of_type("AWS::EC2::Subnet")]
    network = dict(calls_of_notebook(account))["sagemaker:CreateProcessingJob"]["NetworkConfig"]
    assert network["VpcConfig"]["Subnets"] == subnets


def test_functions_outside_the_vpc_may_work_from_there(
    account: Account, calls: list[Required]
) -> None:
    outside = Account.of(resolve(parameters={"FunctionsInTheVpc": "no"}))
    functions = ("EmptyBucketRole", "SeedDataRole", "PipelineManagerRole", "ClearStudioRole")
    theirs = [
        replace(call, request=call.request.but(via=""))
        for call in calls
        if call.kind == RECORDED and call.request.who in functions
    ]
    assert refused(outside, theirs) == []
    assert refused(account, theirs) != []


def test_a_boundary_of_the_organisation_leaves_the_work_possible(
    organised: Account, calls: list[Required]
) -> None:
    beyond = ("iam:PassRole",)  # this boundary keeps everybody from IAM
    within = [call for call in calls if call.request.action not in beyond]
    assert refused(organised, within) == []


def test_each_name_of_a_key_alone_lets_a_legitimate_request_pass(
    account: Account, calls: list[Required]
) -> None:
    """AWS's documents differ on the names; the simulator knows one, so policies swap them."""
    created = [call for call in calls if call.request.action.startswith("sagemaker:Create")]
    requests = [call.request for call in created if call.request.who != "PipelineManagerRole"]
    assert any("sagemaker:VolumeKmsKeyArn" in request.context for request in requests)
    swapped = [_swapped(account.simulation(request)) for request in requests]
    assert all(verdict.allowed for verdict in simulate(swapped))


def _swapped(simulation: dict[str, object]) -> dict[str, object]:
    policies = simulation["identityPolicies"]
    assert isinstance(policies, list)
    return {**simulation, "identityPolicies": [_swap_names(policy) for policy in policies]}


def _swap_names(value: object) -> object:
    if isinstance(value, list):
        return [_swap_names(item) for item in value]
    if isinstance(value, dict):
        return {_swap_name(key): _swap_names(item) for key, item in value.items()}
    return value


def _swap_name(key: str) -> str:
    if key.endswith("KmsKeyArn"):
        return key.removesuffix("Arn")
    return f"{key}Arn" if key.endswith("KmsKey") and key.startswith("sagemaker:") else key


def test_uploads_under_our_key_pass_however_they_say_so(account: Account) -> None:
    """SageMaker names algorithm and key, our functions and the walkthrough's notebook neither."""
    header, names = "s3:x-amz-server-side-encryption", placeholders(account)
    as_sagemaker = {header: "aws:kms", f"{header}-aws-kms-key-id": account.key_arn}
    uploads = [
        Request(who, "s3:PutObject", f"{names['bucket']}/{key}", context, "S3Endpoint")
        for who, key, context in (
            ("ProcessingRole", "processed/r/train/x", as_sagemaker),
            ("TrainingRole", "models/r/output/model.tar.gz", as_sagemaker),
            ("NotebookJobsRole", "studio/x", as_sagemaker),
            ("PipelineManagerRole", "code/0/train.py", {}),
            ("SeedDataRole", "raw/data.csv", {}),
            ("StudioRole", "raw/claims.csv", {}),
        )
    ]
    assert [verdict.result for verdict in account.ask(uploads)] == ["Allowed"] * len(uploads)


def test_each_implicit_right_says_trigger_source_and_mark() -> None:
    for entry in implicit_rights():
        assert entry["trigger"], entry
        assert "'" in entry["source"] or "managed policy" in entry["source"], entry
        assert entry["mark"] in ("D", "R", "I"), entry


def test_the_walkthrough_has_a_notebook_to_run() -> None:
    assert len(blocks()) > 5
