"""What organisations decide: each setting does what it says, and says no in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.package import deployed
from generator.settings import Mode, Settings, read
from generator.settings_people import Persona
from generator.settings_section import SettingsError
from tabular_ml_vpc.reports.audit.checkers import plain_stacks

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REPLICA_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REPLICA = {"replica_bucket": "arn:aws:s3:::copies", "replica_key": REPLICA_KEY}
SIGNED = "arn:aws:lambda:eu-west-1:111122223333:code-signing-config:csc-0a1b2c3d4e5f60718"


def resources(mode: Mode = Mode.PROD, **sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources of all stacks by logical id."""
    stacks = plain_stacks(Settings.model_validate(sections), mode)
    return {k: v for stack in stacks.values() for k, v in stack["Resources"].items()}


def functions(**settings: Any) -> list[dict[str, Any]]:
    found = resources(functions=settings).values()
    return [r["Properties"] for r in found if r["Type"] == "AWS::Lambda::Function"]


def sids(policy: dict[str, Any]) -> list[str]:
    return [s.get("Sid") for s in policy["Properties"]["PolicyDocument"]["Statement"]]


def test_no_function_reserves_concurrency_by_default() -> None:
    assert all("ReservedConcurrentExecutions" not in function for function in functions())


def test_every_function_reserves_what_is_asked() -> None:
    reserved = [f["ReservedConcurrentExecutions"] for f in functions(reserved_concurrency=2)]
    assert reserved == [2] * len(deployed(Settings()))


def test_every_function_must_be_signed_if_asked() -> None:
    assert all("CodeSigningConfigArn" not in function for function in functions())
    configured = [f["CodeSigningConfigArn"] for f in functions(code_signing_config=SIGNED)]
    assert configured == [SIGNED] * len(deployed(Settings()))


@pytest.mark.parametrize(("tracing", "mode"), [(True, "Active"), (False, "PassThrough")])
def test_functions_are_traced_and_may_write_traces_only_if_asked(tracing: bool, mode: str) -> None:
    found = resources(functions={"tracing": tracing})
    modes = {f["TracingConfig"]["Mode"] for f in functions(tracing=tracing)}
    assert modes == {mode}
    assert ("WriteTraces" in sids(found["FunctionsLastingPolicy"])) is tracing


def test_an_own_key_takes_the_place_of_ours_everywhere() -> None:
    stacks = plain_stacks(Settings.model_validate({"security": {"key": KEY}}), Mode.PROD)
    kinds = {r["Type"] for r in stacks["security"]["Resources"].values()}
    assert kinds.isdisjoint({"AWS::KMS::Key", "AWS::KMS::Alias"})
    assert stacks["security"]["Outputs"]["KeyArn"]["Value"] == KEY
    queue = stacks["security"]["Resources"]["DeadLetterQueue"]["Properties"]
    assert queue["KmsMasterKeyId"] == KEY


def test_the_data_bucket_is_locked_only_if_asked_and_only_where_it_stays() -> None:
    asked = {"object_lock_days": 30}
    assert "ObjectLockEnabled" not in resources()["DataBucket"]["Properties"]
    assert "ObjectLockEnabled" not in resources(Mode.DEV, storage=asked)["DataBucket"]["Properties"]
    bucket = resources(storage=asked)["DataBucket"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Days": 30,
        "Mode": "GOVERNANCE",
    }


def test_the_log_bucket_is_never_locked_or_access_logs_would_not_arrive() -> None:
    bucket = resources(storage={"object_lock_days": 30})["LogBucket"]["Properties"]
    assert "ObjectLockConfiguration" not in bucket


def test_every_version_is_copied_under_the_replicas_key() -> None:
    found = resources(storage=REPLICA)
    (rule,) = found["DataBucket"]["Properties"]["ReplicationConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["Filter"] == {"Prefix": ""}
    assert rule["Destination"]["Bucket"] == REPLICA["replica_bucket"]
    assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": REPLICA_KEY}
    assert rule["SourceSelectionCriteria"]["SseKmsEncryptedObjects"] == {"Status": "Enabled"}


def test_the_replicating_role_writes_to_the_replica_alone_and_uses_keys_through_s3_alone() -> None:
    found = resources(storage=REPLICA, security={"permissions_boundary": POLICY})
    role, policy = found["ReplicationRole"], found["ReplicationPolicy"]
    statements = {s["Sid"]: s for s in policy["Properties"]["PolicyDocument"]["Statement"]}
    assert role["Properties"]["PermissionsBoundary"] == POLICY
    assert statements["WriteCopies"]["Resource"] == ["arn:aws:s3:::copies/*"]
    assert statements["EncryptCopies"]["Resource"] == [REPLICA_KEY]
    for sid, region in (("DecryptSource", "${AWS::Region}"), ("EncryptCopies", "eu-central-1")):
        via = statements[sid]["Condition"]["StringEquals"]["kms:ViaService"]
        assert via == {"Fn::Sub": f"s3.{region}.${{AWS::URLSuffix}}"}


def test_there_is_no_replicating_role_without_a_replica() -> None:
    assert "ReplicationRole" not in resources()


def spark(mode: Mode = Mode.PROD) -> dict[str, dict[str, Any]]:
    return resources(mode, pipeline={"preprocess_engine": "spark"})


def test_there_is_no_cluster_unless_it_is_asked_for() -> None:
    assert [name for name in resources() if "Spark" in name] == []


def test_a_cluster_has_a_role_and_a_group_of_its_own() -> None:
    found = spark()
    assert {"SparkProcessingRole", "SparkProcessingPolicy", "SparkSecurityGroup"} <= found.keys()
    pipeline = found["Pipeline"]["Properties"]
    assert pipeline["SparkInstances"] == "2"
    assert pipeline["SparkSecurityGroupIds"] == {"Ref": "SparkSecurityGroupId"}
    assert pipeline["SecurityGroupIds"] == {"Ref": "JobsSecurityGroupId"}


def test_a_cluster_reaches_itself_and_what_every_job_reaches() -> None:
    found = spark()
    own = {"Fn::GetAtt": ["SparkSecurityGroup", "GroupId"]}
    rules = [r["Properties"] for r in found.values() if r["Type"].startswith(RULES)]
    everything = [rule for rule in rules if rule["IpProtocol"] == "-1"]
    assert len(everything) == 2
    assert all(
        own in (r.get("SourceSecurityGroupId"), r.get("DestinationSecurityGroupId"))
        for r in everything
    )
    out = [r for r in rules if r["GroupId"] == own and r not in everything]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in out} == {(443, 443)}
    (closed,) = found["SparkSecurityGroup"]["Properties"]["SecurityGroupEgress"]
    assert closed["CidrIp"] == "127.0.0.1/32"


def test_a_cluster_s_credentials_work_inside_the_vpc_only() -> None:
    policy = spark()["DataBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (outside,) = [one for one in policy if one["Sid"] == "DenyOutsideTheVpc"]
    assert "SparkRole" in str(outside["Condition"]["ArnEquals"])


def test_a_cluster_is_offered_where_its_image_is() -> None:
    stacks = plain_stacks(
        Settings.model_validate({"pipeline": {"preprocess_engine": "spark"}}), Mode.DEV
    )
    mapped = stacks["pipeline"]["Mappings"]["ImageAccounts"]
    assert {"us-iso-east-1", "us-isob-east-1"}.isdisjoint(mapped)
    assert all({"AutoGluon", "Spark"} == accounts.keys() for accounts in mapped.values())


RULES = ("AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress")
POLICY = "arn:aws:iam::111122223333:policy/Boundary"
EVERYTHING: dict[str, Any] = {
    "modes": ["prod"],
    "storage": {"object_lock_days": 30, **REPLICA},
    "security": {"key": KEY, "permissions_boundary": POLICY},
    "pipeline": {"preprocess_engine": "spark"},
    "packages": {"source": "pypi", "internal_names": ["acme"]},
    "studio": {
        "sign_in": "identity-center",
        "identity_center_groups": ["1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"],
        "people": [{"name": str(one), "persona": one} for one in Persona],
        "personal_prefixes": True,
    },
    "functions": {
        "reserved_concurrency": 2,
        "tracing": False,
        "code_signing_config": SIGNED,
    },
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[security]\nkey = 'alias/ours'", ["security.key", "'alias/ours'", "ARN of a KMS key"]),
        ("[functions]\nreserved_concurrency = 1", ["functions.reserved_concurrency", "at least 2"]),
        ("[functions]\ncode_signing_config = 'x'", ["code_signing_config", "'x'", "ARN of a code"]),
        ("[pipeline]\npreprocess_engine = 'dask'", ["preprocess_engine", "'dask'", "'spark'"]),
        ("[pipeline]\npreprocess_instances = 0", ["preprocess_instances", "0", "1"]),
        ("[storage]\nobject_lock_days = -1", ["storage.object_lock_days", "-1"]),
        ("[storage]\nreplica_bucket = 'copies'", ["storage.replica_bucket", "ARN of a bucket"]),
        (
            "[storage]\nreplica_bucket = 'arn:aws:s3:::copies'",
            ["storage", "replica_bucket is set but replica_key is not"],
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read(path)
    message = str(caught.value)
    assert [part for part in said if part not in message] == []
    assert "\n" not in message
