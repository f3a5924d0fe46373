"""The command line over the shipped scripts, with AutoGluon and TorchServe really at work.

These take minutes on a busy machine, so each run is made to show as much as it can.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.emulated import runner
from tests.local.conftest import ROOT, CommandLine

QUICK = ("--set", "ModelFamilies=GBM", "--set", "TimeLimitSeconds=60")

pytestmark = pytest.mark.usefixtures("runtime")


def processes(folder: Path) -> list[str]:
    """The command lines of all processes that name a file below `folder`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in line and "build.py" not in line and "pytest" not in line:
            found.append(line)
    return found


def ask(url: str, rows: list[dict[str, Any]]) -> Any:
    """One prediction request, as a client of its own."""
    return posted(url, json.dumps(rows))


def posted(url: str, body: str) -> Any:
    """The answer to a request in JSON."""
    request = urllib.request.Request(  # noqa: S310 - the URL of our own endpoint
        url, body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_the_synthetic_table_goes_through_the_gate_to_an_endpoint_that_answers(
    build_py: CommandLine, tmp_path: Path
) -> None:
    done = build_py("--keep", "--json", "--report", str(tmp_path / "report.html"), *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    try:
        assert [step["name"] for step in found["steps"]] == [
            *("Preprocess", "Train", "Evaluate", "QualityGate"),
            *("RegisterModel", "ApprovalGate", "CreateModel", "CreateEndpointConfig", "Deploy"),
        ]
        # The best possible model reaches 0.95 on this table, one that is linear stays below 0.9.
        assert 0.9 < found["metrics"]["roc_auc"] < 0.99
        assert found["invocation"]["answered"]["predictions"][0]["label"] in {"0", "1"}
        assert "<h3>Calibration</h3>" in (tmp_path / "report.html").read_text()
        header, row = found["invocation"]["sent"].splitlines()
        record = dict(zip(header.split(","), row.split(","), strict=True))
        answer = ask(found["endpoint"], [record, record])["predictions"]
        assert len(answer) == 2
        assert sum(answer[0]["probabilities"].values()) == pytest.approx(1)
    finally:
        stopped = build_py("--stop", "--json")
    assert json.loads(stopped.stdout) == {"stopped": found["endpoint"]}
    assert processes(tmp_path) == []


def homes(file: Path) -> Path:
    """A table as a German spreadsheet writes it: prices of homes, several in each street."""
    draw = random.Random(1)  # noqa: S311 - a table, not a secret
    lines = ["Fläche;Zimmer;gebaut;Straße;Preis"]
    for number in range(600):
        area, rooms, year = draw.randint(30, 200), draw.randint(1, 7), draw.randint(1900, 2020)
        price = 3000 * area + 5000 * rooms + 500 * (year - 1900) + draw.gauss(0, 9000)
        price_text = f"{price:.2f}".replace(".", ",")
        lines.append(f"{area},5;{rooms};03.{number % 12 + 1:02}.{year};S{number // 6};{price_text}")
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_a_number_is_predicted_from_a_spreadsheets_export(
    build_py: CommandLine, tmp_path: Path
) -> None:
    data = homes(tmp_path / "homes.csv")
    given = ("--label", "Preis", "--problem", "regression", "--group-column", "Straße")
    done = build_py("--data", str(data), *given, "--json", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["metrics"]["r2"] > 0.9
    answer = found["invocation"]["answered"]["predictions"][0]["prediction"]
    assert 90_000 < answer < 800_000
    assert "Straße" in found["invocation"]["sent"]  # accepted, and not learned from


def test_the_gate_refuses_a_model_below_the_threshold(
    build_py: CommandLine, seeded: Path, tmp_path: Path
) -> None:
    done = build_py("--data", str(seeded), "--set", "QualityThreshold=0.9999", *QUICK)
    assert done.returncode == 1, done.stderr
    assert "The quality gate rejected the model: roc_auc 0." in done.stdout
    assert "is below 0.9999." in done.stdout
    assert "failed" not in done.stdout
    (report,) = (tmp_path / "work").glob("*/report.html")
    assert "Rejected by the gate" in report.read_text()
    assert processes(tmp_path) == []


def test_a_step_that_fails_shows_its_reason_and_the_end_of_its_log(
    build_py: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "constant.csv"
    file.write_text("age,churned\n" + "".join(f"{age},yes\n" for age in range(20)))
    done = build_py("--data", str(file), "--label", "churned")
    assert (done.returncode, done.stderr) == (1, "")
    reason = "label column 'churned' has the value 'yes' in all rows"
    assert f"Preprocess failed: {reason}" in done.stdout
    assert f"  error: {reason}" in done.stdout
    assert "Train" not in done.stdout


def interrupt_when(line: str, command: list[str]) -> tuple[int, str, str]:
    """Run a command, press Ctrl-C once it has printed `line`; exit status, output, errors."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    seen = []
    for text in process.stdout:
        seen.append(text)
        if line in text:
            process.send_signal(signal.SIGINT)
            break
    output, errors = process.communicate(timeout=60)
    return process.returncode, "".join(seen) + output, errors


def test_ctrl_c_ends_every_process_and_the_command_with_130(seeded: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "build.py", "local", "--data", str(seeded)]
    status, _, errors = interrupt_when(
        "Train: started", [*command, "--work", str(tmp_path / "work")]
    )
    assert (status, errors.strip()) == (130, "build.py: interrupted")
    assert processes(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "no.csv"), "--data: 'no.csv' does not exist"),
        (("--set", "Nothing=1"), "--set Nothing: unknown parameter"),
        (("--set", "InputData=s3://a/b"), "--set: InputData cannot be set here: give the table"),
        (("--label", "a", "--set", "LabelColumn=b"), "--label and --set LabelColumn differ"),
        (("--problem", "ranking"), "--problem: 'ranking' is not one of auto, binary"),
        (("--group-column", "Agee"), "--group-column: the synthetic table has no column 'Agee'"),
        (("--report", "."), "--report: '.' is a folder"),
        (("--work", "build.py"), "--work: 'build.py' is a file"),
        (("--work", "build.py/x"), "--work: cannot create 'build.py/x': Not a directory"),
        (("--report", "/proc/x/y.html"), "--report: cannot create '/proc/x': "),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(ROOT)
    done = runner(capsys)("local", "--work", str(tmp_path / "work"), *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"build.py: {said}")
    assert done.err.count("\n") == 1


def test_a_missing_environment_says_which_target_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tabular_ml_vpc.cli import local, main  # noqa: PLC0415 - needs the command line's packages

    monkeypatch.setattr(local, "ENVIRONMENT", tmp_path / ".venv-local")
    assert main(["local", "--work", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("is missing: run `python build.py setup local`\n")


def test_stopping_without_an_endpoint_is_no_error(build_py: CommandLine) -> None:
    done = build_py("--stop")
    assert (done.returncode, done.stdout) == (0, "no endpoint is running\n")
