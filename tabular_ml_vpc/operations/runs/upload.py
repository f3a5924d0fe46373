"""Uploads a user's table to the data bucket for a run, under keys that name its content.

A key contains the hash of the table, and an object that exists is never overwritten: neither one of
the user's nor one that another run reads. Jobs that read the folder ``raw/``, or that of a named
pipeline, ignore these objects, because the folder's name begins with an underscore.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.errors import CommandError, UsageError
from pipeline import layout
from pipeline.layout import MAIN
from tabular_ml_vpc.local.inputs import data_files, key_of
from tabular_ml_vpc.operations.target import Target, code_of

UPLOADS: Final = "_uploads"
_HASH_DIGITS: Final = 32
_LONGEST_NAME: Final = 100
"""With it, the URI fits into a job's argument."""
_LARGEST: Final = 5 * 1024**3
"""Bytes of one PutObject ("API_PutObject")."""
_THREADS: Final = 8


@dataclass(frozen=True)
class UploadedTable:
    """A table in the data bucket: the value of ``InputData``, and how much was uploaded."""

    uri: str
    files: int
    sent: int
    bytes: int

    def told(self, data: Path) -> str:
        """Return in a sentence what happened to the table that is here in ``data``."""
        if self.sent:
            return f"uploaded {data} ({self.bytes:,} bytes) to {self.uri}"
        return f"{data} was uploaded before, to {self.uri}"


@dataclass(frozen=True)
class DataBucket:
    """The data bucket of a deployment; every request checks its owner."""

    target: Target
    name: str
    pipeline: str = MAIN
    """Whose folder of tables is uploaded to."""

    def upload(self, data: Path) -> UploadedTable:
        """Upload a file, or the files of a folder that are not hidden, unless they are there.

        Raises:
            InputError: there are no files.
            UsageError: a file is too large for one request.
            CommandError: an object with one of the names has another size.

        """
        files = _by_name(data)
        for file in files.values():
            _check_size(file)
        folder = f"{layout.folder(layout.RAW, self.pipeline)}{UPLOADS}/{_hash(files)}/"
        with ThreadPoolExecutor(_THREADS) as pool:
            keys = [folder + name for name in files]
            sizes = list(pool.map(self._send, keys, files.values()))
        name = "" if data.is_dir() else next(iter(files))
        sent = sum(1 for size in sizes if size is not None)
        return UploadedTable(
            f"s3://{self.name}/{folder}{name}", len(files), sent, sum(filter(None, sizes))
        )

    def _send(self, key: str, file: Path) -> int | None:
        """Upload a file; return how many bytes were sent, or None if it is there already."""
        names = {"Bucket": self.name, "Key": key, "ExpectedBucketOwner": self.target.account}
        size = file.stat().st_size
        try:
            with file.open("rb") as body:
                self._s3.put_object(Body=body, IfNoneMatch="*", **names)
        except ClientError as error:
            if code_of(error) not in {"PreconditionFailed", "412"}:
                raise
            if self._s3.head_object(**names)["ContentLength"] != size:
                raise CommandError(
                    f"s3://{self.name}/{key} exists with other content: it was not overwritten"
                ) from None
            return None
        return size

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")


def _by_name(data: Path) -> dict[str, Path]:
    """Return the table's files by the ends of their keys."""
    files = data_files(data)
    if data.is_file():
        return {key_of(data, data)[-_LONGEST_NAME:]: data}
    return {key_of(file, data): file for file in files}


def _check_size(file: Path) -> None:
    if file.stat().st_size > _LARGEST:
        raise UsageError(
            f"--data: {str(file)!r} has more than 5 GB: upload it with `aws s3 cp`, and give its "
            "address with --set InputData=s3://..."
        )


def _hash(files: Mapping[str, Path]) -> str:
    """Return a hash of the files' names and contents."""
    total = hashlib.sha256()
    for name, file in sorted(files.items()):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{len(name)} {name} {content}\n".encode())
    return total.hexdigest()[:_HASH_DIGITS]
