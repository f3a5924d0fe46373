"""Remove what people made in a Studio domain, and what blocks its deletion."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from functions.shared.aws import listed
from functions.shared.errors import ResourceError, error_code, is_not_found

if TYPE_CHECKING:
    from functions.shared.deadline import Deadline

LOG = logging.getLogger(__name__)

_POLL_SECONDS = 10
_GOES = frozenset({"Deleting"})
_NAMED = 3


@dataclass(frozen=True)
class Clearing:
    """The clearing of one domain. It can stop at any point and be begun again.

    ``own_profiles`` are the user profiles of the stack: CloudFormation deletes them itself.
    """

    sagemaker: Any
    domain_id: str
    own_profiles: frozenset[str]
    deadline: Deadline

    def run(self, delete_spaces: bool) -> None:
        """Delete the domain's apps, its spaces, and the profiles that the stack does not have.

        A space's disk holds people's work: if there are spaces and they may not go
        (``delete_spaces``), nothing is touched and ``ResourceError`` names them. It is raised too
        if time runs out (an app can take 20 minutes).
        """
        spaces = self._spaces()
        if spaces and not delete_spaces:
            raise ResourceError(
                f"Nothing was deleted: {_names(spaces)} in domain {self.domain_id} would lose "
                "people's files. Delete them in Studio, or allow deletion of spaces by the stack's "
                "parameter; then delete the stack again."
            )
        self._wait_until_none(lambda: self._delete_apps(self._apps()), "apps")
        self._wait_until_none(self._delete_spaces, "spaces")
        self._wait_until_none(self._delete_profiles, "user profiles")

    def release(self, profiles: frozenset[str]) -> None:
        """Make profiles deletable that leave the stack: CloudFormation deletes them afterwards.

        It would leave behind, without a word, one that still has apps or spaces. Apps are deleted;
        spaces are files of somebody: ``ResourceError`` names them, and the profiles stay.
        """
        spaces = [space for space in self._spaces() if _owner(space) in profiles]
        if spaces:
            people = ", ".join(sorted({_owner(space) for space in spaces}))
            raise ResourceError(
                f"User profiles cannot be removed while they have spaces, which would be orphaned "
                f"with their files: {people} ({_names(spaces)}). Delete the spaces in Studio first."
            )
        self._wait_until_none(
            lambda: self._delete_apps(
                [app for app in self._apps() if app.get("UserProfileName") in profiles]
            ),
            "apps",
        )

    def check_replaceable(self) -> None:
        """Raise ``ResourceError`` if somebody works in the domain, which an update replaces."""
        spaces, apps = self._spaces(), self._apps()
        if spaces or apps:
            what = _names(spaces) if spaces else f"app {apps[0]['AppName']}"
            raise ResourceError(
                f"The update replaces domain {self.domain_id}, in which there is {what}: nothing "
                "was changed. Delete spaces and apps in Studio first, or undo the change that "
                "replaces the domain."
            )

    def _wait_until_none(self, delete: Callable[[], int], what: str) -> None:
        self.deadline.wait(
            lambda: not delete(),
            _POLL_SECONDS,
            f"Domain {self.domain_id} still has {what} that are being deleted; the time was up. "
            "Repeat the operation to go on.",
        )

    def _apps(self) -> list[dict[str, Any]]:
        """Return the apps that are left: deleted ones stay listed for a day, as ``Deleted``."""
        return [app for app in self._list("list_apps", "Apps") if app["Status"] != "Deleted"]

    def _delete_apps(self, apps: list[dict[str, Any]]) -> int:
        """Ask for deletion of apps; return how many there are."""
        for app in apps:
            if app["Status"] not in _GOES:
                owner = {k: app[k] for k in ("UserProfileName", "SpaceName") if app.get(k)}
                self._delete("delete_app", AppType=app["AppType"], AppName=app["AppName"], **owner)
        return len(apps)

    def _delete_spaces(self) -> int:
        """Ask for deletion of the spaces that are left; return how many there are."""
        spaces = self._spaces()
        for space in spaces:
            if space["Status"] not in _GOES:
                self._delete("delete_space", SpaceName=space["SpaceName"])
        return len(spaces)

    def _delete_profiles(self) -> int:
        """Ask for deletion of the profiles that others made; return how many there are.

        Somebody added them by hand, or they were left when a name was taken out of the settings:
        they would keep the domain from being deleted.
        """
        profiles = self._list("list_user_profiles", "UserProfiles")
        others = [one for one in profiles if one["UserProfileName"] not in self.own_profiles]
        for profile in others:
            if profile["Status"] not in _GOES:
                self._delete("delete_user_profile", UserProfileName=profile["UserProfileName"])
        return len(others)

    def _spaces(self) -> list[dict[str, Any]]:
        return self._list("list_spaces", "Spaces")

    def _list(self, operation: str, key: str) -> list[dict[str, Any]]:
        return listed(self.sagemaker, operation, key, DomainIdEquals=self.domain_id)

    def _delete(self, operation: str, **names: str) -> None:
        """Ask for one deletion; a thing that is gone or busy is seen again at the next look."""
        LOG.info("%s %s", operation, " ".join(names.values()))
        try:
            getattr(self.sagemaker, operation)(DomainId=self.domain_id, **names)
        except ClientError as error:
            if not is_not_found(error) and error_code(error) != "ResourceInUse":
                raise


def _owner(space: dict[str, Any]) -> str:
    return str(space.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName", ""))


def _names(spaces: list[dict[str, Any]]) -> str:
    names = [str(space["SpaceName"]) for space in spaces]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'space' if len(names) == 1 else 'spaces'} {', '.join(names[:_NAMED])}{more}"
