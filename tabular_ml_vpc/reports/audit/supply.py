"""Components that are shipped or used to build: with versions, hashes and licenses.

The zips run in the user's account; the requirements run on the machine that builds and tests. The
bill of materials (``python build.py sbom``) has both; ``docs/licences.md`` has the licenses of the
zips.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Final

from generator import package
from generator.files import REPOSITORY, SOURCES
from tabular_ml_vpc.reports.audit.checkers import CheckerError

LICENCES: Final = REPOSITORY / "docs/licences.md"
REQUIREMENTS: Final = SOURCES / "requirements"

OURS: Final = "this repository"
OUR_LICENCE: Final = "Apache-2.0"
_DIST_INFO: Final = re.compile(r"^(?P<name>[^/]+)-(?P<version>[^/-]+)\.dist-info/")
_PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PYTHON: Final = REPOSITORY / ".venv-audit/bin/python"
_WRITER: Final = Path(__file__).parent / "inside/sbom.py"


@dataclass(frozen=True, order=True)
class Shipped:
    """One component in one zip; ``licence_file`` is its license in the zip, if it is not ours."""

    zip: str
    component: str
    version: str
    licence: str
    licence_file: str


@dataclass(frozen=True, order=True)
class Required:
    """One pinned requirement of one list, with the hashes that an installation checks."""

    list: str
    name: str
    version: str
    hashes: tuple[str, ...]


def shipped() -> list[Shipped]:
    """Return every component of every zip, in order.

    Raises:
        PackageError: a zip cannot be built.

    """
    return sorted(
        component
        for function in package.FUNCTIONS
        for component in _components(function, package.build(function))
    )


def _components(function: str, content: bytes) -> Iterator[Shipped]:
    yield Shipped(function, OURS, "", OUR_LICENCE, "")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    found = {match.groups() for name in names if (match := _DIST_INFO.match(name))}
    for name, version in sorted(found):
        licence_file = f"{name}-{version}.dist-info/LICENSE"
        yield Shipped(function, name, version, _licence(name), licence_file)


def _licence(name: str) -> str:
    """Return the license that the package's metadata names."""
    about = {key: value for key, value in metadata(name).json.items() if isinstance(value, str)}
    named = about.get("license_expression") or about.get("license") or ""
    return {"Apache2": OUR_LICENCE, "Apache 2.0": OUR_LICENCE}.get(named, named)


def foreign_files(function: str) -> list[str]:
    """Return files in a zip that are neither ours nor part of a component with a license."""
    content = package.build(function)
    known = {component.component for component in _components(function, content)}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    return [name for name in names if _owner(name) not in {"functions", "pipeline", *known}]


def _owner(name: str) -> str:
    match = _DIST_INFO.match(name)
    return match["name"] if match else name.partition("/")[0]


def licences() -> str:
    """Return ``docs/licences.md``."""
    rows = "\n".join(
        f"| `{each.zip}.zip` | {each.component} {each.version}".rstrip()
        + f" | {each.licence} | {f'`{each.licence_file}`' if each.licence_file else '`LICENSE`'} |"
        for each in shipped()
    )
    return f"{_INTRODUCTION}\n{rows}\n{_OTHERS}"


_INTRODUCTION: Final = """\
# Licenses of shipped components

`python build.py sbom` writes this page; a test compares it. Each function's zip contains code of
this repository and one vendored library, with its license and notice:

| zip | component | license | text |
|---|---|---|---|"""
_OTHERS: Final = """
The job scripts in `pipeline_manager.zip` are uploaded and run in AWS containers, whose contents AWS
licenses. boto3 is part of the Lambda runtime.

Nothing else is shipped. Requirements for building and testing (`requirements/`) remain on the
machine that builds and tests. Of those, `@cloud-copilot/iam-simulate` and two packages that it
requires are under AGPL-3.0: the tests run them as a separate process, and nothing of them is
copied or shipped.
"""


def required() -> list[Required]:
    """Return every pinned requirement of every list, in order."""
    return sorted(
        requirement
        for path in sorted(REQUIREMENTS.glob("*.txt"))
        for requirement in _requirements(path)
    )


def _requirements(path: Path) -> Iterator[Required]:
    for block in re.split(r"\n(?=[A-Za-z0-9])", path.read_text(encoding="utf-8")):
        if pin := _PIN.match(block):
            hashes = tuple(sorted(_HASH.findall(block)))
            yield Required(path.stem, pin["name"], pin["version"], hashes)


def inventory() -> dict[str, Any]:
    """Return the contents of the bill of materials, as plain values."""
    return {
        "zips": [
            {"name": f"{name}.zip", "sha256": hashlib.sha256(package.build(name)).hexdigest()}
            for name in package.FUNCTIONS
        ],
        "shipped": [asdict(each) for each in shipped() if each.component != OURS],
        "required": [asdict(each) for each in required()],
        "npm": _npm(),
    }


def _npm() -> list[dict[str, str]]:
    """Return the packages of the lock file, each version once, in order."""
    lock = json.loads((REQUIREMENTS / "node/package-lock.json").read_text(encoding="utf-8"))
    packages = {
        (path.rpartition("node_modules/")[2], entry["version"], entry.get("license", ""))
        for path, entry in lock["packages"].items()
        if path
    }
    return [
        {"name": name, "version": version, "licence": licence}
        for name, version, licence in sorted(packages)
    ]


def bill_of_materials() -> str:
    """Return the bill of materials as CycloneDX JSON, the same for the same content.

    Raises:
        CheckerError: the environment of the library that writes it is missing, or it failed.

    """
    if not _PYTHON.exists():
        raise CheckerError(".venv-audit is missing: run `python build.py setup checkers`")
    run = subprocess.run(  # noqa: S603 - our own arguments
        [str(_PYTHON), str(_WRITER)],
        input=json.dumps(inventory()),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        said = run.stderr.strip().splitlines() or ["no output"]
        raise CheckerError(f"sbom.py ended with status {run.returncode}: {said[-1]}")
    return run.stdout
