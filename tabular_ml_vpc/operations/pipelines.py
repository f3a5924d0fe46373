"""The pipelines of a stack: their names, their nested stacks, and which of them a command means.

The names are those of ``[[pipelines]]`` in the settings, as the root's output ``Pipelines`` lists
them. A stack from before that has one pipeline, ``main``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from generator.errors import UsageError
from generator.settings_pipelines import in_letters
from pipeline.layout import MAIN
from pipeline.run_parameters import not_one_of
from tabular_ml_vpc.operations.stacks import Stack

OPTION: Final = "--pipeline"
_OUTPUT: Final = "Pipelines"
_STACK: Final = "PipelineStack"


def names(stack: Stack) -> tuple[str, ...]:
    """Return the names of a root stack's pipelines, in the settings' order."""
    return tuple(filter(None, stack.outputs.get(_OUTPUT, MAIN).split(",")))


def planned(root_template: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the pipelines in a root template."""
    value = root_template.get("Outputs", {}).get(_OUTPUT, {}).get("Value", MAIN)
    return tuple(str(value).split(","))


def stack_title(name: str) -> str:
    """Return the logical id of a pipeline's nested stack in the root."""
    return _STACK if name == MAIN else f"{in_letters(name)}{_STACK}"


def is_named(title: str) -> bool:
    """Return whether a logical id is that of the stack of a pipeline besides ``main``."""
    return title.endswith(_STACK) and title != _STACK


def name_of(title: str, known: Iterable[str]) -> str:
    """Return the name of the pipeline in a nested stack, by the stack's logical id.

    One that is not known is that of a stack without outputs, whose creation did not finish.
    """
    found = {stack_title(name): name for name in known}
    return found.get(title) or title.removesuffix(_STACK).lower() or MAIN


def choose(stack: Stack, name: str | None) -> str:
    """Return the stack's pipeline that a command means; see ``one_of``."""
    return one_of(names(stack), stack.name, name)


def one_of(known: Sequence[str], where: str, name: str | None) -> str:
    """Return the pipeline that is meant: the one that was named, or the only one.

    Raises:
        UsageError: there is no such pipeline, or there are several and none was named.

    """
    if name is not None and name not in known:
        raise UsageError(f"{OPTION}: {not_one_of(name, known)}")
    if name is None and len(known) != 1:
        listed = ", ".join(known)
        raise UsageError(f"{OPTION}: {where} has several pipelines; give one of {listed}")
    return known[0] if name is None else name
