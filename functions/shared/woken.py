"""What the functions share that EventBridge calls: they read, decide and act, and return nothing.

A failure is logged in a line for people and then fails the call, so that Lambda repeats it and
hands the event to the queue of undeliverable events ("Asynchronous invocation", Lambda developer
guide).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from functions.shared.calls import Calls
from functions.shared.deadline import deadline_of
from functions.shared.errors import ResourceError
from functions.shared.properties import from_event
from functions.shared.reasons import reason

if TYPE_CHECKING:
    from functions.shared.custom_resource import Event, LambdaContext

LOG = logging.getLogger(__name__)

_MARGIN_SECONDS: Final = 5.0

Properties = TypeVar("Properties")


def woken(
    kind: type[Properties],
    run: Callable[[Properties, Calls], None],
    event: Event,
    context: LambdaContext,
) -> None:
    """Run with the event's properties; log why it failed before the error fails the call."""
    logging.getLogger("functions").setLevel(logging.INFO)
    calls = Calls(deadline_of(context, _MARGIN_SECONDS))
    try:
        run(from_event(kind, event), calls)
    except ResourceError as error:
        LOG.error("%s", error)
        raise
    except Exception as error:
        LOG.error("%s", reason(calls, error))
        raise
