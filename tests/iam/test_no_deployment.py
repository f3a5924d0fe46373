"""A deployment whose runs register models and serve none."""

from __future__ import annotations

import pytest

from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import Account
from tests.iam.derived import derived_calls, steps
from tests.iam.judged import refused
from tests.iam.required import DERIVED, Required

DEPLOYING = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint")


@pytest.fixture(scope="module")
def registering() -> Account:
    """Return a deployment that deploys no model."""
    return Account.of(resolve(Settings.model_validate({"pipeline": {"deploy": "none"}})))


def test_a_run_ends_with_the_registration_and_may_do_its_work(registering: Account) -> None:
    names = [name for name, _, _ in steps(registering)]
    assert names == ["Preprocess", "Train", "Evaluate", "RegisterModel"]
    needed = [Required(DERIVED, *call) for call in derived_calls(registering)]
    assert refused(registering, needed) == []


def test_the_pipeline_may_not_deploy(account: Account, registering: Account) -> None:
    calls = [
        Required(DERIVED, request, trigger)
        for request, trigger in derived_calls(account)
        if request.action.rpartition(":")[2] in DEPLOYING
    ]
    assert {one.request.action.rpartition(":")[2] for one in calls} == set(DEPLOYING)
    assert refused(account, calls) == []
    assert len(refused(registering, calls)) == len(calls)
