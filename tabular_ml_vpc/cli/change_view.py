"""How changes of a stack look: a tree of what happens to what, and a table of rights."""

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

from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.rights import RightsChange

_SIGNS: Final = {
    ChangeAction.ADD: ("+", "green"),
    ChangeAction.MODIFY: ("~", "yellow"),
    ChangeAction.REPLACE: ("!", "bold red"),
    ChangeAction.MAYBE_REPLACE: ("?", "magenta"),
    ChangeAction.REMOVE: ("-", "red"),
    ChangeAction.IMPORT: (">", "cyan"),
}
_LOSES: Final = {
    "AWS::S3::Bucket": "all objects in it",
    "AWS::KMS::Key": "whatever it encrypts can no longer be read",
    "AWS::Logs::LogGroup": "all its log lines",
    "AWS::SageMaker::Domain": "all user profiles, spaces and their files",
    "AWS::SageMaker::UserProfile": "the person's apps",
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
        return "  the old one stays, outside the stack"
    lost = _LOSES.get(change.type)
    return f"  lost: {lost}" if lost else ""


def counts(changes: Iterable[Change]) -> str:
    """Return a line such as ``2 to add, 1 to replace``, nested stacks themselves not counted."""
    found = Counter(
        change.action
        for top in changes
        for _, change in top.walk()
        if not change.children and not change.type.endswith("::Stack")
    )
    named = [f"{found[action]} to {action}" for action in ChangeAction if found[action]]
    return ", ".join(named) or "nothing to change"


def rights_table(found: Sequence[RightsChange]) -> Table:
    """Return the rights that come and go."""
    table = Table("", "who", "effect", "what", "on what", "if", box=None, pad_edge=False)
    for one in found:
        style = "red" if one.widens else "green"
        table.add_row(
            Text("+" if one.comes else "-", style=style),
            Text(f"{one.principal}\n{one.place}" if one.principal != "(itself)" else one.place),
            Text(one.effect, style=style),
            Text(_by_service(one.actions), overflow="fold"),
            Text("\n".join(one.resources), overflow="fold"),
            Text(_condition(one.condition), style="dim", overflow="fold"),
        )
    return table


def _by_service(actions: Iterable[str]) -> str:
    """Write actions with each service named once: ``s3: GetObject, PutObject``."""
    services: dict[str, list[str]] = {}
    for action in actions:
        service, _, name = action.rpartition(":")
        services.setdefault(service, []).append(name)
    return "\n".join(
        f"{service}: {', '.join(names)}" if service else ", ".join(names)
        for service, names in services.items()
    )


def _condition(condition: str) -> str:
    """Write a condition one test a line: ``StringEquals aws:SourceVpce = ${S3EndpointId}``."""
    if not condition:
        return ""
    return "\n".join(
        f"{operator} {key} = {', '.join(value) if isinstance(value, list) else value}"
        for operator, tests in json.loads(condition).items()
        for key, value in (tests.items() if isinstance(tests, dict) else [("", tests)])
    )


def number(count: int, what: str) -> str:
    """Write a number of things."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def show(
    out: Console, changes: Sequence[Change], found: Sequence[RightsChange], title: str
) -> None:
    """Print the tree, what it adds up to, and the rights."""
    out.print(tree(changes, title))
    out.print(counts(changes))
    if found:
        wider = sum(one.widens for one in found)
        told = f"Rights: {number(len(found), 'change')}, of which {wider} allow more"
        out.print(f"\n{told}", style="bold")
        out.print(rights_table(found))


def replacements(changes: Iterable[Change]) -> list[str]:
    """Return the places of what is certainly replaced or removed."""
    sure = {ChangeAction.REPLACE, ChangeAction.REMOVE}
    return [
        "/".join((*path, change.logical_id))
        for top in changes
        for path, change in top.walk()
        if change.action in sure
    ]


def forecast_note(reason: str) -> str:
    """Say why what is shown of nested stacks is no word of CloudFormation's."""
    return (
        "CloudFormation could not make a change set of the nested stacks "
        f"({escape(reason)}); what is shown of them was read from the templates."
    )
