"""``Custom::ClearStudio``: a Studio domain that can be deleted though people worked in it.

Event: ``DomainId``, ``DeleteSpaces`` (``true`` or ``false``). Returns nothing.

Create and Update do nothing. Delete of the stack deletes the domain's apps and, if
``DeleteSpaces``, its spaces, and waits until they are gone; if there are spaces that may not go, it
fails and names them before anything is touched.

Permissions:

- ``sagemaker:ListApps``, ``sagemaker:ListSpaces`` on ``*`` (they know no narrower resource)
- ``sagemaker:DeleteApp`` on ``app/<domain id>/*``, ``sagemaker:DeleteSpace`` on
  ``space/<domain id>/*``
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.clear_studio.core import Clearing
from functions.clear_studio.properties import ClearStudioProperties
from functions.shared import aws
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from functions.shared.properties import from_event


def handler(event: Event, context: LambdaContext) -> None:
    """Answer one event of CloudFormation."""
    serve(event, context, _act)


def _act(request: Request) -> Attributes:
    properties = from_event(ClearStudioProperties, request.properties)
    if request.deletes:
        clearing = Clearing(aws.client("sagemaker"), properties.domain_id, request.deadline)
        clearing.run(properties.delete_spaces)
    return {}
