"""What becomes of a stateful resource when its stack, or the resource itself, goes.

CloudFormation ignores an update that changes nothing but a deletion policy ("DeletionPolicy
attribute", CloudFormation User Guide). So the mode stands in the resource's metadata too, and a
switch from dev to prod is an update of its own.
"""

from __future__ import annotations

from typing import Any

from troposphere import Delete, Retain, RetainExceptOnCreate

from generator.settings import Mode


def goes() -> dict[str, Any]:
    """Return the attributes of what goes with its stack in every mode.

    A nested stack is one: what stays is inside it, and says so itself.
    """
    return {"DeletionPolicy": Delete, "UpdateReplacePolicy": Delete}


def lifetime(mode: Mode) -> dict[str, Any]:
    """Return the attributes of a resource that holds data, keys or logs.

    In prod it stays, unless it was made by a creation that failed. A replacement never deletes it
    in prod.
    """
    if mode is Mode.PROD:
        policies = {"DeletionPolicy": RetainExceptOnCreate, "UpdateReplacePolicy": Retain}
    else:
        policies = goes()
    return {**policies, "Metadata": {"Mode": str(mode)}}
