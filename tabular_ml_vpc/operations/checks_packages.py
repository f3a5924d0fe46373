"""Checks of Python packages in Studio, if the settings offer any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from botocore.exceptions import ClientError

from generator.record import recorded
from generator.settings_packages import PackageSource
from tabular_ml_vpc.operations.findings import CheckContext, CheckFinding, Verdict
from tabular_ml_vpc.operations.preflight import unsupported_region
from tabular_ml_vpc.operations.target import code_of

_NAME: Final = "packages"
_MISSING: Final = "ResourceNotFoundException"


def packages(context: CheckContext) -> Iterator[CheckFinding]:
    """Check that CodeArtifact is in the region, and has the repository.

    ``checks_existing_vpc`` checks the endpoints of an existing VPC; ours has them.
    """
    settings = recorded(context.templates["root"])
    source = settings.get("packages.source", PackageSource.NONE)
    if source == PackageSource.NONE:
        return
    region = context.target.region
    if reason := unsupported_region(context.templates["root"], region):
        why = "a rule of the root template rejects the deployment"
        yield CheckFinding(_NAME, Verdict.PROBLEM, f"{region}: {reason}", why)
        return
    if source == PackageSource.EXISTING:
        names = ("domain", "repository", "owner")
        yield _repository(context, *(str(settings.get(f"packages.{one}", "")) for one in names))
    else:
        yield CheckFinding(_NAME, Verdict.OK, "the stack creates a repository that copies PyPI")


def _repository(context: CheckContext, domain: str, repository: str, owner: str) -> CheckFinding:
    client = context.target.client("codeartifact")
    of_owner = {"domainOwner": owner} if owner else {}
    try:
        client.describe_repository(domain=domain, repository=repository, **of_owner)
    except ClientError as error:
        if code_of(error) != _MISSING:
            raise
        region = context.target.region
        return CheckFinding(
            _NAME,
            Verdict.PROBLEM,
            f"{domain}/{repository} does not exist in {region} of {owner or 'this account'}",
            "pip install fails in every space; the stack can still be created",
            f"aws codeartifact list-repositories --region {region}  # or change packages.*",
        )
    return CheckFinding(_NAME, Verdict.OK, f"the repository {domain}/{repository} exists")
