"""Keep the synthetic table in the bucket, and never change a file that is not ours."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions.seed_data.table import BLOCK_ROWS, VERSION, blocks
from functions.shared.errors import ResourceError, error_code
from functions.shared.names import SEED_OWNER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from functions.seed_data.properties import SeedDataProperties
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

MIN_ROWS: Final = 100
MAX_ROWS: Final = 10_000_000

OWNER: Final = SEED_OWNER
TABLE: Final = "seed-data-table"

_CONTENT_TYPE = "text/csv"
_OUT_OF_DATE = frozenset({"PreconditionFailed", "412"})
_CONFLICT = frozenset({"ConditionalRequestConflict", "409", "NoSuchKey", "404"})
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})


@dataclass(frozen=True)
class Found:
    """The current object at the key."""

    etag: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class SeedFile:
    """The file at one key, from the point of view of one owner.

    A file is ours if its metadata has our mark; anyone who uploads another file to the key replaces
    the metadata. The mark is read immediately before a write or removal, and the ETag read with it
    is a condition of that call, so that a file uploaded in between is kept too.
    """

    s3: Any
    properties: SeedDataProperties
    owner: str
    deadline: Deadline

    @property
    def uri(self) -> str:
        """The file's S3 URI."""
        return f"s3://{self.properties.bucket}/{self.properties.key}"

    def write(self) -> None:
        """Write the table, unless it exists already or the existing file is not ours."""
        self._check_rows()
        existing = self._find()
        if existing is None:
            self._put({"IfNoneMatch": "*"})
        elif existing.metadata.get(OWNER) != self.owner:
            LOG.info("%s was not written by this resource: not changed", self.uri)
        elif existing.metadata.get(TABLE) == self._table():
            LOG.info("%s is up to date", self.uri)
        else:
            self._put({"IfMatch": existing.etag})

    def remove(self) -> None:
        """Remove the file if it is ours."""
        existing = self._find()
        if existing is None or existing.metadata.get(OWNER) != self.owner:
            LOG.info("%s is gone or not ours: not removed", self.uri)
            return
        try:
            self.s3.delete_object(**self._place(), IfMatch=existing.etag)
        except ClientError as error:
            if error_code(error) not in _OUT_OF_DATE | _ABSENT:
                raise
            LOG.info("%s was replaced or removed in the meantime", self.uri)

    def _check_rows(self) -> None:
        if not MIN_ROWS <= self.properties.rows <= MAX_ROWS:
            raise ResourceError(
                f"Rows must be from {MIN_ROWS} to {MAX_ROWS}, but is {self.properties.rows}."
            )

    def _find(self) -> Found | None:
        try:
            head = self.s3.head_object(**self._place())
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return Found(head["ETag"], head.get("Metadata", {}))

    def _put(self, condition: Mapping[str, str]) -> None:
        """Write the table on condition that the file has not changed since it was read."""
        pieces = blocks(self.properties.rows, self.properties.seed)
        try:
            if self.properties.rows <= BLOCK_ROWS:
                self._put_at_once(next(pieces), condition)
            else:
                self._put_in_parts(pieces, condition)
        except ClientError as error:
            if error_code(error) in _OUT_OF_DATE:
                LOG.info("%s was written by someone else in the meantime: not changed", self.uri)
                return
            if error_code(error) in _CONFLICT:
                raise ResourceError(
                    f"{self.uri} was changed by someone else during the deployment. Deploy again."
                ) from None
            raise

    def _put_at_once(self, body: bytes, condition: Mapping[str, str]) -> None:
        self.s3.put_object(**self._new_object(), Body=body, **condition)

    def _put_in_parts(self, pieces: Iterator[bytes], condition: Mapping[str, str]) -> None:
        """Stream the pieces, one part each; abort the upload after a failure."""
        upload = self.s3.create_multipart_upload(**self._new_object())
        upload_id = upload["UploadId"]
        try:
            parts = [
                self._part(upload_id, number, piece) for number, piece in enumerate(pieces, start=1)
            ]
            self.s3.complete_multipart_upload(
                **self._place(), UploadId=upload_id, MultipartUpload={"Parts": parts}, **condition
            )
        except BaseException as cause:
            if not self._is_done(cause):
                self._abort(upload_id)
                raise

    def _is_done(self, cause: BaseException) -> bool:
        """Tell whether a repeated completion failed because the first one had succeeded."""
        if not isinstance(cause, ClientError) or error_code(cause) != "NoSuchUpload":
            return False
        existing = self._find()
        return existing is not None and existing.metadata.get(TABLE) == self._table()

    def _abort(self, upload_id: str) -> None:
        """Abort an upload; a failure to abort must not hide the original error."""
        try:
            self.s3.abort_multipart_upload(**self._place(), UploadId=upload_id)
        except (ClientError, BotoCoreError, ResourceError) as error:
            LOG.warning("the upload to %s was not aborted: %s", self.uri, type(error).__name__)

    def _part(self, upload_id: str, number: int, body: bytes) -> dict[str, str | int]:
        self.deadline.check(
            f"{self.uri}: time ran out after part {number - 1}. Use fewer Rows, or give the "
            "function more memory (and thereby more CPU)."
        )
        part = self.s3.upload_part(
            **self._place(), UploadId=upload_id, PartNumber=number, Body=body
        )
        return {"PartNumber": number, "ETag": part["ETag"]}

    def _place(self) -> dict[str, str]:
        return {"Bucket": self.properties.bucket, "Key": self.properties.key}

    def _new_object(self) -> dict[str, Any]:
        marks = {OWNER: self.owner, TABLE: self._table()}
        return {**self._place(), "ContentType": _CONTENT_TYPE, "Metadata": marks}

    def _table(self) -> str:
        return f"version={VERSION},rows={self.properties.rows},seed={self.properties.seed}"


def owner_mark(stack_id: str, logical_id: str) -> str:
    """Return the mark of one resource of one stack; a recreated stack has a different one."""
    return hashlib.sha256(f"{stack_id}/{logical_id}".encode()).hexdigest()
