"""Runs checkov over templates, in the environment of the checkers.

    .venv-audit/bin/python checks.py TEMPLATE...

Prints ``{"rules": {"checkov": number}, "findings": [{"template", "set", "rule", "resource",
"message"}]}``: ``template`` counts from 0, ``resource`` is a logical id. checkov's own command
does the same, but loads every framework that it knows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from checkov.cloudformation.checks.resource.registry import cfn_registry
from checkov.cloudformation.runner import Runner
from checkov.runner_filter import RunnerFilter


def main(templates: Sequence[str]) -> None:
    """Run all checks of CloudFormation and print what they find."""
    only = RunnerFilter(framework=["cloudformation"])
    report = Runner().run(root_folder=None, files=list(templates), runner_filter=only)
    if report.parsing_errors:
        sys.exit(f"checkov cannot read {', '.join(report.parsing_errors)}")
    rules = {check.id for checks in cfn_registry.checks.values() for check in checks}
    numbers = {Path(template).resolve(): number for number, template in enumerate(templates)}
    found = [
        {
            "template": numbers[Path(check.file_abs_path).resolve()],
            "set": "checkov",
            "rule": check.check_id,
            "resource": check.resource.rpartition(".")[2],
            "message": check.check_name,
        }
        for check in report.failed_checks
    ]
    print(json.dumps({"rules": {"checkov": len(rules)}, "findings": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
