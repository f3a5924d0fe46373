"""Batch predictions: which model predicts, what is read, and where the results are.

The pipeline of predictions has the training pipeline's name and a suffix (``pipeline.prediction``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from pipeline import layout
from pipeline.definition import Output
from pipeline.prediction import DRIFT, MODEL, PREDICTED, SUFFIX, TABLE
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline, Execution
from tabular_ml_vpc.operations.target import Target, code_of
from tabular_ml_vpc.operations.workload import Workload

SERVED: Final = "endpoint"
NEWEST: Final = "latest"
_S3: Final = "s3://"
_READ: Final = (layout.RAW, layout.PROCESSED)


@dataclass(frozen=True)
class PredictedFile:
    """A file with predictions: its key below the execution's folder, and its size in bytes."""

    name: str
    key: str
    bytes: int


@dataclass(frozen=True)
class BatchPredictions:
    """The pipeline of predictions beside one training pipeline of a stack."""

    target: Target
    trained: Workload
    bucket: str

    @cached_property
    def pipeline(self) -> DeployedPipeline:
        """The pipeline to start and to follow.

        Raises:
            CommandError: the stack has none (yet).

        """
        name = self.trained.pipeline
        if name is None or self.trained.described("describe_pipeline", PipelineName=name) is None:
            return DeployedPipeline(self.target, self.trained)  # says how the stack stands
        whole = f"{name}{SUFFIX}"
        found = self.trained.described("describe_pipeline", PipelineName=whole)
        self.trained.check_seen()
        if found is None:
            raise CommandError(
                f"{self.target.stack} has no pipeline {whole}: set predictions = true in "
                "[pipeline] of the settings, and deploy again "
                f"(`python build.py deploy{self.target.options()} --config FILE.toml`)"
            )
        return DeployedPipeline(self.target, replace(self.trained, pipeline=whole))

    def model(self, wanted: str) -> str:
        """Return the S3 URI of a model archive.

        ``wanted`` is ``endpoint`` (the model that serves), ``latest`` (the newest approved one in
        the registry), the number of a version, or an S3 URI.

        Raises:
            UsageError: there is no such version, ``wanted`` is none of these, or the job cannot
                read it.
            CommandError: nothing serves, no model is approved, or this may not be read.

        """
        if wanted.startswith(_S3):
            return self._in_bucket(wanted)
        if wanted == SERVED:
            return self._served()
        if wanted == NEWEST:
            return self._approved()
        if not wanted.isascii() or not wanted.isdigit():
            raise UsageError(
                f"--model: got {wanted!r}: must be {SERVED}, {NEWEST}, the number of a version in "
                "the registry, or the S3 URI of a model.tar.gz"
            )
        return self._version(wanted)

    def _in_bucket(self, uri: str) -> str:
        folder = f"{_S3}{self.bucket}/{layout.folder(layout.MODELS, self.trained.name)}"
        if not uri.startswith(folder):
            raise UsageError(
                f"--model: got {uri!r}: must begin with {folder}, which is what the job can read"
            )
        return uri

    def _served(self) -> str:
        reader = self.trained
        endpoint = reader.endpoint_status()
        config = endpoint and reader.described(
            "describe_endpoint_config", EndpointConfigName=endpoint.get("EndpointConfigName")
        )
        reader.check_seen()
        if not config:
            raise CommandError(
                f"--model: the endpoint {reader.endpoint or ''} does not exist, so that no model "
                f"serves: use --model {NEWEST}, or run the pipeline "
                f"(`python build.py run{reader.options()}`)"
            )
        (variant,) = config["ProductionVariants"]
        return self._archive(reader.described("describe_model", ModelName=variant["ModelName"]))

    def _archive(self, model: Any) -> str:
        containers = model and (model.get("PrimaryContainer") or model["Containers"][0])
        if not containers or "ModelDataUrl" not in containers:
            raise CommandError("--model: the serving model cannot be read: give its S3 URI")
        return str(containers["ModelDataUrl"])

    def _approved(self) -> str:
        found = self.trained.listed(
            "list_model_packages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=self.trained.pipeline,
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
        )
        package = next(found, None)
        self.trained.check_seen()
        if package is None:
            raise CommandError(
                "--model: no model is approved in the registry: run the pipeline "
                f"(`python build.py run{self.trained.options()}`)"
            )
        return self._of_package(package["ModelPackageArn"])

    def _version(self, number: str) -> str:
        arn = (
            f"arn:{self.target.partition}:sagemaker:{self.target.region}:{self.target.account}:"
            f"model-package/{str(self.trained.pipeline).lower()}/{int(number)}"
        )
        return self._of_package(arn, number)

    def _of_package(self, arn: str, number: str = "") -> str:
        package = self.trained.described("describe_model_package", ModelPackageName=arn)
        self.trained.check_seen()
        if package is None:
            raise UsageError(f"--model: the registry has no version {number} of this model")
        return str(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])

    def check_table(self, uri: str) -> str:
        """Return the S3 URI of a table that the job can read.

        Raises:
            UsageError: it is in another bucket or folder.

        """
        folders = [f"{_S3}{self.bucket}/{layout.folder(one, self.trained.name)}" for one in _READ]
        if not any(uri.startswith(folder) for folder in folders):
            raise UsageError(
                f"--input: got {uri!r}: must be a local file or folder, or begin with "
                f"{' or '.join(folders)}"
            )
        return uri

    def start(self, table: str, model: str, sizes: dict[str, Any]) -> str:
        """Start an execution; return its ARN."""
        return self.pipeline.start({TABLE: table, MODEL: model, **sizes}, None)

    def folder_of(self, identity: str, output: Output = PREDICTED) -> str:
        """Return the prefix of the files of an execution, by its id."""
        start = layout.folder(layout.PREDICTIONS, self.trained.name)
        return f"{start}{identity}/{output.name}/"

    def drift(self, execution: Execution) -> dict[str, Any]:
        """Return how far the table is from the model's training data (``drift.json``)."""
        key = f"{self.folder_of(execution.id, DRIFT)}drift.json"
        owner = self.target.account
        found = self._s3.get_object(Bucket=self.bucket, Key=key, ExpectedBucketOwner=owner)
        return dict(json.loads(found["Body"].read()))

    def files(self, execution: Execution) -> list[PredictedFile]:
        """Return the files that an execution wrote."""
        prefix = self.folder_of(execution.id)
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, ExpectedBucketOwner=self.target.account
        )
        return [
            PredictedFile(item["Key"].removeprefix(prefix), item["Key"], item["Size"])
            for page in pages
            for item in page.get("Contents", [])
        ]

    def download(self, files: list[PredictedFile], folder: Path) -> Iterator[Path]:
        """Write the files below a local folder; yield the path of each.

        Raises:
            UsageError: a file of that name exists; nothing is written then.

        """
        paths = [folder / file.name for file in files]
        check_absent(paths)
        for file, path in zip(files, paths, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(
                self.bucket, file.key, str(path), {"ExpectedBucketOwner": self.target.account}
            )
            yield path

    def copy(self, files: list[PredictedFile], uri: str) -> Iterator[str]:
        """Copy the files below another S3 URI, with the caller's rights; yield the URI of each.

        Raises:
            CommandError: an object of that name exists; it is not overwritten.

        """
        bucket, _, prefix = uri.removeprefix(_S3).partition("/")
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        for file in files:
            key = f"{start}{file.name}"
            self._check_free(bucket, key)
            source = {"Bucket": self.bucket, "Key": file.key}
            self._s3.copy(source, bucket, key)
            yield f"{_S3}{bucket}/{key}"

    def _check_free(self, bucket: str, key: str) -> None:
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) in {"404", "NoSuchKey"}:
                return
            raise
        raise CommandError(f"{_S3}{bucket}/{key} exists: it was not overwritten")

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")


def check_absent(paths: list[Path]) -> None:
    """Refuse to write over a user's files.

    Raises:
        UsageError: one of the files exists.

    """
    taken = [path for path in paths if path.exists()]
    if taken:
        raise UsageError(f"--output: {str(taken[0])!r} exists: nothing was written over it")
