"""What the checkers object to and we accept: one file, each entry with its reason and source.

An entry is a decision. What it accepts are rules (``checker:rule``) with resources
(``stack.LogicalId``), each rule with each resource: what no checker objects to any more is stale,
and fails the gate.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, Final

from generator.errors import CommandError
from generator.files import SOURCES
from tabular_ml_vpc.reports.audit.checkers import CHECKERS, CheckerFinding

FILE: Final = SOURCES / "tests/reports/audit/exemptions.toml"

Key = tuple[str, str]
"""A rule, with its checker before it, and a resource."""


class ExemptionError(CommandError):
    """The exemption file cannot be used; the text says which entry is at fault."""


@dataclass(frozen=True)
class Exemption:
    """One decision: what is accepted, why, and who says so."""

    title: str
    reason: str
    source: str
    accepts: tuple[Key, ...]


@dataclass(frozen=True)
class Judgement:
    """The findings that nobody accepted, those accepted, and what is accepted in vain."""

    open: tuple[CheckerFinding, ...]
    accepted: tuple[CheckerFinding, ...]
    stale: tuple[Key, ...]


def judge(findings: Iterable[CheckerFinding], exemptions: Sequence[Exemption]) -> Judgement:
    """Compare what was found with what is accepted."""
    accepted = {key for exemption in exemptions for key in exemption.accepts}
    found = sorted(findings)
    return Judgement(
        open=tuple(finding for finding in found if finding.key not in accepted),
        accepted=tuple(finding for finding in found if finding.key in accepted),
        stale=tuple(sorted(accepted - {finding.key for finding in found})),
    )


def read(path: Path = FILE) -> list[Exemption]:
    """Return the entries of the file.

    Raises:
        ExemptionError: the file is missing or no TOML, an entry lacks something or has something
            unknown, a rule's checker is unknown, or two entries accept the same.

    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["exemption"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ExemptionError(f"{path}: cannot be read: {error}") from error
    exemptions = [_exemption(entry) for entry in entries]
    _check_disjoint(exemptions)
    return exemptions


def _exemption(entry: Mapping[str, Any]) -> Exemption:
    title = str(entry.get("title", "an entry without title"))
    _check_fields(title, entry, {field.name for field in fields(Exemption)})
    accepts: list[Key] = []
    for pairs in entry["accepts"]:
        _check_fields(title, pairs, {"rules", "resources"})
        accepts += product(pairs["rules"], pairs["resources"])
    for rule, _ in accepts:
        if rule.partition(":")[0] not in CHECKERS:
            raise ExemptionError(f"{title}: {rule} must begin with one of {', '.join(CHECKERS)}")
    reason, source = (" ".join(entry[name].split()) for name in ("reason", "source"))
    return Exemption(title, reason, source, tuple(accepts))


def _check_fields(title: str, table: Mapping[str, Any], expected: set[str]) -> None:
    if wrong := sorted(expected ^ table.keys()):
        raise ExemptionError(f"{title}: {', '.join(wrong)} missing or unknown")
    if empty := sorted(name for name, value in table.items() if not value):
        raise ExemptionError(f"{title}: {', '.join(empty)} empty")


def _check_disjoint(exemptions: Iterable[Exemption]) -> None:
    seen: dict[Key, str] = {}
    for exemption in exemptions:
        for key in exemption.accepts:
            if key in seen:
                raise ExemptionError(f"{exemption.title}: {key} is in {seen[key]} already")
            seen[key] = exemption.title
