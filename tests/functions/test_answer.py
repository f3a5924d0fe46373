"""An answer is put to the presigned URL as it was signed, with few and patient attempts."""

from __future__ import annotations

import json
import ssl

import pytest

from functions.shared.answer import AnswerError, connect, deliver
from tests.functions.fakes.clock import Clock
from tests.functions.world import ResponseBucket

URL = "https://bucket.s3.eu-west-1.amazonaws.com/arn%3Aaws%3Ax?X-Amz-Signature=abc&X-Amz-Date=1"


def sent(*outcomes: int | Exception) -> tuple[ResponseBucket, Clock]:
    bucket, clock = ResponseBucket(outcomes=[*outcomes]), Clock()
    deliver(URL, {"Status": "SUCCESS", "Reason": "naïve"}, bucket.connect, clock.sleep)
    return bucket, clock


def test_the_receiver_is_verified() -> None:
    context = connect("bucket.s3.eu-west-1.amazonaws.com")._context  # type: ignore[attr-defined]
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_the_url_is_used_as_it_was_signed() -> None:
    bucket, _ = sent()
    put = bucket.puts[0]
    assert put.host == "bucket.s3.eu-west-1.amazonaws.com"
    assert put.target == "/arn%3Aaws%3Ax?X-Amz-Signature=abc&X-Amz-Date=1"
    assert put.headers["content-type"] == ""


def test_the_length_is_counted_in_bytes() -> None:
    bucket, _ = sent()
    assert bucket.puts[0].headers["content-length"] == str(bucket.puts[0].size)


@pytest.mark.parametrize("outcome", [500, 503, OSError("reset"), TimeoutError()])
def test_a_passing_failure_is_tried_again(outcome: int | Exception) -> None:
    bucket, clock = sent(outcome, outcome)
    assert len(bucket.puts) == 1
    assert clock.slept == sorted(clock.slept)


@pytest.mark.parametrize("status", [301, 400, 403, 404])
def test_a_refusal_is_final(status: int) -> None:
    bucket = ResponseBucket(outcomes=[status])
    with pytest.raises(AnswerError, match=str(status)):
        deliver(URL, {}, bucket.connect, Clock().sleep)
    assert bucket.attempts == 1


def test_attempts_end() -> None:
    bucket = ResponseBucket(outcomes=[OSError()] * 99)
    with pytest.raises(AnswerError, match="5 attempts"):
        deliver(URL, {}, bucket.connect, Clock().sleep)


@pytest.mark.parametrize("url", ["https://[broken/x?sig=abc", "https://host/é?sig=abc"])
def test_a_malformed_url_is_not_quoted(url: str, caplog: pytest.LogCaptureFixture) -> None:
    def connect(host: str) -> object:
        host.encode("ascii")
        raise ValueError(url)

    with pytest.raises(AnswerError) as caught:
        deliver(url, {}, connect, Clock().sleep)  # type: ignore[arg-type]
    assert caught.value.__context__ is None
    assert "sig=abc" not in caplog.text


def test_the_answer_is_json() -> None:
    bucket, _ = sent()
    assert json.dumps(bucket.puts[0].body) == json.dumps({"Status": "SUCCESS", "Reason": "naïve"})
