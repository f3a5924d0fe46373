"""Stored records of runs, whoever wrote them: shown, or called unreadable, never a crash."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tabular_ml_vpc.cli import history, invoke, run_view
from tabular_ml_vpc.cli.console import console
from tabular_ml_vpc.local.emulator.local_aws import RunningAws
from tabular_ml_vpc.local.serving import RunningEndpoint
from tabular_ml_vpc.operations.runs import results
from tabular_ml_vpc.operations.runs.endpoint import Prediction
from tabular_ml_vpc.operations.runs.executions import DeployedPipeline
from tests.fuzz import bounded
from tests.operations.runs.test_view import EVALUATED, PASSED, Aws, execution, pipeline

HOSTILE: Final = ("[/]", "[red]x", "\x1b[2J", "</script>", "{x}", "=1+1", "\ud800", "1e999")
texts = some.text(max_size=8) | some.sampled_from(HOSTILE)
values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | texts,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            texts | some.sampled_from([*EVALUATED, "metric", "value"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
reports = (
    some.fixed_dictionaries({}, optional=dict.fromkeys((*EVALUATED, "problem"), values))
    | some.fixed_dictionaries(
        {
            **dict.fromkeys(EVALUATED, some.dictionaries(texts, values, max_size=2)),
            "champion": some.fixed_dictionaries(
                {}, optional=dict.fromkeys(("metric", "value", "lead", "serves", "reason"), values)
            ),
        }
    )
    | some.fixed_dictionaries({"metrics": some.dictionaries(texts, values, max_size=4)})
    | values
)
bodies = reports.map(lambda value: json.dumps(value).encode()) | some.binary(max_size=30)


@dataclass
class Stored(Aws):
    """AWS with a report of any content."""

    content: bytes = b""

    def get_object(self, **_: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.content)}


@pytest.fixture(scope="module")
def stored() -> Stored:
    """The report that each test sets."""
    return Stored()


@pytest.fixture(scope="module")
def known(stored: Stored) -> DeployedPipeline:
    """A pipeline with that report."""
    return pipeline(stored)


@bounded(60)
@given(content=bodies)
def test_any_report_is_shown_or_called_unreadable(
    stored: Stored, known: DeployedPipeline, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    stored.content, done = content, execution("Succeeded", PASSED)
    findings = results.findings(known, done)
    run_view.show_end(console(), known, done, findings)
    print(run_view.metrics_in_short(findings), history._json(history._Row("main", done, findings)))
    assert "Succeeded" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no report",
        b"\xff",
        b"[1]",
        b'{"metrics": 1}',
        b'{"gate": "roc_auc"}',
        b"[" * 100_000,
        b'{"baseline": {"r2": ' + b"9" * 5000 + b"}}",
    ],
)
def test_a_damaged_report_is_called_unreadable(
    stored: Stored, known: DeployedPipeline, content: bytes
) -> None:
    stored.content = content
    found = results.findings(known, execution("Succeeded", PASSED))
    assert found.problem == "the metrics cannot be read: evaluation.json is not a report"


def test_a_name_with_brackets_or_escapes_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classes = {"[red]no": 0.25, "[/]": 0.5, "\x1b[2Jyes": 0.25}
    invoke._show_predictions("e", [Prediction(name, classes) for name in classes], False)
    shown = capsys.readouterr().out
    for text in ("[red]no", "p([/])", r"\x1b[2Jyes"):
        assert text in shown
    assert "\x1b" not in shown


def records(name: str) -> dict[str, Any]:
    """The notes of something that was left running, with this process's id."""
    left = {"url": "http://127.0.0.1:1", "pid": os.getpid(), "folder": "/"}
    return left if name == "endpoint" else left | {"stack": "tabular", "environment": {}}


READERS: Final = {"endpoint": RunningEndpoint.read, "aws": RunningAws.read}


@pytest.mark.parametrize("name", READERS)
@bounded(40)
@given(change=some.dictionaries(some.sampled_from([*records("aws")]), values), raw=some.binary())
def test_any_note_of_what_runs_is_of_no_other_process(
    tmp_path_factory: pytest.TempPathFactory, name: str, change: dict[str, Any], raw: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / f"{name}.json"
    for content in (raw, json.dumps(records(name) | change).encode()):
        file.write_bytes(content)
        assert READERS[name](file) is None


@pytest.mark.parametrize("folder", ["", "/", "/usr", "."])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_note_ends_no_process_and_deletes_no_folder(
    tmp_path: Path, name: str, folder: str
) -> None:
    file = tmp_path / "note.json"
    for pid in (os.getpid(), os.getppid(), 1, 0, -1, True, 1.5, "self"):
        file.write_text(json.dumps(records(name) | {"folder": folder, "pid": pid}))
        assert READERS[name](file) is None
