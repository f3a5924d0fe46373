"""``build.py cost`` as its user sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tabular_ml_vpc.cli import main
from tabular_ml_vpc.reports.cost import live
from tests.existing_vpc import EXISTING

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
    assert re.search(r"unknown price, not in the totals: .*X-Ray traces", shown)
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


def test_one_more_pipeline_has_a_price_in_an_existing_vpc(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    lines = (f"{name} = {json.dumps(value)}" for name, value in EXISTING.items())
    path.write_text("\n".join(["[network]", *lines, "[studio]", 'domain = "none"']))

    assert main(["cost", "--config", str(path)]) == 0

    assert "One more pipeline: 0.10 a month at rest" in capsys.readouterr().out


def test_assumptions_are_shown_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--assumptions", "--assume", "runs=7"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"runs +7 +7 +7 .*given", shown)
    assert "yearly rotation" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--region", "mars-1"], "--region: no prices for 'mars-1', only for ap-northeast-1"),
        (["--region", "us-gov-east-1"], "'us-gov-east-1': must be one of af-"),
        (["--set", "Rows=1"], "--set Rows: got '1': must be a whole number from 100"),
        (["--set", "Rows"], "got 'Rows': must have the form NAME=VALUE"),
        (["--set", "Colour=red"], "Colour: unknown parameter; known are "),
        (["--set", "FunctionsInTheVpc=maybe"], "'maybe': must be yes or no"),
        (["--assume", "runs=many"], "--assume runs: 'many' is not a number"),
        (["--studio-instance", "large"], "--studio-instance: 'large' is not an instance type "),
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


class PriceList:
    """A Pricing API that has a few products; requests and answers must fit botocore's model."""

    def __init__(self, products: Mapping[str, Mapping[str, str]]) -> None:
        """Take the price in USD of each usage type, by service."""
        self.products = products
        self.asked: list[str] = []
        model = Loader().load_service_model("pricing", "service-2")
        self._operation = ServiceModel(model, "pricing").operation_model("GetProducts")

    def get_products(self, **request: Any) -> dict[str, Any]:
        self._check(request, self._operation.input_shape)
        self.asked.append(request["ServiceCode"])
        found = self.products.get(request["ServiceCode"], {})
        answer = {"FormatVersion": "aws_v1", "PriceList": [product(*one) for one in found.items()]}
        self._check(answer, self._operation.output_shape)
        return answer

    def _check(self, value: dict[str, Any], shape: Any) -> None:
        report = ParamValidator().validate(value, shape)
        assert not report.has_errors(), report.generate_report()


def product(usage_type: str, usd: str) -> str:
    dimension = {"beginRange": "0", "unit": "Hrs", "pricePerUnit": {"USD": usd}}
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage_type}},
            "terms": {"OnDemand": {"t": {"priceDimensions": {"d": dimension}}}},
        }
    )


def test_live_prices_go_before_the_tables_and_are_called_live(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    price_list = PriceList(
        {
            "AmazonVPC": {"EU-VpcEndpoint-Hours": "0.02", "EU-VpcEndpoint-Bytes": "0.01"},
            "AmazonSageMaker": {"EU-Train:ml.m5.large": "0.5"},
        }
    )
    monkeypatch.setattr(live, "make_client", lambda _: price_list)

    assert main(["cost", "--live", "--region", "eu-west-1", "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    lines = {line["what"]: line for line in shown["lines"]}
    assert lines["Interface endpoints"]["price"]["basis"] == "live"
    assert lines["Interface endpoints"]["usd"]["typical"] == pytest.approx(16 * 730 * 0.02)
    assert lines["Train on ml.m5.large"]["price"]["usd"] == 0.5
    assert lines["KMS keys"]["price"]["basis"] == "listed"
    assert "vpc_interface_endpoint_az_hour" in shown["live_prices"]
    assert len(price_list.asked) > 10


def test_live_prices_make_a_region_possible_that_the_table_lacks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    price_list = PriceList({"AmazonVPC": {"AFS1-VpcEndpoint-Hours": "0.0132"}})
    monkeypatch.setattr(live, "make_client", lambda _: price_list)

    assert main(["cost", "--live", "--region", "af-south-1"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"Interface endpoints +154.18", shown)
    assert re.search(r"KMS keys +unknown", shown)


def test_without_credentials_it_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    assert main(["cost", "--live"]) == 1

    errors = capsys.readouterr().err
    assert "credentials" in errors
    assert "without --live, the shipped prices are used" in errors
    assert errors.count("\n") == 1


def test_a_threshold_between_whole_numbers_is_taken() -> None:
    assert main(["cost", "--set", "QualityThreshold=0.65"]) == 0
