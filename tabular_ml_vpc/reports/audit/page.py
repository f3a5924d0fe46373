"""The generated parts of ``docs/security.md``: tables between markers in a hand-written page.

The sources are ``docs/figures/security.json`` (the last audit), ``docs/figures/iam.json`` (the last
simulation), the controls, the exemptions and the settings. A test compares the committed page.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from generator.errors import CommandError
from generator.files import REPOSITORY, SOURCES
from generator.settings import (
    Functions,
    Limits,
    Mode,
    Security,
    Settings,
    Storage,
)
from generator.settings_network import Network
from generator.settings_packages import Packages
from generator.settings_pipelines import PipelineSettings
from generator.settings_studio import Studio
from generator.settings_watching import WatchingSettings
from pipeline.types import JsonView
from tabular_ml_vpc.reports.audit import assessments
from tabular_ml_vpc.reports.audit.assessments import AssessmentAnswer
from tabular_ml_vpc.reports.audit.checkers import CHECKERS, plain_stacks
from tabular_ml_vpc.reports.audit.controls import CONTROLS, Control
from tabular_ml_vpc.reports.audit.exemptions import Exemption, read
from tabular_ml_vpc.reports.audit.gate import Audit
from tabular_ml_vpc.reports.audit.whole import whole

PAGE: Final = REPOSITORY / "docs/security.md"
FIGURES: Final = SOURCES / "docs/figures/security.json"
RIGHTS: Final = SOURCES / "docs/figures/iam.json"

_PART: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)
_CDK_EXAMPLE: Final = {
    "cfn-lint": "50 findings",
    "checkov": "36 findings",
    "control-tower": "11 findings",
    "nag-solutions": "24 findings",
    "nag-nist": "41 findings",
    "nag-pci": "27 findings",
    "nag-hipaa": "41 findings",
}
"""Measured once, on the example's synthesized template, with these versions of the checkers."""
_CDK_ATTACKS: Final = "1 of 30"


class PageError(CommandError):
    """The page, or one of its source files, cannot be used; the message says which one and why."""


def figures(audit: Audit, confirmed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the figures of an audit, with the rules that confirm each control by its title."""
    return {
        "about": "Written by `python build.py audit --write`; tests compare it.",
        "checkers": {
            line.checker: {
                "rules": line.rules,
                "findings": line.findings,
                "exempted": line.exempted,
                "open": line.open,
            }
            for line in audit.lines
        },
        "exemptions": len(audit.exemptions),
        "exempted_findings": len(audit.judgement.accepted),
        "confirmed_by": {title: list(rules) for title, rules in confirmed.items()},
    }


def page(text: str) -> str:
    """Return the page with its generated parts updated.

    Raises:
        PageError: a figures file is missing, or the page has an unknown part.

    """
    parts = _parts()

    def fill(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in parts:
            raise PageError(f"{PAGE.name}: unknown part {name!r}; known parts: {', '.join(parts)}")
        return f"{begin}\n{parts[name]()}\n\n{end}"

    return _PART.sub(fill, text)


def _parts() -> dict[str, Callable[[], str]]:
    found, rights = load(FIGURES), load(RIGHTS)
    return {
        "figures": lambda: _figures(found, rights),
        "controls": lambda: _controls(CONTROLS, found["confirmed_by"]),
        "exemptions": lambda: _exemptions(read()),
        "assessments": _assessments,
        "choices": _choices,
        "rights": lambda: _rights(rights),
        "proof": lambda: _proof(rights),
    }


def load(path: Any) -> Any:
    """Return the content of a figures file.

    Raises:
        PageError: it is missing or not valid JSON.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PageError(f"{path}: cannot be read: {error}") from error


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Iterable[object]) -> str:
        return f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in cells)} |"

    return "\n".join([line(headings), line("---" for _ in headings), *map(line, rows)])


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _figures(found: JsonView, rights: JsonView) -> str:
    rows: list[Sequence[object]] = [
        (
            CHECKERS[name],
            line["rules"],
            _CDK_EXAMPLE.get(name, "not measured"),
            line["open"],
            line["exempted"],
        )
        for name, line in found["checkers"].items()
    ]
    calls, attacks = rights["required_calls"], rights["attacks"]
    table = _table(("checker", "rules", "CDK example", "open here", "exempted here"), rows)
    simulated = _table(
        ("simulation", "CDK example", "here"),
        [
            (
                "required calls that are allowed",
                "28 of 28",
                f"{calls['allowed']} of {calls['total']}",
            ),
            (
                "attacks and mistakes that are denied",
                _CDK_ATTACKS,
                f"{attacks['refused']} of {attacks['total']}",
            ),
        ],
    )
    decisions = (
        f"{found['exemptions']} decisions cover {found['exempted_findings']} exempted findings."
    )
    return f"{table}\n\n{decisions}\n\n{simulated}"


def _controls(controls: Sequence[Control], confirmed: Mapping[str, Sequence[str]]) -> str:
    found = whole(plain_stacks(Settings(), Mode.DEV))
    _, checks = assessments.read()
    return _table(
        ("control", "how", "where", "confirmed by", "answers", "proved in", "CDK example"),
        [
            (
                control.title,
                control.how,
                _where(control.titles(dict(found.template["Resources"])), found.stack_of),
                _code(confirmed.get(control.title, ())) or "no checker tests this",
                _code(assessments.of_control(control.title, checks)) or "-",
                _code(control.proof),
                control.cdk,
            )
            for control in controls
        ],
    )


def _assessments() -> str:
    """Return the SageMaker checks of the assessments, with our answers."""
    lists, checks = assessments.read()
    sources = "\n".join(f"- {one.title}: {one.source}" for one in lists)
    table = _table(
        ("check", "asks for", "answer", "by", "why"),
        [
            (
                f"`{check.id}`",
                check.asks,
                _WORDS[check.answer],
                "; ".join(check.controls) or (f"`{check.setting}`" if check.setting else "-"),
                check.why or "-",
            )
            for check in checks
        ],
    )
    counts = Counter(check.answer for check in checks)
    total = ", ".join(f"{counts[answer]} {words}" for answer, words in _WORDS.items())
    return f"{sources}\n\n{len(checks)} checks: {total}.\n\n{table}"


_WORDS: Final = {
    AssessmentAnswer.PASSED: "passed",
    AssessmentAnswer.UNUSED: "not applicable",
    AssessmentAnswer.SETTING: "by setting",
    AssessmentAnswer.EXEMPT: "exempt",
}


def _where(titles: Iterable[str], stack_of: Mapping[str, str]) -> str:
    """Return the logical ids, grouped by stack."""
    by_stack: dict[str, list[str]] = {}
    for title in titles:
        by_stack.setdefault(stack_of[title], []).append(title)
    return "; ".join(f"{stack}: {_code(found)}" for stack, found in by_stack.items())


def _exemptions(exemptions: Sequence[Exemption]) -> str:
    return _table(
        ("accepted", "why", "source", "rules", "resources"),
        [
            (
                exemption.title,
                exemption.reason,
                exemption.source,
                _code(dict.fromkeys(rule for rule, _ in exemption.accepts)),
                _code(dict.fromkeys(resource for _, resource in exemption.accepts)),
            )
            for exemption in exemptions
        ],
    )


_NETWORK_CHOICES: Final = (
    "endpoints_without_policy",
    "vpc",
    "s3_endpoint",
    "endpoint_security_groups",
    "add_endpoint_rules",
    "create_endpoints",
    "created_endpoint_clients",
    "created_endpoint_policy",
)
"""Settings of the network that decide who is trusted with what."""
_ONLY: Final[Mapping[str, Container[str]]] = {
    "network": _NETWORK_CHOICES,
    "studio": ("domain", "s3_endpoint"),
}
"""The settings of large sections that an organization's rules concern."""


def _choices() -> str:
    """Return the settings in which organizations differ, with their defaults."""
    sections: dict[str, type[BaseModel]] = {
        "security": Security,
        "network": Network,
        "functions": Functions,
        "limits": Limits,
        "pipeline": PipelineSettings,
        "watching": WatchingSettings,
        "storage": Storage,
        "studio": Studio,
        "packages": Packages,
    }
    return _table(
        ("setting", "default", "what it does"),
        [
            (
                f"`{section}.{name}`",
                f"`{json.dumps(field.get_default(call_default_factory=True))}`",
                " ".join((field.description or "").split()),
            )
            for section, model in sections.items()
            for name, field in model.model_fields.items()
            if name in _ONLY.get(section, model.model_fields)
        ],
    )


def _rights(rights: JsonView) -> str:
    """Return, for each role, who can assume it, and what it is allowed and denied."""
    return "\n\n".join(_role(role) for role in rights["who_may_do_what"])


def _role(role: JsonView) -> str:
    trust = role["assumed_by"]
    principals = ", ".join(str(value) for value in trust["by"].values())
    rows = [
        (
            right["effect"],
            right["sid"],
            _code(right["actions"]),
            _code(right["resources"]),
            _condition(right["if"]),
            ", ".join(right.get("needed_by") or ()) or "-",
        )
        for right in role["rights"]
    ]
    table = _table(("", "statement", "actions", "resources", "if", "needed by"), rows)
    return (
        f"<details><summary><b>{role['role']}</b>: {role['purpose']}. Assumed by {principals}"
        f"{_when(trust['if'])}</summary>\n\n{table}\n\n</details>"
    )


def _when(condition: JsonView) -> str:
    return f" if {_plain(condition)}" if condition else ""


def _condition(condition: JsonView) -> str:
    return f"`{_plain(condition)}`" if condition else ""


def _plain(condition: JsonView) -> str:
    """Return a condition in one line: operator, key and values."""
    return "; ".join(
        f"{operator} {key} {_values(values)}"
        for operator, keys in condition.items()
        for key, values in keys.items()
    )


def _values(values: object) -> str:
    listed = values if isinstance(values, list) else [values]
    return ", ".join(map(str, listed))


def _proof(rights: JsonView) -> str:
    """Return what needs each granted action, and which attacks were denied."""
    kinds = ("recorded", "derived", "implicit", "nothing")
    needed = {what: rights["allowances"][what]["needed_by"] for what in ("actions", "resources")}
    rows = [
        (what, rights["allowances"][what]["total"], *(counts[kind] for kind in kinds))
        for what, counts in needed.items()
    ]
    table = _table(("granted", "total", *(f"needed by: {kind}" for kind in kinds)), rows)
    attacks = _table(
        ("attack", "attempts", "denied"),
        [(kind, number, number) for kind, number in rights["attacks"]["by_kind"].items()]
        if rights["attacks"]["refused"] == rights["attacks"]["total"]
        else [("all", rights["attacks"]["total"], rights["attacks"]["refused"])],
    )
    return f"{table}\n\n{attacks}"
