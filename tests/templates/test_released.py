"""What a released version deployed keeps its name: a renamed resource is a replaced one.

Each folder in tests/cloud/fixtures is a released version; tests/cloud/test_upgrade.py updates it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from generator.cfn.yaml_text import from_yaml
from generator.files import REPOSITORY
from tests.templates.conftest import Templates

RELEASED: Final = sorted((REPOSITORY / "tests/cloud/fixtures").glob("v*/templates"))
CHANGELOG: Final = REPOSITORY / "CHANGELOG.md"


def replaced() -> str:
    """Everything that the changelog lists as replaced, in any version."""
    text = CHANGELOG.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"(?ms)^### Replaces\n(.*?)(?=^##|\Z)", text))


def lost(old: dict[str, Any], new: dict[str, Any], entries: str) -> Iterator[str]:
    """Logical ids that a template had and that are gone, or are of another type, unannounced."""
    for name, resource in old["Resources"].items():
        now = new["Resources"].get(name, {"Type": "nothing"})["Type"]
        if now != resource["Type"] and f"`{name}`" not in entries:
            yield f"{name}: {resource['Type']} is now {now}"


def templates_of(release: Path) -> Templates:
    """A released version's templates by stack."""
    return {file.stem: from_yaml(file.read_text("utf-8")) for file in release.glob("*.yaml")}


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.parent.name)
def test_no_resource_of_a_released_version_is_renamed_without_an_entry_in_the_changelog(
    templates: Templates, release: Path
) -> None:
    found = templates_of(release)
    assert found.keys() <= templates.keys()
    entries = replaced()
    assert [
        f"{stack}/{problem}"
        for stack, old in found.items()
        for problem in lost(old, templates[stack], entries)
    ] == []


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.parent.name)
def test_no_parameter_or_output_of_a_released_version_goes_unmentioned(
    templates: Templates, release: Path
) -> None:
    old, new = templates_of(release)["root"], templates["root"]
    text = CHANGELOG.read_text(encoding="utf-8")
    gone = [
        name
        for section in ("Parameters", "Outputs")
        for name in old[section].keys() - new[section].keys()
        if f"`{name}`" not in text
    ]
    assert gone == []


def test_a_renamed_resource_is_noticed_unless_the_changelog_has_it() -> None:
    old = {"Resources": {"DataBucket": {"Type": "AWS::S3::Bucket"}}}
    new = {"Resources": {"TableBucket": {"Type": "AWS::S3::Bucket"}}}
    assert list(lost(old, new, "")) == ["DataBucket: AWS::S3::Bucket is now nothing"]
    assert list(lost(old, new, "- `DataBucket` is replaced by `TableBucket`.")) == []
    retyped = {"Resources": {"DataBucket": {"Type": "AWS::S3Express::DirectoryBucket"}}}
    assert list(lost(old, retyped, "")) != []
