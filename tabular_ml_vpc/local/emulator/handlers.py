"""Complete ministack's handlers of CloudFormation's resource types."""

from __future__ import annotations

from collections.abc import Callable

from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.types import Fields, Made


def keep_after(kind: str, keep: Callable[[str, Fields], None]) -> None:
    """Call ``keep(physical id, properties)`` after each creation and update of a type."""
    _wrap(kind, lambda props, _name: props, keep)


def name_as_cloudformation_does(kind: str, name: str) -> None:
    """Call a resource without a name STACK-LOGICALID-SUFFIX.

    ``name`` is the property for names of the type. Source: "Name type", CloudFormation template
    reference.
    """
    _wrap(kind, lambda props, usual: props | {name: props.get(name) or usual}, lambda *_: None)


def _wrap(
    kind: str, before: Callable[[Fields, str], Fields], after: Callable[[str, Fields], None]
) -> None:
    """Change the properties, given the usual name, before each creation and update of a type."""
    stock = dict(provisioners._RESOURCE_HANDLERS[kind])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        given = before(props, provisioners._physical_name(stack, logical_id))
        made: Made = stock["create"](logical_id, given, stack)
        after(made[0], given)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str, logical_id: str = "") -> Made:
        given = before(new, pid)
        made: Made = stock["update"](pid, old, given, stack, logical_id)
        after(made[0], given)
        return made

    provisioners._RESOURCE_HANDLERS[kind] = stock | {"create": create, "update": update}
