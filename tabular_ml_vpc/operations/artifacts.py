"""Templates and zips in S3, named by their content, so that nothing is uploaded twice.

Rewrites ``Code`` and ``TemplateURL`` as ``aws cloudformation package`` does, but with SHA-256 sums
as names: a deployment without changes uploads nothing and changes nothing. S3 keeps each object's
sum as well, by which an object with another's name is detected.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED, nested_stacks
from generator.cfn.yaml_text import from_yaml, to_yaml
from generator.errors import CommandError, UsageError
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.target import Target, code_of

BUCKET_TAG: Final = "tabular-ml-vpc:artifacts"
"""Tag of a bucket that was created here; a bucket without it is never changed or deleted."""
_TEMPLATES: Final = "templates"
_ROOT: Final = "root.yaml"
_THREADS: Final = 8
_ABSENT: Final = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
_ALREADY_OURS: Final = frozenset({"BucketAlreadyOwnedByYou"})
_MEANWHILE: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_NONCURRENT_DAYS: Final = 30
_FUNCTION_TYPE: Final = "AWS::Lambda::Function"

_Content = TypeVar("_Content", str, bytes)
MISSING: Final = "the bucket does not exist"
"""The only problem of the default bucket that ``ensure`` solves."""


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

    def totals(self) -> dict[str, int]:
        """Return the number of resources by nested stack's logical id; the root's is ``""``."""
        templates = {"": self.root_template} | self.nested()
        return {name: len(template["Resources"]) for name, template in templates.items()}


@dataclass(frozen=True)
class Uploaded:
    """How many of a package's objects were uploaded, of how many, and how many bytes."""

    sent: int
    total: int
    bytes: int


@dataclass(frozen=True)
class ArtifactBucket:
    """The bucket for templates and zips: the one that ``--bucket`` gave, or the default one.

    Every request checks the bucket's owner, so that nobody can take over its name.
    """

    target: Target
    given: str | None = None
    prefix: str = ""
    """What all keys begin with: empty, or folders and their last slash."""

    @property
    def name(self) -> str:
        """Return its name; deployments in an account and region share the default bucket."""
        return self.given or f"tabular-artifacts-{self.target.account}-{self.target.region}"

    def url_of(self, key: str) -> str:
        """Return the URL from which CloudFormation reads an object."""
        suffix = "amazonaws.com.cn" if self.target.partition == "aws-cn" else "amazonaws.com"
        return f"https://s3.{self.target.region}.{suffix}/{self.name}/{self.key_of(key)}"

    def key_of(self, key: str) -> str:
        """Return the key of one of a package's objects in the bucket."""
        return f"{self.prefix}{key}"

    def upload(self, package: Package) -> Uploaded:
        """Upload what is not in the bucket yet, and replace what is not what its name says."""
        with ThreadPoolExecutor(_THREADS) as pool:
            sizes = list(pool.map(self._send, *zip(*package.objects.items(), strict=True)))
        return Uploaded(sum(1 for size in sizes if size), len(sizes), sum(sizes))

    def _send(self, key: str, content: bytes) -> int:
        """Upload an object unless it exists; return how many bytes were sent.

        Somebody who may only add objects may have uploaded another content under this name.
        """
        names = {"Key": self.key_of(key), **self._names}
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        try:
            found = self._s3.head_object(**names, ChecksumMode="ENABLED")
        except ClientError as error:
            if code_of(error) not in _ABSENT:
                raise
            return self._add(names, content, checksum)
        if found.get("ChecksumSHA256") == checksum:
            return 0
        self._s3.put_object(Body=content, ChecksumSHA256=checksum, **names)
        return len(content)

    def _add(self, names: Mapping[str, str], content: bytes, checksum: str) -> int:
        """Upload an object, but replace none; return how many bytes were sent."""
        try:
            self._s3.put_object(Body=content, ChecksumSHA256=checksum, IfNoneMatch="*", **names)
        except ClientError as error:
            if code_of(error) not in _MEANWHILE:
                raise
            raise CommandError(
                f"{names['Key']} in bucket {self.name} was uploaded by somebody else at the same "
                "time: run the command again"
            ) from error
        return len(content)

    def ensure(self) -> bool:
        """Check that the bucket can be used; create the default one and return True if it is new.

        Raises:
            UsageError: the given bucket cannot be used.
            CommandError: the default bucket cannot be used.

        """
        problem = self.problem()
        if problem is None:
            return False
        if self.given is not None:
            raise UsageError(f"--bucket: cannot use {self.given!r}: {problem}")
        if problem != MISSING:
            raise CommandError(
                f"cannot use the artifact bucket {self.name}: {problem}; give your own with "
                "--bucket"
            )
        self._create()
        return True

    def problem(self) -> str | None:
        """Return why artifacts cannot be uploaded to the bucket, or None."""
        try:
            answer = self._s3.head_bucket(**self._names)
        except ClientError as error:
            return self._rejection(error)
        headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
        region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
        return None if region in {None, self.target.region} else self._elsewhere(region)

    def _rejection(self, error: ClientError) -> str:
        code = code_of(error)
        if code in _ABSENT:
            return MISSING
        if code in {"403", "AccessDenied"}:
            return "it belongs to another account, or you have no permission to read it"
        if code in {"301", "PermanentRedirect"}:
            headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return self._elsewhere(headers.get("x-amz-bucket-region", "another region"))
        if code in {"400", "InvalidBucketName"}:
            return "this is not a valid bucket name"
        raise error

    def _elsewhere(self, region: str) -> str:
        return f"it is in {region}, not in {self.target.region}"

    def _create(self) -> None:
        """Create the bucket: private, encrypted, versioned, TLS only; old versions expire."""
        s3, names = self._s3, self._names
        region = self.target.region
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            s3.create_bucket(
                Bucket=self.name,
                ObjectOwnership="BucketOwnerEnforced",
                **(place if region != "us-east-1" else {}),
            )
        except ClientError as error:
            if code_of(error) not in _ALREADY_OURS:
                raise
        every = (
            *("BlockPublicAcls", "IgnorePublicAcls"),
            *("BlockPublicPolicy", "RestrictPublicBuckets"),
        )
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        tags = [{"Key": BUCKET_TAG, "Value": "true"}]
        policy = json.dumps(_tls_only(f"arn:{self.target.partition}:s3:::{self.name}"))
        s3.put_public_access_block(
            **names, PublicAccessBlockConfiguration=dict.fromkeys(every, True)
        )
        s3.put_bucket_encryption(**names, ServerSideEncryptionConfiguration={"Rules": [rule]})
        s3.put_bucket_versioning(**names, VersioningConfiguration={"Status": "Enabled"})
        s3.put_bucket_policy(**names, Policy=policy)
        s3.put_bucket_lifecycle_configuration(
            **names, LifecycleConfiguration={"Rules": [_EXPIRE_OLD_VERSIONS]}
        )
        s3.put_bucket_tagging(**names, Tagging={"TagSet": tags})

    def is_ours(self) -> bool:
        """Return whether the bucket exists and was created here."""
        try:
            tags = self._s3.get_bucket_tagging(**self._names)["TagSet"]
        except ClientError as error:
            if code_of(error) in _ABSENT | {"NoSuchTagSet", "403", "AccessDenied"}:
                return False
            raise
        return {"Key": BUCKET_TAG, "Value": "true"} in tags

    def delete(self) -> None:
        """Delete all object versions in our bucket, then the bucket."""
        for page in self._s3.get_paginator("list_object_versions").paginate(**self._names):
            items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            versions = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in items]
            if versions:
                self._s3.delete_objects(Delete={"Objects": versions, "Quiet": True}, **self._names)
        self._s3.delete_bucket(**self._names)

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")

    @property
    def _names(self) -> dict[str, str]:
        return {"Bucket": self.name, "ExpectedBucketOwner": self.target.account}


_EXPIRE_OLD_VERSIONS: Final = {
    "ID": "ExpireOldVersions",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "NoncurrentVersionExpiration": {"NoncurrentDays": _NONCURRENT_DAYS},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}


def _tls_only(arn: str) -> dict[str, Any]:
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


def assemble(bucket: ArtifactBucket, source: Source) -> Package:
    """Return the package of the templates in a source's folder, with what they refer to.

    The templates name each other and the zips by paths relative to their own folder.
    """
    assembler = _Assembler(bucket, source)
    root = assembler.add_template(f"{source.folder}/{_ROOT}")
    return Package(assembler.objects, root, assembler.templates)


class _Assembler:
    """Adds templates, with their nested templates and the zips that they need, each once."""

    def __init__(self, bucket: ArtifactBucket, source: Source) -> None:
        self._bucket, self._source = bucket, source
        self.objects: dict[str, bytes] = {}
        self.templates: dict[str, dict[str, Any]] = {}

    def add_template(self, path: str) -> str:
        """Add a template and everything that it refers to; return its key."""
        text = _need(self._source.texts, path)
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
            properties["TemplateURL"] = self._bucket.url_of(key)
        elif resource["Type"] == _FUNCTION_TYPE and isinstance(properties.get("Code"), str):
            code = _need(self._source.zips, self._path(properties["Code"]))
            key = self._add("functions", "zip", code)
            properties["Code"] = {"S3Bucket": self._bucket.name, "S3Key": self._bucket.key_of(key)}

    def _path(self, relative: str) -> str:
        return posixpath.normpath(posixpath.join(self._source.folder, relative))

    def _add(self, folder: str, suffix: str, content: bytes) -> str:
        key = f"{folder}/{hashlib.sha256(content).hexdigest()}.{suffix}"
        self.objects[key] = content
        return key


def _need(files: Mapping[str, _Content], path: str) -> _Content:
    if path not in files:
        raise CommandError(f"{path} is missing: run `python build.py`")
    return files[path]
