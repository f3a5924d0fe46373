"""Permissions of ML engineers and reviewers in Studio; those of data scientists are in ``people``.

Neither can deploy a model, nor change what a run made: that is left to the pipeline and its gate.
"""

from __future__ import annotations

from collections.abc import Sequence

from awacs import kms, logs, s3, sagemaker
from awacs.aws import Condition, Statement
from troposphere import Sub

from functions.shared.properties import property_name
from generator.policies.jobs import RESULTS_OF_RUNS
from generator.policies.people import (
    FOLLOW_RUNS,
    Place,
    describe_jobs,
    read_job_logs,
    read_registry,
    runs,
    see_studio,
)
from generator.policies.statements import (
    allow,
    allow_anywhere,
    arn,
    objects_arn,
    through,
    use_key_of_logs,
)
from generator.wiring import RootStackName


def operate(place: Place, root_stack: RootStackName, functions: Sequence[str]) -> list[Statement]:
    """Return what an ML engineer can do besides a data scientist's work, from inside the VPC.

    Delete a failed endpoint, so that the next run recreates it (`docs/commands/endpoint.md`), and
    read the logs of the functions behind custom resources. IAM cannot tell a failed endpoint from
    one that serves.
    """
    endpoint = place.of_all("endpoint/${Name}")
    return [
        allow("RepairEndpoint", [sagemaker.DeleteEndpoint, sagemaker.ListTags], endpoint),
        allow_anywhere("FindLogGroups", [logs.DescribeLogGroups]),
        allow(
            "ReadFunctionLogs",
            [logs.DescribeLogStreams, logs.FilterLogEvents, logs.GetLogEvents],
            [_log_group(function, root_stack) for function in functions],
        ),
    ]


def _log_group(function: str, root_stack: RootStackName) -> Sub:
    """Return the ARN of a function's log group, whose name CloudFormation makes of logical ids."""
    group = f"log-group:${{Root}}-*-{property_name(function)}*"
    return arn("logs", group, Root=root_stack)


def reviewer(place: Place) -> list[Statement]:
    """Return what a reviewer can read; a reviewer starts nothing, and has no space.

    Results are readable, rows are not: not the tables in ``raw/``, nor their prepared parts, nor a
    model, which can contain them. Logs can quote a value. There is no right to open an app, not
    even in a shared space: it would run with a data scientist's role.
    """
    name, bucket, key = place.name, place.bucket, place.key
    results = RESULTS_OF_RUNS if place.several else RESULTS_OF_RUNS[:1]
    return [
        *see_studio(place.domain),
        allow("FollowRuns", FOLLOW_RUNS, runs(place)),
        read_registry(place),
        describe_jobs(),
        allow("LookAtEndpoint", [sagemaker.DescribeEndpoint], place.of_all("endpoint/${Name}")),
        allow("ReadResults", [s3.GetObject], [objects_arn(bucket, one) for one in results]),
        allow("DecryptResults", [kms.Decrypt], [key], Condition(through("s3"))),
        use_key_of_logs(key),
        read_job_logs(name),
    ]
