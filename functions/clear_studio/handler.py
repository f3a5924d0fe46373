"""``Custom::ClearStudio``: a Studio domain that can be deleted after people have worked in it.

Event: ``DomainId``, ``DeleteSpaces`` (``true`` or ``false``), ``UserProfiles`` (the stack's,
comma-joined), ``WholeDomain`` (optional, ``true`` or ``false``). Returns nothing.

Create does nothing. Update deletes the apps of profiles that leave the stack, and fails with the
names of their spaces if they have any; it also fails if the domain is replaced while it is in use.
Deleting the stack deletes the domain's apps, its spaces if ``DeleteSpaces``, and the profiles that
are not the stack's, and waits until they are gone. If there are spaces that must be kept, it fails
and names them before anything is deleted. If ``WholeDomain`` is ``false``, the domain is not the
stack's: all of this then concerns only the apps and spaces that the stack's profiles own.

Permissions:

- ``sagemaker:ListApps``, ``sagemaker:ListSpaces``, ``sagemaker:ListUserProfiles`` on ``*`` (they
  support no narrower resource)
- ``sagemaker:DeleteApp`` on ``app/<domain id>/*``, ``sagemaker:DeleteSpace`` on
  ``space/<domain id>/*``, ``sagemaker:DeleteUserProfile`` on ``user-profile/<domain id>/*``
- ``cloudformation:DescribeStacks`` on the stack
"""

from __future__ import annotations

from functions.clear_studio.core import Clearing
from functions.clear_studio.properties import ClearStudioProperties
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from functions.shared.properties import from_event


def handler(event: Event, context: LambdaContext) -> None:
    """Handle one event from CloudFormation."""
    serve(event, context, _act)


def _act(request: Request) -> Attributes:
    properties = from_event(ClearStudioProperties, request.properties)
    if request.deletes:
        _clearing(request, properties).run(properties.delete_spaces)
    if request.kind == "Update":
        _update(request, properties)
    return {}


def _update(request: Request, new: ClearStudioProperties) -> None:
    """Prepare what CloudFormation deletes after the update; old versions had no profile names."""
    names = {"UserProfiles": ",".join(new.user_profiles)}
    old = from_event(ClearStudioProperties, names | dict(request.old_properties))
    if old.domain_id != new.domain_id:
        _clearing(request, old).check_replaceable()
    elif removed := frozenset(old.user_profiles) - frozenset(new.user_profiles):
        _clearing(request, new).release(removed)


def _clearing(request: Request, properties: ClearStudioProperties) -> Clearing:
    return Clearing(
        request.client("sagemaker"),
        properties.domain_id,
        frozenset(properties.user_profiles),
        request.deadline,
        properties.whole_domain,
    )
