"""The comment on a pull request: resources, permissions and cost apart, and nothing to inject."""

from __future__ import annotations

import re
from typing import Any

import pytest

from generator.errors import CommandError
from tabular_ml_vpc.reports.delivery.comment import LONGEST, comment

LEVELS = {"low": 1.0, "typical": 2.5, "high": 1234.5}
COST = {
    "region": "eu-west-1",
    "currency": "USD",
    "month": LEVELS,
    "totals": {"environment": LEVELS, "run": LEVELS},
}
FENCED = re.compile(r"^(`{3,})text\n.*?^\1\n", re.MULTILINE | re.DOTALL)


def change(name: str, action: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"type": "AWS::S3::Bucket", "properties": [], "note": "", "kept": False}
    return {"logical_id": name, "action": action, "children": list(children), **whole, **more}


def difference(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    lists = dict.fromkeys(("loosenings", "tightenings", "dropped_settings", "validation"), ())
    head = {"stack": "tabular", "exists": True, "note": ""}
    return {**head, "changes": list(changes), **lists, **more}


def loosening(what: str) -> dict[str, Any]:
    return {
        "kind": "trust",
        "place": "SecurityStack/Role",
        "what": what,
        "old": None,
        "new": {"Action": ["sts:AssumeRole"]},
        "why": "more principals",
    }


def test_resources_permissions_and_cost_are_apart() -> None:
    text = comment(
        difference(
            change(
                "StorageStack",
                "modify",
                change("LogBucket", "modify", properties=["Tags"]),
                change("DataBucket", "replace", kept=True, note="follows"),
            ),
            change("Key", "may replace"),
            loosenings=[loosening("Allow for everyone")],
        ),
        COST,
    )
    parts = [text.index(one) for one in ("**Resources:**", "**Permissions", "**Cost**")]
    assert parts == sorted(parts)
    assert "1 to modify, 1 to replace, 1 that may be replaced" in text
    replaced = "!  StorageStack/DataBucket  S3::Bucket  replace  (follows)  the old one is kept"
    assert text.index(replaced) < text.index("~  StorageStack/LogBucket")
    assert "1 change allows more or protects less" in text
    assert '    after   {"Action": ["sts:AssumeRole"]}' in text
    assert "2.50 `USD` a month" in text
    assert "1,234.50" in text


def test_no_change_is_said_in_a_line() -> None:
    text = comment(difference(), COST)
    assert text.startswith("### `tabular` would not change\n")
    assert "no change allows more or protects less" in text


@pytest.mark.parametrize(
    "attack",
    [
        "```\n@everyone [click](https://example.com)",
        "x\r\n````\n<img src=https://example.com>",
        "`````" * 3 + " @admin",
        "</details><script>",
        "\u202e@admin",
    ],
)
def test_names_of_a_pull_request_stay_in_blocks_of_code(attack: str) -> None:
    text = comment(
        difference(
            change(attack, "add", type=attack, properties=[attack], note=attack),
            stack=attack,
            loosenings=[loosening(attack)],
            dropped_settings=[{"name": attack, "value": attack, "default": None}],
            validation=[{"reason": attack}],
        ),
        COST,
    )
    outside = FENCED.sub("", text)
    heading, _, rest = outside.partition("\n")
    assert re.fullmatch(r"### `[^`\n]*` would change", heading)
    for mark in ("@", "](", "<img", "<script", "example.com"):
        assert mark not in rest
    assert "\u202e" not in text


def test_a_long_one_fits_and_says_what_is_left_out() -> None:
    many = [change(f"Bucket{number}", "add") for number in range(5_000)]
    loose = [loosening("x" * 1_000) for _ in range(100)]
    text = comment(difference(*many, loosenings=loose), COST)
    assert len(text) < LONGEST
    assert "more lines: see" in text


@pytest.mark.parametrize("name", ["diff", "cost"])
def test_a_failed_command_is_no_comment(name: str) -> None:
    failed = {"error": "no permission for CreateChangeSet", "exit_status": 1}
    given = {"diff": difference(), "cost": COST, name: failed}
    with pytest.raises(CommandError, match=f"`{name}` failed: no permission"):
        comment(given["diff"], given["cost"])


def test_another_document_is_refused_in_one_line() -> None:
    with pytest.raises(CommandError, match="this is not what `diff --json`"):
        comment({"changes": 1}, COST)
