"""``python build.py`` without a command: emit, package, lint, and report the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from generator import emit, package, project
from generator.cfn.yaml_text import from_yaml
from generator.files import DIST
from generator.lint import LintFinding, lint, lint_pipeline
from generator.regions import deployable
from generator.settings import Settings, SettingsSource, read
from tabular_ml_vpc.cli.console import console, print_json, say, show_next
from tabular_ml_vpc.cli.project_options import STAGE
from tabular_ml_vpc.cli.tables import Column, show_table
from tabular_ml_vpc.figures import counted

_COLUMNS: Final = (
    Column("template"),
    Column("resources", importance=4, justify="right"),
    Column("of 500", importance=2, justify="right"),
    Column("bytes", importance=3, justify="right"),
    Column("of 1,000,000", importance=1, justify="right"),
)


@dataclass(frozen=True)
class _Size:
    """A template's size, and how much of CloudFormation's limits it uses."""

    template: str
    resources: int
    resources_share: float
    bytes: int
    bytes_share: float


def build(config: SettingsSource, with_lint: bool, as_json: bool) -> int:
    """Emit, package and lint; return the exit status."""
    settings = _settings(config)
    texts = emit.render(settings)
    changed = emit.emit(texts)
    zips = package.build_all()
    sizes = [_size(name, text) for name, text in texts.items() if emit.is_template(name)]
    if not as_json:
        _show(sizes, zips, changed)
    findings = None
    if with_lint:
        templates = [size.template for size in sizes]
        findings = lint(templates, regions=deployable(settings)) + lint_pipeline()
    if as_json:
        print_json(_as_json(sizes, zips, changed, findings))
    else:
        if findings is not None:
            _show_findings(findings)
        if not findings:
            _show_next()
    return 1 if findings else 0


def check(config: SettingsSource, as_json: bool) -> int:
    """Compare the committed files with what a build would emit; return the exit status."""
    stale = emit.check(emit.render(_settings(config)))
    if as_json:
        print_json({"stale": stale})
    elif stale:
        for name in stale:
            print(f"{name}: out of date")
        print("Run `python build.py` and commit the changes.")
    else:
        print("The committed files are up to date.")
    return 1 if stale else 0


def _settings(config: SettingsSource) -> Settings:
    """Read the settings that were given, or those of the project file."""
    found = None if config else project.find(Path.cwd(), os.environ.get(STAGE) or None)
    if found is None or found.settings is None:
        return read(config)
    say(f"using {found.name}: settings {found.settings_name}")
    return read(found.settings)


def _size(name: str, text: str) -> _Size:
    resources, length = len(from_yaml(text)["Resources"]), len(text.encode())
    return _Size(
        template=name,
        resources=resources,
        resources_share=resources / emit.MAX_RESOURCES,
        bytes=length,
        bytes_share=length / emit.MAX_BYTES,
    )


def _as_json(
    sizes: list[_Size],
    zips: Mapping[str, int],
    changed: list[str],
    findings: list[LintFinding] | None,
) -> dict[str, object]:
    return {
        "templates": [asdict(size) for size in sizes],
        "functions": dict(zips),
        "changed": changed,
        "findings": None if findings is None else [finding.as_json() for finding in findings],
    }


def _show(sizes: list[_Size], zips: Mapping[str, int], changed: list[str]) -> None:
    out = console()
    show_table(out, _COLUMNS, map(_row, sizes))
    out.print(f"{counted(len(zips), 'function')} in {DIST}/: {sum(zips.values()):,} bytes")
    out.print(f"changed: {', '.join(changed)}" if changed else "nothing changed")


def _row(size: _Size) -> tuple[object, ...]:
    return (
        size.template,
        size.resources,
        f"{size.resources_share:.1%}",
        f"{size.bytes:,}",
        f"{size.bytes_share:.1%}",
    )


def _show_next() -> None:
    show_next(
        console(),
        ("python build.py local", "train on this machine, without an account"),
        ("python build.py doctor", "check your AWS account before you deploy"),
    )


def _show_findings(findings: list[LintFinding]) -> None:
    for finding in findings:
        print(finding)
    print(f"lint: {counted(len(findings), 'finding')}" if findings else "lint: no findings")
