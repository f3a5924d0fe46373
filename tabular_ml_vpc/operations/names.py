"""Names that a person gives in options, checked before any request is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from generator.errors import UsageError


@dataclass(frozen=True)
class _Form:
    """What a name must match, and in words."""

    pattern: re.Pattern[str]
    allowed: str


_STACK_ARN: Final = re.compile(
    r"arn:[a-z-]+:cloudformation:(?P<region>[a-z0-9-]+):\d{12}:stack/(?P<name>[^/\s]+)/[\w-]+"
)
_FORMS: Final = {
    "stack name": _Form(
        re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}"),
        "use a letter, then letters, digits and hyphens, at most 128 characters",
    ),
    "bucket name": _Form(
        re.compile(r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        "use 3 to 63 lower-case letters, digits, hyphens and periods",
    ),
    "prefix": _Form(
        re.compile(r"(?!.*//)[\w.=-][\w./=-]{0,199}", re.ASCII),
        "use at most 200 letters, digits, hyphens, underscores, periods and slashes, and no slash "
        "at the beginning",
    ),
    "role ARN": _Form(
        re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\x21-\x7e]{1,575}"),
        "it has the form arn:aws:iam::111122223333:role/NAME",
    ),
    "VPC id": _Form(
        re.compile(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})"),
        "it is vpc- and then 8 or 17 hexadecimal digits",
    ),
    "profile": _Form(re.compile(r"[^\s\[\]]([^\[\]\r\n]*[^\s\[\]])?"), "give one that you have"),
    "execution ID": _Form(
        re.compile(r"[a-z0-9]{1,40}|arn:aws[a-z-]*:sagemaker:\S+:pipeline/\S+/execution/\S+"),
        "use an ID as `history` lists it, latest, or an execution's ARN",
    ),
    "user profile": _Form(
        re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        "use at most 63 letters and digits, and hyphens between them",
    ),
    "output name": _Form(re.compile(r"[a-zA-Z0-9]{1,255}"), "use letters and digits"),
}
"""By kind; from the API references of CloudFormation, S3, IAM, EC2 and SageMaker."""


def check(option: str, kind: str, value: str) -> None:
    """Refuse a name that AWS would refuse, or read as another one.

    Raises:
        UsageError: names the option, the value received and what is allowed.

    """
    form = _FORMS[kind]
    if not form.pattern.fullmatch(value):
        raise UsageError(f"{option}: {value!r} is not a valid {kind}: {form.allowed}")


def check_stack(value: str, region: str | None = None) -> None:
    """Refuse what is neither a stack's name nor a stack's ARN in the region.

    Raises:
        UsageError: it is neither, or the ARN is in another region.

    """
    arn = _STACK_ARN.fullmatch(value)
    check("--stack-name", "stack name", arn["name"] if arn else value)
    if arn and region and arn["region"] != region:
        raise UsageError(
            f"--stack-name: {value!r} is in {arn['region']}, but the region is {region}"
        )


def check_prefix(stack: str, project: str) -> None:
    """Refuse to deploy under a name that the deployer's policies do not cover (docs/deployer.md).

    Raises:
        UsageError: the stack's name does not begin with the project's.

    """
    arn = _STACK_ARN.fullmatch(stack)
    name = arn["name"] if arn else stack
    if not name.startswith(project):
        raise UsageError(
            f"--stack-name: {name!r} must begin with {project!r}, the project's name, which the "
            f"deployer's policies require (docs/deployer.md): for example {project}-{name}"
        )
