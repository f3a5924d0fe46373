"""Every two choices in the settings are emitted, linted, priced and drawn together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from generator import emit
from generator.cfn.yaml_text import from_yaml
from generator.files import DIST
from generator.lint import lint
from generator.package import FUNCTIONS
from generator.regions import deployable
from generator.settings import Settings
from tabular_ml_vpc.reports.cost.estimate import CostChoices, CostPart, estimate
from tabular_ml_vpc.reports.cost.prices import Prices, read_table
from tabular_ml_vpc.reports.cost.usage import usage
from tabular_ml_vpc.reports.diagram import pictures
from tests.templates import pairs

REGION = "eu-west-1"
MAX_NAMED = 200
"""Most parameters, and most outputs, of a template ("Understand CloudFormation quotas")."""


@dataclass(frozen=True)
class Built:
    """The settings of a row, and the files that they generate."""

    settings: Settings
    texts: dict[str, str]

    @property
    def templates(self) -> dict[str, str]:
        """Return the templates by path."""
        return {path: text for path, text in self.texts.items() if emit.is_template(path)}


@pytest.fixture(scope="module")
def built() -> dict[str, Built]:
    """Give all rows by their names."""
    return {", ".join(row): _built(pairs.settings(row)) for row in pairs.rows()}


def _built(settings: Settings) -> Built:
    return Built(settings, emit.render(settings))


def test_every_setting_is_among_the_choices() -> None:
    assert sorted(set(pairs.names(Settings)) - pairs.chosen()) == []


def test_every_two_choices_occur_together_unless_they_contradict_each_other() -> None:
    found = set().union(*map(pairs.pairs, pairs.rows()))
    assert found == pairs.possible()


@pytest.mark.parametrize("pair", sorted(map(sorted, pairs.REFUSED)), ids=" and ".join)
def test_choices_that_contradict_each_other_are_refused(pair: list[str]) -> None:
    with pytest.raises(ValidationError):
        pairs.settings(pair)


def test_every_row_is_clean(built: dict[str, Built], tmp_path: Path) -> None:
    """A template of several rows is linted once; the root's parameters are checked in each."""
    seen, paths = set(), []
    for number, row in enumerate(built.values()):
        folder = f"row-{number:02}"
        emit.emit(row.texts, tmp_path / folder)
        (tmp_path / folder / DIST).mkdir()
        for function in FUNCTIONS:
            (tmp_path / folder / DIST / f"{function}.zip").touch()
        paths += [f"{folder}/{path}" for path, text in row.templates.items() if text not in seen]
        seen |= set(row.templates.values())
    regions = set.intersection(*(set(deployable(row.settings)) for row in built.values()))

    findings = defaultdict(list)
    for finding in lint(paths, tmp_path, sorted(regions)):
        number = int(finding.path.partition("/")[0].removeprefix("row-"))
        findings[list(built)[number]].append(str(finding))

    assert findings == {}


def test_every_row_is_within_the_limits_of_templates(built: dict[str, Built]) -> None:
    for name, row in built.items():
        for path, text in row.templates.items():
            template = from_yaml(text)
            assert len(text.encode()) <= emit.MAX_BYTES, (name, path)
            assert len(template["Resources"]) <= emit.MAX_RESOURCES, (name, path)
            for part in ("Parameters", "Outputs"):
                assert len(template.get(part, ())) <= MAX_NAMED, (name, path, part)


def test_everything_in_every_row_has_a_price(built: dict[str, Built]) -> None:
    prices = Prices(read_table(), REGION)
    for name, row in built.items():
        (mode,) = row.settings.modes
        found = estimate(CostChoices(row.settings, {}, usage(), mode=mode), prices)
        assert found.unpriced == (), name
        assert found.total(CostPart.ENVIRONMENT).typical > 0, name


def test_every_row_has_a_picture_of_each_stack(built: dict[str, Built]) -> None:
    for name, row in built.items():
        (mode,) = row.settings.modes
        drawn = {picture.name for picture in pictures.pictures(row.settings, mode)}
        stacks = {f"stack-{Path(path).stem}" for path in row.templates}
        assert stacks | {"architecture", "pipeline"} <= drawn, name
