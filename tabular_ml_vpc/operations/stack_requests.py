"""What is requested of CloudFormation, besides change sets, and which statuses block an update."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tabular_ml_vpc.operations.changes import CAPABILITIES, ChangeSet, DeployRequest
from tabular_ml_vpc.operations.stacks import UPDATABLE, Stack
from tabular_ml_vpc.operations.target import Target


class Repair(StrEnum):
    """What makes a stack updatable again."""

    DELETE_AND_CREATE = "delete and recreate it"
    CONTINUE = "continue the rollback"
    WAIT = ""


BLOCKED: Final[Mapping[str, tuple[str, Repair]]] = {
    "ROLLBACK_COMPLETE": (
        "its creation failed and was rolled back: no resources remain, and CloudFormation cannot "
        "update it",
        Repair.DELETE_AND_CREATE,
    ),
    "ROLLBACK_FAILED": (
        "its creation failed, and some of its resources could not be deleted",
        Repair.DELETE_AND_CREATE,
    ),
    "CREATE_FAILED": (
        "its creation failed and was not rolled back",
        Repair.DELETE_AND_CREATE,
    ),
    "DELETE_FAILED": (
        "its deletion failed partway: some of its resources remain",
        Repair.DELETE_AND_CREATE,
    ),
    "REVIEW_IN_PROGRESS": (
        "it has no resources: a change set was created for it but never executed",
        Repair.DELETE_AND_CREATE,
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "an update failed, and so did its rollback, which can continue once you have fixed the "
        "cause",
        Repair.CONTINUE,
    ),
    "UPDATE_FAILED": (
        "an update failed and was not rolled back",
        Repair.CONTINUE,
    ),
}
"""Why a status blocks updates, and the repair (CloudFormation user guide, "Stack status codes"
and "Continue rolling back an update")."""


@dataclass(frozen=True)
class Blocked:
    """Why a stack cannot be updated, and what would repair it."""

    status: str
    reason: str
    repair: Repair


def blocked(stack: Stack) -> Blocked | None:
    """Return why the stack cannot be updated, or None."""
    if stack.status in UPDATABLE:
        return None
    if stack.busy:
        return Blocked(stack.status, "an operation is in progress", Repair.WAIT)
    unknown = ("CloudFormation cannot update it", Repair.WAIT)
    return Blocked(stack.status, *BLOCKED.get(stack.status, unknown))


@dataclass(frozen=True)
class StackRequests:
    """Requests for the stack of a target; none of them waits for the operation."""

    target: Target

    def create(self, request: DeployRequest) -> str:
        """Request the creation of the stack; return its id."""
        answer = self._client.create_stack(
            StackName=self.target.stack,
            TemplateURL=request.template_url,
            Parameters=request.parameters,
            Capabilities=list(CAPABILITIES),
            ClientRequestToken=_token("create"),
            **request.service_role(),
        )
        return str(answer["StackId"])

    def execute(self, change_set: ChangeSet) -> None:
        """Request the execution of a change set."""
        self._client.execute_change_set(
            ChangeSetName=change_set.id,
            StackName=change_set.stack_id,
            ClientRequestToken=_token("execute"),
        )

    def delete(self, stack: Stack) -> None:
        """Request the deletion of a stack."""
        self._client.delete_stack(StackName=stack.id, ClientRequestToken=_token("delete"))

    def repair(self, stack: Stack, repair: Repair) -> None:
        """Request the deletion or the rollback without which the stack cannot be updated."""
        if repair is Repair.DELETE_AND_CREATE:
            self.delete(stack)
        elif stack.status == "UPDATE_FAILED":
            self._client.rollback_stack(StackName=stack.id, ClientRequestToken=_token("rollback"))
        else:
            self._client.continue_update_rollback(
                StackName=stack.id, ClientRequestToken=_token("continue")
            )

    @property
    def _client(self) -> Any:
        return self.target.client("cloudformation")


def _token(purpose: str) -> str:
    return f"build-py-{purpose}-{uuid.uuid4()}"
