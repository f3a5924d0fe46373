"""The page with the outcomes of all cases and the table of loads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from generator.files import REPOSITORY
from tests.bench.page import table
from tests.reliability.case import ALIKE, FAILED, SUCCEEDED
from tests.reliability.faults import FAULTS, MANY
from tests.reliability.responses import RESPONSES
from tests.reliability.scale import Measured
from tests.reliability.scenarios import Scenario

PAGE: Final = REPOSITORY / "docs/reliability.md"
WRONG: Final = "wrong"

Outcomes = dict[str, Counter[str]]
"""How many cases of each fault had which outcome."""

_INTRODUCTION: Final = f"""\
# Reliability

`make reliability` writes this page. It puts every kind of fault at the AWS calls of every function,
for every event of CloudFormation, one fault a case. The clients are botocore's own, with the
functions' configuration: they sign, retry and parse. Time is virtual. The services are fakes that
answer with the bytes of HTTP replies; Lambda's retries and CloudFormation's rollback are imitated.
`make test` runs a part of the cases.

A case is **wrong** unless all of this holds:

- Each delivery of an event gets exactly one response, before Lambda's time limit and while
  CloudFormation still waits. (A killed process sends none: Lambda delivers the event again.)
- Resources of others, which are next to ours, are unchanged.
- If the fault passes, the event succeeds. If it lasts, the event may fail, with a reason that names
  the call and the resource.
- Nothing is written once the stack has left the operation that sent the event. A late delivery
  changes nothing.
- A Delete afterwards, without faults, succeeds and leaves nothing of ours.

Calls with the same parameters, such as polling, meet the faults the first {ALIKE} times. "Throttled
{MANY} times" is more than botocore itself retries.

"""
_LIMITS: Final = """\
## Known limits

- An unfinished upload of a killed process stays until the bucket's lifecycle rule aborts it.
- CloudFormation also sends Updates while it rolls an update back. If the original Update is
  delivered again at that time, the function cannot tell the two apart.
- A request that is on its way when time runs out cannot be called back.
"""
_LOADS: Final = """\
## Size

Deletions where AWS allows 1, 3 or 10 calls a second for each operation. "Calls" includes those that
AWS put off. "Seconds" are virtual, with 0.1 s for each call. "Rounds" is how many times the stack
must be deleted, each for up to 15 minutes.

"""


def total(found: Iterable[Outcomes]) -> int:
    """Return the number of cases."""
    return sum(sum(counts.values()) for one in found for counts in one.values())


def write(
    scenarios: Sequence[Scenario], found: Sequence[Outcomes], loads: Sequence[Measured]
) -> None:
    """Write the page."""
    wrong = sum(counts[WRONG] for one in found for counts in one.values())
    summary = f"**{total(found):,} cases, {wrong} wrong.**\n\n"
    headings = ["deletion", "calls/s", "calls", "put off", "seconds", "rounds", "outcome"]
    sizes = table(headings, [load.cells() for load in loads])
    sections = "".join(_sections(scenarios, found))
    text = f"{_INTRODUCTION}{summary}{sections}{_LOADS}{sizes}\n\n{_LIMITS}"
    PAGE.write_text(text, encoding="utf-8")


def _sections(scenarios: Sequence[Scenario], found: Sequence[Outcomes]) -> Iterator[str]:
    """Yield a section for each function: rows are faults, columns are events."""
    both = zip(scenarios, found, strict=True)
    for function, group in groupby(both, key=lambda one: one[0].function):
        columns = list(group)
        headings = ["fault", *(scenario.title for scenario, _ in columns)]
        names = [fault.name for fault in FAULTS] + [response.name for response in RESPONSES]
        rows = [[name, *(_cell(counts.get(name)) for _, counts in columns)] for name in names]
        yield (
            f"## {function}\n\nCases that {SUCCEEDED} + cases that {FAILED}.\n\n"
            f"{table(headings, rows)}\n\n"
        )


def _cell(counts: Counter[str] | None) -> str:
    """Return the counts of one fault in one scenario."""
    if counts is None:
        return ""
    words = [str(counts[SUCCEEDED])]
    words += [str(counts[FAILED])] if counts[FAILED] else []
    words += [f"**{counts[WRONG]} wrong**"] if counts[WRONG] else []
    return " + ".join(words)
