"""What can be refused before the first request: names, settings, parameters and their files."""

from __future__ import annotations

from collections.abc import Iterator

from generator import emit
from generator.cfn.expressions import NESTED
from generator.cfn.parameters import definitions
from generator.errors import UsageError
from generator.images import ACCOUNTS
from generator.settings import PROJECT_TAG, Mode, read
from generator.stacks.root import build
from pipeline.types import JsonView
from tabular_ml_vpc.operations import names, parameters, source
from tabular_ml_vpc.operations.source import SourceOptions


def check_region(region: str) -> None:
    """Refuse what the root template's rule RegionHasImages would, before anything else.

    Raises:
        UsageError: nothing can be deployed in the region.

    """
    if region not in ACCOUNTS:
        raise UsageError(
            f"--region: got {region!r}: AWS has no AutoGluon image or no SageMaker domains there; "
            f"deploy in one of {', '.join(sorted(ACCOUNTS))}"
        )


def unsupported_region(root: JsonView, region: str) -> str:
    """Return why the rules of a root template reject a region; empty if they do not."""
    for rule in root.get("Rules", {}).values():
        for assertion in rule["Assertions"]:
            match assertion["Assert"]:
                case {"Fn::Contains": [list(regions), {"Ref": "AWS::Region"}]}:
                    if region not in regions:
                        return str(assertion["AssertDescription"])
    return ""


def check(
    stack: str, options: SourceOptions, role: str | None = None, region: str | None = None
) -> None:
    """Refuse options that cannot be used, without a request; ``region`` is that of a deployment.

    Raises:
        UsageError: a name, the settings, a parameter or its file cannot be used.
        CommandError: there are no built templates.

    """
    if options.bucket is not None:
        names.check("--bucket", "bucket name", options.bucket)
    if role is not None:
        names.check("--role-arn", "role ARN", role)
    root = _root_template(options)
    if region and (reason := unsupported_region(root, region)):
        raise UsageError(f"--region: got {region!r}: {reason}")
    for project in _projects(root):
        names.check_prefix(stack, project)
    parameters.given(options.parameters, options.pairs, definitions(root))


def _root_template(options: SourceOptions) -> JsonView:
    """Return the root template that would be deployed; its parameters are those of both modes."""
    mode = Mode(options.mode) if options.mode else None
    if options.config is None:
        return source.built_root(mode)
    return emit.as_dict(build(read(options.config), mode or Mode.DEV)["root"])


def _projects(root: JsonView) -> Iterator[str]:
    """Yield the project's name, from the tags that the root template gives its nested stacks."""
    for resource in root["Resources"].values():
        tags = resource.get("Properties", {}).get("Tags", [])
        if resource["Type"] == NESTED:
            yield from (tag["Value"] for tag in tags if tag["Key"] == PROJECT_TAG)
