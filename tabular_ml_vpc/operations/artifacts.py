"""Templates and zips in S3, named by their content, so that nothing is uploaded twice.

Rewrites ``Code`` and ``TemplateURL`` as ``aws cloudformation package`` does, but with SHA-256 sums
as names: a deployment without changes uploads nothing and changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED, nested_stacks
from generator.cfn.yaml_text import from_yaml, to_yaml
from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.target import Target, code_of

BUCKET_TAG: Final = "tabular-ml-vpc:artifacts"
"""Tag of a bucket that was created here; a bucket without it is never changed or deleted."""
_TEMPLATES: Final = "templates"
_ROOT: Final = "root.yaml"
_THREADS: Final = 8
_ABSENT: Final = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_ALREADY_OURS: Final = frozenset({"BucketAlreadyOwnedByYou"})
_NONCURRENT_DAYS: Final = 30
_FUNCTION_TYPE: Final = "AWS::Lambda::Function"

TemplateTexts = Mapping[str, str]
Zips = Mapping[str, bytes]


@dataclass(frozen=True)
class Package:
    """Everything that a deployment uploads: content by key, and the root template's key.

    ``templates`` holds each template as it is uploaded, by key.
    """

    objects: Mapping[str, bytes]
    root: str
    templates: Mapping[str, dict[str, Any]]

    @property
    def root_template(self) -> dict[str, Any]:
        """Return the root template."""
        return self.templates[self.root]

    def nested(self) -> dict[str, dict[str, Any]]:
        """Return the templates that the root nests, by logical id."""
        files = nested_stacks(self.root_template)
        return {name: self.templates[f"{_TEMPLATES}/{file}.yaml"] for name, file in files.items()}


@dataclass(frozen=True)
class Uploaded:
    """How many of a package's objects were uploaded, of how many, and how many bytes."""

    sent: int
    total: int
    bytes: int


def bucket_name(target: Target) -> str:
    """Return the name of the bucket that all deployments in an account and region share."""
    return f"tabular-artifacts-{target.account}-{target.region}"


def assemble(target: Target, bucket: str, folder: str, texts: TemplateTexts, zips: Zips) -> Package:
    """Return the package of the templates in ``texts`` that are in ``folder``.

    ``texts`` and ``zips`` are named by their paths from the repository's top; the templates name
    each other and the zips by paths relative to their own folder.
    """
    own = {name: text for name, text in texts.items() if posixpath.dirname(name) == folder}
    assembler = _Assembler(target, bucket, folder, own, zips)
    root = assembler.add_template(f"{folder}/{_ROOT}")
    return Package(assembler.objects, root, assembler.templates)


class _Assembler:
    """Adds templates, with their nested templates and the zips that they need, each once."""

    def __init__(
        self, target: Target, bucket: str, folder: str, texts: TemplateTexts, zips: Zips
    ) -> None:
        self._target, self._bucket, self._folder = target, bucket, folder
        self._texts, self._zips = texts, zips
        self.objects: dict[str, bytes] = {}
        self.templates: dict[str, dict[str, Any]] = {}

    def add_template(self, path: str) -> str:
        """Add a template and everything that it refers to; return its key."""
        text = self._read(path)
        header = text.partition("\n")[0].removeprefix("# ")
        body = from_yaml(text)
        for resource in body["Resources"].values():
            self._rewrite(resource)
        key = self._add(_TEMPLATES, "yaml", to_yaml(body, header).encode())
        self.templates[key] = body
        return key

    def _rewrite(self, resource: dict[str, Any]) -> None:
        properties = resource.get("Properties", {})
        if resource["Type"] == NESTED:
            key = self.add_template(self._path(properties["TemplateURL"]))
            properties["TemplateURL"] = url_of(self._target, self._bucket, key)
        elif resource["Type"] == _FUNCTION_TYPE and isinstance(properties.get("Code"), str):
            key = self._add("functions", "zip", self._zip(self._path(properties["Code"])))
            properties["Code"] = {"S3Bucket": self._bucket, "S3Key": key}

    def _path(self, relative: str) -> str:
        return posixpath.normpath(posixpath.join(self._folder, relative))

    def _read(self, path: str) -> str:
        if path not in self._texts:
            raise CommandError(f"{path} is missing: run `python build.py`")
        return self._texts[path]

    def _zip(self, path: str) -> bytes:
        if path not in self._zips:
            raise CommandError(f"{path} is missing: run `python build.py`")
        return self._zips[path]

    def _add(self, folder: str, suffix: str, content: bytes) -> str:
        key = f"{folder}/{hashlib.sha256(content).hexdigest()}.{suffix}"
        self.objects[key] = content
        return key


def url_of(target: Target, bucket: str, key: str) -> str:
    """Return the URL from which CloudFormation reads an object."""
    suffix = "amazonaws.com.cn" if target.partition == "aws-cn" else "amazonaws.com"
    return f"https://s3.{target.region}.{suffix}/{bucket}/{key}"


def upload(
    target: Target, bucket: str, package: Package, notify: Callable[[str], None] = lambda _: None
) -> Uploaded:
    """Upload what is not in the bucket yet; ``notify`` is called with the key of each upload.

    Every request checks the owner of the bucket, so that nobody can take over its name.
    """
    s3, owner = target.client("s3"), target.account

    def send(item: tuple[str, bytes]) -> int:
        key, content = item
        if _exists(s3, bucket, key, owner):
            return 0
        s3.put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=owner)
        notify(key)
        return len(content)

    with ThreadPoolExecutor(_THREADS) as pool:
        sizes = list(pool.map(send, package.objects.items()))
    return Uploaded(sum(1 for size in sizes if size), len(sizes), sum(sizes))


def _exists(s3: Any, bucket: str, key: str, owner: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
    except ClientError as error:
        if code_of(error) in _ABSENT:
            return False
        raise
    return True


def ensure_bucket(target: Target, given: str | None) -> tuple[str, bool]:
    """Return the bucket to upload to, and whether it was created now.

    ``given`` must exist in the target's region and account; the default bucket is created if it
    does not exist.

    Raises:
        UsageError: ``given`` cannot be used.
        CommandError: the default bucket cannot be used.

    """
    name = given or bucket_name(target)
    problem = bucket_problem(target, name)
    if problem is None:
        return name, False
    if given is not None:
        raise UsageError(f"--bucket: cannot use {given!r}: {problem}")
    if problem != _MISSING:
        raise CommandError(
            f"the artifact bucket {name} cannot be used: {problem}; give your own with --bucket"
        )
    _create_bucket(target, name)
    return name, True


_MISSING: Final = "the bucket does not exist"


def bucket_problem(target: Target, name: str) -> str | None:
    """Return why artifacts cannot be uploaded to the bucket, or None."""
    try:
        answer = target.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=target.account)
    except ClientError as error:
        code = code_of(error)
        if code in _ABSENT:
            return _MISSING
        if code in {"403", "AccessDenied"}:
            return "it belongs to another account, or you have no permission to read it"
        if code in {"301", "PermanentRedirect"}:
            return _elsewhere(error.response, target)
        if code in {"400", "InvalidBucketName"}:
            return "this is not a valid bucket name"
        raise
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or target.region
    return None if region == target.region else f"it is in {region}, not in {target.region}"


def _elsewhere(response: Mapping[str, Any], target: Target) -> str:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return (
        f"it is in {headers.get('x-amz-bucket-region', 'another region')}, not in {target.region}"
    )


def is_missing(problem: str | None) -> bool:
    """Return whether a bucket's problem is that it does not exist."""
    return problem == _MISSING


def _create_bucket(target: Target, name: str) -> None:
    """Create the bucket: private, encrypted, versioned, TLS only; old ones expire in 30 days."""
    s3, own = target.client("s3"), {"Bucket": name, "ExpectedBucketOwner": target.account}
    place = (
        {}
        if target.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": target.region}}
    )
    try:
        s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", **place)
    except ClientError as error:
        if code_of(error) not in _ALREADY_OURS:
            raise
    every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(**own, PublicAccessBlockConfiguration=dict.fromkeys(every, True))
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**own, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_versioning(**own, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_policy(**own, Policy=json.dumps(_tls_only(target, name)))
    s3.put_bucket_lifecycle_configuration(**own, LifecycleConfiguration={"Rules": _rules()})
    s3.put_bucket_tagging(**own, Tagging={"TagSet": [{"Key": BUCKET_TAG, "Value": "true"}]})


def _rules() -> list[dict[str, Any]]:
    return [
        {
            "ID": "ExpireOldVersions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": _NONCURRENT_DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]


def _tls_only(target: Target, name: str) -> dict[str, Any]:
    arn = f"arn:{target.partition}:s3:::{name}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def is_our_bucket(target: Target, name: str) -> bool:
    """Return whether the bucket exists and was created here."""
    try:
        tags = target.client("s3").get_bucket_tagging(
            Bucket=name, ExpectedBucketOwner=target.account
        )["TagSet"]
    except ClientError as error:
        if code_of(error) in _ABSENT | {"NoSuchTagSet", "403", "AccessDenied"}:
            return False
        raise
    return {"Key": BUCKET_TAG, "Value": "true"} in tags


def delete_bucket(target: Target, name: str) -> None:
    """Delete all object versions in our bucket, then the bucket."""
    s3, owner = target.client("s3"), target.account
    for page in s3.get_paginator("list_object_versions").paginate(
        Bucket=name, ExpectedBucketOwner=owner
    ):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        versions = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        if versions:
            s3.delete_objects(
                Bucket=name,
                Delete={"Objects": versions, "Quiet": True},
                ExpectedBucketOwner=owner,
            )
    s3.delete_bucket(Bucket=name, ExpectedBucketOwner=owner)
