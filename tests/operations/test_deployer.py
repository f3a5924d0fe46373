"""Somebody with the rights of docs/deployer.md, and no others, can deploy, look and destroy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from boto3.session import Session

from tests.emulated import TEMPLATES, Run, as_user


@pytest.fixture
def deployer(aws: Session) -> Iterator[None]:
    """Be a user with the deployer's policies."""
    with as_user(aws, "deployer", sorted(TEMPLATES.glob("deployer-policy*.json"))):
        yield


@pytest.mark.usefixtures("deployer")
def test_the_deployer_s_policies_are_enough_for_the_commands(run: Run) -> None:
    made = run("deploy", "--yes", "--json")
    assert made.status == 0, made
    assert run("deploy", "--yes", "--json").json["changed"] is False
    assert run("diff", "--set", "Rows=700", "--exit-code").status == 1
    assert run("deploy", "--set", "Rows=700", "--yes").status == 0
    status = run("status", "--json")
    assert (status.status, status.json["stack"]["status"]) == (0, "UPDATE_COMPLETE")
    assert "list_spaces" in status.json["unseen"]
    # `deploy` shows the log behind a failure; the groups are encrypted, and reading needs the key.
    logs = Session().client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    encrypted = [group for group in groups if "kmsKeyId" in group]
    assert encrypted
    for group in encrypted:
        logs.filter_log_events(logGroupName=group["logGroupName"])

    gone = run("destroy", "--yes", "--json")
    assert gone.status == 0, gone
    assert gone.json["left"] == []
    assert "PipelineStack/RunFailedRule" in gone.json["unseen"]


@pytest.mark.usefixtures("deployer")
def test_what_the_rights_do_not_allow_is_said_in_one_line(run: Run) -> None:
    checked = {one["check"]: one["verdict"] for one in run("doctor", "--json").json}
    assert checked["rights"] == "unknown"
    outside = run("status", "--stack-name", "elsewhere")
    assert (outside.status, outside.err.count("\n")) == (1, 1)
    assert "no permission for " in outside.err
