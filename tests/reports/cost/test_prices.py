"""The table of prices, and what is said of a price that it lacks."""

from __future__ import annotations

import re

import pytest

from tabular_ml_vpc.reports.cost.live import QUERIES
from tabular_ml_vpc.reports.cost.prices import Basis, Prices, read_table, regions

TABLE = read_table()


def test_every_price_names_a_source_that_the_table_describes() -> None:
    for name, meter in TABLE["meters"].items():
        if any(usd is not None for usd in meter["usd"].values()):
            cited = re.findall(r"S\d+", meter["source"])
            assert cited, name
            assert set(cited) <= TABLE["sources"].keys(), name
            assert meter["date"], name


def test_every_confirmation_names_a_source_that_the_table_describes() -> None:
    for name, meter in TABLE["meters"].items():
        for region, confirmations in meter["confirmed"].items():
            assert region in meter["usd"], name
            for confirmation in confirmations:
                assert confirmation.partition("@")[0] in TABLE["sources"], name


def test_every_meter_has_all_regions_and_no_price_is_zero() -> None:
    for name, meter in TABLE["meters"].items():
        assert sorted(meter["usd"]) == regions(TABLE), name
        assert 0 not in meter["usd"].values(), name


def test_a_listed_price_says_where_it_comes_from() -> None:
    price = Prices(TABLE, "us-east-1").price("vpc_interface_endpoint_az_hour")

    assert (price.usd, price.basis, price.confidence) == (0.01, Basis.LISTED, "high")
    assert price.source.startswith("S1, S5@")


def test_a_price_without_a_source_is_unknown_not_zero() -> None:
    price = Prices(TABLE, "eu-west-1").price("xray_traces_1m")

    assert (price.usd, price.basis) == (None, Basis.UNKNOWN)


def test_a_meter_that_nobody_knows_is_unknown() -> None:
    assert Prices(TABLE, "eu-west-1").price("teleportation").basis is Basis.UNKNOWN


@pytest.mark.parametrize("use", ["processing", "training"])
def test_hosting_stands_in_for_a_missing_job_price_and_is_called_an_estimate(use: str) -> None:
    prices = Prices(TABLE, "eu-central-1")

    price = prices.price(f"sagemaker_{use}_hour.ml.m5.large")

    assert price.basis is Basis.ESTIMATED
    assert price.usd == prices.price("sagemaker_hosting_hour.ml.m5.large").usd
    assert price.source.startswith("hosting's price of ml.m5.large")


def test_hosting_does_not_stand_in_in_govcloud() -> None:
    prices = Prices(TABLE, "us-gov-west-1")

    assert prices.price("sagemaker_hosting_hour.ml.m5.large").usd
    assert prices.price("sagemaker_training_hour.ml.m5.large").basis is Basis.UNKNOWN


def test_a_live_price_goes_before_the_table() -> None:
    price = Prices(TABLE, "us-east-1", {"kms_key_month": 7.0}).price("kms_key_month")

    assert (price.usd, price.basis) == (7.0, Basis.LIVE)


def test_whatever_the_pricing_api_is_asked_for_is_a_meter_of_the_table() -> None:
    names = {name.partition(".")[0] for name in TABLE["meters"]}

    assert set(QUERIES) <= names
