"""``build.py cost`` as its user sees it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from generator.commands import main

CHEAPEST = (
    *("--endpoints", "minimal", "--endpoint-zones", "1"),
    *("--set", "FunctionsInTheVpc=no"),
)


def test_it_shows_each_part_with_low_typical_and_high(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"Interface endpoints +116.80 +116.80 +116.80 +8 endpoints x 2 AZ", shown)
    assert re.search(r"Endpoint on ml.m5.large +83.95", shown)
    assert re.search(r"X-Ray traces +unknown", shown)
    assert re.search(r"price unknown, not in the totals: .*X-Ray traces", shown)
    assert "\x1b" not in shown


def test_an_estimated_price_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--region", "eu-west-1"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"Train on ml.m5.large .*\(estimated price\)", shown)
    assert "estimated: Train on ml.m5.large: hosting's price" in shown


def test_json_has_every_line_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--json", *CHEAPEST]) == 0

    shown = json.loads(capsys.readouterr().out)
    first = shown["lines"][0]
    assert first["what"] == "Interface endpoints"
    assert first["usd"]["typical"] == pytest.approx(14.6)
    assert first["price"]["source"].startswith("S1")
    (present,) = [option for option in shown["options"] if option["present"]]
    assert (present["profile"], present["zones"]) == ("minimal", 1)
    assert present["environment"]["typical"] < shown["cdk_example_endpoint_hours"] / 5


def test_settings_of_a_file_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[network]\ninterface_endpoints = "minimal"\nendpoint_zones = 1\n')

    assert main(["cost", "--config", str(path)]) == 0

    assert "3 endpoints x 1 AZ" in capsys.readouterr().out


def test_assumptions_are_shown_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--assumptions", "--assume", "runs=7"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"runs +7 +7 +7 .*given", shown)
    assert "yearly rotation" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--region", "mars-1"], "--region: got 'mars-1': the table has prices of ap-northeast-1"),
        (["--region", "us-gov-east-1"], "'us-gov-east-1': the templates can be deployed in af-"),
        (["--set", "Rows=1"], "Rows: got '1': must be a whole number from 100"),
        (["--set", "Rows"], "got 'Rows': NAME=VALUE is needed"),
        (["--set", "Colour=red"], "Colour: is no parameter; known are "),
        (["--set", "FunctionsInTheVpc=maybe"], "'maybe': yes or no is needed"),
        (["--assume", "runs=many"], "runs: got 'many': a number is needed"),
        (["--endpoints", "tiny"], "'tiny' is not one of"),
        (["--live", "--profile", "nobody"], "--profile: "),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *arguments]) == 2

    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--help"]) == 0

    assert "python build.py cost --region eu-west-1" in capsys.readouterr().out
