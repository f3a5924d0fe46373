"""Denies that confine jobs and models: in our subnets, with our key, isolated, encrypted.

They form one managed policy (they exceed the size of an inline policy) on the roles that can create
jobs. It is in force before those roles get any permission, and applies whatever else an
organization allows them. Each control is a separate statement for the actions whose entry in the
Service Authorization Reference lists its condition key. A control on both the absence and the value
of a key needs two statements: a condition on the value does not match a key that was not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from awacs.aws import (
    Action,
    ArnNotEquals,
    BoolIfExists,
    Condition,
    ForAnyValueStringNotEquals,
    Null,
    Statement,
    StringNotEquals,
)
from troposphere import Sub

from generator.policies.statements import arn, deny, role_arn
from generator.wiring import KeyArn, RoleArn, RoleName, SecurityGroupId, SubnetIds

MONITORING = ("Create*JobDefinition", "CreateMonitoringSchedule", "UpdateMonitoringSchedule")
AUTOMATIC = ("CreateAutoMLJob*",)
JOBS = ("CreateHyperParameterTuningJob", "CreateProcessingJob", "CreateTrainingJob", *MONITORING)
IN_A_VPC = (
    *JOBS,
    *AUTOMATIC,
    "CreateCluster",
    "CreateJob",
    "CreateModel",
    "CreateNotebookInstance",
    "UpdateCluster",
)
"""Without CreateEndpointConfig: our configuration names no subnets, its model does."""
ISOLATED = (*JOBS, "CreateModel")
TRAFFIC_ENCRYPTED = (*JOBS, *AUTOMATIC)
OUTPUT_ENCRYPTED = (*JOBS, *AUTOMATIC, "CreateJob", "CreateLabelingJob", "CreateTransformJob")
VOLUME_ENCRYPTED = (
    *JOBS,
    *AUTOMATIC,
    "CreateEndpointConfig",
    "CreateLabelingJob",
    "CreateNotebookInstance",
    "CreateTransformJob",
)


CLUSTER_JOBS = (
    "processing-job/pipelines-*-Preprocess-*",
    "processing-job/pipelines-*-preprocess-*",
)
"""The Preprocess jobs of runs, which SageMaker names ``pipelines-<execution id>-<step>-<suffix>``.

ARNs have been observed with such names both in lower case and unchanged.
"""


@dataclass(frozen=True)
class Cluster:
    """The one job without network isolation: its security group, and the role that creates it."""

    security_group: SecurityGroupId
    creator: RoleName | RoleArn


@dataclass(frozen=True)
class NetworkBoundary:
    """Where jobs must run, and with which key; ``cluster`` is set if Preprocess runs on Spark.

    ``security_group`` is None for a role that serves pipelines with different ones: then there must
    be one.
    """

    subnets: SubnetIds
    security_group: SecurityGroupId | None
    key: KeyArn
    cluster: Cluster | None = None


def keep_jobs_inside(boundary: NetworkBoundary) -> list[Statement]:
    """Return the Denies.

    The condition on the key uses two names, because AWS's documents differ (the Service
    Authorization Reference has ``...KmsKeyArn``, the SageMaker developer guide ``...KmsKey``). Both
    are in one block, whose conditions must all match: a name that AWS does not send always differs,
    so the other one decides.
    """
    return [
        *_in_our_network("Subnets", "VpcSubnets", boundary.subnets),
        *_in_our_network(
            "SecurityGroups", "VpcSecurityGroupIds", boundary.security_group, boundary.cluster
        ),
        _with_our_key("Volumes", "VolumeKmsKey", VOLUME_ENCRYPTED, boundary.key),
        _with_our_key("Outputs", "OutputKmsKey", OUTPUT_ENCRYPTED, boundary.key),
        *_isolated(boundary.cluster),
        _switched_on("NoPlainTraffic", "InterContainerTrafficEncryption", TRAFFIC_ENCRYPTED),
    ]


def _in_our_network(
    what: str, key: str, ours: SubnetIds | SecurityGroupId | None, cluster: Cluster | None = None
) -> list[Statement]:
    """Deny all networks except ours; a cluster must use its own security group."""
    name = f"sagemaker:{key}"
    statements = [
        deny(f"NothingWithout{what}", _actions(IN_A_VPC), Condition(Null(name, "true"))),
    ]
    if ours is None:
        return statements
    statements.append(
        deny(
            f"NoOther{what}",
            _actions((*IN_A_VPC, "CreateEndpointConfig")),
            Condition(ForAnyValueStringNotEquals(name, ours)),
            but=_cluster_jobs() if cluster else (),
        )
    )
    if cluster:
        condition = Condition(ForAnyValueStringNotEquals(name, cluster.security_group))
        statements.append(_deny_cluster(f"NoOther{what}ForCluster", condition))
    return statements


def _isolated(cluster: Cluster | None) -> list[Statement]:
    """Deny jobs without isolation; a cluster's job is allowed to the one role that creates it.

    A cluster's instances talk to each other and read from S3, which isolation would prevent.
    """
    unisolated = BoolIfExists("sagemaker:NetworkIsolation", "false")
    exempt = _cluster_jobs() if cluster else ()
    statements = [deny("NothingUnisolated", _actions(ISOLATED), Condition(unisolated), but=exempt)]
    if cluster:
        others = ArnNotEquals("aws:PrincipalArn", role_arn(cluster.creator))
        statements.append(_deny_cluster("NoClusterOfOthers", Condition([unisolated, others])))
    return statements


def _deny_cluster(sid: str, condition: Condition) -> Statement:
    return deny(sid, _actions(("CreateProcessingJob",)), condition, only=_cluster_jobs())


def _cluster_jobs() -> list[Sub]:
    return [arn("sagemaker", name) for name in CLUSTER_JOBS]


def _with_our_key(what: str, key: str, actions: Sequence[str], ours: KeyArn) -> Statement:
    names = {f"sagemaker:{key}": ours, f"sagemaker:{key}Arn": ours}
    return deny(f"No{what}WithoutKey", _actions(actions), Condition(StringNotEquals(names)))


def _switched_on(sid: str, key: str, actions: Sequence[str]) -> Statement:
    """Deny the actions unless the switch is on; a switch that was not sent counts as off."""
    return deny(sid, _actions(actions), Condition(BoolIfExists(f"sagemaker:{key}", "false")))


def _actions(names: Sequence[str]) -> list[Action]:
    return [Action("sagemaker", name) for name in sorted(names)]
