"""AWS::S3::Bucket: keeps all properties that we use, and does not delete buckets with objects.

Ministack drops encryption, logging, lifecycle, ownership, locks, replication and tags, and deletes
buckets that are not empty.
Source: "AWS::S3::Bucket", CloudFormation Template Reference; "DeleteBucket", S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.loaders
import botocore.model
import botocore.serialize
from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.types import Fields, Made

BUCKET = "AWS::S3::Bucket"
_ALGORITHM_HEADER = "x-amz-server-side-encryption"
_KEY_HEADER = f"{_ALGORITHM_HEADER}-aws-kms-key-id"
KEY_OF_S3 = "key/5a3f5a3f-0000-4000-8000-5a3f5a3f5a3f"
"""The key behind `alias/aws/s3`: AWS's own, one in each account and region."""
KNOWN = {
    "AccessControl",
    "BucketEncryption",
    "BucketName",
    "CorsConfiguration",
    "LifecycleConfiguration",
    "LoggingConfiguration",
    "NotificationConfiguration",
    "ObjectLockConfiguration",
    "ObjectLockEnabled",
    "OwnershipControls",
    "PublicAccessBlockConfiguration",
    "ReplicationConfiguration",
    "Tags",
    "VersioningConfiguration",
    "WebsiteConfiguration",
}


def _encryption(value: Fields) -> Fields:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        default = rule.get("ServerSideEncryptionByDefault")
        kept = {"BucketKeyEnabled": _true(rule.get("BucketKeyEnabled", False))}
        rules.append(kept | ({"ApplyServerSideEncryptionByDefault": default} if default else {}))
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def _logging(value: Fields) -> Fields:
    target = {
        "TargetBucket": value.get("DestinationBucketName", ""),
        "TargetPrefix": value.get("LogFilePrefix", ""),
    }
    return {"BucketLoggingStatus": {"LoggingEnabled": target}}


def _lifecycle(value: Fields) -> Fields:
    return {"LifecycleConfiguration": {"Rules": [_lifecycle_rule(r) for r in value["Rules"]]}}


def _lifecycle_rule(rule: Fields) -> Fields:
    changed: Fields = {
        "ID": rule.get("Id", ""),
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
    }
    expiration: Fields = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = int(rule["ExpirationInDays"])
    if "ExpiredObjectDeleteMarker" in rule:
        expiration["ExpiredObjectDeleteMarker"] = _true(rule["ExpiredObjectDeleteMarker"])
    if expiration:
        changed["Expiration"] = expiration
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent:
        changed["NoncurrentVersionExpiration"] = {k: int(v) for k, v in noncurrent.items()}
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort:
        changed["AbortIncompleteMultipartUpload"] = {k: int(v) for k, v in abort.items()}
    return changed


def _ownership(value: Fields) -> Fields:
    return {"OwnershipControls": {"Rules": value["Rules"]}}


def _object_lock(value: Fields) -> Fields:
    retention = value["Rule"]["DefaultRetention"]
    rule = {"DefaultRetention": {**retention, "Days": int(retention["Days"])}}
    return {"ObjectLockConfiguration": {**value, "Rule": rule}}


def _replication(value: Fields) -> Fields:
    rules = [
        {"ID": rule["Id"], "Priority": int(rule["Priority"])}
        | {k: v for k, v in rule.items() if k not in {"Id", "Priority"}}
        for rule in value["Rules"]
    ]
    return {"ReplicationConfiguration": {"Role": value["Role"], "Rules": rules}}


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


# Property: its operation, the change to that operation's input, and how ministack stores and
# removes it.
KEPT: dict[str, tuple[str, Callable[[Fields], Fields], Any, Any]] = {
    "BucketEncryption": (
        "PutBucketEncryption",
        _encryption,
        s3._put_bucket_encryption,
        s3._delete_bucket_encryption,
    ),
    "LoggingConfiguration": (
        "PutBucketLogging",
        _logging,
        s3._put_bucket_logging,
        lambda name: s3._bucket_logging_config.pop(name, None),
    ),
    "LifecycleConfiguration": (
        "PutBucketLifecycleConfiguration",
        _lifecycle,
        s3._put_bucket_lifecycle,
        s3._delete_bucket_lifecycle,
    ),
    "OwnershipControls": (
        "PutBucketOwnershipControls",
        _ownership,
        s3._put_bucket_ownership_controls,
        s3._delete_bucket_ownership_controls,
    ),
    "ObjectLockConfiguration": (
        "PutObjectLockConfiguration",
        _object_lock,
        s3._put_object_lock_configuration,
        lambda name: s3._bucket_object_lock.pop(name, None),
    ),
    "ReplicationConfiguration": (
        "PutBucketReplication",
        _replication,
        s3._put_bucket_replication,
        s3._delete_bucket_replication,
    ),
}


def _load_model() -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(
        botocore.loaders.Loader().load_service_model("s3", "service-2")
    )


MODEL = _load_model()


def _body(operation: str, name: str, content: Fields) -> bytes:
    """Return the XML that the S3 API accepts for this content."""
    serializer = botocore.serialize.create_serializer("rest-xml", include_validation=True)
    request = serializer.serialize_to_request(
        {"Bucket": name, **content}, MODEL.operation_model(operation)
    )
    body: bytes = request["body"]
    return body


def _check(answer: tuple[int, Any, bytes], what: str) -> None:
    if answer[0] >= 400:  # noqa: PLR2004 (HTTP)
        raise ValueError(f"{what}: {answer[2].decode(errors='replace')}")


def keep(name: str, old: Fields, new: Fields) -> None:
    """Store the properties that ministack drops, and remove those that were removed."""
    unknown = set(new) - KNOWN
    if unknown:
        raise ValueError(f"not emulated for buckets: {', '.join(sorted(unknown))}")
    if "VersioningConfiguration" in new:
        s3._bucket_versioning[name] = new["VersioningConfiguration"]["Status"]
    if _true(new.get("ObjectLockEnabled", False)) and name not in s3._bucket_object_lock:
        s3._bucket_object_lock[name] = {"enabled": True, "default_retention": None}
    for prop, (operation, change, put, remove) in KEPT.items():
        if prop in new:
            _check(put(name, _body(operation, name, change(new[prop]))), prop)
        elif prop in old:
            remove(name)
    s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in new.get("Tags") or []}


def _delete(physical_id: str, _props: Fields) -> None:
    if physical_id in s3._buckets:
        _check(s3._delete_bucket(physical_id), physical_id)


def _pass_keys_of_uploads() -> None:
    """Give policies the KMS key and the condition of an upload, which ministack leaves out.

    A part has no headers: those of the request that started its upload apply. Source: "Actions,
    resources, and condition keys for Amazon S3", Service Authorization Reference.
    """
    stock = iam_actions._s3_object_context

    def context(action: str, query: Fields, path: str, headers: Fields) -> Fields:
        found = dict(stock(action, query, path, headers))
        upload = s3._multipart_uploads.get(iam_actions._query_param(query, "uploadId") or "")
        sent = headers if upload is None else s3._stored_sse_headers(upload)
        if action == "s3:PutObject" and sent.get(_KEY_HEADER):
            found[f"s3:{_KEY_HEADER}"] = sent[_KEY_HEADER]
        if action == "s3:PutObject" and headers.get("if-none-match"):
            found["s3:if-none-match"] = headers["if-none-match"]
        return found

    iam_actions._s3_object_context = context


def _encrypt_under_the_key_of_s3() -> None:
    """Encrypt an upload that asks for KMS and names no key under `alias/aws/s3`.

    Not under the bucket's default key; ministack refuses such an upload. Source: "PutObject", S3
    API Reference (`x-amz-server-side-encryption-aws-kms-key-id`).
    """
    stock = s3._resolve_sse_write_headers

    def resolve(headers: Fields, bucket: str) -> Any:
        asks_for_kms = headers.get(_ALGORITHM_HEADER) == "aws:kms"
        if asks_for_kms and not headers.get(_KEY_HEADER):
            key = f"arn:aws:kms:{get_region()}:{get_account_id()}:{KEY_OF_S3}"
            headers = {**headers, _KEY_HEADER: key}
        return stock(headers, bucket)

    s3._resolve_sse_write_headers = resolve


def register() -> None:
    """Complete ministack's handlers."""
    _pass_keys_of_uploads()
    _encrypt_under_the_key_of_s3()
    stock = dict(provisioners._RESOURCE_HANDLERS[BUCKET])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        made: Made = stock["create"](logical_id, props, stack)
        keep(made[0], {}, props)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str) -> Made:
        made: Made = stock["update"](pid, old, new, stack)
        keep(made[0], old, new)
        return made

    changed = {"create": create, "update": update, "delete": _delete}
    provisioners._RESOURCE_HANDLERS[BUCKET] = stock | changed
    provisioners._STACK_TAG_PROPERTY[BUCKET] = ("Tags", "list")
