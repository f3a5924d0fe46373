"""Writes the bill of materials, in the environment of the checkers.

    .venv-audit/bin/python sbom.py < INVENTORY

``INVENTORY`` is the result of ``audit.supply.inventory``. Prints CycloneDX 1.6 JSON without a date,
and with a serial number derived from the content: the same content gives the same bytes.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

NAMESPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
"""For names of any kind (RFC 9562, "Namespace ID Usage and Allocation")."""
LICENCE = LicenseFactory()


def main(inventory: Mapping[str, Any]) -> None:
    """Print the bill of materials, if it conforms to the schema."""
    content = json.dumps(inventory, sort_keys=True)
    bom = Bom(serial_number=uuid.uuid5(NAMESPACE, content))
    root = Component(
        name="tabular-ml-vpc",
        type=ComponentType.APPLICATION,
        bom_ref="tabular-ml-vpc",
        licenses=[LICENCE.make_from_string("Apache-2.0")],
    )
    bom.metadata.component = root
    zips = {zipped["name"]: _zip(zipped) for zipped in inventory["zips"]}
    for zipped in zips.values():
        bom.components.add(zipped)
    libraries: dict[str, Component] = {}
    for each in inventory["shipped"]:
        library = libraries.setdefault(each["component"], _library(each))
        bom.components.add(library)
        bom.register_dependency(zips[f"{each['zip']}.zip"], [library])
    bom.register_dependency(root, zips.values())
    for component in (*_requirements(inventory["required"]), *_npm(inventory["npm"])):
        bom.components.add(component)
    written = json.loads(
        make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    )
    written["metadata"].pop("timestamp")
    text = json.dumps(written, indent=2, sort_keys=True)
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"Error: not valid CycloneDX: {fault}")
    print(text)


def _zip(zipped: Mapping[str, str]) -> Component:
    return Component(
        name=zipped["name"],
        type=ComponentType.FILE,
        bom_ref=zipped["name"],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=zipped["sha256"])],
        licenses=[LICENCE.make_from_string("Apache-2.0")],
        scope=ComponentScope.REQUIRED,
    )


def _library(each: Mapping[str, str]) -> Component:
    name, version = each["component"], each["version"]
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"shipped/{name}@{version}",
        purl=PackageURL("pypi", name=name, version=version),
        licenses=[LICENCE.make_from_string(each["licence"])],
        scope=ComponentScope.REQUIRED,
    )


def _requirements(required: list[Mapping[str, Any]]) -> Iterator[Component]:
    """Yield what is used to build and test; none of it is shipped."""
    for each in required:
        name, version = each["name"], each["version"]
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            bom_ref=f"requirements/{each['list']}/{name}@{version}",
            purl=PackageURL("pypi", name=name, version=version),
            scope=ComponentScope.EXCLUDED,
            properties=[Property(name="requirements", value=each["list"])],
        )


def _npm(packages: list[Mapping[str, str]]) -> Iterator[Component]:
    for each in packages:
        group, _, name = each["name"].rpartition("/")
        licences = [LICENCE.make_from_string(each["licence"])] if each["licence"] else []
        yield Component(
            group=group or None,
            name=name,
            version=each["version"],
            type=ComponentType.LIBRARY,
            bom_ref=f"npm/{each['name']}@{each['version']}",
            purl=PackageURL("npm", namespace=group or None, name=name, version=each["version"]),
            licenses=licences,
            scope=ComponentScope.EXCLUDED,
            properties=[Property(name="requirements", value="node")],
        )


if __name__ == "__main__":
    main(json.load(sys.stdin))
