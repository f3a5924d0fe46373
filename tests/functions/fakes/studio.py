"""A Studio domain in memory: its spaces and apps, which take their time to go."""

from __future__ import annotations

from dataclasses import dataclass

from tests.functions.fakes.clock import Clock
from tests.functions.fakes.wire import ApiError, Backend, Fields

DOMAIN = "d-abcdefghijkl"
PAGE = 2


@dataclass
class App:
    """An app of a space or of a user profile; its deletion leaves it in the list for a day."""

    name: str
    kind: str = "JupyterLab"
    space: str = ""
    profile: str = ""
    status: str = "InService"


class FakeStudio(Backend):
    """One domain."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.app_seconds, self.space_seconds = 300.0, 60.0
        self.apps: list[App] = []
        self.spaces: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.profiles: dict[str, str] = {}

    def list_apps(self, p: Fields) -> Fields:
        shown = [
            {
                "DomainId": DOMAIN,
                "AppName": app.name,
                "AppType": app.kind,
                "Status": app.status,
                **({"SpaceName": app.space} if app.space else {"UserProfileName": app.profile}),
            }
            for app in self.apps
        ]
        return self._page(p, "Apps", shown)

    def list_spaces(self, p: Fields) -> Fields:
        shown = [
            {
                "DomainId": DOMAIN,
                "SpaceName": name,
                "Status": status,
                "OwnershipSettingsSummary": {"OwnerUserProfileName": self.owners.get(name, "ana")},
            }
            for name, status in self.spaces.items()
        ]
        return self._page(p, "Spaces", shown)

    def list_user_profiles(self, p: Fields) -> Fields:
        shown = [
            {"DomainId": DOMAIN, "UserProfileName": name, "Status": status}
            for name, status in self.profiles.items()
        ]
        return self._page(p, "UserProfiles", shown)

    def delete_user_profile(self, p: Fields) -> None:
        """Refuse one that has apps or spaces, as the service does."""
        name = p["UserProfileName"]
        if name not in self.profiles:
            raise ApiError("ResourceNotFound", f"UserProfile {name} does not exist")
        used = [app for app in self.apps if app.profile == name and app.status != "Deleted"]
        if used or any(self.owners.get(space, "ana") == name for space in self.spaces):
            raise ApiError("ResourceInUse", f"UserProfile {name} has apps or spaces")
        self.profiles[name] = "Deleting"
        self.clock.after(self.space_seconds, lambda: self.profiles.pop(name, None))

    def _page(self, p: Fields, key: str, items: list[Fields]) -> Fields:
        if p["DomainIdEquals"] != DOMAIN:
            raise ApiError("ResourceNotFound", f"Domain {p['DomainIdEquals']} does not exist")
        start = int(p.get("NextToken", 0))
        more = {"NextToken": str(start + PAGE)} if start + PAGE < len(items) else {}
        return {key: items[start : start + PAGE], **more}

    def delete_app(self, p: Fields) -> None:
        owner = (p.get("SpaceName", ""), p.get("UserProfileName", ""))
        found = [
            app
            for app in self.apps
            if (app.name, app.kind, app.space, app.profile) == (p["AppName"], p["AppType"], *owner)
        ]
        if not found or found[0].status == "Deleted":
            raise ApiError("ResourceNotFound", f"App {p['AppName']} does not exist")
        found[0].status = "Deleting"
        self.clock.after(self.app_seconds, lambda: setattr(found[0], "status", "Deleted"))

    def delete_space(self, p: Fields) -> None:
        name = p["SpaceName"]
        if name not in self.spaces:
            raise ApiError("ResourceNotFound", f"Space {name} does not exist")
        if any(app.space == name and app.status != "Deleted" for app in self.apps):
            raise ApiError("ResourceInUse", f"Space {name} has apps")
        self.spaces[name] = "Deleting"
        self.clock.after(self.space_seconds, lambda: self.spaces.pop(name, None))
