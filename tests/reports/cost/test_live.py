"""Today's prices: requests and responses are checked against botocore's model of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from generator.errors import UsageError
from generator.settings import Settings
from tabular_ml_vpc.reports.cost.estimate import CostChoices, needed
from tabular_ml_vpc.reports.cost.live import (
    API_REGION,
    QUERIES,
    PricingError,
    live_prices,
    make_client,
)
from tabular_ml_vpc.reports.cost.usage import usage


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Stubber]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    client = make_client(None)
    with Stubber(client) as stubber:
        yield client, stubber


def product(usage_type: str, *prices: tuple[str, str]) -> str:
    """A product of the Price List; prices are pairs of the tier's beginning and USD."""
    dimensions = {
        f"{number}": {"beginRange": begin, "unit": "Hrs", "pricePerUnit": {"USD": usd}}
        for number, (begin, usd) in enumerate(prices)
    }
    return json.dumps(
        {
            "product": {"attributes": {"usagetype": usage_type}},
            "terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}},
        }
    )


def answer(*products: str, token: str = "") -> dict[str, Any]:
    more = {"NextToken": token} if token else {}
    return {"FormatVersion": "aws_v1", "PriceList": list(products), **more}


def test_a_meter_is_asked_for_by_service_and_region(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    expected = {
        "ServiceCode": "AmazonVPC",
        "Filters": [
            {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-west-1"},
            {"Type": "TERM_MATCH", "Field": "productFamily", "Value": "VpcEndpoint"},
            {"Type": "TERM_MATCH", "Field": "endpointType", "Value": "PrivateLink"},
        ],
    }
    hours, gateway = product("EU-VpcEndpoint-Hours", ("0", "0.011")), "EU-VpcEndpoint-GWLBE-Hours"
    stubber.add_response("get_products", answer(hours, product(gateway, ("0", "0.0125"))), expected)

    found = live_prices(client, "eu-west-1", ["vpc_interface_endpoint_az_hour"])

    assert found == {"vpc_interface_endpoint_az_hour": 0.011}
    stubber.assert_no_pending_responses()


def test_one_answer_serves_all_meters_that_ask_the_same(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    stubber.add_response(
        "get_products",
        answer(
            product("USE1-VpcEndpoint-Hours", ("0", "0.01")),
            product("USE1-VpcEndpoint-Bytes", ("0", "0.01"), ("1048576", "0.006")),
        ),
    )

    found = live_prices(
        client, "us-east-1", ["vpc_interface_endpoint_az_hour", "vpc_interface_endpoint_gb"]
    )

    assert found == {"vpc_interface_endpoint_az_hour": 0.01, "vpc_interface_endpoint_gb": 0.01}


def test_further_pages_are_asked_for(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    stubber.add_response(
        "get_products", answer(product("Host:ml.m5.xlarge", ("0", "0.23")), token="2")
    )
    stubber.add_response(
        "get_products",
        answer(product("Host:ml.m5.large", ("0", "0.115"))),
        {"ServiceCode": "AmazonSageMaker", "Filters": ANY, "NextToken": "2"},
    )

    found = live_prices(client, "us-east-1", ["sagemaker_hosting_hour.ml.m5.large"])

    assert found == {"sagemaker_hosting_hour.ml.m5.large": 0.115}


def test_a_free_first_tier_is_passed_over_for_the_first_paid_one(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    tiers = (("0", "0.0000000000"), ("1000", "0.00002"), ("100000", "0.00003"))
    stubber.add_response("get_products", answer(product("DeliveryAttempts-SMTP", *tiers)))

    found = live_prices(client, "us-east-1", ["sns_email_100k"])

    assert found["sns_email_100k"] == pytest.approx(2.0)


def test_a_request_price_is_that_of_the_meters_unit(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    stubber.add_response(
        "get_products", answer(product("eu-west-1-KMS-Requests", ("0", "0.000003")))
    )

    found = live_prices(client, "eu-west-1", ["kms_requests_10k"])

    assert found["kms_requests_10k"] == pytest.approx(0.03)


@pytest.mark.parametrize(
    "products",
    [
        (),
        (product("EU-Other", ("0", "1")),),
        (product("VpcEndpoint-Hours", ("0", "1")), product("EU-VpcEndpoint-Hours", ("0", "2"))),
    ],
)
def test_no_price_or_two_different_ones_leave_the_tables(
    api: tuple[Any, Stubber], products: tuple[str, ...]
) -> None:
    client, stubber = api
    stubber.add_response("get_products", answer(*products))

    assert live_prices(client, "eu-west-1", ["vpc_interface_endpoint_az_hour"]) == {}


def test_a_meter_without_a_query_is_not_asked_for(api: tuple[Any, Stubber]) -> None:
    client, _ = api

    assert live_prices(client, "eu-west-1", ["xray_traces_1m"]) == {}


def test_a_refusal_says_how_to_go_on_without(api: tuple[Any, Stubber]) -> None:
    client, stubber = api
    stubber.add_client_error("get_products", "AccessDeniedException", "not you")

    with pytest.raises(PricingError, match=r"not you.*without --live"):
        live_prices(client, "eu-west-1", ["kms_key_month"])


def test_a_profile_that_does_not_exist_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"--profile: .*nobody"):
        make_client("nobody")


def test_the_api_is_asked_where_it_is() -> None:
    assert make_client(None).meta.region_name == API_REGION


def test_every_meter_of_the_estimate_has_a_query_but_for_those_known_not_to() -> None:
    settings = Settings.model_validate({"packages": {"source": "pypi"}})
    names = {
        name.partition(".")[0] for name in needed(CostChoices(settings, {}, usage()), "us-east-1")
    }

    assert names - QUERIES.keys() == {"s3_events_1m", "xray_traces_1m"}
