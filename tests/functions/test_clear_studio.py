"""Apps and spaces go with the stack; people's spaces only where that was allowed."""

from __future__ import annotations

import pytest

from functions.clear_studio.handler import handler
from tests.functions.fakes.studio import DOMAIN, App, FakeStudio
from tests.functions.fakes.wire import ApiError
from tests.functions.world import Put, World

PROPERTIES = {"DomainId": DOMAIN, "DeleteSpaces": "true", "UserProfiles": "ana,ben"}
FEWER = PROPERTIES | {"UserProfiles": "ana"}
KEEP_SPACES = PROPERTIES | {"DeleteSpaces": "false"}


@pytest.fixture
def studio(world: World) -> FakeStudio:
    studio = FakeStudio(world.clock)
    studio.apps = [App(f"app{number}", space=f"space{number}") for number in range(3)]
    studio.apps += [App("default", kind="JupyterServer", profile="ana")]
    studio.spaces = {f"space{number}": "InService" for number in range(5)}
    studio.profiles = {"ana": "InService", "ben": "InService"}
    world.backed_by(sagemaker=studio)
    return studio


def alive(studio: FakeStudio) -> list[str]:
    return [app.name for app in studio.apps if app.status != "Deleted"]


def test_apps_and_spaces_are_gone_when_it_is_answered(world: World, studio: FakeStudio) -> None:
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert (alive(studio), studio.spaces) == ([], {})


def test_spaces_that_must_stay_are_named_and_nothing_is_touched(
    world: World, studio: FakeStudio
) -> None:
    put = world.send(handler, "Delete", KEEP_SPACES)
    assert "spaces space0, space1, space2 and 2 more in domain d-abcdefghijkl" in put.reason
    assert len(alive(studio)) == 4
    assert studio.requested("DeleteApp") == []


def test_one_space_is_named_in_the_singular(world: World, studio: FakeStudio) -> None:
    studio.spaces = {"mine": "InService"}
    assert (
        "Nothing was deleted, because space mine in"
        in world.send(handler, "Delete", KEEP_SPACES).reason
    )


def test_a_space_that_somebody_is_deleting_stops_nothing(world: World, studio: FakeStudio) -> None:
    studio.spaces = {"mine": "InService"}
    studio.delete_space({"DomainId": DOMAIN, "SpaceName": "mine"})
    assert world.send(handler, "Delete", KEEP_SPACES).succeeded
    assert (alive(studio), studio.spaces) == ([], {})
    assert studio.requested("DeleteSpace") == []


def test_apps_of_a_domain_without_spaces_go(world: World, studio: FakeStudio) -> None:
    studio.spaces = {}
    assert world.send(handler, "Delete", KEEP_SPACES).succeeded
    assert alive(studio) == []


def test_each_deletion_is_asked_for_once(world: World, studio: FakeStudio) -> None:
    world.send(handler, "Delete", PROPERTIES)
    assert len(studio.requested("DeleteApp")) == 4
    assert len(studio.requested("DeleteSpace")) == 5


def test_deleted_apps_in_the_list_are_not_waited_for(world: World, studio: FakeStudio) -> None:
    studio.apps = [App("old", space="gone", status="Deleted")]
    studio.spaces = {}
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert world.clock.slept == []


def test_a_deletion_without_time_says_so_and_the_next_goes_on(
    world: World, studio: FakeStudio
) -> None:
    put = world.send(handler, "Delete", PROPERTIES, seconds=120)
    assert "Time ran out while apps of domain" in put.reason
    assert "Repeat the operation to continue." in put.reason
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert (alive(studio), studio.spaces) == ([], {})
    assert len(studio.requested("DeleteApp")) == 4


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("DeleteApp", ApiError("ResourceNotFound", "App does not exist")),
        ("DeleteSpace", ApiError("ResourceNotFound", "Space does not exist")),
        ("DeleteSpace", ApiError("ResourceInUse", "Space has apps")),
    ],
)
def test_what_vanishes_or_is_busy_is_looked_at_again(
    world: World, studio: FakeStudio, operation: str, error: ApiError
) -> None:
    studio.failures[operation] = [error]
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert (alive(studio), studio.spaces) == ([], {})


def test_a_missing_right_is_said(world: World, studio: FakeStudio) -> None:
    studio.failures["DeleteApp"] = [ApiError("AccessDeniedException", "not authorized")]
    put = world.send(handler, "Delete", PROPERTIES)
    assert not put.succeeded
    assert "AccessDeniedException" in put.reason


def test_a_domain_that_is_gone_is_cleared(world: World, studio: FakeStudio) -> None:
    """As after a creation that failed, or a second delivery."""
    put = world.send(handler, "Delete", PROPERTIES | {"DomainId": "d-gone"})
    assert put.succeeded
    assert len(alive(studio)) == 4


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_creation_and_update_touch_nothing(world: World, studio: FakeStudio, kind: str) -> None:
    assert world.send(handler, kind, PROPERTIES, OldResourceProperties=PROPERTIES).succeeded
    assert studio.requests == []


# People come and go


def test_profiles_that_the_stack_does_not_have_go_with_it(world: World, studio: FakeStudio) -> None:
    """Added by hand, or left when a name was taken out of the settings."""
    studio.profiles |= {"hand-made": "InService", "left": "InService"}
    studio.owners["space0"] = "hand-made"
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert studio.profiles == {"ana": "InService", "ben": "InService"}


def test_spaces_of_a_profile_made_by_hand_are_kept_by_the_same_rule(
    world: World, studio: FakeStudio
) -> None:
    studio.profiles["hand-made"] = "InService"
    studio.spaces, studio.owners = {"notes": "InService"}, {"notes": "hand-made"}
    put = world.send(handler, "Delete", KEEP_SPACES)
    assert "Nothing was deleted, because space notes in" in put.reason
    assert "hand-made" in studio.profiles


def test_a_profile_without_spaces_goes_where_spaces_stay(world: World, studio: FakeStudio) -> None:
    studio.profiles["hand-made"] = "InService"
    studio.spaces = {}
    assert world.send(handler, "Delete", KEEP_SPACES).succeeded
    assert "hand-made" not in studio.profiles


# A domain that is not the stack's

THEIRS = PROPERTIES | {"UserProfiles": "ana", "WholeDomain": "false"}


@pytest.fixture
def shared(studio: FakeStudio) -> FakeStudio:
    """Ana is the stack's; Ben, who works in a space of the name of Ana, and Cleo are not."""
    studio.profiles |= {"cleo": "InService"}
    studio.spaces = {"notes": "InService", "ana": "InService", "team": "InService"}
    studio.owners = {"notes": "ana", "ana": "ben", "team": "cleo"}
    studio.apps = [App(f"in-{name}", space=name) for name in studio.spaces]
    studio.apps += [App(f"canvas-{name}", "Canvas", profile=name) for name in ("ana", "ben")]
    return studio


def test_in_a_domain_of_others_only_what_own_profiles_have_goes(
    world: World, shared: FakeStudio
) -> None:
    assert world.send(handler, "Delete", THEIRS).succeeded
    assert alive(shared) == ["in-ana", "in-team", "canvas-ben"]
    assert list(shared.spaces) == ["ana", "team"]
    assert list(shared.profiles) == ["ana", "ben", "cleo"]
    assert len(shared.requested("DeleteApp")) == 2


def test_in_a_domain_of_others_their_spaces_stop_nothing(world: World, shared: FakeStudio) -> None:
    del shared.spaces["notes"]
    shared.apps = [app for app in shared.apps if app.space != "notes"]
    assert world.send(handler, "Delete", THEIRS | {"DeleteSpaces": "false"}).succeeded
    assert alive(shared) == ["in-ana", "in-team", "canvas-ben"]


def test_own_spaces_in_a_domain_of_others_are_kept_by_the_same_rule(
    world: World, shared: FakeStudio
) -> None:
    put = world.send(handler, "Delete", THEIRS | {"DeleteSpaces": "false"})
    assert "Nothing was deleted, because space notes in" in put.reason
    assert shared.requested("DeleteApp") == []


def test_a_domain_of_others_is_left_only_without_own_spaces(
    world: World, shared: FakeStudio
) -> None:
    put = update(world, THEIRS, THEIRS | {"DomainId": "d-new"})
    assert f"the update deletes the stack's profiles in domain {DOMAIN}" in put.reason
    assert "contains space notes." in put.reason
    assert shared.requested("DeleteSpace") == []


def update(world: World, old: dict[str, str], new: dict[str, str]) -> Put:
    return world.send(handler, "Update", new, OldResourceProperties=old)


def test_a_profile_with_spaces_is_not_taken_out(world: World, studio: FakeStudio) -> None:
    studio.owners |= {"space1": "ben", "space3": "ben"}
    put = update(world, PROPERTIES, FEWER)
    assert not put.succeeded
    assert "orphaned: ben (spaces space1, space3)" in put.reason
    assert len(alive(studio)) == 4


def test_apps_of_a_profile_that_is_taken_out_go_before_it(world: World, studio: FakeStudio) -> None:
    studio.apps.append(App("canvas", kind="Canvas", profile="ben"))
    assert update(world, PROPERTIES, FEWER).succeeded
    assert "canvas" not in alive(studio)
    assert len(alive(studio)) == 4
    studio.delete_user_profile({"DomainId": DOMAIN, "UserProfileName": "ben"})


def test_a_profile_whose_spaces_somebody_is_deleting_is_taken_out_after_them(
    world: World, studio: FakeStudio
) -> None:
    studio.spaces |= {"bens": "InService"}
    studio.owners |= {"bens": "ben"}
    studio.delete_space({"DomainId": DOMAIN, "SpaceName": "bens"})
    assert update(world, PROPERTIES, FEWER).succeeded
    assert "bens" not in studio.spaces
    studio.delete_user_profile({"DomainId": DOMAIN, "UserProfileName": "ben"})


@pytest.mark.parametrize("what", ["spaces", "apps"])
def test_a_domain_in_use_is_not_replaced(world: World, studio: FakeStudio, what: str) -> None:
    if what == "spaces":
        studio.apps = []
    else:
        studio.spaces = {}
    put = update(world, PROPERTIES, PROPERTIES | {"DomainId": "d-new"})
    assert f"Nothing was changed, because the update replaces domain {DOMAIN}" in put.reason
    assert not put.succeeded


def test_an_empty_domain_is_replaced(world: World, studio: FakeStudio) -> None:
    studio.apps, studio.spaces = [], {}
    assert update(world, PROPERTIES, PROPERTIES | {"DomainId": "d-new"}).succeeded


def test_an_update_from_a_version_without_profile_names_succeeds(
    world: World, studio: FakeStudio
) -> None:
    old = {name: value for name, value in PROPERTIES.items() if name != "UserProfiles"}
    assert update(world, old, PROPERTIES).succeeded
    assert studio.requests == []


def test_a_replacement_touches_nothing(world: World, studio: FakeStudio) -> None:
    world.cloudformation.status = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    assert world.send(handler, "Delete", PROPERTIES).succeeded
    assert studio.requests == []
