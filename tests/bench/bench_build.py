"""What ``python build.py`` takes, beside ``cdk synth`` of the example; run as a module."""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import Any, Final

from generator.files import REPOSITORY
from tests.bench.measure import KIB, Cost, run
from tests.bench.page import circumstances, replace_section, table

RUNS: Final = 5
BUILD: Final = (sys.executable, "build.py")


EXAMPLE: Final = Cost(wall=13, cpu=11, peak_mib=675)
"""``cdk synth`` of the CDK example: 11 to 15 s, 11 s of CPU, 675 MiB."""
EXAMPLE_RESOURCES: Final = 66
EXAMPLE_LAYER: Final = 20_000_000
COMMANDS: Final = {
    "`python build.py --no-lint` (emit and package)": ["--no-lint"],
    "`python build.py` (also lint, both sets)": [],
    "`python build.py --check`": ["--check"],
    "`python build.py --help`": ["--help"],
}


def measure(arguments: list[str]) -> Cost:
    """Return the medians of several runs, the first one (with cold caches) not counted."""
    costs = [run([*BUILD, *arguments]) for _ in range(RUNS + 1)][1:]
    return Cost(
        wall=median(cost.wall for cost in costs),
        cpu=median(cost.cpu for cost in costs),
        peak_mib=max(cost.peak_mib for cost in costs),
    )


def section() -> str:
    """Measure, and return the section in Markdown."""
    rows = [_row(name, measure(arguments)) for name, arguments in COMMANDS.items()]
    example = ["`cdk synth` of the CDK example", "11-15 s", "11 s", "675 MiB", "1", "1"]
    built = json.loads(
        subprocess.run(
            [sys.executable, str(REPOSITORY / "build.py"), "--no-lint", "--json"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    headings = ["command", "wall", "CPU", "peak memory", "time, ratio", "memory, ratio"]
    return "\n\n".join(
        [
            "## Build",
            f"{circumstances()} Medians of {RUNS} runs; memory is that of the largest process; "
            "ratios are of CPU time and memory to the example's.",
            table(headings, [*rows, example]),
            _zips(built["functions"]),
            _resources(built["templates"]),
        ]
    )


def _row(name: str, cost: Cost) -> list[str]:
    ratios = [f"{cost.cpu / EXAMPLE.cpu:.3f}", f"{cost.peak_mib / EXAMPLE.peak_mib:.2f}"]
    return [name, f"{cost.wall:.2f} s", f"{cost.cpu:.2f} s", f"{cost.peak_mib:.0f} MiB", *ratios]


def _zips(sizes: dict[str, int]) -> str:
    total = sum(sizes.values())
    rows = [[f"`{name}`", f"{size:,}"] for name, size in sizes.items()]
    rows += [
        [f"together ({total / KIB:.1f} KiB)", f"{total:,}"],
        ["the example's layer", f"{EXAMPLE_LAYER:,}"],
    ]
    return table(["zip", "bytes"], rows)


def _resources(templates: list[dict[str, Any]]) -> str:
    dev = [row for row in templates if "/prod/" not in row["template"]]
    total = sum(row["resources"] for row in dev)
    rows = [[f"`{row['template']}`", str(row["resources"]), f"{row['bytes']:,}"] for row in dev]
    rows += [["together", str(total), ""], ["the example", str(EXAMPLE_RESOURCES), ""]]
    return table(["template", "resources", "bytes"], rows)


if __name__ == "__main__":
    replace_section("build", section())
