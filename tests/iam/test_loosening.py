"""The simulator judges what our comparison of policies says: edits that loosen, and that do not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from pipeline.types import Json
from tests.iam.account import Account, Request
from tests.iam.names import placeholders
from tests.iam.simulator import Verdict, simulate
from tests.operations.edits import Edit
from tests.operations.harmless import POLICIES as HARMLESS
from tests.operations.planted import POLICIES as PLANTED

BOUNDARY: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
}
SAGEMAKER = "arn:aws:sagemaker:eu-west-1:123456789012"
LEGITIMATE = (
    Request("TrainingRole", "s3:PutObject", "{bucket}/models/x", via="S3Endpoint"),
    Request("SeedDataRole", "s3:PutObject", "{bucket}/raw/data.csv", via="S3Endpoint"),
    Request("PipelineRole", "sagemaker:DescribeModel", f"{SAGEMAKER}:model/pipelines-x"),
    Request("StudioRole", "sagemaker:InvokeEndpoint", SAGEMAKER + ":endpoint/{name}"),
    Request("EmptyBucketRole", "s3:DeleteObject", "{bucket}/raw/x", via="S3Endpoint"),
    Request("ProcessingRole", "kms:Decrypt", "{key}"),
    Request("events.amazonaws.com", "sns:Publish", "{topic}"),
    Request("lambda.amazonaws.com", "sts:AssumeRole", "{SeedDataRole}"),
)
"""Requests that the policies allow."""


def accounts(edit: Edit) -> tuple[Account, Account]:
    old, new = edit.deployments(plain=True)
    return Account.of(old, BOUNDARY), Account.of(new, BOUNDARY)


def filled(account: Account, request: Request) -> Json:
    """Return the simulation of a request, with the names of the deployment filled in."""
    network = account.deployment.stacks["network"]
    names = placeholders(account) | {
        "subnet": network["Subnet1"].reference,
        "jobs_group": network["JobsSecurityGroup"].reference,
    }

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(one) for one in value]
        return value.format_map(names)

    context = {key: fill(value) for key, value in request.context.items()}
    return account.simulation(request.but(resource=fill(request.resource), context=context))


def ask(simulations: Iterable[Json]) -> Iterator[Verdict]:
    """Yield a verdict on each simulation; the program is started once, and asked once for each."""
    texts = [json.dumps(one) for one in simulations]
    once = list(dict.fromkeys(texts))
    known = dict(zip(once, simulate([json.loads(text) for text in once]), strict=True))
    yield from (known[text] for text in texts)


def test_each_planted_loosening_allows_what_was_refused() -> None:
    probes = [edit.probe for edit in PLANTED if edit.probe]
    assert len(probes) == len(PLANTED)
    pairs = [(side, edit.probe) for edit in PLANTED if edit.probe for side in accounts(edit)]
    found = ask(filled(account, request) for account, request in pairs)
    both = {edit.name: (next(found), next(found)) for edit in PLANTED}
    wrong = {
        name: sides
        for name, sides in both.items()
        if [side.allowed for side in sides] != [False, True]
        or any(side.error or side.ignored for side in sides)
    }
    assert wrong == {}


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[Edit, list[bool]]]:
    """Return for each harmless edit, and for none, which of the probing requests are allowed."""
    probes = [edit.probe for edit in PLANTED if edit.probe and edit.base == "dev"]
    edits = [Edit("nothing"), *HARMLESS]
    requests = [*LEGITIMATE, *probes]
    after = [accounts(edit)[1] for edit in edits]
    found = list(ask(filled(one, request) for one in after for request in requests))
    assert not [one for one in found if one.error or one.ignored]
    allowed = iter(one.allowed for one in found)
    return {edit.name: (edit, [next(allowed) for _ in requests]) for edit in edits}


def test_probing_requests_are_allowed_or_refused(
    answers: dict[str, tuple[Edit, list[bool]]],
) -> None:
    _, before = answers["nothing"]
    assert before == [True] * len(LEGITIMATE) + [False] * (len(before) - len(LEGITIMATE))


def test_no_harmless_edit_allows_what_was_refused(
    answers: dict[str, tuple[Edit, list[bool]]],
) -> None:
    _, before = answers["nothing"]
    wider = [
        name
        for name, (_, after) in answers.items()
        if any(new and not old for old, new in zip(before, after, strict=True))
    ]
    assert wider == []


def test_an_edit_of_form_changes_no_answer(answers: dict[str, tuple[Edit, list[bool]]]) -> None:
    _, before = answers["nothing"]
    assert [
        name for name, (edit, after) in answers.items() if not edit.stricter and after != before
    ] == []
