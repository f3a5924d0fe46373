"""Looking at a deployed stack: status, logs, drift, diff; and the commands' own help."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from generator.errors import UsageError
from generator.files import REPOSITORY
from tabular_ml_vpc.cli import COMMANDS
from tabular_ml_vpc.operations import logs, stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run

MINE = ("doctor", "diff", "deploy", "status", "outputs", "logs", "drift", "destroy")
NOW = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


def test_status_shows_every_nested_stack_and_what_runs_in_them(deployed: Target, run: Run) -> None:
    done = run("status", "--stack-name", "tabular-life", "--json")
    assert done.status == 0
    nested = {one["title"] for one in done.json["stack"]["nested"]}
    assert nested == {
        "SecurityStack",
        "NetworkStack",
        "StorageStack",
        "PipelineStack",
        "StudioStack",
    }
    outputs = stacks.need(deployed).outputs
    assert done.json["pipeline"] == outputs["PipelineName"]
    assert done.json["studio"]["domain"] == outputs["DomainId"]
    shown = run("status", "--stack-name", "tabular-life").out
    assert "not created yet; a run that passes the gate creates it" in shown


def test_diff_without_a_change_ends_with_0_though_asked_for_the_status(
    deployed: Target, run: Run
) -> None:
    done = run("diff", "--stack-name", "tabular-life", "--exit-code")
    assert (done.status, "nothing would change" in done.out) == (0, True)
    assert change_sets(deployed) == []


@pytest.mark.usefixtures("deployed")
def test_diff_shows_a_change_of_tags_alone(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "tagged.toml"
    config.write_text('tags = { team = "risk" }\n')
    done = run(
        *("diff", "--stack-name", "tabular-life", "--exit-code", "--json", "--config", str(config))
    )
    assert done.status == 1, done.err
    assert len(done.json["changes"]) == 5
    for nested in done.json["changes"]:
        (inner,) = nested["children"]
        assert (inner["action"], inner["properties"]) == ("modify", ["Tags"])


def test_diff_shows_what_a_parameter_changes_and_leaves_no_change_set(
    deployed: Target, run: Run
) -> None:
    done = run(
        *("diff", "--stack-name", "tabular-life", "--exit-code", "--json"),
        *("--set", "EndpointInstanceType=ml.m5.xlarge"),
    )
    assert done.status == 1
    (nested,) = done.json["changes"]
    (inner,) = nested["children"]
    assert (nested["logical_id"], inner["logical_id"]) == ("PipelineStack", "Pipeline")
    assert (inner["action"], inner["properties"]) == ("modify", ["EndpointInstanceType"])
    assert change_sets(deployed) == []
    assert stacks.need(deployed).parameters["EndpointInstanceType"] == "ml.m5.large"


@pytest.mark.usefixtures("deployed")
def test_diff_says_what_a_parameter_loosens(run: Run) -> None:
    done = run("diff", "--stack-name", "tabular-life", "--json", "--set", "DeleteSpaces=yes")
    (found,) = done.json["loosenings"]
    assert (found["kind"], found["place"]) == ("setting", "StudioStack/ClearStudio")
    assert (found["what"], found["old"], found["new"]) == ("DeleteSpaces", "false", "true")
    assert done.json["tightenings"] == []


@pytest.mark.usefixtures("deployed")
def test_diff_to_mode_prod_replaces_nothing(run: Run) -> None:
    done = run("diff", "--stack-name", "tabular-life", "--mode", "prod", "--json")
    actions = {inner["action"] for nested in done.json["changes"] for inner in nested["children"]}
    assert actions == {"modify"}


def test_diff_of_a_stack_that_is_not_there_shows_what_would_be_made(
    deployed: Target, run: Run
) -> None:
    done = run("diff", "--stack-name", "tabular-never")
    assert done.status == 0
    assert "tabular-never does not exist; it would be created" in done.out
    assert "+ Domain  SageMaker::Domain  add" in done.out
    assert "${PipelineRole}" in done.out
    assert stacks.find(Target(deployed.session, "tabular-never")) is None


def change_sets(target: Target) -> list[object]:
    client = target.client("cloudformation")
    found: list[object] = client.list_change_sets(StackName=target.stack)["Summaries"]
    return found


@contextmanager
def changed_by_hand(target: Target) -> Iterator[str]:
    """Change the description of a role behind CloudFormation's back."""
    security = stacks.tree(target, stacks.need(target)).children[0]
    (role,) = [one.physical_id for one in security.resources if one.logical_id == "TrainingRole"]
    iam = target.client("iam")
    before = iam.get_role(RoleName=role)["Role"]["Description"]
    iam.update_role(RoleName=role, Description="mine now")
    yield role
    iam.update_role(RoleName=role, Description=before)


def test_drift_names_the_property_that_was_changed_by_hand(deployed: Target, run: Run) -> None:
    assert run("drift", "--stack-name", "tabular-life").status == 0
    with changed_by_hand(deployed) as role:
        shown = run("drift", "--stack-name", "tabular-life")
        listed = run("drift", "--stack-name", "tabular-life", "--json").json
    assert shown.status == 1
    assert "SecurityStack/TrainingRole  AWS::IAM::Role  MODIFIED" in shown.out
    assert "/Description  NOT_EQUAL: deployed 'Train', found 'mine now'" in shown.out
    (stack,) = [one for one in listed if one["drifted"]]
    assert (stack["title"], stack["drifted"][0]["physical_id"]) == ("SecurityStack", role)


@pytest.mark.usefixtures("deployed")
def test_logs_of_functions_are_merged_by_time_without_the_service_s_noise(run: Run) -> None:
    done = run(
        "logs", "--stack-name", "tabular-life", "--source", "functions", "--since", "1d", "--json"
    )
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {"SeedDataFunction", "PipelineManagerFunction"} <= {one["source"] for one in lines}
    times = [one["time"] for one in lines]
    assert times == sorted(times)
    assert not [one for one in lines if one["text"].startswith(("START ", "END ", "REPORT "))]
    some = run(
        "logs",
        "--stack-name",
        "tabular-life",
        "--containing",
        "create of seeddata",
        "--since",
        "1d",
    )
    assert all("Create of SeedData" in line for line in some.out.splitlines())


@pytest.mark.usefixtures("deployed")
def test_logs_that_nobody_wrote_are_no_error(run: Run) -> None:
    done = run("logs", "--stack-name", "tabular-life", "--source", "endpoint")
    assert (done.status, done.out) == (0, "")
    assert "No log lines since" in done.err


def test_a_span_or_a_time_says_how_far_back() -> None:
    assert logs.since("90s", NOW) == NOW - timedelta(seconds=90)
    assert logs.since("30min", NOW) == NOW - timedelta(minutes=30)
    assert logs.since("2h", NOW) == NOW - timedelta(hours=2)
    assert logs.since("2026-11-24T17:00+00:00", NOW) == NOW - timedelta(hours=1)
    with pytest.raises(UsageError, match="--since: 'yesterday' is neither a duration"):
        logs.since("yesterday", NOW)


@pytest.mark.parametrize("name", MINE)
def test_help_has_an_example_and_says_what_the_options_are(name: str, run: Run) -> None:
    done = run(name, "--help")
    assert done.status == 0
    assert f"python build.py {name}" in done.out
    assert {"--profile", "--region", "--stack-name", "--json"} <= set(done.out.split())
    assert name in COMMANDS


def test_help_does_not_load_what_the_commands_need() -> None:
    code = "import sys; from tabular_ml_vpc.cli import main; main(['--help']); print(sys.modules)"
    python = REPOSITORY / ".venv" / "bin" / "python"
    said = subprocess.run(
        [python, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    for module in ("'boto3'", "'rich'", "'troposphere'", "'yaml'", "'pydantic'"):
        assert module not in said.stdout


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "AWS_ENDPOINT_URL: Invalid endpoint: nonsense"),
        ("http://127.0.0.1:9", "`python build.py local up` has ended"),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_what_is_wrong_around_aws_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    done = run("status", "--stack-name", "tabular-life")
    assert done.status in {1, 2}
    assert done.err.count("\n") == 1
    assert said in done.err
