"""A part of the cases of `make reliability`, and that its page is about today's cases."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from botocore.exceptions import ClientError

from functions.clear_studio.handler import handler as clear_studio
from functions.shared.custom_resource import Attributes, Event, LambdaContext, Request, serve
from functions.shared.errors import ResourceError
from tests.functions.fakes import studio
from tests.functions.fakes.studio import DOMAIN
from tests.functions.pipeline_world import BUCKET
from tests.functions.world import Handler
from tests.reliability import scale
from tests.reliability.case import FAILED, SUCCEEDED, Case, WrongError, calls_of, cases, run
from tests.reliability.faults import FAULTS
from tests.reliability.page import PAGE
from tests.reliability.process import Lambda
from tests.reliability.responses import RESPONSES, Response, respond
from tests.reliability.scenarios import KEY, SCENARIOS, Scenario

STRIDE = 19
"""No divisor of the number of faults: each case is at another call, with another fault."""


@pytest.fixture(scope="module")
def machine() -> Lambda:
    """Make clients once: botocore's model of SageMaker takes half a second to read."""
    return Lambda()


def name_of(scenario: Scenario) -> str:
    return f"{scenario.function}: {scenario.title}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name_of)
def test_an_event_survives_faults(scenario: Scenario, machine: Lambda) -> None:
    for case in islice(cases(scenario, machine), SCENARIOS.index(scenario), None, STRIDE):
        assert run(case, machine) in (SUCCEEDED, FAILED), case


def careless(event: Event, context: LambdaContext) -> None:
    """Remove what belongs to others, and answer as if nothing had happened."""

    def act(request: Request) -> Attributes:
        s3 = request.client("s3")
        place = {"Bucket": BUCKET, "Key": KEY}
        s3.head_object(**place)
        if request.deletes:
            s3.delete_object(**place)
        return {}

    serve(event, context, act)


def silent(_event: Event, _context: LambdaContext) -> None:
    """Answer nothing."""


def failing(event: Event, context: LambdaContext) -> None:
    """Fail where any call failed, without a word about it."""

    def act(request: Request) -> Attributes:
        try:
            request.client("s3").head_object(Bucket=BUCKET, Key=KEY)
        except ClientError:
            raise ResourceError("It did not work.") from None
        return {}

    serve(event, context, act)


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        (careless, "of others was touched"),
        (silent, "no answer"),
        (failing, "names no call or resource"),
    ],
)
def test_a_function_that_breaks_a_rule_is_found(
    handler: Handler, problem: str, machine: Lambda
) -> None:
    scenario = next(one for one in SCENARIOS if name_of(one) == "seed_data: Delete, file of others")
    denied = next(one for one in FAULTS if one.name == "access denied")
    with pytest.raises(WrongError, match=problem):
        run(Case(replace(scenario, handler=handler), denied, 1), machine)


@pytest.mark.parametrize("response", RESPONSES, ids=lambda response: response.name)
def test_an_event_survives_faults_on_the_way_of_its_response(
    response: Response, machine: Lambda
) -> None:
    for scenario in SCENARIOS:
        if scenario.kind != "Delete":
            assert respond(scenario, response, machine) == SUCCEEDED, name_of(scenario)


def case_at(function: str, operation: str, fault: str, machine: Lambda) -> Case:
    """Return the case of a fault at the first call of an operation in a function's Create."""
    scenario = next(one for one in SCENARIOS if (one.function, one.kind) == (function, "Create"))
    numbers = [n for n, c in enumerate(calls_of(scenario, machine)) if c.model.name == operation]
    return Case(scenario, next(one for one in FAULTS if one.name == fault), numbers[0])


@pytest.mark.parametrize(
    ("fault", "outcome"), [("body truncated once", SUCCEEDED), ("body truncated for ever", FAILED)]
)
def test_a_script_whose_body_breaks_off_is_read_again(
    machine: Lambda, fault: str, outcome: str
) -> None:
    """Without the file there is no body: it exists already, as after an earlier version."""
    update = next(one for one in SCENARIOS if name_of(one) == "pipeline_manager: Update")
    numbers = [n for n, c in enumerate(calls_of(update, machine)) if c.model.name == "GetObject"]
    broken = next(one for one in FAULTS if one.name == fault)
    assert run(Case(update, broken, numbers[0]), machine) == outcome


def test_a_late_delivery_does_nothing(machine: Lambda) -> None:
    late = "process killed, event delivered late"
    assert run(case_at("pipeline_manager", "CreatePipeline", late, machine), machine) == FAILED


def test_a_domain_can_be_cleared_at_one_call_a_second(
    machine: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "PAGE", scale.PAGE)
    properties = {"DomainId": DOMAIN, "DeleteSpaces": "true", "UserProfiles": ""}
    load = scale.Load("", clear_studio, properties, scale.domain_of(100))
    measured = scale.measure(load, 1, machine)
    assert (measured.rounds, measured.outcome) == (1, "nothing is left")


def test_the_page_is_about_these_cases_and_none_is_wrong() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert " cases, 0 wrong.**" in page
    for name in [fault.name for fault in FAULTS] + [response.name for response in RESPONSES]:
        assert f"\n| {name} |" in page, name
    for scenario in SCENARIOS:
        assert f"## {scenario.function}\n" in page
        assert f"| {scenario.title} |" in page, scenario.title
    for load in scale.LOADS:
        assert page.count(f"\n| {load.title} |") == len(scale.RATES), load.title
