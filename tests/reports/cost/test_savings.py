"""What other endpoint settings bring, and what they cost in function."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from generator.errors import UsageError
from generator.files import REPOSITORY
from generator.resolved import resolve
from generator.settings import Settings, read
from generator.settings_network import (
    ENDPOINT_PROFILES,
    REQUIRED_ENDPOINTS,
    EndpointProfile,
    InterfaceEndpoint,
)
from generator.settings_section import SettingsError
from tabular_ml_vpc.reports.cost.estimate import CostChoices
from tabular_ml_vpc.reports.cost.prices import Prices, read_table
from tabular_ml_vpc.reports.cost.savings import (
    GIVEN_UP,
    cdk_example,
    given_up,
    profile_of,
    savings,
    with_endpoints,
)
from tabular_ml_vpc.reports.cost.usage import usage
from tests.existing_vpc import EXISTING, STS, VPC
from tests.existing_vpc import settings as in_existing_vpc
from tests.templates.test_reachability import (
    BY_LAMBDA_ITSELF,
    endpoint_of,
    functions_in_the_vpc,
    rights,
)

CLIENTS = {"sagemaker": "sagemaker.api", "sagemaker-runtime": "sagemaker.runtime"}
"""PrivateLink name of the clients whose name is another one."""
PRICES = Prices(read_table(), "us-east-1")
OPTIONS = savings(CostChoices(Settings(), {}, usage()), PRICES)


def test_the_cheapest_is_minimal_in_one_zone_under_a_fifth_of_the_cdk_example() -> None:
    cheapest, example = OPTIONS[0], cdk_example(PRICES)

    assert (cheapest.profile, cheapest.zones) == ("minimal", 1)
    assert not cheapest.functions_in_the_vpc
    assert example is not None
    assert example == pytest.approx(102.20)
    assert cheapest.month.typical < example / 5


def test_each_profile_is_shown_in_one_and_two_zones_with_functions_in_and_out() -> None:
    shown = {(one.profile, one.zones, one.functions_in_the_vpc) for one in OPTIONS}

    assert len(OPTIONS) == len(shown) == len(EndpointProfile) * 2 * 2


def test_endpoints_that_exist_cost_nothing_and_no_profile_is_offered_for_them() -> None:
    found = savings(CostChoices(in_existing_vpc(), {}, usage()), PRICES)
    assert {one.profile for one in found} == {"existing VPC"}
    assert [one.endpoint_hours_usd for one in found] == [0, 0]
    created = savings(CostChoices(in_existing_vpc(EXISTING | STS), {}, usage()), PRICES)
    assert [one.endpoint_hours_usd for one in created] == pytest.approx([14.6, 14.6])


def test_a_profile_for_an_existing_vpc_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=f"--endpoints: got 'minimal', .*existing VPC {VPC}"):
        with_endpoints(in_existing_vpc(), EndpointProfile.MINIMAL, None)


def test_the_present_choice_is_marked_once() -> None:
    (present,) = [one for one in OPTIONS if one.is_present]

    assert (present.profile, present.zones, present.functions_in_the_vpc) == ("standard", 2, True)
    assert present.endpoints == 8


def test_settings_of_the_users_own_are_shown_beside_the_profiles() -> None:
    settings = Settings.model_validate(
        {"network": {"interface_endpoints": [*REQUIRED_ENDPOINTS, "sts"]}}
    )

    options = savings(CostChoices(settings, {}, usage()), PRICES)

    assert [one.profile for one in options if one.is_present] == ["custom (3)"]
    assert len(options) == 13


def test_functions_outside_the_vpc_save_the_cloudformation_endpoint() -> None:
    by_key = {(one.profile, one.zones, one.functions_in_the_vpc): one for one in OPTIONS}
    inside, outside = by_key["standard", 2, True], by_key["standard", 2, False]

    assert inside.endpoint_hours_usd - outside.endpoint_hours_usd == pytest.approx(2 * 730 * 0.01)


def test_whatever_can_be_left_out_says_what_is_given_up() -> None:
    assert set(GIVEN_UP) == set(InterfaceEndpoint) - set(REQUIRED_ENDPOINTS)


def test_full_in_two_zones_gives_up_nothing() -> None:
    settings = with_endpoints(Settings(), EndpointProfile.FULL, None)

    assert given_up(settings, functions_in_the_vpc=True) == ()


def test_minimal_says_that_studio_has_no_private_address() -> None:
    settings = with_endpoints(Settings(), EndpointProfile.MINIMAL, 1)

    sentences = given_up(settings, functions_in_the_vpc=False)

    assert any("private address for Studio" in sentence for sentence in sentences)
    assert any("endpoints in one zone" in sentence for sentence in sentences)
    assert any("functions outside the VPC" in sentence for sentence in sentences)


@pytest.mark.parametrize("profile", EndpointProfile)
def test_a_profile_can_be_named_in_the_settings_file(
    profile: EndpointProfile, tmp_path: Path
) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'[network]\ninterface_endpoints = "{profile}"\n')

    assert profile_of(read(path)) == profile


def test_what_a_day_in_studio_calls_is_there_or_said_to_be_given_up() -> None:
    walkthrough = (REPOSITORY / "docs/studio-walkthrough.md").read_text()
    clients = set(re.findall(r'boto3\.client\("([a-z0-9-]+)"\)', walkthrough))
    services = {CLIENTS.get(client, client) for client in clients} - {"s3"}

    missing = services - set(map(str, ENDPOINT_PROFILES[EndpointProfile.MINIMAL]))

    assert {"sagemaker.api", "sagemaker.runtime", "logs"} <= services
    assert missing == {"logs"}
    assert missing <= set(map(str, GIVEN_UP))


def test_functions_in_the_vpc_reach_all_that_they_call_with_the_minimal_profile() -> None:
    settings = with_endpoints(Settings(), EndpointProfile.MINIMAL, 1)
    inside = resolve(settings, parameters={"FunctionsInTheVpc": "yes"})

    called = {
        action.partition(":")[0]
        for function in functions_in_the_vpc(inside)
        for action, _ in rights(inside, function)
    } - BY_LAMBDA_ITSELF

    assert called
    assert all(endpoint_of(inside, service) for service in called)


def test_a_profile_that_does_not_exist_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[network]\ninterface_endpoints = "tiny"\n')

    with pytest.raises(SettingsError, match=r"'tiny'.*minimal, standard, full or a list"):
        read(path)


def test_more_zones_for_endpoints_than_there_are_adds_a_zone() -> None:
    settings = with_endpoints(Settings(), None, 3)

    assert (settings.network.zones, settings.network.endpoint_zones) == (3, 3)
