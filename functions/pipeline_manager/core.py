"""Keep the pipeline and its code as the stack describes them, without touching anybody else's."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.shared.errors import ResourceError, error_code, is_not_found
from pipeline.definition import OWNER_TAG, SCRIPTS, build
from pipeline.types import Json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from functions.pipeline_manager.properties import PipelineProperties

LOG = logging.getLogger(__name__)

_READS = 3
_ABSENT = frozenset({"NoSuchKey", "404"})
_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})


def read_scripts() -> dict[str, bytes]:
    """Return the job scripts that ship with the function, by name."""
    folder = resources.files("pipeline").joinpath("scripts")
    return {name: folder.joinpath(name).read_bytes() for name in SCRIPTS}


@dataclass(frozen=True)
class Code:
    """A folder of job scripts in a bucket; its name says which version of them it holds.

    Folders of other versions stay: executions that run may still read them.
    """

    s3: Any
    bucket: str
    prefix: str

    def upload(self, scripts: Mapping[str, bytes]) -> None:
        """Put the scripts that are not there yet; raise ``ResourceError`` at another content."""
        for name, content in scripts.items():
            self._keep(f"{self.prefix}/{name}", content)

    def _keep(self, key: str, content: bytes) -> None:
        found = self._read(key)
        if found is None:
            found = content if self._put_new(key, content) else self._read(key)
        if found != content:
            raise ResourceError(
                f"s3://{self.bucket}/{key} is not the script of this version and is not "
                "overwritten. Move it away, then deploy again."
            )

    def _read(self, key: str) -> bytes | None:
        """Return a file's content; a body that breaks off is asked for again."""
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

    def _put_new(self, key: str, content: bytes) -> bool:
        """Write a file; return whether it was absent until then."""
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in _TAKEN:
                return False
            raise
        return True


@dataclass(frozen=True)
class ManagedPipeline:
    """The pipeline of one owner, as it should be; ``request_id`` is the event's.

    It is ours while it carries our owner tag.
    """

    sagemaker: Any
    properties: PipelineProperties
    request_id: str

    def deploy(self, s3: Any, scripts: Mapping[str, bytes]) -> str:
        """Bring code and pipeline to SageMaker; return the pipeline's ARN.

        Raises ``ResourceError``, before anything is touched, if a pipeline of that name is there
        that is not ours.
        """
        found = self.describe()
        if found and not self.is_ours(found["PipelineArn"]):
            raise ResourceError(
                f"A pipeline {self.properties.pipeline_name} exists that this stack did not make. "
                "It stays as it is: delete it, or deploy under another name."
            )
        Code(s3, self.properties.bucket, self.properties.code_prefix).upload(scripts)
        return self._update(found) if found else self._create()

    def describe(self) -> Json | None:
        """Return what SageMaker says of the pipeline of our name, if there is one."""
        try:
            found: Json = self.sagemaker.describe_pipeline(
                PipelineName=self.properties.pipeline_name
            )
        except ClientError as error:
            if is_not_found(error):
                return None
            raise
        return found

    def is_ours(self, arn: str) -> bool:
        """Tell whether the thing carries our owner tag; one that is gone does not."""
        return (OWNER_TAG, self.properties.owner) in set(self._tags(arn))

    def token(self, purpose: str) -> str:
        """Return the token by which SageMaker knows a request that is sent twice."""
        return hashlib.sha256(f"{self.request_id}/{purpose}".encode()).hexdigest()

    def unfinished(self, what: str) -> str:
        """Return what to say when a deletion runs out of time."""
        return (
            f"Pipeline {self.properties.pipeline_name} still has {what}; the time was up. "
            "Delete the stack again to go on."
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

    def _update(self, found: Json) -> str:
        """Update what differs; an update without a difference would make a new version."""
        wanted = self._content()
        if _essence(found) == _essence(wanted):
            LOG.info("%s is up to date", self.properties.pipeline_name)
            return str(found["PipelineArn"])
        LOG.info("updating %s", self.properties.pipeline_name)
        return str(self.sagemaker.update_pipeline(**wanted)["PipelineArn"])

    def _content(self) -> Json:
        definition = json.dumps(build(self.properties), separators=(",", ":"))
        return {
            "PipelineName": self.properties.pipeline_name,
            "PipelineDefinition": definition,
            "RoleArn": self.properties.pipeline_role_arn,
        }


def _essence(pipeline: Json) -> Json:
    return {
        "Definition": json.loads(pipeline["PipelineDefinition"]),
        "RoleArn": pipeline["RoleArn"],
    }
