"""Folders in place of S3: `s3://bucket/key` is the file `<root>/bucket/key`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

_SCHEME: Final = "s3://"


class StoreError(Exception):
    """An object is missing, or a URI is not valid; the message names the URI."""


class ObjectStore(Protocol):
    """The part of S3 that jobs need."""

    def fetch(self, uri: str, folder: Path) -> None:
        """Copy every object whose key begins with `uri` into `folder`."""

    def put_folder(self, folder: Path, uri: str) -> None:
        """Store every file in `folder`, at any depth, under `uri`."""

    def put_file(self, file: Path, uri: str) -> None:
        """Store one file as `uri`."""

    def read(self, uri: str) -> bytes:
        """Return an object's bytes."""


class FolderStore:
    """An `ObjectStore` in a folder on this machine."""

    def __init__(self, root: Path) -> None:
        """`root` has one folder per bucket; it is created when the first object is stored."""
        self._root = root

    def path(self, uri: str) -> Path:
        """Return the file or folder for `uri`; raises `StoreError` if it is not an S3 URI."""
        bucket, key = _split(uri)
        path = self._root / bucket / key
        if ".." in path.parts:
            raise StoreError(f"{uri} points outside its bucket")
        return path

    def fetch(self, uri: str, folder: Path) -> None:
        """Copy every object whose key begins with `uri` into `folder`, as `local_name` says.

        Raises:
            StoreError: there is no such object.

        """
        bucket, prefix = _split(uri)
        self.path(uri)  # raises if the URI points outside its bucket
        root = self._root / bucket
        folder.mkdir(parents=True, exist_ok=True)
        keys = [key for key in _keys(root) if key.startswith(prefix)]
        for key in keys:
            target = folder / local_name(key, prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / key, target)
        if not keys:
            raise StoreError(f"no objects found under {uri}")

    def put_folder(self, folder: Path, uri: str) -> None:
        """Store every file in `folder`, at any depth, under `uri`."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put_file(file, f"{uri.rstrip('/')}/{file.relative_to(folder).as_posix()}")

    def put_file(self, file: Path, uri: str) -> None:
        """Store one file as `uri`."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)

    def link(self, file: Path, uri: str) -> None:
        """Make `uri` refer to a user's file without copying it; jobs copy it anyway."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file.resolve())

    def read(self, uri: str) -> bytes:
        """Return an object's bytes; raises `StoreError` if it does not exist."""
        path = self.path(uri)
        if not path.is_file():
            raise StoreError(f"the object {uri} does not exist")
        return path.read_bytes()


def local_name(key: str, prefix: str) -> str:
    """The path, in a job's folder, of an object that an input with `prefix` fetches.

    SageMaker fetches every object whose key begins with the prefix ("API_S3DataSource"), so
    `raw/data.csv` also fetches `raw/data.csv.bak`. Paths in the folder that the prefix names are
    relative to it; all others start after the prefix's last slash.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    base = folder if key.startswith(folder) else prefix.rpartition("/")[0] + "/"
    return key.removeprefix(base).lstrip("/")


def _keys(root: Path) -> Iterator[str]:
    for file in sorted(root.rglob("*")):
        if file.is_file():
            yield file.relative_to(root).as_posix()


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not bucket:
        raise StoreError(f"{uri!r} is not an S3 URI (s3://bucket/key)")
    return bucket, key
