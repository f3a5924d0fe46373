"""Complete ministack's handlers of CloudFormation's resource types."""

from __future__ import annotations

from collections.abc import Callable

from ministack.services.cloudformation import provisioners

from tabular_ml_vpc.local.emulator.types import Fields, Made


def keep_after(kind: str, keep: Callable[[str, Fields], None]) -> None:
    """Call ``keep(physical id, properties)`` after each creation and update of a type."""
    stock = dict(provisioners._RESOURCE_HANDLERS[kind])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        made: Made = stock["create"](logical_id, props, stack)
        keep(made[0], props)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str, logical_id: str = "") -> Made:
        made: Made = stock["update"](pid, old, new, stack, logical_id)
        keep(made[0], new)
        return made

    provisioners._RESOURCE_HANDLERS[kind] = stock | {"create": create, "update": update}


def name_as_cloudformation_does(kind: str, name: str) -> None:
    """Call a resource without a name STACK-LOGICALID-SUFFIX.

    ``name`` is the property for names of the type. Source: "Name type", CloudFormation template
    reference.
    """
    stock = dict(provisioners._RESOURCE_HANDLERS[kind])

    def create(logical_id: str, props: Fields, stack: str) -> Made:
        given = props.get(name) or provisioners._physical_name(stack, logical_id)
        made: Made = stock["create"](logical_id, props | {name: given}, stack)
        return made

    def update(pid: str, old: Fields, new: Fields, stack: str, logical_id: str = "") -> Made:
        named = new | {name: new.get(name) or pid}
        made: Made = stock["update"](pid, old, named, stack, logical_id)
        return made

    provisioners._RESOURCE_HANDLERS[kind] = stock | {"create": create, "update": update}
