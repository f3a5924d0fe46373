"""Change sets of nested stacks, read from responses that botocore's model knows."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from generator.errors import CommandError
from pipeline.types import Json
from tabular_ml_vpc.cli import change_view
from tabular_ml_vpc.operations import validation
from tabular_ml_vpc.operations.changes import (
    Change,
    ChangeAction,
    ChangeSet,
    ChangeSets,
    DeployRequest,
    NoChangesError,
)
from tabular_ml_vpc.operations.comparison import StackDifference
from tabular_ml_vpc.operations.operation import Cause
from tabular_ml_vpc.operations.stack_requests import StackRequests
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

CHILD = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/child/1"
ROOT = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/root/1"
LATER = "{{changeSet:KNOWN_AFTER_APPLY}}"


def detail(name: str, recreation: str = "Never", **more: str) -> Json:
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreation}
    target |= {key: more.pop(key) for key in ("BeforeValue", "AfterValue") if key in more}
    return {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"} | more


def change(name: str, kind: str, action: str, *details: Json, **more: str) -> Json:
    resource = {
        "Action": action,
        "LogicalResourceId": name,
        "ResourceType": kind,
        "Details": list(details),
    }
    return {"Type": "Resource", "ResourceChange": resource | more}


def answered(root: Json, child: Json | None = None) -> Target:
    """Return a target whose change sets are these."""
    sets = {ROOT: root, CHILD: child or {"Changes": []}}

    def describe(body: Mapping[str, Any]) -> Json:
        assert body["IncludePropertyValues"] == "true"
        found = sets[body["ChangeSetName"]]
        return found[body.get("NextToken", "")] if "" in found else found

    return Target(canned.session({"cloudformation.DescribeChangeSet": describe}), "tabular-life")


def read(root: Json, child: Json | None = None) -> tuple[Change, ...]:
    change_set = ChangeSet(ROOT, "stack/tabular-life/1", nested=True)
    return ChangeSets(answered(root, child)).read(change_set, lambda _: ())


def in_nested(*found: Json, **more: Any) -> Change:
    """Return the only change of a nested stack."""
    nested = change("NetworkStack", "AWS::CloudFormation::Stack", "Modify", ChangeSetId=CHILD)
    (top,) = read({"Changes": [nested]}, {"Changes": list(found)} | more)
    (inner,) = top.children
    return inner


def test_a_change_of_a_create_only_property_is_a_certain_replacement() -> None:
    cidr = detail("CidrBlock", "Always", BeforeValue="10.0.0.0/16", AfterValue="10.1.0.0/16")
    found = in_nested(
        change("Vpc", "AWS::EC2::VPC", "Modify", cidr, Replacement="True", PhysicalResourceId="v")
    )
    assert (found.action, found.properties) == (ChangeAction.REPLACE, ("CidrBlock",))


def test_a_value_that_is_known_after_apply_is_a_possible_replacement() -> None:
    subnet = detail("SubnetId", "Always", BeforeValue="subnet-1", AfterValue=LATER)
    found = in_nested(
        change("Gateway", "AWS::EC2::NatGateway", "Modify", subnet, Replacement="True")
    )
    assert (found.action, found.note) == (
        ChangeAction.MAYBE_REPLACE,
        "if the value from another stack changes",
    )


def test_a_parameter_that_is_known_after_apply_is_a_possible_replacement() -> None:
    vpc = detail("VpcId", "Always", ChangeSource="ParameterReference", CausingEntity="VpcId")
    found = in_nested(
        change("Subnet", "AWS::EC2::Subnet", "Modify", vpc, Replacement="True"),
        Parameters=[{"ParameterKey": "VpcId", "ParameterValue": LATER}],
    )
    assert found.action is ChangeAction.MAYBE_REPLACE


def test_a_parameter_with_a_known_value_is_a_certain_replacement() -> None:
    vpc = detail("VpcId", "Always", ChangeSource="ParameterReference", CausingEntity="VpcId")
    found = in_nested(
        change("Subnet", "AWS::EC2::Subnet", "Modify", vpc, Replacement="True"),
        Parameters=[{"ParameterKey": "VpcId", "ParameterValue": "vpc-1"}],
    )
    assert found.action is ChangeAction.REPLACE


def test_one_certain_reason_outweighs_a_possible_one() -> None:
    later = detail("VpcId", "Always", AfterValue=LATER)
    sure = detail("CidrBlock", "Always", AfterValue="10.1.0.0/24")
    found = in_nested(
        change("Subnet", "AWS::EC2::Subnet", "Modify", later, sure, Replacement="True")
    )
    assert found.action is ChangeAction.REPLACE


def test_a_conditional_replacement_is_possible() -> None:
    name = detail("Name", "Conditionally")
    found = in_nested(change("X", "AWS::SNS::Topic", "Modify", name, Replacement="Conditional"))
    assert (found.action, found.note) == (ChangeAction.MAYBE_REPLACE, "depending on the value")


def test_what_stays_when_it_is_removed_is_said_to_stay() -> None:
    found = in_nested(
        change("Data", "AWS::S3::Bucket", "Remove", PolicyAction="Retain", PhysicalResourceId="b")
    )
    assert (found.action, found.kept) == (ChangeAction.REMOVE, True)


def test_a_nested_stack_in_which_nothing_changes_is_no_change() -> None:
    automatic = detail("TemplateURL", ChangeSource="Automatic", Evaluation="Dynamic")
    nested = change(
        "StudioStack", "AWS::CloudFormation::Stack", "Modify", automatic, ChangeSetId=CHILD
    )
    with pytest.raises(NoChangesError):
        read({"Changes": [nested]}, {"Changes": []})


def test_a_nested_stack_whose_tags_alone_change_is_a_change() -> None:
    tags = {"Target": {"Attribute": "Tags"}, "ChangeSource": "DirectModification"}
    nested = change("StudioStack", "AWS::CloudFormation::Stack", "Modify", tags, ChangeSetId=CHILD)
    (found,) = read({"Changes": [nested]}, {"Changes": []})
    assert (found.logical_id, found.properties) == ("StudioStack", ("Tags",))


def test_every_page_of_changes_is_read() -> None:
    pages = {
        "": {"Changes": [change("A", "AWS::SNS::Topic", "Add")], "NextToken": "two"},
        "two": {"Changes": [change("B", "AWS::SNS::Topic", "Add")]},
    }
    assert [one.logical_id for one in read(pages)] == ["A", "B"]


def shown(*found: Change) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(change_view.tree(found, "life would change"))
    return console.export_text()


def test_a_replacement_says_what_is_lost() -> None:
    bucket = Change("Data", "AWS::S3::Bucket", "data-1", ChangeAction.REPLACE, ("BucketName",))
    assert "! Data  S3::Bucket  replace  BucketName  lost: all objects in it" in shown(bucket)


def test_what_stays_is_not_called_lost() -> None:
    bucket = Change("Data", "AWS::S3::Bucket", "data-1", ChangeAction.REMOVE, kept=True)
    assert "the old one is kept, outside the stack" in shown(bucket)
    assert "lost" not in shown(bucket)


WANTED = DeployRequest("https://s3.eu-west-1.amazonaws.com/b/templates/1.yaml", [])


def making(statuses: list[Json], calls: list[str], events: list[Json] | None = None) -> Target:
    """Return a target where change sets end as told, one after another."""

    def note(name: str, answer: Json) -> Any:
        def handle(body: Mapping[str, Any]) -> Json:
            calls.append(f"{name} {body.get('ChangeSetName', '')}".strip())
            if name == "create":
                calls[-1] += f" nested={body['IncludeNestedStacks']}"
            return answer or statuses.pop(0)

        return handle

    return Target(
        canned.session(
            {
                "cloudformation.DescribeEvents": {"OperationEvents": events or []},
                "cloudformation.CreateChangeSet": note("create", {"Id": ROOT, "StackId": "s"}),
                "cloudformation.DescribeChangeSet": note("describe", {}),
                "cloudformation.DeleteChangeSet": note("delete", {"ResponseMetadata": {}}),
            }
        ),
        "tabular-life",
    )


def no_sleep(_seconds: float) -> None:
    """Wait for nothing."""


def test_a_change_set_is_removed_after_its_use() -> None:
    calls: list[str] = []
    target = making([{"Status": "CREATE_PENDING"}, {"Status": "CREATE_COMPLETE"}], calls)
    with ChangeSets(target, no_sleep).open(WANTED, "mine") as found:
        assert found.nested
    assert calls[-1] == "delete mine"


def test_a_change_set_is_removed_after_an_interruption() -> None:
    calls: list[str] = []
    target = making([{"Status": "CREATE_COMPLETE"}], calls)
    with pytest.raises(KeyboardInterrupt), ChangeSets(target, no_sleep).open(WANTED, "mine"):
        raise KeyboardInterrupt
    assert calls[-1] == "delete mine"


def test_an_interruption_while_it_is_made_removes_it_too() -> None:
    calls: list[str] = []
    target = making([{"Status": "CREATE_PENDING"}], calls)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ChangeSets(target, interrupt).open(WANTED, "mine"):
        pytest.fail("it was never ready")
    assert calls[-1] == "delete mine"


def test_an_empty_change_set_means_that_nothing_would_change() -> None:
    reason = "The submitted information didn't contain changes."
    calls: list[str] = []
    target = making([{"Status": "FAILED", "StatusReason": reason}], calls)
    with pytest.raises(NoChangesError), ChangeSets(target, no_sleep).open(WANTED, "mine"):
        pytest.fail("it was empty")
    assert calls[-1] == "delete mine"


def test_one_without_the_nested_stacks_is_made_where_they_fail() -> None:
    reason = "Template error: Fn::Select cannot select nonexistent value at index 1"
    calls: list[str] = []
    target = making(
        [{"Status": "FAILED", "StatusReason": reason}, {"Status": "CREATE_COMPLETE"}], calls
    )
    with ChangeSets(target, no_sleep).open(WANTED, "mine") as found:
        assert (found.nested, found.note) == (False, reason)
    assert [one for one in calls if one.startswith("create")] == [
        "create mine nested=true",
        "create mine-flat nested=false",
    ]
    assert {one for one in calls if one.startswith("delete")} == {"delete mine", "delete mine-flat"}


def test_a_refusal_of_both_is_told_with_its_reason() -> None:
    failed = {"Status": "FAILED", "StatusReason": "Parameters: [Rows] must have values"}
    target = making([failed, dict(failed)], [])
    with (
        pytest.raises(CommandError, match=r"Parameters: \[Rows\] must have values"),
        ChangeSets(target, no_sleep).open(WANTED, "mine"),
    ):
        pytest.fail("it was refused")


def found_by_validation(mode: str) -> Json:
    return {
        "EventType": "VALIDATION_ERROR",
        "LogicalResourceId": "DataBucket",
        "ResourceType": "AWS::S3::Bucket",
        "ValidationPath": "/Resources/DataBucket",
        "ValidationFailureMode": mode,
        "ValidationStatus": "FAILED",
        "ValidationStatusReason": "The bucket is not\nempty.",
    }


def test_what_validation_rejects_is_told_instead_of_a_general_reason() -> None:
    failed = {"Status": "FAILED", "StatusReason": "Validation failed. Call DescribeEvents."}
    target = making([failed], [], [found_by_validation("FAIL")])
    said = r"validation failed: /Resources/DataBucket: The bucket is not empty\."
    with pytest.raises(CommandError, match=said), ChangeSets(target, no_sleep).open(WANTED, "m"):
        pytest.fail("it was rejected")


def test_what_validation_warns_of_is_shown_before_anything_starts() -> None:
    progress = {"EventType": "PROGRESS_EVENT", "ResourceStatus": "CREATE_COMPLETE"}
    ready: Json = {"Status": "CREATE_COMPLETE"}
    target = making([ready], [], [progress, found_by_validation("WARN")])
    with ChangeSets(target, no_sleep).open(WANTED, "mine") as found:
        (event,) = found.validation
    assert (event.fatal, event.logical_id) == (False, "DataBucket")
    difference = StackDifference(True, validation=found.validation)
    console = Console(width=160, record=True, file=io.StringIO())
    change_view.show(console, difference, "life would change")
    assert "validation: /Resources/DataBucket: The bucket is not empty." in console.export_text()


def test_a_missing_permission_to_read_what_validation_found_is_said() -> None:
    denied = canned.refusal("AccessDenied", "no")
    target = Target(canned.session({"cloudformation.DescribeEvents": denied}), "life")
    (event,) = validation.of_change_set(target, ROOT, "s")
    assert "no permission for cloudformation:DescribeEvents" in str(event)
    assert not event.fatal


def test_a_service_role_is_handed_to_cloudformation() -> None:
    role = "arn:aws:iam::123456789012:role/tabular-deployer"
    asked: dict[str, Any] = {}

    def create(body: Mapping[str, Any]) -> Json:
        asked.update(body)
        return {"StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/tabular-life/1"}

    target = Target(canned.session({"cloudformation.CreateStack": create}), "tabular-life")
    StackRequests(target).create(DeployRequest(WANTED.template_url, [], role))
    assert asked["RoleARN"] == role


def test_the_cause_of_a_failed_creation_is_what_validation_found() -> None:
    events = {"OperationEvents": [found_by_validation("FAIL")]}
    target = Target(canned.session({"cloudformation.DescribeEvents": events}), "life")
    reason = "Validation failed with 1 error(s). Call DescribeEvents to retrieve the full list"
    cause = Cause((), "s", "life", "", "AWS::CloudFormation::Stack", reason, datetime.now(UTC))
    found = validation.explained(target, cause)
    assert found.place == "DataBucket"
    assert found.reason == "/Resources/DataBucket: The bucket is not empty."
