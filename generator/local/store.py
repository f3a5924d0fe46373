"""Folders that stand for S3: `s3://bucket/key` is the file `<root>/bucket/key`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME: Final = "s3://"


class StoreError(Exception):
    """Nothing is where it should be; the text names the URI."""


class ObjectStore(Protocol):
    """What jobs need of S3."""

    def fetch(self, uri: str, folder: Path) -> None:
        """Copy the object, or all objects under the prefix, at `uri` into `folder`."""

    def put_folder(self, folder: Path, uri: str) -> None:
        """Store every file in `folder`, at any depth, under `uri`."""

    def put_file(self, file: Path, uri: str) -> None:
        """Store one file as `uri`."""

    def read(self, uri: str) -> bytes:
        """Return an object's bytes."""


class FolderStore:
    """An `ObjectStore` in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        """`root` holds one folder a bucket; it is made when the first object is stored."""
        self._root = root

    def path(self, uri: str) -> Path:
        """Return the file, or folder, that stands for `uri`; raises `StoreError` if it is no S3."""
        bucket, key = _split(uri)
        path = self._root / bucket / key
        if ".." in path.parts:
            raise StoreError(f"{uri} leads out of its bucket")
        return path

    def fetch(self, uri: str, folder: Path) -> None:
        """Copy what is at `uri` into `folder`, as the service copies a job's inputs.

        An exact key gives one file; otherwise every key that starts with the prefix is copied,
        under its path relative to the prefix's last slash, or to the prefix if that is a folder.

        Raises:
            StoreError: there is no such object.

        """
        folder.mkdir(parents=True, exist_ok=True)
        copied = False
        for file, relative in self._matching(uri):
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            copied = True
        if not copied:
            raise StoreError(f"there are no objects under {uri}")

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
        """Let `uri` stand for a file of the user's, without a copy; jobs copy it anyway."""
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file.resolve())

    def read(self, uri: str) -> bytes:
        """Return an object's bytes; raises `StoreError` if there is none."""
        path = self.path(uri)
        if not path.is_file():
            raise StoreError(f"there is no object {uri}")
        return path.read_bytes()

    def _matching(self, uri: str) -> Iterator[tuple[Path, Path]]:
        path = self.path(uri)
        if path.is_file():
            yield path, Path(path.name)
            return
        bucket, key = _split(uri)
        root = self._root / bucket
        base = path if path.is_dir() else path.parent
        for file in sorted(root.rglob("*")):
            if file.is_file() and file.relative_to(root).as_posix().startswith(key):
                within = base if file.is_relative_to(base) else base.parent
                yield file, file.relative_to(within)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not bucket:
        raise StoreError(f"{uri!r} is no S3 URI (s3://bucket/key)")
    return bucket, key
