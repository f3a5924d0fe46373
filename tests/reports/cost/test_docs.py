"""The command's page in docs/ shows what the command prints.

``python -m tests.reports.cost.test_docs`` writes the present output into the page.
"""

from __future__ import annotations

import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from typing import Final

import pytest

from generator.files import REPOSITORY
from tabular_ml_vpc.cli import main

PAGE: Final = REPOSITORY / "docs/commands/cost.md"
BLOCK: Final = re.compile(r"^```console\n\$ python build\.py (.*)\n((?s:.*?))^```$", re.MULTILINE)


def printed(arguments: str) -> str:
    """What the command prints, without blanks at the ends of lines."""
    output = StringIO()
    with redirect_stdout(output):
        assert main(shlex.split(arguments)) == 0
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def blocks() -> list[tuple[str, str]]:
    return BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("arguments", "shown"), blocks(), ids=[one for one, _ in blocks()])
def test_the_page_shows_what_the_command_prints(arguments: str, shown: str) -> None:
    assert shown == printed(arguments), "run `python -m tests.reports.cost.test_docs` and commit"


def test_the_page_shows_the_three_uses() -> None:
    assert len(blocks()) == 3


def refresh() -> None:
    """Write the present output into the page."""
    text = BLOCK.sub(
        lambda block: f"```console\n$ python build.py {block[1]}\n{printed(block[1])}```",
        PAGE.read_text(encoding="utf-8"),
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    refresh()
