"""The input and the findings of the doctor's checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from generator.cfn.evaluator import evaluate
from generator.cfn.identifiers import StackLocation
from pipeline.types import Json
from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.stacks import Stack
from tabular_ml_vpc.operations.target import Target, in_words, is_denied


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    PROBLEM = "problem"
    """A deployment or the first run would fail."""
    WARNING = "warning"
    """A deployment or the first run might fail."""
    UNKNOWN = "unknown"
    """The check could not run: a permission is missing, or a request failed."""


@dataclass(frozen=True)
class CheckFinding:
    """What was found, why it matters, and the command that fixes it."""

    check: str
    verdict: Verdict
    what: str
    why: str = ""
    command: str = ""

    def as_json(self) -> dict[str, str]:
        """Return plain values."""
        return {
            "check": self.check,
            "verdict": str(self.verdict),
            "what": self.what,
            "why": self.why,
            "command": self.command,
        }


def not_permitted(check: str, error: ClientError, what: str = "") -> CheckFinding:
    """Return the finding of a check (of ``what``) without a permission; raise any other error."""
    if not is_denied(error):
        raise error
    about = f"{what}: {in_words(error)}" if what else in_words(error)
    return CheckFinding(check, Verdict.UNKNOWN, about, "a permission is missing")


@dataclass(frozen=True)
class CheckContext:
    """What to deploy and where: templates by name, and the deployer's policy statements."""

    target: Target
    templates: Mapping[str, Json]
    values: Mapping[str, str]
    deployer_statements: Sequence[Mapping[str, Any]] = ()
    bucket: str | None = None
    vpc: str | None = None

    def properties(self, kind: str, place: StackLocation | None = None) -> list[Json]:
        """Return the properties of each resource of a type that would be created.

        Without a place, account and stack have names that are made up.
        """
        place = place or StackLocation(region=self.target.region)
        evaluated = evaluate(self.templates, self.values, place)
        return [
            stack.properties(name)
            for stack in evaluated
            for name in stack.present()
            if stack.type_of(name) == kind
        ]

    @cached_property
    def stack(self) -> Stack | None:
        """Return the stack, if it has been deployed."""
        found = stacks.find(self.target)
        return None if found is None or found.status == "DELETE_COMPLETE" else found

    @property
    def zones(self) -> int:
        """Return the number of Availability Zones that are needed."""
        return len(self.properties("AWS::EC2::Subnet"))

    def endpoint_services(self, kind: str) -> list[str]:
        """Return the services of the VPC endpoints of a kind, ``Interface`` or ``Gateway``."""
        return sorted(
            endpoint["ServiceName"]
            for endpoint in self.properties("AWS::EC2::VPCEndpoint")
            if endpoint.get("VpcEndpointType", "Gateway") == kind
        )
