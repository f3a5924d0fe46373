"""What is shipped is listed with its licence; the bill of materials is whole and repeatable."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from typing import Any

import pytest

from generator import package
from generator.files import REPOSITORY
from tabular_ml_vpc.reports.audit import supply


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(supply.bill_of_materials())
    return found


def test_the_committed_list_of_licences_is_up_to_date() -> None:
    text = supply.LICENCES.read_text(encoding="utf-8")
    assert text == supply.licences(), "run `python build.py sbom`"


@pytest.mark.parametrize("function", package.FUNCTIONS)
def test_every_file_in_a_zip_is_ours_or_has_its_licence_with_it(function: str) -> None:
    assert supply.foreign_files(function) == []


def test_every_vendored_library_brings_the_text_of_its_licence() -> None:
    vendored = [each for each in supply.shipped() if each.component != supply.OURS]
    assert {each.zip for each in vendored} == set(package.FUNCTIONS)
    for each in vendored:
        assert each.licence == "Apache-2.0"
        with zipfile.ZipFile(io.BytesIO(package.build(each.zip))) as archive:
            assert "Apache License" in archive.read(each.licence_file).decode()


def test_every_requirement_is_pinned_with_hashes() -> None:
    required = supply.required()
    assert [each for each in required if not each.hashes] == []
    assert {each.list for each in required} == {
        path.stem for path in (REPOSITORY / "requirements").glob("*.txt")
    }


def test_no_requirement_is_missed_by_the_reading() -> None:
    for path in (REPOSITORY / "requirements").glob("*.txt"):
        pins = re.findall(r"^[A-Za-z0-9]\S*==", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len([each for each in supply.required() if each.list == path.stem]) == len(pins)


def test_npm_packages_are_pinned_with_hashes_and_name_no_address() -> None:
    text = (REPOSITORY / "requirements/node/package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)
    outside = [
        path
        for path, entry in lock["packages"].items()
        if path and not entry.get("inBundle") and "integrity" not in entry
    ]
    assert outside == []
    assert "://" not in text.replace('"url": "https://', '"url": "')
    assert all("resolved" not in entry for entry in lock["packages"].values())


def test_the_bill_has_every_zip_with_its_hash(bill: dict[str, Any]) -> None:
    zips = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"}
    assert zips == {
        f"{name}.zip": hashlib.sha256(package.build(name)).hexdigest() for name in package.FUNCTIONS
    }


def test_the_bill_says_what_each_zip_contains(bill: dict[str, Any]) -> None:
    depends = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    (library,) = {c["bom-ref"] for c in bill["components"] if c["bom-ref"].startswith("shipped/")}
    assert all(depends[f"{name}.zip"] == [library] for name in package.FUNCTIONS)


def test_the_bill_tells_what_is_shipped_from_what_only_builds(bill: dict[str, Any]) -> None:
    excluded = [c for c in bill["components"] if c["scope"] == "excluded"]
    required = {(each.list, each.name, each.version) for each in supply.required()}
    assert len(excluded) == len(required) + len(supply.inventory()["npm"])
    assert all(c["bom-ref"].split("/")[0] in {"requirements", "npm"} for c in excluded)


def test_the_bill_is_the_same_for_the_same_content(bill: dict[str, Any]) -> None:
    assert json.loads(supply.bill_of_materials()) == bill
    assert "timestamp" not in bill["metadata"]
