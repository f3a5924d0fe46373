"""The README names what the templates have."""

from __future__ import annotations

import re

from generator.emit import as_dict
from generator.files import REPOSITORY
from generator.settings import Mode, Settings
from generator.stacks import root
from tests.unit.run_parameters import in_the_readme, table

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_parameter_and_output_is_in_the_readme() -> None:
    template = as_dict(root.build(Settings(), Mode.DEV)["root"])
    for name in (*template["Parameters"], *template["Outputs"]):
        assert f"`{name}`" in README, name


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    missing = [link for link in links if not (REPOSITORY / link).exists()]
    assert missing == []


def test_the_readme_explains_every_parameter_of_a_run() -> None:
    assert in_the_readme() == table(), "run `python -m tests.unit.run_parameters` and commit"
