"""Searches single versions of objects, each by what it is: a table, a document, an archive."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from pipeline.types import Json
from tabular_ml_vpc.local.searching import TableSearch
from tabular_ml_vpc.operations.forget import captured
from tabular_ml_vpc.operations.forget.sought import Found, Sought
from tabular_ml_vpc.operations.forget.versions import Version
from tabular_ml_vpc.operations.target import Target, code_of, in_words, is_denied

LARGEST_DOCUMENT: Final = 64 << 20
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_FROZEN: Final = "InvalidObjectState"


class Unreadable(Exception):  # noqa: N818 - a result, not an error of the program
    """A version cannot be searched; the message says why."""


@dataclass(frozen=True)
class TableFound:
    """What a table has; if it lacks the column, ``found`` is None, and ``columns`` says some."""

    rows: int
    found: Found | None
    columns: tuple[str, ...] = ()
    cut: bool = False


@dataclass
class Reader:
    """Reads versions of objects of one bucket, one at a time, through a file in ``scratch``."""

    target: Target
    bucket: str
    sought: Sought
    search: TableSearch
    scratch: Path
    _held: Version | None = field(default=None, init=False)
    _one_request: Lock = field(default_factory=Lock, init=False)

    def table(self, version: Version, *, keep: bool = False) -> TableFound:
        """Search a CSV or Parquet file.

        Raises:
            Unreadable: it is none, or may not be read.

        """
        return _table_found(self.search.table(self._fetched(version), keep=keep))

    def prepared(self, version: Version, schema: Path) -> tuple[Found, int]:
        """Return the rows of a prepared file that are found rows, and how many those are.

        Raises:
            Unreadable: it cannot be read with this schema.

        """
        answer = self.search.prepared(self._fetched(version), schema)
        return _counts(_answered(answer)["found"]), int(answer["compared"])

    def document(self, version: Version) -> tuple[Found, bytes]:
        """Search a JSON document; return its text, too.

        Raises:
            Unreadable: it is none, is too large, or may not be read.

        """
        if version.bytes > LARGEST_DOCUMENT:
            raise Unreadable("too large for a JSON document")
        with self._body(version) as body:
            text = body.read()
        return self._quoted(text), text

    def archive(self, version: Version) -> Found:
        """Search the JSON documents in a model archive, which is read as a stream.

        Raises:
            Unreadable: it is no archive, or may not be read.

        """
        found: Found = Counter()
        with self._body(version) as body:
            try:
                with tarfile.open(fileobj=cast("Any", body), mode="r|gz") as archive:
                    for member in archive:
                        small = member.isfile() and member.size <= LARGEST_DOCUMENT
                        file = (
                            small and member.name.endswith(".json") and archive.extractfile(member)
                        )
                        if file:
                            found.update(self._quoted(file.read()))
            except (tarfile.TarError, EOFError, OSError) as error:
                raise Unreadable(f"not a complete archive: {error}") from error
        return found

    def captured(self, version: Version) -> Found:
        """Search captured requests; several threads may, but nothing else meanwhile.

        Raises:
            Unreadable: they are none, or may not be read.

        """
        with self._body(version) as body:
            try:
                return captured.search(body.iter_lines(), self.sought, self._request)
            except ValueError as error:
                raise Unreadable(str(error)) from error

    def request(self, version: Version) -> Found:
        """Search a request to an asynchronous endpoint, or its answer, as ``captured`` does.

        Raises:
            Unreadable: it is too large, or may not be read.

        """
        if version.bytes > LARGEST_DOCUMENT:
            raise Unreadable("too large for a request that is searched")
        with self._body(version) as body:
            return captured.in_request(body.read(), self.sought, self._request)

    def _request(self, body: bytes) -> Found:
        """Search a request in Parquet."""
        with self._one_request:
            file = self.scratch / "request"
            file.write_bytes(body)
            return _table_found(self.search.table(file, keep=False)).found or Counter()

    def _quoted(self, text: bytes) -> Found:
        try:
            return self.sought.quoted(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise Unreadable("not a JSON document") from error

    def _fetched(self, version: Version) -> Path:
        """Return a file with the version's content, until another version is fetched."""
        file = self.scratch / "table"
        if self._held != version:
            self._held = None
            names = {"VersionId": version.id, "ExpectedBucketOwner": self.target.account}
            with _explained():
                self._s3.download_file(self.bucket, version.key, str(file), ExtraArgs=names)
            self._held = version
        return file

    @contextmanager
    def _body(self, version: Version) -> Iterator[Any]:
        with _explained():
            found = self._s3.get_object(
                Bucket=self.bucket,
                Key=version.key,
                VersionId=version.id,
                ExpectedBucketOwner=self.target.account,
            )
        with closing(found["Body"]) as body:
            yield body

    @property
    def _s3(self) -> Any:
        return self.target.client("s3")


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what is wrong with one version as ``Unreadable``, and nothing else."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in _GONE:
            raise Unreadable("deleted in the meantime") from error
        if code_of(error) == _FROZEN:
            raise Unreadable("archived: restore it first") from error
        if is_denied(error):
            raise Unreadable(in_words(error)) from error
        raise


def _answered(answer: Json) -> Json:
    if "problem" in answer:
        raise Unreadable(str(answer["problem"]))
    return answer


def _table_found(answer: Json) -> TableFound:
    known = _answered(answer)
    if known["found"] is None:
        return TableFound(int(known["rows"]), None, tuple(known["columns"]))
    return TableFound(int(known["rows"]), _counts(known["found"]), cut=bool(known["cut"]))


def _counts(found: list[Json]) -> Found:
    return Counter({(int(one["value"]), str(one["kind"])): int(one["rows"]) for one in found})
