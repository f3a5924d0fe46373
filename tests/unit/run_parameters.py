"""The README's table of a run's parameters; ``python -m tests.unit.run_parameters`` rewrites it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from generator.files import REPOSITORY
from pipeline.run_parameters import RUN_PARAMETERS, RunParameter

README: Final = REPOSITORY / "README.md"
TABLE: Final = re.compile(
    r"(?<=### Parameters of a run\n\n)(?P<before>[^|]*)(?P<table>(\|.*\n)+)", re.MULTILINE
)


def table() -> str:
    """Return the table."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "| parameter | default | |"
    yield "|---|---|---|"
    for one in RUN_PARAMETERS.values():
        yield f"| `{one.name}` | {_usual(one)} | {one.about} |"


def _usual(one: RunParameter) -> str:
    return one.usual if " " in one.usual else f"`{one.usual}`"


def in_the_readme() -> str:
    """Return the table as the README has it."""
    found = TABLE.search(README.read_text(encoding="utf-8"))
    assert found
    return found["table"]


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(text.replace(in_the_readme(), table()), encoding="utf-8")
