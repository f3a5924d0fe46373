"""All checks to run before a deployment. None of them changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from generator.errors import CommandError
from tabular_ml_vpc.operations import (
    checks_account,
    checks_boundary,
    checks_existing_vpc,
    checks_given,
    checks_network,
    checks_packages,
    checks_people,
    checks_quotas,
    checks_studio,
)
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.target import in_words, is_denied, told_in_one_line

Check = Callable[[CheckContext], Iterator[CheckFinding]]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("region", checks_account.region),
    ("images", checks_account.images),
    ("stack", checks_account.stack),
    ("artifact bucket", checks_account.bucket),
    (checks_existing_vpc.NAME, checks_existing_vpc.existing_vpc),
    ("endpoint services", checks_network.zones),
    ("private DNS", checks_network.private_names),
    ("network quotas", checks_quotas.vpcs),
    ("instance quotas", checks_quotas.instances),
    ("packages", checks_packages.packages),
    (checks_people.NAME, checks_people.identity_center),
    (checks_studio.NAME, checks_studio.domain),
    (checks_given.LOGS, checks_given.log_bucket),
    (checks_given.ALERTS, checks_given.alert_topic),
    ("rights", checks_account.rights),
    (checks_boundary.NAME, checks_boundary.boundary),
)


def examine(context: CheckContext) -> Iterator[CheckFinding]:
    """Yield the findings of all checks; without usable credentials, only that one."""
    finding = credentials(context)
    yield finding
    if finding.verdict is Verdict.PROBLEM:
        return
    for name, check in CHECKS:
        yield from run(name, check, context)


def credentials(context: CheckContext) -> CheckFinding:
    """Check that AWS accepts the credentials."""
    try:
        with told_in_one_line():
            identity = context.target.identity
    except CommandError as error:
        return CheckFinding(
            "credentials",
            Verdict.PROBLEM,
            str(error),
            "no other check can run",
            "aws configure  # or: aws sso login; or give --profile",
        )
    what = f"{identity['Arn']} in {context.target.region}"
    return CheckFinding("credentials", Verdict.OK, what)


def run(name: str, check: Check, context: CheckContext) -> Iterator[CheckFinding]:
    """Run one check; a missing permission or a failed request makes its result unknown."""
    try:
        yield from check(context)
    except ClientError as error:
        why = "a permission is missing" if is_denied(error) else "the request failed"
        yield CheckFinding(name, Verdict.UNKNOWN, in_words(error), why)
    except BotoCoreError as error:
        text = " ".join(str(error).split())
        yield CheckFinding(name, Verdict.UNKNOWN, text, "AWS could not be reached")
