"""What people use in a stack's Studio domain: apps and spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from generator import people_outputs
from generator.errors import CommandError
from pipeline.types import JsonView
from tabular_ml_vpc.figures import counted
from tabular_ml_vpc.operations.changes import Change, ChangeAction
from tabular_ml_vpc.operations.sagemaker import ABSENT, SageMakerReader
from tabular_ml_vpc.operations.stacks import StackNode
from tabular_ml_vpc.operations.target import Target, code_of

DOMAIN: Final = "AWS::SageMaker::Domain"
ROLE_OUTPUT: Final = "StudioRole"
"""The root's output that exists if the domain is not the stack's."""
CLEARING: Final = "Custom::ClearStudio"
_GONE: Final = frozenset({"Deleted", "Deleting"})
_POLLS: Final = 900


@dataclass(frozen=True)
class StudioSpaces(SageMakerReader):
    """The apps and spaces of a domain, which is None if the stack has none (yet).

    In a domain that is not the stack's, only those of the stack's user profiles, the ``owners``.
    """

    domain: str | None
    owners: frozenset[str] | None = None

    @classmethod
    def of(cls, target: Target, node: StackNode) -> StudioSpaces:
        """Return those of the domain in a stack's tree, or of its profiles in another domain."""
        domains = [one.physical_id for _, one in node.holding(DOMAIN) if one.exists]
        outputs = node.stack.outputs
        if ROLE_OUTPUT in outputs:
            owners = frozenset(people_outputs.profiles_of(outputs))
            return cls(target, outputs["DomainId"], owners)
        return cls(target, domains[0] if domains else None)

    def domain_status(self) -> JsonView | None:
        """Return SageMaker's description of the domain, if it exists."""
        return self.described("describe_domain", DomainId=self.domain)

    def apps(self) -> list[JsonView]:
        """Return Studio's running apps."""
        return [app for app in self._apps() if app["Status"] not in _GONE]

    def spaces(self) -> list[JsonView]:
        """Return Studio's spaces."""
        found = self._of_domain("list_spaces", "Spaces")
        return [one for one in found if self.owners is None or _owner(one) in self.owners]

    def delete(self, sleep: Callable[[float], None]) -> None:
        """Delete the domain's apps, then its spaces, and wait until they are deleted.

        Raises:
            CommandError: they are not deleted in time.

        """
        self._delete_all(self._apps_left, self._delete_app, sleep)
        self._delete_all(self.spaces, self._delete_space, sleep)

    def _apps_left(self) -> list[JsonView]:
        return [app for app in self._apps() if app["Status"] != "Deleted"]

    def _apps(self) -> list[JsonView]:
        found = list(self._of_domain("list_apps", "Apps"))
        if self.owners is None or not found:
            return found
        spaces = {space["SpaceName"] for space in self.spaces()}
        return [
            app
            for app in found
            if app.get("SpaceName") in spaces
            or (not app.get("SpaceName") and app.get("UserProfileName") in self.owners)
        ]

    def _delete_all(
        self,
        left: Callable[[], list[JsonView]],
        delete: Callable[[JsonView], None],
        sleep: Callable[[float], None],
    ) -> None:
        for _ in range(_POLLS):
            found = left()
            if not found:
                return
            for item in found:
                if item["Status"] != "Deleting":
                    delete(item)
            sleep(self.target.poll_seconds)
        raise CommandError(
            "apps and spaces are still being deleted; run the command again to continue"
        )

    def _delete_app(self, app: JsonView) -> None:
        owner = {key: app[key] for key in ("UserProfileName", "SpaceName") if app.get(key)}
        self._ask(
            "delete_app",
            DomainId=self.domain,
            AppType=app["AppType"],
            AppName=app["AppName"],
            **owner,
        )

    def _delete_space(self, space: JsonView) -> None:
        self._ask("delete_space", DomainId=self.domain, SpaceName=space["SpaceName"])

    def _ask(self, operation: str, **names: Any) -> None:
        """Request one deletion; a busy or deleted resource is checked again at the next poll."""
        try:
            getattr(self.sagemaker, operation)(**names)
        except ClientError as error:
            if code_of(error) not in ABSENT | {"ResourceInUse"}:
                raise

    def _of_domain(self, operation: str, key: str) -> Iterator[JsonView]:
        if self.domain is None:
            return iter(())
        return self.listed(operation, key, DomainIdEquals=self.domain)


def _owner(space: JsonView) -> str:
    return str(space.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName", ""))


def require_no_orphans(target: Target, node: StackNode, changes: Iterable[Change]) -> None:
    """Refuse an update that removes Studio while people have files in it.

    CloudFormation would remove it only after the update, and leave behind what is in use. An
    update that keeps the stack's function for Studio is refused by that function.

    Raises:
        CommandError: there are spaces.

    """
    removed = {
        change.type
        for top in changes
        for _, change in top.walk()
        if change.action is ChangeAction.REMOVE
    }
    spaces = StudioSpaces.of(target, node).spaces() if CLEARING in removed else []
    if spaces:
        names = ", ".join(str(space["SpaceName"]) for space in spaces)
        raise CommandError(
            f"the update removes Studio, where people have files in {counted(len(spaces), 'space')}"
            f" ({names}); delete the spaces in Studio first, or keep the setting studio.domain"
        )
