"""What an update would do, as a tree: read from a change set, or else forecast.

A change set with nested stacks comes from CloudFormation itself. Where it has no part for a nested
stack (creating one can fail if a value from another stack is split,
aws-cloudformation/cloudformation-coverage-roadmap#759), the templates are compared instead
(``tabular_ml_vpc.operations.forecast``).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from botocore.exceptions import ClientError

from generator.cfn.expressions import NESTED
from generator.errors import CommandError
from pipeline.types import JsonView
from tabular_ml_vpc.operations import validation
from tabular_ml_vpc.operations.target import Target, code_of, message_of
from tabular_ml_vpc.operations.validation import ValidationEvent

TAGS: Final = "Tags"
CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_NOTHING: Final = ("didn't contain changes", "No updates are to be performed", "no changes")
_LATER: Final = "changeSet:KNOWN_AFTER_APPLY"
"""Stands for a value that is known only after another stack is updated (roadmap#2113)."""
_PENDING: Final = frozenset({"CREATE_PENDING", "CREATE_IN_PROGRESS"})
_ABSENT: Final = frozenset({"ChangeSetNotFound", "ChangeSetNotFoundException"})
_DISCARD_LOOKS: Final = 30
_UNDECIDED: Final = frozenset({"Automatic", "NoModification"})


class ChangeAction(StrEnum):
    """What happens to a resource."""

    ADD = "add"
    MODIFY = "modify"
    REPLACE = "replace"
    MAYBE_REPLACE = "may replace"
    REMOVE = "remove"
    IMPORT = "import"


@dataclass(frozen=True)
class Change:
    """The change of one resource; a nested stack has the changes in it as ``children``.

    ``properties`` are those that change; ``kept`` says that the old resource is kept, outside the
    stack, when it is removed or replaced.
    """

    logical_id: str
    type: str
    physical_id: str
    action: ChangeAction
    properties: tuple[str, ...] = ()
    note: str = ""
    kept: bool = False
    children: tuple[Change, ...] = ()

    def walk(self, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Change]]:
        """Yield this change and its children, each with the logical ids above it."""
        yield path, self
        for child in self.children:
            yield from child.walk((*path, self.logical_id))

    def as_json(self) -> dict[str, object]:
        """Return plain values."""
        return {
            "logical_id": self.logical_id,
            "type": self.type,
            "physical_id": self.physical_id,
            "action": str(self.action),
            "properties": list(self.properties),
            "note": self.note,
            "kept": self.kept,
            "children": [child.as_json() for child in self.children],
        }


class NoChangesError(Exception):
    """The change set is empty: there is nothing to do."""


Forecast = Callable[[JsonView], tuple[Change, ...]]
"""Returns the changes in a nested stack, from the ``ResourceChange`` in its parent."""


@dataclass(frozen=True)
class DeployRequest:
    """The content of a change set request."""

    template_url: str
    parameters: list[dict[str, Any]]
    role: str | None = None
    """ARN of the service role that CloudFormation assumes (docs/deployer.md)."""

    def service_role(self) -> dict[str, str]:
        """Return the request's ``RoleARN``, if there is one."""
        return {"RoleARN": self.role} if self.role else {}


@dataclass(frozen=True)
class ChangeSet:
    """A change set that is ready; ``nested`` says whether it includes the nested stacks."""

    id: str
    stack_id: str
    nested: bool
    note: str = ""
    validation: tuple[ValidationEvent, ...] = ()
    """What CloudFormation's validation found, as warnings: errors reject the change set."""


@dataclass(frozen=True)
class ChangeSets:
    """Change sets of the stack of a target."""

    target: Target
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def open(self, request: DeployRequest, name: str | None = None) -> Iterator[ChangeSet]:
        """Give a change set for the stack; it is deleted afterward unless it was executed.

        Raises:
            NoChangesError: it would be empty.
            CommandError: CloudFormation rejected the change set.

        """
        created: list[str] = []
        try:
            yield self._ready(request, name or _unique_name(), created)
        finally:
            for change_set_name in created:
                self._discard(change_set_name)

    def _ready(self, request: DeployRequest, name: str, created: list[str]) -> ChangeSet:
        """Create it with the nested stacks or, if that fails, without them."""
        refused = ""
        for title, nested in ((name, True), (f"{name}-flat", False)):
            arn, stack_id = self._create(request, title, created, nested=nested)
            reason = self._wait(arn, stack_id)
            found = validation.of_change_set(self.target, arn, stack_id)
            if reason is None:
                return ChangeSet(arn, stack_id, nested, refused, found)
            _require_valid(found)
            refused = reason
        raise CommandError(f"CloudFormation rejected the change: {refused}")

    def _create(
        self, request: DeployRequest, name: str, created: list[str], nested: bool
    ) -> tuple[str, str]:
        created.append(name)  # before the call, which may be interrupted
        answer = self._client.create_change_set(
            StackName=self.target.stack,
            ChangeSetName=name,
            ChangeSetType="UPDATE",
            TemplateURL=request.template_url,
            Parameters=request.parameters,
            Capabilities=list(CAPABILITIES),
            IncludeNestedStacks=nested,
            **request.service_role(),
        )
        return answer["Id"], answer["StackId"]

    def _wait(self, arn: str, stack_id: str) -> str | None:
        """Wait until it is ready (None) or has failed (the reason)."""
        names = {"ChangeSetName": arn, "StackName": stack_id}
        while True:
            answer = self._client.describe_change_set(**names)
            if answer["Status"] == "CREATE_COMPLETE":
                return None
            if answer["Status"] not in _PENDING:
                reason = " ".join(answer.get("StatusReason", answer["Status"]).split())
                if any(part in reason for part in _NOTHING):
                    raise NoChangesError
                return reason
            self.sleep(self.target.poll_seconds)

    def _discard(self, name: str) -> None:
        """Delete a change set, unless it was executed or never created."""
        names = {"ChangeSetName": name, "StackName": self.target.stack}
        for _ in range(_DISCARD_LOOKS):
            try:
                self._client.delete_change_set(**names)
            except ClientError as error:
                if code_of(error) in _ABSENT or "does not exist" in message_of(error):
                    return
                if code_of(error) != "InvalidChangeSetStatus":
                    raise
                if self._client.describe_change_set(**names)["Status"] not in _PENDING:
                    return
                self.sleep(self.target.poll_seconds)
            else:
                return

    def read(self, change_set: ChangeSet, forecast: Forecast) -> tuple[Change, ...]:
        """Return the changes in a change set and in those nested in it.

        Raises:
            NoChangesError: there are none.

        """
        changes = tuple(self._read(change_set.id, change_set.stack_id, forecast))
        if not changes:
            raise NoChangesError
        return changes

    def _read(self, arn: str, stack: str, forecast: Forecast) -> Iterator[Change]:
        items, parameters = self._described(arn, stack)
        later = {
            parameter["ParameterKey"]
            for parameter in parameters
            if _LATER in parameter.get("ParameterValue", "")
        }
        for item in items:
            resource = item["ResourceChange"]
            change: Change | None = _change(resource, later)
            if resource["ResourceType"] == NESTED:
                change = self._with_children(resource, _change(resource, later), forecast)
            if change is not None:
                yield change

    def _described(self, arn: str, stack: str) -> tuple[list[JsonView], list[JsonView]]:
        """Return all pages of changes, and the parameters.

        Names the stack, too, if it is known: permissions to describe change sets apply to stacks.
        """
        changes: list[JsonView] = []
        token: dict[str, str] = {"StackName": stack} if stack else {}
        while True:
            page = self._client.describe_change_set(
                ChangeSetName=arn, IncludePropertyValues=True, **token
            )
            changes += page.get("Changes", [])
            if not page.get("NextToken"):
                return changes, page.get("Parameters", [])
            token["NextToken"] = page["NextToken"]

    def _with_children(
        self, resource: JsonView, change: Change, forecast: Forecast
    ) -> Change | None:
        """Add the changes in a nested stack; None if neither those nor the stack's tags change."""
        if resource.get("ChangeSetId"):
            stack = resource.get("PhysicalResourceId", "")
            children = tuple(self._read(resource["ChangeSetId"], stack, forecast))
        else:
            children = forecast(resource)
        change = replace(change, children=children)
        retagged = TAGS in change.properties or TAGS in resource.get("Scope", ())
        return change if children or retagged or change.action is not ChangeAction.MODIFY else None

    @property
    def _client(self) -> Any:
        return self.target.client("cloudformation")


def _require_valid(found: Iterable[ValidationEvent]) -> None:
    """Raise if a change set failed because of what its validation found."""
    if errors := [str(event) for event in found if event.fatal]:
        raise CommandError(f"CloudFormation's validation failed: {'; '.join(errors)}")


def _unique_name() -> str:
    now = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"build-py-{now}-{uuid.uuid4().hex[:8]}"


def _change(resource: JsonView, later: set[str]) -> Change:
    details = resource.get("Details", [])
    names = {
        _property(detail) for detail in details if detail.get("ChangeSource") not in _UNDECIDED
    }
    action, note = _action(resource, details, later)
    return Change(
        logical_id=resource["LogicalResourceId"],
        type=resource["ResourceType"],
        physical_id=resource.get("PhysicalResourceId", ""),
        action=action,
        properties=tuple(sorted(names - {""})),
        note=note,
        kept=resource.get("PolicyAction", "") in {"Retain", "ReplaceAndRetain"},
    )


def _property(detail: JsonView) -> str:
    target = detail.get("Target", {})
    return str(target.get("Name") or target.get("Attribute") or "")


def _action(
    resource: JsonView, details: Iterable[JsonView], later: set[str]
) -> tuple[ChangeAction, str]:
    simple = {"Add": ChangeAction.ADD, "Remove": ChangeAction.REMOVE, "Import": ChangeAction.IMPORT}
    if resource["Action"] in simple:
        return simple[resource["Action"]], ""
    if resource.get("Replacement", "False") == "False" or resource["ResourceType"] == NESTED:
        return ChangeAction.MODIFY, ""  # a nested stack is updated even if its content is replaced
    forcing = [detail for detail in details if _recreates(detail)]
    if resource["Replacement"] == "True" and any(_is_certain(detail, later) for detail in forcing):
        return ChangeAction.REPLACE, ""
    if any(_is_later(detail, later) for detail in forcing):
        return ChangeAction.MAYBE_REPLACE, "if the value from another stack changes"
    return ChangeAction.MAYBE_REPLACE, "depending on the value"


def _recreates(detail: JsonView) -> bool:
    return str(detail.get("Target", {}).get("RequiresRecreation", "Never")) != "Never"


def _is_certain(detail: JsonView, later: set[str]) -> bool:
    """Return whether the change is certain; its value may be known only during the update."""
    if _is_later(detail, later) or detail.get("Evaluation") != "Static":
        return False
    return str(detail.get("Target", {}).get("RequiresRecreation")) == "Always"


def _is_later(detail: JsonView, later: set[str]) -> bool:
    if detail.get("Evaluation") == "Dynamic" or str(detail.get("CausingEntity", "")) in later:
        return True
    return _LATER in str(detail.get("Target", {}).get("AfterValue", ""))
