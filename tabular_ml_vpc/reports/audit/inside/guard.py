"""Runs AWS's cloudformation-validate over templates, in the environment of the checkers.

    .venv-audit/bin/python guard.py CONTROL_TOWER_FOLDER TEMPLATE...

Prints ``{"rules": {set: number}, "findings": [{"template", "set", "rule", "resource",
"message"}]}``: ``template`` counts from 0. The sets are ``linter`` (its own rules, warnings and
above), ``control-tower`` and ``foundational-security`` (both in the cfn-guard language).
``resource`` is a logical id, or empty for the whole template.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path

from cloudformation_validate import (
    CompositeEngine,
    CompositeEngineConfig,
    Diagnostic,
    ExternalRuleSource,
    Severity,
    ValidateConfig,
)

SECURITY_PACKAGE = "awslabs.aws-iac-mcp-server"
RULE = re.compile(r"^rule +([A-Z0-9_]+) when", re.MULTILINE)


def main(control_tower: Path, templates: Sequence[str]) -> None:
    """Run the three rule sets and print what they find."""
    towers = [
        _source(path.stem.upper().replace("-", "."), path)
        for path in sorted(control_tower.glob("**/*.guard"))
    ]
    security = _security_rules()
    engines = {
        "linter": CompositeEngine(CompositeEngineConfig()),
        "control-tower": CompositeEngine(CompositeEngineConfig(guard_rules=towers)),
        "foundational-security": CompositeEngine(CompositeEngineConfig(guard_rules=[security])),
    }
    rules = {
        "linter": len(engines["linter"].list_rules()),
        "control-tower": len(towers),
        "foundational-security": len(RULE.findall(security.content)),
    }
    found = [
        {"template": number, **finding}
        for number, template in enumerate(templates)
        for name, engine in engines.items()
        for finding in _found(name, engine, template)
    ]
    print(json.dumps({"rules": rules, "findings": found}))


def _security_rules() -> ExternalRuleSource:
    """Return the rule file that is included in AWS's server for coding assistants."""
    paths = [path for path in files(SECURITY_PACKAGE) or () if path.suffix == ".guard"]
    return _source("foundational-security", Path(str(paths[0].locate())))


def _source(name: str, path: Path) -> ExternalRuleSource:
    return ExternalRuleSource(name=name, content=path.read_text(encoding="utf-8"))


def _found(name: str, engine: CompositeEngine, template: str) -> list[dict[str, str]]:
    options = ValidateConfig(disable_builtin_rules=name != "linter", severity_level=Severity.WARN)
    report = engine.validate_template(template, options)
    return [
        {
            "set": name,
            "rule": _identifier(finding),
            "resource": (finding.entity and finding.entity.logical_id) or "",
            "message": finding.message,
        }
        for finding in report.diagnostics
    ]


def _identifier(finding: Diagnostic) -> str:
    """Return the rule's public name; Control Tower's rules are named after their files."""
    source = str(finding.category).partition("guard:")[2].replace("_", ".")
    return source if source.startswith("CT.") else str(finding.rule_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
