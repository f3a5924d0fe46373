"""How the changes of a stack are shown: a tree of resources and a table of permissions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.comparison import StackDifference
from tabular_ml_vpc.operations.rights import RightsChange

_SIGNS: Final = {
    ChangeAction.ADD: ("+", "green"),
    ChangeAction.MODIFY: ("~", "yellow"),
    ChangeAction.REPLACE: ("!", "bold red"),
    ChangeAction.MAYBE_REPLACE: ("?", "magenta"),
    ChangeAction.REMOVE: ("-", "red"),
    ChangeAction.IMPORT: (">", "cyan"),
}
_PLANNED: Final = {action: f"to {action}" for action in ChangeAction} | {
    ChangeAction.MAYBE_REPLACE: "that may be replaced"
}
_LOST: Final = {
    "AWS::S3::Bucket": "all objects in it",
    "AWS::KMS::Key": "access to everything that it encrypts",
    "AWS::Logs::LogGroup": "all its log lines",
    "AWS::SageMaker::Domain": "all user profiles, spaces and their files",
    "AWS::SageMaker::UserProfile": "the user's apps",
    "AWS::SageMaker::ModelPackageGroup": "the registered models",
    "AWS::EC2::VPC": "every network interface in it",
    "AWS::EC2::Subnet": "every network interface in it",
    "AWS::SNS::Topic": "its subscriptions",
    "AWS::SQS::Queue": "the messages in it",
}
"""What is lost when a resource of a type is replaced or removed."""


def tree(changes: Iterable[Change], title: str) -> Tree:
    """Return the changes as a tree."""
    root = Tree(Text(title, style="bold"), guide_style="dim")
    for change in changes:
        _grow(root, change)
    return root


def _grow(branch: Tree, change: Change) -> None:
    node = branch.add(_label(change))
    for child in change.children:
        _grow(node, child)


def _label(change: Change) -> Text:
    sign, style = _SIGNS[change.action]
    text = Text(f"{sign} {change.logical_id}", style=style)
    text.append(f"  {change.type.removeprefix('AWS::')}", style="dim")
    if change.action is not ChangeAction.MODIFY or change.note:
        text.append(f"  {change.action}", style=style)
    if change.properties and not change.children:
        text.append(f"  {', '.join(change.properties)}")
    if change.note:
        text.append(f"  ({change.note})", style="dim")
    text.append(_loss(change), style="red")
    return text


def _loss(change: Change) -> str:
    if change.action not in {ChangeAction.REPLACE, ChangeAction.REMOVE, ChangeAction.MAYBE_REPLACE}:
        return ""
    if change.kept:
        return "  the old one is kept, outside the stack"
    lost = _LOST.get(change.type)
    return f"  lost: {lost}" if lost else ""


def counts(changes: Iterable[Change]) -> str:
    """Return a line such as ``2 to add, 1 to replace``; nested stacks are not counted."""
    numbers = Counter(
        change.action
        for top in changes
        for _, change in top.walk()
        if not change.children and not change.type.endswith("::Stack")
    )
    parts = [f"{numbers[action]} {_PLANNED[action]}" for action in ChangeAction if numbers[action]]
    return ", ".join(parts) or "no changes"


def rights_table(changes: Sequence[RightsChange]) -> Table:
    """Return the permissions that are added and removed."""
    headings = ("", "principal", "effect", "actions", "resources", "condition")
    table = Table(*headings, box=None, pad_edge=False)
    for change in changes:
        style = "red" if change.widens else "green"
        named = change.principal != "(itself)"
        table.add_row(
            Text("+" if change.comes else "-", style=style),
            Text(f"{change.principal}\n{change.place}" if named else change.place),
            Text(change.effect, style=style),
            Text(_by_service(change.actions), overflow="fold"),
            Text("\n".join(change.resources), overflow="fold"),
            Text(_condition(change.condition), style="dim", overflow="fold"),
        )
    return table


def _by_service(actions: Iterable[str]) -> str:
    """Write actions, with each service named once: ``s3: GetObject, PutObject``."""
    services: dict[str, list[str]] = {}
    for action in actions:
        service, _, name = action.rpartition(":")
        services.setdefault(service, []).append(name)
    return "\n".join(
        f"{service}: {', '.join(names)}" if service else ", ".join(names)
        for service, names in services.items()
    )


def _condition(condition: str) -> str:
    """Write a condition, one test per line: ``StringEquals aws:SourceVpce = ${S3EndpointId}``."""
    if not condition:
        return ""
    return "\n".join(
        f"{operator} {key} = {', '.join(value) if isinstance(value, list) else value}"
        for operator, tests in json.loads(condition).items()
        for key, value in (tests.items() if isinstance(tests, dict) else [("", tests)])
    )


def show(out: Console, difference: StackDifference, title: str) -> None:
    """Print the tree, the totals and the permissions."""
    out.print(tree(difference.changes, title))
    out.print(counts(difference.changes))
    if difference.rights:
        wider = sum(change.widens for change in difference.rights)
        changes = counted(len(difference.rights), "change")
        verb = "grants" if wider == 1 else "grant"
        out.print(f"\nPermissions: {changes} ({wider} {verb} more access)", style="bold")
        out.print(rights_table(difference.rights))
    if difference.note:
        out.print(_forecast_note(difference.note), style="dim")


def replacements(changes: Iterable[Change]) -> list[str]:
    """Return the paths of the resources that will certainly be replaced or removed."""
    certain = {ChangeAction.REPLACE, ChangeAction.REMOVE}
    return [
        "/".join((*path, change.logical_id))
        for top in changes
        for path, change in top.walk()
        if change.action in certain
    ]


def _forecast_note(reason: str) -> str:
    """Explain why the changes in nested stacks do not come from CloudFormation."""
    return (
        "CloudFormation could not create a change set for the nested stacks "
        f"({escape(reason)}); their changes shown here are a forecast from the templates."
    )
