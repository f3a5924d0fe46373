"""What happens to a stateful resource when the resource or its stack is deleted.

CloudFormation ignores an update that changes only a deletion policy ("DeletionPolicy attribute",
CloudFormation User Guide). The mode is therefore also in the resource's metadata, so that a switch
from dev to prod is an update in itself.
"""

from __future__ import annotations

from typing import Any

from troposphere import Delete, Retain, RetainExceptOnCreate

from generator.settings import Mode


def deleted_with_stack() -> dict[str, Any]:
    """Return the attributes of a resource that is deleted with its stack in every mode.

    A nested stack is one: the resources in it that are kept have their own attributes.
    """
    return {"DeletionPolicy": Delete, "UpdateReplacePolicy": Delete}


def retention(mode: Mode) -> dict[str, Any]:
    """Return the attributes of a resource that holds data, keys or logs.

    In prod it is kept, unless the stack's creation failed, and a replacement never deletes it.
    """
    if mode is Mode.PROD:
        policies = {"DeletionPolicy": RetainExceptOnCreate, "UpdateReplacePolicy": Retain}
    else:
        policies = deleted_with_stack()
    return {**policies, "Metadata": {"Mode": str(mode)}}
