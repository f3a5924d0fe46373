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


def check(stack: str, options: SourceOptions, role: str | None = None) -> None:
    """Refuse options that cannot be used, without a request.

    Raises:
        UsageError: a name, the settings, a parameter or its file cannot be used.
        CommandError: there are no built templates.

    """
    if options.bucket is not None:
        names.check("--bucket", "bucket name", options.bucket)
    if role is not None:
        names.check("--role-arn", "role ARN", role)
    root = _root_template(options)
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
