"""Searches files of tables with the job environment's Python, which can read Parquet."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from generator.errors import CommandError
from generator.files import SOURCES
from pipeline.types import Json
from tabular_ml_vpc.local.sandbox import SEARCH

_SCRIPTS: Final = SOURCES / "pipeline" / "scripts"
_SHOWN: Final = 300


class TableSearch:
    """A process that searches one table after the other for the values of a column."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        """``errors`` is the file that the process writes its errors to."""
        self._process = process
        self._errors = errors

    def table(self, file: Path, *, keep: bool) -> Json:
        """Return how many rows of a CSV or Parquet file have each of the values.

        ``{"rows": N, "found": [{"value": INDEX, "kind": "exact"|"number", "rows": N}]}``;
        ``found`` is None, and ``columns`` says what there is, if the file lacks the column. Or
        ``{"problem": TEXT}``. ``keep`` keeps the rows that were found for ``prepared``.
        """
        return self._ask({"table": str(file), "keep": keep})

    def prepared(self, file: Path, schema: Path) -> Json:
        """Return how many rows of a prepared file are rows that were kept, by its run's schema."""
        return self._ask({"prepared": str(file), "schema": str(schema)})

    def tell(self, content: Json) -> None:
        """Send one line."""
        questions = cast("IO[str]", self._process.stdin)
        try:
            questions.write(json.dumps(content) + "\n")
            questions.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ask(self, request: Json) -> Json:
        self.tell(request)
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise self._ended()
        answer: Json = json.loads(line)
        return answer

    def _ended(self) -> CommandError:
        self._process.wait()
        self._errors.seek(0)
        text = " ".join(self._errors.read().decode(errors="replace").split())[-_SHOWN:]
        reason = text or f"exit status {self._process.returncode}"
        return CommandError(f"the search of a table ended unexpectedly: {reason}")


@contextmanager
def searching(environment: Path, column: str, values: Sequence[str]) -> Iterator[TableSearch]:
    """Start a search with the job environment in a folder, and end it.

    Raises:
        CommandError: the environment is missing, or the process ended unexpectedly.

    """
    python = environment / "bin" / "python"
    if not python.exists():
        raise CommandError(
            f"reading Parquet needs the job environment {environment}, which is missing: run "
            "`python build.py setup local`"
        )
    variables = {
        "PATH": os.defpath,
        "PYTHONPATH": str(_SCRIPTS),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - our own program, our own interpreter
            [str(python), str(SEARCH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=variables,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        search = TableSearch(process, errors)
        try:
            search.tell({"column": column, "values": list(values)})
            yield search
        finally:
            process.kill()
