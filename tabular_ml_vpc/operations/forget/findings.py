"""What was found, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pipeline import layout
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.forget.sought import (
    EXACT,
    NUMBER,
    QUOTED,
    ROW,
    UNNAMED,
    Found,
    Sought,
)
from tabular_ml_vpc.operations.forget.versions import DERIVED, Version

PACKAGE: Final = "package"
ENDPOINT: Final = "endpoint"
_WORDS: Final[Mapping[str, str]] = {
    EXACT: "",
    NUMBER: " as a number only",
    ROW: " equal to one that was found in a table",
    UNNAMED: " without column names, in some column",
}


@dataclass(frozen=True)
class Finding:
    """Something that holds rows with a value, quotes one, or was made from such rows."""

    kind: str
    """A kind of data in the bucket, ``package`` or ``endpoint``."""
    name: str
    """The key of an object, the ARN of a package, or the name of an endpoint."""
    found: Found
    """Rows and quotations in the object itself."""
    version: Version | None = None
    gone: datetime | None = None
    """When the version is deleted for good if nobody does anything."""
    pipeline: str = ""
    run: str = ""
    reason: str = ""
    """What else it follows from: the run that made it, or the model that it has."""

    @property
    def deletable(self) -> bool:
        """Return whether it is a version of an object that runs or the endpoint wrote."""
        return self.version is not None and self.version.place.kind in DERIVED

    @property
    def what(self) -> str:
        """Return in words what was found."""
        rows: dict[str, int] = {}
        for (_, kind), count in self.found.items():
            rows[kind] = rows.get(kind, 0) + count
        parts = [
            "quotes it" if kind == QUOTED else f"{counted(count, 'row')}{_WORDS[kind]}"
            for kind, count in sorted(rows.items())
        ]
        return "; ".join(filter(None, (", ".join(parts), self.reason)))

    def advice(self, bucket: str, place: str) -> str:
        """Return what to do; ``place`` are the ``aws`` command's options for the region."""
        if self.kind == ENDPOINT:
            return "run again without the rows; a model that passes the gate replaces this one"
        if self.kind == PACKAGE:
            return (
                "run again without the rows, then reject it: aws sagemaker update-model-package "
                f"--model-package-arn {self.name} --model-approval-status Rejected{place}"
            )
        command = self._delete(bucket, place)
        if self.kind == layout.MODELS:
            return f"run again without the rows; once nothing serves it: {command}"
        if self.kind in {layout.PROCESSED, layout.PREDICTIONS, layout.CAPTURED}:
            return f"--delete deletes it, or: {command}"
        if self.version is not None and self.version.current:
            first = "put the file there without the rows, then"
            if self.kind == layout.ASYNCHRONOUS:
                first = "once it is answered"
            return f"{first}: {command}"
        return command

    def _delete(self, bucket: str, place: str) -> str:
        version = self.version.id if self.version else ""
        return (
            f"aws s3api delete-object --bucket {bucket} --key {shlex.quote(self.name)} "
            f"--version-id {version}{place}"
        )

    def as_json(self, sought: Sought, advice: str) -> dict[str, Any]:
        """Return it as plain values."""
        version = self.version
        return {
            "kind": self.kind,
            "name": self.name,
            "version_id": version.id if version else None,
            "current": version.current if version else None,
            "modified": version.modified.isoformat() if version else None,
            "bytes": version.bytes if version else None,
            "pipeline": self.pipeline or None,
            "run": self.run or None,
            "matches": [
                {"value": sought.values[at], "kind": kind, "count": count}
                for (at, kind), count in sorted(self.found.items())
            ],
            "reason": self.reason or None,
            "gone": self.gone.isoformat() if self.gone else None,
            "deletable": self.deletable,
            "advice": advice,
        }


@dataclass
class Results:
    """All findings, and what is not known."""

    sought: Sought
    bucket: str
    findings: list[Finding] = field(default_factory=list)
    unread: list[tuple[Version, str]] = field(default_factory=list)
    """Versions that should hold tables or documents but could not be read, and why."""
    unknown: list[tuple[str, str]] = field(default_factory=list)
    """Runs of which it is not known what they read, and why."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Objects of other kinds, by the first part of their keys."""
    with_column: int = 0
    without_column: int = 0
    """Tables that have the column, and those that have not."""
    names: tuple[str, ...] = ()
    """The columns of a table that lacks the column."""
    versions: int = 0
    bytes: int = 0
    rows: int = 0
    """What was read."""

    @property
    def clear(self) -> bool:
        """Return whether nothing was found and everything could be read."""
        return not (self.findings or self.unread or self.unknown)
