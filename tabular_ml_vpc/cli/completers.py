"""What a shell completes: names of stacks, runs, outputs and parameters.

Each function is click's ``shell_complete``. A shell asks while somebody types, so that requests to
AWS are not repeated, and what cannot be read completes to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from typing import Any, Final

import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from click.shell_completion import CompletionItem

from generator.errors import CommandError
from generator.settings import Mode, Settings
from generator.stacks.root import build
from pipeline import example
from tabular_ml_vpc.cli.options import DEFAULT_STACK, Completer
from tabular_ml_vpc.operations import pipelines, stacks
from tabular_ml_vpc.operations.runs.executions import open_pipelines
from tabular_ml_vpc.operations.runs.registry import Registry
from tabular_ml_vpc.operations.target import Target, open_target

_QUICK: Final = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
_RUNS: Final = 20
_VERSIONS: Final = 20


def _of_target(offer: Callable[[Target], Iterable[CompletionItem]]) -> Completer:
    """Return a completer from a function that lists what the command's target has."""

    @wraps(offer)
    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        given: dict[str, Any] = context.params
        with suppress(CommandError, ClientError, BotoCoreError, ValueError):
            target = open_target(
                given.get("profile"), given.get("region"), given.get("stack_name") or DEFAULT_STACK
            )
            return _starting(incomplete, offer(replace(target, config=_QUICK)))
        return []

    return complete


def _starting(incomplete: str, items: Iterable[CompletionItem]) -> list[CompletionItem]:
    return [item for item in items if item.value.startswith(incomplete)]


@_of_target
def stack_names(target: Target) -> Iterator[CompletionItem]:
    """Offer this project's stacks."""
    for stack in stacks.listed(target):
        yield CompletionItem(stack.name, help=stack.status)


@_of_target
def run_ids(target: Target) -> Iterator[CompletionItem]:
    """Offer the ids of the newest runs."""
    for pipeline in open_pipelines(target, None):
        for run in pipeline.newest(_RUNS):
            yield CompletionItem(run.id, help=f"{run.status}, {run.started:%Y-%m-%d %H:%M}")


def version_numbers(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the newest versions in the registry of the command's pipeline, or of all."""

    @_of_target
    def offered(target: Target) -> Iterator[CompletionItem]:
        for registry in Registry.each(target, context.params.get("pipeline")):
            for version in registry.listed()[:_VERSIONS]:
                yield CompletionItem(str(version.number), help=version.status)

    return offered(context, parameter, incomplete)


@_of_target
def pipeline_names(target: Target) -> Iterator[CompletionItem]:
    """Offer the names of the stack's pipelines."""
    for name in pipelines.names(stacks.need(target)):
        yield CompletionItem(name)


@_of_target
def output_names(target: Target) -> Iterator[CompletionItem]:
    """Offer the names of the stack's outputs."""
    stack = stacks.need(target)
    for name in stack.outputs:
        yield CompletionItem(name, help=stack.descriptions[name])


def stack_parameters(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer ``NAME=`` for each parameter of the root template."""
    known = build(Settings(), Mode.DEV)["root"].parameters
    return _starting(incomplete, (CompletionItem(f"{name}=") for name in known))


def pipeline_parameters(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer ``NAME=`` for each parameter of a run."""
    known = example.open_definition()["Parameters"]
    return _starting(incomplete, (CompletionItem(f"{item['Name']}=") for item in known))
