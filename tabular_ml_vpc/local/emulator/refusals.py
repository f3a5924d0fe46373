"""The answer to a caller without a permission, for services that Ministack does not check."""

from __future__ import annotations

from ministack.core.iam_actions import access_denied_response
from ministack.core.iam_evaluator import EvalResult

from tabular_ml_vpc.local.emulator.types import ApiResponse


def refusal(
    service: str, action: str, resource: str, result: EvalResult, headers: dict[str, str]
) -> ApiResponse:
    """Return what AWS answers; ``result`` says who was refused, and whether by a Deny."""
    answer: ApiResponse = access_denied_response(
        service,
        action,
        result.principal_arn,
        "",
        headers=headers,
        resource_arn=resource,
        explicit_deny=result.decision == "Deny",
    )
    return answer
