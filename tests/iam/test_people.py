"""Personas: an engineer operates besides, a reviewer only reads; nobody goes around the gate.

What a data scientist needs and what is refused to them is in the other tests. Here the same
requests come from the roles of the other personas.
"""

from __future__ import annotations

import json

import pytest

from generator.cfn.identifiers import StackLocation
from generator.policies import own_key
from generator.resolved import resolve
from generator.settings import Settings
from generator.settings_people import Persona
from generator.stacks.personas import TITLES
from tests.iam.account import ALL, Account, Request
from tests.iam.attacks import FOREIGN, THIEF, attacks, everything_of
from tests.iam.conftest import OWN_KEY
from tests.iam.judged import impossible, refused, succeeding
from tests.iam.minimality import allowances, let_through, limits, needed_by
from tests.iam.names import placeholders
from tests.iam.required import RECORDED, Required, calls_of_walkthrough, implicit_calls
from tests.iam.test_minimality import INLINE, MANAGED

ENGINEER, REVIEWER = (TITLES[one][0] for one in (Persona.ML_ENGINEER, Persona.REVIEWER))
SCIENTIST = "StudioRole"
DOCUMENTS = tuple(f"identity/{one}Policy" for one in ("MlEngineer", "Operating", "Reviewer"))
READS = (
    *("sagemaker:List", "sagemaker:Describe", "sagemaker:Search"),
    *("logs:Describe", "logs:Get", "logs:Filter"),
)
"""What a reviewer may do of a data scientist's work, besides reading results."""


@pytest.fixture(scope="module")
def team() -> Account:
    """Return a deployment with people of every persona."""
    people = [{"name": f"p{number}", "persona": one} for number, one in enumerate(Persona)]
    return Account.of(resolve(Settings.model_validate({"studio": {"people": people}})))


@pytest.fixture(scope="module")
def work(team: Account) -> list[Required]:
    """Return what a data scientist's work needs."""
    return work_in(team)


def work_in(account: Account) -> list[Required]:
    """Return the calls of a data scientist: of the walk-through, and of Studio itself."""
    found = [*calls_of_walkthrough(account), *implicit_calls(account)]
    return [one for one in found if one.request.who == SCIENTIST]


def as_persona(calls: list[Required], role: str) -> list[Required]:
    """Return the same calls by somebody else."""
    return [Required(one.kind, one.request.but(who=role), one.trigger, one.source) for one in calls]


def operating(account: Account) -> list[Required]:
    """Return what an engineer does besides: `endpoint repair`, and the functions' logs."""
    names, place = placeholders(account), account.place
    endpoint = place.arn("sagemaker", f"endpoint/{names['name']}")
    requests = [
        Request(ENGINEER, f"sagemaker:{action}", endpoint, {}, "SagemakerApiEndpoint")
        for action in ("DescribeEndpoint", "ListTags", "DeleteEndpoint")
    ]
    requests.append(Request(ENGINEER, "logs:DescribeLogGroups", "*", {}, "LogsEndpoint"))
    functions = [one for one in names if one.startswith("group_") and one != "group_FlowLogs"]
    groups = [names[one] for one in functions if not names[one].startswith("/aws/sagemaker/")]
    assert len(groups) == 5
    for group in groups:
        for action, rest in (
            ("DescribeLogStreams", ":log-stream:"),
            ("FilterLogEvents", ":log-stream:"),
            ("GetLogEvents", ":log-stream:x"),
        ):
            arn = place.arn("logs", f"log-group:{group}{rest}")
            requests.append(Request(ENGINEER, f"logs:{action}", arn, {}, "LogsEndpoint"))
    return [Required(RECORDED, one, "docs/people.md") for one in requests]


def reviewing(account: Account, work: list[Required]) -> list[Required]:
    """Return what a reviewer reads: Studio's pages, the registry, results and logs."""
    names, place = placeholders(account), account.place
    decrypt = {"kms:ViaService": f"s3.{place.region}.amazonaws.com"}
    results = f"{names['bucket']}/processed/abcdefghijkl/evaluation/evaluation.json"
    own = [
        Request(REVIEWER, "s3:GetObject", results),
        Request(REVIEWER, "kms:Decrypt", account.key_arn, decrypt),
    ]
    through_logs = [
        one
        for one in work
        if one.request.action.startswith("kms:")
        and "logs." in str(one.request.context.get("kms:ViaService", ""))
    ]
    pages = [one for one in work if one.request.action.startswith(READS)]
    pages = [one for one in pages if f"-job/{names['name']}-" not in one.request.resource]
    return [
        *as_persona([*pages, *through_logs], REVIEWER),
        *(Required(RECORDED, one, "docs/people.md") for one in own),
    ]


def test_each_persona_can_do_its_work(team: Account, work: list[Required]) -> None:
    assert refused(team, work) == []
    assert refused(team, [*as_persona(work, ENGINEER), *operating(team)]) == []
    assert refused(team, reviewing(team, work)) == []


def test_personas_work_with_a_key_of_the_organization() -> None:
    place = StackLocation(stack_name="tabular")
    people = [{"name": str(one), "persona": one} for one in Persona]
    settings = Settings.model_validate(
        {"security": {"key": place.arn("kms", f"key/{OWN_KEY}")}, "studio": {"people": people}}
    )
    policy = own_key.policy(settings, place)
    theirs = Account.of(resolve(settings, place=place), own_key=policy)
    needed = work_in(theirs)
    assert refused(theirs, [*as_persona(needed, ENGINEER), *operating(theirs)]) == []
    assert refused(theirs, reviewing(theirs, needed)) == []


def test_a_reviewer_starts_and_changes_nothing_of_a_data_scientist_s_work(
    team: Account, work: list[Required]
) -> None:
    calls = as_persona(work, REVIEWER)
    verdicts = team.ask([one.request for one in calls])
    allowed = [one.request for one, verdict in zip(calls, verdicts, strict=True) if verdict.allowed]
    others = [one for one in allowed if not one.action.startswith((*READS, "sts:GetCaller"))]
    keys = [one for one in others if one.action.startswith("kms:")]
    services = {str(one.context["kms:ViaService"]).partition(".")[0] for one in keys}
    assert services == {"logs", "s3"}
    data = {(one.action, "/evaluation/" in one.resource) for one in others if one not in keys}
    assert data == {("s3:GetObject", True)}


@pytest.fixture(scope="module")
def attempts(team: Account, work: list[Required]) -> dict[str, Request]:
    """Return the attacks on the roles of the personas, by what is wanted."""
    people = [one for one in attacks(team, work) if one.request.who == SCIENTIST]
    found = {
        f"{role}: {one}": one.request.but(who=role)
        for one in people
        for role in (ENGINEER, REVIEWER)
        if not (role == ENGINEER and one.request.action == "sagemaker:DeleteEndpoint")
    }
    return {**found, **_on_reviewers(team), **_on_trust(team)}


def _on_reviewers(account: Account) -> dict[str, Request]:
    """Return what a reviewer, or somebody with the role's credentials, would try."""
    names, place = placeholders(account), account.place
    name, domain, bucket = names["name"], names["domain"], names["bucket"]
    profile = place.arn("sagemaker", f"user-profile/{domain}/{names['profile']}")
    own = {"sagemaker:OwnerUserProfileArn": profile, "sagemaker:SpaceSharingType": "Private"}
    shared = {**own, "sagemaker:SpaceSharingType": "Shared"}
    passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}

    def sagemaker(action: str, resource: str, context: dict[str, str] | None = None) -> Request:
        arn = place.arn("sagemaker", resource)
        return Request(REVIEWER, f"sagemaker:{action}", arn, context or {}, "SagemakerApiEndpoint")

    def data(action: str, key: str, **changes: object) -> Request:
        return Request(REVIEWER, f"s3:{action}", f"{bucket}/{key}").but(**changes)

    full = everything_of("s3")
    return {
        "a reviewer starts a run": sagemaker("StartPipelineExecution", f"pipeline/{name}"),
        "a reviewer stops a run": sagemaker(
            "StopPipelineExecution", f"pipeline/{name}/execution/abcdefghijkl"
        ),
        "a reviewer asks the endpoint": sagemaker("InvokeEndpoint", f"endpoint/{name}").but(
            via="SagemakerRuntimeEndpoint"
        ),
        "a reviewer deletes the endpoint": sagemaker("DeleteEndpoint", f"endpoint/{name}"),
        "a reviewer approves a model": sagemaker("UpdateModelPackage", f"model-package/{name}/1"),
        "a reviewer opens Studio as somebody else": sagemaker(
            "CreatePresignedDomainUrl", f"user-profile/{domain}/somebody-else"
        ),
        "a reviewer makes a space": sagemaker("CreateSpace", f"space/{domain}/notes", own),
        "a reviewer opens an app": sagemaker(
            "CreateApp", f"app/{domain}/notes/jupyterlab/default", own
        ),
        "a reviewer opens an app in a shared space": sagemaker(
            "CreateApp", f"app/{domain}/team/jupyterlab/default", shared
        ),
        "a reviewer passes the role of jobs": Request(
            REVIEWER, "iam:PassRole", names["NotebookJobsRole"], passed
        ),
        "a reviewer reads a table": data("GetObject", "raw/data.csv"),
        "a reviewer reads prepared rows": data("GetObject", "processed/r/train/part-0.parquet"),
        "a reviewer takes a model": data("GetObject", "models/r/model.tar.gz"),
        "a reviewer writes a table": data("PutObject", "raw/data.csv"),
        "a reviewer replaces a report": data("PutObject", "processed/r/evaluation/x.json"),
        "a reviewer with all of S3 reads a table": data("GetObject", "raw/data.csv", extra=full),
        "a reviewer with all of S3 reads an old version": data(
            "GetObjectVersion", "raw/data.csv", extra=full
        ),
        "a reviewer with all of S3 replaces a report": data(
            "PutObject", "processed/r/evaluation/x.json", extra=full
        ),
        "a reviewer with all of S3 deletes a table": data(
            "DeleteObject", "raw/data.csv", extra=full
        ),
        "a reviewer decrypts what is not in S3": Request(REVIEWER, "kms:Decrypt", account.key_arn),
    }


def _on_trust(account: Account) -> dict[str, Request]:
    """Return attempts to take on a persona's role, or to change a person's persona."""
    names, place = placeholders(account), account.place
    ours = {"aws:SourceArn": place.arn("sagemaker", "user-profile/d-1/x")}
    theirs = {"aws:SourceArn": f"arn:aws:sagemaker:{place.region}:{FOREIGN}:user-profile/d-1/x"}
    found: dict[str, Request] = {}
    for role in (ENGINEER, REVIEWER):
        arn = names[role]
        for service in ("ec2.amazonaws.com", "lambda.amazonaws.com"):
            found[f"{service} takes on {role}"] = Request(service, "sts:AssumeRole", arn, ours)
        found[f"Studio of a thief's account takes on {role}"] = Request(
            "sagemaker.amazonaws.com", "sts:AssumeRole", arn, theirs
        )
        found[f"a thief takes on {role}"] = Request(THIEF, "sts:AssumeRole", arn, {}, "", (ALL,))
        for who in {SCIENTIST, ENGINEER, REVIEWER} - {role}:
            found[f"{who} takes on {role}"] = Request(
                who, "sts:AssumeRole", arn, {}, "StsEndpoint", (ALL,)
            )
            found[f"{who} passes {role}"] = Request(
                who, "iam:PassRole", arn, {"iam:PassedToService": "sagemaker.amazonaws.com"}
            )
    return found


def test_every_attack_is_refused(team: Account, attempts: dict[str, Request]) -> None:
    assert succeeding(team, attempts) == []
    assert len(attempts) > 200


def test_every_attack_would_succeed_without_policies(
    team: Account, attempts: dict[str, Request]
) -> None:
    assert impossible(team, attempts) == []


def test_every_right_of_a_persona_is_needed(team: Account, work: list[Required]) -> None:
    calls = [*as_persona(work, ENGINEER), *operating(team), *reviewing(team, work)]
    parts = [part for part in allowances(team) if part.document in DOCUMENTS]
    needs = needed_by(team, parts, calls)
    assert [str(part) for part, refusals in needs.items() if not refusals] == []


def test_each_limit_of_a_persona_stops_an_attack(
    team: Account, attempts: dict[str, Request]
) -> None:
    bounds = [
        part
        for part in limits(team)
        if part.document == "identity/ReviewerPolicy" or "Reviewers" in part.sid
    ]
    stopped = let_through(team, bounds, [*attempts.values()])
    assert {part.sid for part in bounds} >= {"DenyRowsToReviewers", "DenyWritesOfReviewers"}
    assert [str(part) for part, successes in stopped.items() if not successes] == []


def test_a_persona_s_role_is_there_only_if_somebody_has_it(account: Account) -> None:
    assert account.roles.keys().isdisjoint({ENGINEER, REVIEWER})
    people = [{"name": "rae", "persona": "reviewer"}]
    reviewed = Account.of(resolve(Settings.model_validate({"studio": {"people": people}})))
    assert REVIEWER in reviewed.roles
    assert ENGINEER not in reviewed.roles


def test_all_policies_of_people_fit_with_every_choice_and_the_longest_names() -> None:
    settings = {
        "project": "a" * 26,
        "pipelines": [{"name": "main"}, {"name": "b" * 20}],
        "pipeline": {"predictions": True},
        "packages": {"source": "pypi", "internal_names": ["acme"]},
        "studio": {
            "people": [{"name": str(one), "persona": one} for one in Persona],
            "personal_prefixes": True,
        },
    }
    place = StackLocation(region="ap-southeast-1", partition="aws-us-gov", stack_name="s" * 60)
    fullest = Account.of(resolve(Settings.model_validate(settings), place=place))
    managed = ("Operating", "PersonalFiles")
    inline = ("MlEngineer", "NotebookJobs", "Reviewer", "Studio")
    for names, most in ((managed, MANAGED), (inline, INLINE)):
        for name in names:
            policy = fullest.documents[f"identity/{name}Policy"].policy
            assert len(json.dumps(policy, separators=(",", ":"))) < most, name


@pytest.fixture(scope="module")
def personal() -> Account:
    """Return a deployment where each person has a prefix of their own."""
    return Account.of(resolve(Settings.model_validate({"studio": {"personal_prefixes": True}})))


FILE_ROLES = (SCIENTIST, "NotebookJobsRole")
"""A person's own role, and that of their jobs, which have the same source identity."""


def on_files(account: Account, key: str, person: str | None) -> list[Request]:
    """Return reading, writing and listing of people's files by ``person``, or by nobody known."""
    bucket = placeholders(account)["bucket"]
    known = {"aws:SourceIdentity": person} if person else {}
    return [
        request
        for who in FILE_ROLES
        for request in (
            Request(who, "s3:GetObject", f"{bucket}/{key}", known, "S3Endpoint"),
            Request(who, "s3:PutObject", f"{bucket}/{key}", known, "S3Endpoint"),
            Request(who, "s3:ListBucket", bucket, {**known, "s3:prefix": key}, "S3Endpoint"),
        )
    ]


@pytest.mark.parametrize(
    ("key", "person"),
    [("studio/ana/x", "ana"), ("studio/shared/x", "ana"), ("studio/shared/x", None)],
)
def test_own_files_and_shared_ones_can_be_used(
    personal: Account, key: str, person: str | None
) -> None:
    """In a shared space nobody is known by name: AWS passes no source identity there."""
    verdicts = personal.ask(on_files(personal, key, person))
    assert [one.allowed for one in verdicts] == [True] * len(verdicts)


@pytest.mark.parametrize(
    ("key", "person"),
    [
        ("studio/ben/x", "ana"),
        ("studio/ana-b/x", "ana"),
        ("studio/an/x", "ana"),
        ("studio/x", "ana"),
        ("studio/", "ana"),
        ("studio/ana/x", None),
        ("studio//x", None),
    ],
)
def test_files_of_others_cannot_be_used(personal: Account, key: str, person: str | None) -> None:
    requests = {f"{one}": one for one in on_files(personal, key, person)}
    assert succeeding(personal, requests) == []
    assert impossible(personal, requests) == []


def test_without_source_identity_a_person_can_still_do_everything_else(personal: Account) -> None:
    bucket = placeholders(personal)["bucket"]
    requests = [
        Request(SCIENTIST, "s3:GetObject", f"{bucket}/raw/data.csv", {}, "S3Endpoint"),
        Request(SCIENTIST, "s3:PutObject", f"{bucket}/raw/data.csv", {}, "S3Endpoint"),
        Request(SCIENTIST, "s3:ListBucket", bucket, {"s3:prefix": "models/"}, "S3Endpoint"),
    ]
    assert [one.allowed for one in personal.ask(requests)] == [True, True, True]


def test_by_default_all_people_share_their_files(account: Account) -> None:
    verdicts = account.ask(on_files(account, "studio/ben/x", "ana"))
    assert [one.allowed for one in verdicts] == [True] * len(verdicts)
