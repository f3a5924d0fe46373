"""CloudWatch Logs uses a log group's KMS key with the rights of whoever calls it.

Ministack reads and writes encrypted groups for every caller. Source: "Encrypt log data in
CloudWatch Logs using AWS Key Management Service", step 3, CloudWatch Logs User Guide.
"""

from __future__ import annotations

import json
from typing import Any

from ministack import app
from ministack.core.iam_evaluator import AuthError, enforce
from ministack.core.responses import get_account_id
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services import cloudwatch_logs

from tabular_ml_vpc.local.emulator.handlers import name_as_cloudformation_does
from tabular_ml_vpc.local.emulator.refusals import refusal
from tabular_ml_vpc.local.emulator.types import ApiResponse

NEEDED = {
    "FilterLogEvents": "kms:Decrypt",
    "GetLogEvents": "kms:Decrypt",
    "StartQuery": "kms:Decrypt",
    "PutLogEvents": "kms:GenerateDataKey",
}
"""The right that each operation on an encrypted group needs of its caller."""


def denial(
    operation: str, request: dict[str, Any], headers: dict[str, str], query: dict[str, Any]
) -> ApiResponse | None:
    """Return the answer to a caller who may not use a group's key, or None."""
    action, region = NEEDED.get(operation), extract_region(headers, query)
    if action is None:
        return None
    for group in _groups(request):
        key = (cloudwatch_logs._log_groups.get(group) or {}).get("kmsKeyId")
        if not key:
            continue
        arn = f"arn:aws:logs:{region}:{get_account_id()}:log-group:{group}"
        context = {
            "kms:ViaService": f"logs.{region}.amazonaws.com",
            "kms:EncryptionContext:aws:logs:arn": arn,
            "kms:EncryptionContextKeys": ["aws:logs:arn"],
        }
        caller = extract_access_key_id(headers, query)
        result = enforce(caller, action, "kms", region, key, context)
        if result is not None and not isinstance(result, AuthError):
            return refusal("logs", action, key, result, headers)
    return None


def _groups(request: dict[str, Any]) -> list[str]:
    """Return the names of the log groups that a request is about."""
    names = [request.get("logGroupName"), *request.get("logGroupNames", [])]
    identifiers = [request.get("logGroupIdentifier"), *request.get("logGroupIdentifiers", [])]
    named = [name.rpartition("log-group:")[2].removesuffix(":*") for name in identifiers if name]
    return [name for name in names if name] + named


def register() -> None:
    """Check the caller's rights on the key before ministack answers; name groups as AWS does."""
    name_as_cloudformation_does("AWS::Logs::LogGroup", "LogGroupName")
    stock = app.SERVICE_HANDLERS["logs"]

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        denied = denial(operation, json.loads(body or b"{}"), headers, query)
        return denied or await stock(method, path, headers, body, query)

    app.SERVICE_HANDLERS["logs"] = handle
