"""The decision, case by case: what is there, and the steps that follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as some

from functions.deploy_model.core import decide
from functions.deploy_model.names import version_of
from functions.deploy_model.smoke import compare
from functions.deploy_model.state import (
    NO_ENDPOINT,
    REFUSED,
    AskTrial,
    Complain,
    Config,
    DeleteConfig,
    DeleteModel,
    DeleteTrial,
    Deploy,
    Endpoint,
    MarkFailed,
    MarkServed,
    Reject,
    SendSamples,
    Snapshot,
    StartTrial,
    Steps,
    Version,
    Wait,
)
from tests.fuzz import bounded

NOW: Final = datetime(2026, 1, 10, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
DEADLINE: Final = 24 * HOUR
MODIFIED: Final = (NOW - HOUR).isoformat()
BEFORE: Final = (NOW - 5 * HOUR).isoformat()

V1 = Version(
    arn="arn/1", number=1, created=NOW - 9 * HOUR, instance_type="ml.x", smoke_test="s3://b/1"
)
V2 = replace(V1, arn="arn/2", number=2, created=NOW - 3 * HOUR, smoke_test="s3://b/2")
C1 = Config(name="c1", arn="c1", number=1, created=NOW - 8 * HOUR, ours=True, served=BEFORE)
C2 = Config(name="c2", arn="c2", number=2, created=NOW - 2 * HOUR, ours=True)
E1 = Endpoint(name="e", status="InService", config="c1", number=1, modified=MODIFIED, ours=True)
T2 = Endpoint(name="try-e", status="InService", config="c2", number=2, modified=MODIFIED, ours=True)
THEIRS = Config(name="theirs", arn="theirs", number=0, created=NOW, ours=False)

SNAPSHOT = Snapshot(
    now=NOW,
    desired=V2,
    config_name="c2",
    approved=frozenset({1, 2}),
    configs=(C1, C2),
    endpoint=E1,
    trial=T2,
    serving=C1,
)
"""Version 1 serves; version 2 is on trial."""


def reject(reason: str, *more: object) -> tuple[object, ...]:
    return (Reject(V2, reason), DeleteTrial(), *more)


AFRESH = (DeleteConfig(C2), DeleteModel(2))
STARTED = replace(C2, started=BEFORE)
LATE = replace(C2, created=NOW - 25 * HOUR)
E2 = replace(E1, config="c2", number=2)
S2 = replace(C2, served=MODIFIED)
BACK = replace(SNAPSHOT, desired=V1, config_name="c1", approved=frozenset({1}), trial=None)
BACK = replace(BACK, endpoint=E2, serving=S2, configs=(C1, S2))
SETTINGS = replace(E1, config="old", number=2)
MEANWHILE = Wait(
    "somebody else gave the endpoint e the configuration c1, which is no rollback of version 2: it "
    "is tried again"
)
FAILED = "the endpoint e has failed: `python build.py endpoint repair`"

CASES: dict[str, tuple[Snapshot, tuple[object, ...]]] = {
    "nothing approved": (
        replace(SNAPSHOT, desired=None, config_name="", approved=frozenset()),
        (DeleteTrial(),),
    ),
    "nothing there": (
        replace(SNAPSHOT, endpoint=None, trial=None, serving=None, configs=()),
        (StartTrial(V2, "c2"),),
    ),
    "it serves": (
        replace(SNAPSHOT, endpoint=E2, serving=C2),
        (MarkServed(C2), DeleteTrial()),
    ),
    "it served, and somebody deleted the endpoint": (
        replace(SNAPSHOT, endpoint=None, serving=None, trial=None, configs=(C1, S2)),
        (),
    ),
    "it served, and somebody chose an older one": (
        replace(SNAPSHOT, trial=None, configs=(C1, S2)),
        (),
    ),
    "what serves was rejected": (BACK, (Deploy(V1, C1, MODIFIED, "c2", back=True),)),
    "going back failed": (
        replace(BACK, configs=(replace(C1, started=MODIFIED), S2)),
        (
            Complain(
                "the endpoint e (InService) did not go back to version 1. See its events, then "
                "approve a version again."
            ),
        ),
    ),
    "it went forward before": (
        replace(BACK, configs=(replace(C1, started=(NOW - 7 * HOUR).isoformat()), S2)),
        (Deploy(V1, replace(C1, started=(NOW - 7 * HOUR).isoformat()), MODIFIED, "c2", back=True),),
    ),
    "a person's is newer": (
        replace(SNAPSHOT, endpoint=replace(E1, config="theirs", number=0), serving=THEIRS),
        (DeleteTrial(),),
    ),
    "a person's is older": (
        replace(
            SNAPSHOT,
            endpoint=replace(E1, config="theirs", number=0),
            serving=replace(THEIRS, created=NOW - 4 * HOUR),
        ),
        (AskTrial(V2),),
    ),
    "a person's configuration is gone": (
        replace(SNAPSHOT, endpoint=replace(E1, config="theirs", number=0), serving=None),
        (AskTrial(V2),),
    ),
    "the traffic moves": (
        replace(SNAPSHOT, endpoint=replace(E1, status="Updating", pending="c2")),
        (DeleteTrial(), SendSamples(V2)),
    ),
    "the traffic moves to another": (
        replace(SNAPSHOT, endpoint=replace(E1, status="Updating", pending="theirs")),
        (Wait("the endpoint e is Updating"),),
    ),
    "the endpoint is created": (
        replace(SNAPSHOT, endpoint=replace(E2, status="Creating", pending="c2")),
        (Wait("the endpoint e is Creating"),),
    ),
    "the endpoint goes": (
        replace(SNAPSHOT, endpoint=replace(E1, status="Deleting", pending="c2")),
        (Wait("the endpoint e is Deleting"),),
    ),
    "the endpoint failed for it": (
        replace(SNAPSHOT, endpoint=replace(E2, status="Failed"), serving=C2),
        reject(f"{FAILED}, then approve version 2 again"),
    ),
    "the endpoint failed at the update": (
        replace(SNAPSHOT, endpoint=replace(E1, status="Failed"), configs=(C1, STARTED)),
        reject(f"{FAILED}, then approve version 2 again", DeleteConfig(STARTED), DeleteModel(2)),
    ),
    "the endpoint failed for another": (
        replace(SNAPSHOT, endpoint=replace(E1, status="Failed")),
        (Complain(f"{FAILED}; version 2 waits"), DeleteTrial()),
    ),
    "rolled back": (
        replace(
            SNAPSHOT, configs=(C1, STARTED), endpoint=replace(E1, failure="alarm demo went off")
        ),
        reject(
            "SageMaker rolled the endpoint e back: alarm demo went off",
            DeleteConfig(STARTED),
            DeleteModel(2),
        ),
    ),
    "started, and not yet seen": (
        replace(SNAPSHOT, configs=(C1, replace(C2, started=MODIFIED))),
        (AskTrial(V2),),
    ),
    "started without an endpoint": (
        replace(SNAPSHOT, configs=(C1, replace(C2, started=NO_ENDPOINT))),
        (AskTrial(V2),),
    ),
    "rolled back to what it served": (
        replace(SNAPSHOT, configs=(C1, replace(STARTED, replaced="c1"))),
        reject(
            "SageMaker rolled the endpoint e back: an alarm went off, or the new instances did not "
            "start",
            DeleteConfig(replace(STARTED, replaced="c1")),
            DeleteModel(2),
        ),
    ),
    "somebody changed the endpoint meanwhile": (
        replace(SNAPSHOT, configs=(C1, replace(STARTED, replaced="old")), verdict=""),
        (MEANWHILE, Deploy(V2, replace(STARTED, replaced="old"), MODIFIED, "c1")),
    ),
    "somebody changed the endpoint meanwhile, and it failed": (
        replace(
            SNAPSHOT,
            endpoint=replace(E1, status="Failed"),
            configs=(C1, replace(STARTED, replaced="old")),
        ),
        (Complain(f"{FAILED}; version 2 waits"), DeleteTrial()),
    ),
    "refused": (replace(SNAPSHOT, configs=(C1, replace(C2, started=REFUSED))), (AskTrial(V2),)),
    "started, and the endpoint was deleted": (
        replace(SNAPSHOT, configs=(C1, STARTED), endpoint=None, serving=None, verdict=""),
        (Deploy(V2, STARTED, NO_ENDPOINT),),
    ),
    "paused": (
        replace(
            SNAPSHOT,
            endpoint=None,
            serving=None,
            paused=True,
            configs=(replace(C1, paused=True), C2),
        ),
        (DeleteTrial(),),
    ),
    "paused, and the trial is gone": (
        replace(
            SNAPSHOT,
            endpoint=None,
            serving=None,
            trial=None,
            paused=True,
            configs=(replace(C1, paused=True), C2),
        ),
        AFRESH,
    ),
    "late": (
        replace(SNAPSHOT, configs=(C1, LATE)),
        reject(
            "not in service after 24 hours; see the function's log",
            DeleteConfig(LATE),
            DeleteModel(2),
        ),
    ),
    "late while the traffic moves": (
        replace(SNAPSHOT, configs=(C1, LATE), endpoint=replace(E1, status="Updating")),
        (Wait("the endpoint e is Updating"),),
    ),
    "no smoke test": (
        replace(SNAPSHOT, desired=replace(V2, smoke_test=""), trial=None, configs=(C1,)),
        (
            Complain(
                "version 2 has no smoke test and is not deployed: run the pipeline again, then "
                "approve the version that it registers",
            ),
        ),
    ),
    "another version is on trial": (
        replace(SNAPSHOT, trial=replace(T2, config="c9", number=9)),
        (DeleteTrial(),),
    ),
    "another version's trial begins": (
        replace(SNAPSHOT, trial=replace(T2, config="c9", number=9, status="Creating")),
        (Wait("the trial endpoint try-e is Creating"),),
    ),
    "the trial's configuration is gone": (replace(SNAPSHOT, configs=(C1,)), (DeleteTrial(),)),
    "the trial begins": (
        replace(SNAPSHOT, trial=replace(T2, status="Creating")),
        (Wait("the trial endpoint try-e is Creating"),),
    ),
    "the trial failed": (
        replace(SNAPSHOT, trial=replace(T2, status="Failed", failure="no health check")),
        reject("the trial endpoint try-e failed: no health check", *AFRESH),
    ),
    "the trial serves": (SNAPSHOT, (AskTrial(V2),)),
    "it answered": (replace(SNAPSHOT, verdict=""), (Deploy(V2, C2, MODIFIED, "c1"),)),
    "it answered otherwise": (replace(SNAPSHOT, verdict="differs"), reject("differs", *AFRESH)),
    "it answered, and nothing serves": (
        replace(SNAPSHOT, verdict="", endpoint=None, serving=None),
        (Deploy(V2, C2, NO_ENDPOINT),),
    ),
    "the same version with other settings fails": (
        replace(SNAPSHOT, verdict="differs", endpoint=SETTINGS),
        (MarkFailed(C2, "differs"), DeleteTrial()),
    ),
    "settings that failed": (
        replace(SNAPSHOT, configs=(C1, replace(C2, failed="no capacity")), endpoint=SETTINGS),
        (Complain("c2: no capacity. Change the settings."), DeleteTrial()),
    ),
    "settings that were changed back": (
        replace(SNAPSHOT, configs=(C1, S2), endpoint=SETTINGS),
        (Deploy(V2, S2, MODIFIED, "old", back=True),),
    ),
    "somebody else's": (
        replace(SNAPSHOT, taken=("endpoint e",), endpoint=replace(E1, ours=False)),
        (
            Complain(
                "endpoint e: not created by this pipeline, not touched. Delete it to have approved "
                "versions deployed."
            ),
            DeleteTrial(),
        ),
    ),
    "a version displaced in its trial": (
        replace(SNAPSHOT, trial=None, configs=(C1, C2), desired=replace(V2, number=3)),
        (StartTrial(replace(V2, number=3), "c2"),),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_there_decides(case: str) -> None:
    snapshot, steps = CASES[case]
    assert decide(snapshot, DEADLINE) == steps


def test_what_a_displaced_version_has_is_removed() -> None:
    v3, c3 = replace(V2, number=3, arn="arn/3"), replace(C2, name="c3", number=3)
    snapshot = replace(
        SNAPSHOT,
        desired=v3,
        config_name="c3",
        approved=frozenset({1, 2, 3}),
        configs=(C1, C2, c3),
        trial=replace(T2, config="c3", number=3),
    )
    assert decide(snapshot, DEADLINE) == (*AFRESH, AskTrial(v3))


# Any snapshot


STATUSES = ["InService", "Creating", "Updating", "Deleting", "Failed", "OutOfService"]
configs = some.builds(
    Config,
    name=some.sampled_from(["c1", "c2", "c3"]),
    arn=some.just("arn"),
    number=some.integers(1, 3),
    created=some.sampled_from([NOW - 30 * HOUR, NOW - 2 * HOUR]),
    ours=some.booleans(),
    started=some.sampled_from(["", NO_ENDPOINT, REFUSED, MODIFIED, BEFORE]),
    replaced=some.sampled_from(["", "c1", "theirs"]),
    served=some.booleans(),
    failed=some.sampled_from(["", "why"]),
    paused=some.booleans(),
)
endpoints = some.builds(
    Endpoint,
    name=some.just("e"),
    status=some.sampled_from(STATUSES),
    config=some.sampled_from(["c1", "c2", "c3", "theirs"]),
    number=some.integers(0, 3),
    modified=some.sampled_from([MODIFIED, BEFORE]),
    ours=some.booleans(),
    pending=some.sampled_from(["", "c1", "c2"]),
    failure=some.sampled_from(["", "why"]),
)


def _name(config: Config) -> str:
    return config.name


@some.composite
def snapshots(draw: some.DrawFn) -> Snapshot:
    """Draw what could be there: what is not ours and has our name is always listed as taken."""
    found = draw(some.lists(configs, max_size=3, unique_by=_name))
    endpoint, trial = draw(some.none() | endpoints), draw(some.none() | endpoints)
    desired = draw(some.sampled_from([None, V1, V2]))
    name = f"c{desired.number}" if desired else ""
    foreign = [one.name for one in (endpoint, trial) if one and not one.ours]
    foreign += [config.name for config in found if config.name == name and not config.ours]
    approved = draw(some.frozensets(some.integers(1, 3)))
    used = endpoint.config if endpoint else ""
    serving = next((config for config in found if config.name == used), None)
    return Snapshot(
        now=NOW,
        desired=desired,
        config_name=name,
        approved=approved | ({desired.number} if desired else frozenset()),
        configs=tuple(found),
        endpoint=endpoint,
        trial=trial,
        serving=serving or draw(some.sampled_from([None, THEIRS])),
        paused=draw(some.booleans()),
        taken=tuple(foreign),
        verdict=draw(some.sampled_from([None, "", "differs"])),
    )


def check_touches_only_ours(snapshot: Snapshot, steps: Steps) -> None:
    trial, endpoint = snapshot.trial, snapshot.endpoint
    used = {endpoint.config, endpoint.pending} if endpoint and not endpoint.is_going else set()
    for step in steps:
        if isinstance(step, DeleteTrial):
            assert trial
            assert trial.ours
        if isinstance(step, DeleteConfig):
            assert step.config.ours
            assert step.config.name not in used
        if isinstance(step, MarkServed | MarkFailed):
            assert step.config.ours
        if isinstance(step, StartTrial | Deploy):
            assert snapshot.taken == ()
        if isinstance(step, DeleteModel):
            kept = {one for one in snapshot.configs if DeleteConfig(one) not in steps}
            assert step.number not in {one.number for one in kept}


def check_deployment(snapshot: Snapshot, step: Deploy) -> None:
    assert step.version == snapshot.desired
    assert step.config.name == snapshot.config_name
    assert step.config.ours
    assert step.config.served if step.back else snapshot.verdict == ""
    endpoint, trial = snapshot.endpoint, snapshot.trial
    if endpoint:
        assert endpoint.is_in_service
        assert endpoint.config != step.config.name
    else:
        assert not snapshot.paused
    if not step.back:
        assert trial
        assert trial.is_in_service
        assert trial.config == step.config.name


@bounded(200)
@given(snapshots())
def test_any_snapshot_is_decided_safely(snapshot: Snapshot) -> None:
    steps = decide(snapshot, DEADLINE)
    check_touches_only_ours(snapshot, steps)
    for step in steps:
        if isinstance(step, Deploy):
            check_deployment(snapshot, step)
    if snapshot.endpoint and snapshot.endpoint.is_changing:
        assert all(
            isinstance(step, Wait | SendSamples | Complain | DeleteTrial) for step in steps
        ), steps


# Names and answers


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("v12-0a1b2c-demo", 12),
        ("v0-0a1b2c-demo", 0),
        ("v12-0a1b2c-demo-2", 0),
        ("v12-demo", 0),
        ("demo-0a1b2c", 0),
        ("v12-0a1b2g-demo", 0),
        ("xv12-0a1b2c-demo", 0),
    ],
)
def test_a_configurations_name_says_its_version(name: str, number: int) -> None:
    assert version_of(name, "demo") == number


@pytest.mark.parametrize(
    ("expected", "answer", "difference"),
    [
        ({"a": [1, "x", None, True]}, {"a": [1.0, "x", None, True]}, ""),
        (0.5, 0.5000004, ""),
        (5e9, 5e9 + 1, ""),
        (0.5, 0.50001, "answer is 0.50001, but was 0.5"),
        (float("nan"), float("nan"), ""),
        (float("inf"), float("inf"), ""),
        (float("nan"), 1.0, "answer is 1.0, but was nan"),
        (1, True, "answer is True, but was 1"),
        (1, "1", "answer is '1', but was 1"),
        ([1], [1, 2], "answer is [1, 2], but was [1]"),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, "answer.a.b is 'y', but was 'x'"),
        ({"a": 1}, {"b": 1}, "answer is {'b': 1}, but was {'a': 1}"),
    ],
)
def test_answers_are_compared(expected: object, answer: object, difference: str) -> None:
    assert compare(expected, answer) == difference
