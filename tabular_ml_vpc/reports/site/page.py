"""The page as one HTML file, including its style, script and drawings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from markupsafe import Markup, escape

from generator.settings import Mode
from tabular_ml_vpc.reports.cost.estimate import CostPart
from tabular_ml_vpc.reports.cost.meters import HOURS
from tabular_ml_vpc.reports.diagram.model import words
from tabular_ml_vpc.reports.diagram.svg import CSS_VARIABLES, DARK, LIGHT, Theme, style, symbols
from tabular_ml_vpc.reports.html import render
from tabular_ml_vpc.reports.site.content import DEFAULT_REGION, Content, cost_data

_HERE: Final = Path(__file__).parent
SLIDERS: Final = (
    ("endpoints", "Interface endpoints", 2, 20, 1),
    ("zones", "Zones with endpoints", 1, 3, 1),
    ("people", "People in Studio", 0, 30, 1),
    ("studio-hours", "Studio hours per month and person", 0, 730, 10),
    ("runs", "Runs of the pipeline per month", 0, 100, 1),
    ("endpoint-hours", "Hours per month that the endpoint serves", 0, 730, 10),
)
"""Name, label, minimum, maximum and step of each slider."""
_OF_STUDIO: Final = ("people", "studio-hours")
MODES: Final = {
    Mode.DEV: "everything is deleted with the stack, including the data",
    Mode.PROD: "data, key and logs are kept when the stack is deleted",
}
PART_TITLES: Final = {
    CostPart.ENVIRONMENT: "Environment",
    CostPart.STUDIO: "Studio",
    CostPart.RUN: "Each run of the pipeline",
    CostPart.ENDPOINT: "The model's endpoint",
}


def page(content: Content) -> str:
    """Return the page; without a script, it shows typical costs in the first region."""
    icons = {name for picture in content.pictures for name in picture.drawing.icons}
    return render(
        _HERE / "page.html.j2",
        {"words": words, "breakable": _breakable, "usd": "{:,.2f}".format},
        content=content,
        mode_meaning=MODES[content.mode],
        counts=_counts(content),
        region=DEFAULT_REGION,
        hours=HOURS,
        part_titles={part: PART_TITLES[part] for part in _parts(content)},
        sliders=[one for one in SLIDERS if _has_effect(one[0], content)],
        slider_values=_present(content),
        cost_data=cost_data(content.cost),
        icons=symbols(icons),
        style=_css(),
        script=(_HERE / "page.js").read_text(encoding="utf-8"),
    )


def _parts(content: Content) -> list[CostPart]:
    """Return the parts of the cost that have items: there may be no Studio."""
    billed = {line.part for line in content.cost.estimates[DEFAULT_REGION].lines}
    return [part for part in PART_TITLES if part in billed]


def _has_effect(slider: str, content: Content) -> bool:
    return slider not in _OF_STUDIO or CostPart.STUDIO in _parts(content)


def _css() -> str:
    def variables(theme: Theme) -> str:
        return "".join(f"--{name}:{value};" for name, value in theme.items())

    dark = variables(DARK)
    return (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f":root[data-theme=light]{{color-scheme:light;{variables(LIGHT)}}}"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
        f"{style(CSS_VARIABLES)}{(_HERE / 'page.css').read_text(encoding='utf-8')}"
    )


def _counts(content: Content) -> dict[str, int]:
    """Return the counts that reviewers look at first."""
    statements = [one for role in content.roles for one in role.statements]
    allowed = {action for one in statements if one.effect == "Allow" for action in one.actions}
    return {
        "statements": len(statements),
        "actions": len(allowed),
        "wild": sum("*" in action for action in allowed),
        "managed": sum(len(role.managed) for role in content.roles),
    }


def _breakable(value: str) -> Markup:
    """Return a name or an ARN that can wrap after a colon or a slash."""
    return escape(value).replace(":", Markup(":<wbr>")).replace("/", Markup("/<wbr>"))


def _present(content: Content) -> dict[str, float]:
    """Return the initial values of the sliders: from the settings, or typical ones."""
    assumed = {one.name: one.levels.typical for one in content.cost.assumptions}
    (present,) = [option for option in content.cost.options if option.is_present]
    return {
        "endpoints": present.endpoints,
        "zones": present.zones,
        "people": len(content.settings.studio.with_spaces),
        "studio-hours": assumed["studio-hours"],
        "runs": assumed["runs"],
        "endpoint-hours": assumed["endpoint-hours"],
    }
