"""The emulated S3 as jobs use it: through the gateway, with the permissions of the job's role.

As on AWS, the role's policies and boundary and the bucket's policy decide what a job can read and
write. Source: "How to use SageMaker AI execution roles", SageMaker developer guide: SageMaker
downloads and uploads with the role of the job.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import tls
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from tabular_ml_vpc.local.store import StoreError, local_name

HOST = "127.0.0.1"
SCHEME = "s3://"


def session_of(role_arn: str, name: str) -> Session:
    """Return a session of SageMaker with an assumed role; raises `StoreError`."""
    account, role = get_account_id(), role_arn.rsplit("/", 1)[-1]
    if role not in iam._roles:
        raise StoreError(f"the role {role_arn} does not exist")
    key, secret, token = (secrets.token_hex(16) for _ in range(3))
    key = f"ASIA{hashlib.sha256(key.encode()).hexdigest()[:16].upper()}"
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/SageMaker-{name[:40]}",
            "UserId": f"{role}:SageMaker",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return Session(key, secret, token, get_region())


def client_of(role_arn: str, name: str, service: str, config: Config | None = None) -> Any:
    """Return a client of the emulator itself, with an assumed role; raises `StoreError`."""
    return session_of(role_arn, name).client(
        service,
        endpoint_url=f"https://{HOST}:{os.environ['GATEWAY_PORT']}",
        verify=tls.resolve_tls_material()[0],
        config=config,
    )


class RoleStore:
    """An `ObjectStore` (`tabular_ml_vpc.local.store`) in the emulated S3, for one job's role."""

    def __init__(self, role_arn: str, name: str, key_arn: str = "") -> None:
        """Objects are encrypted with `key_arn`, if the job has one."""
        by_path = Config(s3={"addressing_style": "path"})
        self._client = client_of(role_arn, name, "s3", by_path)
        self._encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_arn} if key_arn else {}
        )

    def fetch(self, uri: str, folder: Path) -> None:
        """Copy every object whose key begins with `uri` into `folder`, named by `local_name`.

        Raises `StoreError` if there is none, or if the role has no permission.
        """
        bucket, prefix = _split(uri)
        keys = list(self._matching(uri, bucket, prefix))
        if not keys:
            raise StoreError(f"no objects found under {uri}")
        for key in keys:
            target = folder / local_name(key, prefix)
            if not target.resolve().is_relative_to(folder.resolve()):
                raise StoreError(f"s3://{bucket}/{key} points outside its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.read(f"{SCHEME}{bucket}/{key}"))

    def put_folder(self, folder: Path, uri: str) -> None:
        """Store every file in `folder`, at any depth, under `uri`."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put_file(file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")

    def put_file(self, file: Path, uri: str) -> None:
        """Store one file as `uri`; raises `StoreError` if the role has no permission."""
        with file.open("rb") as body:
            self.write(body, uri)

    def write(self, body: bytes | BinaryIO, uri: str) -> None:
        """Store some bytes as `uri`; raises `StoreError` if the role has no permission."""
        bucket, key = _split(uri)
        self._ask("put_object", uri, Bucket=bucket, Key=key, Body=body, **self._encryption)

    def read(self, uri: str) -> bytes:
        """Return an object's bytes; raises `StoreError` if it cannot be read."""
        bucket, key = _split(uri)
        return bytes(self._ask("get_object", uri, Bucket=bucket, Key=key)["Body"].read())

    def _matching(self, uri: str, bucket: str, prefix: str) -> Iterator[str]:
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", uri, Bucket=bucket, Prefix=prefix, **more)
            found = (item["Key"] for item in page.get("Contents", []))
            yield from (key for key in found if not key.endswith("/"))
            if not page.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, operation: str, uri: str, **request: Any) -> Any:
        try:
            return getattr(self._client, operation)(**request)
        except ClientError as error:
            answer = error.response.get("Error", {})
            raise StoreError(f"{uri}: {answer.get('Code')}: {answer.get('Message')}") from error


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise StoreError(f"{uri!r} is not an S3 URI (s3://bucket/key)")
    return bucket, key
