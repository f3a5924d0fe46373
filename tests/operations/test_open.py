"""Opening Studio: as which user profile, and what the address is good for."""

from __future__ import annotations

import click
import pytest

from tabular_ml_vpc.operations import stacks
from tabular_ml_vpc.operations.target import Target
from tests.emulated import Run


def test_the_address_is_of_the_stacks_studio(deployed: Target, run: Run) -> None:
    done = run("open", "--stack-name", "tabular-life", "--json")
    assert done.status == 0, done.err
    assert (done.json["profile"], done.json["minutes"]) == ("data-scientist", 5)
    assert done.json["url"].startswith(stacks.need(deployed).outputs["DomainUrl"])
    printed = run("open", "data-scientist", "--stack-name", "tabular-life", "--print")
    assert printed.out.strip() == done.json["url"]


@pytest.mark.usefixtures("deployed")
def test_a_browser_is_opened_or_else_the_address_printed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def launch(url: str) -> int:
        opened.append(url)
        return len(opened) - 1

    monkeypatch.setattr(click, "launch", launch)
    assert run("open", "--stack-name", "tabular-life").out == "opened Studio as data-scientist\n"
    assert run("open", "--stack-name", "tabular-life").out.strip() == opened[1]


@pytest.mark.usefixtures("deployed")
def test_an_unknown_profile_is_refused_with_those_that_there_are(run: Run) -> None:
    done = run("open", "ada", "--stack-name", "tabular-life")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "'ada'" in done.err
    assert "data-scientist" in done.err
