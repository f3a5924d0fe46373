"""Several pipelines: each can do its work, and nothing with what is another one's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from generator.cfn.identifiers import StackLocation
from generator.policies import own_key
from generator.resolved import resolve
from generator.settings import Settings
from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import Attack, attacks
from tests.iam.conftest import OWN_KEY
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.minimality import Part, allowances, layers, let_through, limits, needed_by
from tests.iam.required import Required, required
from tests.iam.transposed import ROLES, Move, Place

MAIN: Final = Place("main", "pipeline")
CHURN: Final = Place("churn", "ChurnPipeline")
FRAUD: Final = Place("fraud", "FraudPipeline")
PAIRS: Final = ((CHURN, FRAUD), (CHURN, MAIN), (MAIN, CHURN))
SHARED: Final = (":endpoint-config/", ":model/pipelines-", ":processing-job/", ":training-job/")
"""Resources whose names the service chooses, so that no policy can tell pipelines apart by them."""
SHARING: Final = ("StudioRole", "NotebookJobsRole", "events.amazonaws.com")
"""Callers whose statements about main have become statements about all pipelines."""
LOOKS: Final = ("cloudformation:DescribeStacks", "sagemaker:DescribeEndpoint", "sagemaker:ListTags")


@pytest.fixture(scope="module")
def several() -> Account:
    """Return a deployment of main, churn and fraud."""
    pipelines = [{"name": place.entry} for place in (MAIN, CHURN, FRAUD)]
    return Account.of(resolve(Settings.model_validate({"pipelines": pipelines})))


@pytest.fixture(scope="module")
def main_calls(several: Account, recorded_calls: Path) -> list[Required]:
    """Return what main and everything shared need in this deployment."""
    return required(several, recorded_calls)


@pytest.fixture(scope="module")
def churn_calls(several: Account, main_calls: list[Required]) -> list[Required]:
    """Return what churn needs: main's calls about a pipeline, as churn's."""
    move = Move(several, MAIN, CHURN)
    moved = [
        Required(one.kind, move.whole(one.request), one.trigger, one.source) for one in main_calls
    ]
    pairs = zip(main_calls, moved, strict=True)
    return [
        new
        for old, new in pairs
        if new.request != old.request and old.request.who != "SeedDataRole"
    ]


@pytest.fixture(scope="module")
def main_attacks(several: Account, main_calls: list[Required]) -> list[Attack]:
    """Return the attacks on main and on what all pipelines share."""
    return attacks(several, main_calls)


@pytest.fixture(scope="module")
def churn_attacks(several: Account, main_attacks: list[Attack]) -> list[Attack]:
    """Return the attacks on main as attacks on churn, as far as they are about a pipeline."""
    move = Move(several, MAIN, CHURN)
    moved = [Attack(one.kind, one.wants, move.whole(one.request)) for one in main_attacks]
    found = [
        new for old, new in zip(main_attacks, moved, strict=True) if new.request != old.request
    ]
    return [*found, *_by_others(several)]


def _by_others(account: Account) -> Iterator[Attack]:
    """Yield attempts of roles outside the path that the shared policies recognize."""
    place = account.place
    for name in ("administrator", "other/jobs/thief"):
        who = f"arn:{place.partition}:iam::{place.account}:role/{name}"
        request = Request(who, "kms:Encrypt", account.key_arn, {}, "", (ALL,))
        yield Attack("another role", f"{name} uses the key as a job does", request)


def own(place: Place) -> set[str]:
    """Return everybody who acts for one pipeline."""
    return {*map(place.role, ROLES), place.manager}


@pytest.fixture(scope="module")
def crossings(
    several: Account, main_calls: list[Required], churn_calls: list[Required]
) -> dict[str, Request]:
    """Return what each pipeline needs of its own, tried on another one's."""
    found = {}
    for source, target in PAIRS:
        calls = main_calls if source is MAIN else churn_calls
        move = Move(several, source, target)
        for one in calls:
            tried = move.about(one.request)
            if one.request.who not in own(source) or tried == one.request:
                continue
            if one.request.who == source.manager == target.manager:
                continue  # one function manages all named pipelines
            if harmless(tried):
                continue
            found[f"{source.entry} to {target.entry}: {tried} {dict(tried.context)}"] = tried
    return found


def harmless(request: Request) -> bool:
    """Tell whether no policy can tell pipelines apart, or need not: for tags and status.

    Tags are set only with the creation of a resource, which has to be allowed itself. The managers
    look for what contains the deployment's name and read its owner.
    """
    told = "sagemaker:VpcSecurityGroupIds" in request.context or any(
        key.startswith("aws:ResourceTag/") for key in request.context
    )
    if any(part in request.resource for part in SHARED):
        return not told
    manages = request.who in (MAIN.manager, CHURN.manager)
    return request.action == "sagemaker:AddTags" or (manages and request.action in LOOKS)


def test_a_named_pipeline_can_do_what_main_can(
    several: Account, churn_calls: list[Required]
) -> None:
    assert refused(several, churn_calls) == []
    callers = {one.request.who for one in churn_calls}
    assert own(CHURN) | {"StudioRole", "NotebookJobsRole"} <= callers
    assert len(churn_calls) > 150


def test_no_pipeline_can_do_with_another_one_s_what_it_can_with_its_own(
    several: Account, crossings: dict[str, Request]
) -> None:
    assert succeeding(several, crossings) == []
    assert len(crossings) > 150


def test_every_crossing_would_succeed_without_policies(
    several: Account, crossings: dict[str, Request]
) -> None:
    assert impossible(several, crossings) == []


def test_attacks_on_main_fail_on_a_named_pipeline_too(
    several: Account, churn_attacks: list[Attack]
) -> None:
    assert succeeding(several, {str(one): one.request for one in churn_attacks}) == []
    assert len(churn_attacks) > 100


def added(parts: list[Part], without: Account) -> Iterator[Part]:
    """Yield the parts that a deployment has because of churn."""
    usual = {str(part) for part in [*allowances(without), *limits(without)]}
    for part in parts:
        other = "/FraudPipeline/" in part.document
        if not other and str(part) not in usual:
            yield part


def test_every_right_that_a_named_pipeline_adds_is_needed(
    several: Account, account: Account, main_calls: list[Required], churn_calls: list[Required]
) -> None:
    parts = [*added(allowances(several), account)]
    assert any(part.document == "identity/StudioPolicy" for part in parts)
    shared = [one for one in main_calls if one.request.who in SHARING]
    needs = needed_by(several, parts, [*churn_calls, *shared])
    assert [str(part) for part, calls in needs.items() if not calls] == []


def test_every_limit_that_a_named_pipeline_adds_stops_an_attack(
    several: Account,
    account: Account,
    main_attacks: list[Attack],
    churn_attacks: list[Attack],
    crossings: dict[str, Request],
) -> None:
    parts = [*added(limits(several), account)]
    tries = [one.request for one in [*churn_attacks, *main_attacks]]
    stopped = let_through(several, parts, [*tries, *crossings.values()])
    behind = layers(list(limits(several)))
    idle = [part for part, successes in stopped.items() if not successes]
    # The key's policy lets these jobs use it through S3 and Logs only, and is a layer of its own.
    idle = [part for part in idle if not part.value.endswith("kms:ViaService")]
    assert [str(part) for part in idle if part not in behind] == []


def test_the_policy_for_an_own_key_lets_named_pipelines_use_it() -> None:
    place = StackLocation(stack_name="tabular")
    key = place.arn("kms", f"key/{OWN_KEY}")
    pipelines = [{"name": one.entry} for one in (MAIN, CHURN)]
    settings = Settings.model_validate({"security": {"key": key}, "pipelines": pipelines})
    deployment = resolve(settings, place=place)
    account = Account.of(deployment, own_key=own_key.policy(settings, place))
    group = deployment.get(CHURN.stack, "EndpointLogGroup").reference
    context = {"kms:EncryptionContext:aws:logs:arn": place.arn("logs", f"log-group:{group}")}
    calls = [
        *(Request(CHURN.role(role), "kms:Encrypt", key) for role in ROLES[:2]),
        Request(f"logs.{place.region}.amazonaws.com", "kms:Encrypt", key, context),
    ]
    assert [verdict.allowed for verdict in account.ask(calls)] == [True] * 3
