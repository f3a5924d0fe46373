"""CloudFormation in memory: the status of one stack."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.functions.fakes.wire import ApiError, Backend, Fields


class FakeCloudFormation(Backend):
    """The stack of the functions: in the operation that sends the event, unless a test sets it."""

    def __init__(self, stack_id: str) -> None:
        super().__init__()
        self.stack_id, self.status = stack_id, ""
        self.sent = "Delete"

    def describe_stacks(self, p: Fields) -> Fields:
        if p["StackName"] != self.stack_id:
            raise ApiError("ValidationError", f"Stack with id {p['StackName']} does not exist")
        stack = {
            "StackName": "demo",
            "StackId": self.stack_id,
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
            "StackStatus": self.status or f"{self.sent.upper()}_IN_PROGRESS",
        }
        return {"Stacks": [stack]}
