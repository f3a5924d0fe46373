"""The steps of ``python build.py diff``; see ``tabular_ml_vpc.operations.changes``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.cfn.parameters import definitions
from generator.errors import CommandError
from generator.settings import Mode
from tabular_ml_vpc.cli import change_view, stack_view
from tabular_ml_vpc.cli.console import print_json
from tabular_ml_vpc.operations import artifacts, deployment, parameters, rights, source, stacks
from tabular_ml_vpc.operations.artifacts import Package
from tabular_ml_vpc.operations.changes import Change, NoChangesError
from tabular_ml_vpc.operations.rights import RightsChange
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target


@dataclass(frozen=True)
class DiffOptions:
    """What was asked for on the command line."""

    config: Path | None
    mode: str | None
    parameters: Path | None
    pairs: tuple[str, ...]
    bucket: str | None
    exit_code: bool
    as_json: bool


@dataclass(frozen=True)
class StackDifference:
    """What would change; ``note`` says where the forecast is from the templates alone."""

    exists: bool
    changes: tuple[Change, ...] = ()
    rights: Sequence[RightsChange] = ()
    note: str = ""


def run(target: Target, options: DiffOptions) -> int:
    """Show the difference; return the exit status."""
    stack = stacks.find(target)
    exists = stack is not None and stack.status not in {"DELETE_COMPLETE", "REVIEW_IN_PROGRESS"}
    node = stacks.tree(target, stack) if stack and exists else None
    if node is not None:
        source.refuse_strangers(node.stack, node)
        _refuse_if_blocked(target, node)
    difference = _difference(target, options, node)
    return _tell(target, options, difference)


def _difference(target: Target, options: DiffOptions, node: StackNode | None) -> StackDifference:
    own = stacks.mode_of(target, node) if node else None
    built = source.load(options.config, Mode(options.mode or own or Mode.DEV))
    bucket = options.bucket or artifacts.bucket_name(target)
    package = artifacts.assemble(target, bucket, built.folder, built.texts, built.zips)
    known = definitions(package.root_template)
    given = parameters.given(options.parameters, options.pairs, known)
    if node is None:
        new = rights.compare((), deployment.package_rights(package))
        return StackDifference(False, deployment.creation(package), new)
    current = node.stack.parameters
    values = parameters.effective(known, given, current)
    comparison = deployment.Comparison(target, node, package, values)
    request = parameters.as_request(known, given, current)
    return _compare(target, options, package, comparison, request)


def _refuse_if_blocked(target: Target, node: StackNode) -> None:
    problem = deployment.blocked(node.stack)
    if problem is not None:
        raise CommandError(
            f"{target.stack} is in {problem.status}: {problem.reason}; "
            f"`python build.py status{target.options()}` says more"
        )


def _compare(
    target: Target,
    options: DiffOptions,
    package: Package,
    comparison: deployment.Comparison,
    request: list[dict[str, object]],
) -> StackDifference:
    """Upload, make the change set, read it; it is gone when this returns."""
    bucket, _ = artifacts.ensure_bucket(target, options.bucket)
    artifacts.upload(target, bucket, package)
    wanted = deployment.wanted(target, bucket, package, request)
    try:
        with deployment.open_change_set(target, wanted) as change_set:
            found = comparison.changes(change_set)
            note = "" if change_set.nested else change_set.note
            return StackDifference(True, found, comparison.rights(), note)
    except NoChangesError:
        return StackDifference(True)


def _tell(target: Target, options: DiffOptions, difference: StackDifference) -> int:
    if options.as_json:
        print_json(
            {
                "stack": target.stack,
                "exists": difference.exists,
                "changes": [one.as_json() for one in difference.changes],
                "rights": [one.as_json() for one in difference.rights],
                "note": difference.note,
            }
        )
    elif not difference.changes:
        stack_view.console().print(f"{target.stack} is as the templates say: nothing would change.")
    else:
        would = "would change" if difference.exists else "does not exist; it would be made"
        change_view.show(
            stack_view.console(), difference.changes, difference.rights, f"{target.stack} {would}"
        )
        if difference.note:
            stack_view.console().print(change_view.forecast_note(difference.note), style="dim")
    return 1 if options.exit_code and difference.changes else 0
