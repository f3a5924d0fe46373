"""How the templates grow with the number of pipelines in one environment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import PurePath
from statistics import median
from typing import Final

from generator.emit import MAX_BYTES, is_template, render
from generator.files import REPOSITORY
from generator.policies.documents import size
from generator.resolved import resolve
from generator.settings import Mode, Settings
from tabular_ml_vpc.reports.cost.estimate import environment
from tabular_ml_vpc.reports.cost.prices import Prices, read_table
from tabular_ml_vpc.reports.cost.usage import usage
from tests.bench.page import circumstances, replace_section, table
from tests.bench.plot import DARK, LIGHT, Panel, drawing

NAMED: Final = (0, 1, 2, 5, 10, 20, 50)
RUNS: Final = 3
REGION: Final = "us-east-1"
MOST_RESOURCES: Final = 2_500
"""In one operation on nested stacks (CloudFormation user guide, quotas)."""
MOST_KEY_POLICY: Final = 32_768
IMAGES: Final = REPOSITORY / "docs/images"
TITLE: Final = "Emission, templates and price against the number of pipelines"


@dataclass(frozen=True)
class Measured:
    """One environment: seconds of processor, bytes, counts, and USD a month at rest."""

    pipelines: int
    cpu: float
    root: int
    templates: int
    resources: int
    key_policy: int
    price: float

    def cells(self) -> list[str]:
        """A line of the table."""
        return [
            str(self.pipelines),
            f"{self.cpu:.2f} s",
            f"{self.root:,}",
            f"{self.templates:,}",
            f"{self.resources:,}",
            f"{self.key_policy:,}",
            f"{self.price:.2f}",
        ]


def measure(named: int) -> Measured:
    """Emit one set of templates for ``main`` and so many named pipelines."""
    names = ["main", *(f"table-{number}" for number in range(1, named + 1))]
    settings = Settings.model_validate(
        {"modes": ["dev"], "pipelines": [{"name": name} for name in names]}
    )
    seconds = []
    for _ in range(RUNS):
        began = time.process_time()
        texts = render(settings)
        seconds.append(time.process_time() - began)
    sizes = {PurePath(path).stem: len(text) for path, text in texts.items() if is_template(path)}
    made = resolve(settings, Mode.DEV)
    key = made.get("security", "Key").properties["KeyPolicy"]
    return Measured(
        pipelines=len(names),
        cpu=median(seconds),
        root=sizes["root"],
        templates=sum(sizes.values()),
        resources=sum(len(stack) for stack in made.stacks.values()),
        key_policy=size(key),
        price=environment(made, usage(), Prices(read_table(), REGION)).typical,
    )


def section() -> str:
    """Measure, draw, and return the section in Markdown."""
    began = circumstances()
    found = [measure(named) for named in NAMED]
    draw(found)
    headings = [
        *("pipelines", "emission, CPU", "bytes of `root.yaml`", "bytes of all templates"),
        *("resources", "characters of the key's policy", "USD a month at rest"),
    ]
    return "\n\n".join(
        [
            "## Several pipelines",
            f"{began} `main` and others that leave everything at its default. Emission is that of "
            f"one set of templates, the median of {RUNS}; the named pipelines share one template, "
            "so that only the root grows. Limits: "
            f"{MAX_BYTES:,} bytes of a template, {MOST_RESOURCES:,} resources in one operation, "
            f"{MOST_KEY_POLICY:,} characters of a key's policy. The price is `build.py cost`'s for "
            f"the environment in {REGION}, typical use, without runs and endpoints. The axes of "
            "the plot are logarithmic.",
            _picture(),
            table(headings, [one.cells() for one in found]),
            _verdict(found),
        ]
    )


def draw(found: list[Measured]) -> None:
    """Write the plot, for light and for dark pages."""
    panels = [
        Panel("Emission", "s of processor", "pipelines", [(at.pipelines, at.cpu) for at in found]),
        Panel(
            "All templates", "kB", "pipelines", [(at.pipelines, at.templates / 1e3) for at in found]
        ),
        Panel("At rest, a month", "USD", "pipelines", [(at.pipelines, at.price) for at in found]),
    ]
    for name, palette in (("pipelines.svg", LIGHT), ("pipelines-dark.svg", DARK)):
        (IMAGES / name).write_text(drawing(TITLE, [panels], palette), encoding="utf-8")


def _picture() -> str:
    return (
        '<picture>\n  <source media="(prefers-color-scheme: dark)" '
        f'srcset="images/pipelines-dark.svg">\n  <img alt="{TITLE}" src="images/pipelines.svg">\n'
        "</picture>"
    )


def _verdict(found: list[Measured]) -> str:
    second, last = found[1], found[-1]
    more = last.pipelines - second.pipelines
    return (
        f"From {second.pipelines} pipelines to {last.pipelines}, one more adds "
        f"{(last.root - second.root) / more:,.0f} bytes to the root template, "
        f"{(last.resources - second.resources) / more:.0f} resources, "
        f"{(last.cpu - second.cpu) / more * 1000:.0f} ms of emission, nothing to the key's policy, "
        f"and {(last.price - second.price) / more:.2f} USD a month at rest."
    )


if __name__ == "__main__":
    replace_section("pipelines", section())
