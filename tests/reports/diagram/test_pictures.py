"""Pictures show what the templates have, and the committed ones are current."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment, resolve_templates
from generator.emit import as_dict
from generator.files import REPOSITORY
from generator.resolved import resolve
from generator.settings import Mode, Settings
from generator.settings_people import Persona
from generator.stacks.root import build
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.reports.cost.runs import pipelines
from tabular_ml_vpc.reports.diagram.architecture import architecture
from tabular_ml_vpc.reports.diagram.graph import root_graph, stack_graph
from tabular_ml_vpc.reports.diagram.layers import columns
from tabular_ml_vpc.reports.diagram.mermaid import architecture_mermaid, pipeline_mermaid
from tabular_ml_vpc.reports.diagram.model import vpc, words
from tabular_ml_vpc.reports.diagram.pictures import Picture, pictures, texts
from tabular_ml_vpc.reports.diagram.svg import DARK, ICONS, LIGHT, width_of, wrapped
from tests.existing_vpc import EXISTING, EXISTING_WITH_OURS, VPC
from tests.existing_vpc import settings as in_existing

SVG = "{http://www.w3.org/2000/svg}"
NONE: Mapping[str, str] = MappingProxyType({})


@pytest.fixture(scope="module")
def drawn() -> list[Picture]:
    return pictures(Settings())


def made(parameters: Mapping[str, str] = NONE, **network: Any) -> ResolvedDeployment:
    return resolve(Settings.model_validate({"network": network}), parameters=parameters)


def several(count: int) -> list[dict[str, str]]:
    """Return the entries of ``main`` and of so many other pipelines, with long names."""
    names = [f"{'w' * 17}-{number}" for number in range(10, 10 + count)]
    return [{"name": name} for name in ("main", *names)]


def words_in(svg: str) -> str:
    return " ".join(text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text"))  # noqa: S314


def picture_of(deployment: ResolvedDeployment) -> str:
    drawing, width, height = architecture(deployment)
    return words_in(drawing.to_svg(width, height, LIGHT))


def test_the_committed_pictures_are_current(drawn: list[Picture]) -> None:
    stale = [
        path
        for path, text in texts(drawn).items()
        if not (REPOSITORY / path).is_file() or (REPOSITORY / path).read_text() != text
    ]

    assert stale == [], "run `python build.py diagram` and commit what it changes"


def test_no_picture_lies_about_of_one_that_is_no_more(drawn: list[Picture]) -> None:
    known = {Path(path).name for path in texts(drawn)}
    folder = REPOSITORY / "docs/images"

    found = {
        path.name
        for path in folder.iterdir()
        if re.match(r"(architecture|stack|pipeline\b)", path.name)
    }

    assert found == known


def test_there_is_a_picture_of_the_whole_of_each_stack_and_of_the_pipeline(
    drawn: list[Picture],
) -> None:
    stacks = [f"stack-{name}" for name in build(Settings(), Mode.DEV)]

    assert [one.name for one in drawn] == ["architecture", *stacks, "pipeline"]


def test_a_picture_needs_nothing_from_elsewhere(drawn: list[Picture]) -> None:
    for path, text in texts(drawn).items():
        addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path
        assert "<script" not in text, path


ORGANIZATION = {
    "sign_in": "identity-center",
    "people": [{"name": str(one), "persona": one} for one in Persona],
}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"network": {"zones": 3, "interface_endpoints": "full", "cidr": "10.200.200.0/24"}},
        {"network": {"interface_endpoints": "minimal", "endpoint_zones": 1}},
        {"packages": {"source": "pypi", "internal_names": ["acme", "acme-risk"]}},
        {"studio": {"user_profiles": ["a" * 63, *(f"person-{n}" for n in range(12))]}},
        {"studio": ORGANIZATION},
        *({"pipelines": several(count)} for count in (2, 5, 50)),
        {"pipelines": several(50), "watching": {"dashboard": True, "idle_hours": 24}},
        {"project": "a" * 30, "security": {"key": "arn:aws:kms:eu-west-1:111122223333:key/1"}},
        {"pipeline": {"deploy": "on-approval"}, "pipelines": several(2)},
        {"pipelines": [*several(1), {"name": "churn", "deploy": "on-approval"}]},
        {"network": EXISTING},
        {"network": EXISTING_WITH_OURS},
    ],
)
def test_nothing_is_written_over_anything_or_beyond_the_edge(settings: dict[str, Any]) -> None:
    for picture in pictures(Settings.model_validate(settings)):
        boxes = [box_of(text) for text in texts_of(picture)]
        for index, (left, top, right, bottom, text) in enumerate(boxes):
            assert left >= 0, (picture.name, text)
            assert right <= picture.width, (picture.name, text)
            for x, y, to_x, to_y, other in boxes[index + 1 :]:
                apart = right <= x or to_x <= left or bottom <= y or to_y <= top
                assert apart, (picture.name, text, other)


def test_people_of_an_organization_are_drawn_as_such() -> None:
    usual, theirs = (
        next(one for one in pictures(Settings.model_validate(one)) if one.name == "architecture")
        for one in ({}, {"studio": ORGANIZATION})
    )
    said = [{text.text for text in texts_of(one)} for one in (usual, theirs)]
    assert {"People", "Identity Center"} <= said[1] - said[0]
    assert "Data scientist" in said[0] - said[1]


def test_what_follows_an_approval_is_drawn_after_the_run() -> None:
    approving = resolve(Settings.model_validate({"pipeline": {"deploy": "on-approval"}}))
    assert "Register model Approval Trial Endpoint" in picture_of(approving)
    assert "Approval Trial" not in picture_of(resolve(Settings()))


def test_pipelines_that_differ_are_drawn_apart() -> None:
    entries = [{"name": "main"}, {"name": "churn", "deploy": "on-approval"}, {"name": "fraud"}]
    settings = Settings.model_validate({"pipelines": entries})
    drawn = {one.name: one for one in pictures(settings)}
    assert {"pipeline", "pipeline-churn"} == {one for one in drawn if one.startswith("pipeline")}
    assert "ApprovalGate" in drawn["pipeline"].mermaid
    assert "ApprovalGate" not in drawn["pipeline-churn"].mermaid
    shown = picture_of(resolve(settings))
    assert "isolated; drawn: main" in shown
    assert "Approval Trial" not in shown
    alike = Settings.model_validate({"pipelines": several(1)})
    assert "drawn:" not in picture_of(resolve(alike))


def test_dashboards_are_drawn_with_the_alarms_that_they_show() -> None:
    watching = {"watching": {"dashboard": True, "idle_hours": 24, "latency_milliseconds": 500}}
    for entries, said in (
        ([{"name": "main"}], "on 1 dashboard"),
        (several(2), "on 3 dashboards"),
    ):
        settings = Settings.model_validate({"pipelines": entries, **watching})
        drawing, width, height = architecture(resolve(settings))
        shown = words_in(drawing.to_svg(width, height, LIGHT))
        assert f"{3 * len(entries) + 1} alarms {said} " in shown
    assert "dashboard" not in picture_of(made())


def texts_of(picture: Picture) -> list[ET.Element]:
    return list(ET.fromstring(picture.svg(LIGHT)).iter(f"{SVG}text"))  # noqa: S314


def box_of(text: ET.Element) -> tuple[float, float, float, float, str]:
    """The space that a line of text takes: left, top, right, bottom; and what it says."""
    size, x, y = (float(text.attrib[name]) for name in ("font-size", "x", "y"))
    said = text.text or ""
    width = width_of(said, size, bold="font-weight" in text.attrib)
    start = x - {"start": 0, "middle": 0.5, "end": 1}[text.attrib["text-anchor"]] * width
    return start, y - size * 0.75, start + width, y + size * 0.1, said


def test_letters_are_large_enough_at_a_readmes_width(drawn: list[Picture]) -> None:
    for picture in drawn:
        for text in texts_of(picture):
            assert float(text.attrib["font-size"]) * 900 / picture.width >= 10.5, picture.name


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        ("ink", "page", 7),
        ("ink", "card", 7),
        ("soft", "card", 4.5),
        ("soft", "tint", 4.5),
        ("subnet", "subnet-tint", 4),
        ("group", "vpc-tint", 4),
        ("vpc", "vpc-tint", 4.5),
        ("accent", "vpc-tint", 4.5),
        ("line", "tint", 3),
    ],
)
def test_colours_can_be_told_from_their_ground(
    theme: Mapping[str, str], ink: str, ground: str, least: float
) -> None:
    light, dark = sorted((luminance(theme[ink]), luminance(theme[ground])), reverse=True)

    assert (light + 0.05) / (dark + 0.05) >= least


def luminance(colour: str) -> float:
    """Relative luminance ("Web Content Accessibility Guidelines 2.2", contrast ratio)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_architecture_shows_the_endpoints_that_the_settings_name() -> None:
    shown = picture_of(made(interface_endpoints=["sagemaker.api", "sagemaker.runtime", "athena"]))

    assert "4 interfaces" in shown
    assert "Athena" in shown
    assert "ECR" not in shown


def test_endpoints_in_one_zone_are_shown_in_one_subnet() -> None:
    shown = picture_of(made(endpoint_zones=1))

    assert shown.count("8 interfaces") == 1
    assert shown.count("none here") == 1


def test_an_existing_vpc_is_drawn_as_its_owner_s() -> None:
    shown = picture_of(resolve(in_existing()))

    assert f"Existing VPC {VPC}" in shown
    assert shown.count("existing") >= 4
    assert "isolated</" not in shown
    assert "of the VPC" not in shown
    assert "0 endpoints created here" in shown
    assert "existing S3 gateway endpoint" in shown


def test_endpoints_created_in_an_existing_vpc_are_counted() -> None:
    shown = picture_of(resolve(in_existing(EXISTING_WITH_OURS)))

    assert "2 endpoints created here" in shown
    assert "2 interfaces" in shown


def test_three_zones_are_three_subnets() -> None:
    assert "Subnet 3" in picture_of(made(zones=3))


def test_functions_outside_the_vpc_are_not_drawn_in_it() -> None:
    inside, outside = picture_of(made()), picture_of(made({"FunctionsInTheVpc": "no"}))

    assert "4 functions" in inside
    assert "1 function outside" in inside
    assert "5 functions outside" in outside


def test_an_organisations_own_key_is_said_to_be_one() -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/1234"
    settings = Settings.model_validate({"security": {"key": key}})

    assert "owned by your organization" in picture_of(resolve(settings))


def test_whoever_reaches_the_endpoints_does_so_by_a_rule_of_the_templates() -> None:
    templates = {name: as_dict(one) for name, one in build(Settings(), Mode.DEV).items()}
    del templates["network"]["Resources"]["JobsToEndpoints"]

    clients = {one.name: one for one in vpc(resolve_templates(templates)).clients}

    assert clients["Studio"].to_endpoints
    assert not clients["Jobs"].to_endpoints
    assert clients["Jobs"].to_s3


def test_a_function_acts_through_its_custom_resource_on_the_bucket() -> None:
    graph = stack_graph("storage", build(Settings(), Mode.DEV))

    assert ("EmptyBucketFunction", "EmptyDataBucket") in graph.edges
    assert ("EmptyDataBucket", "DataBucket") in graph.edges


def test_what_another_stack_makes_is_shown_as_its() -> None:
    graph = stack_graph("pipeline", build(Settings(), Mode.DEV))

    (bucket,) = [node for node in graph.nodes if node.id == "DataBucket"]

    assert bucket.elsewhere == "storage"


def test_small_resources_are_counted_in_the_box_that_they_serve() -> None:
    graph = stack_graph("pipeline", build(Settings(), Mode.DEV))
    notes = {node.id: node.notes for node in graph.nodes}

    assert notes["SeedDataFunction"] == ("log group", "policy")
    assert "SeedDataLogGroup" not in notes


def test_arrows_lead_to_the_right() -> None:
    templates = build(Settings(), Mode.DEV)
    for name in templates:
        graph = root_graph(templates) if name == "root" else stack_graph(name, templates)
        place = {node: rank for rank, column in enumerate(columns(graph)) for node in column}
        assert all(place[start] < place[end] for start, end in graph.edges), name


def test_stacks_are_in_the_order_of_their_making() -> None:
    graph = root_graph(build(Settings(), Mode.DEV))

    assert graph.edges[0] == ("SecurityStack", "NetworkStack")
    assert ("StorageStack", "PipelineStack") in graph.edges
    assert ("SecurityStack", "PipelineStack") not in graph.edges


def test_the_pipelines_mermaid_has_each_step_and_both_branches() -> None:
    text = pipeline_mermaid(pipelines(made())[0].definition)

    assert "Preprocess --> Train" in text
    assert "QualityGate -->|yes| RegisterModel" in text
    assert "QualityGate -->|no| RefuseModel" in text
    assert "RegisterModel --> ApprovalGate" in text
    assert "ApprovalGate -->|yes| CreateModel" in text
    assert "Gate value >= QualityThreshold and QualityThreshold >= 0.7?" in text
    assert "<br/>ApprovalStatus = Approved?" in text


def test_the_architectures_mermaid_has_the_ways_of_the_rules() -> None:
    text = architecture_mermaid(made())

    assert "jobs -- HTTPS --> endpoints" in text
    assert "functions" not in architecture_mermaid(made({"FunctionsInTheVpc": "no"}))


def test_every_icon_is_drawn_somewhere() -> None:
    everything = made(
        {"FunctionsInTheVpc": "yes", "AlertEmail": "a@example.org"}, interface_endpoints="full"
    )
    drawing, _, _ = architecture(everything)

    assert {path.stem for path in ICONS.glob("*.svg")} == set(drawing.icons)


def test_every_icon_is_a_small_drawing_without_names_that_could_clash() -> None:
    for path in ICONS.glob("*.svg"):
        text = path.read_text()
        assert re.match(r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="[0-9 ]+">', text), path
        assert "id=" not in text, path
        assert len(text) < 4000, path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("RunFailedRule", "Run failed rule"),
        ("VpcBaseline", "VPC baseline"),
        ("AlertEmailSubscription", "Alert email subscription"),
        ("Subnet1", "Subnet 1"),
        ("S3Endpoint", "S3 endpoint"),
        ("EcrDkrEndpoint", "ECR Docker endpoint"),
    ],
)
def test_logical_ids_are_read_as_words(name: str, said: str) -> None:
    assert words(name) == said


def test_a_long_text_is_wrapped_between_words() -> None:
    lines = wrapped("one two three four", width_of("one two "))

    assert lines == ["one two", "three", "four"]


def test_the_command_writes_and_then_finds_everything_current(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "pictures")

    assert main(["diagram", "--output", folder, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["changed"]
    assert {"architecture.svg", "architecture-dark.svg", "pipeline.mmd"} <= set(written)
    assert main(["diagram", "--output", folder, "--check"]) == 0
    (tmp_path / "pictures/pipeline.svg").write_text("old")
    assert main(["diagram", "--output", folder, "--check"]) == 1
    assert "pipeline.svg: out of date" in capsys.readouterr().out


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagram", "--help"]) == 0

    assert "python build.py diagram --check" in capsys.readouterr().out


def test_several_pipelines_are_named_and_counted_where_there_is_room() -> None:
    few = resolve(Settings.model_validate({"pipelines": several(2)}))
    shown = picture_of(few)
    assert "3 SageMaker pipelines" in shown
    assert f"main, {'w' * 17}-10, {'w' * 17}-11; each has its own roles" in shown
    assert "3 alert topics" in shown
    assert [client.name for client in vpc(few).clients].count("Jobs") == 1

    many = resolve(Settings.model_validate({"pipelines": several(50)}))
    assert re.search(r"main, w+-10 and 49 more; each has", picture_of(many))
    assert "SageMaker pipeline x 51" in architecture_mermaid(many)


@pytest.mark.parametrize(("count", "boxes"), [(5, 5), (50, 1)])
def test_many_stacks_with_one_template_are_one_box(count: int, boxes: int) -> None:
    graph = root_graph(build(Settings.model_validate({"pipelines": several(count)}), Mode.DEV))
    assert sum(node.id.startswith("Www") for node in graph.nodes) == boxes
    assert ("50 pipeline stacks" in {node.title for node in graph.nodes}) is (boxes == 1)


@pytest.mark.parametrize("exists", [False, True])
def test_topics_of_answers_are_no_alert_topics(exists: bool) -> None:
    topic = {"alert_topic": "arn:aws:sns:eu-west-1:111122223333:org-alerts"} if exists else {}
    chosen = {
        "pipeline": {"deploy": "on-approval"},
        "serving": {"asynchronous": True},
        "security": topic,
    }
    made = resolve(Settings.model_validate(chosen))
    title = "Alert topic that exists" if exists else "Alert topic"
    assert f'alerts["{title}"]' in architecture_mermaid(made)
    assert "alert topics" not in picture_of(made)
