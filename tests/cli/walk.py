"""A walk through the command line, written to docs/cli-walk.md and into docs/commands/.

``python -m tests.cli.walk`` runs every step of ``walk_steps`` against an emulated AWS of its own,
at 80 columns, and writes what they print; ``test_walk`` runs them again and compares. What differs
between runs (ids, times, bytes) is replaced by placeholders.

In ``docs/commands/``, the block after a line ``<!-- recorded -->`` gets the recording of the
command that it shows.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from boto3.session import Session

from generator.files import REPOSITORY
from tabular_ml_vpc.cli import main
from tests.cli.walk_steps import EVALUATED, STEPS, Step
from tests.emulated import emulated_aws, pointed_at

PAGE: Final = REPOSITORY / "docs/cli-walk.md"
COMMANDS: Final = REPOSITORY / "docs/commands"
COLUMNS: Final = "80"
_REPORT: Final = {
    "metrics": {"roc_auc": 0.9504, "accuracy": 0.8949, "f1": 0.8253, "log_loss": 0.2597},
    "baseline": {"accuracy": 0.6817},
    "gate": {"metric": "roc_auc", "value": 0.9504},
}
_MOST_LINES: Final = 24
_ESCAPE: Final = re.compile(r"\x1b\][^\x1b]*\x1b\\|\x1b\[[0-9;?]*[a-zA-Z]")
_SILENCE: Final = re.compile(r"^ +still in progress: .*\n", re.MULTILINE)
_BLOCK: Final = re.compile(
    r"(?P<head><!-- recorded -->\n+```console\n\$ python build\.py ?(?P<line>[^\n]*)\n)"
    r"(?P<text>.*?)(?P<end>```\n(\n\(exit status \d\)\n)?)",
    re.DOTALL,
)
_NORMAL: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"), "2026-01-01 00:00 UTC"),
    (re.compile(r"\b20(2[6-9]|3\d)-\d\d-\d\d \d\d:\d\d"), "2026-01-01 00:00"),
    (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), "00:00:00.000"),
    (re.compile(r"^ +\d+\.\d s(?=  )", re.MULTILINE), "    0.0 s"),
    (re.compile(r"\b(\d+ min )?\d+ s\b"), "0 s"),
    (re.compile(r"[\d,]+ bytes\b"), "N bytes"),
    (re.compile(r"(?<=Stack-)[A-Z0-9]{12,13}\b"), "X" * 13),
    (re.compile(r"(?<=stack-)[a-z0-9]{12,13}\b"), "x" * 13),
    (re.compile(r"(?<=bucket-)[0-9a-f]{13}\b"), "0" * 13),
    (re.compile(r"(?<=[a-z-])(?!123456789012)[0-9A-F]{12,14}\b"), "0" * 13),
    (re.compile(r"(?<=\btabular-)[0-9a-f]{12}\b"), "0" * 12),
    (re.compile(r"(?<=\btabular-0{12}-)[0-9a-f]{10}\b"), "0" * 10),
    (re.compile(r"\bd-[0-9a-f]{12}\b"), "d-" + "0" * 12),
    (re.compile(r"\b(vpc|sg|subnet|eni)-[0-9a-f]{17}\b"), r"\1-" + "0" * 17),
    (
        re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
        "00000000-0000-0000-0000-000000000000",
    ),
    (re.compile(r"(?<![\w-])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{12}\b(?!-)"), "0" * 12),
    (re.compile(r"\b[0-9a-f]{64}\b"), "0" * 64),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:14566"),
)


@dataclass(frozen=True)
class Recording:
    """What a step printed, normalized, and how it ended."""

    step: Step
    status: int
    text: str

    @property
    def shown(self) -> str:
        """Return the text with its middle left out if it is long."""
        lines = self.text.splitlines()
        if len(lines) > _MOST_LINES:
            half = _MOST_LINES // 2
            lines = [*lines[:half], "...", *lines[-half:]]
        return "".join(f"{line}\n" for line in lines)


def record() -> list[Recording]:
    """Run every step."""
    with ExitStack() as stack:
        session = stack.enter_context(pointed_at(stack.enter_context(emulated_aws())))
        stack.enter_context(chdir(stack.enter_context(TemporaryDirectory())))
        return [_run(step, session) for step in STEPS]


def _run(step: Step, session: Session) -> Recording:
    if step.line == EVALUATED:
        _write_reports(session)
    out = io.StringIO()
    with _environment(step), redirect_stdout(out), redirect_stderr(out):
        status = main(shlex.split(step.line))
    return Recording(step, status, normalized(out.getvalue()))


def _write_reports(session: Session) -> None:
    """Write the report of each evaluation job, none of which really ran."""
    sagemaker, s3 = session.client("sagemaker"), session.client("s3")
    for job in sagemaker.list_processing_jobs(NameContains="Evaluate")["ProcessingJobSummaries"]:
        described = sagemaker.describe_processing_job(ProcessingJobName=job["ProcessingJobName"])
        for output in described["ProcessingOutputConfig"]["Outputs"]:
            bucket, _, prefix = output["S3Output"]["S3Uri"].removeprefix("s3://").partition("/")
            key = f"{prefix.rstrip('/')}/evaluation.json"
            s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(_REPORT).encode())


@contextmanager
def _environment(step: Step) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(step.stdin))
        patch.setenv("COLUMNS", COLUMNS)
        patch.setenv("NO_COLOR", "1")
        patch.delenv("FORCE_COLOR", raising=False)
        if step.terminal:
            patch.setenv("FORCE_COLOR", "1")
        yield


def normalized(text: str) -> str:
    """Return a text without what differs between runs."""
    plain = _SILENCE.sub("", _ESCAPE.sub("", text)).replace(os.fspath(REPOSITORY) + "/", "")
    for pattern, constant in _NORMAL:
        plain = pattern.sub(constant, plain)
    return "".join(f"{line.rstrip()}\n" for line in plain.splitlines())


def page(recordings: Iterable[Recording]) -> str:
    """Return the page: a table of all steps, then what each printed."""
    found = sorted(recordings, key=lambda one: (one.step.command, one.status != 0))
    return "".join((_HEAD, *_table(found), *_sections(found)))


_HEAD: Final = """\
# A walk through the command line

Each command with a success and its likeliest mistakes, as they look on a terminal of 80 columns.
Made by `python -m tests.cli.walk`, which runs them against the emulated AWS (jobs succeed without
running there); `tests/cli/test_walk.py` runs them again and compares. Ids and times are
placeholders. What takes minutes, installs something or needs an endpoint that answers is on the
commands' own pages: [local](commands/local.md), [invoke](commands/invoke.md),
[audit](commands/audit.md), [site](commands/site.md).

Exit status: 0 success, 1 the command found a problem or failed, 2 usage error.

"""


def _table(found: Iterable[Recording]) -> Iterator[str]:
    yield "| command line | exit status | first words |\n|---|---|---|\n"
    for one in found:
        lines = one.text.splitlines() or [""]
        errors = [line for line in lines if line.startswith("build.py: ")]
        first = (errors[0] if one.status and errors else lines[0]).removeprefix("build.py: ")
        words = first if len(first) <= _WORDS else f"{first[: _WORDS - 3].rstrip()}..."
        escaped = words.replace("|", r"\|").replace("<", "&lt;")
        yield f"| `{_typed(one.step)}` | {one.status} | {escaped} |\n"


_WORDS: Final = 90


def _sections(found: Iterable[Recording]) -> Iterator[str]:
    before = None
    for one in found:
        if one.step.command != before:
            before = one.step.command
            yield f"\n## {_typed(Step(before))}\n"
        status = f"\n(exit status {one.status})\n" if one.status else ""
        yield f"\n```console\n$ {_typed(one.step)}\n{one.shown}```\n{status}"


def _typed(step: Step) -> str:
    return f"python build.py {step.line}".rstrip()


def with_recordings(text: str, recordings: Mapping[str, list[Recording]]) -> str:
    """Return a page of ``docs/commands/`` with its recorded blocks replaced.

    The second block of a command line shows the second time that it ran.
    """
    seen: Counter[str] = Counter()

    def replaced(block: re.Match[str]) -> str:
        line = block["line"]
        one = recordings[line][seen[line]]
        seen[line] += 1
        status = f"\n(exit status {one.status})\n" if one.status else ""
        return f"{block['head']}{one.text}```\n{status}"

    return _BLOCK.sub(replaced, text)


def pages(recordings: list[Recording]) -> dict[Path, str]:
    """Return the text of every page that has recordings."""
    by_line = defaultdict[str, list[Recording]](list)
    for one in recordings:
        by_line[one.step.line].append(one)
    found = {PAGE: page(recordings)}
    for path in sorted(COMMANDS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if "<!-- recorded -->" in text:
            found[path] = with_recordings(text, by_line)
    return found


def write() -> None:
    """Write the pages."""
    for path, text in pages(record()).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
