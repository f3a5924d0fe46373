"""Keep a copy of the archive that serves, with which runs compare their models.

Sources: "API_CopyObject", which copies at most 5 GB; "API_HeadObject".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared.aws import bucket_and_key
from functions.shared.errors import error_code

if TYPE_CHECKING:
    from functions.deploy_model.state import Config, Endpoint
    from pipeline.types import Json

LOG = logging.getLogger(__name__)

_VERSION: Final = "version"
"""Key of the copy's metadata; the value is the ARN of the model package."""
_ABSENT: Final = frozenset({"NoSuchKey", "404"})
_TOO_LARGE: Final = frozenset({"InvalidRequest", "EntityTooLarge"})


@dataclass(frozen=True)
class Champion:
    """The copy; ``uri`` is where it is kept."""

    s3: Any
    sagemaker: Any
    uri: str
    group: str
    models: str

    def follow(self, endpoint: Endpoint | None, serving: Config | None) -> None:
        """Copy the archive of the version that serves, unless the copy is of that version."""
        if endpoint is None or serving is None or not endpoint.is_in_service:
            return
        if not (serving.ours and serving.number and endpoint.config == serving.name):
            return
        package = _package(serving, self.group)
        if self._version() != package:
            self._copy(package)

    def _version(self) -> str:
        bucket, key = bucket_and_key(self.uri)
        try:
            found: Json = self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return ""
            raise
        return str(found["Metadata"].get(_VERSION, ""))

    def _copy(self, package: str) -> None:
        """Copy on S3's side; an archive that is too large is not compared, and said."""
        described: Json = self.sagemaker.describe_model_package(ModelPackageName=package)
        archive = described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        if not archive.startswith(self.models):
            LOG.error("%s is not an archive of this pipeline's runs: not copied", archive)
            return
        (bucket, key), (source, path) = bucket_and_key(self.uri), bucket_and_key(archive)
        LOG.info("copy %s to %s", archive, self.uri)
        try:
            self.s3.copy_object(
                Bucket=bucket,
                Key=key,
                CopySource={"Bucket": source, "Key": path},
                Metadata={_VERSION: package},
                MetadataDirective="REPLACE",
            )
        except ClientError as error:
            if error_code(error) not in _TOO_LARGE:
                raise
            LOG.error("%s cannot be copied: runs compare with an older model", archive)


def _package(serving: Config, group: str) -> str:
    """Return the ARN of the version of which a configuration was made."""
    place = serving.arn.partition(":endpoint-config/")[0]
    return f"{place}:model-package/{group.lower()}/{serving.number}"
