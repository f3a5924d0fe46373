"""Every state in which a stack can get stuck, and the command that ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from boto3.session import Session

from generator.errors import CommandError
from generator.files import REPOSITORY
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.deployment import Deployment, DeploymentOptions, Failed, Finished
from tabular_ml_vpc.operations.destruction import Destroyed, Destruction, DestructionOptions
from tabular_ml_vpc.operations.events import Question
from tabular_ml_vpc.operations.source import Source
from tabular_ml_vpc.operations.stack_requests import BLOCKED
from tabular_ml_vpc.operations.target import Target
from tests.operations.conftest import Account
from tests.operations.stuck_stack import source, templates

WRONG = "sns:ListTopics"
PAGE = REPOSITORY / "docs/troubleshooting.md"


@dataclass(frozen=True)
class Stuck:
    """A small stack for one test, and what the account had before it."""

    target: Target
    built: Source
    account: Account
    before: Mapping[str, list[str]]

    def deploy(self, repair: bool = False, **changes: Any) -> Finished:
        """Deploy the small stack as changed; answer every question with yes."""
        options = DeploymentOptions(repair=repair)
        run = Deployment(self.target, options, source(self.built, templates(**changes)))
        last: Any = None
        for last in run.events():
            if isinstance(last, Question):
                last.approve()
        assert isinstance(last, Finished)
        return last

    def destroy(self) -> Destroyed:
        """Destroy it; nothing may be left."""
        last: Any = None
        for event in Destruction(self.target, DestructionOptions()).events():
            if isinstance(event, Question):
                event.approve()
            last = event
        assert isinstance(last, Destroyed)
        return last

    @property
    def status(self) -> str:
        found = stacks.find(self.target)
        return found.status if found else "DELETE_COMPLETE"

    @property
    def client(self) -> Any:
        return self.target.client("cloudformation")

    def allow(self, action: str) -> None:
        """Change the role's right by hand."""
        node = stacks.tree(self.target, stacks.need(self.target)).children[0]
        (role,) = [one.physical_id for one in node.resources if one.logical_id == "Role"]
        statement = f'{{"Effect": "Allow", "Action": "{action}", "Resource": "*"}}'
        self.target.client("iam").put_role_policy(
            RoleName=role,
            PolicyName="rights",
            PolicyDocument=f'{{"Version": "2012-10-17", "Statement": [{statement}]}}',
        )


@pytest.fixture
def stuck(aws: Session, built: Source, account: Account) -> Iterator[Stuck]:
    """Give a name for a small stack; at the end, nothing of it is left."""
    target = Target(aws, "tabular-stuck")
    bucket = f"tabular-artifacts-{target.account}-{target.region}"
    before = {kind: [one for one in names if one != bucket] for kind, names in account().items()}
    yield Stuck(target, built, account, before)
    after = {kind: [one for one in names if one != bucket] for kind, names in account().items()}
    assert {kind: names for kind, names in after.items() if names} == {
        kind: names for kind, names in before.items() if names
    }


def begin(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_for(stuck: Stuck, status: str) -> None:
    while stuck.status != status:
        time.sleep(0.05)


def test_a_role_that_lacks_a_right_at_creation_and_rollback(stuck: Stuck) -> None:
    failed = stuck.deploy(action=WRONG)
    assert isinstance(failed, Failed)
    assert failed.stack.status == "ROLLBACK_FAILED"
    with pytest.raises(CommandError, match="could not be repaired; it is in DELETE_FAILED"):
        stuck.deploy(repair=True)
    stuck.allow("sns:GetTopicAttributes")
    assert stuck.deploy(repair=True).stack.status == "CREATE_COMPLETE"
    assert stuck.destroy().deleted


def test_a_role_that_lost_a_right_before_the_deletion(stuck: Stuck) -> None:
    stuck.deploy()
    stuck.allow(WRONG)
    destroyed = stuck.destroy()
    assert destroyed.status == "DELETE_FAILED"
    assert destroyed.cause is not None
    assert "GetTopicAttributes" in destroyed.cause.reason
    stuck.allow("sns:GetTopicAttributes")
    assert stuck.destroy().deleted


def test_a_killed_worker(stuck: Stuck) -> None:
    assert stuck.deploy(dies=True).stack.status == "ROLLBACK_COMPLETE"
    assert stuck.deploy(repair=True).stack.status == "CREATE_COMPLETE"
    assert stuck.destroy().deleted


def test_a_creation_that_was_not_rolled_back(stuck: Stuck) -> None:
    packaged = source(stuck.built, templates())
    root = packaged.texts[f"{stuck.built.folder}/root.yaml"].replace(
        "./security.yaml", "https://no"
    )
    stuck.client.create_stack(
        StackName=stuck.target.stack, TemplateBody=root, OnFailure="DO_NOTHING"
    )
    wait_for(stuck, "CREATE_FAILED")
    assert stuck.deploy(repair=True).stack.status == "CREATE_COMPLETE"
    assert stuck.destroy().deleted


def test_an_update_that_was_rolled_back_leaves_a_stack_that_works(stuck: Stuck) -> None:
    stuck.deploy()
    failed = stuck.deploy(action=WRONG, topic="two")
    assert isinstance(failed, Failed)
    assert failed.stack.status in {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"}
    assert stuck.deploy(repair=True, topic="three").stack.status == "UPDATE_COMPLETE"
    assert stuck.destroy().deleted


def test_a_change_set_that_was_never_executed(stuck: Stuck) -> None:
    root = source(stuck.built, templates()).texts[f"{stuck.built.folder}/root.yaml"]
    stuck.client.create_change_set(
        StackName=stuck.target.stack,
        ChangeSetName="mine",
        ChangeSetType="CREATE",
        TemplateBody=root,
    )
    assert stuck.status == "REVIEW_IN_PROGRESS"
    assert stuck.deploy(repair=True).stack.status == "CREATE_COMPLETE"
    assert stuck.destroy().deleted


def test_deleting_while_creating_leaves_nothing(stuck: Stuck) -> None:
    creation = begin(lambda: stuck.deploy(pause=2))
    wait_for(stuck, "CREATE_IN_PROGRESS")
    time.sleep(0.5)
    assert stuck.destroy().deleted
    creation.join()


def test_deleting_while_updating_waits_for_the_update(stuck: Stuck) -> None:
    stuck.deploy(pause=1)
    update = begin(lambda: stuck.deploy(pause=1, topic="two"))
    wait_for(stuck, "UPDATE_IN_PROGRESS")
    assert stuck.destroy().deleted
    update.join()


def test_of_two_deployments_at_once_one_is_refused_in_one_line(stuck: Stuck) -> None:
    creation = begin(lambda: stuck.deploy(pause=1))
    wait_for(stuck, "CREATE_IN_PROGRESS")
    with pytest.raises(CommandError, match="wait for the operation to finish"):
        stuck.deploy()
    creation.join()
    assert stuck.status == "CREATE_COMPLETE"
    assert stuck.destroy().deleted


def test_every_state_is_in_the_table_of_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition("## Which command ends a stuck state")[2].partition("\n## ")[0]
    rows = {row.split("|")[1].strip(): row for row in table.splitlines() if row.startswith("| ")}
    for status in BLOCKED:
        (row,) = [row for state, row in rows.items() if status in state.split(", ")]
        assert "deploy --repair" in row
        assert "destroy" in row
