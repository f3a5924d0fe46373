"""What is said when AWS cannot be reached, or the caller cannot sign in: one line, what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions

from generator.errors import CommandError
from tabular_ml_vpc.operations import advice
from tabular_ml_vpc.operations.target import in_words

URL = "https://cloudformation.eu-west-1.amazonaws.com/"
LOCAL = "http://127.0.0.1:14566/"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.NoCredentialsError(), "run `aws configure` or `aws sso login`"),
        (exceptions.UnauthorizedSSOTokenError(), "has expired: run `aws sso login`"),
        (
            exceptions.TokenRetrievalError(provider="sso", error_msg="Token has expired"),
            "has expired: run `aws sso login`",
        ),
        (
            exceptions.CredentialRetrievalError(provider="process", error_msg="no"),
            "log in again, or give --profile",
        ),
        (exceptions.EndpointConnectionError(endpoint_url=URL), "check the network, a proxy"),
        (exceptions.ConnectTimeoutError(endpoint_url=URL), "check the network, a proxy"),
        (exceptions.ProxyConnectionError(proxy_url="http://p"), "check HTTPS_PROXY"),
        (exceptions.SSLError(endpoint_url=URL, error="self-signed"), "AWS_CA_BUNDLE"),
        (exceptions.ReadTimeoutError(endpoint_url=URL), "did not answer: try again"),
        (exceptions.EndpointConnectionError(endpoint_url=LOCAL), "`python build.py local up` has"),
        (exceptions.ParamValidationError(report="Unknown parameter"), "the request to AWS failed"),
    ],
)
def test_an_error_of_the_connection_says_what_to_do(
    error: exceptions.BotoCoreError, said: str
) -> None:
    text = advice.about(error)
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "have expired: run `aws sso login`"),
        ("InvalidClientTokenId", "check them, or give --profile"),
        ("AccessDenied", "no permission for DescribeStacks"),
    ],
)
def test_a_refusal_says_what_to_do(code: str, said: str) -> None:
    answer = {"Error": {"Code": code, "Message": "The token\n is bad"}}
    assert said in in_words(exceptions.ClientError(answer, "DescribeStacks"))


def test_an_aws_on_this_machine_that_has_ended_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(advice.ENDPOINT, "http://127.0.0.1:9")
    with pytest.raises(CommandError, match="up` has ended"):
        advice.require_listening()


@pytest.mark.parametrize("url", ["", "nonsense", "http://[", "https://vpce-1.amazonaws.com"])
def test_another_endpoint_is_left_to_botocore(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(advice.ENDPOINT, url)
    advice.require_listening()
