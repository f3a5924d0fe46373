"""Empty a bucket for good, if its own tag says that this stack may."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from functions.shared.errors import ResourceError, error_code

if TYPE_CHECKING:
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

PERMISSION_TAG: Final = "empty-on-delete"
"""Tag of a bucket that may be emptied; its value is the id of the stack that may."""

DENY_SID: Final = "NothingIsWrittenWhileTheBucketIsEmptied"

_BATCH = 1000
_NOT_XML = re.compile(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that a request in XML cannot hold, or changes on the way: line ends are among them."""

_TRIES = 6
_PASSING = frozenset({"InternalError", "SlowDown", "ServiceUnavailable"})
_NO_BUCKET = frozenset({"NoSuchBucket", "404"})


@dataclass
class Emptying:
    """The emptying of one bucket, for one stack. It can stop at any point and be begun again."""

    s3: Any
    bucket: str
    stack_id: str
    deadline: Deadline
    removed: int = 0
    failed_looks: int = 0
    """Looks in a row at which nothing could be removed."""

    def check_exists(self) -> None:
        """Raise ``ResourceError`` if there is no such bucket."""
        try:
            self.s3.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error_code(error) not in _NO_BUCKET:
                raise
            raise ResourceError(f"Bucket {self.bucket} does not exist. Name another one.") from None

    def run(self) -> int:
        """Remove everything if the tag permits it; return how many things that were.

        New writes are denied first, to everybody: a log bucket would else fill while it is emptied
        and go on receiving logs for hours ("Logging requests with server access logging").
        Raises ``ResourceError`` if time runs out; what was removed stays removed.
        """
        try:
            if not self._is_permitted():
                LOG.info("%s has no tag %s of this stack: left alone", self.bucket, PERMISSION_TAG)
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
        """Add a Deny to the bucket's policy; the statements that are there stay."""
        policy = self._policy()
        others = [one for one in policy["Statement"] if one.get("Sid") != DENY_SID]
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
        """Remove until a look at the whole bucket finds nothing."""
        while self._remove_page() + self._abort_page():
            LOG.info("%s: %d versions, markers and uploads removed", self.bucket, self.removed)
        LOG.info("%s is empty", self.bucket)
        return self.removed

    def _remove_page(self) -> int:
        """Remove the first versions and delete markers there are; return how many were found."""
        self._check_time()
        page = self.s3.list_object_versions(Bucket=self.bucket, MaxKeys=_BATCH)
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        found = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
        if not found:
            return 0
        self._check_time()
        single = [one for one in found if _NOT_XML.search(one["Key"])]
        for one in single:
            self.s3.delete_object(Bucket=self.bucket, **one)
        errors = self._delete([one for one in found if one not in single])
        self.removed += len(found) - len(errors)
        self._judge(errors, len(found))
        return len(found)

    def _delete(self, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Delete objects with one request; return what was refused."""
        if not objects:
            return []
        answer = self.s3.delete_objects(
            Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True}
        )
        errors: list[dict[str, Any]] = answer.get("Errors", [])
        return errors

    def _judge(self, errors: list[dict[str, Any]], found: int) -> None:
        """Wait after a look at which nothing could be removed; give up after some, by name."""
        lasting = [error for error in errors if error.get("Code") not in _PASSING]
        self.failed_looks = self.failed_looks + 1 if len(errors) == found else 0
        if lasting or self.failed_looks >= _TRIES:
            error = (lasting or errors)[0]
            key = str(error.get("Key")).encode("unicode_escape").decode()
            raise ResourceError(
                f"{self.bucket}: {key} could not be removed ({error.get('Code')}); "
                f"{self.removed} others were. Remove it, then delete the stack again."
            )
        if self.failed_looks:
            self.deadline.sleep(2.0**self.failed_looks)

    def _abort_page(self) -> int:
        """Abort the first unfinished uploads there are; return how many were found."""
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
            "removed before the time was up. Delete the stack again to go on."
        )
