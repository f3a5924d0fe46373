"""How the changes of a stack are shown: a tree of resources and a table of what is loosened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from pipeline.types import JsonView
from tabular_ml_vpc.cli.pipeline_cost_view import in_words
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.comparison import StackDifference
from tabular_ml_vpc.operations.dropped import DroppedSetting
from tabular_ml_vpc.operations.loosening.kinds import Loosening
from tabular_ml_vpc.operations.pipeline_changes import RemovedPipeline
from tabular_ml_vpc.reports.cost.pipelines import of_each
from tabular_ml_vpc.reports.cost.prices import Prices, read_table, regions
from tabular_ml_vpc.reports.cost.usage import usage

_SIGNS: Final = {
    ChangeAction.ADD: ("+", "green"),
    ChangeAction.MODIFY: ("~", "yellow"),
    ChangeAction.REPLACE: ("!", "bold red"),
    ChangeAction.MAYBE_REPLACE: ("?", "magenta"),
    ChangeAction.REMOVE: ("-", "red"),
    ChangeAction.IMPORT: (">", "cyan"),
}
_CERTAIN: Final = frozenset({ChangeAction.REPLACE, ChangeAction.REMOVE})
_NAMED: Final = 4
"""How many resources a question names."""
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
    "AWS::CodeArtifact::Domain": "the copies of packages, also of versions that PyPI removed",
    "AWS::EC2::VPC": "every network interface in it",
    "AWS::EC2::Subnet": "every network interface in it",
    "AWS::SNS::Topic": "its subscriptions",
    "AWS::SQS::Queue": "the messages in it",
}
"""What is lost when a resource of a type is replaced or removed."""


MANAGER_REMOVED: Final = (
    "Removing the last of the pipelines besides main also removes the function that deletes it, "
    "perhaps too early: set several = true in [pipeline] for this deployment, and remove that in "
    "the next."
)


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


def access_table(looser: Iterable[Loosening], tighter: Iterable[Loosening]) -> Table:
    """Return what allows more or protects less (+), then what does the opposite (-)."""
    table = Table("", "place", "what changes", box=None, pad_edge=False)
    rows = [("+", "red", one.why, one) for one in looser]
    rows += [("-", "green", "", one.reversed()) for one in tighter]
    for sign, style, why, one in rows:
        table.add_row(
            Text(sign, style=style),
            Text.assemble(one.place, (f"\n{one.kind}", "dim"), overflow="fold"),
            Group(
                Text.assemble((one.what, style), (f": {why}" if why else "", "dim")),
                _sides(one),
            ),
        )
    return table


def _sides(change: Loosening) -> Table:
    """Return what is there before and after a change."""
    sides = Table.grid(padding=(0, 2))
    for name, value in (("before", change.old), ("after", change.new)):
        sides.add_row(Text(name, style="dim"), Text(_side(value), overflow="fold"))
    return sides


def _side(value: Any) -> str:
    """Write a statement of a policy on some lines, and any other value on one."""
    if isinstance(value, dict) and "Effect" in value:
        resources = "\n".join(f"on {resource}" for resource in value["Resource"])
        condition = "".join(f"\nif {line}" for line in _tests(value.get("Condition", {})))
        return f"{_by_service(value['Action'])}\n{resources}{condition}"
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value)


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


def _tests(condition: JsonView) -> Iterator[str]:
    """Write the tests of a condition: ``StringEquals aws:SourceVpce = vpce-${S3Endpoint}``."""
    for operator, tests in condition.items():
        for key, value in tests.items():
            values = "\n   ".join(["", *value]) if isinstance(value, list) else f" {value}"
            yield f"{operator} {key} ={values}"


def show(out: Console, difference: StackDifference, title: str) -> None:
    """Print the tree, the totals, and what is loosened and tightened."""
    out.print(tree(difference.changes, title))
    out.print(counts(difference.changes))
    if difference.loosenings or difference.tightenings:
        looser, tighter = difference.loosenings, difference.tightenings
        stricter = f", {counted(len(tighter), 'change')} the opposite" if tighter else ""
        heading = loosened(looser) or "No change allows more or protects less"
        out.print(f"\n{heading}{stricter}", style="bold")
        out.print(access_table(looser, tighter))
    _show_pipelines(out, difference)
    if difference.dropped:
        kept = "to keep them, give --config or a tabular.toml"
        out.print(Text(f"\n{dropped(difference.dropped)}; {kept}", "bold"), soft_wrap=True)
    for event in difference.validation:
        out.print(f"CloudFormation's validation: {event}", style="yellow")
    if difference.note:
        out.print(_forecast_note(difference.note), style="dim")


def loosened(found: Collection[Loosening]) -> str:
    """Return a line such as ``2 changes allow more or protect less (trust 2)``, or nothing."""
    if not found:
        return ""
    kinds = Counter(str(one.kind) for one in found)
    each = ", ".join(f"{kind} {number}" for kind, number in kinds.items())
    verbs = "allows more or protects less" if len(found) == 1 else "allow more or protect less"
    return f"{counted(len(found), 'change')} {verbs} ({each})"


def _show_pipelines(out: Console, difference: StackDifference) -> None:
    """Print which pipelines come and go, with what they cost and take with them."""
    for line in additions(difference):
        out.print(Text(f"\n{line}"), soft_wrap=True)
    for pipeline in difference.removed_pipelines:
        out.print(Text(f"\n{removal(pipeline)}", "bold red"), soft_wrap=True)
        out.print(Text(f"Its data stays: {', '.join(pipeline.kept)}"), soft_wrap=True)
    if difference.removes_manager:
        out.print(Text(f"\n{MANAGER_REMOVED}", "bold red"), soft_wrap=True)
    for left in difference.in_the_way:
        text = f"\n{left.physical_id} is in the way of {left.place}: {left.reason} ({left.command})"
        out.print(Text(text, "bold red"), soft_wrap=True)


def additions(difference: StackDifference) -> Iterator[str]:
    """Yield a line with the costs of each pipeline that is added, if its region's prices are known.

    They are estimated from the planned templates; see ``build.py cost``.
    """
    planned, table = difference.planned, read_table()
    if planned is None or planned.place.region not in regions(table):
        return
    for cost in of_each(planned, usage(), Prices(table, planned.place.region)):
        if cost.name in difference.added_pipelines:
            yield f"Adding the pipeline {cost.name} costs {in_words(cost)}."


def removal(pipeline: RemovedPipeline) -> str:
    """Return what is lost with a pipeline, in one sentence."""
    runs = f"stops {counted(pipeline.running, 'run')} in progress and " if pipeline.running else ""
    endpoint = f"its endpoint ({pipeline.endpoint}), " if pipeline.endpoint else ""
    lost = f"{runs}deletes {endpoint}its registered models, its runs and its alerts"
    return f"Removing the pipeline {pipeline.name} {lost}."


def dropped(settings: Collection[DroppedSetting]) -> str:
    """Return a line about settings of the last deployment that are left at their defaults."""
    number = counted(len(settings), "setting")
    verb = "is" if len(settings) == 1 else "are"
    return f"{number} of the last deployment {verb} dropped: {', '.join(map(str, settings))}"


def replacements(
    changes: Iterable[Change], actions: Collection[ChangeAction] = _CERTAIN
) -> list[str]:
    """Return the paths of the resources with such changes: first those whose loss people notice."""
    found = [
        (path, change) for top in changes for path, change in top.walk() if change.action in actions
    ]
    found.sort(key=lambda one: one[1].type not in _LOST)
    return ["/".join((*path, change.logical_id)) for path, change in found]


def named(places: Sequence[str]) -> str:
    """Return a few of the places, and the number of the others."""
    more = len(places) - _NAMED
    return ", ".join(places[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _forecast_note(reason: str) -> str:
    """Explain why the changes in nested stacks do not come from CloudFormation."""
    return (
        "CloudFormation could not create a change set for the nested stacks "
        f"({reason}); their changes shown here are a forecast from the templates."
    )
