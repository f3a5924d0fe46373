"""A model archive as the endpoint serves it: its own code loads it, and answers its requests.

The evaluation and batch predictions ask the archive's own `transform_fn`, so that what they see is
what a client of the endpoint sees.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs import JobError
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import pyarrow as pa
REQUEST_ROWS: Final = 1_000
NEIGHBORS: Final = ("inference", "cells", "columns")
"""The modules in a model archive, which take precedence over others of the same name."""

_BYTES_OF_A_REQUEST: Final = 4_000_000
_BYTES_OF_AN_ANSWER: Final = 4_000_000
_BYTES_OF_A_NUMBER: Final = 26
_TOO_LARGE: Final = 413


@dataclass(frozen=True)
class ServedModel:
    """The archive's module `inference`, and what its `model_fn` loaded."""

    code: ModuleType
    model: Any

    @property
    def request_rows(self) -> int:
        """The number of rows whose response is most probably small enough for the endpoint."""
        classes = self.model.schema.classes
        names = sum(len(json.dumps(name)) for name in classes)
        row = names + _BYTES_OF_A_NUMBER * (len(classes) + 2)
        return max(1, min(REQUEST_ROWS, _BYTES_OF_AN_ANSWER // row))

    def answers(self, rows: pa.Table, accept: str) -> Iterator[str]:
        """The answers to all rows, or to one half after the other while they are too large.

        Raises:
            JobError: the rows do not fit the model.
        """
        body = _body(rows)
        if len(body) > _BYTES_OF_A_REQUEST and rows.num_rows > 1:
            yield from self._halves(rows, accept)
            return
        try:
            answer, _ = self.code.transform_fn(self.model, body, "application/x-parquet", accept)
        except self.code.BaseInferenceToolkitError as error:
            if error.status_code == _TOO_LARGE and rows.num_rows > 1:
                yield from self._halves(rows, accept)
                return
            raise JobError(f"the data does not fit the model: {error.message}") from error
        yield answer

    def _halves(self, rows: pa.Table, accept: str) -> Iterator[str]:
        middle = rows.num_rows // 2
        yield from self.answers(rows.slice(0, middle), accept)
        yield from self.answers(rows.slice(middle), accept)


def _body(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(rows, sink)
    return sink.getvalue()


def _everything(_: tarfile.TarInfo) -> bool:
    return True


@contextmanager
def unpacked(
    folder: Path, wanted: Callable[[tarfile.TarInfo], bool] = _everything
) -> Iterator[Path]:
    """The contents of `model.tar.gz` in `folder` that are `wanted`, temporarily unpacked.

    Raises:
        JobError: it is not there, or cannot be unpacked.
    """
    archive = folder / "model.tar.gz"
    if not archive.is_file():
        raise JobError(f"there is no model.tar.gz in {folder}")
    with tempfile.TemporaryDirectory() as target:
        try:
            with tarfile.open(archive) as tar:
                members = [member for member in tar if wanted(member)]
                tar.extractall(target, members, filter="data")
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise JobError(f"model.tar.gz is broken: {error}") from error
        yield Path(target)


def serving_code(folder: Path) -> ModuleType:
    """The module `inference` that is in `folder`, with the neighbors that it imports from there.

    The endpoint finds them in the same way: the toolkit puts the model's `code` folder onto the
    module search path.

    Raises:
        JobError: there is none.
    """
    if not (folder / "inference.py").is_file():
        raise JobError("model.tar.gz is broken: it contains no code/inference.py")
    ours: dict[str, ModuleType] = {
        name: sys.modules.pop(name) for name in NEIGHBORS if name in sys.modules
    }
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return importlib.import_module("inference")
    finally:
        sys.path.remove(str(folder))
        for name in NEIGHBORS:
            sys.modules.pop(name, None)
        sys.modules.update(ours)


def load(model: Path) -> ServedModel:
    """The unpacked model, loaded by its own code.

    Raises:
        JobError: the model does not load, so it could not be deployed either.
    """
    try:
        code = serving_code(model / "code")
        return ServedModel(code, code.model_fn(str(model)))
    except JobError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise JobError(f"model.tar.gz is broken: its model does not load: {reason}") from error
