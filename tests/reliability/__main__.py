"""Run every case and every load, and write docs/reliability.md; exit status 1 if one is wrong."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.reliability import page
from tests.reliability.case import WrongError, cases, run
from tests.reliability.process import Lambda
from tests.reliability.responses import RESPONSES, respond
from tests.reliability.scale import measured
from tests.reliability.scenarios import SCENARIOS


def outcomes(number: int) -> tuple[page.Outcomes, list[str]]:
    """Run all cases of a scenario; return counts by fault and outcome, and what is wrong."""
    scenario, machine = SCENARIOS[number], Lambda()
    counts: page.Outcomes = {}
    wrong = []
    for case in cases(scenario, machine):
        try:
            outcome = run(case, machine)
        except (WrongError, AssertionError) as error:
            outcome = page.WRONG
            wrong.append(f"{case}: {error}")
        counts.setdefault(case.fault.name, Counter())[outcome] += 1
    for response in RESPONSES:
        try:
            outcome = respond(scenario, response, machine)
        except (WrongError, AssertionError) as error:
            outcome = page.WRONG
            wrong.append(f"{scenario.function}, {scenario.title}, {response.name}: {error}")
        counts.setdefault(response.name, Counter())[outcome] += 1
    return counts, wrong


def main() -> int:
    """Write the page; return the exit status."""
    found: list[page.Outcomes] = []
    wrong: list[str] = []
    with ProcessPoolExecutor() as pool:
        for scenario, (counts, problems) in zip(
            SCENARIOS, pool.map(outcomes, range(len(SCENARIOS))), strict=True
        ):
            print(f"{scenario.function}, {scenario.title}: {page.total([counts]):,} cases")
            print(*problems, sep="\n", end="\n" if problems else "")
            found.append(counts)
            wrong += problems
    loads = []
    for load in measured(Lambda()):
        print(" | ".join(load.cells()))
        loads.append(load)
    page.write(SCENARIOS, found, loads)
    print(f"{page.total(found):,} cases, {len(wrong)} wrong: {page.PAGE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
