"""`python build.py`, beside what the CDK example's `cdk synth` took on a machine like this."""

from __future__ import annotations

import sys
from pathlib import Path

from generator import emit, package
from generator.files import DIST, REPOSITORY
from generator.settings import Mode, Settings
from tests.bench.measure import Cost, Section, best, ratio, run

CDK = Cost(wall=11.0, cpu=11.0, peak_mib=675.0)
"""`cdk synth` of the example: the best of several runs on two cores, measured in November 2026."""
TIMES = 5


def sections() -> list[Section]:
    """Return what building takes and what comes out."""
    python = sys.executable
    emission = best(TIMES, lambda: run([python, "build.py", "--no-lint"]))
    linted = best(2, lambda: run([python, "build.py"]))
    help_text = best(TIMES, lambda: run([python, "build.py", "--help"]))
    return [
        Section(
            "Building",
            "Templates of both modes and all zips; the cheapest of several runs. `cdk synth` of "
            "the CDK example was measured on such a machine beforehand, not in this run: it needs "
            "an installation of its own.",
            ("", "wall", "processor", "peak memory"),
            (
                _cost_row("`python build.py --no-lint`", emission),
                _cost_row("`python build.py` (with cfn-lint)", linted),
                _cost_row("`python build.py --help`", help_text),
                _cost_row("the CDK example's `cdk synth`", CDK),
                (
                    "emission beside `cdk synth`",
                    ratio(emission.wall, CDK.wall),
                    ratio(emission.cpu, CDK.cpu),
                    ratio(emission.peak_mib, CDK.peak_mib),
                ),
            ),
            "Goals: a tenth of the time and a fifth of the memory.",
        ),
        _sizes(),
    ]


def _cost_row(name: str, cost: Cost) -> tuple[str, ...]:
    return name, f"{cost.wall:.2f} s", f"{cost.cpu:.2f} s", f"{cost.peak_mib:.0f} MiB"


def _sizes() -> Section:
    texts = emit.render(Settings(modes=(Mode.DEV,)))
    rows = []
    for name, text in texts.items():
        if emit.is_template(name):
            resources = len(emit_resources(text))
            rows.append((f"`{name}`", str(resources), f"{len(text.encode()):,} bytes"))
    total = sum(int(row[1]) for row in rows)
    zips = [Path(REPOSITORY / DIST / f"{name}.zip") for name in package.FUNCTIONS]
    size = sum(path.stat().st_size for path in zips)
    return Section(
        "Size",
        "What is deployed. A template may have 500 resources and 1,000,000 bytes.",
        ("", "resources", "size"),
        (
            *rows,
            ("all templates of a mode", str(total), ""),
            (f"{len(zips)} zips, crhelper in each", "", f"{size:,} bytes"),
            ("the CDK example: 7 functions and a layer", "66", "20 MB"),
        ),
        "Goal: zips under 150 KB in all.",
    )


def emit_resources(text: str) -> dict[str, object]:
    """Return a template's resources."""
    from generator.yaml_text import from_yaml  # noqa: PLC0415 - slow, and for this alone

    resources: dict[str, object] = from_yaml(text)["Resources"]
    return resources
