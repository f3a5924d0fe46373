"""Denies that keep jobs and models inside: in our subnets, with our key, isolated, encrypted.

They are one managed policy (an inline one would not fit) of the roles that may create jobs, in
force before those roles get any right, and hold whatever else an organisation allows the roles.
Each control is a statement of its own, over the actions whose entry in the Service Authorization
Reference lists its condition key. One that needs a key's absence and its value needs two: a
condition on the value says nothing about a key that was not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from awacs.aws import (
    Action,
    BoolIfExists,
    Condition,
    ForAnyValueStringNotEquals,
    Null,
    Statement,
    StringNotEquals,
)

from generator.policies.statements import deny
from generator.wiring import KeyArn, SecurityGroupId, SubnetIds

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
"""Not CreateEndpointConfig: ours names no subnets, its model does."""
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


@dataclass(frozen=True)
class Inside:
    """Where jobs have to run, and with which key."""

    subnets: SubnetIds
    security_group: SecurityGroupId
    key: KeyArn


def keep_jobs_inside(inside: Inside) -> list[Statement]:
    """Return the Denies.

    The key's condition has two names, since AWS's documents differ (the Service Authorization
    Reference has ``...KmsKeyArn``, the SageMaker developer guide ``...KmsKey``). Both stand in one
    block, whose conditions must all hold: the name that AWS does not send differs always, the one
    that it sends decides.
    """
    return [
        *_in_our_network("Subnets", "VpcSubnets", inside.subnets),
        *_in_our_network("SecurityGroups", "VpcSecurityGroupIds", inside.security_group),
        _with_our_key("Volumes", "VolumeKmsKey", VOLUME_ENCRYPTED, inside.key),
        _with_our_key("Outputs", "OutputKmsKey", OUTPUT_ENCRYPTED, inside.key),
        _switched_on("NothingUnisolated", "NetworkIsolation", ISOLATED),
        _switched_on("NoPlainTraffic", "InterContainerTrafficEncryption", TRAFFIC_ENCRYPTED),
    ]


def _in_our_network(
    what: str, key: str, ours: SubnetIds | SecurityGroupId
) -> tuple[Statement, Statement]:
    name = f"sagemaker:{key}"
    return (
        deny(f"NothingWithout{what}", _actions(IN_A_VPC), Condition(Null(name, "true"))),
        deny(
            f"NoOther{what}",
            _actions((*IN_A_VPC, "CreateEndpointConfig")),
            Condition(ForAnyValueStringNotEquals(name, ours)),
        ),
    )


def _with_our_key(what: str, key: str, actions: Sequence[str], ours: KeyArn) -> Statement:
    names = {f"sagemaker:{key}": ours, f"sagemaker:{key}Arn": ours}
    return deny(f"No{what}WithoutKey", _actions(actions), Condition(StringNotEquals(names)))


def _switched_on(sid: str, key: str, actions: Sequence[str]) -> Statement:
    """A switch that was not sent counts as off."""
    return deny(sid, _actions(actions), Condition(BoolIfExists(f"sagemaker:{key}", "false")))


def _actions(names: Sequence[str]) -> list[Action]:
    return [Action("sagemaker", name) for name in sorted(names)]
