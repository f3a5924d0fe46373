"""Lint the templates with cfn-lint, informational rules included, and the pipeline's definition.

The nested stacks are checked with the root: their ``TemplateURL``s are relative, so cfn-lint
compares each stack's parameters and outputs with those that the root passes and reads (E3043).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from generator.errors import CommandError
from generator.files import REPOSITORY
from generator.images import ACCOUNTS
from pipeline import definition, example
from pipeline.validate import validate

EXEMPT: Final = "W3002"
"""cfn-lint's only exemption: relative TemplateURLs need ``aws cloudformation package``."""

PROCESSES: Final = os.cpu_count() or 1


class LintError(CommandError):
    """cfn-lint itself failed; the message is the last line of its output."""


_CFN_LINT: Final = "from cfnlint.runner import main; main()"
"""The body of its ``cfn-lint`` script; it has no ``__main__``."""


@dataclass(frozen=True, order=True)
class LintFinding:
    """A finding: location, rule and message."""

    path: str
    line: int
    """1-based; 0 if unknown."""
    rule: str
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.rule} {self.message}"

    def as_json(self) -> dict[str, str | int]:
        """Return the finding as plain values."""
        return asdict(self)


def lint(
    paths: Iterable[str], root: Path = REPOSITORY, regions: Iterable[str] = ACCOUNTS
) -> list[LintFinding]:
    """Return cfn-lint's findings in order; ``paths`` are relative to ``root``.

    The templates are checked against ``regions``: all in which they can be deployed
    (``generator.regions``), or those that have our images. Folders of templates are shared out
    to as many processes as there are processors.

    Raises:
        LintError: cfn-lint returned no result.

    """
    folders: dict[Path, list[str]] = {}
    for path in paths:
        folders.setdefault(Path(path).parent, []).append(path)
    groups = list(folders.values())
    shares = (groups[first::PROCESSES] for first in range(min(PROCESSES, len(groups))))
    runs = [_start(list(chain(*share)), root, tuple(regions)) for share in shares]
    return sorted(finding for run in runs for finding in _result(run))


def lint_pipeline() -> list[LintFinding]:
    """Return the faults for which SageMaker would reject the pipeline's definition."""
    faults = validate(definition.build(example.environment()))
    return [LintFinding("pipeline/definition.py", 0, "SageMaker", str(fault)) for fault in faults]


def _start(paths: list[str], root: Path, regions: tuple[str, ...]) -> subprocess.Popen[str]:
    options = ("--format", "json", "--include-checks", "I", "--ignore-checks", EXEMPT)
    inputs = ("--regions", *regions, "--template", *paths)
    command = [sys.executable, "-c", _CFN_LINT, *options, *inputs]
    return subprocess.Popen(  # noqa: S603 - our own arguments
        command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _result(run: subprocess.Popen[str]) -> list[LintFinding]:
    try:
        output, errors = run.communicate()
    except BaseException:  # leave no process behind after an interruption
        run.kill()
        raise
    try:
        return [_finding(match) for match in json.loads(output)]
    except ValueError:
        last = (errors or output).strip().splitlines()[-1:] or ["no output"]
        raise LintError(f"cfn-lint ended with status {run.returncode}: {last[0]}") from None


def _finding(match: Mapping[str, Any]) -> LintFinding:
    return LintFinding(
        path=match["Filename"],
        line=match["Location"]["Start"]["LineNumber"],
        rule=match["Rule"]["Id"],
        message=" ".join(match["Message"].split()),
    )
