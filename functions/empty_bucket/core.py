"""Empty a bucket permanently, if its tag allows this stack to do so."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from botocore.exceptions import ClientError

from functions.shared.errors import ResourceError, error_code

if TYPE_CHECKING:
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

PERMISSION_TAG: Final = "empty-on-delete"
"""Tag of a bucket that may be emptied; its value is the id of the stack that may do so."""

DENY_SID: Final = "NothingIsWrittenWhileTheBucketIsEmptied"

_BATCH = 1000
_NOT_XML = re.compile(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that an XML request cannot contain or does not preserve, such as line breaks."""

_TRIES = 6
_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable"})
_NO_BUCKET = frozenset({"NoSuchBucket", "404"})


@dataclass
class Emptying:
    """The emptying of one bucket, which can be interrupted and repeated at any point."""

    s3: Any
    bucket: str
    stack_id: str
    deadline: Deadline
    removed: int = 0
    failed_pages: int = 0
    """Consecutive pages from which nothing could be removed."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Errors of objects that cannot be removed; the others are removed first, unless many are."""
    after: dict[str, str] = field(default_factory=dict)
    """Where the next page of versions begins."""

    def check_exists(self) -> None:
        """Raise ``ResourceError`` if there is no such bucket."""
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error_code(error) not in _NO_BUCKET:
                raise
            raise ResourceError(
                f"Bucket {self.bucket} does not exist. Specify an existing bucket."
            ) from None

    def run(self) -> int:
        """Remove everything if the tag permits it; return how many items were removed.

        New writes are denied to everybody first: otherwise a log bucket would receive logs while it
        is emptied and for hours afterwards ("Logging requests with server access logging").
        Raises ``ResourceError`` if time runs out; a repetition continues from there.
        """
        try:
            if not self._is_permitted():
                LOG.info(
                    "%s has no tag %s with this stack's id: not emptied",
                    self.bucket,
                    PERMISSION_TAG,
                )
                return 0
            self._deny_writes()
            return self._remove_all()
        except ClientError as error:
            if error_code(error) not in _NO_BUCKET:
                raise
            LOG.info("%s is gone", self.bucket)
            return 0

    def _is_permitted(self) -> bool:
        try:
            tags = self.s3.get_bucket_tagging(Bucket=self.bucket)["TagSet"]
        except ClientError as error:
            if error_code(error) != "NoSuchTagSet":
                raise
            return False
        return {"Key": PERMISSION_TAG, "Value": self.stack_id} in tags

    def _deny_writes(self) -> None:
        """Add a Deny to the bucket's policy; existing statements are kept."""
        policy = self._policy()
        others = [
            statement for statement in policy["Statement"] if statement.get("Sid") != DENY_SID
        ]
        deny = {
            "Sid": DENY_SID,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:{self._partition()}:s3:::{self.bucket}/*",
        }
        document = json.dumps({**policy, "Statement": [*others, deny]})
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=document)

    def _policy(self) -> dict[str, Any]:
        try:
            text = self.s3.get_bucket_policy(Bucket=self.bucket)["Policy"]
        except ClientError as error:
            if error_code(error) != "NoSuchBucketPolicy":
                raise
            return {"Version": "2012-10-17", "Statement": []}
        policy: dict[str, Any] = json.loads(text)
        return policy

    def _partition(self) -> str:
        return self.stack_id.split(":")[1]

    def _remove_all(self) -> int:
        """Remove pages until the bucket is empty, or holds only what cannot be removed."""
        while self._remove_page() + self._abort_page():
            LOG.info("%s: %d versions, markers and uploads removed", self.bucket, self.removed)
        if self.refused:
            self._fail(self.refused)
        LOG.info("%s is empty", self.bucket)
        return self.removed

    def _remove_page(self) -> int:
        """Remove one page of versions and delete markers; return 0 if it was the last one."""
        self._check_time()
        page = self.s3.list_object_versions(Bucket=self.bucket, MaxKeys=_BATCH, **self.after)
        items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in items]
        if not objects:
            return 0
        self._check_time()
        single = [item for item in objects if _NOT_XML.search(item["Key"])]
        for item in single:
            self.s3.delete_object(Bucket=self.bucket, **item)
        errors = self._delete([item for item in objects if item not in single])
        self.removed += len(objects) - len(errors)
        lasting = [error for error in errors if error.get("Code") not in _PASSING]
        if not lasting:
            self._give_up_or_pause(errors, len(objects))
            return len(objects)
        self.refused += lasting
        if len(self.refused) >= _BATCH:
            self._fail(self.refused)
        if not page.get("IsTruncated"):
            return 0
        self.after = {"KeyMarker": page["NextKeyMarker"]}
        return len(objects)

    def _delete(self, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Delete objects with one request; return the errors."""
        if not objects:
            return []
        answer = self.s3.delete_objects(
            Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
        )
        errors: list[dict[str, Any]] = answer.get("Errors", [])
        return errors

    def _give_up_or_pause(self, errors: list[dict[str, Any]], found: int) -> None:
        """Wait after a page from which nothing could be removed; give up after several."""
        self.failed_pages = self.failed_pages + 1 if len(errors) == found else 0
        if self.failed_pages >= _TRIES:
            self._fail(errors)
        if self.failed_pages:
            self.deadline.sleep(2.0**self.failed_pages)

    def _fail(self, errors: list[dict[str, Any]]) -> NoReturn:
        """Name one object that could not be removed."""
        keys = {str(error.get("Key")) for error in errors}
        key = str(errors[0].get("Key")).encode("unicode_escape").decode()
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        raise ResourceError(
            f"{self.bucket}: {key}{more} could not be removed ({errors[0].get('Code')}), after "
            f"{self.removed} others. Remove it, then delete the stack again."
        )

    def _abort_page(self) -> int:
        """Abort one page of unfinished uploads; return how many were found."""
        self._check_time()
        page = self.s3.list_multipart_uploads(Bucket=self.bucket, MaxUploads=_BATCH)
        uploads = page.get("Uploads", [])
        for upload in uploads:
            self._check_time()
            self._abort(upload["Key"], upload["UploadId"])
            self.removed += 1
        return len(uploads)

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self.s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if error_code(error) != "NoSuchUpload":
                raise

    def _check_time(self) -> None:
        self.deadline.check(
            f"{self.bucket} is not empty yet: {self.removed} versions, markers and uploads were "
            "removed before time ran out. Delete the stack again to continue."
        )
