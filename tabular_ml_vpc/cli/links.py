"""Links to AWS's console and to Studio, for terminals that show hyperlinks (OSC 8).

Elsewhere, only the text appears. There are none to an AWS on this machine, whose console does not
exist. Source: the addresses that the console itself shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from rich.style import Style
from rich.text import Text

from tabular_ml_vpc.operations.target import Target

_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def linked(text: str, url: str = "", style: str = "") -> Text:
    """Return a text that opens a URL where the terminal can; without one, the text alone."""
    return Text(text, style=Style.parse(style) + Style(link=url or None))


def stack_url(target: Target, stack_id: str) -> str:
    """Return the page of a stack."""
    return _console(target, "cloudformation", f"#/stacks/stackinfo?stackId={quote(stack_id, '')}")


def creation_url(target: Target, template_url: str, parameters: Mapping[str, str]) -> str:
    """Return the form that creates a stack, filled in ("Create quick-create links")."""
    fields = {"templateURL": template_url, "stackName": target.stack}
    fields |= {f"param_{name}": value for name, value in parameters.items()}
    query = urlencode(fields, quote_via=quote, safe="")
    return _console(target, "cloudformation", f"#/stacks/create/review?{query}")


def endpoint_url(target: Target, name: str) -> str:
    """Return the page of an endpoint."""
    return _console(target, "sagemaker", f"#/endpoints/{quote(name, '')}")


def domain_url(target: Target, domain: str) -> str:
    """Return the page of a Studio domain."""
    return _console(target, "sagemaker", f"#/studio/{quote(domain, '')}")


def log_url(target: Target, group: str) -> str:
    """Return the page of a log group; the console encodes its name twice, with ``$`` for ``%``."""
    name = quote(quote(group, ""), "").replace("%", "$")
    return _console(target, "cloudwatch", f"#logsV2:log-groups/log-group/{name}")


def _console(target: Target, service: str, page: str) -> str:
    host = _CONSOLES.get(target.partition)
    if host is None or target.is_local:
        return ""
    return f"https://{target.region}.{host}/{service}/home?region={target.region}{page}"
