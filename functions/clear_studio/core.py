"""Remove the apps and spaces of a Studio domain, which block the deletion of its profiles."""

from __future__ import annotations

import logging
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

Json = dict[str, Any]


@dataclass(frozen=True)
class Clearing:
    """The clearing of one domain. It can stop at any point and be begun again."""

    sagemaker: Any
    domain_id: str
    deadline: Deadline

    def run(self, delete_spaces: bool) -> None:
        """Delete the domain's apps, and its spaces if ``delete_spaces``; wait until they are gone.

        A space's disk holds people's work: if there are spaces and they may not go, nothing is
        touched and ``ResourceError`` names them. It is raised too if time runs out (an app can
        take 20 minutes).
        """
        spaces = self._spaces()
        if spaces and not delete_spaces:
            raise ResourceError(
                f"Nothing was deleted: {_names(spaces)} in domain {self.domain_id} would lose "
                "people's files. Delete them in Studio, or allow deletion of spaces by the stack's "
                "parameter; then delete the stack again."
            )
        self._wait_until_none(self._delete_apps, "apps")
        self._wait_until_none(self._delete_spaces, "spaces")

    def _wait_until_none(self, delete: Any, what: str) -> None:
        self.deadline.wait(
            lambda: not delete(),
            _POLL_SECONDS,
            f"Domain {self.domain_id} still has {what} that are being deleted; the time was up. "
            "Delete the stack again to go on.",
        )

    def _delete_apps(self) -> int:
        """Ask for deletion of the apps that are left; return how many there are.

        Deleted ones stay in the list for a day, with the status ``Deleted``.
        """
        apps = [app for app in self._list("list_apps", "Apps") if app["Status"] != "Deleted"]
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

    def _spaces(self) -> list[Json]:
        return self._list("list_spaces", "Spaces")

    def _list(self, operation: str, key: str) -> list[Json]:
        return listed(self.sagemaker, operation, key, DomainIdEquals=self.domain_id)

    def _delete(self, operation: str, **names: str) -> None:
        """Ask for one deletion; a thing that is gone or busy is seen again at the next look."""
        LOG.info("%s %s", operation, " ".join(names.values()))
        try:
            getattr(self.sagemaker, operation)(DomainId=self.domain_id, **names)
        except ClientError as error:
            if not is_not_found(error) and error_code(error) != "ResourceInUse":
                raise


def _names(spaces: list[Json]) -> str:
    names = [str(space["SpaceName"]) for space in spaces]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{'space' if len(names) == 1 else 'spaces'} {', '.join(names[:_NAMED])}{more}"
