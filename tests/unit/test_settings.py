"""Settings: what is read, and the messages for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from generator.settings import Mode, Settings, read
from generator.settings_network import STANDARD_ENDPOINTS, InterfaceEndpoint
from generator.settings_section import SettingsError
from generator.settings_studio import Studio


def read_text(folder: Path, text: str) -> Settings:
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert read_text(tmp_path, "") == Settings()


def test_every_kind_of_setting_is_read(tmp_path: Path) -> None:
    settings = read_text(
        tmp_path,
        """
        project = "risk-2"
        modes = ["prod"]
        tags = { team = "Risk", "cost center" = "12:34" }
        [network]
        cidr = "172.20.0.0/20"
        zones = 3
        interface_endpoints = ["sagemaker.api", "sagemaker.runtime", "athena"]
        [storage]
        log_retention_days = 30
        [studio]
        user_profiles = ["ada", "grace-hopper"]
        """,
    )

    assert settings.project == "risk-2"
    assert settings.modes == (Mode.PROD,)
    assert settings.tags == {"team": "Risk", "cost center": "12:34"}
    assert str(settings.network.cidr) == "172.20.0.0/20"
    assert settings.network.zones == 3
    assert settings.network.interface_endpoints[-1] is InterfaceEndpoint.ATHENA
    assert settings.storage.log_retention_days == 30
    assert settings.studio.user_profiles == ("ada", "grace-hopper")


def test_settings_cannot_be_changed() -> None:
    settings = Settings()

    with pytest.raises(ValidationError):
        settings.project = "other"


def test_without_a_domain_of_its_own_a_stack_has_only_profiles_that_are_named() -> None:
    assert Studio(domain="none").user_profiles == ()
    assert Studio(domain="d-abcdefgh1234").user_profiles == ()
    named = Studio(domain="d-abcdefgh1234", user_profiles=("ada",))
    assert named.user_profiles == ("ada",)


def test_only_studio_needs_the_runtime_endpoint(tmp_path: Path) -> None:
    network = "network.interface_endpoints = ['sagemaker.api']\n"
    read_text(tmp_path, f"{network}studio.domain = 'none'")
    with pytest.raises(SettingsError, match=r"must include sagemaker\.runtime, which Studio needs"):
        read_text(tmp_path, network)


MISTAKES = {
    "unknown key": ("projcet = 'a'", ["projcet", "unknown setting", "did you mean project?"]),
    "unknown key in a section": ("[network]\nzone = 3", ["network.zone", "did you mean zones?"]),
    "unknown key like no other": (
        "[studio]\nq = 1",
        ["studio.q", "known settings: ", "user_profiles"],
    ),
    "unknown section": ("[netwrok]\nzones = 2", ["netwrok", "did you mean network?"]),
    "text for a number": ("[network]\nzones = '3'", ["network.zones", "'3'", "whole number"]),
    "number for a text": ("project = 3", ["project", "3", "text"]),
    "boolean for a number": ("[network]\nzones = true", ["network.zones", "True"]),
    "text for a list": ("modes = 'dev'", ["modes", "'dev'"]),
    "number for a section": ("network = 3", ["network", "3"]),
    "too many zones": ("[network]\nzones = 4", ["network.zones", "4", "3"]),
    "more endpoint zones than zones": (
        "[network]\nendpoint_zones = 3",
        ["network", "endpoint_zones (3)", "zones (2)"],
    ),
    "no address": ("[network]\ncidr = 'ten'", ["network.cidr", "'ten'", "10.38.0.0/16"]),
    "host bits": ("[network]\ncidr = '10.38.0.1/16'", ["network.cidr", "10.38.0.1/16", "host"]),
    "range too small": ("[network]\ncidr = '10.0.0.0/28'", ["network.cidr", "/28", "/16 to /24"]),
    "range too large": ("[network]\ncidr = '10.0.0.0/8'", ["network.cidr", "/8", "/16 to /24"]),
    "IPv6": ("[network]\ncidr = 'fd00::/16'", ["network.cidr", "fd00::/16"]),
    "unknown endpoint": (
        "[network]\ninterface_endpoints = ['sagemaker.api', 's4']",
        ["network.interface_endpoints.1", "'s4'", "'athena'"],
    ),
    "endpoint missing": (
        "[network]\ninterface_endpoints = ['sagemaker.api']",
        ["network.interface_endpoints", "must include sagemaker.runtime"],
    ),
    "endpoint twice": (
        "[network]\ninterface_endpoints = ['sagemaker.api', 'sagemaker.runtime', 'sts', 'sts']",
        ["network.interface_endpoints", "twice"],
    ),
    "capital in the project": ("project = 'Risk'", ["project", "'Risk'", "lower-case"]),
    "project too long": (f"project = '{'a' * 31}'", ["project", "2 to 30"]),
    "project ends in a hyphen": ("project = 'risk-'", ["project", "'risk-'"]),
    "project with a line break": ('project = "risk\\n"', ["project", r"'risk\n'"]),
    "bad profile name": (
        "[studio]\nuser_profiles = ['ada l']",
        ["studio.user_profiles.0", "'ada l'", "letters"],
    ),
    "a domain of no kind": ("[studio]\ndomain = 'ours'", ["studio.domain", "'ours'", "d-abcdefgh"]),
    "profiles without Studio": (
        "[studio]\ndomain = 'none'\nuser_profiles = ['ada']",
        ["studio", 'user_profiles must be omitted with domain = "none"'],
    ),
    "another VPC's endpoint for an own domain": (
        "[studio]\ns3_endpoint = 'vpce-0123456789abcdef0'",
        ["studio", "s3_endpoint is set", "not the id of an existing domain"],
    ),
    "an endpoint without an id": (
        "[studio]\ndomain = 'd-abcdefgh1234'\ns3_endpoint = 's3'",
        ["studio.s3_endpoint", "'s3'", "vpce-"],
    ),
    "no endpoint for our functions": (
        "studio.domain = 'none'\n[network]\ninterface_endpoints = ['sagemaker.runtime']",
        ["network.interface_endpoints", "must include sagemaker.api"],
    ),
    "packages for a domain of others": (
        "studio.domain = 'd-abcdefgh1234'\npackages.source = 'pypi'",
        ["packages.source", "'pypi'", "studio.domain = 'd-abcdefgh1234'"],
    ),
    "a topic that alarms cannot use": (
        "[security]\nalert_topic = 'arn:aws:sns:eu-west-1:111122223333:alerts.fifo'",
        ["security.alert_topic", "alerts.fifo", "standard SNS topic"],
    ),
    "a topic and a key of two regions": (
        "[security]\nalert_topic = 'arn:aws:sns:eu-west-1:111122223333:alerts'\n"
        "key = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd'",
        ["security.alert_topic: got 'arn:aws:sns:eu-west-1", "in the region of security.key"],
    ),
    "an address for a topic of others": (
        "security.alert_topic = 'arn:aws:sns:eu-west-1:111122223333:alerts'\n"
        "[[pipelines]]\nname = 'main'\nalert_email = 'a@b.example'",
        ["pipelines: main: alert_email: must be omitted with security.alert_topic"],
    ),
    "readers of a bucket of others": (
        "storage.log_bucket = 'arn:aws:s3:::logs'\n"
        "security.log_readers = ['arn:aws:iam::111122223333:role/Audit']",
        ["security.log_readers: must be omitted with storage.log_bucket"],
    ),
    "no profile": ("[studio]\nuser_profiles = []", ["studio.user_profiles", "[]", "at least 1"]),
    "profile twice": (
        "[studio]\nuser_profiles = ['ada', 'Ada']",
        ["studio.user_profiles", "upper and lower case"],
    ),
    "a person who is there already": (
        "[studio]\nuser_profiles = ['ada']\npeople = [{ name = 'Ada' }]",
        ["studio.user_profiles", "['ada']", "upper and lower case"],
    ),
    "people of one logical id": (
        "[[studio.people]]\nname = 'a-b'\n[[studio.people]]\nname = 'aB'",
        ["studio.people", "'a-b' and 'aB' would both be the resource", "hyphens"],
    ),
    "a persona that there is not": (
        "[[studio.people]]\nname = 'ada'\npersona = 'boss'",
        ["studio.people.0.persona", "'boss'", "'data-scientist', 'ml-engineer' or 'reviewer'"],
    ),
    "a person without a name": ("[[studio.people]]", ["studio.people.0.name", "missing"]),
    "a person with an unknown key": (
        "[[studio.people]]\nname = 'ada'\npersonna = 'reviewer'",
        ["studio.people.0.personna", "unknown setting", "did you mean persona?"],
    ),
    "a person who is only a name": (
        "[studio]\npeople = ['ada']",
        ["studio.people.0", "'ada'", "must be a table of names and values"],
    ),
    "an unknown way to sign in": (
        "[studio]\nsign_in = 'saml'",
        ["studio.sign_in", "'saml'", "'iam' or 'identity-center'"],
    ),
    "a user name without Identity Center": (
        "[[studio.people]]\nname = 'ada'\nuser_name = 'ada@example.com'",
        ["studio.people", 'user_name of ada must be omitted with sign_in = "iam"'],
    ),
    "two people with one user name": (
        "[studio]\nsign_in = 'identity-center'\nuser_profiles = ['ada']\n"
        "people = [{ name = 'grace', user_name = 'Ada' }]",
        ["studio.user_profiles", "'ada' is the user name of 2 people"],
    ),
    "a user name with a space": (
        "[studio]\nsign_in = 'identity-center'\npeople = [{ name = 'ada', user_name = 'a l' }]",
        ["studio.people.0.user_name", "'a l'", "a user name in IAM Identity Center"],
    ),
    "groups without Identity Center": (
        "[studio]\nidentity_center_groups = ['1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d']",
        ["studio.identity_center_groups", 'must be omitted with sign_in = "iam"'],
    ),
    "the name of a group instead of its id": (
        "[studio]\nsign_in = 'identity-center'\nidentity_center_groups = ['scientists']",
        ["studio.identity_center_groups.0", "'scientists'", "must be the id of a group"],
    ),
    "prefixes per person in a domain that may not pass on names": (
        "[studio]\ndomain = 'd-abcdefgh1234'\npersonal_prefixes = true",
        ["studio.personal_prefixes", "unless the stack creates the domain", "source identity"],
    ),
    "a person with the name of the prefix of all": (
        "[studio]\nuser_profiles = ['Shared']\npersonal_prefixes = true",
        ["studio.personal_prefixes", "shared is the prefix of all"],
    ),
    "profiles of one logical id": (
        "[studio]\nuser_profiles = ['ada-b', 'grace', 'adaB']",
        ["studio.user_profiles", "'ada-b' and 'adaB' would both be the resource", "hyphens"],
    ),
    "no type that the pipeline can use": (
        "[limits]\njob_instance_types = ['ml.p5.48xlarge']",
        ["limits", "job_instance_types", "such as ml.m5.large"],
    ),
    "not an instance type": (
        "[limits]\napp_instance_types = ['m5.large']",
        ["limits.app_instance_types.0", "'m5.large'", "such as ml.m5.large"],
    ),
    "less time than the pipeline's own": (
        "[limits]\njob_hours = 1",
        ["limits.job_hours", "1", "6"],
    ),
    "tags that differ in case alone": (
        "tags = { Team = 'a', team = 'b' }",
        ["tags", "'Team' and 'team' are the same key to AWS"],
    ),
    "a tag of ours in another case": (
        "tags = { name = 'x' }",
        ["tags", "'Name' and 'name'", "the templates set the first one"],
    ),
    "the pipeline's own tag": (
        "tags = { Pipeline-Owner = 'x' }",
        ["tags", "'pipeline-owner' and 'Pipeline-Owner'"],
    ),
    "AWS's tag": ("tags = { 'aws:x' = 'y' }", ["tags", "aws:"]),
    "tag value of another kind": ("tags = { x = 3 }", ["tags.x", "3", "text"]),
    "retention of no kind": (
        "[storage]\nlog_retention_days = 31",
        ["storage.log_retention_days", "31", "30, 60"],
    ),
    "no mode": ("modes = []", ["modes", "at least 1"]),
    "unknown mode": ("modes = ['test']", ["modes.0", "'test'", "'dev' or 'prod'"]),
    "mode twice": ("modes = ['dev', 'dev']", ["modes", "twice"]),
    "invalid TOML": ("project = 'a'\nzones = = 3", [": not valid TOML", "line 2"]),
    "key twice": ("project = 'a'\nproject = 'b'\n", [": not valid TOML", "line 2"]),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, said: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_text(tmp_path, text)

    message = str(caught.value)
    assert [part for part in ["settings.toml: ", *said] if part not in message] == []
    assert "\n" not in message
    assert "more)" not in message
    assert len(message) < 600


def test_of_several_mistakes_the_first_is_named_and_the_others_are_counted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"network\.zones: .*\(and 2 more\)$"):
        read_text(tmp_path, "[network]\nzones = 9\nendpoint_zones = 9\n[storage]\nx = 1")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"project = '\xe4'"])
def test_a_file_in_another_encoding_is_not_valid_toml(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=": not valid TOML"):
        read(file)


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read(tmp_path)


def test_studio_can_be_reached_with_the_standard_endpoints() -> None:
    needed = {"sagemaker.api", "sagemaker.runtime", "sagemaker.studio", "sts", "logs"}

    assert needed <= set(STANDARD_ENDPOINTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("network = { zones = '3' }", "network.zones: got '3': must be a whole number"),
        ("tags = 3", "tags: got 3: must be a table of names and values"),
        ("tags = { a = 1 }", "tags.a: got 1: must be text in quotes"),
        ("modes = 'dev'", "modes: got 'dev': must be a list"),
        ("modes = []", "modes: got []: must have at least 1 item"),
    ],
)
def test_a_message_has_the_words_of_who_writes_the_file(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read(file)
    assert str(caught.value) == f"{file}: {said}"
