"""What is shipped, and what builds it: components with versions, hashes and licences.

The zips run in somebody's account; the requirements run on the machine that builds and tests. Both
go into the bill of materials (``python build.py sbom``), the zips' licences into
``docs/licences.md``.
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
    """One component in one zip; ``licence_file`` is its licence's text in the zip, if not ours."""

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
    """Return the licence as the package's own metadata names it."""
    about = {key: value for key, value in metadata(name).json.items() if isinstance(value, str)}
    named = about.get("license_expression") or about.get("license") or ""
    return {"Apache2": OUR_LICENCE, "Apache 2.0": OUR_LICENCE}.get(named, named)


def foreign_files(function: str) -> list[str]:
    """Return the files in a zip that are neither ours nor of a component with a licence in it."""
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
# Licences of what is shipped

Written by `python build.py sbom`; a test compares it. Each zip that runs as a function holds code
of this repository and, vendored with its licence and notice, one library:

| zip | component | licence | text |
|---|---|---|---|"""
_OTHERS: Final = """
The job scripts in `pipeline_manager.zip` are uploaded and run in AWS's containers, whose contents
are AWS's to license. boto3 comes with Lambda's runtime.

Nothing else is shipped. What builds and tests (`requirements/`) stays on the machine that does.
Of that, `@cloud-copilot/iam-simulate` and two packages that it needs are under AGPL-3.0: the tests
run them as a separate process, nothing of them is copied or shipped.
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
    """Return what the bill of materials is written from, as plain values."""
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
        said = run.stderr.strip().splitlines() or ["it said nothing"]
        raise CheckerError(f"sbom.py ended with status {run.returncode}: {said[-1]}")
    return run.stdout
