"""A dashboard is like any other resource of the stack: found if it is left, and harmless."""

from __future__ import annotations

from tabular_ml_vpc.operations.inventory import PlannedDeletion, left_of
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

NAME = "tabular-0123456789ab"
PLANNED = [PlannedDeletion("PipelineStack/Dashboard", "AWS::CloudWatch::Dashboard", NAME)]


def left(answer: canned.Answer) -> list[str]:
    """Return the commands that remove what is left, by what CloudWatch says of the dashboard."""
    session = canned.session({"cloudwatch.GetDashboard": answer})
    return [one.command for one in left_of(Target(session, "t"), PLANNED, lambda _: "", [])]


def test_a_dashboard_that_is_left_comes_with_the_command_that_removes_it() -> None:
    assert left({"DashboardName": NAME, "DashboardBody": "{}"}) == [
        f"aws cloudwatch delete-dashboards --dashboard-names {NAME} --region eu-west-1"
    ]


def test_a_dashboard_that_is_gone_is_not_left() -> None:
    assert left(canned.refusal("ResourceNotFound", "Dashboard does not exist")) == []
