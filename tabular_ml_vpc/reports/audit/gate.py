"""The gate: compares the findings of every checker with the exemptions, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabular_ml_vpc.reports.audit.checkers import CHECKERS, Result
from tabular_ml_vpc.reports.audit.exemptions import Exemption, Judgement, judge


@dataclass(frozen=True)
class CheckerSummary:
    """One checker in figures: its rules, its findings, and how many of them are exempt."""

    checker: str
    title: str
    rules: int
    findings: int
    exempted: int

    @property
    def open(self) -> int:
        """Return how many findings are not exempt."""
        return self.findings - self.exempted


@dataclass(frozen=True)
class Audit:
    """The figures, the open and accepted findings, and the exemptions."""

    lines: tuple[CheckerSummary, ...]
    judgement: Judgement
    exemptions: tuple[Exemption, ...]
    defaults: bool = True
    """Whether the settings are the defaults, for which the exemptions are written."""

    @property
    def passed(self) -> bool:
        """Tell whether every finding is exempt and, by default, every exemption is needed.

        Other settings can make an exemption needless, which is no fault of theirs.
        """
        return not (self.judgement.open or (self.defaults and self.judgement.stale))

    def as_json(self) -> dict[str, Any]:
        """Return the audit as plain values."""
        return {
            "passed": self.passed,
            "checkers": [{**asdict(line), "open": line.open} for line in self.lines],
            "exemptions": len(self.exemptions),
            "open": [asdict(finding) for finding in self.judgement.open],
            "exempted": [asdict(finding) for finding in self.judgement.accepted],
            "stale": [list(key) for key in self.judgement.stale],
        }


def audit(
    results: Sequence[Result], exemptions: Sequence[Exemption], *, defaults: bool = True
) -> Audit:
    """Compare findings and exemptions; ``defaults`` says whether the settings are the defaults."""
    judgement = judge((f for result in results for f in result.findings), exemptions)
    accepted = Counter(finding.checker for finding in judgement.accepted)
    lines = (
        CheckerSummary(
            checker=result.checker,
            title=CHECKERS[result.checker],
            rules=result.rules,
            findings=len(result.findings),
            exempted=accepted[result.checker],
        )
        for result in results
    )
    return Audit(tuple(lines), judgement, tuple(exemptions), defaults)
