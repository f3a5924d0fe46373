"""Links to the console: where terminals take them, and only where there is a console."""

from __future__ import annotations

import io
from urllib.parse import parse_qs, urlsplit

import pytest
from boto3.session import Session
from rich.console import Console

from tabular_ml_vpc.cli.links import creation_url, endpoint_url, linked, log_url, stack_url
from tabular_ml_vpc.operations.target import Target

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/tabular/1a2b"


def target(region: str = "eu-west-1") -> Target:
    return Target(Session("id", "secret", region_name=region), "tabular")


def shown(url: str, terminal: bool) -> str:
    out = Console(
        file=io.StringIO(), force_terminal=terminal, color_system="standard" if terminal else None
    )
    out.print(linked("tabular", url))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_its_console(region: str, host: str) -> None:
    assert stack_url(target(region), STACK) == (
        f"https://{host}/cloudformation/home?region={region}#/stacks/stackinfo?stackId="
        "arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack%2Ftabular%2F1a2b"
    )


def test_the_form_that_creates_a_stack_is_filled_in() -> None:
    template = "https://s3.eu-west-1.amazonaws.com/b/p q/root.yaml"
    link = creation_url(target(), template, {"AlertEmail": "a&b+c@example.com"})

    page, _, query = urlsplit(link).fragment.partition("?")
    assert page == "/stacks/create/review"
    assert parse_qs(query) == {
        "templateURL": [template],
        "stackName": ["tabular"],
        "param_AlertEmail": ["a&b+c@example.com"],
    }


def test_a_log_group_is_encoded_as_the_console_does() -> None:
    assert log_url(target(), "/aws/lambda/f").endswith("log-group/$252Faws$252Flambda$252Ff")


def test_an_aws_on_this_machine_has_no_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:14566")
    assert endpoint_url(target(), "tabular-1") == ""


def test_a_link_is_an_escape_sequence_on_a_terminal_and_plain_text_elsewhere() -> None:
    url = "https://example.com/"
    assert "\x1b]8;id=" in shown(url, terminal=True)
    assert url in shown(url, terminal=True)
    assert shown(url, terminal=False) == "tabular\n"
    assert shown("", terminal=True) == "tabular\n"
