"""What the page says is what the templates say; it needs nothing but itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape

from generator.emit import as_dict
from generator.settings import Mode, Settings
from generator.stacks.root import build
from tabular_ml_vpc.cli import main
from tabular_ml_vpc.reports.audit.exemptions import Exemption
from tabular_ml_vpc.reports.cost.estimate import CostPart
from tabular_ml_vpc.reports.site.content import Content, content, cost_data
from tabular_ml_vpc.reports.site.page import SLIDERS, page

VOID = {"br", "wbr", "input", "meta", "hr", "img", "link"}


class Outline(HTMLParser):
    """What a page is made of: elements with attributes, and whether they close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return Outline(html)


def test_every_element_is_closed_in_order(outline: Outline) -> None:
    assert outline.crossed == []
    assert outline.open == []


def test_identities_are_unique(outline: Outline) -> None:
    names = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]

    assert len(names) == len(set(names))


def test_nothing_comes_from_elsewhere(html: str, outline: Outline) -> None:
    assert not outline.of("link")
    assert not outline.of("img")
    assert not [one for one in outline.of("script") if "src" in one]
    assert not re.search(r"@import|url\(", html)
    references = [one["href"] for _, one in outline.elements if "href" in one]
    assert {one[0] for one in references} == {"#"}
    assert "default-src 'none'" in html


def test_every_link_and_label_leads_to_something(outline: Outline) -> None:
    names = {attributes["id"] for _, attributes in outline.elements if "id" in attributes}
    targets = [one["href"][1:] for _, one in outline.elements if "href" in one]
    targets += [one["for"] for one in outline.of("label") if "for" in one]

    assert set(targets) <= names


def test_every_table_has_a_caption_and_headings(outline: Outline) -> None:
    assert len(outline.of("caption")) == len(outline.of("table")) == len(outline.of("thead"))
    assert all("scope" in one for one in outline.of("th"))


def test_what_scrolls_can_be_reached_by_keyboard(outline: Outline) -> None:
    scrolling = [one for one in outline.of("div") if one.get("class") in {"scroll", "picture"}]

    assert scrolling
    assert all(one.get("tabindex") == "0" for one in scrolling)


def test_there_is_a_slider_for_zones_endpoints_and_hours(outline: Outline) -> None:
    ranges = {one["id"]: one for one in outline.of("input") if one.get("type") == "range"}

    assert set(ranges) == {name for name, *_ in SLIDERS}
    assert ranges["endpoints"]["value"] == "8"
    assert ranges["zones"]["value"] == "2"


def test_without_studio_there_is_no_slider_and_no_cost_for_it() -> None:
    settings = Settings.model_validate({"studio": {"domain": "none"}})
    html = page(content(settings, Mode.DEV))
    assert 'id="runs"' in html
    assert 'data-part="run"' in html
    for absent in ('id="people"', 'id="studio-hours"', 'data-part="studio"'):
        assert absent not in html


@pytest.mark.parametrize("mode", Mode)
def test_every_resource_of_the_templates_is_listed(mode: Mode) -> None:
    templates = build(Settings(), mode)
    expected = {
        (stack, name, resource["Type"])
        for stack, template in templates.items()
        for name, resource in as_dict(template)["Resources"].items()
    }

    found = content(Settings(), mode)

    assert {(row.stack, row.name, row.type) for row in found.rows} == expected
    deletion = {row.name: row.at_deletion for row in found.rows}["DataBucket"]
    assert deletion.startswith("Delete" if mode is Mode.DEV else "Retain")


def test_every_parameter_and_output_of_the_root_is_there(contents: Content, html: str) -> None:
    root = as_dict(build(Settings(), Mode.DEV)["root"])

    assert {one.name for one in contents.parameters} == set(root["Parameters"])
    assert all(f"<code>{name}</code>" in html for name in root["Outputs"])


def test_every_role_has_its_statements(contents: Content) -> None:
    roles = {role.name: role for role in contents.roles}

    assert all(role.statements for role in contents.roles)
    (passing,) = [
        one for one in roles["PipelineManagerRole"].statements if "iam:PassRole" in one.actions
    ]
    assert passing.resources == ("arn:${Partition}:iam::${AccountId}:role/${PipelineRole}",)
    assert passing.conditions == ("StringEquals iam:PassedToService: sagemaker.amazonaws.com",)
    assert roles["SeedDataRole"].trusted == ("lambda.amazonaws.com",)


def test_wildcards_and_managed_policies_are_counted(contents: Content, html: str) -> None:
    role = contents.roles[0]
    wild = replace(role.statements[0], effect="Allow", actions=("s3:*",))
    loose = replace(role, statements=(wild,), managed=("arn:aws:iam::aws:policy/Admin",))

    text = page(replace(contents, roles=(loose, *contents.roles[1:])))

    assert ", 0 of them with a wildcard. AWS managed policies: 0." in html
    assert ", 1 of them with a wildcard. AWS managed policies: 1." in text


def test_resources_with_a_policy_of_their_own_are_there(contents: Content) -> None:
    names = {policy.name for policy in contents.policies}

    assert {"Key", "DataBucketPolicy", "AlertTopicPolicy", "S3Endpoint", "StsEndpoint"} <= names


def test_no_made_up_account_or_region_is_shown(contents: Content) -> None:
    texts = [
        text
        for rights in (*contents.roles, *contents.policies)
        for one in rights.statements
        for text in (*one.principals, *one.resources, *one.conditions)
    ]

    assert not [text for text in texts if "123456789012" in text or "eu-west-1" in text]


def test_every_exemption_is_shown_with_its_reason(contents: Content, html: str) -> None:
    assert contents.exemptions
    assert all(f">{escape(one.title)}</td>" in html for one in contents.exemptions)
    assert all(escape(one.reason) in html for one in contents.exemptions)


def test_text_of_others_cannot_become_markup(contents: Content) -> None:
    hostile = Exemption("</table><script>alert(1)</script>", "<b>why</b>", "s", (("a:b", "c"),))

    text = page(replace(contents, exemptions=(hostile,)))

    assert "<script>alert" not in text
    assert "<b>why" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_data_for_the_script_cannot_end_its_element(contents: Content) -> None:
    first = next(iter(contents.cost.estimates))
    found = contents.cost.estimates[first]
    meter = replace(found.lines[0].meter, what="</script><b>")
    lines = (replace(found.lines[0], meter=meter), *found.lines[1:])
    cost = replace(
        contents.cost, estimates={**contents.cost.estimates, first: replace(found, lines=lines)}
    )

    text = page(replace(contents, cost=cost))

    assert "</script><b>" not in text


def test_the_script_gets_the_estimates_own_figures(contents: Content) -> None:
    data = cost_data(contents.cost)
    found = contents.cost.estimates["eu-west-1"]

    for line, sent in zip(found.lines, data["lines"], strict=True):
        assert sent["quantity"] == list(line.meter.quantity)
        assert sent["usd"]["eu-west-1"] == (line.price.usd if line.price else 0)
    train = next(one for one in data["lines"] if one["what"].startswith("Train on"))
    assert "eu-west-1" in train["estimated"]
    assert "us-east-1" not in train["estimated"]


def test_without_a_script_the_typical_costs_are_there(contents: Content, html: str) -> None:
    typical = contents.cost.estimates["us-east-1"].total(CostPart.ENVIRONMENT).typical

    assert f'data-part="environment">{typical:,.2f}<' in html


def test_the_same_settings_give_the_same_page(html: str) -> None:
    assert page(content(Settings(), Mode.DEV)) == html


def test_the_command_writes_the_page_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, output = tmp_path / "s.toml", tmp_path / "site.html"
    config.write_text('project = "risk"\n[network]\ninterface_endpoints = "minimal"\n')
    arguments = ["--config", str(config), "--mode", "prod", "--output", str(output), "--json"]

    assert main(["site", *arguments]) == 0

    told = json.loads(capsys.readouterr().out)
    text = output.read_text(encoding="utf-8")
    assert told == {"file": str(output), "bytes": len(text.encode()), "changed": True}
    assert "<h1>risk: SageMaker" in text
    assert "Mode <b>prod</b>" in text
    assert "SagemakerStudioEndpoint" not in text


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "--help"]) == 0

    assert "python build.py site --mode prod" in capsys.readouterr().out
