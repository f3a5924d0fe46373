"""What the function may do that checks requests, and starts runs for new data or drift.

It can start runs of our pipelines and nothing else: a run does what the pipeline's own role
permits, and with ``pipeline.deploy = "on-approval"`` registers a model that waits for approval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from awacs import kms, s3, sagemaker
from awacs.aws import Condition, Statement
from troposphere import Sub

from functions.watch_model.properties import DRIFT_REPORT, QUALITY_REPORT
from generator.policies.functions import Managed
from generator.policies.statements import allow, arn, bucket_arn, deny, through
from generator.wiring import BucketName, KeyArn
from pipeline.layout import PREDICTIONS, RAW, folder, named
from pipeline.prediction import SUFFIX

TABLE: Final = "data.csv"
"""The object from which runs read by default (``pipeline.definition``)."""


@dataclass(frozen=True)
class Wants:
    """What the function is asked to do."""

    new_data: bool
    drift: bool
    quality: bool
    on_drift: bool

    @property
    def runs(self) -> bool:
        """Whether it starts runs."""
        return self.new_data or (self.drift and self.on_drift)

    @property
    def checks(self) -> bool:
        """Whether it checks captured requests."""
        return self.drift or self.quality

    @property
    def reports(self) -> list[str]:
        """What it reads of the checks' results, in the folder of an execution."""
        drift = [DRIFT_REPORT] if self.drift else []
        return [*drift, *([QUALITY_REPORT] if self.quality else [])]


def watch_model(managed: Managed, bucket: BucketName, key: KeyArn, wants: Wants) -> list[Statement]:
    """Return what the function may do; ``managed`` says for whose pipelines."""
    return [
        *_start(managed, wants),
        *(_look_at_endpoint(managed) if wants.checks else []),
        *_look_at_data(managed, bucket, key, wants),
    ]


def _start(managed: Managed, wants: Wants) -> list[Statement]:
    """Start runs and checks, and record of a check what it found.

    The pattern of the named pipelines matches the one beside ``main``, which is denied.
    """
    runs, checks = managed.arn("pipeline"), managed.arn("pipeline", SUFFIX)
    pipelines = [*([runs] if wants.runs else []), *([checks] if wants.checks else [])]
    actions = [sagemaker.ListPipelineExecutions, sagemaker.StartPipelineExecution]
    found = [allow("StartRuns", actions, pipelines)]
    if wants.checks:
        executions = managed.arn("pipeline", f"{SUFFIX}/execution/*")
        found.append(
            allow("RecordWhatChecksFound", [sagemaker.UpdatePipelineExecution], [executions])
        )
    if managed.rest and wants.runs:
        of_main = arn("sagemaker", f"pipeline/${{Name}}{SUFFIX}", Name=managed.name)
        found.append(deny("LeavePredictionsOfMain", actions, None, only=[of_main]))
    return found


def _look_at_endpoint(managed: Managed) -> list[Statement]:
    """Find the archive of the version that serves."""
    return [
        allow("LookAtEndpoint", [sagemaker.DescribeEndpoint], [managed.arn("endpoint")]),
        allow(
            "DescribeConfigOfEndpoint",
            [sagemaker.DescribeEndpointConfig],
            [arn("sagemaker", "endpoint-config/*")],
        ),
        allow("LookAtModel", [sagemaker.DescribeModel], [managed.versioned("model")]),
        allow(
            "LookAtVersion", [sagemaker.DescribeModelPackage], [managed.arn("model-package", "/*")]
        ),
    ]


def _look_at_data(
    managed: Managed, bucket: BucketName, key: KeyArn, wants: Wants
) -> list[Statement]:
    """Look at the table's date, at what was captured, and read what checks found.

    Only the reports need the key: without it, the table's date can be read and its rows cannot.
    """

    def of(kind: str) -> str:
        return f"{named(kind)}*/" if managed.rest else folder(kind)

    def objects(key: str) -> Sub:
        return Sub(f"arn:${{AWS::Partition}}:s3:::${{Bucket}}/{key}", Bucket=bucket)

    tables = [objects(f"{of(RAW)}{TABLE}")] if wants.new_data else []
    reports = [objects(f"{of(PREDICTIONS)}*/{file}") for file in wants.reports]
    decrypt = allow("DecryptReports", [kms.Decrypt], [key], Condition(through("s3")))
    return [
        *([allow("LookAtTable", [s3.GetObject], tables)] if tables else []),
        *([allow("ReadReports", [s3.GetObject], reports), decrypt] if wants.checks else []),
        allow("TellAbsentFromForbidden", [s3.ListBucket], [bucket_arn(bucket)]),
    ]
