"""Packages from CodeArtifact: what the setting adds, and that it adds nothing without it."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import pytest

from generator.cfn.evaluator import ResolvedDeployment
from generator.cfn.identifiers import StackLocation
from generator.resolved import resolve
from generator.settings import Mode, Settings, validated
from generator.settings_packages import REGIONS
from generator.settings_section import SettingsError
from tabular_ml_vpc.reports.audit.checkers import plain_stacks
from tests.existing_vpc import EXISTING as THEIR_VPC
from tests.existing_vpc import RANGE

EXISTING = {"source": "existing", "domain": "acme", "repository": "shared"}
SERVICES = ("codeartifact.api", "codeartifact.repositories")


@cache
def made(**packages: Any) -> ResolvedDeployment:
    return resolve(Settings.model_validate({"packages": packages}))


@pytest.fixture(scope="module")
def from_pypi() -> ResolvedDeployment:
    return made(source="pypi", internal_names=("acme", "acme-risk"))


def endpoints(deployment: ResolvedDeployment) -> list[str]:
    found = deployment.of_type("AWS::EC2::VPCEndpoint")
    return sorted(
        str(one.properties["ServiceName"]).partition("eu-west-1.")[2]
        for one in found
        if "codeartifact" in str(one.properties["ServiceName"])
    )


def script(deployment: ResolvedDeployment, config: str) -> str:
    properties = deployment.get("studio", config).properties
    return base64.b64decode(properties["StudioLifecycleConfigContent"]).decode()


def test_by_default_there_is_nothing_of_codeartifact() -> None:
    kinds = {one.type for one in resolve()}
    assert [kind for kind in kinds if "CodeArtifact" in kind or "Lifecycle" in kind] == []
    assert endpoints(resolve()) == []


def test_both_endpoints_are_added_once(from_pypi: ResolvedDeployment) -> None:
    assert endpoints(from_pypi) == list(SERVICES)
    full = {"network": {"interface_endpoints": "full"}, "packages": {"source": "pypi"}}
    assert endpoints(resolve(Settings.model_validate(full))) == list(SERVICES)


def test_in_an_existing_vpc_only_endpoints_that_are_named_are_created() -> None:
    theirs = {"network": THEIR_VPC, "packages": {"source": "pypi"}}
    assert endpoints(resolve(Settings.model_validate(theirs))) == []
    named = {
        **THEIR_VPC,
        "create_endpoints": [*SERVICES],
        "created_endpoint_clients": [RANGE],
        "created_endpoint_policy": "account",
    }
    shared = {**EXISTING, "owner": "999988887777"}
    chosen = {"network": named, "packages": shared}
    deployment = resolve(Settings.model_validate(chosen))
    assert endpoints(deployment) == list(SERVICES)
    policy = deployment.get("network", "CodeartifactApiEndpoint").properties["PolicyDocument"]
    assert "999988887777:repository/acme/shared" in str(policy)


def test_the_repository_is_encrypted_with_our_key_and_copies_from_pypi_alone(
    from_pypi: ResolvedDeployment,
) -> None:
    domain = from_pypi.get("studio", "PackageDomain").properties
    repository = from_pypi.get("studio", "PackageRepository").properties
    assert domain["EncryptionKey"] == from_pypi.parameters["studio"]["KeyArn"]
    assert repository["ExternalConnections"] == ["public:pypi"]
    assert "Upstreams" not in repository


def test_nobody_publishes_and_internal_names_come_from_nowhere(
    from_pypi: ResolvedDeployment,
) -> None:
    groups = {
        one.properties["Pattern"]: {
            way: rule["RestrictionMode"]
            for way, rule in one.properties["OriginConfiguration"]["Restrictions"].items()
        }
        for one in from_pypi.of_type("AWS::CodeArtifact::PackageGroup")
    }
    nowhere = dict.fromkeys(("ExternalUpstream", "InternalUpstream", "Publish"), "BLOCK")
    assert groups == {
        "/pypi/*": {**nowhere, "ExternalUpstream": "ALLOW"},
        "/pypi//acme~": nowhere,
        "/pypi//acme-risk~": nowhere,
    }


@pytest.mark.parametrize("mode", [*Mode])
def test_the_copies_are_deleted_with_the_stack(mode: Mode) -> None:
    stacks = plain_stacks(Settings.model_validate({"packages": {"source": "pypi"}}), mode)
    resources = stacks["studio"]["Resources"]
    assert resources["PackageDomain"]["DeletionPolicy"] == "Delete"
    assert resources["PackageRepository"]["DeletionPolicy"] == "Delete"


def test_every_app_starts_with_its_script_and_so_do_shared_spaces(
    from_pypi: ResolvedDeployment,
) -> None:
    domain = from_pypi.get("studio", "Domain").properties
    place = from_pypi.place

    def arn(config: str) -> str:
        name = from_pypi.get("studio", config).reference
        return place.arn("sagemaker", f"studio-lifecycle-config/{name}")

    lab, editor = arn("JupyterLabLifecycleConfig"), arn("CodeEditorLifecycleConfig")
    people, shared = domain["DefaultUserSettings"], domain["DefaultSpaceSettings"]
    builtin = "BuiltInLifecycleConfigArn"
    assert people["JupyterLabAppSettings"][builtin] == lab
    assert people["CodeEditorAppSettings"][builtin] == editor
    assert shared["JupyterLabAppSettings"][builtin] == lab


def test_a_script_s_name_changes_with_its_content_or_tags_and_only_then(
    from_pypi: ResolvedDeployment,
) -> None:
    """A lifecycle configuration cannot be updated: the same name with another one would fail."""

    def name(deployment: ResolvedDeployment) -> str:
        return deployment.get("studio", "JupyterLabLifecycleConfig").reference

    without_names, existing = made(source="pypi"), made(**EXISTING)
    assert name(without_names) == name(from_pypi)
    assert name(existing) != name(from_pypi)
    assert name(existing) != name(made(**{**EXISTING, "repository": "other"}))
    tagged = {"tags": {"team": "risk"}, "packages": {"source": "pypi"}}
    assert name(from_pypi) != name(resolve(Settings.model_validate(tagged)))


def test_names_fit_however_long_the_project_is() -> None:
    settings = Settings.model_validate({"project": "a" * 30, "packages": {"source": "pypi"}})
    deployment = resolve(settings, place=StackLocation(stack_name="s" * 128))
    assert len(deployment.get("studio", "PackageDomain").properties["DomainName"]) <= 50
    for config in deployment.of_type("AWS::SageMaker::StudioLifecycleConfig"):
        assert len(config.reference) <= 63
        assert len(config.properties["StudioLifecycleConfigContent"]) <= 16384


def test_an_existing_repository_is_used_and_nothing_is_made_in_it() -> None:
    deployment = made(**EXISTING)
    assert [one for one in deployment if "CodeArtifact" in one.type] == []
    text = script(deployment, "JupyterLabLifecycleConfig")
    assert "https://acme-123456789012.d.codeartifact.eu-west-1.amazonaws.com/pypi/shared/" in text
    rights = str(deployment.get("studio", "StudioPolicy").properties["PolicyDocument"])
    assert "repository/acme/shared" in rights
    assert "domain/acme'" in rights


def test_another_account_s_repository_is_named_with_its_owner() -> None:
    deployment = made(**EXISTING, owner="999988887777")
    text = script(deployment, "CodeEditorLifecycleConfig")
    assert "\nowner=999988887777\n" in text
    assert "https://acme-999988887777.d.codeartifact.eu-west-1.amazonaws.com/pypi/shared/" in text


def test_a_region_without_codeartifact_is_rejected() -> None:
    settings = Settings.model_validate({"packages": {"source": "pypi"}})
    rule = plain_stacks(settings, Mode.DEV)["root"]["Rules"]["RegionHasCodeArtifact"]
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Contains": [[*REGIONS], {"Ref": "AWS::Region"}]}
    assert "packages.source" in assertion["AssertDescription"]
    assert "RegionHasCodeArtifact" not in plain_stacks(Settings(), Mode.DEV)["root"]["Rules"]


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        ({"source": "npm"}, ["packages.source", "'npm'", "'pypi'"]),
        ({"source": "existing"}, ["packages", "domain must be set"]),
        ({"source": "existing", "domain": "acme"}, ["repository must be set"]),
        ({**EXISTING, "domain": "Acme"}, ["packages.domain", "'Acme'", "lower-case"]),
        ({**EXISTING, "repository": "a b"}, ["packages.repository", "'a b'", "._-"]),
        ({**EXISTING, "internal_names": ["acme"]}, ["internal_names must be empty", "origin"]),
        ({"source": "pypi", "domain": "acme"}, ["domain must be empty unless"]),
        ({"source": "pypi", "owner": "999988887777"}, ["owner must be empty unless"]),
        ({**EXISTING, "owner": "acme"}, ["packages.owner", "'acme'", "12 digits"]),
        ({"internal_names": ["acme"]}, ["internal_names must be empty unless source = 'pypi'"]),
        ({"source": "pypi", "internal_names": ["acme*"]}, ["internal_names.0", "'acme*'"]),
        ({"source": "pypi", "internal_names": ["a-b", "a-b"]}, ["must not name a package twice"]),
    ],
)
def test_a_mistake_is_one_line_that_says_what_is_allowed(
    packages: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as error:
        validated(Settings, {"packages": packages}, "")
    assert "\n" not in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


def test_two_names_never_share_a_logical_id() -> None:
    names = ["pypi", "a-bc", "abc"]
    groups = made(source="pypi", internal_names=tuple(names)).of_type(
        "AWS::CodeArtifact::PackageGroup"
    )
    assert len(groups) == 1 + len(names)
    with pytest.raises(SettingsError, match="twice"):
        validated(Settings, {"packages": {"source": "pypi", "internal_names": ["1-2", "12"]}}, "")
