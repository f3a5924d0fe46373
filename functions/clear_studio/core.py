"""Delete what people created in a Studio domain and what blocks its deletion."""

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
    """The clearing of one domain, which can be interrupted and repeated at any point.

    ``own_profiles`` are the stack's user profiles, which CloudFormation itself deletes. Without
    ``whole_domain``, apps and spaces of others are neither seen nor touched.
    """

    sagemaker: Any
    domain_id: str
    own_profiles: frozenset[str]
    deadline: Deadline
    whole_domain: bool = True

    def run(self, delete_spaces: bool) -> None:
        """Delete the domain's apps, its spaces, and the profiles that are not the stack's.

        In a domain that is not the stack's: the apps and spaces of the stack's profiles.

        A space's disk holds people's work. If there are spaces that nobody is deleting, and
        ``delete_spaces`` is false, nothing is deleted and ``ResourceError`` names them. It is also
        raised if time runs out (an app can take 20 minutes).
        """
        kept = [] if delete_spaces else _kept(self._spaces())
        if kept:
            raise ResourceError(
                f"Nothing was deleted, because {_names(kept)} in domain {self.domain_id} would "
                "lose people's files. Delete them in Studio, or set the stack's parameter "
                "DeleteSpaces to yes; then delete the stack again."
            )
        self._wait_until_none(lambda: self._delete_apps(self._apps()), "apps")
        self._wait_until_none(self._delete_spaces, "spaces")
        if self.whole_domain:
            self._wait_until_none(self._delete_profiles, "user profiles")

    def release(self, profiles: frozenset[str]) -> None:
        """Prepare profiles that leave the stack for deletion by CloudFormation.

        CloudFormation would silently leave behind a profile that has apps or spaces. Apps are
        deleted, and spaces that somebody is deleting waited for. Other spaces hold people's files:
        ``ResourceError`` names them, and the profiles are kept.
        """
        spaces = _kept(self._owned_by(profiles))
        if spaces:
            people = ", ".join(sorted({_owner(space) for space in spaces}))
            raise ResourceError(
                f"User profiles with spaces cannot be removed, because the spaces and their files "
                f"would be orphaned: {people} ({_names(spaces)}). Delete the spaces in Studio "
                "first."
            )
        self._wait_until_none(
            lambda: self._delete_apps(
                [app for app in self._apps() if app.get("UserProfileName") in profiles]
            ),
            "apps",
        )
        self._wait_until_none(lambda: len(self._owned_by(profiles)), "spaces")

    def check_replaceable(self) -> None:
        """Raise ``ResourceError`` if the domain, which an update replaces, is in use.

        A domain that is not the stack's is not replaced: the stack's profiles in it are deleted.
        """
        spaces, apps = self._spaces(), self._apps()
        if spaces or apps:
            what = _names(spaces) if spaces else f"app {apps[0]['AppName']}"
            replaces = "replaces" if self.whole_domain else "deletes the stack's profiles in"
            raise ResourceError(
                f"Nothing was changed, because the update {replaces} domain {self.domain_id}, "
                f"which contains {what}. Delete its spaces and apps in Studio first, or undo the "
                "change of the domain."
            )

    def _wait_until_none(self, delete: Callable[[], int], what: str) -> None:
        self.deadline.wait(
            lambda: not delete(),
            _POLL_SECONDS,
            f"Time ran out while {what} of domain {self.domain_id} were being deleted. Repeat the "
            "operation to continue.",
        )

    def _apps(self) -> list[dict[str, Any]]:
        """Return the remaining apps: deleted ones are listed for a day, as ``Deleted``."""
        apps = [app for app in self._list("list_apps", "Apps") if app["Status"] != "Deleted"]
        if self.whole_domain or not apps:
            return apps
        spaces = {space["SpaceName"] for space in self._spaces()}
        return [
            app
            for app in apps
            if app.get("SpaceName") in spaces
            or (not app.get("SpaceName") and app.get("UserProfileName") in self.own_profiles)
        ]

    def _delete_apps(self, apps: list[dict[str, Any]]) -> int:
        """Request the deletion of apps; return how many there are."""
        for app in apps:
            if app["Status"] not in _GOES:
                owner = {k: app[k] for k in ("UserProfileName", "SpaceName") if app.get(k)}
                self._delete("delete_app", AppType=app["AppType"], AppName=app["AppName"], **owner)
        return len(apps)

    def _delete_spaces(self) -> int:
        """Request the deletion of the remaining spaces; return how many there are."""
        spaces = self._spaces()
        for space in spaces:
            if space["Status"] not in _GOES:
                self._delete("delete_space", SpaceName=space["SpaceName"])
        return len(spaces)

    def _delete_profiles(self) -> int:
        """Request the deletion of profiles that are not the stack's; return how many there are.

        Somebody added them by hand, or they remained when a name was removed from the settings.
        They would block the domain's deletion.
        """
        profiles = self._list("list_user_profiles", "UserProfiles")
        others = [
            profile for profile in profiles if profile["UserProfileName"] not in self.own_profiles
        ]
        for profile in others:
            if profile["Status"] not in _GOES:
                self._delete("delete_user_profile", UserProfileName=profile["UserProfileName"])
        return len(others)

    def _spaces(self) -> list[dict[str, Any]]:
        spaces = self._list("list_spaces", "Spaces")
        return [one for one in spaces if self.whole_domain or _owner(one) in self.own_profiles]

    def _owned_by(self, profiles: frozenset[str]) -> list[dict[str, Any]]:
        return [space for space in self._spaces() if _owner(space) in profiles]

    def _list(self, operation: str, key: str) -> list[dict[str, Any]]:
        return listed(self.sagemaker, operation, key, DomainIdEquals=self.domain_id)

    def _delete(self, operation: str, **names: str) -> None:
        """Request one deletion; a resource that is gone or busy is checked again later."""
        LOG.info("%s %s", operation, " ".join(names.values()))
        try:
            getattr(self.sagemaker, operation)(DomainId=self.domain_id, **names)
        except ClientError as error:
            if not is_not_found(error) and error_code(error) != "ResourceInUse":
                raise


def _kept(spaces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spaces that nobody has asked to be deleted."""
    return [space for space in spaces if space["Status"] not in _GOES]


def _owner(space: dict[str, Any]) -> str:
    return str(space.get("OwnershipSettingsSummary", {}).get("OwnerUserProfileName", ""))


def _names(spaces: list[dict[str, Any]]) -> str:
    names = [str(space["SpaceName"]) for space in spaces]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'space' if len(names) == 1 else 'spaces'} {', '.join(names[:_NAMED])}{more}"
