"""Which of a stack's pipelines a command means, and what it does with it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from generator.cfn.evaluator import resolve_templates
from generator.cfn.expressions import NESTED
from generator.cfn.identifiers import StackLocation
from generator.emit import as_dict
from generator.errors import CommandError
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline.types import Json
from tabular_ml_vpc.cli import change_view
from tabular_ml_vpc.cli.deployment_view import _question_about
from tabular_ml_vpc.operations import pipeline_changes, stacks
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.comparison import StackDifference, removal_of
from tabular_ml_vpc.operations.deployment import _require_room
from tabular_ml_vpc.operations.loosening.comparison import compare
from tabular_ml_vpc.operations.placeholders import StackPlaceholders
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Done, Run
from tests.operations.several import Several, pipeline_name

NAMES = "main, churn, fraud-2"
RUNS = {"main": ["m1", "m4"], "churn": ["c2"], "fraud-2": ["f3"]}
KINDS = ("raw", "processed", "models", "predictions", "captured", "asynchronous", "champion")
On = Callable[..., Done]


@pytest.fixture
def on(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> On:
    """Give a function that runs a command on a stack, in a folder without a project file."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TABULAR_PIPELINE", raising=False)

    def command(stack: Several, *arguments: str) -> Done:
        made = stack.session()
        monkeypatch.setattr("tabular_ml_vpc.operations.target._open_session", lambda *_: made)
        return run(*arguments)

    return command


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "--follow"),
        ("invoke", "1,2"),
        ("stop",),
        ("stop", "--all"),
        ("endpoint", "repair"),
        ("history", "latest"),
    ],
)
def test_a_command_on_one_of_several_asks_which(on: On, arguments: tuple[str, ...]) -> None:
    done = on(Several(RUNS), *arguments)
    said = f"build.py: --pipeline: tabular has several pipelines; give one of {NAMES}\n"
    assert (done.status, done.err) == (2, said)


@pytest.mark.parametrize(
    "arguments", [("run",), ("invoke", "1"), ("stop",), ("history",), ("logs",), ("status",)]
)
def test_an_unknown_pipeline_is_named_with_the_closest(on: On, arguments: tuple[str, ...]) -> None:
    done = on(Several(RUNS), *arguments, "--pipeline", "chrun")
    said = f"build.py: --pipeline: 'chrun' is not one of {NAMES}; did you mean churn?\n"
    assert (done.status, done.err) == (2, said)


@pytest.mark.parametrize("stack", [Several({"main": []}), Several({"main": []}, older=True)])
def test_no_name_is_needed_where_there_is_one(on: On, stack: Several) -> None:
    done = on(stack, "run", "--no-wait")
    assert done.status == 0, done.err
    assert [one["PipelineName"] for one in stack.started] == [pipeline_name("main")]
    assert "--pipeline" not in done.out
    assert on(stack, "run", "--no-wait", "--pipeline", "main").status == 0


def test_one_that_is_not_main_needs_no_name_either(on: On) -> None:
    stack = Several({"churn": []})
    assert on(stack, "run", "--no-wait").status == 0
    assert stack.started[0]["PipelineName"] == pipeline_name("churn")


def test_the_option_the_environment_and_the_project_file_choose_in_that_order(
    on: On, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = Several({name: [] for name in RUNS})
    project = tmp_path / "tabular.toml"
    project.write_text('pipeline = "churn"\n[stages.x]\npipeline = "main"\n', encoding="utf-8")
    done = on(stack, "run", "--no-wait")
    assert "using tabular.toml: pipeline churn\n" in done.err
    starting = "Starting churn: label label, problem auto, metric auto at least 0.7"
    assert f"{starting}\nstarted execution new0 of churn (tabular-0a1b-churn)\n" in done.out
    assert "--follow new0 --region eu-west-1 --pipeline churn" in done.out
    on(stack, "run", "--no-wait", "--stage", "x")
    monkeypatch.setenv("TABULAR_PIPELINE", "fraud-2")
    on(stack, "run", "--no-wait")
    on(stack, "run", "--no-wait", "--pipeline", "main")
    started = [one["PipelineName"] for one in stack.started]
    assert started == [pipeline_name(name) for name in ("churn", "main", "fraud-2", "main")]


def test_parameters_of_one_pipeline_are_over_those_of_all(on: On, tmp_path: Path) -> None:
    stack = Several({name: [] for name in RUNS})
    (tmp_path / "tabular.toml").write_text(
        "[run]\nTestFraction = 0.3\nTimeLimitSeconds = 60\n"
        "[pipelines.churn.run]\nTimeLimitSeconds = 90\n[pipelines.fraud.run]\nTestFraction = 0.1\n",
        encoding="utf-8",
    )
    done = on(stack, "run", "--no-wait", "--pipeline", "churn")
    assert done.status == 0, done.err
    given = {one["Name"]: one["Value"] for one in stack.started[0]["PipelineParameters"]}
    assert given == {"TestFraction": "0.3", "TimeLimitSeconds": "90"}
    assert "using tabular.toml: 2 parameters of the run\n" in done.err
    assert f"pipelines.fraud: 'fraud' is not one of {NAMES}; did you mean fraud-2?\n" in done.err

    on(stack, "run", "--no-wait", "--pipeline", "main")
    given = {one["Name"]: one["Value"] for one in stack.started[1]["PipelineParameters"]}
    assert given == {"TestFraction": "0.3", "TimeLimitSeconds": "60"}


def test_history_lists_all_or_one_and_finds_a_run_by_its_id(on: On) -> None:
    stack = Several(RUNS)
    listed = on(stack, "history", "--limit", "3", "--json").json
    assert [(one["pipeline"], one["id"]) for one in listed] == [
        ("main", "m4"),
        ("fraud-2", "f3"),
        ("churn", "c2"),
    ]
    assert [one["id"] for one in on(stack, "history", "--pipeline", "main", "--json").json] == [
        "m4",
        "m1",
    ]
    assert "pipeline" in on(stack, "history").out.splitlines()[0]
    done = on(stack, "history", "zz")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "unknown execution 'zz'; the newest executions are: m4, f3, c2" in done.err


def test_stop_stops_a_run_of_any_pipeline_by_its_id_and_others_by_name(on: On) -> None:
    stack = Several(RUNS, running=True)
    assert on(stack, "stop", "c2", "--no-wait").status == 1  # our stack does not note the stop
    on(stack, "stop", "--all", "--pipeline", "main", "--no-wait")
    assert [arn.rpartition("/")[2] for arn in stack.stopped] == ["c2", "m4"]


def test_a_run_is_refused_only_if_its_own_pipeline_runs(on: On) -> None:
    stack = Several({"main": ["m1"], "churn": []}, running=True)
    refused = on(stack, "run", "--no-wait", "--pipeline", "main")
    assert (refused.status, stack.started) == (1, [])
    assert "--follow m1 --region eu-west-1 --pipeline main`" in refused.err
    assert on(stack, "run", "--no-wait", "--pipeline", "churn").status == 0


def test_repair_deletes_the_failed_endpoint_of_the_one_that_is_named(on: On) -> None:
    stack = Several(RUNS, {"main": "Failed", "churn": "Failed"})
    shown = on(stack, "status").out
    assert "`python build.py endpoint repair --region eu-west-1 --pipeline churn`" in shown
    assert on(stack, "endpoint", "repair", "--pipeline", "churn").status == 0
    assert stack.deleted == [pipeline_name("churn")]


def test_status_shows_every_pipeline_with_its_last_run_and_endpoint(on: On) -> None:
    stack = Several(RUNS, {"churn": "InService"})
    found = on(stack, "status", "--json").json
    assert [(one["name"], one["last_execution"]["name"]) for one in found["pipelines"]] == [
        ("main", "m4"),
        ("churn", "c2"),
        ("fraud-2", "f3"),
    ]
    assert [one["endpoint"]["status"] for one in found["pipelines"]] == [None, "InService", None]
    assert (found["pipeline"], found["last_execution"]["name"]) == (pipeline_name("main"), "m4")
    shown = on(stack, "status").out
    assert all(text in shown for text in ("fraud-2", "InService", "not created yet"))
    one = on(stack, "status", "--pipeline", "churn", "--json").json
    assert [found["name"] for found in one["pipelines"]] == ["churn"]


def test_a_command_on_one_of_fifty_reads_only_its_stack(on: On) -> None:
    stack = Several({name: [] for name in ("main", *(f"p-{number}" for number in range(50)))})
    assert on(stack, "run", "--no-wait", "--pipeline", "p-7").status == 0
    assert {*stack.described} == {"tabular", "P7PipelineStack"}


def nested(title: str, action: ChangeAction) -> Change:
    inner = Change("ModelPackageGroup", "AWS::SageMaker::ModelPackageGroup", "g", action)
    return Change(title, NESTED, "", action, children=(inner,))


def test_what_a_removed_stack_keeps_is_not_called_lost() -> None:
    kept = {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "RetainExceptOnCreate"}
    template = {"Resources": {"Log": kept, "Topic": {"Type": "AWS::SNS::Topic"}}}
    stack = Several(RUNS, {})
    target = Target(stack.session(), "tabular")
    node = stacks.tree(target, stacks.need(target))
    made = tuple(
        stacks.StackResource(name, name.lower(), body["Type"], "CREATE_COMPLETE", "")
        for name, body in template["Resources"].items()
    )

    found = removal_of(replace(node, resources=made), template)

    assert {one.logical_id: one.kept for one in found} == {"Log": True, "Topic": False}


def test_a_pipeline_that_goes_is_asked_about_by_name_with_what_goes_and_stays() -> None:
    stack = Several(RUNS, {"churn": "InService"}, running=True)
    target = Target(stack.session(), "tabular")
    node = stacks.tree(target, stacks.need(target))
    changes = (
        nested("ChurnPipelineStack", ChangeAction.REMOVE),
        nested("NetworkStack", ChangeAction.MODIFY),
    )
    removed = pipeline_changes.removed(target, node, changes)
    difference = StackDifference(True, changes, removed_pipelines=removed)
    out = Console(file=io.StringIO(), width=400)
    change_view.show(out, difference, "tabular would change")
    assert isinstance(out.file, io.StringIO)
    shown = out.file.getvalue()
    assert "pipeline churn stops 1 run in progress and deletes its endpoint (InService)" in shown
    kept = [f"s3://data/pipelines/{kind}/churn/" for kind in KINDS]
    assert f"Its data stays: {', '.join(kept)}" in shown
    assert _question_about(difference) == "the pipeline churn will be removed. Deploy?"
    assert [one.as_json() for one in removed] == [
        {
            "name": "churn",
            "pipeline": pipeline_name("churn"),
            "endpoint_status": "InService",
            "runs_in_progress": 1,
            "kept": kept,
        }
    ]


def test_removing_what_deletes_a_pipeline_with_it_is_called_a_risk() -> None:
    changes = (nested("ManagerStack", ChangeAction.REMOVE),)
    assert pipeline_changes.removes_manager(changes)
    assert not pipeline_changes.removes_manager([nested("ManagerStack", ChangeAction.MODIFY)])
    difference = StackDifference(True, (), removes_manager=True)
    assert "removed at the same time" in _question_about(difference)
    assert "set several = true in [pipeline]" in change_view.MANAGER_REMOVED


def test_a_log_group_that_an_earlier_pipeline_left_is_in_the_way_of_its_name() -> None:
    group = f"/aws/sagemaker/Endpoints/{pipeline_name('fraud')}"
    stack = Several({"main": []}, log_groups=(group,))
    target = Target(stack.session(), "tabular")
    node = stacks.tree(target, stacks.need(target))
    (left,) = pipeline_changes.in_the_way(target, node, ["fraud", "churn"])
    assert (left.place, left.physical_id) == ("FraudPipelineStack/EndpointLogGroup", group)
    said = f"{group} is in the way of FraudPipelineStack/EndpointLogGroup: .*delete-log-group"
    with pytest.raises(CommandError, match=said):
        _require_room(StackDifference(True, (), in_the_way=[left]))


def test_a_pipeline_that_is_added_is_priced() -> None:
    entries = ({"name": "main"}, {"name": "fraud-2", "endpoint_instance_type": "ml.m5.xlarge"})
    planned = resolve(Settings.model_validate({"pipelines": entries}))
    difference = StackDifference(True, added_pipelines=("fraud-2",), planned=planned)
    (line,) = change_view.additions(difference)
    usd = r"(\d+\.\d\d) a"
    rest, endpoint, run = map(float, re.findall(usd, line))
    assert line.startswith("Adding the pipeline fraud-2 costs ")
    assert rest < run * 10 < endpoint
    assert endpoint > 100
    assert not [*change_view.additions(StackDifference(True))]


def test_a_pipeline_that_is_added_is_known_by_its_name() -> None:
    root = {"Outputs": {"Pipelines": {"Value": "main,fraud-2"}}}
    changes = (nested("Fraud2PipelineStack", ChangeAction.ADD),)
    assert pipeline_changes.added(root, changes) == ("fraud-2",)
    assert pipeline_changes.added({"Outputs": {}}, changes) == ()


def named_templates(**values: str) -> dict[str, Json]:
    """Return the templates of three pipelines, fraud's stack with other parameters."""
    entries = [{"name": name} for name in ("main", "churn", "fraud")]
    built = build(Settings.model_validate({"pipelines": entries}), Mode.DEV)
    templates = {name: as_dict(one) for name, one in built.items()}
    fraud = templates["root"]["Resources"]["FraudPipelineStack"]["Properties"]["Parameters"]
    fraud.update(values)
    return templates


def test_what_one_pipeline_gains_is_loosened_although_another_has_it() -> None:
    old, new = (
        resolve_templates(one, {}, StackLocation(), StackPlaceholders)
        for one in (named_templates(), named_templates(EntryName="churn"))
    )
    assert compare(old, old) == []
    found = [one for one in compare(old, new) if one.place == "FraudPipeline/ProcessingPolicy"]
    assert found
    assert {one.new["Principal"] for one in found} == {"${FraudPipeline.ProcessingRole}"}
    assert "pipelines/raw/churn/" in str([one.new for one in found])
