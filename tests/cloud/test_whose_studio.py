"""A deployment in a Studio domain that is somebody else's and stays as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from generator.settings import Mode, Settings
from tabular_ml_vpc.local.emulator.inventory import inventory
from tabular_ml_vpc.operations.spaces import StudioSpaces
from tabular_ml_vpc.operations.target import Target
from tests.cloud.account import Account, Change, chosen


def choose(**studio: Any) -> Change:
    """Put the templates of these settings in the place of the default ones."""
    settings = Settings.model_validate(
        {"studio": studio, "network": {"interface_endpoints": ["sagemaker.api"]}}
    )
    return chosen(settings)


@pytest.fixture
def theirs(account: Account) -> Iterator[dict[str, str]]:
    """Give a domain in which Cleo works: in a space of the name of our profile, and in an app."""
    sagemaker = account.client("sagemaker")
    arn = sagemaker.create_domain(
        DomainName="theirs",
        AuthMode="IAM",
        AppNetworkAccessType="VpcOnly",
        DefaultUserSettings={"ExecutionRole": "arn:aws:iam::123456789012:role/theirs"},
        SubnetIds=["subnet-00000000"],
        VpcId="vpc-00000000",
    )["DomainArn"]
    domain = {"DomainId": arn.rpartition("/")[2]}
    sagemaker.create_user_profile(**domain, UserProfileName="cleo")
    make_space(sagemaker, domain, "ada", owner="cleo")
    sagemaker.create_app(**domain, UserProfileName="cleo", AppType="Canvas", AppName="default")
    yield domain
    target = Target(account.session, "theirs")
    StudioSpaces(target, domain["DomainId"]).delete(time.sleep)
    sagemaker.delete_user_profile(**domain, UserProfileName="cleo")
    while sagemaker.list_user_profiles(DomainIdEquals=domain["DomainId"])["UserProfiles"]:
        time.sleep(target.poll_seconds)
    sagemaker.delete_domain(**domain)
    while sagemaker.list_domains()["Domains"]:
        time.sleep(target.poll_seconds)


def make_space(sagemaker: Any, domain: dict[str, str], name: str, owner: str) -> None:
    """Make a private space with an app that runs in it."""
    sagemaker.create_space(
        **domain,
        SpaceName=name,
        OwnershipSettings={"OwnerUserProfileName": owner},
        SpaceSharingSettings={"SharingType": "Private"},
    )
    sagemaker.create_app(**domain, SpaceName=name, AppType="JupyterLab", AppName="default")


def test_in_a_domain_of_others_only_what_is_ours_comes_and_goes(
    account: Account, name: str, theirs: dict[str, str]
) -> None:
    sagemaker, before = account.client("sagemaker"), inventory(account.session)
    change = choose(domain=theirs["DomainId"], user_profiles=["ada"])
    account.deploy(account.package(Mode.DEV, change), name, DeleteSpaces="yes")
    outputs = account.outputs(name)
    ada = sagemaker.describe_user_profile(**theirs, UserProfileName="ada")
    role = outputs["StudioRole"]
    assert ada["UserSettings"]["ExecutionRole"] == role
    make_space(sagemaker, theirs, "thesis", owner="ada")
    assert account.delete(name) == "DELETE_COMPLETE", account.failures(name)
    assert inventory(account.session) == before
