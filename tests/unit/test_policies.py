"""Building blocks of policies, and the settings that organisations have for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from awacs import s3
from awacs.aws import Condition, StringEquals

from generator.policies.statements import ANYWHERE_REASONS, allow, allow_anywhere, bare_role
from generator.policies.statements import trust_lambda as trust
from generator.settings import read
from generator.settings_section import SettingsError

BOUNDARY = "arn:aws:iam::111122223333:policy/Boundary"


def test_a_repeated_operator_is_rejected() -> None:
    """Otherwise awacs renders only the last one and silently drops a condition."""
    twice = Condition([StringEquals("aws:a", "1"), StringEquals("aws:b", "2")])
    with pytest.raises(ValueError, match=r"Both: .* put all keys under one operator"):
        allow("Both", [s3.GetObject], ["*"], twice)


def test_one_operator_with_several_keys_keeps_them_all() -> None:
    both = Condition(StringEquals({"aws:a": "1", "aws:b": "2"}))
    rendered = allow("Both", [s3.GetObject], ["*"], both).JSONrepr()
    assert rendered["Condition"].JSONrepr() == {"StringEquals": {"aws:a": "1", "aws:b": "2"}}


def test_an_action_on_everything_needs_a_reason() -> None:
    assert "s3:GetObject" not in ANYWHERE_REASONS
    with pytest.raises(ValueError, match="Everything: s3:GetObject on \\* needs a reason"):
        allow_anywhere("Everything", [s3.GetObject])


def test_a_role_is_bounded_where_the_organisation_says_so() -> None:
    bounded = bare_role("R", "a role", trust(), BOUNDARY).to_dict()["Properties"]
    free = bare_role("R", "a role", trust(), "").to_dict()["Properties"]
    assert bounded["PermissionsBoundary"] == BOUNDARY
    assert "PermissionsBoundary" not in free


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("permissions_boundary", '"Boundary"', "must be empty or the ARN of a managed policy"),
        ("break_glass", '"arn:aws:s3:::x"', "the ARN of a role, a user or an account's root"),
        ("log_readers", '["everybody"]', "the ARN of a role, a user or an account's root"),
    ],
)
def test_a_wrong_principal_is_named_in_one_line(
    setting: str, value: str, allowed: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"[security]\n{setting} = {value}\n")
    with pytest.raises(SettingsError) as raised:
        read(path)
    text = str(raised.value)
    assert f"security.{setting}" in text
    assert allowed in text
    assert "\n" not in text


def test_an_unknown_endpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[network]\nendpoints_without_policy = ["gopher"]\n')
    with pytest.raises(
        SettingsError, match=r"endpoints_without_policy: .*gopher is not one of s3,"
    ):
        read(path)
