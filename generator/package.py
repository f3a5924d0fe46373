"""Package the functions: reproducible zips that hold only the modules they import.

A zip holds the modules that its handler imports (from ``functions`` and ``pipeline``, found by
reading import statements), crhelper with its license and, for the pipeline manager, the job scripts
that it uploads. Names are sorted; dates, modes and compression are fixed. A zip therefore changes
only when its content or the compression library does, and is the same on every machine.
"""

from __future__ import annotations

import ast
import hashlib
import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from generator.errors import CommandError
from generator.files import DIST, REPOSITORY, SOURCES, TEMPLATES, write
from generator.settings import Mode, Settings, all_choices, main_is_watched, named_are_watched

FUNCTIONS: Final = (
    "vpc_baseline",
    "empty_bucket",
    "clear_studio",
    "seed_data",
    "pipeline_manager",
    "deploy_model",
    "pause_endpoint",
    "watch_model",
)

BY_CHOICE: Final[Mapping[str, Callable[[Settings], bool]]] = {
    "deploy_model": lambda settings: any(one.on_approval for one in all_choices(settings)),
    "pause_endpoint": lambda settings: any(one.serving.pauses for one in all_choices(settings)),
    "watch_model": lambda settings: main_is_watched(settings) or named_are_watched(settings),
}
"""The functions that not every deployment has, and whether one has them."""

_OURS: Final = ("functions", "pipeline")
_VENDORED: Final = "crhelper"
_DATA: Final = {"pipeline_manager": "pipeline/scripts/*.py"}
"""Files that a function reads instead of importing them."""
_DECIDES_THE_PIPELINE: Final = (
    "pipeline/definition.py",
    "pipeline/layout.py",
    "pipeline/prediction.py",
    "pipeline/run_parameters.py",
    "pipeline/scripts/*.py",
)
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold."""
_MODE: Final = 0o100644 << 16
_UNIX: Final = 3
_PIN: Final = re.compile(rf"^{_VENDORED}==(\S+)", re.MULTILINE)

Files = Mapping[str, bytes]
"""Content by path inside a zip."""


class PackageError(CommandError):
    """A function cannot be packaged; the message names the file at fault."""


def deployed(settings: Settings) -> tuple[str, ...]:
    """Return the functions that a deployment has."""
    return tuple(one for one in FUNCTIONS if one not in BY_CHOICE or BY_CHOICE[one](settings))


def handler_of(function: str) -> str:
    """Return the function's ``Handler``."""
    return f"{_module_of(function)}.handler"


def code_path(function: str, mode: Mode) -> str:
    """Return the zip's path relative to the templates of ``mode``, for ``Code``.

    ``aws cloudformation package`` resolves it against the template and uploads the zip unchanged.
    """
    return posixpath.relpath(f"{DIST}/{function}.zip", TEMPLATES[mode])


def source_hash(root: Path = SOURCES) -> str:
    """Return 16 hexadecimal digits that change with any source that determines the pipeline.

    It is a property of the custom resource: CloudFormation updates a resource only if a property
    changed, which a function's new code does not count as.
    """
    digest = hashlib.sha256()
    for pattern in _DECIDES_THE_PIPELINE:
        for path in sorted(root.glob(pattern)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:16]


def build_all(root: Path = SOURCES, output: Path = REPOSITORY) -> dict[str, int]:
    """Write every function's zip into ``output``/dist; return their sizes in bytes, by path.

    Raises:
        PackageError: a file is missing or empty, or crhelper is not the pinned version.

    """
    sizes = {}
    for function in FUNCTIONS:
        content = build(function, root)
        write(output / DIST / f"{function}.zip", content)
        sizes[f"{DIST}/{function}.zip"] = len(content)
    return sizes


def build(function: str, root: Path = SOURCES) -> bytes:
    """Return the function's zip.

    Raises:
        PackageError: as ``build_all``.

    """
    files = {**_modules(function, root), **_data(function, root), **_vendored(root)}
    for name, content in files.items():
        if not content.strip():
            raise PackageError(f"{function}: {name} is empty")
    return _zip(files)


def _zip(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, compresslevel=9)
    return buffer.getvalue()


def _module_of(function: str) -> str:
    return f"functions.{function}.handler"


def _modules(function: str, root: Path) -> Files:
    """Return the handler's module, the modules of ours that it imports, and their packages."""
    if _find(_module_of(function), root) is None:
        raise PackageError(f"{function}: functions/{function}/handler.py is missing")
    waiting: list[str] = [_module_of(function)]
    found: dict[str, bytes] = {}
    while waiting:
        module = waiting.pop()
        path = _find(module, root)
        if path is None or (name := path.relative_to(root).as_posix()) in found:
            continue
        found[name] = path.read_bytes()
        waiting += [module.rpartition(".")[0], *_imported(found[name], name)]
    return found


def _find(module: str, root: Path) -> Path | None:
    """Return the file of one of our modules; None for other modules and names in modules."""
    if module.partition(".")[0] not in _OURS:
        return None
    path = root.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _imported(source: bytes, name: str) -> Iterator[str]:
    """Yield every module that may be imported, including those for the type checker only."""
    for node in ast.walk(ast.parse(source, filename=name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise PackageError(f"{name}:{node.lineno}: relative imports are not supported")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _data(function: str, root: Path) -> Files:
    pattern = _DATA.get(function)
    if pattern is None:
        return {}
    paths = sorted(root.glob(pattern))
    if not paths:
        raise PackageError(f"{function}: no file matches {pattern}")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def _vendored(root: Path) -> Files:
    """Return crhelper's modules, license and notice, without its type stubs and metadata."""
    package = _pinned(root)
    wanted = [
        file
        for file in package.files or ()
        if (file.suffix == ".py" and file.parts[0] == _VENDORED)
        or file.name in {"LICENSE", "NOTICE"}
    ]
    if not any(file.name == "LICENSE" for file in wanted):
        raise PackageError(f"{_VENDORED} {package.version} is installed without its license")
    return {file.as_posix(): Path(str(file.locate())).read_bytes() for file in wanted}


def _pinned(root: Path) -> Distribution:
    """Return the installed crhelper if it is the version that the requirements pin."""
    pin = _PIN.search((root / "requirements/build.txt").read_text(encoding="utf-8"))
    wanted = pin.group(1) if pin else "none"
    try:
        package = distribution(_VENDORED)
    except PackageNotFoundError:
        raise PackageError(f"{_VENDORED} is not installed: run `make`") from None
    if package.version != wanted:
        raise PackageError(
            f"{_VENDORED} {package.version} is installed, requirements/build.txt pins {wanted}: "
            "run `make`"
        )
    return package
