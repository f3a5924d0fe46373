"""Versions of the registry: listed, approved, rejected and rolled back; AWS is canned answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.shared.names import ERROR_TAG, FAILED_TAG, SERVED_TAG
from pipeline.definition import OWNER_TAG
from tabular_ml_vpc.cli import cli
from tabular_ml_vpc.cli.completers import version_numbers
from tabular_ml_vpc.operations.runs import approval
from tests.emulated import Done, Run
from tests.operations.registered import DENIED, ON_APPROVAL, PENDING, Registered, configuration
from tests.operations.several import pipeline_name

NAME = pipeline_name("main")
OPTIONS = " --region eu-west-1"
On = Callable[..., Done]


@pytest.fixture
def on(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> On:
    """Give a function that runs a command on a stack, in a folder without a project file."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TABULAR_PIPELINE", raising=False)
    monkeypatch.setattr(approval, "_POLL", 0)

    def command(stack: Registered, *arguments: str) -> Done:
        made = stack.session()
        monkeypatch.setattr("tabular_ml_vpc.operations.target._open_session", lambda *_: made)
        return run(*arguments)

    return command


def serving(number: int = 2, **changed: Any) -> Registered:
    """Return a stack whose endpoint serves version 2 of three; version 3 waits."""
    known: dict[str, Any] = {
        "versions": {1: "Approved", 2: "Approved", 3: PENDING},
        "values": {1: 0.9, 2: 0.92, 3: 0.9504},
        "serves": configuration(number),
    }
    return Registered(**{**known, **changed})


def run_deploys(**changed: Any) -> Registered:
    """Return a stack in which runs deploy; the endpoint serves what run r2 deployed."""
    return serving(**{"outputs": {}, "serves": f"{NAME}-r2", **changed})


def only_error(done: Done) -> str:
    """Return the one line of an error, without the program's name."""
    (line,) = [one for one in done.err.splitlines() if one.startswith("build.py: ")]
    return line.removeprefix("build.py: ")


# Listing


def test_versions_are_listed_newest_first_with_the_metric_and_what_serves(on: On) -> None:
    stack = serving(comments={2: "as agreed"}, trial=configuration(3))
    done = on(stack, "models")
    assert (done.status, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines()] == [
        ["version", "registered", "status", "metric", "value", "run", "endpoint", "comment"],
        ["3", "2026-11-27", "18:00", "Pending", "roc_auc", "0.9504", "r3", "on", "trial"],
        ["2", "2026-11-26", "18:00", "Approved", "roc_auc", "0.92", "r2", "serves", "as", "agreed"],
        ["1", "2026-11-25", "18:00", "Approved", "roc_auc", "0.9", "r1"],
    ]


def test_versions_are_listed_for_programs(on: On) -> None:
    found = on(serving(versions={1: "Rejected"}, values={}), "models", "--json").json
    assert found == [
        {
            "pipeline": "main",
            "version": 1,
            "arn": f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/{NAME}/1",
            "registered": "2026-11-25T18:00:00+00:00",
            "status": "Rejected",
            "metric": None,
            "value": None,
            "run": "r1",
            "endpoint": None,
            "problem": None,
            "comment": None,
        }
    ]


QUOTA = "2026-11-27 18:30 UTC: CreateEndpoint try-x: ResourceLimitExceeded: none left"
SETTINGS = "the smoke test differs"


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({ERROR_TAG: QUOTA}, QUOTA),
        ({ERROR_TAG: ""}, None),
        ({ERROR_TAG: QUOTA, FAILED_TAG: SETTINGS}, SETTINGS),
        ({ERROR_TAG: QUOTA, SERVED_TAG: "since then"}, None),
        ({ERROR_TAG: QUOTA, OWNER_TAG: "somebody else"}, None),
    ],
)
def test_what_keeps_an_approved_version_from_serving_is_shown(
    on: On, tags: dict[str, str], problem: str | None
) -> None:
    stack = serving(versions={1: "Approved", 2: "Approved", 3: "Approved"}, problems={3: tags})
    found = on(stack, "models", "--json").json
    assert [one["problem"] for one in found] == [problem, None, None]
    assert on(stack, "models").out.endswith(f"\nVersion 3 waits: {problem}\n") == bool(problem)


def test_nothing_is_known_of_a_problem_without_the_permission_to_see_it(on: On) -> None:
    denied = frozenset({"sagemaker.ListTags"})
    stack = serving(versions={3: "Approved"}, problems={3: {ERROR_TAG: QUOTA}}, denied=denied)
    done = on(stack, "models", "--json")
    assert [one["problem"] for one in done.json] == [None]


def test_the_version_that_a_run_deployed_is_known_by_its_archive(on: On) -> None:
    found = on(run_deploys(), "models", "--json").json
    assert [one["endpoint"] for one in found] == [None, "serves", None]


def test_what_serves_is_named_if_it_is_not_in_the_table(on: On) -> None:
    unknown = on(run_deploys(serves="by-hand"), "models").out
    assert unknown.endswith(f"\nThe endpoint {NAME} serves by-hand.\n")
    older = on(serving(1), "models", "--limit", "2").out
    assert older.endswith(f"\nThe endpoint {NAME} serves version 1, which is older.\n")


@pytest.mark.parametrize("name", ["sagemaker.DescribeEndpointConfig", "sagemaker.DescribeModel"])
def test_versions_are_listed_without_the_permission_to_see_whose_model_serves(
    on: On, name: str
) -> None:
    done = on(run_deploys(denied=frozenset({name})), "models")
    assert done.status == 0
    assert f"The endpoint {NAME} serves {NAME}-r2." in done.out


@pytest.mark.parametrize(
    "gate", [{}, {"metric": "f1"}, {"metric": "f1", "value": "high"}, ["f1", 1], None]
)
def test_an_evaluation_that_says_nothing_leaves_the_metric_empty(
    on: On, gate: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evaluated(*_: object) -> Any:
        yield json.dumps({"gate": gate}).encode()

    monkeypatch.setattr(Registered, "_evaluated", evaluated)
    found = on(serving(), "models", "--json").json
    assert {one["metric"] for one in found} == {None}


def test_an_evaluation_elsewhere_is_not_read(on: On) -> None:
    stack = serving(outputs={**ON_APPROVAL, "DataBucket": "another"})
    found = on(stack, "models", "--json").json
    assert {(one["metric"], one["run"]) for one in found} == {(None, None)}


def test_a_comment_of_somebody_else_does_not_control_the_terminal(on: On) -> None:
    out = on(serving(comments={3: "fine\x1b[2J\rno"}), "models").out
    assert "fine\\x1b[2J\\rno" in out


def test_a_registry_without_versions_says_how_one_gets_there(on: On) -> None:
    done = on(Registered(), "models")
    assert done.out == (
        f"{NAME} has no registered versions yet: a run that passes the gate registers one "
        f"(`python build.py run{OPTIONS}`)\n"
    )


def test_the_versions_of_several_pipelines_are_in_one_table(on: On) -> None:
    done = on(serving(runs={"main": ["m1"], "churn": ["c1"]}), "models")
    assert done.out.startswith("pipeline  version")
    assert f"{pipeline_name('churn')} has no registered versions yet" in done.out


# Approving


def test_the_newest_version_that_waits_is_approved_and_shown_beside_what_serves(on: On) -> None:
    stack = serving(versions={1: "Approved", 2: "Approved", 3: PENDING, 4: PENDING, 5: "Rejected"})
    done = on(stack, "approve", "--yes", "--comment", "checked")
    assert (done.status, done.err) == (0, "")
    assert [(one["ModelPackageArn"][-2:], one["ApprovalDescription"]) for one in stack.decided] == [
        ("/4", "checked")
    ]
    assert stack.decided[0]["ModelApprovalStatus"] == "Approved"
    lines = [line.split() for line in done.out.splitlines()]
    assert ["to", "approve", "4", "2026-11-28", "18:00", "r4"] in lines
    assert ["serves", "2", "2026-11-26", "18:00", "r2", "roc_auc", "0.92"] in lines
    assert "A function now tries it on an endpoint of its own." in done.out
    assert f"Next: python build.py status{OPTIONS}  (how far it is)" in done.out


def test_an_approval_without_a_comment_removes_that_of_the_rejection_before(on: On) -> None:
    stack = serving(versions={3: "Rejected"}, comments={3: "not in service after 6 hours"})
    assert on(stack, "approve", "3", "--yes").status == 0
    assert [one["ApprovalDescription"] for one in stack.decided] == [""]


def test_an_approval_without_any_comment_sends_none(on: On) -> None:
    stack = serving()
    assert on(stack, "approve", "--yes").status == 0
    assert "ApprovalDescription" not in stack.decided[0]


def test_an_approval_is_printed_for_programs(on: On) -> None:
    found = on(serving(), "approve", "--yes", "--json").json
    assert found == {
        "pipeline": "main",
        "group": NAME,
        "version": 3,
        "arn": f"arn:aws:sagemaker:eu-west-1:123456789012:model-package/{NAME}/3",
        "status": "Approved",
        "comment": None,
        "endpoint": NAME,
        "deploys": True,
    }


def test_an_approval_says_that_it_deploys_nothing_where_runs_deploy(on: On) -> None:
    stack = run_deploys()
    done = on(stack, "approve", "--yes")
    assert done.status == 0
    assert stack.versions[3] == "Approved"
    assert "deploys nothing: for this pipeline, only a run deploys" in done.out
    assert 'the pipeline\'s setting deploy = "on-approval"' in " ".join(done.out.split())
    assert ["serves", "2"] in [line.split()[:2] for line in done.out.splitlines()]


def test_an_older_version_can_be_approved_where_that_deploys_nothing(on: On) -> None:
    stack = run_deploys(versions={1: PENDING, 2: "Approved"})
    assert on(stack, "approve", "1", "--yes").status == 0
    assert stack.versions[1] == "Approved"


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        (serving(serves=""), "does not exist yet"),
        (serving(serves=f"{NAME}-gone"), f"serves {NAME}-gone, which a run created"),
        (serving(status="Failed"), "is Failed"),
        (serving(status="Updating", coming=configuration(2)), "is changing to version 2"),
    ],
)
def test_an_approval_says_what_the_endpoint_does_if_no_version_serves(
    on: On, stack: Registered, said: str
) -> None:
    done = on(stack, "approve", "--yes")
    assert f"The endpoint {NAME} {said}." in done.out


def test_an_approval_of_a_paused_endpoint_says_what_deploys_it(on: On) -> None:
    done = on(serving(serves="", paused=True), "approve", "--yes")
    assert done.status == 0
    assert f"Next: python build.py endpoint resume{OPTIONS}" in done.out


def test_an_approval_of_the_version_that_serves_says_so(on: On) -> None:
    done = on(serving(versions={2: "Rejected"}), "approve", "2", "--yes")
    assert done.out.endswith(f"The endpoint {NAME} already serves it.\n")


@pytest.mark.parametrize(
    ("stack", "arguments", "status", "said"),
    [
        (
            serving(),
            ("9",),
            2,
            f"VERSION: {NAME} has no version 9; its newest versions are: 3, 2, 1",
        ),
        (
            Registered(),
            ("1",),
            2,
            f"VERSION: {NAME} has no version 1; its newest versions are: none",
        ),
        (serving(), ("2",), 1, "version 2 is already approved: nothing was changed"),
        (
            serving(strangers=frozenset({3})),
            ("3",),
            1,
            "version 3 was not registered by this stack's pipeline (pipeline-owner in its",
        ),
        (serving(strangers=frozenset({3})), (), 1, f"no version of {NAME} waits for approval: "),
        (serving(versions={1: "Approved"}), (), 1, f"no version of {NAME} waits for approval: "),
        (
            serving(versions={1: PENDING, 2: "Approved"}),
            (),
            1,
            "version 1 is older than what is approved, and the endpoint serves the newest approved "
            "version: version 2 is approved; to go back, reject it "
            f"(`python build.py reject 2{OPTIONS}`)",
        ),
        (
            serving(versions={1: "Rejected", 2: "Approved", 3: "Approved"}),
            ("1",),
            1,
            "version 1 is older than what is approved, and the endpoint serves the newest approved "
            "version: versions 3 and 2 are approved; to go back, reject them "
            f"(`python build.py reject 3{OPTIONS}`)",
        ),
        (serving(), ("0",), 2, "Invalid value for '[VERSION]': 0 must be at least 1"),
        (
            serving(),
            ("three",),
            2,
            "Invalid value for '[VERSION]': 'three' is not a valid integer.",
        ),
        (serving(), ("--comment", "x" * 1025), 2, "--comment: got 1,025 characters: at most 1,024"),
        (serving(), ("--comment", "a\nb"), 2, "--comment: got 'a\\nb': must be one line of text"),
        (serving(), ("--comment", " "), 2, "--comment: got ' ': must be one line of text"),
        (
            run_deploys(),
            ("--follow",),
            2,
            "--follow: nothing deploys an approved version without the pipeline's setting ",
        ),
        (
            serving(serves="", paused=True),
            ("--follow",),
            1,
            f"the endpoint {NAME} is paused, and a version is deployed only after `python build.py "
            f"endpoint resume{OPTIONS}`: nothing was changed",
        ),
    ],
)
def test_a_mistake_in_an_approval_is_one_line_and_changes_nothing(
    on: On, stack: Registered, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = on(stack, "approve", *arguments, "--yes")
    assert done.status == status
    assert only_error(done).startswith(said)
    assert stack.decided == []


@pytest.mark.parametrize("command", ["approve", "reject", "rollback"])
def test_a_decision_without_a_terminal_needs_yes(on: On, command: str) -> None:
    stack = serving()
    done = on(stack, command)
    assert done.status == 2
    asked = "Approve version 3" if command == "approve" else "Reject version "
    assert only_error(done).startswith(
        f"--yes is required, since there is no terminal to ask on: {asked}"
    )
    assert stack.decided == []


@pytest.mark.parametrize("command", ["approve", "reject", "rollback"])
def test_who_may_not_decide_is_told_who_may(on: On, command: str) -> None:
    stack = serving(denied=frozenset({"sagemaker.UpdateModelPackage"}))
    done = on(stack, command, "--yes")
    assert done.status == 1
    number = 2 if command == "rollback" else 3
    assert only_error(done) == (
        f"no permission to decide about version {number}: whoever may has the policy "
        "templates/approver-policy.json; people in Studio and the pipeline's role cannot "
        "(sagemaker:UpdateModelPackage: User: carol is not authorized to perform it)"
    )


@pytest.mark.parametrize("name", ["ListModelPackages", "DescribeModelPackage", "DescribeEndpoint"])
@pytest.mark.parametrize("command", ["approve", "reject", "rollback"])
def test_what_may_not_be_read_is_not_decided_about(on: On, command: str, name: str) -> None:
    stack = serving(denied=frozenset({f"sagemaker.{name}"}))
    done = on(stack, command, "--yes")
    assert done.status == 1
    assert f"no permission for sagemaker:{name}, " in only_error(done)
    assert stack.decided == []


@pytest.mark.parametrize("command", ["models", "approve", "reject", "rollback"])
def test_one_of_several_pipelines_is_named(on: On, command: str) -> None:
    stack = serving(runs={"main": ["m1"], "churn": ["c1"]})
    yes = () if command == "models" else ("--yes",)
    named = on(stack, command, *yes, "--pipeline", "main")
    assert named.status == 0
    unknown = on(stack, command, *yes, "--pipeline", "chrun")
    assert only_error(unknown).startswith("--pipeline: 'chrun' is not one of main, churn")
    if command != "models":
        which = on(stack, command, *yes)
        assert only_error(which).startswith("--pipeline: tabular has several pipelines")


# Following


def deployed(stack: Registered) -> None:
    stack.serves, stack.status, stack.coming, stack.trial = configuration(3), "InService", "", ""


def shifting(stack: Registered) -> None:
    stack.status, stack.coming = "Updating", configuration(3)


def tried(status: str) -> Callable[[Registered], None]:
    def change(stack: Registered) -> None:
        stack.trial, stack.trial_status = configuration(3), status

    return change


def refused(stack: Registered) -> None:
    stack.trial, stack.versions[3] = "", "Rejected"
    stack.comments[3] = "the trial answered\n0.3 instead of 0.7"


def nothing(_stack: Registered) -> None:
    """Change nothing."""


def test_a_deployment_is_followed_until_the_version_serves(on: On) -> None:
    stack = serving(
        happens=[nothing, nothing, tried("Creating"), tried("InService"), shifting, deployed]
    )
    done = on(stack, "approve", "--yes", "--follow")
    assert (done.status, done.err) == (0, "")
    assert [line.partition(" s  ")[2] for line in done.out.splitlines()[-5:]] == [
        "waiting for the function that deploys",
        f"the trial endpoint try-{NAME} is Creating",
        f"the trial endpoint try-{NAME} is InService: a request with a known answer tests it",
        f"the endpoint {NAME} is Updating, to version 3",
        f"the endpoint {NAME} serves version 3",
    ]


def test_a_version_that_the_function_rejects_is_a_failure_with_its_reason(on: On) -> None:
    stack = serving(happens=[nothing, tried("InService"), refused])
    done = on(stack, "approve", "--yes", "--follow", "--json")
    assert done.status == 1
    why = "not deployed: version 3 was rejected: the trial answered 0.3 instead of 0.7"
    assert only_error(done) == why
    assert (done.json["error"], done.json["version"], done.json["serves"]) == (why, 3, False)


def test_a_version_that_a_newer_one_replaces_is_not_waited_for(on: On) -> None:
    def another(stack: Registered) -> None:
        stack.versions[4] = "Approved"

    done = on(serving(happens=[nothing, another]), "approve", "--yes", "--follow")
    assert done.status == 1
    assert only_error(done) == "not deployed: version 4 was approved, too, and replaces version 3"


def test_a_deployment_can_be_followed_again(on: On) -> None:
    stack = serving(versions={2: "Approved", 3: "Approved"}, happens=[tried("InService"), deployed])
    done = on(stack, "approve", "3", "--follow")
    assert done.status == 0
    assert stack.decided == []


def test_a_deployment_that_does_not_begin_names_the_log(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_PATIENCE", 2)
    done = on(serving(happens=[nothing] * 4 + [deployed]), "approve", "--yes", "--follow")
    assert done.status == 0
    assert f"`python build.py logs --source functions{OPTIONS}` may say why" in done.out


def test_an_interrupted_wait_says_that_the_deployment_continues(on: On) -> None:
    def interrupt(_stack: Registered) -> None:
        raise KeyboardInterrupt

    stack = serving(happens=[nothing, nothing, interrupt])
    done = on(stack, "approve", "--yes", "--follow")
    assert done.status == 130
    assert stack.versions[3] == "Approved"
    assert f"`python build.py approve 3 --follow{OPTIONS}` follows it again" in done.err


def test_a_trial_that_may_not_be_seen_is_not_needed_to_follow(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registered, "describe_trial", lambda _: DENIED)
    done = on(serving(happens=[nothing, nothing, deployed]), "approve", "--yes", "--follow")
    assert done.status == 0
    assert done.out.endswith(f"the endpoint {NAME} serves version 3\n")


# Rejecting


@pytest.mark.parametrize(
    ("stack", "arguments", "number", "said", "successor"),
    [
        (serving(), (), 3, f"The endpoint {NAME} does not change.", None),
        (serving(), ("2",), 2, f"The endpoint {NAME} goes back to version 1.", 1),
        (serving(), ("1",), 1, f"The endpoint {NAME} does not change.", None),
        (
            serving(versions={1: "Rejected", 2: "Approved"}),
            ("2",),
            2,
            f"No other version is approved: the endpoint {NAME} continues to serve version 2.",
            None,
        ),
        (
            serving(versions={1: "Approved", 2: "Approved"}, strangers=frozenset({1})),
            ("2",),
            2,
            f"No other version is approved: the endpoint {NAME} continues to serve version 2.",
            None,
        ),
        (
            serving(versions={2: "Approved", 3: "Approved"}, trial=configuration(3)),
            ("2",),
            2,
            f"Version 3 is approved, too, and replaces it on the endpoint {NAME}.",
            3,
        ),
        (
            serving(versions={2: "Approved", 3: "Approved"}, trial=configuration(3)),
            ("3",),
            3,
            f"Its trial ends. The endpoint {NAME} does not change.",
            None,
        ),
        (
            serving(
                versions={2: "Approved", 3: "Approved"},
                status="Updating",
                coming=configuration(3),
            ),
            ("3",),
            3,
            f"The endpoint {NAME} goes back to version 2.",
            2,
        ),
        (serving(serves=""), (), 3, "No endpoint serves it, so that nothing else changes.", None),
        (
            serving(serves=f"{NAME}-r2"),
            ("2",),
            2,
            f"The endpoint {NAME} continues to serve it: a run deployed it, not the function.",
            None,
        ),
        (run_deploys(), ("2",), 2, f"The endpoint {NAME} does not change.", None),
    ],
)
def test_a_rejection_says_what_happens_to_the_endpoint(
    on: On,
    stack: Registered,
    arguments: tuple[str, ...],
    number: int,
    said: str,
    successor: int | None,
) -> None:
    done = on(stack, "reject", *arguments, "--yes", "--comment", "no", "--json")
    assert (done.status, done.err) == (0, f"{said}\n")
    assert (done.json["version"], done.json["serves_next"]) == (number, successor)
    assert [(one["ModelApprovalStatus"], one["ApprovalDescription"]) for one in stack.decided] == [
        ("Rejected", "no")
    ]
    assert stack.versions[number] == "Rejected"


@pytest.mark.parametrize(
    ("stack", "arguments", "status", "said"),
    [
        (
            serving(),
            ("7",),
            2,
            f"VERSION: {NAME} has no version 7; its newest versions are: 3, 2, 1",
        ),
        (serving(versions={3: "Rejected"}), ("3",), 1, "version 3 is already rejected"),
        (serving(versions={3: "Rejected"}), (), 1, f"no version of {NAME} waits for a decision: "),
        (
            serving(strangers=frozenset({3})),
            ("3",),
            1,
            "version 3 was not registered by this stack",
        ),
    ],
)
def test_a_mistake_in_a_rejection_is_one_line_and_changes_nothing(
    on: On, stack: Registered, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = on(stack, "reject", *arguments, "--yes")
    assert done.status == status
    assert only_error(done).startswith(said)
    assert stack.decided == []


# Rolling back


def test_a_rollback_rejects_the_version_that_serves(on: On) -> None:
    stack = serving()
    done = on(stack, "rollback", "--yes", "--comment", "too slow")
    assert (done.status, done.err) == (0, "")
    assert stack.versions == {1: "Approved", 2: "Rejected", 3: PENDING}
    assert stack.comments[2] == "too slow"
    assert done.out.splitlines() == [
        f"Version 2 serves. The endpoint {NAME} goes back to version 1.",
        "Version 2 is rejected.",
        f"Next: python build.py status{OPTIONS}  (see when the endpoint has gone back)",
    ]


@pytest.mark.parametrize(
    ("stack", "said"),
    [
        (
            run_deploys(),
            'rollback needs the pipeline\'s setting deploy = "on-approval": for this pipeline',
        ),
        (serving(serves=""), f"the endpoint {NAME} does not exist: there is nothing to roll back"),
        (
            serving(serves=f"{NAME}-r2"),
            f"the endpoint {NAME} serves {NAME}-r2, which is not a version that was deployed from "
            "the registry",
        ),
        (
            serving(status="Updating", coming=configuration(3)),
            f"the endpoint {NAME} is Updating to version 3: try again when it is InService",
        ),
        (serving(status="Failed"), f"the endpoint {NAME} is Failed: try again when it is"),
        (
            serving(1, versions={1: "Approved"}),
            "version 1 serves, and it is the first one: there is nothing to go back to, and it",
        ),
        (
            serving(3, versions={1: "Rejected", 2: PENDING, 3: "Approved"}),
            "version 3 serves, and no older version is approved (2: PendingManualApproval, 1: "
            "Rejected): there is nothing to go back to, and it continues to serve",
        ),
        (
            serving(2, versions={1: "Approved", 2: "Approved", 3: "Approved"}),
            "version 3 is approved, too, and replaces version 2, which serves: to keep what "
            f"serves, reject it (`python build.py reject 3{OPTIONS}`)",
        ),
        (
            serving(2, versions={1: "Approved", 2: "Rejected"}),
            "version 2, which serves, is already rejected: the endpoint goes back to the newest",
        ),
        (serving(7), f"VERSION: {NAME} has no version 7"),
    ],
)
def test_a_rollback_to_nothing_is_refused_with_the_reason(
    on: On, stack: Registered, said: str
) -> None:
    done = on(stack, "rollback", "--yes")
    assert done.status == (2 if said.startswith("VERSION") else 1)
    assert only_error(done).startswith(said)
    assert stack.decided == []


# Elsewhere


def test_the_status_shows_what_waits_and_what_is_on_trial(on: On) -> None:
    stack = serving(
        versions={1: PENDING, 2: "Approved", 3: "Approved", 4: PENDING, 5: "Rejected", 6: PENDING},
        trial=configuration(3),
        trial_status="Creating",
    )
    done = on(stack, "status", "--pipeline", "main")
    assert f"endpoint  {NAME}: InService, serves version 2\n" in done.out
    assert f"approval  version 3 is on trial: try-{NAME} is Creating\n" in done.out
    assert (
        "approval  version 6 (and 1 older one) waits for approval: "
        f"`python build.py approve 6{OPTIONS}`\n"
    ) in done.out
    assert on(stack, "status", "--json").json["approval"] == {
        "waiting": [6, 4],
        "command": f"python build.py approve 6{OPTIONS}",
        "approved": 3,
        "serves": 2,
        "deploying": None,
        "trial": {"name": f"try-{NAME}", "status": "Creating", "version": 3},
    }


def test_the_status_shows_a_change_of_the_endpoint_and_an_approval_before_it(on: On) -> None:
    changing = serving(status="Updating", coming=configuration(3))
    assert ": Updating, serves version 2, changes to version 3\n" in on(changing, "status").out
    fresh = serving(versions={2: "Approved", 3: "Approved"})
    assert "approval  version 3 is approved, and does not serve\n" in on(fresh, "status").out


def test_the_status_of_several_pipelines_names_the_pipeline(on: On) -> None:
    done = on(serving(runs={"main": ["m1"], "churn": ["c1"]}), "status")
    approve = f"python build.py approve 3{OPTIONS} --pipeline main"
    assert f"main  version 3 waits for approval: `{approve}`\n" in done.out
    assert "InService, serves version 2" in done.out


def test_the_status_has_no_approvals_where_runs_deploy(on: On) -> None:
    stack = run_deploys()
    assert on(stack, "status", "--json").json["approval"] is None
    assert "approval" not in on(stack, "status").out


@pytest.mark.parametrize("name", ["ListModelPackages", "DescribeEndpoint"])
def test_the_status_says_what_it_cannot_see(on: On, name: str) -> None:
    done = on(serving(denied=frozenset({f"sagemaker.{name}"})), "status")
    assert done.status == 0
    assert "Unknown, because permissions are missing: " in done.out


def test_an_endpoint_that_failed_is_recreated_by_an_approval(on: On) -> None:
    done = on(serving(status="Failed"), "status")
    assert f"approving a version recreates it (`python build.py approve{OPTIONS}`)" in done.out
    absent = on(serving(serves=""), "invoke", "1,2")
    assert f"approving a version creates it (`python build.py approve{OPTIONS}`)" in absent.err


def test_versions_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = serving(runs={"main": ["m1"], "churn": ["c1"]}, versions={3: PENDING, 12: "Approved"})
    session = made.session()
    monkeypatch.setattr("tabular_ml_vpc.operations.target._open_session", lambda *_: session)
    context = cli.make_context("build.py", ["approve", "--help"], resilient_parsing=True)
    context.params = {"pipeline": "main", "region": "eu-west-1"}
    found = version_numbers(context, context.command.params[0], "")
    assert [(one.value, one.help) for one in found] == [("12", "Approved"), ("3", PENDING)]
    assert [one.value for one in version_numbers(context, context.command.params[0], "1")] == ["12"]
    context.params["pipeline"] = "churn"
    assert version_numbers(context, context.command.params[0], "") == []
