"""The checkers: programs maintained by others, run over the templates.

They run in separate environments (``make audit`` installs them), over one merged template for each
mode (``whole.py``). Only cfn-lint reads the templates as they are committed, and follows the nested
stacks itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

from cfnlint.core import get_rules

from generator import emit
from generator.errors import CommandError
from generator.files import REPOSITORY, TEMPLATES
from generator.lint import EXEMPT, lint
from generator.regions import deployable
from generator.settings import Mode, Settings
from generator.stacks import root
from tabular_ml_vpc.reports.audit.whole import CombinedTemplate, Stacks, whole

_PYTHON: Final = REPOSITORY / ".venv-audit/bin/python"
_NODE: Final = REPOSITORY / ".venv-node/node"
_NODE_MODULES: Final = REPOSITORY / ".venv-node/node_modules"
_CONTROL_TOWER: Final = (
    _NODE_MODULES / "@cdklabs/cdk-validator-cfnguard/rules/control-tower/cfn-guard"
)
_INSIDE: Final = Path(__file__).parent / "inside"

CHECKERS: Final = {
    "cfn-lint": "cfn-lint, informational rules included",
    "checkov": "checkov, CloudFormation",
    "validate": "AWS cloudformation-validate, its own rules",
    "control-tower": "AWS Control Tower's proactive controls",
    "foundational-security": "AWS's Foundational Security rules for cfn-guard",
    "nag-solutions": "cdk-nag, AWS Solutions",
    "nag-nist": "cdk-nag, NIST 800-53 r5",
    "nag-pci": "cdk-nag, PCI DSS 3.2.1",
    "nag-hipaa": "cdk-nag, HIPAA Security",
}
"""Title of each checker, by the name that exemptions use."""


_Output = dict[str, Any]
"""Output of a program in ``inside``: ``rules`` by set, and ``findings``."""


class CheckerError(CommandError):
    """A checker could not run; the message says which one and why."""


@dataclass(frozen=True, order=True)
class CheckerFinding:
    """A finding of a checker; ``resource`` is ``stack.LogicalId``, or ``EVERYTHING``."""

    checker: str
    rule: str
    resource: str
    message: str

    @property
    def key(self) -> tuple[str, str]:
        """Return the key that an exemption uses: the rule with its checker, and the resource."""
        return f"{self.checker}:{self.rule}", self.resource


@dataclass(frozen=True)
class Result:
    """The result of one checker: its number of rules, and its findings without duplicates."""

    checker: str
    rules: int
    findings: tuple[CheckerFinding, ...]


_MESSAGE_LENGTH: Final = 160
EVERYTHING: Final = "everything"
"""The resource of a finding that names no resource."""


def run(settings: Settings) -> list[Result]:
    """Return every checker's result for the templates of these settings, in ``CHECKERS`` order.

    Raises:
        CheckerError: an environment is missing, or a checker failed.

    """
    wholes = [whole(plain_stacks(settings, mode)) for mode in settings.modes]
    results = [_cfn_lint(settings, wholes), *over(wholes)]
    order = list(CHECKERS)
    return sorted(results, key=lambda result: order.index(result.checker))


def over(wholes: Sequence[CombinedTemplate]) -> list[Result]:
    """Return the combined results of all checkers but cfn-lint, for templates of equal resources.

    Raises:
        CheckerError: as ``run``.

    """
    outputs = _run_over(wholes)
    return [result for output in outputs for result in _results(output, None, wholes[0])]


def each_over(wholes: Sequence[CombinedTemplate]) -> list[list[Result]]:
    """Return the same for each template separately.

    Raises:
        CheckerError: as ``run``.

    """
    outputs = _run_over(wholes)
    return [
        [result for output in outputs for result in _results(output, number, each)]
        for number, each in enumerate(wholes)
    ]


def _run_over(wholes: Sequence[CombinedTemplate]) -> list[_Output]:
    _check_installed()
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        paths = [_write(Path(folder), number, each) for number, each in enumerate(wholes)]
        return [_output(program) for program in _start_all(paths)]


def _check_installed() -> None:
    for path in (_PYTHON, _NODE, _CONTROL_TOWER):
        if not path.exists():
            name = path.relative_to(REPOSITORY).parts[0]
            raise CheckerError(
                f"{name} is missing or incomplete: run `python build.py setup checkers`"
            )


def plain_stacks(settings: Settings, mode: Mode) -> Stacks:
    """Return the stacks of one mode as plain values, as CloudFormation receives them."""
    templates = root.build(settings, mode)
    as_dicts = {name: emit.as_dict(template) for name, template in templates.items()}
    stacks: Stacks = json.loads(json.dumps(as_dicts))
    return stacks


def _write(folder: Path, index: int, each: CombinedTemplate) -> str:
    """Write a template for checkers, sorted: otherwise cdk-nag misses some permissions."""
    path = folder / f"whole-{index}.json"
    text = json.dumps(with_visible_rights(each.template), sort_keys=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def with_visible_rights(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template with its role policies in the older form that every checker supports.

    checkov and cdk-nag do not know ``AWS::IAM::RolePolicy`` and would skip all permissions.
    """
    return {
        **template,
        "Resources": {title: _visible(r) for title, r in template["Resources"].items()},
    }


def _visible(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    if resource["Type"] != "AWS::IAM::RolePolicy":
        return resource
    properties = dict(resource["Properties"])
    properties["Roles"] = [properties.pop("RoleName")]
    return {**resource, "Type": "AWS::IAM::Policy", "Properties": properties}


def _start_all(paths: Sequence[str]) -> list[subprocess.Popen[str]]:
    """Start all checkers in parallel."""
    commands = [
        [str(_PYTHON), str(_INSIDE / "checks.py"), *paths],
        [str(_PYTHON), str(_INSIDE / "guard.py"), str(_CONTROL_TOWER), *paths],
        [str(_NODE), str(_INSIDE / "nag.cjs"), *paths],
    ]
    environment = {**os.environ, "NODE_PATH": str(_NODE_MODULES), "LOG_LEVEL": "ERROR"}
    return [
        subprocess.Popen(  # noqa: S603 - our own arguments
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for command in commands
    ]


def _output(program: subprocess.Popen[str]) -> _Output:
    output, errors = program.communicate()
    try:
        found: _Output = json.loads(output)
    except ValueError:
        said = (errors or output).strip().splitlines() or ["no output"]
        fault = next((line for line in reversed(said) if "Error" in line), said[-1])
        name = Path(str(program.args[1])).name  # type: ignore[index] # a list, see _start_all
        raise CheckerError(f"{name} ended with status {program.returncode}: {fault}") from None
    return found


def _results(output: _Output, number: int | None, each: CombinedTemplate) -> Iterator[Result]:
    """Yield the results of one program, for all templates or only for template ``number``."""
    for name, rules in output["rules"].items():
        found = [
            finding
            for finding in output["findings"]
            if finding["set"] == name and number in (None, finding["template"])
        ]
        yield _result("validate" if name == "linter" else name, rules, found, each)


def _result(
    checker: str, rules: int, found: Iterable[Mapping[str, str]], each: CombinedTemplate
) -> Result:
    """Return the findings without duplicates; drop a rule's summary if it also names resources."""
    findings: dict[tuple[str, str], CheckerFinding] = {}
    for item in found:
        title = item["resource"]
        resource = each.resource(title) if title else EVERYTHING
        message = shorten(item["message"], _MESSAGE_LENGTH, placeholder=" ...")
        finding = CheckerFinding(checker, item["rule"], resource, message)
        findings.setdefault(finding.key, finding)
    named = {finding.rule for finding in findings.values() if finding.resource != EVERYTHING}
    kept = [f for f in findings.values() if f.resource != EVERYTHING or f.rule not in named]
    return Result(checker, rules, tuple(sorted(kept)))


def _cfn_lint(settings: Settings, wholes: Sequence[CombinedTemplate]) -> Result:
    """Return cfn-lint's findings for the committed templates, and those that it ignores."""
    folders = [REPOSITORY / TEMPLATES[mode] for mode in settings.modes]
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    found = lint(
        (str(path.relative_to(REPOSITORY)) for path in paths), regions=deployable(settings)
    )
    findings = {CheckerFinding("cfn-lint", each.rule, each.path, each.message) for each in found}
    findings |= {CheckerFinding("cfn-lint", EXEMPT, EVERYTHING, "ignored in generator/lint.py")}
    findings |= {finding for each in wholes for finding in _ignored(each)}
    rules = len(list(get_rules([], [], ["I"])))
    return Result("cfn-lint", rules, tuple(sorted(findings)))


def _ignored(each: CombinedTemplate) -> Iterator[CheckerFinding]:
    """Yield the rules that the templates themselves tell cfn-lint to ignore."""
    for title, resource in each.template["Resources"].items():
        config = resource.get("Metadata", {}).get("cfn-lint", {}).get("config", {})
        for rule in config.get("ignore_checks", []):
            resource_name = each.resource(title)
            yield CheckerFinding(
                "cfn-lint", rule, resource_name, "ignored in the resource's metadata"
            )
