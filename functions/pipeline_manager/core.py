"""Keep the pipeline and its code as the stack describes them, and leave those of others alone."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.errors import ResourceError, error_code, is_not_found
from pipeline import definition, prediction
from pipeline.definition import OWNER_TAG, SCRIPTS
from pipeline.types import Json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from functions.pipeline_manager.properties import PipelineProperties

LOG = logging.getLogger(__name__)

_READS = 3
_NO_CHAMPION = b"No model serves yet; SageMaker fails a job whose input has no object.\n"
_ABSENT = frozenset({"NoSuchKey", "404"})
_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


def read_scripts() -> dict[str, bytes]:
    """Return the job scripts that ship with the function, by name."""
    folder = resources.files("pipeline").joinpath("scripts")
    return {name: folder.joinpath(name).read_bytes() for name in SCRIPTS}


@dataclass(frozen=True)
class Code:
    """A folder of job scripts in a bucket, named after their version.

    Folders of other versions are kept: running executions may still read them.
    """

    s3: Any
    bucket: str
    prefix: str

    def upload(self, scripts: Mapping[str, bytes]) -> None:
        """Upload the scripts that are missing; raise ``ResourceError`` if one differs."""
        for name, content in scripts.items():
            self._keep(f"{self.prefix}/{name}", content)

    def _keep(self, key: str, content: bytes) -> None:
        stored = self._read(key)
        if stored is None:
            stored = content if self.put_new(key, content) else self._read(key)
        if stored != content:
            raise ResourceError(
                f"s3://{self.bucket}/{key} differs from this version's script and was not "
                "overwritten. Move it away, then deploy again."
            )

    def _read(self, key: str) -> bytes | None:
        """Return a file's content; an incomplete body is requested again."""
        for attempt in range(_READS):
            try:
                content: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                return content
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                raise
            except BotoCoreError:
                if attempt == _READS - 1:
                    raise
        return None

    def put_new(self, key: str, content: bytes) -> bool:
        """Write a file unless it exists; return whether it was written."""
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in _TAKEN:
                return False
            raise
        return True


@dataclass(frozen=True)
class ManagedPipeline:
    """The desired pipeline of one owner; ``request_id`` is the event's.

    A pipeline is ours if it has our owner tag.
    """

    sagemaker: Any
    properties: PipelineProperties
    request_id: str

    def deploy(self, s3: Any, scripts: Mapping[str, bytes]) -> str:
        """Upload the code and create or update the pipeline; return the pipeline's ARN.

        Raises ``ResourceError``, before anything is changed, if there is a pipeline of that name
        that is not ours.
        """
        existing = self.describe()
        if existing and not self.is_ours(existing["PipelineArn"]):
            raise ResourceError(
                f"The existing pipeline {self.properties.pipeline_name} does not belong to this "
                "stack and was not changed. Delete it, or deploy under another name."
            )
        code = Code(s3, self.properties.bucket, self.properties.code_prefix)
        code.upload(scripts)
        if self.properties.has_champion and not self.properties.predicts:
            folder = definition.champion_folder(self.properties)
            code.put_new(f"{folder}{definition.CHAMPION_PLACEHOLDER}", _NO_CHAMPION)
        return self._update(existing) if existing else self._create()

    def describe(self) -> Json | None:
        """Return SageMaker's description of the pipeline with our name, if there is one."""
        try:
            existing: Json = self.sagemaker.describe_pipeline(
                PipelineName=self.properties.pipeline_name
            )
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return existing

    def is_ours(self, arn: str) -> bool:
        """Tell whether the resource exists and has our owner tag."""
        return (OWNER_TAG, self.properties.owner) in set(self._tags(arn))

    def token(self, purpose: str) -> str:
        """Return the token by which SageMaker recognizes a repeated request."""
        return hashlib.sha256(f"{self.request_id}/{purpose}".encode()).hexdigest()

    def unfinished(self, what: str) -> str:
        """Return the message for a deletion that runs out of time."""
        return (
            f"Time ran out: pipeline {self.properties.pipeline_name} still has {what}. "
            "Delete the stack again to continue."
        )

    def _tags(self, arn: str) -> Iterator[tuple[str, str]]:
        pages = self.sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        try:
            for page in pages:
                yield from ((tag["Key"], tag["Value"]) for tag in page["Tags"])
        except ClientError as error:
            if not is_not_found(error):
                raise

    def _create(self) -> str:
        answer = self.sagemaker.create_pipeline(
            **self._content(),
            ClientRequestToken=self.token("create"),
            Tags=[{"Key": OWNER_TAG, "Value": self.properties.owner}],
        )
        LOG.info("created %s", self.properties.pipeline_name)
        return str(answer["PipelineArn"])

    def _update(self, existing: Json) -> str:
        """Update the pipeline if it differs; any update creates a new version."""
        desired = self._content()
        if _essence(existing) == _essence(desired):
            LOG.info("%s is up to date", self.properties.pipeline_name)
            return str(existing["PipelineArn"])
        LOG.info("updating %s", self.properties.pipeline_name)
        return str(self.sagemaker.update_pipeline(**desired)["PipelineArn"])

    def _content(self) -> Json:
        build = prediction.build if self.properties.predicts else definition.build
        content = json.dumps(build(self.properties), separators=(",", ":"))
        return {
            "PipelineName": self.properties.pipeline_name,
            "PipelineDefinition": content,
            "RoleArn": self.properties.pipeline_role_arn,
        }


def _essence(pipeline: Json) -> Json:
    return {
        "Definition": json.loads(pipeline["PipelineDefinition"]),
        "RoleArn": pipeline["RoleArn"],
    }
