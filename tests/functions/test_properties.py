"""Properties are what the template gives them as: strings, read once, refused in one line."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from functions.pipeline_manager.properties import PipelineProperties
from functions.shared.errors import PropertyError
from functions.shared.properties import field_names, from_event, property_name
from pipeline.definition import Environment


@dataclass(frozen=True)
class Sample:
    """One field of each type."""

    name: str
    rows: int
    share: float
    is_open: bool
    subnet_ids: tuple[str, ...]


GIVEN = {"Name": "x", "Rows": "12", "Share": "0.5", "IsOpen": "true", "SubnetIds": "a,b"}


def test_strings_become_types() -> None:
    assert from_event(Sample, GIVEN) == Sample("x", 12, 0.5, True, ("a", "b"))


def test_what_cloudformation_adds_is_ignored() -> None:
    added = {"ServiceToken": "arn:aws:lambda:x", "ServiceTimeout": "930"}
    assert from_event(Sample, GIVEN | added) == from_event(Sample, GIVEN)


def test_an_empty_list_is_empty() -> None:
    assert from_event(Sample, GIVEN | {"SubnetIds": ""}).subnet_ids == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Rows": "ten"}, "property Rows is 'ten', but must be a whole number"),
        ({"Rows": "1e3"}, "property Rows is '1e3', but must be a whole number"),
        ({"Rows": " 1"}, "property Rows is ' 1', but must be a whole number"),
        ({"Share": "half"}, "property Share is 'half', but must be a number"),
        ({"Share": "nan"}, "property Share is 'nan', but must be a number"),
        ({"Share": "-inf"}, "property Share is '-inf', but must be a number"),
        ({"IsOpen": "yes"}, "property IsOpen is 'yes', but must be true or false"),
        ({"IsOpen": True}, "property IsOpen is True, but must be a string"),
        ({"SubnetIds": "a,,b"}, "property SubnetIds is 'a,,b', but must be a comma-separated list"),
        ({"SubnetIds": ["a"]}, "property SubnetIds is ['a'], but must be a string"),
        (
            {"Colour": "red"},
            "unknown property Colour; allowed: IsOpen, Name, Rows, Share, SubnetIds",
        ),
    ],
)
def test_a_malformed_property_is_named_with_its_value(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(PropertyError) as caught:
        from_event(Sample, {**GIVEN, **change})
    assert str(caught.value).startswith(message)


def test_a_missing_property_is_named() -> None:
    with pytest.raises(PropertyError, match="property Rows is missing"):
        from_event(Sample, {k: v for k, v in GIVEN.items() if k != "Rows"})


def test_the_pipelines_properties_are_its_environment_with_a_hash_for_the_prefix() -> None:
    environment = {field.name for field in fields(Environment)}
    given = set(field_names(PipelineProperties))
    own = {"source_hash", "predicts", "trials", "on_approval", "maximum_instances", "asynchronous"}
    assert given == environment - {"code_prefix"} | own


def every_property(value: str) -> dict[str, str]:
    """Every property of a pipeline: numbers and texts alike."""
    names = map(property_name, field_names(PipelineProperties))
    booleans = ("Predicts", "Trials", "Deploys", "OnApproval", "MeasuresAnswers", "Asynchronous")
    flags = dict.fromkeys(booleans, "false")
    return dict.fromkeys(names, value) | flags


def test_the_code_prefix_follows_from_the_hash() -> None:
    given = every_property("0")
    properties = from_event(PipelineProperties, given | {"SourceHash": "0123abcd"})
    assert properties.code_prefix == "code/0123abcd"


def test_the_code_prefix_cannot_be_given() -> None:
    given = every_property("1")
    with pytest.raises(PropertyError, match="unknown property CodePrefix"):
        from_event(PipelineProperties, given | {"CodePrefix": "raw"})


def test_the_pipeline_of_an_older_version_can_still_be_deleted() -> None:
    given = every_property("1")
    older = given | {"PreprocessImage": "a scikit-learn image"}
    assert from_event(PipelineProperties, older) == from_event(PipelineProperties, given)
