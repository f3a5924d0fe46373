"""The log of the function behind a failed custom resource."""

from __future__ import annotations

from datetime import UTC, datetime

from tabular_ml_vpc.operations import function_logs
from tabular_ml_vpc.operations.operation import Cause
from tabular_ml_vpc.operations.target import Target
from tests.operations import canned

WHEN = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/tabular-ChurnPipelineStack/1"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:tabular-manager"


def test_a_function_of_another_stack_is_found_by_the_parameter_with_its_arn() -> None:
    asked: list[str] = []

    def configured(_body: object) -> dict[str, object]:
        return {"LoggingConfig": {"LogGroup": "the-group"}}

    def logged(body: bytes) -> dict[str, object]:
        asked.append(body.decode())
        stamp = int(WHEN.timestamp() * 1000)
        return {"events": [{"timestamp": stamp, "message": "no such role"}]}

    stack = {
        "StackName": "tabular-ChurnPipelineStack",
        "StackId": STACK,
        "StackStatus": "ROLLBACK_IN_PROGRESS",
        "CreationTime": WHEN,
        "Parameters": [{"ParameterKey": "ManagerFunctionArn", "ParameterValue": FUNCTION}],
    }
    answers: dict[str, canned.Answer] = {
        "cloudformation.DescribeStacks": {"Stacks": [stack]},
        "lambda.GetFunctionConfiguration": configured,
        "logs.FilterLogEvents": logged,  # type: ignore[dict-item] # a JSON body
    }
    template = {
        "Parameters": {"ManagerFunctionArn": {"Type": "String"}},
        "Resources": {"Pipeline": {"Properties": {"ServiceToken": {"Ref": "ManagerFunctionArn"}}}},
    }
    cause = Cause(
        ("ChurnPipelineStack",), STACK, "Pipeline", "", "Custom::Pipeline", "failed", WHEN
    )
    target = Target(canned.session(answers), "tabular")

    assert function_logs.behind(target, cause, [], template, 5) == ["no such role"]
    assert "the-group" in asked[0]
