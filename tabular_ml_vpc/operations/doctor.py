"""All checks, before any money is spent. None of them changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from generator.errors import CommandError
from tabular_ml_vpc.operations import checks_account, checks_network, checks_quotas
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import in_words, is_denied, told_in_one_line

Check = Callable[[CheckContext], Iterator[CheckFinding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("region", checks_account.region),
    ("images", checks_account.images),
    ("stack", checks_account.stack),
    ("artifact bucket", checks_account.bucket),
    ("endpoint services", checks_network.zones),
    ("private DNS", checks_network.private_names),
    ("network quotas", checks_quotas.vpcs),
    ("instance quotas", checks_quotas.instances),
    ("rights", checks_account.rights),
)


def examine(patient: CheckContext) -> Iterator[CheckFinding]:
    """Yield the findings of all checks; without credentials only that."""
    finding = credentials(patient)
    yield finding
    if finding.verdict is Verdict.PROBLEM:
        return
    for name, check in CHECKS:
        yield from _run(name, check, patient)


def credentials(patient: CheckContext) -> CheckFinding:
    """Check that AWS takes the credentials."""
    try:
        with told_in_one_line():
            identity = patient.target.identity
    except CommandError as error:
        return CheckFinding(
            "credentials",
            Verdict.PROBLEM,
            str(error),
            "nothing can be asked of AWS",
            "aws configure  # or: aws sso login; or give --profile",
        )
    what = f"{identity['Arn']} in {patient.target.region}"
    return CheckFinding("credentials", Verdict.OK, what)


def _run(name: str, check: Check, patient: CheckContext) -> Iterator[CheckFinding]:
    """Run one check; what it may not ask, or what AWS does not answer, is unknown."""
    try:
        yield from check(patient)
    except ClientError as error:
        why = "the right to ask is missing" if is_denied(error) else "AWS did not answer that"
        yield CheckFinding(name, Verdict.UNKNOWN, in_words(error), why)
    except BotoCoreError as error:
        text = " ".join(str(error).split())
        yield CheckFinding(name, Verdict.UNKNOWN, text, "AWS could not be reached for that")
