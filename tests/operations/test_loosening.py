"""What a deployment loosens, decided on the emitted templates without deploying them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.resolved import resolve
from generator.settings import Settings
from generator.settings_people import Persona
from pipeline.types import Json
from tabular_ml_vpc.operations.loosening import conditions, patterns
from tabular_ml_vpc.operations.loosening.comparison import compare
from tabular_ml_vpc.operations.loosening.kinds import Kind, Loosening
from tests.operations import harmless, planted
from tests.operations.edits import BASES, Edit, add, also, made, put


@cache
def found_in(name: str) -> tuple[Loosening, ...]:
    """Return what a planted edit loosens."""
    (edit,) = [edit for edit in planted.PLANTED if edit.name == name]
    return tuple(compare(*edit.deployments()))


@pytest.mark.parametrize("name", [edit.name for edit in planted.PLANTED])
def test_what_loosens_is_asked_about(name: str) -> None:
    assert found_in(name)


@pytest.mark.parametrize("edit", harmless.HARMLESS, ids=str)
def test_what_is_harmless_is_not_asked_about(edit: Edit) -> None:
    old, new = edit.deployments()
    assert compare(old, new) == []


def test_edits_are_many_and_of_every_kind() -> None:
    kinds = {one.kind for edit in planted.PLANTED for one in found_in(edit.name)}
    assert kinds == set(Kind)
    assert min(len(planted.PLANTED), len(harmless.HARMLESS)) >= 40
    names = Counter(str(edit) for edit in (*planted.PLANTED, *harmless.HARMLESS))
    assert names.most_common(1)[0][1] == 1


def test_a_placeholder_stands_for_one_resource() -> None:
    """The comparison names resources by logical ids, whichever stack they are in."""
    for base in BASES:
        names = Counter(name for one in made(base).values() for name in one["Resources"])
        assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize("base", BASES)
def test_nothing_that_is_emitted_is_of_an_unknown_type(base: str) -> None:
    """A type that a protection is not known for is asked about whenever it comes."""
    _, new = Edit("nothing", base=base).deployments()
    bare = replace(new, stacks={stack: {} for stack in new.stacks})
    assert [one.place for one in compare(bare, new) if "unknown" in one.why] == []


def test_the_boundary_that_the_templates_make_is_compared() -> None:
    def bounded(action: str) -> Edit:
        document = {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        boundary = add(
            "security/Boundary", "AWS::IAM::ManagedPolicy", PolicyDocument=document, Roles=[]
        )
        to_it = put("security/ModelRole", "PermissionsBoundary", {"Ref": "Boundary"})
        return Edit("bounded", also(boundary, to_it))

    old, new = (bounded(action).deployments()[1] for action in ("s3:Get*", "s3:*"))
    assert Kind.BOUNDARY in {one.kind for one in compare(old, new)}
    assert compare(new, old) == []


def team(**personas: str) -> ResolvedDeployment:
    """Return a deployment with these people, and one of every persona besides."""
    everyone = {**{f"some-{one}": str(one) for one in Persona}, **personas}
    people = [{"name": name, "persona": persona} for name, persona in everyone.items()]
    return resolve(Settings.model_validate({"studio": {"people": people}}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("reviewer", "ml-engineer"),
        ("reviewer", "data-scientist"),
        ("data-scientist", "ml-engineer"),
    ],
)
def test_a_person_with_another_persona_is_asked_about(before: str, after: str) -> None:
    (found,) = compare(team(ana=before), team(ana=after))
    assert (found.kind, found.place) == (Kind.RIGHTS, "studio/AnaUserProfile")
    assert found.what == "UserSettings.ExecutionRole"


def test_going_back_from_identity_center_to_iam_is_asked_about() -> None:
    center, iam = (
        resolve(Settings.model_validate({"studio": {"sign_in": one}}))
        for one in ("identity-center", "iam")
    )
    assert "AuthMode" in {one.what for one in compare(center, iam)}
    assert compare(iam, center) == []


def test_prefixes_per_person_tighten_and_giving_them_up_is_asked_about() -> None:
    personal, common = (
        resolve(Settings.model_validate({"studio": {"personal_prefixes": one}}))
        for one in (True, False)
    )
    assert compare(common, personal) == []
    places = {one.place for one in compare(personal, common)}
    assert places == {"studio/StudioPolicy", "pipeline/NotebookJobsPolicy"}


def test_a_new_colleague_loosens_nothing() -> None:
    assert compare(team(), team(ana="ml-engineer", ben="reviewer")) == []


def test_a_loosening_says_where_and_what_was_before() -> None:
    (found,) = found_in("a condition is dropped")
    assert (found.kind, found.place) == (Kind.RIGHTS, "pipeline/ProcessingPolicy")
    assert found.what == "Allow for ${ProcessingRole}"
    condition = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
    assert found.old == found.new | {"Condition": condition}
    assert found.new["Action"] == ["kms:GenerateDataKey"]
    assert "Condition" not in found.new


def test_everything_that_a_first_deployment_allows_is_a_loosening() -> None:
    _, new = Edit("nothing").deployments()
    kinds = {one.kind for one in compare(None, new)}
    assert kinds == {
        Kind.RIGHTS,
        Kind.TRUST,
        Kind.RESOURCE_POLICY,
        Kind.ENDPOINT_POLICY,
        Kind.NETWORK,
    }


@pytest.mark.parametrize(
    ("wide", "narrow", "contained"),
    [
        ("s3:*", "s3:Get*", True),
        ("s3:Get*", "s3:*", False),
        ("s3:Get?bject", "s3:Get*", False),
        ("a*c", "abbc", True),
        ("a*c", "a?c", True),
        ("???????", "${Name}", False),
    ],
)
def test_a_pattern_contains_another_only_if_that_is_certain(
    wide: str, narrow: str, contained: bool
) -> None:
    assert patterns.matches(wide, narrow) is contained


def test_wildcards_of_arns_stay_in_their_part() -> None:
    assert patterns.arn_matches("arn:aws:s3:::b/*", "arn:aws:s3:::b/raw/*")
    assert not patterns.arn_matches("arn:aws:*", "arn:aws:s3:::b")


@pytest.mark.parametrize(
    ("strict", "loose", "implied"),
    [
        ({"StringEquals": {"k": "a"}}, {"StringEquals": {"K": ["b", "a"]}}, True),
        ({"StringEquals": {"k": ["b", "a"]}}, {"StringEquals": {"k": "a"}}, False),
        ({"StringEquals": {"k": "ab"}}, {"StringLike": {"k": "a*"}}, True),
        ({"StringLike": {"k": "a*"}}, {"StringEquals": {"k": "a*"}}, False),
        ({"StringEquals": {"k": "a"}}, {"StringEqualsIfExists": {"k": "a"}}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"StringEquals": {"k": "a"}}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"StringNotEquals": {"k": "a"}}, True),
        ({"StringNotEquals": {"k": "a"}}, {"StringNotEquals": {"k": ["a", "b"]}}, False),
        ({"StringNotLike": {"k": "a*"}}, {"StringNotEquals": {"k": "ab"}}, True),
        ({"StringNotEquals": {"k": "ab"}}, {"StringNotLike": {"k": "a*"}}, False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, {"StringEquals": {"k": "a"}}, False),
        ({"NumericLessThan": {"k": 5}}, {"NumericLessThan": {"k": "10"}}, True),
        ({"NumericLessThan": {"k": 50}}, {"NumericLessThan": {"k": 10}}, False),
        ({"NumericGreaterThan": {"k": 50}}, {"NumericGreaterThan": {"k": 10}}, True),
        ({"Bool": {"k": True}}, {"Bool": {"k": "true"}}, True),
        ({"Unknown": {"k": "a"}}, {"Unknown": {"k": ["a", "b"]}}, False),
        ({"StringEquals": {"k": "a"}, "Bool": {"j": "true"}}, {"Bool": {"j": "true"}}, True),
        ({}, {"Bool": {"j": "true"}}, False),
        ({"Bool": {"j": "true"}}, {}, True),
    ],
)
def test_a_condition_implies_another_only_if_that_is_certain(
    strict: Json, loose: Json, implied: bool
) -> None:
    assert conditions.implies(*map(conditions.canonical, (strict, loose))) is implied
