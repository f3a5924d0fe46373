"""S3 in memory: versioned buckets, conditional writes, uploads in parts."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.functions.fakes.wire import ApiError, Backend, Fields

SPACE = 0x20
_MIN_PART = 5 * 1024 * 1024
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Version:
    """One version of an object, or a delete marker (no body)."""

    key: str
    version_id: str
    body: bytes | None
    metadata: dict[str, str] = field(default_factory=dict)
    content_type: str = ""
    modified: datetime = _WHEN

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body or b"", usedforsecurity=False).hexdigest()}"'


@dataclass
class Upload:
    """An upload in parts that was begun and not ended."""

    key: str
    fields: Fields
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Bucket:
    """A versioned bucket; the newest version of a key comes last."""

    versions: list[Version] = field(default_factory=list)
    uploads: dict[str, Upload] = field(default_factory=dict)
    tags: dict[str, str] | None = None
    policy: Fields | None = None
    locked: set[str] = field(default_factory=set)

    def current(self, key: str) -> Version | None:
        """Return what a reader of `key` sees."""
        newest = next((one for one in reversed(self.versions) if one.key == key), None)
        return newest if newest and newest.body is not None else None

    def readable(self) -> set[str]:
        """Return the keys that a reader sees."""
        return {one.key for one in self.versions if self.current(one.key)}


class FakeS3(Backend):
    """The operations that the functions use, and `put`, by which a test or a user writes."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.buckets = {name: Bucket() for name in names}
        self.largest_part = 0
        self.keeps_bodies = True
        self._ids = itertools.count(1)

    def put(
        self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str] | None = None
    ) -> Version:
        """Write as somebody else does; a policy that denies it raises."""
        place = self._bucket(bucket)
        for statement in (place.policy or {}).get("Statement", []):
            if statement["Effect"] == "Deny" and statement["Action"] == "s3:PutObject":
                raise ApiError("AccessDenied", "a Deny of the bucket's policy", 403)
        version = Version(key, f"v{next(self._ids)}", body, dict(metadata or {}))
        place.versions.append(version)
        return version

    def _bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise ApiError("NoSuchBucket", "The specified bucket does not exist", 404)
        return self.buckets[name]

    def _current(self, bucket: str, key: str, code: str) -> Version:
        found = self._bucket(bucket).current(key)
        if found is None:
            raise ApiError(code, "Not Found", 404)
        return found

    def _check_conditions(self, bucket: str, key: str, conditions: Fields) -> None:
        found = self._bucket(bucket).current(key)
        if "IfMatch" in conditions and found is None:
            raise ApiError("NoSuchKey", "The specified key does not exist.", 404)
        refused = (conditions.get("IfNoneMatch") == "*" and found is not None) or (
            "IfMatch" in conditions and found is not None and conditions["IfMatch"] != found.etag
        )
        if refused:
            raise ApiError("PreconditionFailed", "a pre-condition did not hold", 412)

    # Objects

    def head_bucket(self, p: Fields) -> None:
        if p["Bucket"] not in self.buckets:
            raise ApiError("404", "Not Found", 404)

    def head_object(self, p: Fields) -> Fields:
        found = self._current(p["Bucket"], p["Key"], "404")
        return {"ETag": found.etag, "Metadata": found.metadata, "LastModified": found.modified}

    def get_object(self, p: Fields) -> Fields:
        found = self._current(p["Bucket"], p["Key"], "NoSuchKey")
        return {"ETag": found.etag, "Body": io.BytesIO(found.body or b"")}

    def put_object(self, p: Fields) -> Fields:
        self._check_conditions(p["Bucket"], p["Key"], p)
        version = self.put(p["Bucket"], p["Key"], p["Body"], p.get("Metadata"))
        version.content_type = p.get("ContentType", "")
        return {"ETag": version.etag, "VersionId": version.version_id}

    def copy_object(self, p: Fields) -> Fields:
        """Copy an object, whose place may be text or a structure."""
        bucket, key = p["CopySource"]["Bucket"], p["CopySource"]["Key"]
        source = self._current(bucket, key, "NoSuchKey")
        version = self.put(p["Bucket"], p["Key"], source.body or b"", p.get("Metadata"))
        return {"CopyObjectResult": {"ETag": version.etag}}

    def delete_object(self, p: Fields) -> Fields:
        self._check_conditions(p["Bucket"], p["Key"], p)
        if "VersionId" in p:
            place, gone = self._bucket(p["Bucket"]), (p["Key"], p["VersionId"])
            place.versions = [one for one in place.versions if (one.key, one.version_id) != gone]
            return {}
        marker = Version(p["Key"], f"v{next(self._ids)}", None)
        self.buckets[p["Bucket"]].versions.append(marker)
        return {"DeleteMarker": True, "VersionId": marker.version_id}

    def delete_objects(self, p: Fields) -> Fields:
        place = self._bucket(p["Bucket"])
        assert len(p["Delete"]["Objects"]) <= 1000
        objects = p["Delete"]["Objects"]
        if any(ord(letter) < SPACE for one in objects for letter in one["Key"]):
            raise ApiError("MalformedXML", "The XML you provided was not well-formed", 400)
        locked = [one for one in objects if one["Key"] in place.locked]
        gone = {(one["Key"], one["VersionId"]) for one in objects if one not in locked}
        place.versions = [one for one in place.versions if (one.key, one.version_id) not in gone]
        errors = [{**one, "Code": "AccessDenied", "Message": "locked"} for one in locked]
        return {"Errors": errors} if errors else {}

    def list_objects_v2(self, p: Fields) -> Fields:
        place = self._bucket(p["Bucket"])
        keys = (key for key in sorted(place.readable()) if key.startswith(p["Prefix"]))
        seen = [one for key in keys if (one := place.current(key))]
        found = [{"Key": one.key, "Size": len(one.body or b"")} for one in seen]
        shown = found[: p["MaxKeys"]]
        return {"KeyCount": len(shown), **({"Contents": shown} if shown else {})}

    def list_object_versions(self, p: Fields) -> Fields:
        place = self._bucket(p["Bucket"])
        found = sorted(place.versions, key=lambda one: one.key)
        found = [one for one in found if one.key > p.get("KeyMarker", "")]
        shown = found[: min(p["MaxKeys"], 1000)]
        answer: Fields = {"IsTruncated": len(shown) < len(found)}
        answer |= {"NextKeyMarker": shown[-1].key} if len(shown) < len(found) else {}
        for name, is_marker in (("Versions", False), ("DeleteMarkers", True)):
            listed = [
                {"Key": one.key, "VersionId": one.version_id}
                for one in shown
                if (one.body is None) == is_marker
            ]
            answer |= {name: listed} if listed else {}
        return answer

    # Uploads in parts

    def create_multipart_upload(self, p: Fields) -> Fields:
        upload_id = f"u{next(self._ids)}"
        self._bucket(p["Bucket"]).uploads[upload_id] = Upload(p["Key"], p)
        return {"Bucket": p["Bucket"], "Key": p["Key"], "UploadId": upload_id}

    def upload_part(self, p: Fields) -> Fields:
        upload = self._upload(p["Bucket"], p["Key"], p["UploadId"])
        self.largest_part = max(self.largest_part, len(p["Body"]))
        upload.parts[p["PartNumber"]] = p["Body"] if self.keeps_bodies else b""
        return {"ETag": Version(p["Key"], "", upload.parts[p["PartNumber"]]).etag}

    def complete_multipart_upload(self, p: Fields) -> Fields:
        upload = self._upload(p["Bucket"], p["Key"], p["UploadId"])
        self._check_conditions(p["Bucket"], p["Key"], p)
        numbers = [part["PartNumber"] for part in p["MultipartUpload"]["Parts"]]
        assert numbers == sorted(upload.parts), "parts are missing or out of order"
        if self.keeps_bodies and any(len(upload.parts[n]) < _MIN_PART for n in numbers[:-1]):
            raise ApiError("EntityTooSmall", "Your proposed upload is smaller than allowed")
        body = b"".join(upload.parts[number] for number in numbers)
        version = self.put(p["Bucket"], p["Key"], body, upload.fields.get("Metadata"))
        version.content_type = upload.fields.get("ContentType", "")
        del self.buckets[p["Bucket"]].uploads[p["UploadId"]]
        return {"ETag": version.etag, "VersionId": version.version_id}

    def abort_multipart_upload(self, p: Fields) -> None:
        self._upload(p["Bucket"], p["Key"], p["UploadId"])
        del self.buckets[p["Bucket"]].uploads[p["UploadId"]]

    def _upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        upload = self._bucket(bucket).uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise ApiError("NoSuchUpload", "The specified multipart upload does not exist.", 404)
        return upload

    def list_multipart_uploads(self, p: Fields) -> Fields:
        uploads = self._bucket(p["Bucket"]).uploads
        shown = [
            {"Key": upload.key, "UploadId": upload_id, "Initiated": _WHEN}
            for upload_id, upload in uploads.items()
        ][: p["MaxUploads"]]
        return {"Uploads": shown} if shown else {}

    # Tags and policy

    def get_bucket_tagging(self, p: Fields) -> Fields:
        tags = self._bucket(p["Bucket"]).tags
        if not tags:
            raise ApiError("NoSuchTagSet", "The TagSet does not exist", 404)
        return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def get_bucket_policy(self, p: Fields) -> Fields:
        policy = self._bucket(p["Bucket"]).policy
        if policy is None:
            raise ApiError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
        return {"Policy": json.dumps(policy)}

    def put_bucket_policy(self, p: Fields) -> None:
        self._bucket(p["Bucket"]).policy = json.loads(p["Policy"])
