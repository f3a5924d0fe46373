"""Findings of the checkers that we accept: one file, each entry with its reason and source.

An entry is a decision. It accepts rules (``checker:rule``) for resources (``stack.LogicalId``):
each rule for each resource. A combination that no checker reports any more is stale, and fails the
gate. An entry about a ``setting`` accepts resources that exist only with it, by patterns.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Final

from generator.errors import CommandError
from generator.files import SOURCES
from tabular_ml_vpc.reports.audit.checkers import CHECKERS, CheckerFinding

FILE: Final = SOURCES / "tests/reports/audit/exemptions.toml"

Key = tuple[str, str]
"""A rule, prefixed with its checker, and a resource."""


class ExemptionError(CommandError):
    """The exemption file is not valid; the message says which entry is wrong."""


@dataclass(frozen=True)
class Exemption:
    """One decision: what is accepted, the reason, its source, and the setting it depends on."""

    title: str
    reason: str
    source: str
    accepts: tuple[Key, ...]
    setting: str = ""

    def covers(self, key: Key) -> bool:
        """Return whether a finding is accepted."""
        if not self.setting:
            return key in self.accepts
        return any(key[0] == rule and fnmatchcase(key[1], place) for rule, place in self.accepts)


@dataclass(frozen=True)
class Judgement:
    """The open findings, the accepted ones, and the exemptions that match no finding."""

    open: tuple[CheckerFinding, ...]
    accepted: tuple[CheckerFinding, ...]
    stale: tuple[Key, ...]


def judge(findings: Iterable[CheckerFinding], exemptions: Sequence[Exemption]) -> Judgement:
    """Compare the findings with the exemptions."""
    accepted = {key for one in exemptions if not one.setting for key in one.accepts}
    found = sorted(findings)
    covered = {key for key in {one.key for one in found} if any(e.covers(key) for e in exemptions)}
    return Judgement(
        open=tuple(finding for finding in found if finding.key not in covered),
        accepted=tuple(finding for finding in found if finding.key in covered),
        stale=tuple(sorted(accepted - {finding.key for finding in found})),
    )


def read(path: Path = FILE) -> list[Exemption]:
    """Return the entries of the file.

    Raises:
        ExemptionError: the file is missing or not valid TOML, an entry lacks a field or has an
            unknown one, a rule's checker is unknown, or two entries accept the same finding.

    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["exemption"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ExemptionError(f"{path}: cannot be read: {error}") from error
    exemptions = [_exemption(entry) for entry in entries]
    _check_disjoint(exemptions)
    return exemptions


def _exemption(entry: Mapping[str, Any]) -> Exemption:
    title = str(entry.get("title", "an entry without a title"))
    optional = {"setting"} - entry.keys()
    _check_fields(title, entry, {field.name for field in fields(Exemption)} - optional)
    accepts: list[Key] = []
    for pairs in entry["accepts"]:
        _check_fields(title, pairs, {"rules", "resources"})
        accepts += product(pairs["rules"], pairs["resources"])
    for rule, _ in accepts:
        if rule.partition(":")[0] not in CHECKERS:
            raise ExemptionError(f"{title}: {rule!r} must begin with one of {', '.join(CHECKERS)}")
    reason, source = (" ".join(entry[name].split()) for name in ("reason", "source"))
    return Exemption(title, reason, source, tuple(accepts), entry.get("setting", ""))


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
                raise ExemptionError(f"{exemption.title}: {key} is already in {seen[key]!r}")
            seen[key] = exemption.title
